//! The hub against a naive model, with dice.
//!
//! A world of a few rooms and sockets takes random steps: commits, publishing (late), flushing,
//! coming and going in all forms, resuming, registering, whispering, sockets that take little or
//! nothing or break, tasks that run when it pleases them. Each byte that arrived is read as a peer
//! would, and hub and model are compared: after every step where it acted, and everywhere every few
//! steps; at the end everything drains and nobody may have missed anything.
//!
//! A failure names its seed; `DEUCED_SEED=7 cargo test --lib simulation` replays that one, prints its
//! steps and compares everything after each. Not here: the sinks and frames (`pipe`), what a socket may
//! hear (`peer`), who is where (`people`), what happens in rooms (`rooms`), to sockets (`sockets`) and in
//! their tasks (`task`), the comparison (`check`), and single tricky cases (`cases`).

mod cases;
mod check;
mod peer;
mod people;
mod pipe;
mod rooms;
mod sockets;
mod task;

use super::*;
use peer::{Phase, Socket, Was};
use people::People;
use pipe::{Dice, Pipe, RENDER, event, farewell, length_of, reply};
use rooms::Log;
use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

const SEEDS: u64 = 500;
const STEPS: usize = 400;
/// Rooms anybody may listen to, and as many people with an inbox each.
const SHARED: usize = 2;
const USERS: usize = 3;
const ROOMS: usize = SHARED + USERS;
const SOCKETS: usize = 6;
/// After so many steps everything is compared, also where nothing should have changed.
const ROUND: usize = 20;

const TOO_LATE: Ending = Ending::Close(1013, "too late");

#[test]
fn r_t3_nobody_misses_or_hears_anything_twice() {
    // The one exception to "no environment outside cli": it is how a failure is looked at.
    let chosen = std::env::var("DEUCED_SEED").ok().map(|seed| seed.parse().expect("a seed is a number"));
    let mut done = Done::default();
    for seed in chosen.map_or(0..SEEDS, |seed| seed..seed + 1) {
        let step = Cell::new(0);
        let run = catch_unwind(AssertUnwindSafe(|| World::new(seed, chosen.is_some()).live(&step)));
        let lived = run.unwrap_or_else(|cause| {
            let text = cause.downcast_ref::<String>().map(String::as_str);
            let text = text.or(cause.downcast_ref::<&str>().copied()).unwrap_or("?");
            panic!("DEUCED_SEED={seed} fails at step {}: {text}", step.get());
        });
        done.add(&lived);
    }
    // A simulation in which nothing happens finds nothing.
    if chosen.is_none() {
        done.assert_plenty();
    }
}

/// What has happened, for a look at whether it was enough.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    deliveries: u64,
    lags: u64,
    graceful: u64,
    whispers: u64,
    replayed: u64,
    arrivals: u64,
    departures: u64,
    silenced: u64,
}

impl Done {
    fn add(&mut self, other: &Done) {
        self.deliveries += other.deliveries;
        self.lags += other.lags;
        self.graceful += other.graceful;
        self.whispers += other.whispers;
        self.replayed += other.replayed;
        self.arrivals += other.arrivals;
        self.departures += other.departures;
        self.silenced += other.silenced;
    }

    fn assert_plenty(&self) {
        let Done { deliveries, lags, graceful, whispers, replayed, arrivals, departures, silenced } = *self;
        assert!(deliveries > 30 * SEEDS && lags > 2 * SEEDS && graceful > SEEDS, "{self:?}");
        assert!(whispers > SEEDS && replayed > SEEDS && silenced > SEEDS / 10, "{self:?}");
        assert!(arrivals > SEEDS / 2 && departures > SEEDS / 4, "{self:?}");
    }
}

struct World {
    dice: Dice,
    hub: Hub,
    logs: [Log; ROOMS],
    sockets: Vec<Socket>,
    people: People,
    counters: Counters,
    /// How much more the hub may have counted than the model can tell.
    slack: Counters,
    done: Done,
    /// The only socket that this step may hand bytes to although it is held.
    acting: Option<usize>,
    /// Whether this step may have changed any socket; and those in which rooms, if not.
    stirred: bool,
    touched: [bool; ROOMS],
    /// How many events are read from the log at a time.
    piece: usize,
    outbox_bytes: usize,
    /// How much space sockets make at once.
    space: usize,
    /// Bytes of each room since the last flush, and the most that ever went out at once.
    batch: [usize; ROOMS],
    largest: usize,
    whispered: i64,
    /// Rooms in which somebody may have come or gone since people were looked at.
    moved: [bool; ROOMS],
    /// Looks at everything after every step, and says what it does.
    verbose: bool,
}

