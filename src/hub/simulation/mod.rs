//! The hub against a naive model, with dice.
//!
//! A world of a few rooms and sockets takes random steps: commits, publishing (late), flushing,
//! coming and going, sockets that take little or nothing or break, tasks that run when it pleases
//! them. After every step each byte that arrived is read as a peer would, and hub and model are
//! compared; at the end everything drains and nobody may have missed anything.
//!
//! A failure names its seed; `DEUCED_SEED=7 cargo test --lib simulation` replays that one and
//! prints its steps. Not here: the sinks and frames (`pipe`), what a socket may hear (`peer`), the
//! comparison (`check`), and single tricky cases (`cases`).

mod cases;
mod check;
mod peer;
mod pipe;

use super::*;
use peer::{Phase, Socket, Was};
use pipe::{Dice, Pipe, RENDER, event, farewell, length_of, reply};
use std::task::Waker;
use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

const SEEDS: u64 = 1000;
const STEPS: usize = 300;
const ROOMS: usize = 3;
const SOCKETS: usize = 6;

#[test]
fn nobody_misses_or_hears_anything_twice() {
    // The one exception to "no environment outside cli": it is how a failure is looked at.
    let chosen = std::env::var("DEUCED_SEED").ok().map(|seed| seed.parse().expect("a seed is a number"));
    let mut done = Counters::default();
    for seed in chosen.map_or(0..SEEDS, |seed| seed..seed + 1) {
        let step = Cell::new(0);
        let run = catch_unwind(AssertUnwindSafe(|| World::new(seed, chosen.is_some()).live(&step)));
        let counters = run.unwrap_or_else(|cause| {
            let text = cause.downcast_ref::<String>().map(String::as_str);
            let text = text.or(cause.downcast_ref::<&str>().copied()).unwrap_or("?");
            panic!("DEUCED_SEED={seed} fails at step {}: {text}", step.get());
        });
        done.deliveries += counters.deliveries;
        done.lags += counters.lags;
        done.graceful += counters.graceful;
    }
    // A simulation in which nothing happens finds nothing.
    if chosen.is_none() {
        assert!(done.deliveries > 30 * SEEDS && done.lags > 3 * SEEDS && done.graceful > SEEDS, "{done:?}");
    }
}

/// A room's log, as numbers.
#[derive(Clone, Copy, Default)]
struct Log {
    head: i64,
    published: i64,
    /// Events up to here were trimmed.
    floor: i64,
}

struct World {
    dice: Dice,
    hub: Hub,
    logs: [Log; ROOMS],
    sockets: Vec<Socket>,
    counters: Counters,
    /// The only socket that this step may hand bytes to although it is held.
    acting: Option<usize>,
    /// How many events are read from the log at a time.
    piece: usize,
    outbox_bytes: usize,
    /// How much space sockets make at once.
    space: usize,
    /// Bytes of each room since the last flush, and the most that ever went out at once.
    batch: [usize; ROOMS],
    largest: usize,
    verbose: bool,
}

const TOO_LATE: Ending = Ending::Close(1013, "too late");

impl World {
    fn new(seed: u64, verbose: bool) -> World {
        let mut dice = Dice::new(seed);
        let outbox_bytes = dice.pick(&[100, 500, 3000]);
        World {
            hub: Hub::new(RENDER, outbox_bytes as u64),
            logs: Default::default(),
            sockets: Vec::new(),
            counters: Counters::default(),
            acting: None,
            piece: dice.pick(&[1, 2, 5, 40]),
            outbox_bytes,
            space: dice.pick(&[10, 100, 1000, 20_000]),
            batch: [0; ROOMS],
            largest: 0,
            verbose,
            dice,
        }
    }

    fn live(mut self, step: &Cell<usize>) -> Counters {
        for number in 1..=STEPS {
            step.set(number);
            self.acting = None;
            self.act();
            self.check();
        }
        self.settle();
        self.counters
    }

