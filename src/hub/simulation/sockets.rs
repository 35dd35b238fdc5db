//! What sockets ask for, and what is done to them one by one or in numbers.
//!
//! Not here: what their tasks do by themselves (`task`).

use super::peer::Ear;
use super::*;

impl World {
    pub(super) fn enter(&mut self, user: UserId) {
        if self.sockets.len() == SOCKETS {
            return;
        }
        let pipe = Rc::new(Pipe::with_space(self.dice.below(self.space)));
        if self.dice.chance(50) {
            pipe.whims.replace(Some(Dice::new(self.dice.roll())));
        }
        let owner = self.dice.chance(65).then(|| self.login(user, 60));
        let id = self.hub.enter(pipe.clone(), owner);
        self.counters.opened += 1;
        self.counters.open += 1;
        let name = self.counters.opened as usize;
        self.sockets.push(Socket {
            id,
            name,
            pipe,
            owner,
            nickname: None,
            registration: Registration::None,
            phase: Phase::Serving,
            ears: Vec::new(),
            murmurs: Default::default(),
            ending: None,
            alive: true,
            replies: (0, 0),
            pings: (0, 0),
            farewell: false,
            alarm: Arc::default(),
            asleep: None,
            was: Was::default(),
            allowance: (0, 0),
        });
        self.note(|| format!("  socket {name} enters: {owner:?}"));
        let who = self.sockets.len() - 1;
        self.acting = Some(who);
        if owner.is_none() && self.dice.chance(75) {
            self.nickname(who);
        }
        for room in 0..SHARED {
            match self.dice.below(4) {
                0 => self.subscribe(who, room),
                1 => self.resume(who, room),
                _ => {}
            }
        }
    }

    /// One of a person's logins.
    fn login(&mut self, user: UserId, follows: usize) -> Owner {
        let token = TokenId(user.0 * 2 + self.dice.below(2) as i64);
        Owner { user, token, permits: None, follows: self.dice.chance(follows) }
    }

    fn nickname(&mut self, who: usize) {
        let socket = &mut self.sockets[who];
        let nickname: Rc<str> = Rc::from(self.dice.pick(&["Eve", "Guest"]));
        self.hub.set_nickname(socket.id, &nickname);
        socket.nickname = Some(nickname);
        self.moved = [true; ROOMS];
        self.note_people();
    }

    /// Somebody gets a name, or another login.
    pub(super) fn log_in(&mut self, who: usize, user: UserId) {
        let socket = &self.sockets[who];
        if socket.owner.is_none() && socket.nickname.is_none() && self.dice.chance(40) {
            return self.nickname(who);
        }
        let before = socket.owner;
        let mut owner = self.login(before.map_or(user, |owner| owner.user), 0);
        owner.follows = before.is_some_and(|owner| owner.follows);
        self.hub.set_owner(self.sockets[who].id, owner);
        self.sockets[who].owner = Some(owner);
        self.moved = [true; ROOMS];
        self.note_people();
    }

    // Listening.

    /// In which form a room is asked for. Registering is the only way to hear an inbox in the form for it.
    fn form(&mut self, room: usize) -> Form {
        if room < SHARED { self.dice.pick(&Form::ALL) } else { Form::Payload }
    }

    /// Whether somebody may listen to a room, perhaps by becoming a member first.
    fn may_enter(&mut self, who: usize, room: usize) -> bool {
        let Some(owner) = self.sockets[who].owner.filter(|_| room < SHARED) else { return true };
        if !self.logs[room].is_member(owner.user) && self.dice.chance(50) {
            self.logs[room].join(owner.user);
        }
        self.logs[room].is_member(owner.user)
    }

    pub(super) fn subscribe(&mut self, who: usize, room: usize) {
        if !self.may_enter(who, room) {
            return;
        }
        let (form, head) = (self.form(room), self.logs[room].head);
        self.note(|| format!("  subscribes to {:?} in {form:?} after {head}", room_id(room)));
        self.hub.subscribe(self.sockets[who].id, room_id(room), form, head);
        self.open_ear(who, room, form, head);
        self.note_people();
    }

    /// Begins anew, from the head or from what may have been missed before.
    pub(super) fn resume(&mut self, who: usize, room: usize) {
        if !self.may_enter(who, room) {
            return;
        }
        self.touched[room] = true;
        let (form, watches, log) = (self.form(room), self.dice.chance(60), &self.logs[room]);
        let (head, published) = (log.head, log.published);
        let missed = (head - log.floor).clamp(0, 12) as usize;
        let behind = if self.dice.chance(60) { self.dice.below(missed + 1) as i64 } else { 0 };
        let cursor = head - behind;
        self.note(|| format!("  resumes {:?} in {form:?} after {cursor}, watches: {watches}", room_id(room)));
        let was_lagging = self.sockets[who].was.lagging;
        let id = self.sockets[who].id;
        self.hub.resume(id, room_id(room), form, "room", (cursor, head), watches);
        self.done.replayed += behind as u64;

        let socket = &mut self.sockets[who];
        let lagging = self.hub.state.borrow().sessions[id.0].lagging;
        assert!(lagging || behind == 0, "socket {} is live, and {behind} behind", socket.name);
        if lagging && !was_lagging {
            // Whether it fell behind before is not to be seen any more.
            socket.was.lagging = true;
            self.slack.lags += u64::from(socket.open_ears_in(room).next().is_some());
        }
        // What was published before is for the subscription as it was, if it was live.
        socket.notice_failure(&self.hub);
        let alone = socket.open_ears_in(room).count() == 1;
        let live = socket.ending.is_none() && (!lagging || (!socket.was.held && alone));
        self.close_ear(who, room, form, if live { published } else { 0 });
        self.open_ear(who, room, form, cursor);
        let socket = &mut self.sockets[who];
        let ear = socket.open_ear(room_id(room), form).expect("it was just opened");
        (ear.since, ear.watches) = (head, watches);
        self.moved[room] = true;
        self.note_people();
        if watches {
            self.people.watch(&self.hub, &self.sockets[who], room, form);
        }
    }

