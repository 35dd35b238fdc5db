//! How soon a message is everywhere: fifty a second to two hundred sockets, beside bare loops.

use std::time::Duration;

use crate::crowd::{Crowd, Load, Manner};
use crate::figure::{Outcome, Table, median, quantile, verdict};
use crate::option::Options;
use crate::scene::{Floor, Scene, TEXT};

const SOCKETS: usize = 200;
const GAP: Duration = Duration::from_millis(20);
/// How much later than the bare loop's the latest hundredth of the deliveries may be.
const MOST_RATIO: f64 = 1.3;

/// Milliseconds from sending to reading, of one window.
#[derive(Clone, Copy)]
struct Late {
    p50: f64,
    p99: f64,
    max: f64,
}

/// Measures the server and the bare loops in turn, round after round.
///
/// # Errors
/// The server failed, or a delivery was missing, doubled or out of order.
pub fn run(options: &Options) -> Outcome<()> {
    let scene = Scene::open(options, &[])?;
    let floors = [scene.floor(Floor::Bare)?, scene.floor(Floor::Storing)?];
    let addresses = [floors[0].address, floors[1].address, scene.server.address];
    let mut crowds =
        addresses.iter().map(|address| crowd(&scene, Crowd::new(*address, &["chat".into()], TEXT)?));
    let mut crowds = crowds.by_ref().collect::<Outcome<Vec<_>>>()?;
    let mut rounds: Vec<Vec<Late>> = Vec::new();
    for _ in 0..options.rounds {
        rounds.push(crowds.iter_mut().map(|crowd| measure(options, crowd)).collect::<Outcome<_>>()?);
    }
    print(&rounds);
    Ok(())
}

fn crowd(scene: &Scene, mut crowd: Crowd) -> Outcome<Crowd> {
    crowd.enter((0..SOCKETS).map(|index| scene.wish(index, Manner::Listen(0))))?;
    crowd.enter([scene.wish(0, Manner::Mute)])?;
    Ok(crowd)
}

fn measure(options: &Options, crowd: &mut Crowd) -> Outcome<Late> {
    crowd.forget();
    let bursts = (2.0 * options.seconds / GAP.as_secs_f64()) as usize;
    crowd.run(&Load { speakers: vec![(SOCKETS, 0)], burst: 1, bursts, gap: GAP, rest: Duration::ZERO })?;
    let samples = crowd.latencies(0..SOCKETS);
    let at = |share| quantile(&samples, share);
    Ok(Late { p50: at(0.5), p99: at(0.99), max: at(1.0) })
}

fn print(rounds: &[Vec<Late>]) {
    let mut table =
        Table::new(&["what", "p50 / p99 / max ms", "p99 to bare", "p99 to bare that commits", "budget", ""]);
    for (index, what) in ["bare", "bare that commits first", "server"].into_iter().enumerate() {
        let middle = |figure: fn(&Late) -> f64| median(rounds.iter().map(|round| figure(&round[index])));
        let to = |floor: usize| median(rounds.iter().map(|round| round[index].p99 / round[floor].p99));
        let (to_bare, to_storing) = (to(0), to(1));
        let served = index == 2;
        table.row([
            what.to_owned(),
            format!(
                "{:.2} / {:.2} / {:.1}",
                middle(|late| late.p50),
                middle(|late| late.p99),
                middle(|late| late.max)
            ),
            format!("{to_bare:.2} ×"),
            format!("{to_storing:.2} ×"),
            if served { format!("≤ {MOST_RATIO:.1} ×") } else { "-".into() },
            if served { verdict(to_storing <= MOST_RATIO).to_owned() } else { String::new() },
        ]);
    }
    table.print(&format!(
        "chat: a message every {GAP:?} until it is on {SOCKETS} sockets (medians of {} rounds)",
        rounds.len()
    ));
}
