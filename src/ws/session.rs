//! One live socket: bytes in, commands to the core; the hub's bytes out; and a proper end.
//!
//! The WebSocket library sees bytes, never the socket: what it wants to send (pongs, the answer to
//! a close) goes through the same outbox as everything else, so that frames never interleave. No
//! other file names its types.

use crate::api::{
    App,
    room::{self, Progress},
    token,
};
use crate::hub::{Ending, Errand, Owner, SessionId};
use crate::io::{Stream, net::SCRATCH_BYTES, sleep_until, timeout};
use crate::ws::close::{self, Violation};
use crate::ws::form::{self, Command};
use crate::ws::frame;
use crate::ws::gate::Gate;
use async_tungstenite::tungstenite::{
    Error as Broken, Message,
    protocol::{Role, WebSocketConfig, WebSocketContext},
};
use std::{
    future::{Future, poll_fn},
    io::{self, Read, Write},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

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
}

struct Session {
    app: Rc<App>,
    stream: Rc<Stream>,
    id: SessionId,
    owner: Option<Owner>,
    /// The longest message taken.
    most: u64,
    gate: Gate,
    protocol: WebSocketContext,
    budget: Budget,
    /// The answer to the newest ping, for when the socket takes something again.
    pong: Vec<u8>,
    graceful: bool,
}

/// What becomes a socket.
pub struct Opening<P> {
    /// The connection.
    pub stream: Stream,
    /// The handshake's answer, to be sent first.
    pub answer: Vec<u8>,
    /// What came with the handshake's request.
    pub read_ahead: Vec<u8>,
    /// Whose socket it is, if anybody's.
    pub owner: Option<Owner>,
    /// Kept until the socket has ended.
    pub place: P,
}

