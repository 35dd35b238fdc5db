//! The live rooms: who listens where, and how what happened gets to them.
//!
//! One plain `RefCell`, borrowed only inside this folder's functions, none of which waits or calls
//! back. Publishing promises this: each subscription is sent each event of its room once, in the
//! order of `seq`, from its cursor on. Events of one turn of the loop are collected per room and
//! form and go out as one write per listener when the turn ends.
//!
//! A slow reader costs no memory: when a socket does not take everything it is marked lagging and
//! gets nothing more until it has drained; then its session reads what it missed from the log, by
//! its cursors, and is live again. What a frame looks like is none of the hub's business: forms are
//! rendered by the function it was made with. It has never met the store.

mod beat;
mod census;
mod outbox;
mod presence;
mod session;
#[cfg(test)]
mod simulation;
mod tally;

use crate::domain::{Event, Permits, RoomId, TokenId, UserId, Whisper};
use session::Session;
use slab::Slab;
use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

pub use beat::Beat;
pub use census::Registration;
pub use presence::{Audience, Being, Presence};
pub use tally::{Counters, Gauges, Traffic};

/// A wire grammar that subscriptions are told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// The diary's own clients: `deuce_logged`.
    Group = 0,
    /// Notification clients: `notification_received`.
    User = 1,
    /// The envelope `{type, payload}`, and the native protocol.
    Payload = 2,
    /// Chat pages whose room is in the URL.
    Path = 3,
    /// Flat frames with a `topic`.
    Flat = 4,
}

impl Form {
    const ALL: [Form; FORMS] = [Form::Group, Form::User, Form::Payload, Form::Path, Form::Flat];
}

const FORMS: usize = 5;

/// What a socket that catches up is sent at a time, about.
const REPLAY_BYTES: usize = 32 << 10;

/// How what happens becomes frames, complete with their headers. Nothing is appended where a form has no
/// word for it.
#[derive(Clone, Copy)]
pub struct Render {
    /// The frame of an event.
    pub event: fn(Form, &Event, &mut Vec<u8>),
    /// The frame of what is merely going on.
    pub whisper: fn(Form, &Whisper, &mut Vec<u8>),
}

/// Where a session's bytes go.
pub trait Sink {
    /// Takes what fits now.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits; anything else means that the peer is gone.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

impl Sink for crate::io::Stream {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        crate::io::Stream::try_write(self, bytes)
    }
}

/// A live socket in the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(usize);

/// Whose socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The person.
    pub user: UserId,
    /// The login that opened it; it ends with the login.
    pub token: TokenId,
    /// What the login may do at most, if it is a device's. The hub itself does not judge.
    pub permits: Option<Permits>,
    /// Whether it hears every group of the person without asking.
    pub follows: bool,
}

/// Why a session has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Say this close code and reason, then part.
    Close(u16, &'static str),
    /// It could not be told what it should have been, because it took too little for too long.
    TooSlow,
    /// The peer is gone or dead; nothing can be said.
    Gone,
}

/// What a session's task has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// End.
    End(Ending),
    /// Bytes wait for the socket to become writable.
    Pump,
    /// Everything waiting was sent, but events were passed over: read them from the log.
    CatchUp,
}

struct Subscription {
    session: usize,
    form: Form,
    /// The room's head when it was made.
    since: i64,
    /// The last event it was sent, or that its socket still has to take.
    cursor: i64,
    /// Whether it is told who comes and goes.
    watches: bool,
}

#[derive(Default)]
struct Room {
    subscriptions: Vec<Subscription>,
    /// What happened in this turn: each event's number, and where its frame ends in each buffer.
    marks: Vec<(i64, [usize; FORMS])>,
    frames: [Vec<u8>; FORMS],
    listeners: [usize; FORMS],
    /// How many of them are told who comes and goes.
    watchers: usize,
    /// The name on the wire, for who watches.
    channel: Option<Arc<str>>,
}

#[derive(Default)]
struct State {
    sessions: Slab<Session>,
    rooms: HashMap<RoomId, Room>,
    dirty: Vec<RoomId>,
    presence: Presence,
    /// When the last round of pings went out.
    pinged: Option<Instant>,
    counters: Counters,
    traffic: Traffic,
}

