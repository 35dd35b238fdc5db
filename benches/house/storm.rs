//! Everybody comes back at once: a thousand sockets lose their connection in one moment and return in
//! the next, while somebody talks and others listen on.

use std::time::Duration;

use crate::crowd::{Crowd, Load, Manner};
use crate::figure::{Outcome, Table, median, quantile, verdict};
use crate::machine::{now_ns, resident_bytes};
use crate::option::Options;
use crate::scene::{Floor, Scene, TEXT};

/// Those who stay, and those who are cut off.
const STAYING: usize = 50;
const COMING: usize = 1000;
const SPEAKER: usize = STAYING + COMING;
const GAP: Duration = Duration::from_millis(20);
/// When they are cut off, in messages after the begin, and how many there are in all.
const CUT_AFTER: usize = 25;
const MESSAGES: usize = 75;
/// Until all are back, in milliseconds.
const MOST_MS: f64 = 150.0;
/// How much more memory the server may keep.
const MOST_GROWTH: f64 = 1024.0 * 1024.0;
/// When memory is looked at again.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// What one storm was like; times in milliseconds.
#[derive(Clone, Copy)]
struct Storm {
    /// From the first attempt to the last connection made, and to the last subscription acknowledged.
    connected: f64,
    joined: f64,
    /// The latest delivery to those who stayed.
    latest: f64,
}

/// One storm after the other, at the server and at a bare loop.
///
/// # Errors
/// The server failed, or a delivery was missing, doubled or out of order: those who come back name the
/// last event they heard, and must get the rest.
pub fn run(options: &Options) -> Outcome<()> {
    let scene = Scene::open(options, &[])?;
    let floor = scene.floor(Floor::Bare)?;
    let names = ["chat".to_owned()];
    let mut served = crowd(&scene, Crowd::new(scene.server.address, &names, TEXT)?)?;
    let mut bare = crowd(&scene, Crowd::new(floor.address, &names, TEXT)?)?;
    served.idle(AFTERWARDS)?;
    let before = resident_bytes(scene.server.process())?;
    let (mut storms, mut floors, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        floors.push(storm(&mut bare)?);
        storms.push(storm(&mut served)?);
        served.idle(AFTERWARDS)?;
        memory.push(resident_bytes(scene.server.process())? - before);
    }
    print(&storms, &floors, &memory);
    Ok(())
}

fn crowd(scene: &Scene, mut crowd: Crowd) -> Outcome<Crowd> {
    crowd.enter((0..STAYING + COMING).map(|index| scene.wish(index, Manner::Listen(0))))?;
    crowd.enter([scene.wish(0, Manner::Mute)])?;
    Ok(crowd)
}

fn storm(crowd: &mut Crowd) -> Outcome<Storm> {
    let coming = STAYING..STAYING + COMING;
    let (mut begun, mut connected) = (0, 0);
    crowd.forget();
    let load =
        Load { speakers: vec![(SPEAKER, 0)], burst: 1, bursts: MESSAGES, gap: GAP, rest: Duration::ZERO };
    crowd.run_while(&load, |crowd, sent| {
        if sent != CUT_AFTER {
            return Ok(());
        }
        crowd.cut(coming.clone())?;
        begun = now_ns();
        crowd.bring_back(coming.clone())?;
        connected = now_ns();
        Ok(())
    })?;
    let joined = crowd.joined(coming.clone()).ok_or("somebody did not come back")?;
    let latest = quantile(&crowd.latencies(0..STAYING), 1.0);
    let since = |at: u64| (at - begun) as f64 / 1e6;
    Ok(Storm { connected: since(connected), joined: since(joined), latest })
}

fn print(storms: &[Storm], floors: &[Storm], memory: &[f64]) {
    let mut table = Table::new(&["storm", "server", "bare loop", "budget", ""]);
    let middle = |storms: &[Storm], figure: fn(&Storm) -> f64| median(storms.iter().map(figure));
    let joined = middle(storms, |storm| storm.joined);
    table.row([
        format!("until all {COMING} are connected"),
        format!("{:.0} ms", middle(storms, |storm| storm.connected)),
        format!("{:.0} ms", middle(floors, |storm| storm.connected)),
        "-".into(),
        String::new(),
    ]);
    table.row([
        format!("until all {COMING} are back and subscribed"),
        format!("{joined:.0} ms"),
        format!("{:.0} ms", middle(floors, |storm| storm.joined)),
        format!("≤ {MOST_MS:.0} ms"),
        verdict(joined <= MOST_MS).into(),
    ]);
    table.row([
        format!("latest delivery to the {STAYING} who stayed"),
        format!("{:.1} ms", middle(storms, |storm| storm.latest)),
        format!("{:.1} ms", middle(floors, |storm| storm.latest)),
        "-".into(),
        String::new(),
    ]);
    let shown: Vec<String> = memory.iter().map(|grown| format!("{:+.0}", grown / 1024.0)).collect();
    let worst = quantile(memory, 1.0);
    table.row([
        "memory after each storm, against before the first, KiB".into(),
        shown.join(", "),
        "-".into(),
        "≤ 1024".into(),
        verdict(worst <= MOST_GROWTH).into(),
    ]);
    table.print(&format!(
        "storm: {COMING} sockets dropped and back at once, a message every {GAP:?} (medians of {} rounds)",
        storms.len()
    ));
}