    fn act(&mut self) {
        let room = self.dice.below(ROOMS);
        let user = UserId(1 + self.dice.below(3) as i64);
        let roll = self.dice.below(100);
        self.note(|| format!("{roll}: room {room}, {user:?}"));
        match roll {
            0..=9 => self.logs[room].head += 1 + self.dice.below(4) as i64,
            10..=24 => (0..=self.dice.below(3)).for_each(|_| self.publish(room)),
            25..=34 => self.flush(),
            35..=40 => self.enter(user),
            41..=42 => self.follow(user, room),
            43 => self.unfollow(user, room),
            44 if self.dice.chance(50) => self.dissolve(room),
            45 => self.trim(room),
            46 if self.dice.chance(30) => self.end_some(user),
            47..=48 => self.beat(),
            _ if self.sockets.is_empty() => {}
            _ => {
                let who = self.dice.below(self.sockets.len());
                self.act_on(who, room, roll);
            }
        }
    }

    fn act_on(&mut self, who: usize, room: usize, roll: usize) {
        self.note(|| format!("  socket {}", self.sockets[who].name));
        self.acting = Some(who);
        let socket = &mut self.sockets[who];
        match roll {
            49..=57 => self.subscribe(who, room),
            58..=60 => {
                self.hub.unsubscribe(socket.id, room_id(room), Form::Group);
                self.close_ear(who, room, 0);
            }
            61..=66 => self.send(who),
            67..=76 => socket.pipe.make_space(self.dice.below(self.space)),
            77..=79 => {
                self.hub.heard_from(socket.id);
                socket.alive = true;
            }
            80 if self.dice.chance(20) => socket.pipe.broken.set(true),
            81 if self.dice.chance(20) => {
                self.hub.end(socket.id, Ending::Close(1000, "one"));
                socket.ending.get_or_insert(Ending::Close(1000, "one"));
            }
            82 if self.dice.chance(20) && socket.phase == Phase::Serving => self.part(who, TOO_LATE),
            83 if self.dice.chance(20) => self.leave(who, false),
            84.. => self.run(who),
            _ => {}
        }
    }

    // What happens in rooms.

    fn publish(&mut self, room: usize) {
        let log = &mut self.logs[room];
        if log.published < log.head {
            log.published += 1;
            self.hub.publish(&event(room_id(room), log.published));
            self.batch[room] += length_of(Form::Group, room_id(room), log.published);
            self.largest = self.largest.max(self.batch[room]);
        }
    }

    fn flush(&mut self) {
        self.hub.flush();
        self.batch = [0; ROOMS];
    }

    fn follow(&mut self, user: UserId, room: usize) {
        self.logs[room].head += i64::from(self.dice.chance(50));
        self.publish(room);
        let cursor = self.logs[room].published;
        self.hub.follow(user, room_id(room), cursor);
        for socket in &mut self.sockets {
            if socket.owner.is_some_and(|owner| owner.user == user && owner.follows) {
                socket.open_ear(&self.hub, room, cursor);
            }
        }
    }

    fn unfollow(&mut self, user: UserId, room: usize) {
        self.publish(room);
        self.hub.unfollow(user, room_id(room), i64::MAX);
        for who in 0..self.sockets.len() {
            if self.sockets[who].owner.is_some_and(|owner| owner.user == user) {
                self.silence(who, room);
            }
        }
    }

    fn dissolve(&mut self, room: usize) {
        self.publish(room);
        self.hub.dissolve(room_id(room));
        (0..self.sockets.len()).for_each(|who| self.silence(who, room));
    }

    /// The server took a room from a socket: what was published before must have been told, or the
    /// socket must end, so that its person loads anew.
    fn silence(&mut self, who: usize, room: usize) {
        let published = self.logs[room].published;
        let socket = &mut self.sockets[who];
        let Some(cursor) = socket.was.cursor(room_id(room)) else { return };
        let state = self.hub.state.borrow();
        let session = &state.sessions[socket.id.0];
        if session.lagging && session.ending == Some(Ending::TooSlow) {
            socket.ending.get_or_insert(Ending::TooSlow);
        }
        drop(state);
        if socket.ending.is_none() && !socket.was.held {
            self.counters.deliveries += (published - cursor).max(0) as u64;
        }
        let must = if socket.ending.is_none() { published } else { 0 };
        self.close_ear(who, room, must);
    }