/// Serves a socket from the handshake's answer to its end.
pub async fn run<P>(app: Rc<App>, opening: Opening<P>) {
    let Opening { stream, answer, read_ahead, owner, place: _place } = opening;
    let stream = Rc::new(stream);
    let id = app.hub.enter(stream.clone(), owner);
    let budget = Budget::new(app.limits().frames_per_second, app.limits().frames_burst);
    let most = match owner {
        Some(_) => app.limits().frame_bytes,
        None => app.limits().anonymous_frame_bytes.min(app.limits().frame_bytes),
    };
    let (gate, protocol) = (Gate::new(most), WebSocketContext::new(Role::Server, Some(config(most))));
    let mut session =
        Session { app, stream, id, owner, most, gate, protocol, budget, pong: Vec::new(), graceful: false };

    // The answer first, then the subscriptions: no event can come before it.
    session.app.hub.send(id, &answer);
    drop(answer);
    let leave = match session.begin(&read_ahead) {
        None => session.serve().await,
        Some(leave) => leave,
    };
    drop(read_ahead);
    session.part(leave).await;
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
    fn begin(&mut self, read_ahead: &[u8]) -> Option<Leave> {
        if let Some(owner) = self.owner {
            match token::is_good(&self.app, owner.token) {
                Ok(true) => {}
                Ok(false) => return Some(Leave::Ended(close::LOGGED_OUT)),
                Err(error) => {
                    log::error!("a socket's login could not be read: {error}");
                    return Some(Leave::Ended(close::INTERNAL));
                }
            }
        }
        if let Some(owner) = self.owner.filter(|owner| owner.follows) {
            if let Err(error) = room::join_all(&self.app, self.id, owner.user) {
                log::error!("a socket's groups could not be read: {error}");
                return Some(Leave::Ended(close::INTERNAL));
            }
        }
        self.feed(read_ahead)
    }

    async fn serve(&mut self) -> Leave {
        loop {
            let leave = match self.next().await {
                Next::Errand(Errand::End(ending)) => Some(Leave::Ended(ending)),
                Next::Errand(Errand::Pump) => self.pump(),
                Next::Errand(Errand::CatchUp) => self.catch_up().await,
                Next::Readable => self.read().await,
            };
            if let Some(leave) = leave {
                return leave;
            }
        }
    }

    /// Waits for something to do.
    async fn next(&self) -> Next {
        let rest = self.budget.empty_until();
        let mut rested = pin!(sleep_until(rest.unwrap_or_else(Instant::now)));
        poll_fn(|context| {
            match self.app.hub.poll_errand(self.id, context) {
                Poll::Ready(Errand::Pump) if self.stream.poll_writable(context).is_pending() => {}
                Poll::Ready(errand) => return Poll::Ready(Next::Errand(errand)),
                Poll::Pending => {}
            }
            if rest.is_some() && rested.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.stream.poll_readable(context).map(|()| Next::Readable)
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
            Ok(Progress::Done) => None,
            Ok(Progress::More) => {
                smol::future::yield_now().await;
                None
            }
            Ok(Progress::TooLate) => Some(Leave::Ended(close::MISSED_TOO_MUCH)),
            Err(error) => {
                log::error!("a socket could not catch up: {error}");
                Some(Leave::Ended(close::INTERNAL))
            }
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
        let mut wire = Wire { input: bytes, output: Vec::new() };
        let leave = loop {
            match self.protocol.read(&mut wire) {
                Ok(Message::Text(text)) => self.on_text(&text),
                Ok(Message::Binary(bytes)) => {
                    // The diary's server took text in either kind of frame.
                    if let Ok(text) = std::str::from_utf8(&bytes) {
                        self.on_text(text);
                    }
                }
                // Only the newest ping needs a pong (RFC 6455 section 5.5.3); it is written with the
                // next read.
                Ok(Message::Ping(_)) => wire.output.clear(),
                Ok(_) => {}
                Err(Broken::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break None,
                Err(Broken::ConnectionClosed | Broken::AlreadyClosed) => break Some(Leave::Orderly),
                Err(error) => break Some(Leave::Ended(violation(&error).ending())),
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
        self.forget_long_messages();
        leave
    }

    /// The library keeps the room of the longest message for ever; between messages it can begin anew.
    fn forget_long_messages(&mut self) {
        const LONG: u64 = 4096;
        if self.gate.is_at_rest() && self.gate.take_longest() > LONG && self.protocol.can_read() {
            self.protocol = WebSocketContext::new(Role::Server, Some(config(self.most)));
        }
    }

    fn on_text(&mut self, text: &str) {
        let (Some(owner), Some(command)) = (self.owner, form::decode(text)) else { return };
        let outcome = match command {
            Command::Join(group) => room::join(&self.app, self.id, owner.user, group),
            Command::Leave(group) => room::leave(&self.app, self.id, owner.user, group),
        };
        // Refused or not, the form is silent.
        match outcome {
            Err(error) if error.cause.is_some() => log::error!("a socket's command failed: {error}"),
            _ => {}
        }
    }

    /// Ends the socket: the close frame first, then what is left is read and thrown away for a
    /// moment, because closing with bytes unread would make the kernel throw the frame away.
    async fn part(&mut self, leave: Leave) {
        let deadline = Instant::now() + PARTING;
        match leave {
            Leave::Ended(Ending::Gone) => return,
            Leave::Ended(Ending::Close(code, reason)) => {
                self.app.hub.farewell(self.id, &frame::close(code, reason))
            }
            Leave::Ended(Ending::TooSlow) => {
                let (code, reason) = close::TOO_SLOW;
                self.app.hub.farewell(self.id, &frame::close(code, reason));
            }
            Leave::Orderly => {}
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

/// How many frames a socket may still send. When they are used up it is not read from for a while:
/// nothing is lost, the sender waits.
struct Budget {
    left: f64,
    per_second: f64,
    burst: f64,
    at: Instant,
}

impl Budget {
    fn new(per_second: u64, burst: u64) -> Budget {
        Budget { left: burst as f64, per_second: per_second as f64, burst: burst as f64, at: Instant::now() }
    }

    fn take(&mut self, frames: u32) {
        let now = Instant::now();
        let filled = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.left = (self.left + filled).min(self.burst) - f64::from(frames);
        self.at = now;
    }

    /// Until when there is nothing left, if so.
    fn empty_until(&self) -> Option<Instant> {
        if self.left >= 1.0 {
            return None;
        }
        let until = self.at + Duration::from_secs_f64((1.0 - self.left) / self.per_second);
        (until > Instant::now()).then_some(until)
    }
}
