//! One live socket: bytes in, a conversation about them; the hub's bytes out; and a proper end.
//!
//! What is said is the conversation's business (`talk` here, an echo in `examples/ws_echo.rs`), and how bytes become
//! messages the reader's. Whatever is to be sent, pongs and the answer to a close, too, goes through the hub's outbox,
//! so that frames never interleave.

use crate::api::{meter::By, room::Progress};
use crate::domain::Result;
use crate::hub::{Ending, Errand, Hub, Owner, SessionId};
use crate::io::{Stream, net::SCRATCH_BYTES, sleep_until, timeout};
use crate::ws::close;
use crate::ws::frame;
use crate::ws::rate::Budget;
use crate::ws::reader::{Incoming, Reader, Replies};
use std::{
    borrow::Cow,
    future::{Future, poll_fn},
    io,
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
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
    /// An answer was sent.
    Answered,
    /// The socket has kept silent and is to be greeted.
    Greeting,
}

/// What is said over a socket. It answers through the hub.
pub trait Conversation {
    /// The hub that the socket is in.
    fn hub(&self) -> &Hub;

    /// The longest message that may come now.
    fn most(&mut self) -> u64;

    /// How many frames may come in a second, and how many at once.
    fn frames(&self) -> (u64, u64);

    /// Says what there is to say first. The socket ends if there is an ending.
    ///
    /// # Errors
    /// When it cannot be served.
    fn begin(&mut self) -> Result<Option<Ending>>;

    /// Hears a text.
    fn on_text(&mut self, text: &str) -> Option<Ending>;

    /// Hears bytes.
    fn on_binary(&mut self, bytes: &[u8]) -> Option<Ending>;

    /// Whether nothing more is to be heard for now.
    fn is_full(&self) -> bool {
        false
    }

    /// Whether an answer that took its time is there; it was sent then.
    fn poll_answers(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let _ = context;
        Poll::Pending
    }

    /// When the socket is to be greeted, if it is and says nothing until then.
    fn greeting_due(&self) -> Option<Instant> {
        None
    }

    /// Greets the socket that has kept silent.
    fn greet(&mut self) {}

    /// Sends a socket that fell behind some of what it missed.
    ///
    /// # Errors
    /// When it cannot be served.
    fn catch_up(&mut self) -> Result<Progress> {
        Ok(Progress::Done)
    }

    /// What the socket is told when it ends so: the code, and the reason.
    fn farewell(&self, code: u16, reason: &'static str) -> (u16, Cow<'static, str>) {
        (code, reason.into())
    }

    /// Hears who ended the socket, and with which code.
    fn on_close(&mut self, by: By, code: u16) {
        let _ = (by, code);
    }

    /// Takes leave of everybody else.
    fn end(&mut self) {}
}

struct Session<C: Conversation> {
    stream: Rc<Stream>,
    id: SessionId,
    talk: C,
    reader: Reader,
    budget: Budget,
    /// The answer to the newest ping, for when the socket takes something again.
    pong: Vec<u8>,
    graceful: bool,
}

/// What becomes a socket.
pub struct Opening<P, Q> {
    /// The connection.
    pub stream: Stream,
    /// The handshake's answer, to be sent first.
    pub answer: Vec<u8>,
    /// What came with the handshake's request.
    pub read_ahead: Vec<u8>,
    /// Whose socket it is, if anybody's.
    pub owner: Option<Owner>,
    /// Kept until the connection is gone.
    pub connection: P,
    /// Kept until the socket has parted.
    pub place: Q,
}

/// Serves a socket from the handshake's answer to its end. The answer is sent, and the socket in the hub, when
/// this returns; the rest is the future's.
///
/// A block and not an `async fn`, because of that the arguments would be kept beside what is made of them: there
/// are thousands of these at rest.
pub fn run<C, T, P, Q>(
    hub: &Hub,
    opening: Opening<P, Q>,
    talk: T,
) -> impl Future<Output = ()> + use<C, T, P, Q>
where
    C: Conversation + 'static,
    T: FnOnce(SessionId) -> C + 'static,
    P: 'static,
    Q: 'static,
{
    let Opening { stream, answer, read_ahead, owner, connection, place } = opening;
    let stream = Rc::new(stream);
    let id = hub.enter(stream.clone(), owner);
    // The answer first, then the subscriptions: no event can come before it.
    hub.send(id, &answer);
    let mut talk = talk(id);
    let (per_second, burst) = talk.frames();
    let mut session = Session {
        budget: Budget::new(per_second, burst),
        reader: Reader::new(talk.most()),
        pong: Vec::new(),
        graceful: false,
        stream,
        id,
        talk,
    };
    let mut leave = session.begin(&read_ahead);
    async move {
        let _connection = &connection;
        let leave = loop {
            if let Some(leave) = leave {
                break leave;
            }
            leave = session.turn().await;
        };
        Box::pin(session.part(leave, place)).await;
    }
}

