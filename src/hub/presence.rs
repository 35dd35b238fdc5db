//! Who is where: people, counted from the sockets that listen.
//!
//! A person is in a room while any socket of theirs listens to it, in whatever form. Coming is told at
//! once, going after a grace in which the last socket may come back. Only rooms in which somebody
//! watches are looked at. What the hub knows are numbers; names are the business of `api`.

use crate::domain::{RoomId, UserId, Whisper};
use crate::hub::{Form, Hub, Session, SessionId, State};
use std::{
    collections::{HashSet, VecDeque},
    mem,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// How long somebody may be gone before it is told.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// Somebody who can be somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Being {
    /// A person, however many sockets they have.
    Person(UserId),
    /// Somebody without a login, who is there once for each socket.
    Guest(SessionId, Rc<str>),
}

/// Who has come and who is about to be gone.
#[derive(Default)]
pub struct Presence {
    arrived: Vec<(RoomId, Being)>,
    /// In the order in which their grace ends; it begins with the end of the turn in which they left.
    leaving: VecDeque<(Option<Instant>, RoomId, Being)>,
    /// Waits for somebody to leave.
    task: Option<Waker>,
}

impl Presence {
    /// Forgets who came and went in a room.
    pub(super) fn forget(&mut self, room: RoomId) {
        self.arrived.retain(|(arrived, _)| *arrived != room);
        self.leaving.retain(|(_, left, _)| *left != room);
    }

    fn stay(&mut self, room: RoomId, being: &Being) -> bool {
        let found = self.leaving.iter().position(|(_, left, leaving)| *left == room && leaving == being);
        found.and_then(|position| self.leaving.remove(position)).is_some()
    }
}

