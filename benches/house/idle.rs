//! What a socket costs on which nothing happens: memory, and the processor time of its pings, beside a
//! bare loop that pings as many as often.

use std::time::Duration;

use crate::bare::Running;
use crate::crowd::{Crowd, Manner, Wish};
use crate::figure::{Outcome, Table, median, quantile, verdict};
use crate::machine::{Spent, resident_bytes};
use crate::option::Options;
use crate::server::{FOR_CROWDS, Scratch, Server};

/// How many share a channel.
const SOCKETS_PER_CHANNEL: usize = 100;
/// Process memory of one, in bytes.
const MOST_BYTES: f64 = 2048.0;
/// How much more than in the bare loop a ping and its pong may cost.
const MOST_RATIO: f64 = 1.3;
/// Rounds of pings in a measured window.
const BEATS: usize = 3;
/// People they belong to.
const PEOPLE: usize = 100;

/// Frames that the bare loop needs to start, and never sends here.
const UNSENT: [&str; 2] =
    [r#"{"type":"message","id":"","payload":{"seq":0}}"#, r#"{"type":"ack","payload":{"seq":0}}"#];

/// What one side cost in one round.
#[derive(Clone, Copy)]
struct Idle {
    /// Bytes of process memory per socket.
    memory: f64,
    /// Microseconds of processor time per ping.
    spent: f64,
}

/// Measures both kinds of sockets and the bare loop in turn, round after round.
///
/// # Errors
/// A process failed, or closed a socket.
pub fn run(options: &Options) -> Outcome<()> {
    deuced::io::raise_descriptor_limit(1 << 16).map_err(|error| error.to_string())?;
    let (mut bare, mut native, mut page) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        bare.push(on_the_floor(options)?);
        native.push(on_a_server(options, false)?);
        page.push(on_a_server(options, true)?);
    }
    print(options, &bare, &[("native", native), ("page", page)]);
    Ok(())
}

fn on_the_floor(options: &Options) -> Outcome<Idle> {
    let [event, ack] = UNSENT.map(str::to_owned);
    let period = ("--ping-seconds", options.ping_seconds.to_string());
    let floor = Running::start("bare-rooms", &[("--event", event), ("--ack", ack), period])?;
    let crowd = Crowd::new(floor.address, &names(), "")?;
    measure(options, floor.process(), crowd, &[String::new()], false)
}

fn on_a_server(options: &Options, page: bool) -> Outcome<Idle> {
    let scratch = Scratch::make(options)?;
    let period = format!("ping_every_seconds={}", options.ping_seconds);
    let limits = [&FOR_CROWDS[..], &[&period]].concat();
    let server = Server::start_with(scratch.path(), &Vec::new(), &limits)?;
    let people = (0..PEOPLE).map(|number| server.login(&format!("Person {number}")));
    let people = people.collect::<Outcome<Vec<_>>>()?;
    let crowd = Crowd::new(server.address, &names(), "")?;
    measure(options, server.process(), crowd, &people, page)
}

fn names() -> Vec<String> {
    (0..SOCKETS_PER_CHANNEL).map(|channel| format!("room-{channel}")).collect()
}

fn measure(
    options: &Options,
    process: u32,
    mut crowd: Crowd,
    people: &[String],
    page: bool,
) -> Outcome<Idle> {
    let wish = |index: usize| {
        let manner = if page {
            Manner::Page
        } else {
            Manner::Listen(index / SOCKETS_PER_CHANNEL % SOCKETS_PER_CHANNEL)
        };
        Wish::new(&people[index % people.len()], manner)
    };
    // What the first ones make the process set up is not theirs.
    let few = options.idlers / 100;
    crowd.enter((0..few).map(wish))?;
    let before = resident_bytes(process)?;
    crowd.enter((few..options.idlers).map(wish))?;
    let period = Duration::from_secs(options.ping_seconds);
    crowd.beats(1, period)?;
    let (spent, pings) = (Spent::of(process), crowd.pings());
    crowd.beats(BEATS, period)?;
    let spent = Spent::of(process).since(&spent);
    let pings = crowd.pings() - pings;
    let grown = resident_bytes(process)? - before;
    Ok(Idle { memory: grown / (options.idlers - few) as f64, spent: spent / 1e3 / pings as f64 })
}

fn print(options: &Options, bare: &[Idle], kinds: &[(&str, Vec<Idle>)]) {
    let mut table = Table::new(&["sockets", "bytes each", "budget", "", "µs/ping", "to bare", "budget", ""]);
    let middle = |rounds: &[Idle], figure: fn(&Idle) -> f64| median(rounds.iter().map(figure));
    let dash = || "-".to_owned();
    table.row([
        "bare".into(),
        format!("{:.0}", middle(bare, |idle| idle.memory)),
        dash(),
        String::new(),
        format!("{:.2}", middle(bare, |idle| idle.spent)),
        dash(),
        dash(),
        String::new(),
    ]);
    for (name, rounds) in kinds {
        let memory = quantile(&rounds.iter().map(|idle| idle.memory).collect::<Vec<_>>(), 1.0);
        let ratio = median(rounds.iter().zip(bare).map(|(served, bare)| served.spent / bare.spent));
        table.row([
            (*name).to_owned(),
            format!("{memory:.0}"),
            format!("≤ {MOST_BYTES:.0}"),
            verdict(memory <= MOST_BYTES).into(),
            format!("{:.2}", middle(rounds, |idle| idle.spent)),
            format!("{ratio:.2} ×"),
            format!("≤ {MOST_RATIO:.1} ×"),
            verdict(ratio <= MOST_RATIO).into(),
        ]);
    }
    table.print(&format!(
        "idle: {} sockets, pinged every {} s (medians of {} rounds; of memory the worst)",
        options.idlers, options.ping_seconds, options.rounds
    ));
}
