//! One live socket: bytes in, commands to the core; the hub's bytes out; and a proper end.
//!
//! The WebSocket library sees bytes, never the socket: what it wants to send (pongs, the answer to
//! a close) goes through the same outbox as everything else, so that frames never interleave. No
//! other file names its types.

use crate::api::{
    App,
    meter::By,
    room::{self, Progress},
    token,
};
use crate::hub::{Ending, Errand, Owner, Registration, SessionId};
use crate::io::{Stream, net::SCRATCH_BYTES, sleep_until, timeout};
use crate::ws::close::{self, Violation};
use crate::ws::frame;
use crate::ws::gate::Gate;
use crate::ws::rate::Budget;
use crate::ws::talk::Talk;
use crate::ws::{Endpoint, Greeting};
use async_tungstenite::tungstenite::{
    Error as Broken, Message,
    protocol::{Role, WebSocketConfig, WebSocketContext},
};
use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io::{self, Read, Write},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

thread_local! {
    /// A protocol that nobody is using. Nearly every message comes in one piece, so one is enough.
    static SPARE: Cell<Option<Box<WebSocketContext>>> = const { Cell::new(None) };
}

/// How long a peer may take to part.
const PARTING: Duration = Duration::from_secs(2);

/// How a session came to its end.
enum Leave {
    /// The close handshake is done, or the peer ended its stream.
    Orderly,
    /// The server ends it.
    Ended(Ending),
}

/// What a session's task wakes up for.
enum Next {
    Errand(Errand),
    Readable,
    /// An answer was sent.
    Answered,
    /// The socket has kept silent and is to be greeted.
    Greeting,
}

struct Session {
    app: Rc<App>,
    stream: Rc<Stream>,
    id: SessionId,
    talk: Talk,
    gate: Gate,
    /// There while a message is coming in; between messages it would only take up room.
    protocol: Option<Box<WebSocketContext>>,
    budget: Budget,
    /// The answer to the newest ping, for when the socket takes something again.
    pong: Vec<u8>,
    graceful: bool,
}

/// What becomes a socket.
pub struct Opening<P, A> {
    /// The connection.
    pub stream: Stream,
    /// The handshake's answer, to be sent first.
    pub answer: Vec<u8>,
    /// What came with the handshake's request.
    pub read_ahead: Vec<u8>,
    /// Whose socket it is, if anybody's.
    pub owner: Option<Owner>,
    /// What kind of clients come to its path.
    pub endpoint: Endpoint,
    /// What it is told first.
    pub greeting: Greeting,
    /// Whether it may talk without a login.
    pub guest: bool,
    /// Kept until the socket has ended.
    pub place: P,
    /// Kept until the socket is somebody's.
    pub anonymous_place: A,
}

/// Serves a socket from the handshake's answer to its end. The answer is sent, and the socket in the hub, when
/// this returns; the rest is the future's.
///
/// A block and not an `async fn`, because of that the arguments would be kept beside what is made of them: there
/// are thousands of these at rest.
pub fn run<P: 'static, A: 'static>(app: Rc<App>, opening: Opening<P, A>) -> impl Future<Output = ()> {
    let Opening { stream, answer, read_ahead, owner, endpoint, greeting, guest, place, anonymous_place } =
        opening;
    let stream = Rc::new(stream);
    let id = app.hub.enter(stream.clone(), owner);
    // The answer first, then the subscriptions: no event can come before it.
    app.hub.send(id, &answer);
    let talk = Talk::new(app.clone(), id, endpoint, guest);
    let mut session = Session {
        budget: Budget::new(app.limits().frames_per_second, app.limits().frames_burst),
        gate: Gate::new(longest_message(&app, owner.is_some())),
        protocol: None,
        pong: Vec::new(),
        graceful: false,
        app,
        stream,
        id,
        talk,
    };
    let mut leave = session.begin(owner, greeting, &read_ahead);
    let mut anonymous_place = Some(anonymous_place);
    async move {
        let _place = &place;
        let leave = loop {
            if anonymous_place.is_some() && session.is_somebodys() {
                anonymous_place = None;
                session.gate.set_most(longest_message(&session.app, true));
            }
            if let Some(leave) = leave {
                break leave;
            }
            leave = session.turn().await;
        };
        Box::pin(session.part(leave)).await;
    }
}

fn longest_message(app: &App, known: bool) -> u64 {
    match known {
        true => app.limits().frame_bytes,
        false => app.limits().anonymous_frame_bytes.min(app.limits().frame_bytes),
    }
}

/// Every field has a value: the library's own defaults cost 128 KiB a socket.
fn config(frame_bytes: u64) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(1024)
        .write_buffer_size(0)
        .max_write_buffer_size(64 << 10)
        .max_message_size(Some(frame_bytes as usize))
        .max_frame_size(Some(frame_bytes as usize))
}

