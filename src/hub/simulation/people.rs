//! Who is where, naively: by looking at all sockets again after each change.
//!
//! Not here: who hears of it (`rooms`, with the other whispers).

use super::peer::{Alarm, Socket};
use super::*;
use crate::hub::Being;
use crate::hub::presence::GRACE;
use std::{mem, task::Waker};

pub(super) struct People {
    now: Instant,
    rooms: [Seen; ROOMS],
    arrived: Vec<(RoomId, Being)>,
    leaving: Vec<(Option<Instant>, RoomId, Being)>,
    /// What each watcher has been told: who was there when it began to watch, and who came and went since.
    watchers: Vec<Watcher>,
    alarm: Arc<Alarm>,
    asleep: bool,
}

/// A room as it was seen last.
#[derive(Default)]
struct Seen {
    here: Vec<Being>,
    watched: bool,
}

struct Watcher {
    name: usize,
    room: RoomId,
    form: Form,
    being: Option<Being>,
    knows: Vec<Being>,
}

impl People {
    pub(super) fn new() -> People {
        People {
            now: Instant::now(),
            rooms: Default::default(),
            arrived: Vec::new(),
            leaving: Vec::new(),
            watchers: Vec::new(),
            alarm: Arc::default(),
            asleep: false,
        }
    }

    /// Who came or went since the last look, one change at a time.
    pub(super) fn look(&mut self, sockets: &[Socket], moved: [bool; ROOMS]) {
        for room in (0..ROOMS).filter(|room| moved[*room]) {
            let id = room_id(room);
            let mut now = Seen::default();
            for socket in sockets {
                for ear in socket.open_ears_in(room) {
                    now.watched |= ear.watches;
                    now.here.extend(socket.being().filter(|being| !now.here.contains(being)));
                }
            }
            let before = mem::take(&mut self.rooms[room]);
            if before.watched && now.watched {
                for being in now.here.iter().filter(|being| !before.here.contains(being)) {
                    let leaving =
                        self.leaving.iter().position(|(_, left, gone)| *left == id && gone == being);
                    match leaving {
                        Some(position) => _ = self.leaving.remove(position),
                        None => self.arrived.push((id, being.clone())),
                    }
                }
                let gone = before.here.into_iter().filter(|being| !now.here.contains(being));
                self.leaving.extend(gone.map(|being| (None, id, being)));
            }
            if !now.watched {
                self.arrived.retain(|(arrived, _)| *arrived != id);
                self.leaving.retain(|(_, left, _)| *left != id);
            }
            self.rooms[room] = now;
        }
        self.watchers.retain_mut(|watcher| {
            let Some(socket) = sockets.iter().find(|socket| socket.name == watcher.name) else {
                return false;
            };
            watcher.being = socket.being();
            let mut ears = socket.open_ears_in(index(watcher.room));
            ears.any(|ear| ear.form == watcher.form && ear.watches)
        });
    }

    /// A subscription begins to watch, and is told who is there.
    pub(super) fn watch(&mut self, hub: &Hub, socket: &Socket, room: usize, form: Form) {
        let id = room_id(room);
        self.watchers.retain(|watcher| (watcher.name, watcher.room, watcher.form) != (socket.name, id, form));
        let (name, being, knows) = (socket.name, socket.being(), hub.present(id));
        self.watchers.push(Watcher { name, room: id, form, being, knows });
    }

    pub(super) fn end_turn(&mut self, hub: &Hub, millis: u64) -> u64 {
        self.now += Duration::from_millis(millis);
        let told = hub.take_arrivals(self.now);
        assert_same(&told, &mem::take(&mut self.arrived), "arrived");
        for (due, ..) in self.leaving.iter_mut().filter(|(due, ..)| due.is_none()) {
            *due = Some(self.now + GRACE);
        }
        for (room, being) in &told {
            // Whoever it is about is not told, and knows.
            for watcher in self.watchers.iter_mut().filter(|watcher| watcher.room == *room) {
                if !watcher.knows.contains(being) {
                    watcher.knows.push(being.clone());
                }
            }
        }
        if self.asleep {
            assert_eq!(self.alarm.has_rung(), !self.leaving.is_empty(), "who waits for departures is woken");
        }
        self.wait(hub);
        told.len() as u64
    }

