//! A backup of a large diary while entries are logged as fast as they are answered: how late the loop answers others,
//! how long its turns take, how long the copy takes, and how far the log grows meanwhile. The copying process has the
//! server's own processor, as on a machine that has only one.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use polling::{Events, Poller};
use rusqlite::{Connection, params};

use crate::client::{self, Fleet};
use crate::figure::{Context, Outcome, Table, median, quantile, verdict};
use crate::machine::{Seat, now_ns};
use crate::option::Options;
use crate::probe::{Lateness, Probes, Seen};
use crate::server::{Scratch, Server, program};

/// How large the database is, in bytes.
const BYTES: u64 = 200_000_000;
/// Connections that log entries.
const WRITERS: usize = 8;
/// The longest the loop may stand still, but for one time in a hundred, in milliseconds.
const MOST_P99_MS: f64 = 5.0;
/// Time between two entries in the calm case.
const CALM_GAP: Duration = Duration::from_millis(20);

/// A way to load the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// One entry every 20 ms.
    Calm,
    /// As fast as they are answered.
    Saturated,
}

/// What one window saw.
struct Window {
    rate: f64,
    seen: Seen,
    turns: Turns,
    seconds: f64,
    /// The size of the log at its longest, in bytes.
    log: u64,
}

/// The loop's own count: turns, and those of at least 1, 5 and 50 ms.
#[derive(Clone, Copy, Default)]
struct Turns {
    all: f64,
    at_least: [f64; 3],
}

/// Measures without and with a backup, in turn.
///
/// # Errors
/// The server or the backup failed.
pub fn run(options: &Options) -> Outcome<()> {
    let scratch = Scratch::make(options)?;
    let data = scratch.path();
    fill(data)?;
    let server = Server::start(data, &Vec::new())?;
    let household = server.household()?;
    let copies = data.join("copies");
    let mut table = Table::new(&[
        "load",
        "POST/s",
        "GET /api/health p50 / p99 / max",
        "machine, server's seat",
        "turns ≥ 1 / 5 / 50 ms",
        "log, most",
        "took",
        "budget of p99",
        "",
    ]);
    for manner in [Manner::Calm, Manner::Saturated] {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let until = now_ns() + (options.seconds * 1e9) as u64;
            let request = household.entry_request();
            without.push(window(&server, data, &request, manner, &mut || Ok(now_ns() >= until))?);
            let mut child = backup(data, &copies)?;
            with.push(window(&server, data, &request, manner, &mut || ended(&mut child))?);
        }
        table.row(cells(manner, false, &without));
        table.row(cells(manner, true, &with));
        let last = with.iter().map(|window| window.log).max().unwrap_or_default();
        let now = log_bytes(data);
        println!("{}: the log had {} at most, and {} after it", name(manner), mib(last), mib(now));
    }
    let size = fs::metadata(data.join("deuced.db")).context("the database")?.len();
    table.print(&format!(
        "backup: of {} MB while entries are logged (medians of {} rounds, worst max)",
        size / 1_000_000,
        options.rounds
    ));
    Ok(())
}

fn name(manner: Manner) -> &'static str {
    match manner {
        Manner::Calm => "calm",
        Manner::Saturated => "saturated",
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1048576.0)
}