impl Session {
    fn begin(&mut self, owner: Option<Owner>, greeting: Greeting, read_ahead: &[u8]) -> Option<Leave> {
        if let Some(owner) = owner {
            match token::is_good(&self.app, owner.token) {
                Ok(true) => {}
                Ok(false) => return Some(Leave::Ended(close::LOGGED_OUT)),
                Err(error) => return Some(failed(&error)),
            }
        }
        if let Some(owner) = owner.filter(|owner| owner.follows) {
            if let Err(error) = room::join_all(&self.app, self.id, owner.user) {
                return Some(failed(&error));
            }
        }
        if let Err(error) = self.talk.begin(greeting, self.gate.most()) {
            return Some(failed(&error));
        }
        self.feed(read_ahead)
    }

    /// Whether the socket has a login by now, or has registered with one.
    fn is_somebodys(&self) -> bool {
        self.app.hub.owner(self.id).is_some()
            || matches!(self.app.hub.registration(self.id), Registration::As(..))
    }

    /// Waits for something to do, and does it.
    async fn turn(&mut self) -> Option<Leave> {
        match self.next().await {
            Next::Errand(Errand::End(ending)) => Some(Leave::Ended(ending)),
            Next::Errand(Errand::Pump) => self.pump(),
            Next::Errand(Errand::CatchUp) => self.catch_up().await,
            Next::Readable => self.read().await,
            Next::Greeting => {
                self.talk.greet();
                None
            }
            Next::Answered => None,
        }
    }

    /// Waits for something to do.
    async fn next(&mut self) -> Next {
        let Session { app, id, stream, talk, budget, .. } = self;
        let rest = budget.empty_until();
        let mut rested = pin!(sleep_until(rest.unwrap_or_else(Instant::now)));
        let greeting = talk.greeting_due();
        let mut silent = pin!(sleep_until(greeting.unwrap_or_else(Instant::now)));
        poll_fn(|context| {
            match app.hub.poll_errand(*id, context) {
                Poll::Ready(Errand::Pump) if stream.poll_writable(context).is_pending() => {}
                Poll::Ready(errand) => return Poll::Ready(Next::Errand(errand)),
                Poll::Pending => {}
            }
            if talk.poll_answers(context).is_ready() {
                return Poll::Ready(Next::Answered);
            }
            if greeting.is_some() && silent.as_mut().poll(context).is_ready() {
                return Poll::Ready(Next::Greeting);
            }
            if talk.is_full() || (rest.is_some() && rested.as_mut().poll(context).is_pending()) {
                return Poll::Pending;
            }
            stream.poll_readable(context).map(|()| Next::Readable)
        })
        .await
    }

    fn pump(&mut self) -> Option<Leave> {
        match self.app.hub.pump(self.id) {
            Ok(true) if !self.pong.is_empty() => {
                self.app.hub.send(self.id, &std::mem::take(&mut self.pong));
                None
            }
            Ok(_) => None,
            Err(_) => Some(Leave::Ended(Ending::Gone)),
        }
    }

    async fn catch_up(&mut self) -> Option<Leave> {
        match room::catch_up(&self.app, self.id) {
            Ok(Progress::Done) => self.talk.tell_missed_presence().err().map(|error| failed(&error)),
            Ok(Progress::More) => {
                smol::future::yield_now().await;
                None
            }
            Ok(Progress::TooLate) => Some(Leave::Ended(close::MISSED_TOO_MUCH)),
            Err(error) => Some(failed(&error)),
        }
    }

