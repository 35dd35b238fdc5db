//! The sockets of a group: joined, watched, and every event stamped with the time it was read.
//! Frames are counted, not understood; only the first socket keeps what it heard, for later.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use polling::{Events, Poller};
use serde_json::{Value, json};

use crate::client::watch;
use crate::figure::{Context, Outcome};
use crate::machine::now_ns;
use crate::server::{Household, Server};

const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;

/// All sockets listening to one group.
pub struct Audience {
    listeners: Vec<Listener>,
    /// What a read goes into first.
    buffer: Vec<u8>,
}

struct Listener {
    stream: TcpStream,
    /// The beginning of a frame whose end is still to come.
    partial: Vec<u8>,
    /// When each event was read.
    arrivals: Vec<u64>,
    /// What was heard, if somebody wants to know.
    heard: Option<Vec<Vec<u8>>>,
}

impl Audience {
    /// Opens `count` sockets and waits until each of them has heard a test entry.
    ///
    /// # Errors
    /// The upgrade was refused, or a socket stayed deaf.
    pub fn open(server: &Server, household: &Household, count: usize) -> Outcome<Audience> {
        let listeners = (0..count).map(|_| Listener::open(server.address, household));
        let mut audience =
            Audience { listeners: listeners.collect::<Outcome<_>>()?, buffer: vec![0; 1 << 17] };
        // A join has no answer: after this pause the test entry decides.
        std::thread::sleep(Duration::from_millis(200));
        let poller = Poller::new().context("making a poller")?;
        audience.register(&poller, 0)?;
        crate::client::ask_once(server.address, &household.entry_request())?;
        audience.settle(&poller, 1)?;
        for (index, listener) in audience.listeners.iter_mut().enumerate() {
            listener.arrivals.clear();
            listener.heard = (index == 0).then(Vec::new);
        }
        Ok(audience)
    }

    /// Watches the sockets; their keys count up from `first_key`.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn register(&self, poller: &Poller, first_key: usize) -> Outcome<()> {
        for (index, listener) in self.listeners.iter().enumerate() {
            watch(poller, &listener.stream, first_key + index)?;
        }
        Ok(())
    }

    /// Reads what came on a socket.
    ///
    /// # Errors
    /// The server closed it, or sent something that is no frame.
    pub fn readable(&mut self, index: usize) -> Outcome<()> {
        self.listeners[index].readable(&mut self.buffer).context(format_args!("socket {index}"))
    }

    /// Reads until every socket has heard `events` events; the poller watches nothing else.
    ///
    /// # Errors
    /// A socket heard too few within 5 s, or too many.
    pub fn settle(&mut self, poller: &Poller, events: usize) -> Outcome<()> {
        let until = now_ns() + 5_000_000_000;
        let mut ready = Events::new();
        while now_ns() < until && self.fewest() < events {
            ready.clear();
            poller.wait(&mut ready, Some(Duration::from_millis(50))).context("waiting for events")?;
            for event in ready.iter() {
                self.readable(event.key)?;
            }
        }
        let counts = self.listeners.iter().map(|one| one.arrivals.len());
        match counts.enumerate().find(|(_, count)| *count != events) {
            Some((index, count)) => {
                Err(format!("socket {index} heard {count} of {events} events within 5 s"))
            }
            None => Ok(()),
        }
    }

    /// Answers pings for a while, as a page that is open and idle does.
    ///
    /// # Errors
    /// The server closed a socket.
    pub fn idle(&mut self, length: Duration) -> Outcome<()> {
        let until = now_ns() + length.as_nanos() as u64;
        let poller = Poller::new().context("making a poller")?;
        self.register(&poller, 0)?;
        let mut ready = Events::new();
        while now_ns() < until {
            ready.clear();
            let left = Duration::from_nanos(until.saturating_sub(now_ns()));
            poller.wait(&mut ready, Some(left)).context("waiting for pings")?;
            for event in ready.iter() {
                self.readable(event.key)?;
            }
        }
        Ok(())
    }

    /// For each event in the order of the room: when the first and the last socket had it.
    pub fn first_and_last(&self) -> Vec<(u64, u64)> {
        let events = self.fewest();
        let times = |event: usize| self.listeners.iter().map(move |one| one.arrivals[event]);
        (0..events)
            .map(|event| {
                let (first, last) = (times(event).min(), times(event).max());
                (first.unwrap_or(0), last.unwrap_or(0))
            })
            .collect()
    }

    /// The entry ids of the events in the order of the room.
    ///
    /// # Errors
    /// Something other than a `deuce_logged` was among them.
    pub fn entry_ids(&self) -> Outcome<Vec<String>> {
        let heard = self.listeners.first().and_then(|one| one.heard.as_ref());
        heard.into_iter().flatten().map(|text| entry_id(text)).collect()
    }

    fn fewest(&self) -> usize {
        let counts = self.listeners.iter().map(|one| one.arrivals.len());
        counts.min().unwrap_or(0)
    }
}