/// The hub. One per process, on the loop's thread.
pub struct Hub {
    state: RefCell<State>,
    render: Render,
    outbox_bytes: usize,
}

impl Hub {
    /// A hub without rooms. At most `outbox_bytes` of replies wait for one socket.
    pub fn new(render: Render, outbox_bytes: u64) -> Hub {
        Hub { state: RefCell::default(), render, outbox_bytes: outbox_bytes as usize }
    }

    /// Takes in a socket.
    pub fn enter(&self, sink: Rc<dyn Sink>, owner: Option<Owner>) -> SessionId {
        let mut state = self.state.borrow_mut();
        state.counters.opened += 1;
        state.counters.open += 1;
        SessionId(state.sessions.insert(Session::new(sink, owner)))
    }

    /// Forgets a socket and everything it listened to.
    pub fn leave(&self, session: SessionId, graceful: bool) {
        let mut state = self.state.borrow_mut();
        for (room, form) in std::mem::take(&mut state.sessions[session.0].subscriptions) {
            state.drop_subscription(room, form, session.0);
        }
        state.sessions.remove(session.0);
        state.counters.open -= 1;
        *(if graceful { &mut state.counters.graceful } else { &mut state.counters.forced }) += 1;
    }

    /// Lets a socket listen to a room from after event `cursor` on. Asking twice changes nothing.
    ///
    /// The caller reads the room's head and calls this in the same turn of the loop; then no event
    /// falls between.
    pub fn subscribe(&self, session: SessionId, room: RoomId, form: Form, cursor: i64) {
        self.state.borrow_mut().subscribe(session.0, room, form, cursor);
    }

    /// Lets a socket listen to a room, called `channel` on the wire, anew: from after event `cursor`, which may
    /// lie behind the `head`, and told who comes and goes if it `watches`. What it missed comes from the log.
    pub fn resume(
        &self,
        session: SessionId,
        room: RoomId,
        form: Form,
        channel: &str,
        (cursor, head): (i64, i64),
        watches: bool,
    ) {
        let mut state = self.state.borrow_mut();
        // What was published before belongs to the subscription as it was.
        state.flush_room(room);
        state.subscribe(session.0, room, form, cursor);
        state.begin_anew(session.0, room, form, (cursor, head), watches);
        if let Some(room) = state.rooms.get_mut(&room) {
            room.channel.get_or_insert_with(|| Arc::from(channel));
        }
        if cursor < head && !state.sessions[session.0].lagging {
            let session = &mut state.sessions[session.0];
            session.lagging = true;
            session.wake();
        }
    }

    /// The room's head when a socket began to listen to it. Whatever happened up to there, it may listen.
    pub fn since(&self, session: SessionId, room: RoomId, form: Form) -> Option<i64> {
        self.state.borrow().find(session.0, room, form).map(|found| found.since)
    }

    /// Whether a socket listens to a room in a form.
    pub fn is_subscribed(&self, session: SessionId, room: RoomId, form: Form) -> bool {
        self.state.borrow().sessions[session.0].subscriptions.contains(&(room, form))
    }

    /// How many rooms a socket listens to, counted once for each form.
    pub fn count_subscriptions(&self, session: SessionId) -> u64 {
        self.state.borrow().sessions[session.0].subscriptions.len() as u64
    }

    /// Ends a subscription, if there is one.
    pub fn unsubscribe(&self, session: SessionId, room: RoomId, form: Form) {
        self.state.borrow_mut().unsubscribe(session.0, room, form);
    }

    /// Lets every socket that follows its person's groups listen to one more.
    pub fn follow(&self, user: UserId, room: RoomId, cursor: i64) {
        let mut state = self.state.borrow_mut();
        for session in state.sessions_where(|owner| owner.user == user && owner.follows) {
            state.subscribe(session, room, Form::Group, cursor);
        }
    }

    /// Takes a room from every socket of a person, because of event `seq`. What happened before still
    /// reaches them, except those that lag: they end, for they could not catch up with it any more.
    ///
    /// A socket that subscribed after that event was stored belongs to somebody who is back; it stays.
    pub fn unfollow(&self, user: UserId, room: RoomId, seq: i64) {
        let mut state = self.state.borrow_mut();
        state.flush_room(room);
        for session in state.sessions_where(|owner| owner.user == user) {
            for form in Form::ALL {
                if state.find(session, room, form).is_some_and(|found| found.since < seq) {
                    state.unsubscribe(session, room, form);
                    state.sessions[session].end_if_lagging();
                }
            }
        }
    }