    /// Reads once and handles what came.
    async fn read(&mut self) -> Option<Leave> {
        let stream = self.stream.clone();
        let (leave, count) = match stream.try_take(|bytes| (self.feed(bytes), bytes.len())) {
            Ok((_, 0)) => return Some(Leave::Orderly),
            Ok(taken) => taken,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return None;
            }
            Err(_) => return Some(Leave::Ended(Ending::Gone)),
        };
        if count == SCRATCH_BYTES {
            // Whoever sends without end does so between the others' turns.
            smol::future::yield_now().await;
        }
        leave
    }

    /// Hands bytes to the protocol and acts on the messages they complete.
    fn feed(&mut self, bytes: &[u8]) -> Option<Leave> {
        if bytes.is_empty() {
            return None;
        }
        self.app.hub.heard_from(self.id);
        if let Err(violation) = self.gate.pass(bytes) {
            return Some(Leave::Ended(violation.ending()));
        }
        self.budget.take(self.gate.take_frames());
        let mut protocol = self.protocol.take().unwrap_or_else(|| fresh_protocol(self.gate.most()));
        let mut wire = Wire { input: bytes, output: Vec::new() };
        let leave = loop {
            let ending = match protocol.read(&mut wire) {
                Ok(Message::Text(text)) => self.talk.on_text(&text),
                // Some servers took text in either kind of frame, and their clients rely on it.
                Ok(Message::Binary(bytes)) => match std::str::from_utf8(&bytes) {
                    Ok(text) => self.talk.on_text(text),
                    Err(_) => self.talk.on_garbage(),
                },
                // Only the newest ping needs a pong (RFC 6455 section 5.5.3); it is written with the
                // next read.
                Ok(Message::Ping(_)) => {
                    wire.output.clear();
                    None
                }
                Ok(Message::Close(frame)) => {
                    // Without a code it is 1005 (RFC 6455 section 7.1.5).
                    let code = frame.map_or(1005, |frame| u16::from(frame.code));
                    self.app.meter.closed(By::Client, code);
                    None
                }
                Ok(_) => None,
                Err(Broken::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break None,
                Err(Broken::ConnectionClosed | Broken::AlreadyClosed) => break Some(Leave::Orderly),
                Err(error) => break Some(Leave::Ended(violation(&error).ending())),
            };
            if let Some(ending) = ending {
                break Some(Leave::Ended(ending));
            }
        };
        if !wire.output.is_empty() {
            if leave.is_none() && !self.app.hub.has_taken_all(self.id) {
                // Nobody who reads nothing is sent one pong after the other.
                self.pong = wire.output;
            } else {
                self.app.hub.send(self.id, &wire.output);
            }
        }
        match self.gate.is_at_rest() && protocol.can_read() && leave.is_none() {
            true => keep_spare(protocol, self.gate.take_longest()),
            false => self.protocol = Some(protocol),
        }
        leave
    }

    /// Ends the socket: the close frame first, then what is left is read and thrown away for a
    /// moment, because closing with bytes unread would make the kernel throw the frame away.
    async fn part(&mut self, leave: Leave) {
        let deadline = Instant::now() + PARTING;
        self.talk.end();
        if let Leave::Ended(Ending::Close(code, _)) = leave {
            self.app.meter.closed(By::Server, code);
        }
        match leave {
            Leave::Ended(Ending::Gone) => return,
            Leave::Ended(Ending::Close(code, reason)) => {
                self.app.hub.farewell(self.id, &frame::close(code, reason))
            }
            Leave::Ended(Ending::TooSlow) => {
                let (code, reason) = close::TOO_SLOW;
                self.app.meter.closed(By::Server, code);
                self.app.hub.farewell(self.id, &frame::close(code, reason));
            }
            // Its close was answered, and nothing may come after that.
            Leave::Orderly => self.app.hub.end(self.id, Ending::Gone),
        }
        let sent = timeout(deadline, self.send_the_rest()).await;
        self.graceful = sent == Some(true);
        if matches!(leave, Leave::Ended(_)) {
            timeout(deadline, self.stream.discard(usize::MAX)).await;
        }
    }

    async fn send_the_rest(&self) -> bool {
        loop {
            match self.app.hub.pump(self.id) {
                Ok(true) => {
                    self.stream.finish();
                    return true;
                }
                Ok(false) => poll_fn(|context| self.stream.poll_writable(context)).await,
                Err(_) => return false,
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.app.hub.leave(self.id, self.graceful);
    }
}

/// A protocol for the next message of a socket, which may have this length.
fn fresh_protocol(most: u64) -> Box<WebSocketContext> {
    match SPARE.take() {
        Some(mut spare) => {
            spare.set_config(|spare| *spare = config(most));
            spare
        }
        None => Box::new(WebSocketContext::new(Role::Server, Some(config(most)))),
    }
}

/// Keeps a protocol that is between two messages for whoever needs one next. The library keeps the room of the
/// longest message for ever, so one that had a long one is better made anew.
fn keep_spare(protocol: Box<WebSocketContext>, longest: u64) {
    const LONG: u64 = 4096;
    if longest <= LONG {
        SPARE.set(Some(protocol));
    }
}

/// The end of a socket because of a fault of ours.
fn failed(error: &crate::domain::Error) -> Leave {
    log::error!("a socket could not be served: {error}");
    Leave::Ended(close::INTERNAL)
}

fn violation(error: &Broken) -> Violation {
    match error {
        Broken::Utf8(_) => Violation::Utf8,
        Broken::Capacity(_) => Violation::TooBig,
        _ => Violation::Protocol,
    }
}

/// The bytes that came, and those that are to go, as the protocol's idea of a connection.
struct Wire<'a> {
    input: &'a [u8],
    output: Vec<u8>,
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.is_empty() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => self.input.read(buffer),
        }
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