fn entry_id(text: &[u8]) -> Outcome<String> {
    let event: Value = serde_json::from_slice(text).context("an event")?;
    match (event["type"].as_str(), event["entry"]["id"].as_str()) {
        (Some("deuce_logged"), Some(id)) => Ok(id.to_owned()),
        _ => Err(format!("not a deuce_logged with an entry: {event}")),
    }
}

impl Listener {
    fn open(address: SocketAddr, household: &Household) -> Outcome<Listener> {
        let mut stream = TcpStream::connect(address).context("connecting a socket")?;
        stream.set_nodelay(true).context("connecting a socket")?;
        let patience = Some(Duration::from_secs(10));
        stream.set_read_timeout(patience).context("connecting a socket")?;
        let upgrade = format!(
            "GET /ws?token={} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            household.token
        );
        stream.write_all(upgrade.as_bytes()).context("upgrading")?;
        let partial = upgraded(&mut stream)?;
        let join = json!({"type": "join_group", "groupId": household.group}).to_string();
        stream.write_all(&masked(TEXT, join.as_bytes())).context("joining")?;
        stream.set_nonblocking(true).context("connecting a socket")?;
        Ok(Listener { stream, partial, arrivals: Vec::new(), heard: None })
    }

    fn readable(&mut self, buffer: &mut [u8]) -> Outcome<()> {
        let count = match self.stream.read(buffer) {
            Ok(0) => return Err("closed by the server".into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let now = now_ns();
        if self.partial.is_empty() {
            let used = self.take_frames(&buffer[..count], now)?;
            self.partial.extend_from_slice(&buffer[used..count]);
        } else {
            let mut bytes = std::mem::take(&mut self.partial);
            bytes.extend_from_slice(&buffer[..count]);
            let used = self.take_frames(&bytes, now)?;
            bytes.drain(..used);
            self.partial = bytes;
        }
        Ok(())
    }

    /// Takes the complete frames from `bytes` and says how many bytes they had.
    fn take_frames(&mut self, bytes: &[u8], now: u64) -> Outcome<usize> {
        let mut used = 0;
        while let Some((kind, from, to)) = frame(&bytes[used..]) {
            let payload = &bytes[used + from..used + to];
            used += to;
            match kind {
                TEXT => {
                    self.arrivals.push(now);
                    if let Some(heard) = &mut self.heard {
                        heard.push(payload.to_vec());
                    }
                }
                PING => {
                    let pong = masked(PONG, payload);
                    self.stream.write_all(&pong).context("sending a pong")?;
                }
                PONG => {}
                other => return Err(format!("a frame of kind {other}: {payload:?}")),
            }
        }
        Ok(used)
    }
}

/// Reads the 101 and returns what came after it.
fn upgraded(stream: &mut TcpStream) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            if !bytes.starts_with(b"HTTP/1.1 101 ") {
                let shown = String::from_utf8_lossy(&bytes);
                return Err(format!("the upgrade was refused: {shown}"));
            }
            return Ok(bytes.split_off(end + 4));
        }
        let count = stream.read(&mut buffer).context("reading the upgrade")?;
        if count == 0 {
            return Err("the server closed the connection instead of upgrading".into());
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
}

/// Kind, begin and end of the payload of a complete frame at the front. A server does not mask.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let kind = bytes.first()? & 0x0f;
    let (from, length) = match *bytes.get(1)? {
        126 => {
            let two = bytes.get(2..4)?.try_into().expect("2 bytes were cut");
            (4, u64::from(u16::from_be_bytes(two)))
        }
        127 => {
            let eight = bytes.get(2..10)?.try_into().expect("8 bytes were cut");
            (10, u64::from_be_bytes(eight))
        }
        short => (2, u64::from(short)),
    };
    let to = from + usize::try_from(length).ok()?;
    (bytes.len() >= to).then_some((kind, from, to))
}

/// A short frame as a client must send it; the mask of zeroes leaves the payload as it is.
fn masked(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("we send only short frames");
    assert!(length < 126, "we send only short frames");
    let mut frame = vec![0x80 | kind, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}