    /// Empties a room. What happened before still reaches its listeners, except those that lag: they
    /// end, for they could not catch up with it any more.
    pub fn dissolve(&self, room: RoomId) {
        let mut state = self.state.borrow_mut();
        state.flush_room(room);
        state.presence.forget(room);
        let Some(gone) = state.rooms.remove(&room) else { return };
        for subscription in gone.subscriptions {
            let session = &mut state.sessions[subscription.session];
            session.subscriptions.retain(|(subscribed, _)| *subscribed != room);
            session.end_if_lagging();
        }
    }

    /// Ends the sockets of a login. Those that only registered with it hear no more notifications.
    pub fn end_token(&self, token: TokenId, ending: Ending) {
        self.end_where(ending, |owner| owner.token == token);
        self.state.borrow_mut().unregister_where(|_, registered| registered == token);
    }

    /// Ends the sockets of a person, as [`Hub::end_token`] does.
    pub fn end_user(&self, user: UserId, ending: Ending) {
        self.end_where(ending, |owner| owner.user == user);
        self.state.borrow_mut().unregister_where(|registered, _| registered == user);
    }

    fn end_where(&self, ending: Ending, which: impl Fn(&Owner) -> bool) {
        let mut state = self.state.borrow_mut();
        for session in state.sessions_where(which) {
            state.sessions[session].end(ending);
        }
    }

    /// Ends all sockets.
    pub fn end_all(&self, ending: Ending) {
        let mut state = self.state.borrow_mut();
        state.flush();
        state.sessions.iter_mut().for_each(|(_, session)| session.end(ending));
    }

    /// Ends one socket.
    pub fn end(&self, session: SessionId, ending: Ending) {
        self.state.borrow_mut().sessions[session.0].end(ending);
    }

    /// Tells a room what happened. The listeners are written to at the end of the turn.
    pub fn publish(&self, event: &Event) {
        let mut state = self.state.borrow_mut();
        let State { rooms, dirty, .. } = &mut *state;
        let Some(room) = rooms.get_mut(&event.room) else { return };
        if room.marks.is_empty() {
            dirty.push(event.room);
        }
        for form in Form::ALL {
            if room.listeners[form as usize] > 0 {
                (self.render.event)(form, event, &mut room.frames[form as usize]);
            }
        }
        let ends = std::array::from_fn(|form| room.frames[form].len());
        room.marks.push((event.seq, ends));
    }

    /// The rooms that somebody listens to.
    pub fn rooms(&self) -> Vec<RoomId> {
        self.state.borrow().rooms.keys().copied().collect()
    }

    /// Has the listeners of a room, whose newest event is `head`, read from the log what they have not been sent. What
    /// is published later and was read meanwhile is not sent twice: their cursors have passed it.
    pub fn catch_up(&self, room: RoomId, head: i64) {
        let mut state = self.state.borrow_mut();
        state.flush_room(room);
        let State { sessions, rooms, .. } = &mut *state;
        let behind = rooms.get(&room).into_iter().flat_map(|room| &room.subscriptions);
        for subscription in behind.filter(|subscription| subscription.cursor < head) {
            let session = &mut sessions[subscription.session];
            session.lagging = true;
            session.wake();
        }
    }

    /// Writes what was published in this turn.
    pub fn flush(&self) {
        self.state.borrow_mut().flush();
    }

    /// Sends a frame to one socket alone. One that takes nothing and has too much waiting is ended.
    pub fn send(&self, session: SessionId, frame: &[u8]) {
        let most = self.outbox_bytes;
        let State { sessions, traffic, .. } = &mut *self.state.borrow_mut();
        let session = &mut sessions[session.0];
        if session.outbox.bytes() + frame.len() > most {
            session.end(Ending::TooSlow);
        } else {
            traffic.bytes += session.write(frame, &mut None);
        }
    }

    /// Queues the last bytes a socket will be sent. It ends with that, if it was not ending.
    pub fn farewell(&self, session: SessionId, frame: &[u8]) {
        let session = &mut self.state.borrow_mut().sessions[session.0];
        session.end(Ending::Gone);
        session.outbox.push(Rc::from(frame), 0);
    }

