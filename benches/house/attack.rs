//! What strangers can do, and what it costs: each attack of `tests/harness/attack.rs`, then twelve logins at once and
//! pictures made to be slow, while somebody else asks for a plain thing again and again. What misses its budget ends the
//! run with an error.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::attacks::{ATTACKS, Look, open_many_files, time_of_a_request};
use crate::client;
use crate::figure::{Context, Outcome, Table, verdict};
use crate::option::Options;
use crate::server::{Scratch, Server, program};

/// What an attack may add to the process's memory, in MiB.
const MOST_MEMORY: f64 = 32.0;
/// The loop, the store, two workers, and one that is about to end.
const MOST_THREADS: u64 = 5;
/// How long a plain request may take meanwhile, in milliseconds.
const MOST_WAIT: f64 = 500.0;
const PASSWORD: &str = "correct horse battery";
const LIMITS: [&str; 3] =
    ["login_failures=100000000", "pictures_per_minute=100000000", "connections_per_address=900"];

/// Attacks a server that wants passwords, one way after the other.
///
/// # Errors
/// The server failed, or a budget was missed.
pub fn run(options: &Options) -> Outcome<()> {
    open_many_files();
    let scratch = Scratch::make(options)?;
    let mut adding = Command::new(program()?)
        .args(["user", "add", "Ann", "--password-stdin", "--data"])
        .arg(scratch.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("user add")?;
    let mut input = adding.stdin.take().ok_or("user add: no standard input")?;
    input.write_all(PASSWORD.as_bytes()).context("user add")?;
    drop(input);
    if !adding.wait().context("user add")?.success() {
        return Err("user add: refused".into());
    }
    let server = Server::start_as(scratch.path(), &Vec::new(), &[], &LIMITS)?;
    let mut sheet =
        Sheet { table: Table::new(&["attack", "memory", "threads", "left open", "waits", ""]), missed: 0 };
    let login = json!({ "username": "Ann", "password": PASSWORD });
    let answer = server.ask("POST", "/api/login", None, Some(&login))?;
    let token = answer.get("token").and_then(Value::as_str).ok_or("no token")?.to_owned();
    for (name, attack) in ATTACKS {
        sheet.endured(&server, name, |address| drop(attack(address)));
    }
    let wrong = json!({ "username": "Ann", "password": "wrong" });
    for round in 0..options.rounds {
        let body = if round % 2 == 0 { &login } else { &wrong };
        let request = client::request("POST", "/api/login", "", Some(body));
        sheet.endured(&server, "twelve logins at once", |address| {
            at_once(12, || drop(exchange(address, &request)));
        });
    }
    for (name, picture) in
        [("a photo of 24 megapixels", photo()), ("a bomb of 25 megapixels in 25 KB", bomb())]
    {
        let head = format!(
            "POST /api/auth/user/profile-picture HTTP/1.1\r\nHost: localhost\r\n{}Content-Type: image/png\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n",
            client::bearer(&token),
            picture.len()
        );
        let request = [head.as_bytes(), &picture].concat();
        for _ in 0..options.rounds {
            let mut answered = true;
            sheet.endured(&server, name, |address| {
                answered =
                    exchange(address, &request).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200 "));
            });
            if !answered {
                return Err(format!("{name}: the picture was not taken"));
            }
        }
    }
    sheet.table.print("attack: what strangers can do, and how long others wait meanwhile");
    match sheet.missed {
        0 => Ok(()),
        count => Err(format!("{count} budgets were missed")),
    }
}

/// Collects what each attack came to.
struct Sheet {
    table: Table,
    missed: usize,
}

impl Sheet {
    fn endured(&mut self, server: &Server, name: &str, attack: impl FnOnce(SocketAddr)) {
        let (process, address) = (server.process(), server.address);
        Look::forget(process);
        let before = Look::at(process);
        let over = AtomicBool::new(false);
        let (threads, waited) = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let (mut threads, mut waited) = (0, Duration::ZERO);
                while !over.load(Ordering::Relaxed) {
                    // Where one address has no place left, that is the answer, and others are not measured by it.
                    waited = waited.max(time_of_a_request(address).unwrap_or_default());
                    threads = threads.max(Look::at(process).threads);
                    std::thread::sleep(Duration::from_millis(5));
                }
                (threads, waited)
            });
            attack(address);
            over.store(true, Ordering::Relaxed);
            watcher.join().expect("only asks and looks")
        });
        let after = Look::settled(process, &before);
        let memory = after.highest.saturating_sub(before.resident) as f64 / 1024.0;
        let left = after.descriptors.saturating_sub(before.descriptors);
        let waited = waited.as_secs_f64() * 1e3;
        let kept = memory <= MOST_MEMORY && threads <= MOST_THREADS && left == 0 && waited <= MOST_WAIT;
        self.missed += usize::from(!kept);
        self.table.row([
            name.to_owned(),
            format!("{memory:.1} MiB"),
            threads.to_string(),
            left.to_string(),
            format!("{waited:.0} ms"),
            verdict(kept).to_owned(),
        ]);
    }
}

/// Does it in so many threads.
fn at_once(count: usize, act: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(&act);
        }
    });
}

/// Sends a request and reads the first bytes of its answer.
fn exchange(address: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).ok()?;
    answer.truncate(count);
    Some(answer)
}

/// As a telephone makes them.
fn photo() -> Vec<u8> {
    const WIDTH: u16 = 6000;
    const HEIGHT: u16 = 4000;
    let mut pixels = Vec::with_capacity(usize::from(WIDTH) * usize::from(HEIGHT) * 3);
    for row in 0..u32::from(HEIGHT) {
        for column in 0..u32::from(WIDTH) {
            pixels.extend([(row / 16) as u8, (column / 24) as u8, ((row * column) >> 16) as u8]);
        }
    }
    let mut bytes = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, 85);
    encoder.encode(&pixels, WIDTH, HEIGHT, jpeg_encoder::ColorType::Rgb).expect("a photo");
    bytes
}

/// As much to unpack as there may be, in as few bytes as there can be.
fn bomb() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 5000, 5000);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().expect("a picture");
    writer.write_image_data(&vec![0; 25_000_000]).expect("a picture");
    writer.finish().expect("a picture");
    bytes
}
