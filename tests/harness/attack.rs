//! What a machine that means ill can send from one address, in numbers, and what the server's process shows of it. Only
//! `std` and `libc`, because the benchmarks run the same attacks.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// An attack: its name, and what it does. What it returns is held while the server is looked at.
pub type Attack = (&'static str, fn(SocketAddr) -> Vec<TcpStream>);

/// All that need no login.
pub const ATTACKS: [Attack; 12] = [
    ("600 heads that never end, 15 KiB each", endless_heads),
    ("600 bodies that never end, 60 KiB each", endless_bodies),
    ("30 such bodies in chunks of a byte", endless_chunks),
    ("100 lines of 1 MiB", endless_lines),
    ("100 lists of chunk extensions and trailers of 1 MiB", endless_trailers),
    ("100 bodies of 1 TiB announced, 256 KiB sent", refused_bodies),
    ("50 times 5,000 requests in a row whose answers nobody reads", unread_answers),
    ("2,000 connections that say nothing", silent_connections),
    ("500 heads of 100 fields, 100 heads of 10,000", floods_of_fields),
    ("2,000 connections that are cut in the middle", cut_connections),
    ("500 requests of 16 KiB of escapes, broken and not", floods_of_escapes),
    ("1,000 requests that are none", noise),
];

/// Connects, as often as it takes: a full queue is no refusal.
fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10)).ok()?;
    let patience = Some(Duration::from_secs(5));
    stream.set_write_timeout(patience).and_then(|()| stream.set_read_timeout(patience)).ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// So many connections that each send this, as far as it is taken.
fn each(address: SocketAddr, count: usize, bytes: impl AsRef<[u8]>) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = connect(address)?;
        // Being refused in the middle is what most of them are here for.
        let _ = stream.write_all(bytes.as_ref());
        Some(stream)
    };
    (0..count).filter_map(open).collect()
}

fn post(more: &str) -> String {
    format!("POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{more}\r\n")
}

fn endless_heads(address: SocketAddr) -> Vec<TcpStream> {
    each(address, 600, format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}", "a".repeat(15 << 10)))
}

fn endless_bodies(address: SocketAddr) -> Vec<TcpStream> {
    each(address, 600, post("Content-Length: 65536\r\n") + &"a".repeat(60 << 10))
}

fn endless_chunks(address: SocketAddr) -> Vec<TcpStream> {
    each(address, 30, post("Transfer-Encoding: chunked\r\n") + &"1\r\na\r\n".repeat(60 << 10))
}

fn endless_lines(address: SocketAddr) -> Vec<TcpStream> {
    let mut streams = each(address, 50, "a".repeat(1 << 20));
    streams.extend(each(address, 50, format!("GET / HTTP/1.1\r\n{}", "a".repeat(1 << 20))));
    streams
}

fn endless_trailers(address: SocketAddr) -> Vec<TcpStream> {
    let chunked = post("Transfer-Encoding: chunked\r\n");
    let mut streams = each(address, 50, format!("{chunked}0\r\n{}", "x: y\r\n".repeat(1 << 18)));
    streams.extend(each(address, 50, format!("{chunked}0;{}", "x".repeat(1 << 20))));
    streams
}

fn refused_bodies(address: SocketAddr) -> Vec<TcpStream> {
    each(address, 100, post("Content-Length: 1099511627776\r\n") + &"a".repeat(256 << 10))
}

fn unread_answers(address: SocketAddr) -> Vec<TcpStream> {
    let row = "GET /deuced.js HTTP/1.1\r\nHost: x\r\n\r\n".repeat(5000);
    let streams: Vec<TcpStream> = (0..50).filter_map(|_| connect(address)).collect();
    for mut stream in &streams {
        // The server does not read on while it cannot write, so this does not wait for all to be taken.
        let _ = stream.set_nonblocking(true);
        let _ = stream.write(row.as_bytes());
    }
    std::thread::sleep(Duration::from_millis(500));
    streams
}

fn silent_connections(address: SocketAddr) -> Vec<TcpStream> {
    each(address, 2000, "")
}

fn floods_of_fields(address: SocketAddr) -> Vec<TcpStream> {
    let head = |count: usize| {
        format!(
            "GET /api/health HTTP/1.1\r\nHost: x\r\n{}\r\n",
            "X-Name: some value of a usual length\r\n".repeat(count)
        )
    };
    let mut streams = each(address, 500, head(99));
    streams.extend(each(address, 100, head(10_000)));
    streams
}

fn cut_connections(address: SocketAddr) -> Vec<TcpStream> {
    for bytes in [
        "G",
        "GET / HTTP/1.1\r\nHo",
        &post("Content-Length: 18\r\n"),
        &post("Transfer-Encoding: chunked\r\n"),
    ] {
        drop(each(address, 500, bytes));
    }
    Vec::new()
}

fn floods_of_escapes(address: SocketAddr) -> Vec<TcpStream> {
    let asked = |escape: &str, many: usize| {
        format!("GET /?{} HTTP/1.1\r\nHost: x\r\n\r\n", format!("{escape}&").repeat(many))
    };
    let mut streams = each(address, 250, asked("%61=%62", 255));
    streams.extend(each(address, 250, asked("%ff", 2000)));
    streams
}

fn noise(address: SocketAddr) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..1000 {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            // xorshift64
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random.to_le_bytes()
        })
        .take(64)
        .flatten()
        .collect();
        streams.extend(each(address, 1, bytes));
    }
    streams
}

/// What a process has of everything.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Its memory now, and at most since the last [`Look::forget`], in KiB.
    pub resident: u64,
    pub highest: u64,
    pub threads: u64,
    pub descriptors: usize,
}

impl Look {
    pub fn at(process: u32) -> Look {
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells it");
            line.trim_matches(|c: char| !c.is_ascii_digit()).parse().expect("a number")
        };
        Look {
            resident: number("VmRSS:"),
            highest: number("VmHWM:"),
            threads: number("Threads:"),
            descriptors: fs::read_dir(format!("/proc/{process}/fd")).expect("the process runs").count(),
        }
    }

    /// Has the kernel measure the highest memory anew.
    pub fn forget(process: u32) {
        fs::write(format!("/proc/{process}/clear_refs"), "5").expect("our own child");
    }

    /// Waits until as few descriptors are open as before; how many there are then.
    pub fn settled(process: u32, before: &Look) -> Look {
        let begin = Instant::now();
        loop {
            let look = Look::at(process);
            if look.descriptors <= before.descriptors || begin.elapsed() > Duration::from_secs(30) {
                return look;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Lets this process open as many files as it may: it plays thousands of clients.
pub fn open_many_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills in, and then reads, a structure of ours.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
}

/// How long a plain request takes on a connection of its own.
pub fn time_of_a_request(address: SocketAddr) -> Option<Duration> {
    let begin = Instant::now();
    let mut stream = connect(address)?;
    // How long is too long is for the caller to say.
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    stream.write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    answer.starts_with(b"HTTP/1.1 200 ").then(|| begin.elapsed())
}
