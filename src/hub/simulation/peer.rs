//! A socket as the model knows it: what its peer heard so far, and what it must and must not hear.
//!
//! Reading is done as a peer would, from the bytes alone; places in the stream tell what was handed
//! over before or after a subscription ended. Not here: what makes things happen (`mod.rs`).

use super::pipe::{Pipe, Told, worded};
use super::room_id;
use crate::domain::RoomId;
use crate::hub::{Being, Counters, Ending, Errand, Form, Hub, Owner, Registration, Session, SessionId};
use std::{
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    task::{Poll, Wake},
};

/// What a socket is to hear of a room in a form, from subscribing to unsubscribing.
pub(super) struct Ear {
    pub(super) room: RoomId,
    pub(super) form: Form,
    /// The room's head when it began.
    pub(super) since: i64,
    /// Whether it is told who comes and goes.
    pub(super) watches: bool,
    /// The last event it has heard, to begin with its cursor.
    pub(super) heard: i64,
    /// Where in its stream it began.
    pub(super) from: usize,
    /// Where in its stream it ended, and the last event that must have come before.
    pub(super) until: Option<(usize, i64)>,
}

/// A whisper on its way to a socket.
pub(super) struct Murmur {
    pub(super) number: i64,
    pub(super) form: Form,
    pub(super) room: RoomId,
    /// Whether it has to arrive. Otherwise it may.
    pub(super) must: bool,
    /// What was published in the room before, and what was stored.
    pub(super) published: i64,
    pub(super) head: i64,
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
    pub(super) nickname: Option<Rc<str>>,
    pub(super) registration: Registration,
    pub(super) phase: Phase,
    /// In the order in which they began.
    pub(super) ears: Vec<Ear>,
    pub(super) murmurs: VecDeque<Murmur>,
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
    /// How many bytes this step hands to it although it is held: at least, and at most.
    pub(super) allowance: (usize, usize),
}