    fn close_ear(&mut self, who: usize, room: usize, must: i64) {
        let socket = &mut self.sockets[who];
        let handed = socket.handed(&self.hub);
        if let Some(ear) = socket.ears[room].back_mut() {
            ear.until.get_or_insert((handed, must));
        }
    }

    fn trim(&mut self, room: usize) {
        let log = &mut self.logs[room];
        // Retention keeps the newest, so a log never looks empty to someone who missed something.
        let kept = 1 + self.dice.below(10) as i64;
        log.floor = log.floor.max(log.head - kept);
    }

    // Sockets.

    fn enter(&mut self, user: UserId) {
        if self.sockets.len() == SOCKETS {
            return;
        }
        let token = TokenId(1 + self.dice.below(4) as i64);
        let follows = self.dice.chance(60);
        let owner = self.dice.chance(90).then_some(Owner { user, token, follows });
        let pipe = Rc::new(Pipe::with_space(self.dice.below(self.space)));
        if self.dice.chance(50) {
            pipe.whims.replace(Some(Dice::new(self.dice.roll())));
        }
        let id = self.hub.enter(pipe.clone(), owner);
        self.counters.opened += 1;
        self.counters.open += 1;
        let name = self.counters.opened as usize;
        self.sockets.push(Socket {
            id,
            name,
            pipe,
            owner,
            phase: Phase::Serving,
            ears: Default::default(),
            ending: None,
            alive: true,
            replies: (0, 0),
            pings: (0, 0),
            farewell: false,
            alarm: Arc::default(),
            asleep: None,
            was: Was::default(),
        });
        self.note(|| format!("  socket {name} enters: {owner:?}"));
        for room in 0..ROOMS {
            if self.dice.chance(50) {
                self.subscribe(self.sockets.len() - 1, room);
            }
        }
    }

    fn subscribe(&mut self, who: usize, room: usize) {
        let head = self.logs[room].head;
        let socket = &mut self.sockets[who];
        self.hub.subscribe(socket.id, room_id(room), Form::Group, head);
        socket.open_ear(&self.hub, room, head);
    }

    fn send(&mut self, who: usize) {
        let socket = &mut self.sockets[who];
        if socket.phase != Phase::Serving {
            return;
        }
        let most = if self.dice.chance(10) { 200 } else { 40 };
        let frame = reply(socket.replies.0 + 1, self.dice.below(most));
        let waiting = socket.handed(&self.hub) - socket.pipe.taken();
        self.hub.send(socket.id, &frame);
        if socket.ending.is_none() {
            match waiting + frame.len() <= self.outbox_bytes {
                true => socket.replies.0 += 1,
                false => socket.ending = Some(Ending::TooSlow),
            }
        }
    }

    fn end_some(&mut self, user: UserId) {
        let (token, ending) = (TokenId(user.0), Ending::Close(1001, "some"));
        let which: fn(&Owner, UserId) -> bool = match self.dice.below(3) {
            0 => {
                self.hub.end_user(user, ending);
                |owner, user| owner.user == user
            }
            1 => {
                self.hub.end_token(token, ending);
                |owner, user| owner.token.0 == user.0
            }
            _ => {
                self.hub.end_all(ending);
                self.batch = [0; ROOMS];
                self.sockets.iter_mut().for_each(|socket| socket.notice_failure(&self.hub));
                self.sockets.iter_mut().for_each(|socket| _ = socket.ending.get_or_insert(ending));
                return;
            }
        };
        for socket in &mut self.sockets {
            if socket.owner.is_some_and(|owner| which(&owner, user)) {
                socket.ending.get_or_insert(ending);
            }
        }
    }

    fn beat(&mut self) {
        // Only an hour that is always over or never is the same in every run.
        let late = self.dice.chance(10);
        let now = Instant::now() + Duration::from_secs(if late { 7200 } else { 0 });
        let mut expected = Beat::default();
        for socket in self.sockets.iter_mut().filter(|socket| socket.ending.is_none()) {
            let state = self.hub.state.borrow();
            let session = &state.sessions[socket.id.0];
            let empty = session.outbox.is_empty();
            let stuck = late && session.stuck_since.is_some();
            if stuck || (empty && !socket.alive) {
                expected.ended += 1;
                socket.ending = Some(Ending::Gone);
            } else if empty {
                expected.pinged += 1;
                socket.alive = false;
                if !socket.pipe.broken.get() {
                    // Also lagging sockets are pinged, when nothing waits for them.
                    socket.pings.0 += 1;
                    socket.was.handed += 2;
                }
            }
        }
        assert_eq!(self.hub.beat(now, Duration::from_secs(3600)), expected);
    }