    /// Waits for the next departure, as the server's task does.
    fn wait(&mut self, hub: &Hub) {
        let waker = Waker::from(self.alarm.clone());
        let next = self.leaving.iter().filter_map(|(due, ..)| *due).min();
        self.alarm.set();
        let polled = hub.poll_departure(&mut Context::from_waker(&waker));
        assert_eq!(polled, next.map_or(Poll::Pending, Poll::Ready));
        self.asleep = polled.is_pending();
    }

    pub(super) fn tell_departures(&mut self, hub: &Hub, millis: u64) -> u64 {
        self.now += Duration::from_millis(millis);
        let told = hub.take_departures(self.now);
        let due = |due: &Option<Instant>| due.is_some_and(|due| due <= self.now);
        let gone = self.leaving.iter().filter(|(when, ..)| due(when));
        let gone: Vec<_> = gone.map(|(_, room, being)| (*room, being.clone())).collect();
        assert_same(&told, &gone, "departed");
        self.leaving.retain(|(when, ..)| !due(when));
        for (room, being) in &told {
            for watcher in self.watchers.iter_mut().filter(|watcher| watcher.is_told(*room, being)) {
                let known = watcher.knows.iter().position(|known| known == being);
                assert!(known.is_some(), "socket {} did not know {being:?}, who is gone", watcher.name);
                known.into_iter().for_each(|position| _ = watcher.knows.swap_remove(position));
            }
        }
        told.len() as u64
    }

    /// When every grace is over, whoever is there listens.
    pub(super) fn assert_settled(&mut self, hub: &Hub) {
        self.tell_departures(hub, GRACE.as_millis() as u64);
        assert!(self.leaving.is_empty() && self.arrived.is_empty());
        self.compare(hub);
    }

    /// When all are gone nobody is left, or about to be told.
    pub(super) fn assert_nobody(&mut self, hub: &Hub) {
        self.end_turn(hub, 0);
        self.assert_settled(hub);
        assert!(self.rooms.iter().all(|room| room.here.is_empty()));
        assert!(self.watchers.is_empty());
    }

    /// Who is there is who listens, or did until a moment ago; and every watcher knows it.
    pub(super) fn compare(&self, hub: &Hub) {
        for (room, seen) in self.rooms.iter().enumerate() {
            let id = room_id(room);
            let mut there: Vec<(RoomId, Being)> = seen.here.iter().map(|being| (id, being.clone())).collect();
            let leaving = self.leaving.iter().filter(|(_, left, _)| *left == id);
            there.extend(leaving.map(|(_, _, being)| (id, being.clone())));
            let present: Vec<_> = hub.present(id).into_iter().map(|being| (id, being)).collect();
            assert_same(&present, &there, "present");
        }
        for Watcher { name, room, being, knows, .. } in &self.watchers {
            let arrived = self.arrived.iter().filter(|(arrived, _)| arrived == room).map(|(_, being)| being);
            let other = |known: &&Being| Some(*known) != being.as_ref();
            let known: Vec<&Being> = knows.iter().chain(arrived).filter(other).collect();
            let present = hub.present(*room);
            let there: Vec<&Being> = present.iter().filter(other).collect();
            let missing = there.iter().find(|being| !known.contains(being));
            assert!(missing.is_none(), "socket {name} was not told of {missing:?} in {room:?}");
            let gone = known.iter().find(|being| !there.contains(being));
            assert!(gone.is_none(), "socket {name} takes {gone:?} for present in {room:?}");
        }
    }
}

impl Watcher {
    /// Whether it hears of somebody: not of itself.
    fn is_told(&self, room: RoomId, about: &Being) -> bool {
        self.room == room && self.being.as_ref() != Some(about)
    }
}

fn assert_same(hub: &[(RoomId, Being)], model: &[(RoomId, Being)], what: &str) {
    let same = hub.len() == model.len() && hub.iter().all(|one| model.contains(one));
    assert!(same && model.iter().all(|one| hub.contains(one)), "{what}: {hub:?} in the hub, {model:?} here");
}