/// What is compared across a step, as it was at the end of the one before.
#[derive(Default)]
pub(super) struct Was {
    /// Bytes taken or waiting.
    pub(super) handed: usize,
    pub(super) lagging: bool,
    /// Nothing may be handed to it: it lags, or something waits.
    pub(super) held: bool,
    pub(super) cursors: Vec<(RoomId, Form, i64)>,
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
        self.pipe.taken() + self.waiting(hub)
    }

    /// How many bytes wait for it.
    pub(super) fn waiting(&self, hub: &Hub) -> usize {
        hub.state.borrow().sessions[self.id.0].outbox.bytes()
    }

    /// Who it is for those who watch.
    pub(super) fn being(&self) -> Option<Being> {
        match (self.owner, &self.nickname) {
            (Some(owner), _) => Some(Being::Person(owner.user)),
            (None, Some(nickname)) => Some(Being::Guest(self.id, nickname.clone())),
            (None, None) => None,
        }
    }

    pub(super) fn open_ears(&self) -> impl Iterator<Item = &Ear> {
        self.ears.iter().filter(|ear| ear.until.is_none())
    }

    pub(super) fn open_ears_in(&self, room: usize) -> impl Iterator<Item = &Ear> {
        let room = room_id(room);
        self.open_ears().filter(move |ear| ear.room == room)
    }

    pub(super) fn open_ear(&mut self, room: RoomId, form: Form) -> Option<&mut Ear> {
        self.ears.iter_mut().find(|ear| ear.room == room && ear.form == form && ear.until.is_none())
    }

    /// Reads what arrived, as its peer.
    pub(super) fn read(&mut self) {
        for (place, told) in self.pipe.read() {
            assert!(!self.farewell, "socket {} is told {told:?} after its last frame", self.name);
            match told {
                Told::Event(form, room, seq) => self.hear(form, room, seq, place),
                Told::Whisper(form, room, number) => self.overhear(form, room, number, place),
                Told::Reply(number) => {
                    self.replies.1 += 1;
                    assert_eq!(number, self.replies.1, "a reply to socket {} is lost", self.name);
                }
                Told::Ping => self.pings.1 += 1,
                Told::Farewell => self.farewell = true,
            }
        }
        let (arrived, name) = (self.pipe.place(), self.name);
        self.ears.retain(|ear| {
            let over = ear.until.is_some_and(|(end, _)| arrived >= end);
            if over {
                ear.assert_heard_enough(name);
            }
            !over
        });
    }

    /// The ear that what begins at a place of the stream is for.
    fn ear_at(&mut self, form: Form, room: RoomId, place: usize) -> Option<&mut Ear> {
        let is_there = |ear: &Ear| place >= ear.from && ear.until.is_none_or(|(end, _)| place < end);
        self.ears.iter_mut().find(|ear| ear.form == form && ear.room == room && is_there(ear))
    }

    fn hear(&mut self, form: Form, room: RoomId, seq: i64, place: usize) {
        let name = self.name;
        let Some(ear) = self.ear_at(form, room, place) else {
            panic!("socket {name} does not listen, and is told {room:?} {seq} in {form:?}");
        };
        let heard = ear.heard;
        assert!(seq > heard, "socket {name} is told {room:?} {seq} again, after {heard}");
        let whole = worded(form, room, seq - 1) <= heard;
        assert!(whole, "socket {name} is told {room:?} {seq} too soon, after {heard}, in {form:?}");
        ear.heard = seq;
    }

    fn overhear(&mut self, form: Form, room: RoomId, number: i64, place: usize) {
        let name = self.name;
        let murmur = loop {
            let next = self.murmurs.pop_front();
            let next = next.unwrap_or_else(|| panic!("whisper {number} was not for socket {name}"));
            if (next.number, next.form, next.room) == (number, form, room) {
                break next;
            }
            assert!(!next.must, "whisper {} did not reach socket {name}, and {number} did", next.number);
        };
        let Some(ear) = self.ear_at(form, room, place) else {
            panic!("socket {name} does not listen, and hears whisper {number} in {room:?}");
        };
        let (before, after) = (worded(form, room, murmur.published), murmur.head);
        assert!(ear.heard >= before, "whisper {number} overtakes {room:?} {before} to socket {name}");
        assert!(ear.heard <= after, "whisper {number} comes after {room:?} {} to socket {name}", ear.heard);
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
        self.ears.iter().for_each(|ear| ear.assert_heard_enough(self.name));
        let missed = self.murmurs.iter().find(|murmur| murmur.must).map(|murmur| murmur.number);
        assert_eq!(missed, None, "socket {} misses whispers", self.name);
    }
}

impl Ear {
    fn assert_heard_enough(&self, name: usize) {
        if let Some((_, must)) = self.until {
            let Ear { room, form, .. } = *self;
            let heard = worded(form, room, self.heard);
            let must = worded(form, room, must);
            assert!(heard >= must, "socket {name} was silenced in {room:?} before {must} in {form:?}");
        }
    }
}

impl Was {
    /// Without its cursors.
    pub(super) fn of(pipe: &Pipe, session: &Session) -> Was {
        Was {
            handed: pipe.taken() + session.outbox.bytes(),
            lagging: session.lagging,
            held: session.lagging || !session.outbox.is_empty(),
            cursors: Vec::with_capacity(session.subscriptions.len()),
        }
    }

    pub(super) fn cursor(&self, room: RoomId, form: Form) -> Option<i64> {
        let found = self.cursors.iter().find(|(listed, spoken, _)| *listed == room && *spoken == form);
        found.map(|(_, _, cursor)| *cursor)
    }

    /// A subscription that ends in this step is not compared after it.
    pub(super) fn forget(&mut self, room: RoomId, form: Form) -> Option<i64> {
        let listed = |(listed, spoken, _): &(RoomId, Form, i64)| *listed == room && *spoken == form;
        let position = self.cursors.iter().position(listed)?;
        Some(self.cursors.swap_remove(position).2)
    }

    /// Counts what the hub must have counted since.
    pub(super) fn count_since(&self, before: &Was, counters: &mut Counters) {
        counters.lags += u64::from(self.lagging && !before.lagging);
        for (room, form, cursor) in &self.cursors {
            let advanced = before.cursor(*room, *form).map_or(0, |before| cursor - before);
            assert!(advanced >= 0, "the cursor in {room:?} goes back");
            counters.deliveries += advanced as u64;
        }
    }
}
