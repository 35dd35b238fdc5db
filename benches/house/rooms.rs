//! The floor of everything that is said on sockets: a bare loop that takes just as much of the handshake
//! and the protocol as it needs, and then receives messages and sends ready frames, with nothing between:
//! no login, no JSON, no limits, no second thread. What is there in one turn goes out as one `send()` per
//! socket.
//!
//! Run as a child (`bare-rooms`) straight on `epoll`, or, to see what that costs, on the server's own
//! reactor.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use deuced::io;
use rusqlite::Connection;
use slab::Slab;
use smol::LocalExecutor;
use uuid::Uuid;

use crate::bare;
use crate::figure::{Context, Outcome};
use crate::machine::Seat;
use crate::option::Options;

/// A ping without a payload.
const PING: &[u8] = &[0x89, 0];

/// The answer to every handshake. The key is always the same, so the answer is, too.
const UPGRADE: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: deuced.v1\r\n\r\n";
const HELLO: &str = r#"{"type":"hello","payload":{"v":1}}"#;

const CHANNEL: &[u8] = br#""channel":""#;
const SEQ: &[u8] = br#""seq":"#;

/// How many digits the number of an event has in a ready frame.
const DIGITS: usize = 6;

/// What can be written to without waiting.
trait Sink: Clone {
    /// Whether all of it was taken.
    fn send(&self, bytes: &[u8]) -> bool;
    fn is(&self, other: &Self) -> bool;
}

impl Sink for Rc<TcpStream> {
    fn send(&self, bytes: &[u8]) -> bool {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: the bytes live through the call and have the length we say.
        let sent = unsafe { libc::send(self.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
        sent == bytes.len() as isize
    }

    fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(self, other)
    }
}

impl Sink for Rc<io::Stream> {
    fn send(&self, bytes: &[u8]) -> bool {
        self.try_write(bytes).is_ok_and(|count| count == bytes.len())
    }

    fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(self, other)
    }
}

/// A frame in which only the number changes.
struct Ready {
    frame: Vec<u8>,
    number: usize,
}

impl Ready {
    /// From the text of a frame whose `"seq":` is followed by digits.
    fn new(text: &str) -> Outcome<Ready> {
        let at = text.find(r#""seq":"#).ok_or_else(|| format!("no `seq` in {text}"))? + SEQ.len();
        let rest = text[at..].trim_start_matches(|c: char| c.is_ascii_digit());
        let mut frame = Vec::new();
        deuced::ws::frame::text(&format!("{}{:0DIGITS$}{rest}", &text[..at], 0), &mut frame);
        let number = frame.len() - rest.len() - DIGITS;
        Ok(Ready { frame, number })
    }

    fn append(&mut self, mut seq: u64, out: &mut Vec<u8>) {
        for digit in self.frame[self.number..self.number + DIGITS].iter_mut().rev() {
            *digit = b'0' + (seq % 10) as u8;
            seq /= 10;
        }
        out.extend_from_slice(&self.frame);
    }
}

struct Room<S> {
    members: Vec<S>,
    seq: u64,
}

/// Everything the loop knows.
struct Rooms<S> {
    names: HashMap<Vec<u8>, usize>,
    rooms: Vec<Room<S>>,
    event: Ready,
    ack: Ready,
    /// Where messages are committed before they are told, if they are.
    database: Option<Connection>,
    frames: Vec<u8>,
    answers: Vec<u8>,
}

/// One connection.
struct Peer<S> {
    sink: S,
    inbox: Vec<u8>,
    upgraded: bool,
    joined: Vec<usize>,
}

impl<S: Sink> Peer<S> {
    fn new(sink: S) -> Peer<S> {
        Peer { sink, inbox: Vec::new(), upgraded: false, joined: Vec::new() }
    }
}

impl<S: Sink> Rooms<S> {
    fn open(options: &Options) -> Outcome<Rooms<S>> {
        let [event, ack] = &options.templates;
        let database = match options.store {
            true => Some(bare::open(&options.directory).context("the bare database")?),
            false => None,
        };
        Ok(Rooms {
            names: HashMap::new(),
            rooms: Vec::new(),
            event: Ready::new(event)?,
            ack: Ready::new(ack)?,
            database,
            frames: Vec::new(),
            answers: Vec::new(),
        })
    }

