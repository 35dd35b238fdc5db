//! Hub and model compared: after every step, and when everything has drained.
//!
//! Not here: the steps (`mod.rs`), and what one socket may hear (`peer`).

use super::peer::{Phase, Was};
use super::pipe::{farewell, worded};
use super::{ROOMS, World, index};
use crate::domain::RoomId;
use crate::hub::Form;
use std::task::Poll;

impl World {
    pub(super) fn check(&mut self) {
        for who in 0..self.sockets.len() {
            self.check_socket(who);
        }
        self.check_rooms();
        assert_eq!(self.hub.counters(), self.counters);
    }

    fn check_socket(&mut self, who: usize) {
        let socket = &mut self.sockets[who];
        let name = socket.name;
        socket.read();
        socket.notice_failure(&self.hub);
        let is = Was::of(socket.id, &socket.pipe, &self.hub);
        let state = self.hub.state.borrow();
        let session = &state.sessions[socket.id.0];

        assert_eq!(session.ending, socket.ending, "socket {name} ends for another reason");
        assert_eq!(session.alive, socket.alive, "socket {name}");
        if socket.was.held && self.acting != Some(who) {
            assert_eq!(is.handed, socket.was.handed, "socket {name} is held, and was handed something");
        }
        let most = self.outbox_bytes.max(self.largest) + farewell().len();
        assert!(session.outbox.bytes() <= most, "too much waits for socket {name}");
        if socket.phase == Phase::Serving {
            let waits = !session.outbox.is_empty();
            assert_eq!(session.stuck_since.is_some(), waits, "socket {name} is stuck or not");
        }
        socket.assert_woken(session);

        let mut open: Vec<RoomId> = socket.open_ears().map(|(room, _)| room).collect();
        let mut listed: Vec<RoomId> = is.cursors.iter().map(|(room, _)| *room).collect();
        open.sort();
        listed.sort();
        assert_eq!(listed, open, "socket {name} listens elsewhere");

        if session.outbox.is_empty() && !socket.pipe.failed.get() {
            assert!(socket.pipe.is_whole(), "half a frame arrived at socket {name}, and nothing waits");
            for (room, ear) in socket.open_ears() {
                let cursor = is.cursor(room).expect("the lists were compared");
                let (heard, cursor) =
                    (worded(Form::Group, room, ear.heard), worded(Form::Group, room, cursor));
                assert_eq!(heard, cursor, "the cursor of socket {name} in {room:?} lies");
                let live = !session.lagging && session.ending.is_none() && state.dirty.is_empty();
                let published = worded(Form::Group, room, self.logs[index(room)].published);
                assert!(!live || heard >= published, "socket {name} is live and missed {room:?} {published}");
            }
        }

        drop(state);
        is.count_since(&socket.was, &mut self.counters);
        socket.was = is;
    }

    fn check_rooms(&self) {
        let state = self.hub.state.borrow();
        let listening: usize = state.sessions.iter().map(|(_, session)| session.subscriptions.len()).sum();
        let listened: usize = state.rooms.values().map(|room| room.subscriptions.len()).sum();
        assert_eq!(listening, listened, "the two halves of the subscriptions differ");
        for (id, room) in &state.rooms {
            assert!(!room.subscriptions.is_empty(), "{id:?} is empty and kept");
            let listeners = room.listeners.iter().sum::<usize>();
            assert_eq!(listeners, room.subscriptions.len(), "{id:?} counts its listeners wrongly");
            for subscription in &room.subscriptions {
                let listed = &state.sessions[subscription.session].subscriptions;
                assert!(listed.contains(&(*id, subscription.form)), "{id:?} has a listener who is gone");
            }
            assert!(room.marks.is_empty() || state.dirty.contains(id), "{id:?} will not be flushed");
            assert!(room.marks.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "{id:?} has a hole");
            let rendered = room.marks.last().map_or(0, |(_, ends)| ends[0]);
            assert_eq!(room.frames[0].len(), rendered, "{id:?} has frames without marks");
        }
    }

    /// Publishes and drains everything; then nobody has missed anything and nothing is left.
    pub(super) fn settle(&mut self) {
        self.acting = None;
        for room in 0..ROOMS {
            while self.logs[room].published < self.logs[room].head {
                self.publish(room);
            }
        }
        self.flush();
        self.check();
        let mut who = 0;
        while who < self.sockets.len() {
            let name = self.sockets[who].name;
            self.sockets[who].pipe.space.set(usize::MAX);
            for round in 0.. {
                assert!(round < 1000, "socket {name} never comes to rest");
                self.acting = Some(who);
                self.run(who);
                self.check();
                let socket = self.sockets.get(who).filter(|socket| socket.name == name);
                if socket.is_none_or(|socket| socket.asleep == Some(Poll::Pending)) {
                    break;
                }
            }
            who += usize::from(self.sockets.get(who).is_some_and(|socket| socket.name == name));
        }
        self.assert_all_heard();
        while !self.sockets.is_empty() {
            self.leave(0, false);
        }
        self.hub.flush();
        let state = self.hub.state.borrow();
        assert!(state.rooms.is_empty() && state.dirty.is_empty() && state.sessions.is_empty());
        assert_eq!(state.counters, self.counters);
        assert_eq!(self.counters.graceful + self.counters.forced, self.counters.opened);
    }

    fn assert_all_heard(&self) {
        for socket in self.sockets.iter().filter(|socket| !socket.pipe.broken.get()) {
            socket.assert_complete();
            for (room, ear) in socket.open_ears() {
                let (heard, head) = (
                    worded(Form::Group, room, ear.heard),
                    worded(Form::Group, room, self.logs[index(room)].head),
                );
                assert_eq!(heard, head, "socket {} missed events of {room:?}", socket.name);
            }
        }
    }
}
