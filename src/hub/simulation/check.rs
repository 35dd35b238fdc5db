//! Hub and model compared: after every step, and when everything has drained.
//!
//! Not here: the steps (`mod.rs`), what one socket may hear (`peer`), and who is where (`people`).

use super::peer::{Phase, Was};
use super::pipe::{FAREWELL_LENGTH, WHISPER_LENGTH, worded};
use super::*;

impl World {
    /// Compares those sockets that the step may have touched; those that it should not have, only at a glance.
    pub(super) fn check(&mut self) {
        for who in 0..self.sockets.len() {
            let mut ears = self.sockets[who].ears.iter();
            let touched = self.stirred || ears.any(|ear| self.touched[index(ear.room)]);
            if touched || self.acting == Some(who) {
                self.check_socket(who);
            } else {
                self.glance_at(who);
            }
        }
        let hub = self.hub.counters();
        let Counters { deliveries, lags, whispers, .. } = self.slack;
        let within = |hub: u64, model: u64, slack: u64| (model..=model + slack).contains(&hub);
        assert!(within(hub.deliveries, self.counters.deliveries, deliveries), "{hub:?} {:?}", self.counters);
        assert!(within(hub.lags, self.counters.lags, lags), "{hub:?} {:?}", self.counters);
        assert!(within(hub.whispers, self.counters.whispers, whispers), "{hub:?} {:?}", self.counters);
        let Counters { deliveries, lags, whispers, .. } = hub;
        assert_eq!(hub, Counters { deliveries, lags, whispers, ..self.counters });
        (self.counters, self.slack) = (hub, Counters::default());
    }

    fn glance_at(&self, who: usize) {
        let socket = &self.sockets[who];
        let state = self.hub.state.borrow();
        let session = &state.sessions[socket.id.0];
        let handed = socket.pipe.taken() + session.outbox.bytes();
        assert_eq!(handed, socket.was.handed, "socket {} was handed something", socket.name);
        assert_eq!(session.ending, socket.ending, "socket {} ends for another reason", socket.name);
        let same =
            session.lagging == socket.was.lagging && session.subscriptions.len() == socket.was.cursors.len();
        assert!(same, "socket {} was changed", socket.name);
    }

    fn check_socket(&mut self, who: usize) {
        let socket = &mut self.sockets[who];
        let name = socket.name;
        socket.read();
        socket.notice_failure(&self.hub);
        let state = self.hub.state.borrow();
        let mut is = Was::of(&socket.pipe, &state.sessions[socket.id.0]);
        let session = &state.sessions[socket.id.0];

        assert_eq!(session.ending, socket.ending, "socket {name} ends for another reason");
        assert_eq!(session.alive, socket.alive, "socket {name}");
        let (least, most) = std::mem::take(&mut socket.allowance);
        if socket.was.held && self.acting != Some(who) {
            let more = is.handed - socket.was.handed;
            assert!((least..=most).contains(&more), "socket {name} is held, and was handed {more} bytes");
        }
        let most = self.outbox_bytes.max(self.largest) + WHISPER_LENGTH + FAREWELL_LENGTH;
        assert!(session.outbox.bytes() <= most, "too much waits for socket {name}");
        if socket.phase == Phase::Serving {
            let waits = !session.outbox.is_empty();
            assert_eq!(session.stuck_since.is_some(), waits, "socket {name} is stuck or not");
        }
        socket.assert_woken(session);

        let open = socket.open_ears().count();
        assert_eq!(session.subscriptions.len(), open, "socket {name} listens elsewhere");
        let drained = session.outbox.is_empty() && !socket.pipe.failed.get();
        assert!(
            !drained || socket.pipe.is_whole(),
            "half a frame arrived at socket {name}, and nothing waits"
        );
        for ear in socket.open_ears() {
            let (room, form) = (ear.room, ear.form);
            let found = state.find(socket.id.0, room, form);
            let found = found.unwrap_or_else(|| panic!("socket {name} does not listen to {room:?}"));
            assert_eq!((found.since, found.watches), (ear.since, ear.watches), "socket {name} in {room:?}");
            is.cursors.push((room, form, found.cursor));
            if drained {
                let (heard, cursor) = (worded(form, room, ear.heard), worded(form, room, found.cursor));
                assert_eq!(heard, cursor, "the cursor of socket {name} in {room:?} lies");
                let live =
                    !session.lagging && session.ending.is_none() && state.rooms[&room].marks.is_empty();
                let published = worded(form, room, self.logs[index(room)].published);
                assert!(!live || heard >= published, "socket {name} is live and missed {room:?} {published}");
            }
        }

        drop(state);
        is.count_since(&socket.was, &mut self.counters);
        socket.was = is;
    }

