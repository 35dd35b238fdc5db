//! A household's evening: twenty rooms of five sockets, a hundred messages a second in all. So little
//! happens at a time that waking up, receiving and storing cost more than the deliveries; this tells
//! them apart.

use std::time::Duration;

use crate::crowd::{Crowd, Load, Manner};
use crate::figure::{Outcome, Table, median, verdict};
use crate::option::Options;
use crate::scene::{Cost, Floor, Scene, TEXT, cost};

const ROOMS: usize = 20;
const SOCKETS_PER_ROOM: usize = 5;
const GAP: Duration = Duration::from_millis(10);
/// How much more than the bare loop a message may cost: the loop's thread more than one that only tells, all
/// of the server more than one that commits as well.
const MOST_RATIO: f64 = 1.7;

/// Microseconds of processor time per message, of one round.
struct Round {
    bare: f64,
    reactor: f64,
    storing: f64,
    served: Cost,
    unheard: Cost,
}

/// Measures the server and the bare loops in turn, round after round.
///
/// # Errors
/// The server failed, or a delivery was missing, doubled or out of order.
pub fn run(options: &Options) -> Outcome<()> {
    let scene = Scene::open(options, &[])?;
    let mut served = crowd(&scene, scene.crowd(&names())?)?;
    let floors = [Floor::Bare, Floor::Reactor, Floor::Storing].map(|floor| scene.floor(floor));
    let mut bare = Vec::new();
    for floor in floors {
        let floor = floor?;
        let crowd = crowd(&scene, Crowd::new(floor.address, &names(), TEXT)?)?;
        bare.push((floor, crowd));
    }
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let mut floors =
            bare.iter_mut().map(|(floor, crowd)| cost(floor.process(), crowd, &load(options, 0)));
        let mut next = || floors.next().expect("there are three floors");
        let (bare, reactor, storing) = (next()?.total, next()?.total, next()?.total);
        let process = scene.server.process();
        let unheard = cost(process, &mut served, &load(options, ROOMS))?;
        let served = cost(process, &mut served, &load(options, 0))?;
        rounds.push(Round { bare, reactor, storing, served, unheard });
    }
    print(options, &rounds);
    Ok(())
}

/// The rooms, and as many that nobody listens to.
fn names() -> Vec<String> {
    (0..2 * ROOMS).map(|room| format!("room-{room:02}")).collect()
}

fn crowd(scene: &Scene, mut crowd: Crowd) -> Outcome<Crowd> {
    for room in 0..ROOMS {
        crowd.enter((0..SOCKETS_PER_ROOM).map(|person| scene.wish(person, Manner::Listen(room))))?;
    }
    Ok(crowd)
}

/// In each room the first speaks, room after room; in their own, or in those from `first` on.
fn load(options: &Options, first: usize) -> Load {
    let speakers = (0..ROOMS).map(|room| (room * SOCKETS_PER_ROOM, first + room)).collect();
    // Twice as long as others: at this rate there is little in a window.
    let bursts = (2.0 * options.seconds / GAP.as_secs_f64()) as usize;
    Load { speakers, burst: 1, bursts, gap: GAP, rest: GAP / 3 }
}

/// One of a round's figures.
type Figure = fn(&Round) -> f64;

fn print(options: &Options, rounds: &[Round]) {
    let mut table = Table::new(&["what", "µs/message", "ratio", "to", "budget", ""]);
    let middle = |figure: Figure| median(rounds.iter().map(figure));
    let mut row = |what: &str, figure: Figure, to: Option<(&str, Figure)>, most: Option<f64>| {
        let ratio = to.map(|(_, floor)| median(rounds.iter().map(|round| figure(round) / floor(round))));
        table.row([
            what.to_owned(),
            format!("{:.1}", middle(figure)),
            ratio.map_or(String::new(), |ratio| format!("{ratio:.2} ×")),
            to.map_or(String::new(), |(name, _)| name.to_owned()),
            most.map_or("-".into(), |most| format!("≤ {most:.2} ×")),
            most.zip(ratio).map_or(String::new(), |(most, ratio)| verdict(ratio <= most).to_owned()),
        ]);
    };
    let bare: (&str, Figure) = ("bare", |round| round.bare);
    let storing: (&str, Figure) = ("bare that commits", |round| round.storing);
    row("bare: receive, six sends", |round| round.bare, None, None);
    row("bare on the server's reactor", |round| round.reactor, Some(bare), None);
    row("bare that commits each message", |round| round.storing, Some(bare), None);
    row("server, the loop's thread", |round| round.served.first_thread, Some(bare), Some(MOST_RATIO));
    row(
        "server, the store's thread",
        |round| round.served.total - round.served.first_thread,
        Some(bare),
        None,
    );
    row("server, in all", |round| round.served.total, Some(bare), None);
    row("server, in all", |round| round.served.total, Some(storing), Some(MOST_RATIO));
    row("server, the loop's thread, nobody listens", |round| round.unheard.first_thread, None, None);
    row("server, in all, nobody listens", |round| round.unheard.total, None, None);
    table.print(&format!(
        "household: {ROOMS} rooms of {SOCKETS_PER_ROOM} sockets, one message every {GAP:?} (medians of {} rounds)",
        options.rounds
    ));
}
