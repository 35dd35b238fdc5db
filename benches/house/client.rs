//! A cheap HTTP client: one thread drives all connections, each asks again when it was answered.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use polling::{Event, Events, PollMode, Poller};
use serde_json::Value;

use crate::figure::{Context, Outcome};
use crate::machine::{Spent, now_ns};

/// How long an answer may take before the measurement is given up.
const PATIENCE_NS: u64 = 10_000_000_000;

/// The header line of a logged-in client.
pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// A whole request; `headers` are complete lines.
pub fn request(method: &str, path: &str, headers: &str, body: Option<&Value>) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}");
    if let Some(body) = body.map(Value::to_string) {
        let length = body.len();
        text += "Content-Type: application/json\r\n";
        text += &format!("Content-Length: {length}\r\n\r\n{body}");
    } else {
        text += "\r\n";
    }
    text.into_bytes()
}

/// Asks on a new connection and returns the body.
///
/// # Errors
/// As [`Caller::ask`].
pub fn ask_once(address: SocketAddr, request: &[u8]) -> Outcome<Vec<u8>> {
    Caller::connect(address)?.ask(request)
}

/// A blocking connection for one request after the other.
pub struct Caller {
    stream: TcpStream,
    inbox: Vec<u8>,
}

impl Caller {
    /// # Errors
    /// Nobody listens.
    pub fn connect(address: SocketAddr) -> Outcome<Caller> {
        let stream = TcpStream::connect(address).context("connecting")?;
        stream.set_nodelay(true).context("connecting")?;
        let patience = Some(Duration::from_nanos(PATIENCE_NS));
        stream.set_read_timeout(patience).context("connecting")?;
        let inbox = Vec::new();
        Ok(Caller { stream, inbox })
    }

    /// Sends a request and waits for the body of its answer.
    ///
    /// # Errors
    /// The connection ended or fell silent, or the status is not 2xx.
    pub fn ask(&mut self, request: &[u8]) -> Outcome<Vec<u8>> {
        self.stream.write_all(request).context("sending")?;
        let mut buffer = [0; 16384];
        loop {
            if let Some(reply) = Reply::parse(&self.inbox)? {
                let body = self.inbox[reply.head..reply.whole].to_vec();
                self.inbox.drain(..reply.whole);
                return Ok(body);
            }
            let count = self.stream.read(&mut buffer).context("reading an answer")?;
            if count == 0 {
                return Err("the server closed the connection instead of answering".into());
            }
            self.inbox.extend_from_slice(&buffer[..count]);
        }
    }

    /// How many bytes the whole answer to `request` has, head included.
    ///
    /// # Errors
    /// As [`Caller::ask`].
    pub fn answer_bytes(&mut self, request: &[u8]) -> Outcome<usize> {
        self.stream.write_all(request).context("sending")?;
        let mut buffer = [0; 16384];
        let count = self.stream.read(&mut buffer).context("reading an answer")?;
        match Reply::parse(&buffer[..count])? {
            Some(reply) => Ok(reply.whole),
            None => Err("the answer came in more than one piece".into()),
        }
    }
}

/// Where a complete answer in a buffer begins and ends.
#[derive(Debug)]
struct Reply {
    head: usize,
    whole: usize,
}

impl Reply {
    /// `None` while bytes are missing.
    fn parse(bytes: &[u8]) -> Outcome<Option<Reply>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = end + 4;
        let Some(length) = content_length(&bytes[..head]) else {
            let shown = String::from_utf8_lossy(&bytes[..head]);
            return Err(format!("an answer without Content-Length: {shown}"));
        };
        let whole = head + length;
        if bytes.len() < whole {
            return Ok(None);
        }
        if !bytes.starts_with(b"HTTP/1.1 2") {
            let shown = String::from_utf8_lossy(&bytes[..whole]);
            return Err(format!("the server refused: {shown}"));
        }
        Ok(Some(Reply { head, whole }))
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let lines = head.split(|byte| *byte == b'\n');
    let line = lines
        .filter(|line| line.len() > NAME.len())
        .find(|line| line[..NAME.len()].eq_ignore_ascii_case(NAME))?;
    let value = std::str::from_utf8(&line[NAME.len()..]).ok()?;
    value.trim().parse().ok()
}

/// An answer as the client saw it.
pub struct Answer<'a> {
    /// When the request was sent.
    pub sent_at: u64,
    /// When the answer's last byte was read.
    pub answered_at: u64,
    /// Its body.
    pub body: &'a [u8],
}

/// Many connections that send the same request over and over.
pub struct Fleet {
    request: Vec<u8>,
    connections: Vec<Connection>,
    /// False lets the requests under way be the last.
    pub sending: bool,
    /// Answers so far.
    pub answers: u64,
}

struct Connection {
    stream: TcpStream,
    inbox: Vec<u8>,
    sent_at: u64,
    waiting: bool,
}