    /// Takes what a peer sent.
    fn take(&mut self, peer: &mut Peer<S>, bytes: &[u8]) {
        if peer.upgraded && peer.inbox.is_empty() {
            let used = self.take_frames(peer, bytes);
            peer.inbox.extend_from_slice(&bytes[used..]);
        } else {
            let mut inbox = std::mem::take(&mut peer.inbox);
            inbox.extend_from_slice(bytes);
            let used = if peer.upgraded { self.take_frames(peer, &inbox) } else { greet(peer, &inbox) };
            inbox.drain(..used);
            peer.inbox = inbox;
        }
    }

    /// Answers the complete frames at the front and says how many bytes they had.
    fn take_frames(&mut self, peer: &mut Peer<S>, bytes: &[u8]) -> usize {
        let mut used = 0;
        let mut batch: Option<(usize, usize)> = None;
        while let Some((kind, from, to)) = frame(&bytes[used..]) {
            let text = &bytes[used + from..used + to];
            used += to;
            if kind != 1 {
                continue;
            }
            let room = self.room(text);
            if text.starts_with(br#"{"id":0,"#) {
                self.join(peer, room);
                continue;
            }
            batch = match batch {
                Some((same, count)) if same == room => Some((room, count + 1)),
                other => {
                    self.tell(other, peer);
                    Some((room, 1))
                }
            };
            self.rooms[room].seq += 1;
            self.event.append(self.rooms[room].seq, &mut self.frames);
            self.ack.append(self.rooms[room].seq, &mut self.answers);
        }
        self.tell(batch, peer);
        used
    }

    fn join(&mut self, peer: &mut Peer<S>, room: usize) {
        self.rooms[room].members.push(peer.sink.clone());
        peer.joined.push(room);
        let seq = self.rooms[room].seq;
        let mut ack = Vec::new();
        let text = format!(r#"{{"type":"ack","payload":{{"id":0,"seq":{seq},"lastId":null}}}}"#);
        deuced::ws::frame::text(&text, &mut ack);
        peer.sink.send(&ack);
    }

    /// Sends what has collected, a number of messages to a room: the room its frames, then the peer its
    /// answers.
    fn tell(&mut self, batch: Option<(usize, usize)>, peer: &Peer<S>) {
        let Some((room, count)) = batch else { return };
        if let Some(database) = &self.database {
            store(database, count).expect("a bare loop that cannot store is of no use");
        }
        for member in &self.rooms[room].members {
            member.send(&self.frames);
        }
        peer.sink.send(&self.answers);
        self.frames.clear();
        self.answers.clear();
    }

    /// The number of the room that a text names.
    fn room(&mut self, text: &[u8]) -> usize {
        let at = text.windows(CHANNEL.len()).position(|window| window == CHANNEL);
        let name = at.map_or(&[][..], |at| &text[at + CHANNEL.len()..]);
        let name = name.split(|byte| *byte == b'"').next().unwrap_or_default();
        if let Some(room) = self.names.get(name) {
            return *room;
        }
        self.names.insert(name.to_vec(), self.rooms.len());
        self.rooms.push(Room { members: Vec::new(), seq: 0 });
        self.rooms.len() - 1
    }

    fn leave(&mut self, peer: &Peer<S>) {
        for room in &peer.joined {
            self.rooms[*room].members.retain(|member| !member.is(&peer.sink));
        }
    }
}

/// Commits so many rows together.
fn store(database: &Connection, count: usize) -> rusqlite::Result<()> {
    database.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    for _ in 0..count {
        bare::insert(database, Uuid::now_v7())?;
    }
    database.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

/// Answers a complete handshake and says how many bytes it had.
fn greet<S: Sink>(peer: &mut Peer<S>, bytes: &[u8]) -> usize {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return 0 };
    peer.upgraded = true;
    let mut answer = UPGRADE.as_bytes().to_vec();
    deuced::ws::frame::text(HELLO, &mut answer);
    peer.sink.send(&answer);
    end + 4
}

/// Kind, begin and end of the payload of a complete frame at the front. The clients mask with zeroes.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (from, length) = match bytes.get(1)? & 0x7f {
        126 => (8, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        short => (6, usize::from(short)),
    };
    (bytes.len() >= from + length).then_some((bytes[0] & 0x0f, from, from + length))
}

/// The bare loop itself.
///
/// # Errors
/// The kernel refused a socket.
pub fn run(options: &Options) -> Outcome<()> {
    Seat::Server.take();
    io::raise_descriptor_limit(1 << 16).context("open files")?;
    if options.reactor { on_the_reactor(options) } else { on_epoll(options) }
}

fn on_epoll(options: &Options) -> Outcome<()> {
    let listener = listen()?;
    // SAFETY: a plain system call whose result is checked and owned at once.
    let epoll = unsafe {
        let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        if fd < 0 {
            return Err(format!("making an epoll: {}", std::io::Error::last_os_error()));
        }
        OwnedFd::from_raw_fd(fd)
    };
    watch(&epoll, &listener, u64::MAX)?;
    let mut rooms = Rooms::open(options)?;
    let mut peers: Slab<Peer<Rc<TcpStream>>> = Slab::new();
    let mut buffer = vec![0; 16 << 10];
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 256];
    let period = Duration::from_secs(options.ping_seconds);
    let mut next_beat = Instant::now() + period;
    loop {
        let left = next_beat.saturating_duration_since(Instant::now()).as_millis() as i32 + 1;
        // SAFETY: the buffer is ours and as long as we say.
        let count = unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), 256, left) };
        for event in &events[..usize::try_from(count).unwrap_or(0)] {
            let key = event.u64;
            if key == u64::MAX {
                let (stream, _) = listener.accept().context("accepting")?;
                stream.set_nodelay(true).context("accepting")?;
                let stream = Rc::new(stream);
                let key = peers.insert(Peer::new(stream.clone()));
                watch(&epoll, &*stream, key as u64)?;
                continue;
            }
            let peer = &mut peers[key as usize];
            // SAFETY: the buffer is ours and as long as we say.
            let count = unsafe {
                let socket = peer.sink.as_raw_fd();
                libc::recv(socket, buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT)
            };
            match usize::try_from(count) {
                Ok(count @ 1..) => rooms.take(peer, &buffer[..count]),
                _ => rooms.leave(&peers.remove(key as usize)),
            }
        }
        if Instant::now() >= next_beat {
            next_beat += period;
            for (_, peer) in &peers {
                peer.sink.send(PING);
            }
        }
    }
}

