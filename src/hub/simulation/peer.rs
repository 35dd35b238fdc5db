//! A socket as the model knows it: what its peer heard so far, and what it must and must not hear.
//!
//! Reading is done as a peer would, from the bytes alone; places in the stream tell what was handed
//! over before or after a subscription ended. Not here: what makes things happen (`mod.rs`).

use super::pipe::{Pipe, Told, worded};
use super::{ROOMS, index, room_id};
use crate::domain::RoomId;
use crate::hub::{Counters, Ending, Errand, Form, Hub, Owner, Session, SessionId};
use std::{
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    task::{Poll, Wake},
};

/// What a socket is to hear of a room, from subscribing to unsubscribing.
pub(super) struct Ear {
    /// The last event it has heard, to begin with its cursor.
    pub(super) heard: i64,
    /// Where in its stream it began.
    pub(super) from: usize,
    /// Where in its stream it ended, and the last event that must have come before.
    pub(super) until: Option<(usize, i64)>,
}

/// Where a socket's task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// The last frame is queued.
    Parting,
    /// The last frame is sent, and the sending side closed.
    Finished,
}

pub(super) struct Socket {
    pub(super) id: SessionId,
    pub(super) name: usize,
    pub(super) pipe: Rc<Pipe>,
    pub(super) owner: Option<Owner>,
    pub(super) phase: Phase,
    pub(super) ears: [VecDeque<Ear>; ROOMS],
    pub(super) ending: Option<Ending>,
    pub(super) alive: bool,
    /// Sent and arrived.
    pub(super) replies: (i64, i64),
    /// Sent and arrived.
    pub(super) pings: (usize, usize),
    pub(super) farewell: bool,
    pub(super) alarm: Arc<Alarm>,
    /// What its task found before it fell asleep.
    pub(super) asleep: Option<Poll<Errand>>,
    pub(super) was: Was,
}

/// What is compared across a step, as it was at the end of the one before.
#[derive(Default)]
pub(super) struct Was {
    /// Bytes taken or waiting.
    pub(super) handed: usize,
    pub(super) lagging: bool,
    /// Nothing may be handed to it: it lags, or something waits.
    pub(super) held: bool,
    pub(super) cursors: Vec<(RoomId, i64)>,
}

/// Notes that a task was woken.
#[derive(Default)]
pub(super) struct Alarm(AtomicBool);