/// Makes a diary of the size, with the entries of a group that nobody looks at.
fn fill(data: &Path) -> Outcome<()> {
    {
        let server = Server::start(data, &Vec::new())?;
        let token = server.login("Archivist")?;
        server.ask("POST", "/api/groups", Some(&token), Some(&serde_json::json!({"name": "Archive"})))?;
    }
    let path = data.join("deuced.db");
    let mut db = Connection::open(&path).context("opening the database")?;
    let mut number: i64 = 0;
    while fs::metadata(&path).context("the database")?.len() < BYTES {
        let tx = db.transaction().context("filling the database")?;
        {
            let sql = "INSERT INTO entry (id, group_id, user_id, location, thoughts, logged_at, created_at)
                       VALUES (unhex(printf('0190%028x', ?1)), (SELECT id FROM \"group\"), 1, 'Home', ?2, ?1, ?1)";
            let mut insert = tx.prepare(sql).context("filling the database")?;
            for _ in 0..20_000 {
                number += 1;
                let thoughts = format!("{number}: {}", "a thought about a day of long ago. ".repeat(8));
                insert.execute(params![number, thoughts]).context("filling the database")?;
            }
        }
        tx.commit().context("filling the database")?;
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").context("filling the database")?;
    }
    Ok(())
}

fn backup(data: &Path, copies: &Path) -> Outcome<Child> {
    let mut command = Command::new(program()?);
    command.arg("backup").arg(copies).arg("--data").arg(data).args(["--keep", "1"]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DEUCED_") {
            command.env_remove(name);
        }
    }
    Seat::Server.take();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    Seat::Client.take();
    child.context("starting the backup")
}

fn ended(child: &mut Child) -> Outcome<bool> {
    match child.try_wait().context("waiting for the backup")? {
        Some(status) if status.success() => Ok(true),
        Some(status) => Err(format!("the backup failed: {status}")),
        None => Ok(false),
    }
}

fn log_bytes(data: &Path) -> u64 {
    fs::metadata(data.join("deuced.db-wal")).map_or(0, |log| log.len())
}

/// Logs entries until it is over, and watches.
fn window(
    server: &Server,
    data: &Path,
    request: &[u8],
    manner: Manner,
    is_over: &mut dyn FnMut() -> Outcome<bool>,
) -> Outcome<Window> {
    let writers = if manner == Manner::Calm { 1 } else { WRITERS };
    let mut fleet = Fleet::open(server.address, request.to_vec(), writers)?;
    fleet.sending = manner == Manner::Saturated;
    let poller = Poller::new().context("making a poller")?;
    fleet.register(&poller, 0)?;
    let before = turns(server)?;
    let probes = Probes::start(server.address)?;
    let begun = now_ns();
    let (mut next, mut log, mut over) = (begun, 0, false);
    let mut events = Events::new();
    while !over || fleet.waiting()? {
        over = over || is_over()?;
        fleet.sending &= !over;
        let now = now_ns();
        if !over && now >= next {
            fleet.send_all()?;
            next = match manner {
                Manner::Calm => now + CALM_GAP.as_nanos() as u64,
                Manner::Saturated => u64::MAX,
            };
            log = log.max(log_bytes(data));
        }
        if manner == Manner::Saturated {
            log = log.max(log_bytes(data));
        }
        events.clear();
        poller.wait(&mut events, Some(Duration::from_millis(2))).context("waiting for answers")?;
        for event in events.iter() {
            fleet.readable(event.key, &mut |_| ())?;
        }
    }
    let seconds = (now_ns() - begun) as f64 / 1e9;
    let seen = probes.finish()?;
    let after = turns(server)?;
    let difference = |index: usize| after.at_least[index] - before.at_least[index];
    let turns = Turns { all: after.all - before.all, at_least: [0, 1, 2].map(difference) };
    Ok(Window { rate: fleet.answers as f64 / seconds, seen, turns, seconds, log })
}

/// The loop's own counters.
fn turns(server: &Server) -> Outcome<Turns> {
    let answer = client::ask_once(server.address, &client::request("GET", "/metrics", "", None))?;
    let text = String::from_utf8_lossy(&answer);
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("deuced_{name} ")));
        let number = line.and_then(|value| value.parse().ok());
        number.ok_or_else(|| format!("/metrics has no {name}"))
    };
    let stalls = |least: u64| value(&format!(r#"loop_stalls_total{{at_least_ms="{least}"}}"#));
    Ok(Turns { all: value("loop_turns_total")?, at_least: [stalls(1)?, stalls(5)?, stalls(50)?] })
}

fn cells(manner: Manner, copied: bool, windows: &[Window]) -> [String; 9] {
    let middle = |figure: &dyn Fn(&Window) -> f64| median(windows.iter().map(figure));
    let worst = |pick: fn(&Seen) -> Lateness| Lateness {
        p50: middle(&|window| pick(&window.seen).p50),
        p99: middle(&|window| pick(&window.seen).p99),
        max: quantile(&windows.iter().map(|window| pick(&window.seen).max).collect::<Vec<_>>(), 1.0),
    };
    let shown = |late: Lateness| format!("{:.2} / {:.2} / {:.1} ms", late.p50, late.p99, late.max);
    let health = worst(|seen| seen.health);
    let sum = |index: usize| windows.iter().map(|window| window.turns.at_least[index]).sum::<f64>();
    let all = windows.iter().map(|window| window.turns.all).sum::<f64>();
    let log = windows.iter().map(|window| window.log).max().unwrap_or_default();
    [
        format!("{}{}", name(manner), if copied { ", backup" } else { "" }),
        format!("{:.0}", middle(&|window| window.rate)),
        shown(health),
        shown(worst(|seen| seen.server_seat)),
        format!("{:.0} / {:.0} / {:.0} of {all:.0}", sum(0), sum(1), sum(2)),
        mib(log),
        format!("{:.1} s", middle(&|window| window.seconds)),
        format!("≤ {MOST_P99_MS:.0} ms"),
        verdict(health.p99 <= MOST_P99_MS && sum(1) <= all / 100.0).into(),
    ]
}