    /// Notes a sign of life.
    pub fn heard_from(&self, session: SessionId) {
        let mut state = self.state.borrow_mut();
        if std::mem::replace(&mut state.sessions[session.0].alive, true) {
            return;
        }
        if let Some(pinged) = state.pinged {
            state.traffic.pongs += 1;
            state.traffic.pong_micros += pinged.elapsed().as_micros() as u64;
        }
    }

    /// What the session's task has to do. It is woken when there is another errand.
    pub fn poll_errand(&self, session: SessionId, context: &mut Context<'_>) -> Poll<Errand> {
        let mut state = self.state.borrow_mut();
        let session = &mut state.sessions[session.0];
        match &mut session.task {
            Some(waker) => waker.clone_from(context.waker()),
            task => *task = Some(context.waker().clone()),
        }
        match session.ending {
            Some(ending) => Poll::Ready(Errand::End(ending)),
            None if !session.outbox.is_empty() => Poll::Ready(Errand::Pump),
            None if session.lagging => Poll::Ready(Errand::CatchUp),
            None => Poll::Pending,
        }
    }

    /// Whether nothing waits for the socket to take it.
    pub fn has_taken_all(&self, session: SessionId) -> bool {
        self.state.borrow().sessions[session.0].outbox.is_empty()
    }

    /// Writes what waits for a socket; `true` when nothing waits any more.
    ///
    /// # Errors
    /// When the peer is gone.
    pub fn pump(&self, session: SessionId) -> io::Result<bool> {
        let mut state = self.state.borrow_mut();
        let session = &mut state.sessions[session.0];
        let before = session.outbox.bytes();
        let result = session.outbox.pump(&*session.sink);
        if session.outbox.bytes() < before {
            session.stuck_since = (!session.outbox.is_empty()).then(Instant::now);
        }
        result
    }

    /// Where a lagging socket stopped listening, room by room.
    pub fn cursors(&self, session: SessionId) -> Vec<(RoomId, Form, i64)> {
        let state = self.state.borrow();
        let subscriptions = &state.sessions[session.0].subscriptions;
        subscriptions
            .iter()
            .filter_map(|(room, form)| Some((*room, *form, state.find(session.0, *room, *form)?.cursor)))
            .collect()
    }

    /// Sends events from the log to a socket that fell behind, and moves its cursor past them. Stops
    /// after some 32 KiB, so that what waits for one socket stays small; says how many events it
    /// took.
    pub fn replay(&self, session: SessionId, form: Form, events: &[Event]) -> usize {
        let mut frames = Vec::new();
        let mut taken = 0;
        for event in events {
            (self.render.event)(form, event, &mut frames);
            taken += 1;
            if frames.len() >= REPLAY_BYTES {
                break;
            }
        }
        let Some(last) = events[..taken].last() else { return 0 };
        let mut state = self.state.borrow_mut();
        if let Some(subscription) = state.subscription(session.0, last.room, form) {
            let told = last.seq - std::mem::replace(&mut subscription.cursor, last.seq);
            state.counters.deliveries += told as u64;
            let State { sessions, traffic, .. } = &mut *state;
            traffic.bytes += sessions[session.0].write(&frames, &mut None);
        }
        taken
    }

    /// Takes a socket that has caught up back among the live ones.
    pub fn caught_up(&self, session: SessionId) {
        self.state.borrow_mut().sessions[session.0].lagging = false;
    }

    /// Pings every socket, and ends those that showed no sign of life since the last ping or have
    /// taken nothing for `patience`.
    pub fn beat(&self, now: Instant, patience: Duration) -> Beat {
        beat::beat(&mut self.state.borrow_mut(), now, patience)
    }
}

impl State {
    fn sessions_where(&self, which: impl Fn(&Owner) -> bool) -> Vec<usize> {
        let owned = self.sessions.iter().filter(|(_, session)| session.owner.as_ref().is_some_and(&which));
        owned.map(|(key, _)| key).collect()
    }