/// Whom a whisper is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<'a> {
    /// Everybody who listens in one of these forms, but not in `Payload` on the socket it came from.
    Listeners(&'static [Form], Option<SessionId>),
    /// Those who are told who comes and goes, but not the one it is about.
    Watchers(&'a Being),
}

impl Hub {
    /// Who is in a room, in no order.
    pub fn present(&self, room: RoomId) -> Vec<Being> {
        let state = self.state.borrow();
        let Some(found) = state.rooms.get(&room) else { return Vec::new() };
        let mut known = HashSet::new();
        let here = found.subscriptions.iter().filter_map(|listed| state.being(listed.session));
        // Those in their grace are still there for everybody who watches.
        let leaving = state.presence.leaving.iter().filter(|(_, left, _)| *left == room);
        here.chain(leaving.map(|(_, _, being)| being.clone()))
            .filter(|being| known.insert(being.clone()))
            .collect()
    }

    /// How many subscriptions a room has.
    pub fn listeners(&self, room: RoomId) -> usize {
        self.state.borrow().rooms.get(&room).map_or(0, |room| room.subscriptions.len())
    }

    /// A watched room's name on the wire.
    pub fn channel(&self, room: RoomId) -> Option<Arc<str>> {
        self.state.borrow().rooms.get(&room)?.channel.clone()
    }

    /// The rooms of which a socket has to be told anew who is there, because it was behind when somebody came or
    /// went.
    pub fn take_missed_presence(&self, session: SessionId) -> Vec<RoomId> {
        let mut state = self.state.borrow_mut();
        if !mem::take(&mut state.sessions[session.0].missed_presence) {
            return Vec::new();
        }
        let listens = state.sessions[session.0].subscriptions.iter();
        let watched = listens.filter(|(room, form)| {
            state.find(session.0, *room, *form).is_some_and(|subscription| subscription.watches)
        });
        watched.map(|(room, _)| *room).collect()
    }

    /// Who has come into a watched room since this was last asked. The grace of those who left since then begins
    /// `now`.
    pub fn take_arrivals(&self, now: Instant) -> Vec<(RoomId, Being)> {
        let presence = &mut self.state.borrow_mut().presence;
        for (due, ..) in presence.leaving.iter_mut().rev().take_while(|(due, ..)| due.is_none()) {
            *due = Some(now + GRACE);
        }
        if let Some(task) = presence.task.take_if(|_| !presence.leaving.is_empty()) {
            task.wake();
        }
        mem::take(&mut presence.arrived)
    }

    /// When the next grace ends. The task is woken when there is one.
    pub fn poll_departure(&self, context: &mut Context<'_>) -> Poll<Instant> {
        let mut state = self.state.borrow_mut();
        match state.presence.leaving.front() {
            Some((Some(due), ..)) => Poll::Ready(*due),
            _ => {
                state.presence.task = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Who is gone for good, as of `now`.
    pub fn take_departures(&self, now: Instant) -> Vec<(RoomId, Being)> {
        let mut state = self.state.borrow_mut();
        let leaving = &mut state.presence.leaving;
        let due = leaving.iter().take_while(|(due, ..)| due.is_some_and(|due| due <= now)).count();
        leaving.drain(..due).map(|(_, room, being)| (room, being)).collect()
    }

    /// Tells a room what is going on. A socket that is behind does not hear of it; nothing of it is kept.
    pub fn whisper(&self, whisper: &Whisper, audience: Audience<'_>) {
        let mut state = self.state.borrow_mut();
        // What happened before is told before.
        state.flush_room(whisper.room);
        let State { sessions, rooms, counters, traffic, .. } = &mut *state;
        let Some(room) = rooms.get(&whisper.room) else { return };
        for form in Form::ALL {
            let (mut frame, mut shared) = (None, None);
            for listed in room.subscriptions.iter().filter(|listed| listed.form == form) {
                let concerned = match audience {
                    Audience::Watchers(about) => {
                        let own = being(listed.session, &sessions[listed.session]).as_ref() == Some(about);
                        listed.watches && !own
                    }
                    Audience::Listeners(forms, from) => {
                        let own = form == Form::Payload && from == Some(SessionId(listed.session));
                        forms.contains(&form) && !own
                    }
                };
                let session = &mut sessions[listed.session];
                if concerned && session.lagging && matches!(audience, Audience::Watchers(_)) {
                    session.missed_presence = true;
                }
                if !concerned || session.lagging || session.outbox.bytes() > self.outbox_bytes {
                    continue;
                }
                let frame = frame.get_or_insert_with(|| {
                    let mut frame = Vec::new();
                    (self.render.whisper)(form, whisper, &mut frame);
                    frame
                });
                let told = session.write(frame, &mut shared);
                counters.whispers += u64::from(told > 0);
                traffic.bytes += told;
            }
        }
    }
}

impl State {
    fn being(&self, session: usize) -> Option<Being> {
        self.sessions.get(session).and_then(|found| being(session, found))
    }

    fn is_watched(&self, room: RoomId) -> bool {
        self.rooms.get(&room).is_some_and(|room| room.watchers > 0)
    }

    /// Who comes and goes while nobody watches is not kept, so what was kept would not be true any more.
    pub(super) fn forget_if_unwatched(&mut self, room: RoomId) {
        if !self.is_watched(room) {
            self.presence.forget(room);
        }
    }

    /// Called before a socket begins to listen.
    pub(super) fn note_arrival(&mut self, room: RoomId, session: usize) {
        if let Some(being) = self.being(session) {
            self.come(room, being, None);
        }
    }

    /// Called after a socket has stopped listening.
    pub(super) fn note_departure(&mut self, room: RoomId, session: usize) {
        if let Some(being) = self.being(session) {
            self.go(room, being);
        }
    }

    /// Makes a socket somebody else's. In its rooms somebody comes with that, and somebody goes.
    pub(super) fn turn_into(&mut self, session: usize, change: impl FnOnce(&mut Session)) {
        let before = self.being(session);
        change(&mut self.sessions[session]);
        let after = self.being(session);
        if before == after {
            return;
        }
        let subscriptions = self.sessions[session].subscriptions.iter();
        let mut rooms: Vec<RoomId> = subscriptions.map(|(room, _)| *room).collect();
        rooms.sort_unstable();
        rooms.dedup();
        for room in rooms {
            after.iter().for_each(|being| self.come(room, being.clone(), Some(session)));
            before.iter().for_each(|being| self.go(room, being.clone()));
        }
    }

    /// Whoever has not been there comes; `with` is the socket that makes the difference.
    fn come(&mut self, room: RoomId, being: Being, with: Option<usize>) {
        let here = |state: &State| state.is_here(room, &being, with);
        if self.is_watched(room) && !self.presence.stay(room, &being) && !here(self) {
            self.presence.arrived.push((room, being));
        }
    }

    /// Whoever is there no longer goes.
    fn go(&mut self, room: RoomId, being: Being) {
        if self.is_watched(room) && !self.is_here(room, &being, None) {
            self.presence.leaving.push_back((None, room, being));
        }
    }

    /// Whether a socket of somebody, other than this one, listens to a room.
    fn is_here(&self, room: RoomId, being: &Being, but: Option<usize>) -> bool {
        let Some(room) = self.rooms.get(&room) else { return false };
        let mut others = room.subscriptions.iter().filter(|listed| Some(listed.session) != but);
        others.any(|listed| self.being(listed.session).as_ref() == Some(being))
    }
}

fn being(key: usize, session: &Session) -> Option<Being> {
    match (&session.owner, &session.nickname) {
        (Some(owner), _) => Some(Being::Person(owner.user)),
        (None, Some(nickname)) => Some(Being::Guest(SessionId(key), nickname.clone())),
        (None, None) => None,
    }
}