impl Fleet {
    /// Connects, and sends nothing yet.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn open(address: SocketAddr, request: Vec<u8>, count: usize) -> Outcome<Fleet> {
        let connections = (0..count).map(|_| Connection::open(address));
        Ok(Fleet { request, connections: connections.collect::<Outcome<_>>()?, sending: true, answers: 0 })
    }

    /// Watches the connections; their keys count up from `first_key`. The poller must end with
    /// the fleet: its entries go when the sockets are closed.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn register(&self, poller: &Poller, first_key: usize) -> Outcome<()> {
        for (index, connection) in self.connections.iter().enumerate() {
            watch(poller, &connection.stream, first_key + index)?;
        }
        Ok(())
    }

    /// Sends on every connection that waits for nothing.
    ///
    /// # Errors
    /// A connection is broken.
    pub fn send_all(&mut self) -> Outcome<()> {
        for connection in &mut self.connections {
            if !connection.waiting {
                connection.send(&self.request)?;
            }
        }
        Ok(())
    }

    /// Reads what came on a connection; hands on a complete answer and asks again.
    ///
    /// # Errors
    /// The connection ended, or the answer was a refusal.
    pub fn readable(&mut self, index: usize, heard: &mut impl FnMut(Answer)) -> Outcome<()> {
        let connection = &mut self.connections[index];
        connection.receive()?;
        let Some(reply) = Reply::parse(&connection.inbox)? else {
            return Ok(());
        };
        self.answers += 1;
        heard(Answer {
            sent_at: connection.sent_at,
            answered_at: now_ns(),
            body: &connection.inbox[reply.head..reply.whole],
        });
        connection.inbox.drain(..reply.whole);
        connection.waiting = false;
        if self.sending {
            connection.send(&self.request)?;
        }
        Ok(())
    }

    /// Whether an answer is still to come, and its patience is not used up.
    ///
    /// # Errors
    /// An answer has been due for too long.
    pub fn waiting(&self) -> Outcome<bool> {
        let waiting = self.connections.iter().filter(|one| one.waiting);
        match waiting.map(|one| one.sent_at).min() {
            Some(sent_at) if now_ns() > sent_at + PATIENCE_NS => Err("no answer within 10 s".into()),
            oldest => Ok(oldest.is_some()),
        }
    }
}

impl Connection {
    fn open(address: SocketAddr) -> Outcome<Connection> {
        let stream = TcpStream::connect(address).context("connecting")?;
        stream.set_nodelay(true).context("connecting")?;
        stream.set_nonblocking(true).context("connecting")?;
        Ok(Connection { stream, inbox: Vec::new(), sent_at: 0, waiting: false })
    }

    fn send(&mut self, request: &[u8]) -> Outcome<()> {
        self.waiting = true;
        self.sent_at = now_ns();
        // The answer before was read, so the socket has room for a request.
        self.stream.write_all(request).context("sending")
    }

    fn receive(&mut self) -> Outcome<()> {
        let mut buffer = [0; 16384];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err("the server closed a connection".into()),
            Ok(count) => {
                self.inbox.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(format!("reading an answer: {error}")),
        }
    }
}

/// Asks the poller to say whenever something can be read.
///
/// # Errors
/// The kernel refused.
pub fn watch(poller: &Poller, socket: &impl AsRawFd, key: usize) -> Outcome<()> {
    // SAFETY: the socket's owner outlives the poller or closes the socket, and closing it removes
    // the entry from epoll.
    unsafe { poller.add_with_mode(socket.as_raw_fd(), Event::readable(key), PollMode::Level) }
        .context("watching a socket")
}

/// What a fleet did in one measured window.
pub struct Window {
    /// Answers in the window.
    pub answers: f64,
    /// Its length.
    pub seconds: f64,
    /// Nanoseconds of processor time the observed process spent in it.
    pub spent_ns: f64,
}

impl Window {
    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.answers / self.seconds
    }

    /// Microseconds of processor time per answer.
    pub fn microseconds_each(&self) -> f64 {
        self.spent_ns / 1e3 / self.answers
    }
}

/// Drives a new fleet in a closed loop: half a second to warm up, then the measured window.
///
/// # Errors
/// As [`Fleet::readable`].
pub fn closed_loop(
    address: SocketAddr,
    process: u32,
    request: Vec<u8>,
    connections: usize,
    seconds: f64,
) -> Outcome<Window> {
    let mut fleet = Fleet::open(address, request, connections)?;
    let poller = Poller::new().context("making a poller")?;
    fleet.register(&poller, 0)?;
    fleet.send_all()?;
    drive(&mut fleet, &poller, 0.5)?;

    let (answers, spent, begun) = (fleet.answers, Spent::of(process), now_ns());
    drive(&mut fleet, &poller, seconds)?;
    let window = Window {
        answers: (fleet.answers - answers) as f64,
        seconds: (now_ns() - begun) as f64 / 1e9,
        spent_ns: Spent::of(process).since(&spent),
    };
    if window.answers == 0.0 {
        return Err(format!("not one answer in {seconds} s"));
    }
    Ok(window)
}

fn drive(fleet: &mut Fleet, poller: &Poller, seconds: f64) -> Outcome<()> {
    let until = now_ns() + (seconds * 1e9) as u64;
    let mut events = Events::new();
    while now_ns() < until {
        fleet.waiting()?;
        events.clear();
        poller.wait(&mut events, Some(Duration::from_millis(50))).context("waiting for answers")?;
        for event in events.iter() {
            fleet.readable(event.key, &mut |_| ())?;
        }
    }
    Ok(())
}

/// Sends `count` requests on one connection, one every `gap`.
///
/// # Errors
/// As [`Caller::ask`].
pub fn paced(
    address: SocketAddr,
    process: u32,
    request: &[u8],
    count: usize,
    gap: Duration,
) -> Outcome<Window> {
    let mut caller = Caller::connect(address)?;
    let mut repeat = |count: usize| -> Outcome<()> {
        for _ in 0..count {
            caller.ask(request)?;
            std::thread::sleep(gap);
        }
        Ok(())
    };
    repeat(10)?;
    let (spent, begun) = (Spent::of(process), now_ns());
    repeat(count)?;
    Ok(Window {
        answers: count as f64,
        seconds: (now_ns() - begun) as f64 / 1e9,
        spent_ns: Spent::of(process).since(&spent),
    })
}