    fn subscribe(&mut self, session: usize, room: RoomId, form: Form, cursor: i64) {
        if self.sessions[session].subscriptions.contains(&(room, form)) {
            return;
        }
        self.note_arrival(room, session);
        self.sessions[session].subscriptions.push((room, form));
        let room = self.rooms.entry(room).or_default();
        room.listeners[form as usize] += 1;
        room.subscriptions.push(Subscription { session, form, since: cursor, cursor, watches: false });
    }

    /// Sets a subscription to another place. Nobody comes or goes with that.
    fn begin_anew(
        &mut self,
        session: usize,
        id: RoomId,
        form: Form,
        (cursor, head): (i64, i64),
        watches: bool,
    ) {
        let Some(subscription) = self.subscription(session, id, form) else { return };
        (subscription.cursor, subscription.since) = (cursor, head);
        let watched = std::mem::replace(&mut subscription.watches, watches);
        if watched != watches {
            let Some(room) = self.rooms.get_mut(&id) else { return };
            if watches {
                room.watchers += 1
            } else {
                room.watchers -= 1
            }
            self.forget_if_unwatched(id);
        }
    }

    /// Ends a subscription; `true` if there was one.
    fn unsubscribe(&mut self, session: usize, room: RoomId, form: Form) {
        let subscriptions = &mut self.sessions[session].subscriptions;
        if let Some(position) = subscriptions.iter().position(|listed| *listed == (room, form)) {
            subscriptions.swap_remove(position);
            self.drop_subscription(room, form, session);
        }
    }

    /// The room's half of a subscription.
    fn drop_subscription(&mut self, id: RoomId, form: Form, session: usize) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let found =
            room.subscriptions.iter().position(|listed| listed.session == session && listed.form == form);
        if let Some(position) = found {
            let gone = room.subscriptions.swap_remove(position);
            room.listeners[form as usize] -= 1;
            room.watchers -= usize::from(gone.watches);
        }
        if room.subscriptions.is_empty() {
            self.rooms.remove(&id);
        }
        self.forget_if_unwatched(id);
        self.note_departure(id, session);
    }

    fn subscription(&mut self, session: usize, room: RoomId, form: Form) -> Option<&mut Subscription> {
        let room = self.rooms.get_mut(&room)?;
        room.subscriptions.iter_mut().find(|listed| listed.session == session && listed.form == form)
    }

    fn find(&self, session: usize, room: RoomId, form: Form) -> Option<&Subscription> {
        let room = self.rooms.get(&room)?;
        room.subscriptions.iter().find(|listed| listed.session == session && listed.form == form)
    }

    fn flush(&mut self) {
        while let Some(room) = self.dirty.pop() {
            self.flush_room(room);
        }
    }

    fn flush_room(&mut self, room: RoomId) {
        let State { sessions, rooms, counters, traffic, .. } = self;
        let Some(room) = rooms.get_mut(&room) else { return };
        let (Some(first), Some(last)) = (room.marks.first(), room.marks.last()) else { return };
        let (first, last) = (first.0, last.0);
        // One copy per form for everyone who has to wait for the whole batch.
        let mut shared: [Option<Rc<[u8]>>; FORMS] = Default::default();
        for subscription in &mut room.subscriptions {
            let session = &mut sessions[subscription.session];
            if session.ending.is_some() {
                continue;
            }
            // Behind already, or, as it should never be, missing something: the log knows.
            if session.lagging || !session.outbox.is_empty() || subscription.cursor < first - 1 {
                if !session.lagging {
                    counters.lags += 1;
                    session.lagging = true;
                    session.wake();
                }
                continue;
            }
            let frames = &room.frames[subscription.form as usize];
            traffic.bytes += if subscription.cursor < first {
                session.write(frames, &mut shared[subscription.form as usize])
            } else {
                // Joined between the commit and now: the events up to its cursor are known to it.
                let known = room.marks.iter().take_while(|(seq, _)| *seq <= subscription.cursor).last();
                let begin = known.map_or(0, |(_, ends)| ends[subscription.form as usize]);
                session.write(&frames[begin..], &mut None)
            };
            counters.deliveries += (last - subscription.cursor).max(0) as u64;
            subscription.cursor = subscription.cursor.max(last);
        }
        room.marks.clear();
        for frames in &mut room.frames {
            // A burst must not be remembered for ever in the size of its buffer.
            if frames.capacity() > 64 << 10 { *frames = Vec::new() } else { frames.clear() }
        }
    }
}