    pub(super) fn unsubscribe(&mut self, who: usize, room: usize) {
        let form = self.form(room);
        self.hub.unsubscribe(self.sockets[who].id, room_id(room), form);
        self.close_ear(who, room, form, 0);
        self.note_people();
    }

    pub(super) fn register(&mut self, who: usize, user: UserId) {
        let owner = self.login(user, 0);
        let registration = match self.dice.below(8) {
            0 => Registration::None,
            1 => Registration::Anonymous,
            _ => Registration::As(owner.user, owner.token),
        };
        let room = SHARED + user.0 as usize - 1;
        let cursor = self.logs[room].head;
        self.note(|| format!("  registers: {registration:?}"));
        self.hub.register(self.sockets[who].id, registration, cursor);
        let before = std::mem::replace(&mut self.sockets[who].registration, registration);
        let inbox = |registration| match registration {
            Registration::As(user, _) => Some(index(RoomId::inbox(user))),
            _ => None,
        };
        if inbox(before) != inbox(registration) {
            inbox(before).into_iter().for_each(|room| self.close_ear(who, room, Form::User, 0));
            inbox(registration).into_iter().for_each(|room| self.open_ear(who, room, Form::User, cursor));
        }
        self.note_people();
    }

    /// From here on a socket hears a room in a form, if it did not already.
    pub(super) fn open_ear(&mut self, who: usize, room: usize, form: Form, cursor: i64) {
        self.moved[room] = true;
        let socket = &mut self.sockets[who];
        let (from, room) = (socket.handed(&self.hub), room_id(room));
        if socket.open_ear(room, form).is_none() {
            socket.was.cursors.push((room, form, cursor));
            let (since, heard) = (cursor, cursor);
            socket.ears.push(Ear { room, form, since, watches: false, heard, from, until: None });
        }
    }

    /// From here on it does not; until here it has to have heard everything up to `must`.
    pub(super) fn close_ear(&mut self, who: usize, room: usize, form: Form, must: i64) {
        self.moved[room] = true;
        let published = self.logs[room].published;
        let socket = &mut self.sockets[who];
        let handed = socket.handed(&self.hub);
        if let Some(ear) = socket.open_ear(room_id(room), form) {
            ear.until = Some((handed, must));
            // How far it came in this very step is not to be seen any more.
            let cursor = socket.was.forget(room_id(room), form).unwrap_or(published);
            self.slack.deliveries += (published - cursor).max(0) as u64;
        }
    }

    // Speaking and ending.

    pub(super) fn send(&mut self, who: usize) {
        let socket = &mut self.sockets[who];
        if socket.phase != Phase::Serving {
            return;
        }
        let most = if self.dice.chance(10) { 200 } else { 40 };
        let frame = reply(socket.replies.0 + 1, self.dice.below(most));
        let waiting = socket.waiting(&self.hub);
        self.hub.send(socket.id, &frame);
        if socket.ending.is_none() {
            match waiting + frame.len() <= self.outbox_bytes {
                true => socket.replies.0 += 1,
                false => socket.ending = Some(Ending::TooSlow),
            }
        }
    }

    pub(super) fn end_some(&mut self, user: UserId) {
        self.stirred = true;
        let (token, ending) = (self.login(user, 0).token, Ending::Close(1001, "some"));
        let which: &dyn Fn(UserId, TokenId) -> bool = match self.dice.below(7) {
            0..=2 => {
                self.hub.end_user(user, ending);
                &|who, _| who == user
            }
            3..=5 => {
                self.hub.end_token(token, ending);
                &|_, by| by == token
            }
            _ => {
                self.hub.end_all(ending);
                self.batch = [0; ROOMS];
                self.sockets.iter_mut().for_each(|socket| socket.notice_failure(&self.hub));
                self.sockets.iter_mut().for_each(|socket| _ = socket.ending.get_or_insert(ending));
                return;
            }
        };
        for who in 0..self.sockets.len() {
            let socket = &mut self.sockets[who];
            if socket.owner.is_some_and(|owner| which(owner.user, owner.token)) {
                socket.ending.get_or_insert(ending);
            }
            // It stays open, and hears no more notifications.
            if let Registration::As(user, token) = socket.registration {
                if which(user, token) {
                    socket.registration = Registration::Anonymous;
                    self.close_ear(who, index(RoomId::inbox(user)), Form::User, 0);
                }
            }
        }
        self.note_people();
    }

    pub(super) fn beat(&mut self) {
        self.stirred = true;
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
                    socket.allowance = (2, 2);
                }
            }
        }
        assert_eq!(self.hub.beat(now, Duration::from_secs(3600)), expected);
    }

    pub(super) fn leave(&mut self, who: usize, graceful: bool) {
        let mut socket = self.sockets.remove(who);
        // Its place is another's now.
        self.acting = None;
        self.note(|| format!("  socket {} leaves", socket.name));
        socket.read();
        let mut is = Was::of(&socket.pipe, &self.hub.state.borrow().sessions[socket.id.0]);
        is.cursors = self.hub.cursors(socket.id);
        is.count_since(&socket.was, &mut self.counters);
        self.hub.leave(socket.id, graceful);
        self.moved = [true; ROOMS];
        self.counters.open -= 1;
        *(if graceful { &mut self.counters.graceful } else { &mut self.counters.forced }) += 1;
        self.note_people();
    }
}