fn listen() -> Outcome<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listening")?;
    // SAFETY: only changes the length of the queue of a socket that listens already.
    unsafe { libc::listen(listener.as_raw_fd(), 1024) };
    println!("{}", listener.local_addr().context("listening")?);
    Ok(listener)
}

fn watch(epoll: &OwnedFd, socket: &impl AsRawFd, key: u64) -> Outcome<()> {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: key };
    // SAFETY: the event is ours and lives through the call.
    match unsafe {
        libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event)
    } {
        0 => Ok(()),
        _ => Err(format!("watching: {}", std::io::Error::last_os_error())),
    }
}

/// The same with one task per socket on the server's reactor and executor.
fn on_the_reactor(options: &Options) -> Outcome<()> {
    let rooms = Rc::new(RefCell::new(Rooms::<Rc<io::Stream>>::open(options)?));
    let tuning = io::net::Tuning { unacknowledged: Duration::from_secs(60) };
    let listener = io::Listener::bind(([127, 0, 0, 1], 0).into(), tuning).context("listening")?;
    println!("{}", listener.local_address().context("listening")?);
    let executor = Rc::new(LocalExecutor::new());
    let accepting = executor.spawn({
        let executor = executor.clone();
        async move {
            while let Ok((stream, _)) = listener.accept().await {
                executor.spawn(serve(rooms.clone(), Rc::new(stream))).detach();
            }
        }
    });
    io::block_on(executor.run(accepting), || ());
    Ok(())
}

async fn serve(rooms: Rc<RefCell<Rooms<Rc<io::Stream>>>>, stream: Rc<io::Stream>) {
    let mut peer = Peer::new(stream.clone());
    loop {
        let taken = stream.take(|bytes| {
            rooms.borrow_mut().take(&mut peer, bytes);
            bytes.len()
        });
        if !matches!(taken.await, Ok(1..)) {
            return rooms.borrow_mut().leave(&peer);
        }
    }
}
