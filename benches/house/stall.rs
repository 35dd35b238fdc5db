//! Some who stop reading: what is kept for each, whether the others notice, and what they know when they
//! wake. There are several so that what the process keeps for one stands out from what it does anyway.

use std::time::Duration;

use crate::crowd::{Crowd, Load, Manner, Wish};
use crate::figure::{Outcome, Table, median, quantile, verdict};
use crate::machine::{kernel_bytes, resident_bytes};
use crate::option::Options;
use crate::scene::Scene;

/// Those who go on reading.
const SOCKETS: usize = 50;
/// Those who do not.
const SLEEPERS: usize = 10;
const SPEAKER: usize = SOCKETS + SLEEPERS;
const GAP: Duration = Duration::from_millis(5);
/// What may be kept for one, in bytes.
const MOST_BYTES: f64 = 192.0 * 1024.0;
/// How much later the others' latest hundredth may be.
const MOST_RATIO: f64 = 1.2;
/// How much a sleeper's own end of the connection keeps, about: little, so that the server's end fills soon.
const RECEIVE_BYTES: i32 = 4096;

/// What one round saw.
struct Round {
    /// The others' 99th percentile in milliseconds, while it read and while it slept.
    awake: f64,
    asleep: f64,
    /// What the kernel held for one at the end of its sleep, at most, and how much the process had grown for
    /// each, in bytes.
    kernel: f64,
    grown: f64,
    /// How they came back: the codes they were closed with, and how many events were lost to them.
    closed: Vec<u16>,
    lost: usize,
    missed: usize,
}

/// Lets them sleep, round after round.
///
/// # Errors
/// The server failed, or a delivery was missing, doubled or out of order.
pub fn run(options: &Options) -> Outcome<()> {
    let scene = Scene::open(options, &[])?;
    // Long texts fill buffers sooner.
    let text = "A long story. ".repeat(64);
    let mut crowd = Crowd::new(scene.server.address, &["chat".into()], &text)?;
    crowd.enter((0..SOCKETS).map(|index| scene.wish(index, Manner::Listen(0))))?;
    let sleeper = |index| Wish { receive_bytes: Some(RECEIVE_BYTES), ..scene.wish(index, Manner::Listen(0)) };
    crowd.enter((0..SLEEPERS).map(sleeper))?;
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
    let sleepers = SOCKETS..SOCKETS + SLEEPERS;
    sleepers.clone().try_for_each(|index| crowd.put_to_sleep(index))?;
    crowd.run(&load)?;
    let asleep = quantile(&crowd.latencies(0..SOCKETS), 0.99);
    let mut kernel = 0.0_f64;
    for index in sleepers.clone() {
        let (its_end, our_end) = crowd.addresses(index)?;
        // For one that was closed nothing is kept.
        kernel = kernel.max(kernel_bytes(process, our_end, its_end).unwrap_or(0.0));
    }
    let grown = (resident_bytes(process)? - before) / SLEEPERS as f64;
    let (mut closed, mut lost) = (Vec::new(), 0);
    for index in sleepers {
        let (code, told) = crowd.wake(index)?;
        closed.extend(code);
        lost += told;
    }
    Ok(Round { awake, asleep, kernel, grown, closed, lost, missed: bursts * SLEEPERS })
}

fn print(rounds: &[Round]) {
    let mut table = Table::new(&["readers that stall", "measured", "budget", ""]);
    let worst = |figure: fn(&Round) -> f64| quantile(&rounds.iter().map(figure).collect::<Vec<_>>(), 1.0);
    let middle = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure));
    let kib = |bytes: f64| format!("{:.0} KiB", bytes / 1024.0);
    let kept = worst(|round| round.kernel + round.grown.max(0.0));
    table.row([
        "kept for each, worst round".into(),
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
    let codes: Vec<u16> = rounds.iter().flat_map(|round| round.closed.clone()).collect();
    let (missed, lost) = rounds.iter().fold((0, 0), |sum, round| (sum.0 + round.missed, sum.1 + round.lost));
    table.row([
        "when they woke".into(),
        format!(
            "{missed} events missed, {} of them then heard in order, {lost} told lost; closed {codes:?}",
            missed - lost
        ),
        "all, or told".into(),
        verdict(true).into(),
    ]);
    table.print(&format!(
        "stall: a message every {GAP:?} to {SOCKETS} sockets while {SLEEPERS} sleep (medians of {} rounds)",
        rounds.len()
    ));
}
