//! Who is where: people, counted from the sockets that listen.
//!
//! A person is in a room while any socket of theirs listens to it, in whatever form. Coming is told at
//! once, going after a grace in which the last socket may come back. Only rooms in which somebody
//! watches are looked at. What the hub knows are numbers; names are the business of `api`.

use crate::domain::{RoomId, UserId, Whisper};
use crate::hub::{Form, Hub, Session, SessionId, State};
use std::{
    collections::VecDeque,
    mem,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// How long somebody may be gone before it is told.
const GRACE: Duration = Duration::from_secs(5);

/// Somebody who can be somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// In the order in which their grace ends.
    leaving: VecDeque<(Instant, RoomId, Being)>,
    /// While a subscription is replaced nobody comes or goes.
    paused: bool,
    /// Waits for somebody to leave.
    task: Option<Waker>,
}

impl Presence {
    pub(super) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Forgets a room that nobody listens to any more.
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
        let mut present: Vec<Being> = Vec::new();
        let here = found.subscriptions.iter().filter_map(|listed| state.being(listed.session));
        // Those in their grace are still there for everybody who watches.
        let leaving = state.presence.leaving.iter().filter(|(_, left, _)| *left == room);
        for being in here.chain(leaving.map(|(_, _, being)| being.clone())) {
            if !present.contains(&being) {
                present.push(being);
            }
        }
        present
    }

    /// A watched room's name on the wire.
    pub fn channel(&self, room: RoomId) -> Option<Arc<str>> {
        self.state.borrow().rooms.get(&room)?.channel.clone()
    }

    /// Who has come into a watched room since this was last asked.
    pub fn take_arrivals(&self) -> Vec<(RoomId, Being)> {
        mem::take(&mut self.state.borrow_mut().presence.arrived)
    }

    /// When the next grace ends. The task is woken when there is one.
    pub fn poll_departure(&self, context: &mut Context<'_>) -> Poll<Instant> {
        let mut state = self.state.borrow_mut();
        match state.presence.leaving.front() {
            Some((due, ..)) => Poll::Ready(*due),
            None => {
                state.presence.task = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Who is gone for good, as of now.
    pub fn take_departures(&self, now: Instant) -> Vec<(RoomId, Being)> {
        let mut state = self.state.borrow_mut();
        let leaving = &mut state.presence.leaving;
        let due = leaving.iter().take_while(|(due, ..)| *due <= now).count();
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
            let mut frame = Vec::new();
            let mut shared = None;
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
                if !concerned || session.lagging || session.outbox.bytes() > self.outbox_bytes {
                    continue;
                }
                if frame.is_empty() {
                    (self.render.whisper)(form, whisper, &mut frame);
                }
                session.write(&frame, &mut shared);
                counters.whispers += 1;
                traffic.bytes += frame.len() as u64;
            }
        }
    }
}

impl State {
    fn being(&self, session: usize) -> Option<Being> {
        self.sessions.get(session).and_then(|found| being(session, found))
    }

    fn is_here(&self, room: RoomId, being: &Being) -> bool {
        let Some(room) = self.rooms.get(&room) else { return false };
        room.subscriptions.iter().any(|listed| self.being(listed.session).as_ref() == Some(being))
    }

    fn is_watched(&self, room: RoomId) -> bool {
        !self.presence.paused && self.rooms.get(&room).is_some_and(|room| room.watchers > 0)
    }

    /// Called before a socket begins to listen.
    pub(super) fn note_arrival(&mut self, room: RoomId, session: usize) {
        if !self.is_watched(room) {
            return;
        }
        let Some(being) = self.being(session) else { return };
        if !self.presence.stay(room, &being) && !self.is_here(room, &being) {
            self.presence.arrived.push((room, being));
        }
    }

    /// Called after a socket has stopped listening.
    pub(super) fn note_departure(&mut self, room: RoomId, session: usize) {
        if !self.is_watched(room) {
            return;
        }
        let Some(being) = self.being(session) else { return };
        if self.is_here(room, &being) {
            return;
        }
        self.presence.leaving.push_back((Instant::now() + GRACE, room, being));
        if let Some(task) = self.presence.task.take() {
            task.wake();
        }
    }
}

fn being(key: usize, session: &Session) -> Option<Being> {
    match (&session.owner, &session.nickname) {
        (Some(owner), _) => Some(Being::Person(owner.user)),
        (None, Some(nickname)) => Some(Being::Guest(SessionId(key), nickname.clone())),
        (None, None) => None,
    }
}
