//! What the server costs while nothing happens: memory, disk, processor, threads; and how big it is
//! and how soon it answers.

use std::time::Duration;

use crate::audience::Audience;
use crate::figure::{Context, Outcome, Table, median, verdict};
use crate::machine::{Spent, resident_bytes, switches, ticks, written_bytes};
use crate::option::Options;
use crate::server::{Scratch, Server, program};

/// Sockets of a large household on a busy evening.
const SOCKETS: usize = 100;
/// One tick is 10 ms; "none worth naming" is less than one in a thousand of an idle minute.
const MOST_TICKS_PER_MINUTE: f64 = 5.0;
/// Loop, the reactor's helper, store, and two workers.
const MOST_THREADS: f64 = 5.0;
/// Lets what belongs to the start or to the sockets come to an end.
const SETTLING: Duration = Duration::from_secs(2);

/// What an idle window cost.
struct Idle {
    written: f64,
    ticks: f64,
    microseconds: f64,
    switches: f64,
}

/// Collects rows of name, figure, budget, verdict.
struct Sheet(Table);

impl Sheet {
    fn judge(&mut self, name: &str, unit: &str, figure: f64, most: f64) {
        let shown = |number: f64| match unit {
            "MB" => format!("{number:.2} {unit}"),
            "ms" => format!("{number:.1} {unit}"),
            _ => format!("{number:.0} {unit}"),
        };
        self.0.row([
            name.to_owned(),
            shown(figure),
            format!("≤ {}", shown(most)),
            verdict(figure <= most).to_owned(),
        ]);
    }

    fn note(&mut self, name: &str, figure: String) {
        self.0.row([name.to_owned(), figure, "-".into(), String::new()]);
    }
}

/// Starts, looks, waits, looks again.
///
/// # Errors
/// The server failed, or closed an idle socket.
pub fn run(options: &Options) -> Outcome<()> {
    let mut sheet = Sheet(Table::new(&["at rest", "measured", "budget", ""]));
    let size = std::fs::metadata(program()?).context("the binary")?.len();
    sheet.judge("binary", "MB", size as f64 / 1e6, 5.0);
    starts(options, &mut sheet)?;

    let scratch = Scratch::make(options)?;
    let server = Server::start(scratch.path(), &Vec::new())?;
    let process = server.process();
    std::thread::sleep(SETTLING);
    sheet.judge("RSS after start", "MB", resident_bytes(process)? / 1e6, 6.0);
    let threads = Spent::of(process).threads() as f64;
    sheet.judge("threads after start", "", threads, MOST_THREADS);
    let idle = idle(process, options, || {
        std::thread::sleep(Duration::from_secs(options.idle_seconds));
        Ok(())
    })?;
    enter(&mut sheet, options, "no socket", &idle);

    let mut audience = Audience::open(&server, &server.household()?, SOCKETS)?;
    audience.idle(SETTLING)?;
    let with_sockets = resident_bytes(process)? / 1e6;
    sheet.judge(&format!("RSS with {SOCKETS} sockets"), "MB", with_sockets, 8.0);
    let threads = Spent::of(process).threads() as f64;
    sheet.judge("threads with sockets", "", threads, MOST_THREADS);
    // The login and the test entry wrote something; a checkpoint may follow them.
    audience.idle(Duration::from_secs(options.idle_seconds.min(10)))?;
    let idle_with_sockets =
        self::idle(process, options, || audience.idle(Duration::from_secs(options.idle_seconds)))?;
    let name = format!("{SOCKETS} sockets");
    enter(&mut sheet, options, &name, &idle_with_sockets);
    sheet.0.print("rest: a server nobody talks to");
    Ok(())
}

fn starts(options: &Options, sheet: &mut Sheet) -> Outcome<()> {
    let (mut fresh, mut again) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let scratch = Scratch::make(options)?;
        for times in [&mut fresh, &mut again] {
            let server = Server::start(scratch.path(), &Vec::new())?;
            times.push(server.first_answer.as_secs_f64() * 1e3);
        }
    }
    let name = "exec to first answer, new directory";
    sheet.judge(name, "ms", median(fresh), 50.0);
    let name = "exec to first answer, existing one";
    sheet.judge(name, "ms", median(again), 50.0);
    Ok(())
}

fn idle(process: u32, options: &Options, wait: impl FnOnce() -> Outcome<()>) -> Outcome<Idle> {
    let (written, used) = (written_bytes(process)?, ticks(process)?);
    let (spent, slept) = (Spent::of(process), switches(process)?);
    wait()?;
    let seconds = options.idle_seconds.max(1) as f64;
    Ok(Idle {
        written: written_bytes(process)? - written,
        ticks: ticks(process)? - used,
        microseconds: Spent::of(process).since(&spent) / 1e3,
        switches: (switches(process)? - slept) / seconds,
    })
}

fn enter(sheet: &mut Sheet, options: &Options, name: &str, idle: &Idle) {
    let seconds = options.idle_seconds;
    let minutes = seconds as f64 / 60.0;
    let titled = |what: &str| format!("{what} in {seconds} s, {name}");
    sheet.judge(&titled("written"), "bytes", idle.written, 0.0);
    let most = MOST_TICKS_PER_MINUTE * minutes.max(0.2);
    sheet.judge(&titled("CPU ticks"), "", idle.ticks, most);
    sheet.note(&titled("CPU"), format!("{:.0} µs", idle.microseconds));
    sheet.note(&format!("context switches, {name}"), format!("{:.1}/s", idle.switches));
}
