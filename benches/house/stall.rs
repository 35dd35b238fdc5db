//! One who stops reading: what is kept for it, whether the others notice, and what it knows when it
//! wakes.

use std::time::Duration;

use crate::crowd::{Crowd, Load, Manner, Wish};
use crate::figure::{Outcome, Table, median, quantile, verdict};
use crate::machine::{kernel_bytes, resident_bytes};
use crate::option::Options;
use crate::scene::Scene;

/// Those who go on reading.
const SOCKETS: usize = 50;
/// The number of the one who does not.
const SLEEPER: usize = SOCKETS;
const SPEAKER: usize = SOCKETS + 1;
const GAP: Duration = Duration::from_millis(5);
/// What may be kept for it, in bytes.
const MOST_BYTES: f64 = 192.0 * 1024.0;
/// How much later the others' latest hundredth may be.
const MOST_RATIO: f64 = 1.2;
/// How much its own end of the connection keeps, about: little, so that the server's end fills soon.
const RECEIVE_BYTES: i32 = 4096;

/// What one round saw.
struct Round {
    /// The others' 99th percentile in milliseconds, while it read and while it slept.
    awake: f64,
    asleep: f64,
    /// What the kernel and the process held for it at the end of its sleep, in bytes.
    kernel: f64,
    grown: f64,
    /// How it came back: the close code if it was closed, and how many events were lost to it.
    closed: Option<u16>,
    lost: usize,
    missed: usize,
}

/// Lets one sleep, round after round.
///
/// # Errors
/// The server failed, or a delivery was missing, doubled or out of order.
pub fn run(options: &Options) -> Outcome<()> {
    let scene = Scene::open(options, &[])?;
    // Long texts fill buffers sooner.
    let text = "A long story. ".repeat(64);
    let mut crowd = Crowd::new(scene.server.address, &["chat".into()], &text)?;
    crowd.enter((0..SOCKETS).map(|index| scene.wish(index, Manner::Listen(0))))?;
    crowd.enter([Wish { receive_bytes: Some(RECEIVE_BYTES), ..scene.wish(SLEEPER, Manner::Listen(0)) }])?;
    crowd.enter([scene.wish(0, Manner::Mute)])?;
    // The first time everything grows to the size it needs.
    measure(options, &scene, &mut crowd)?;
    let rounds = (0..options.rounds).map(|_| measure(options, &scene, &mut crowd));
    print(&rounds.collect::<Outcome<Vec<_>>>()?);
    Ok(())
}

fn measure(options: &Options, scene: &Scene, crowd: &mut Crowd) -> Outcome<Round> {
    let bursts = (2.0 * options.seconds / GAP.as_secs_f64()) as usize;
    let load = Load { speakers: vec![(SPEAKER, 0)], burst: 1, bursts, gap: GAP, rest: Duration::ZERO };
    let process = scene.server.process();
    crowd.forget();
    crowd.run(&load)?;
    let awake = quantile(&crowd.latencies(0..SOCKETS), 0.99);

    crowd.forget();
    let before = resident_bytes(process)?;
    let (its_end, our_end) = crowd.addresses(SLEEPER)?;
    crowd.put_to_sleep(SLEEPER)?;
    crowd.run(&load)?;
    let asleep = quantile(&crowd.latencies(0..SOCKETS), 0.99);
    // Who was closed has nothing kept for it.
    let kernel = kernel_bytes(process, our_end, its_end).unwrap_or(0.0);
    let grown = resident_bytes(process)? - before;
    let (closed, lost) = crowd.wake(SLEEPER)?;
    Ok(Round { awake, asleep, kernel, grown, closed, lost, missed: bursts })
}

fn print(rounds: &[Round]) {
    let mut table = Table::new(&["one reader stalls", "measured", "budget", ""]);
    let worst = |figure: fn(&Round) -> f64| quantile(&rounds.iter().map(figure).collect::<Vec<_>>(), 1.0);
    let middle = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure));
    let kib = |bytes: f64| format!("{:.0} KiB", bytes / 1024.0);
    let kept = worst(|round| round.kernel + round.grown.max(0.0));
    table.row([
        "kept for it, worst round".into(),
        format!(
            "{} (kernel {}, process {})",
            kib(kept),
            kib(worst(|round| round.kernel)),
            kib(worst(|round| round.grown))
        ),
        format!("≤ {}", kib(MOST_BYTES)),
        verdict(kept <= MOST_BYTES).into(),
    ]);
    let ratio = middle(|round| round.asleep / round.awake);
    table.row([
        "the others' p99, before and meanwhile".into(),
        format!(
            "{:.2} and {:.2} ms: {ratio:.2} ×",
            middle(|round| round.awake),
            middle(|round| round.asleep)
        ),
        format!("≤ {MOST_RATIO:.1} ×"),
        verdict(ratio <= MOST_RATIO).into(),
    ]);
    let codes: Vec<u16> = rounds.iter().filter_map(|round| round.closed).collect();
    let (missed, lost) = rounds.iter().fold((0, 0), |sum, round| (sum.0 + round.missed, sum.1 + round.lost));
    table.row([
        "when it woke".into(),
        format!(
            "{missed} events missed, {} of them then heard in order, {lost} told lost; closed {codes:?}",
            missed - lost
        ),
        "all, or told".into(),
        verdict(true).into(),
    ]);
    table.print(&format!(
        "stall: a message every {GAP:?} to {SOCKETS} sockets while one sleeps (medians of {} rounds)",
        rounds.len()
    ));
}