impl World {
    fn new(seed: u64, verbose: bool) -> World {
        let mut dice = Dice::new(seed);
        let outbox_bytes = dice.pick(&[100, 500, 3000]);
        World {
            hub: Hub::new(RENDER, outbox_bytes as u64),
            logs: Default::default(),
            sockets: Vec::new(),
            people: People::new(),
            counters: Counters::default(),
            slack: Counters::default(),
            done: Done::default(),
            acting: None,
            stirred: false,
            touched: [false; ROOMS],
            piece: dice.pick(&[1, 2, 5, 40]),
            outbox_bytes,
            space: dice.pick(&[20, 200, 2000, 20_000]),
            batch: [0; ROOMS],
            largest: 0,
            whispered: 0,
            moved: [false; ROOMS],
            verbose,
            dice,
        }
    }

    fn live(mut self, step: &Cell<usize>) -> Done {
        for number in 1..=STEPS {
            step.set(number);
            self.acting = None;
            let everything = self.verbose || number % ROUND == 0;
            self.stirred = everything;
            self.touched = [false; ROOMS];
            self.act();
            self.check();
            if everything {
                self.check_rooms();
                self.check_census();
            }
        }
        self.settle();
        let Counters { deliveries, lags, graceful, whispers, .. } = self.counters;
        Done { deliveries, lags, graceful, whispers, ..self.done }
    }

    fn act(&mut self) {
        let rooms = if self.dice.chance(80) { SHARED } else { ROOMS };
        let room = self.dice.below(rooms);
        let user = UserId(1 + self.dice.below(USERS) as i64);
        let roll = self.dice.below(100);
        self.note(|| format!("{roll}: {:?}, {user:?}", room_id(room)));
        match roll {
            0..=8 => self.logs[room].head += 1 + self.dice.below(4) as i64,
            9..=19 => (0..=self.dice.below(3)).for_each(|_| self.publish(room)),
            20..=26 => self.flush(),
            27..=31 => self.enter(user),
            32 => self.logs[room % SHARED].join(user),
            33 if self.dice.chance(60) => self.logs[room % SHARED].leave(user),
            34 if self.dice.chance(30) => self.dissolve(room % SHARED),
            35 => self.logs[room].trim(1 + self.dice.below(10) as i64),
            36 if self.dice.chance(40) => self.end_some(user),
            37..=38 => self.beat(),
            39..=42 => self.end_turn(),
            43..=44 => self.tell_departures(),
            45..=50 => self.whisper(room),
            _ if self.sockets.is_empty() => {}
            _ => {
                let who = self.dice.below(self.sockets.len());
                self.act_on(who, room, roll, user);
            }
        }
    }

    fn act_on(&mut self, who: usize, room: usize, roll: usize, user: UserId) {
        self.note(|| format!("  socket {}", self.sockets[who].name));
        self.acting = Some(who);
        let socket = &mut self.sockets[who];
        match roll {
            51..=56 => self.subscribe(who, room),
            57..=58 => self.unsubscribe(who, room),
            59..=62 => self.resume(who, room),
            63..=64 => self.register(who, user),
            65 => self.log_in(who, user),
            66..=69 => self.send(who),
            70..=77 => {
                socket.pipe.make_space(self.dice.below(self.space));
                self.run_a_few_times(who);
            }
            78 => {
                self.hub.heard_from(socket.id);
                socket.alive = true;
            }
            79 => match self.dice.below(12) {
                0 => socket.pipe.broken.set(true),
                1 | 2 => {
                    self.hub.end(socket.id, Ending::Close(1000, "one"));
                    socket.ending.get_or_insert(Ending::Close(1000, "one"));
                }
                3 | 4 if socket.phase == Phase::Serving => self.part(who, TOO_LATE),
                5 => self.leave(who, false),
                _ => {}
            },
            _ => self.run_a_few_times(who),
        }
    }

    fn run_a_few_times(&mut self, who: usize) {
        let name = self.sockets[who].name;
        for _ in 0..=self.dice.below(5) {
            if self.sockets.get(who).is_some_and(|socket| socket.name == name) {
                self.run(who);
            }
        }
    }

    fn note(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            println!("{}", what());
        }
    }
}

fn room_id(room: usize) -> RoomId {
    match room.checked_sub(SHARED) {
        None => RoomId(room as i64 + 1),
        Some(user) => RoomId::inbox(UserId(user as i64 + 1)),
    }
}

fn index(room: RoomId) -> usize {
    match room.inbox_of() {
        None => room.0 as usize - 1,
        Some(user) => SHARED + user.0 as usize - 1,
    }
}