impl Alarm {
    pub(super) fn set(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(super) fn has_rung(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Socket {
    pub(super) fn handed(&self, hub: &Hub) -> usize {
        self.pipe.taken() + hub.state.borrow().sessions[self.id.0].outbox.bytes()
    }

    pub(super) fn open_ears(&self) -> impl Iterator<Item = (RoomId, &Ear)> {
        let last = self.ears.iter().map(VecDeque::back).enumerate();
        let open = last.filter_map(|(room, ear)| Some((room_id(room), ear?)));
        open.filter(|(_, ear)| ear.until.is_none())
    }

    pub(super) fn open_ear(&mut self, hub: &Hub, room: usize, cursor: i64) {
        let from = self.handed(hub);
        if self.ears[room].back().is_none_or(|ear| ear.until.is_some()) {
            self.ears[room].push_back(Ear { heard: cursor, from, until: None });
        }
    }

    /// Reads what arrived, as its peer.
    pub(super) fn read(&mut self) {
        for (place, told) in self.pipe.read() {
            assert!(!self.farewell, "socket {} is told {told:?} after its last frame", self.name);
            match told {
                Told::Event(_, room, seq) => self.hear(room, seq, place),
                Told::Reply(number) => {
                    self.replies.1 += 1;
                    assert_eq!(number, self.replies.1, "a reply to socket {} is lost", self.name);
                }
                Told::Whisper(..) => panic!("nobody whispers"),
                Told::Ping => self.pings.1 += 1,
                Told::Farewell => self.farewell = true,
            }
        }
    }

    fn hear(&mut self, room: RoomId, seq: i64, place: usize) {
        let name = self.name;
        let ears = &mut self.ears[index(room)];
        while ears.front().is_some_and(|ear| ear.until.is_some_and(|(end, _)| place >= end)) {
            ears.pop_front().expect("just seen").assert_heard_enough(room, name);
        }
        let ear = ears.front_mut().filter(|ear| place >= ear.from);
        let ear = ear.unwrap_or_else(|| panic!("socket {name} does not listen, and is told {room:?} {seq}"));
        let heard = ear.heard;
        assert!(seq > heard, "socket {name} is told {room:?} {seq} again, after {heard}");
        assert!(
            worded(Form::Group, room, seq - 1) <= heard,
            "socket {name} is told {room:?} {seq} too soon, after {heard}"
        );
        ear.heard = seq;
    }

    /// A sink that fails ends its socket, whenever the hub happens to write to it.
    pub(super) fn notice_failure(&mut self, hub: &Hub) {
        let ending = hub.state.borrow().sessions[self.id.0].ending;
        if self.pipe.failed.get() && ending == Some(Ending::Gone) {
            self.ending.get_or_insert(Ending::Gone);
        }
    }

    /// A task that sleeps was woken if there is another errand than the one it knows of.
    pub(super) fn assert_woken(&self, session: &Session) {
        let Some(known) = self.asleep else { return };
        let errand = match session.ending {
            Some(ending) => Poll::Ready(Errand::End(ending)),
            None if !session.outbox.is_empty() => Poll::Ready(Errand::Pump),
            None if session.lagging => Poll::Ready(Errand::CatchUp),
            None => Poll::Pending,
        };
        let woken = self.alarm.has_rung();
        assert!(woken || errand == known, "socket {} sleeps through {errand:?}", self.name);
    }

    /// Whatever was promised to this socket alone, or before it was silenced, has arrived.
    pub(super) fn assert_complete(&self) {
        assert!(self.pipe.is_whole(), "half a frame arrived at socket {}", self.name);
        assert_eq!(self.replies.0, self.replies.1, "socket {} misses replies", self.name);
        assert_eq!(self.pings.0, self.pings.1, "socket {} misses pings", self.name);
        for (room, ears) in self.ears.iter().enumerate() {
            ears.iter().for_each(|ear| ear.assert_heard_enough(room_id(room), self.name));
        }
    }
}

impl Ear {
    fn assert_heard_enough(&self, room: RoomId, name: usize) {
        if let Some((_, must)) = self.until {
            let heard = worded(Form::Group, room, self.heard);
            assert!(
                heard >= worded(Form::Group, room, must),
                "socket {name} was silenced in {room:?} before {must}"
            );
        }
    }
}

impl Was {
    pub(super) fn of(id: SessionId, pipe: &Pipe, hub: &Hub) -> Was {
        let cursors = hub.cursors(id).into_iter().map(|(room, _, cursor)| (room, cursor)).collect();
        let state = hub.state.borrow();
        let session = &state.sessions[id.0];
        Was {
            handed: pipe.taken() + session.outbox.bytes(),
            lagging: session.lagging,
            held: session.lagging || !session.outbox.is_empty(),
            cursors,
        }
    }

    pub(super) fn cursor(&self, room: RoomId) -> Option<i64> {
        self.cursors.iter().find(|(listed, _)| *listed == room).map(|(_, cursor)| *cursor)
    }

    /// Counts what the hub must have counted since.
    pub(super) fn count_since(&self, before: &Was, counters: &mut Counters) {
        counters.lags += u64::from(self.lagging && !before.lagging);
        for (room, cursor) in &self.cursors {
            let advanced = before.cursor(*room).map_or(0, |before| cursor - before);
            assert!(advanced >= 0, "the cursor in {room:?} goes back");
            counters.deliveries += advanced as u64;
        }
    }
}