    // What a socket's task does, as `ws/session.rs` has it.

    fn run(&mut self, who: usize) {
        let socket = &mut self.sockets[who];
        let writable = socket.pipe.space.get() > 0 || socket.pipe.broken.get();
        match socket.phase {
            Phase::Serving => {
                socket.alarm.set();
                let waker = Waker::from(socket.alarm.clone());
                let errand = self.hub.poll_errand(socket.id, &mut Context::from_waker(&waker));
                let name = socket.name;
                socket.asleep = None;
                match errand {
                    Poll::Pending => socket.asleep = Some(errand),
                    Poll::Ready(Errand::Pump) if !writable => socket.asleep = Some(errand),
                    Poll::Ready(Errand::Pump) if self.hub.pump(socket.id).is_err() => self.leave(who, false),
                    Poll::Ready(Errand::Pump) => {}
                    Poll::Ready(Errand::CatchUp) => self.catch_up(who),
                    Poll::Ready(Errand::End(ending)) => self.part(who, ending),
                }
                self.note(|| format!("  socket {name}: {errand:?}"));
            }
            Phase::Parting => self.send_the_rest(who),
            Phase::Finished => self.leave(who, true),
        }
    }

    /// The same as `api::room::catch_up`, from the model's log.
    fn catch_up(&mut self, who: usize) {
        let id = self.sockets[who].id;
        for (room, form, cursor) in self.hub.cursors(id) {
            let log = self.logs[index(room)];
            let from = cursor.max(log.floor) + 1;
            let to = log.head.min(from + self.piece as i64 - 1);
            let events: Vec<Event> = (from..=to).map(|seq| event(room, seq)).collect();
            let Some(first) = events.first() else { continue };
            if first.seq != cursor + 1 {
                return self.part(who, TOO_LATE);
            }
            let bytes = events.iter().map(|event| length_of(form, room, event.seq)).sum();
            self.largest = self.largest.max(bytes);
            let told = self.hub.replay(id, form, &events);
            if told < events.len() || events.len() == self.piece || !self.hub.has_taken_all(id) {
                return;
            }
        }
        self.hub.caught_up(id);
    }

    fn part(&mut self, who: usize, ending: Ending) {
        let socket = &mut self.sockets[who];
        if ending == Ending::Gone {
            return self.leave(who, false);
        }
        self.hub.farewell(socket.id, &farewell());
        socket.ending.get_or_insert(Ending::Gone);
        socket.phase = Phase::Parting;
        socket.asleep = None;
        self.send_the_rest(who);
    }

    fn send_the_rest(&mut self, who: usize) {
        let socket = &mut self.sockets[who];
        match self.hub.pump(socket.id) {
            Ok(true) => {
                socket.read();
                assert!(socket.farewell, "the last frame did not arrive");
                socket.assert_complete();
                // As a socket whose sending side is closed.
                socket.pipe.broken.set(true);
                socket.phase = Phase::Finished;
            }
            Ok(false) => {}
            Err(_) => self.leave(who, false),
        }
    }

    fn leave(&mut self, who: usize, graceful: bool) {
        let mut socket = self.sockets.remove(who);
        // Its place is another's now.
        self.acting = None;
        self.note(|| format!("  socket {} leaves", socket.name));
        socket.read();
        Was::of(socket.id, &socket.pipe, &self.hub).count_since(&socket.was, &mut self.counters);
        self.hub.leave(socket.id, graceful);
        self.counters.open -= 1;
        *(if graceful { &mut self.counters.graceful } else { &mut self.counters.forced }) += 1;
    }

    fn note(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            println!("{}", what());
        }
    }
}

fn room_id(room: usize) -> RoomId {
    RoomId(room as i64 + 1)
}

fn index(room: RoomId) -> usize {
    room.0 as usize - 1
}