    pub(super) fn check_rooms(&self) {
        let state = self.hub.state.borrow();
        let listening: usize = state.sessions.iter().map(|(_, session)| session.subscriptions.len()).sum();
        let listened: usize = state.rooms.values().map(|room| room.subscriptions.len()).sum();
        assert_eq!(listening, listened, "the two halves of the subscriptions differ");
        for (id, room) in &state.rooms {
            assert!(!room.subscriptions.is_empty(), "{id:?} is empty and kept");
            let (mut listeners, mut watchers) = ([0; FORMS], 0);
            for subscription in &room.subscriptions {
                listeners[subscription.form as usize] += 1;
                watchers += usize::from(subscription.watches);
            }
            assert_eq!(room.listeners, listeners, "{id:?} counts its listeners wrongly");
            assert_eq!(room.watchers, watchers, "{id:?} counts who watches wrongly");
            assert!(watchers == 0 || room.channel.is_some(), "{id:?} is watched and has no name");
            assert!(room.marks.is_empty() || state.dirty.contains(id), "{id:?} will not be flushed");
            assert!(room.marks.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "{id:?} has a hole");
            for (form, frames) in room.frames.iter().enumerate() {
                let rendered = room.marks.last().map_or(0, |(_, ends)| ends[form]);
                assert_eq!(frames.len(), rendered, "{id:?} has frames without marks");
            }
        }
    }

    pub(super) fn check_census(&self) {
        let staying = self.sockets.iter().filter(|socket| socket.ending.is_none());
        let registered: Vec<_> = staying.map(|socket| socket.registration).collect();
        let all = registered.iter().filter(|registration| **registration != Registration::None).count();
        for user in (1..=USERS as i64).map(UserId) {
            let is_theirs =
                |one: &&Registration| matches!(one, Registration::As(registered, _) if *registered == user);
            let theirs = registered.iter().filter(is_theirs).count();
            assert_eq!(self.hub.count_registered(Some(user)), (all as u64, theirs as u64), "{user:?}");
            let sockets =
                self.sockets.iter().filter(|socket| socket.owner.is_some_and(|owner| owner.user == user));
            assert_eq!(self.hub.count_sockets(user), sockets.count() as u64, "{user:?}");
        }
        let mut tokens: Vec<TokenId> = Vec::new();
        for socket in &self.sockets {
            assert_eq!(self.hub.registration(socket.id), socket.registration, "socket {}", socket.name);
            tokens.extend(socket.owner.map(|owner| owner.token));
            if let Registration::As(_, token) = socket.registration {
                tokens.push(token);
            }
        }
        tokens.sort();
        tokens.dedup();
        assert_eq!(self.hub.tokens(), tokens);
    }

    /// Publishes and drains everything; then nobody has missed anything and nothing is left.
    pub(super) fn settle(&mut self) {
        self.acting = None;
        self.stirred = true;
        for room in 0..ROOMS {
            while self.logs[room].published < self.logs[room].head {
                self.publish(room);
            }
        }
        self.flush();
        self.check();
        self.check_rooms();
        self.check_census();
        self.stirred = self.verbose;
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
        self.end_turn();
        self.people.assert_settled(&self.hub);
        while !self.sockets.is_empty() {
            self.leave(0, false);
        }
        self.hub.flush();
        self.people.assert_nobody(&self.hub);
        let state = self.hub.state.borrow();
        assert!(state.rooms.is_empty() && state.dirty.is_empty() && state.sessions.is_empty());
        assert_eq!(state.counters, self.counters);
        assert_eq!(self.counters.graceful + self.counters.forced, self.counters.opened);
    }

    fn assert_all_heard(&self) {
        for socket in self.sockets.iter().filter(|socket| !socket.pipe.broken.get()) {
            socket.assert_complete();
            for ear in socket.open_ears() {
                let (form, room) = (ear.form, ear.room);
                let head = worded(form, room, self.logs[index(room)].head);
                assert_eq!(
                    worded(form, room, ear.heard),
                    head,
                    "socket {} missed events of {room:?}",
                    socket.name
                );
            }
        }
    }
}