impl<C: Conversation> Session<C> {
    fn begin(&mut self, read_ahead: &[u8]) -> Option<Leave> {
        match self.talk.begin() {
            Ok(None) => self.feed(read_ahead),
            Ok(Some(ending)) => Some(Leave::Ended(ending)),
            Err(error) => Some(failed(&error)),
        }
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
        let Session { id, stream, talk, budget, .. } = self;
        let rest = budget.empty_until();
        let mut rested = pin!(sleep_until(rest.unwrap_or_else(Instant::now)));
        let greeting = talk.greeting_due();
        let mut silent = pin!(sleep_until(greeting.unwrap_or_else(Instant::now)));
        poll_fn(|context| {
            match talk.hub().poll_errand(*id, context) {
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
        match self.talk.hub().pump(self.id) {
            Ok(true) if !self.pong.is_empty() => {
                self.talk.hub().send(self.id, &std::mem::take(&mut self.pong));
                None
            }
            Ok(_) => None,
            Err(_) => Some(Leave::Ended(Ending::Gone)),
        }
    }

    async fn catch_up(&mut self) -> Option<Leave> {
        match self.talk.catch_up() {
            Ok(Progress::Done) => None,
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

    /// Hands bytes to the reader and has what comes out of them talked about.
    fn feed(&mut self, mut bytes: &[u8]) -> Option<Leave> {
        if bytes.is_empty() {
            return None;
        }
        self.talk.hub().heard_from(self.id);
        let mut replies = Replies::default();
        let leave = loop {
            let Some(incoming) = self.reader.next(&mut bytes, &mut replies) else { break None };
            if let Incoming::Close(code) = incoming {
                self.talk.on_close(By::Client, code);
                self.talk.hub().send(self.id, &replies.take());
                break Some(Leave::Orderly);
            }
            // A pong that is due goes out before the answer to what came after its ping.
            self.reply(&mut replies);
            let ending = match incoming {
                Incoming::Text(text) => self.talk.on_text(&text),
                Incoming::Binary(bytes) => self.talk.on_binary(&bytes),
                Incoming::Broken(violation) => Some(violation.ending()),
                Incoming::Close(_) => None,
            };
            if let Some(ending) = ending {
                break Some(Leave::Ended(ending));
            }
            self.reader.set_most(self.talk.most());
        };
        self.reply(&mut replies);
        self.budget.take(self.reader.take_frames());
        leave
    }

    /// Sends what answers frames. Nobody who reads nothing is sent one pong after the other: the newest waits.
    fn reply(&mut self, replies: &mut Replies) {
        if replies.is_empty() {
            return;
        }
        if self.talk.hub().has_taken_all(self.id) {
            self.pong = Vec::new();
            self.talk.hub().send(self.id, &replies.take());
        } else {
            self.pong = replies.take_newest();
        }
    }

    /// Ends the socket: the close frame first, then what is left is read and thrown away for a
    /// moment, because closing with bytes unread would make the kernel throw the frame away.
    async fn part<Q>(mut self, leave: Leave, place: Q) {
        let deadline = Instant::now() + PARTING;
        self.talk.end();
        if let Leave::Ended(Ending::Gone) = leave {
            return;
        }
        if let Leave::Ended(ending) = leave {
            let (code, reason) = match ending {
                Ending::Close(code, reason) => (code, reason),
                _ => close::TOO_SLOW,
            };
            let (code, reason) = self.talk.farewell(code, reason);
            self.talk.on_close(By::Server, code);
            self.talk.hub().farewell(self.id, &frame::close(code, &reason));
        } else {
            // Its close was answered, and nothing may come after that.
            self.talk.hub().end(self.id, Ending::Gone);
        }
        self.graceful = timeout(deadline, self.send_the_rest()).await == Some(true);
        drop(place);
        let stream = self.stream.clone();
        if let Leave::Orderly = leave {
            drop(self);
        }
        timeout(deadline, stream.discard(usize::MAX)).await;
    }

    async fn send_the_rest(&self) -> bool {
        loop {
            match self.talk.hub().pump(self.id) {
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

impl<C: Conversation> Drop for Session<C> {
    fn drop(&mut self) {
        self.talk.hub().leave(self.id, self.graceful);
    }
}

/// The end of a socket because of a fault of ours.
fn failed(error: &crate::domain::Error) -> Leave {
    log::error!("a socket could not be served: {error}");
    Leave::Ended(close::INTERNAL)
}
