//! What it costs to tell one message to many sockets, beside a bare loop that sends ready frames to as
//! many; messages that come alone, and sixteen at a time.

use std::time::Duration;

use crate::bare::Running;
use crate::crowd::{Crowd, Load, Manner};
use crate::figure::{Outcome, Table, median, verdict};
use crate::option::Options;
use crate::scene::{Cost, Floor, Scene, cost};

/// Messages at once, and how much more than the bare loop a delivery may then cost.
const BURSTS: [(usize, f64); 2] = [(1, 1.10), (16, 1.25)];

/// How long a crowd answers pings between two measurements.
const BREATH: Duration = Duration::from_millis(10);

/// The channel that everybody hears, and the one that nobody hears.
const CHANNELS: [&str; 2] = ["loud", "quiet"];
const LOUD: usize = 0;
const QUIET: usize = 1;

/// One number of sockets, at the server and at the bare loop.
struct Stage {
    sockets: usize,
    served: Crowd,
    bare: Crowd,
}

/// What was measured of one stage and burst, a figure per round.
struct Case {
    stage: usize,
    burst: usize,
    most: f64,
    rounds: Vec<Round>,
}

/// Microseconds of processor time per message.
struct Round {
    bare: Pair,
    served: Pair,
}

/// The same load where everybody hears it, and where nobody does.
#[derive(Clone, Copy)]
struct Pair {
    loud: f64,
    quiet: f64,
}

impl Pair {
    /// What one delivery adds.
    fn delivery(self, sockets: usize) -> f64 {
        (self.loud - self.quiet) / sockets as f64
    }

    /// What one delivery costs when it has to carry everything.
    fn in_all(self, sockets: usize) -> f64 {
        self.loud / sockets as f64
    }
}

/// Measures all cases in turn, round after round.
///
/// # Errors
/// The server failed, or a delivery was missing, doubled or out of order.
pub fn run(options: &Options) -> Outcome<()> {
    let scene = Scene::open(options, &[])?;
    let floor = scene.floor(Floor::Bare)?;
    let mut stages = Vec::new();
    let mut cases = Vec::new();
    for (stage, sockets) in options.sockets.iter().enumerate() {
        stages.push(Stage {
            sockets: *sockets,
            served: crowd(&scene, scene.crowd(&names(stage))?, *sockets)?,
            bare: crowd(&scene, Crowd::new(floor.address, &names(stage), crate::scene::TEXT)?, *sockets)?,
        });
        cases.extend(BURSTS.map(|(burst, most)| Case { stage, burst, most, rounds: Vec::new() }));
    }
    for _ in 0..options.rounds {
        for case in &mut cases {
            // All of them have pings to answer, also those whose turn it is not.
            for stage in &mut stages {
                stage.served.idle(BREATH)?;
                stage.bare.idle(BREATH)?;
            }
            let round = case.measure(options, &scene, &floor, &mut stages[case.stage])?;
            case.rounds.push(round);
        }
    }
    print(options, &cases, &stages);
    Ok(())
}

/// Each stage has channels of its own.
fn names(stage: usize) -> Vec<String> {
    CHANNELS.map(|name| format!("{name}-{stage}")).into()
}

/// So many listeners, and one who speaks and hears nothing.
fn crowd(scene: &Scene, mut crowd: Crowd, sockets: usize) -> Outcome<Crowd> {
    crowd.enter((0..sockets).map(|index| scene.wish(index, Manner::Listen(LOUD))))?;
    crowd.enter([scene.wish(0, Manner::Mute)])?;
    Ok(crowd)
}

impl Case {
    fn measure(
        &self,
        options: &Options,
        scene: &Scene,
        floor: &Running,
        stage: &mut Stage,
    ) -> Outcome<Round> {
        let Stage { sockets, served, bare } = stage;
        let pair = |process: u32, crowd: &mut Crowd| -> Outcome<Pair> {
            let quiet: Cost = cost(process, crowd, &self.load(options, *sockets, QUIET))?;
            let loud = cost(process, crowd, &self.load(options, *sockets, LOUD))?;
            Ok(Pair { loud: loud.total, quiet: quiet.total })
        };
        let bare = pair(floor.process(), bare)?;
        Ok(Round { bare, served: pair(scene.server.process(), served)? })
    }

    fn load(&self, options: &Options, sockets: usize, channel: usize) -> Load {
        // Enough for either side to send, and then for the client to read.
        let rest = Duration::from_micros(1000 + 5 * sockets as u64);
        let gap = 2 * rest + Duration::from_nanos(400 * (self.burst * sockets) as u64);
        let bursts = (options.seconds / gap.as_secs_f64()).max(10.0) as usize;
        Load { speakers: vec![(sockets, channel)], burst: self.burst, bursts, gap, rest }
    }
}

fn print(options: &Options, cases: &[Case], stages: &[Stage]) {
    let mut table = Table::new(&[
        "sockets",
        "burst",
        "bare µs",
        "µs/delivery",
        "ratio",
        "budget",
        "",
        "unheard message, bare / server µs",
        "in all, bare / server µs",
        "ratio in all",
    ]);
    for case in cases {
        let sockets = stages[case.stage].sockets;
        let middle = |figure: &dyn Fn(&Round) -> f64| median(case.rounds.iter().map(figure));
        let bare = middle(&|round| round.bare.delivery(sockets));
        let served = middle(&|round| round.served.delivery(sockets));
        let ratio = middle(&|round| round.served.delivery(sockets) / round.bare.delivery(sockets));
        let in_all = middle(&|round| round.served.in_all(sockets) / round.bare.in_all(sockets));
        table.row([
            sockets.to_string(),
            case.burst.to_string(),
            format!("{bare:.3}"),
            format!("{served:.3}"),
            format!("{ratio:.2} ×"),
            format!("≤ {:.2} ×", case.most),
            verdict(ratio <= case.most).to_owned(),
            format!("{:.1} / {:.1}", middle(&|round| round.bare.quiet), middle(&|round| round.served.quiet)),
            format!(
                "{:.3} / {:.3}",
                middle(&|round| round.bare.in_all(sockets)),
                middle(&|round| round.served.in_all(sockets))
            ),
            format!("{in_all:.2} ×"),
        ]);
    }
    table.print(&format!(
        "deliver: processor time of a delivery, beside a bare send() (medians of {} rounds)",
        options.rounds
    ));
}
