//! The sockets of a group: joined, watched, and every event stamped with the time it was read.
//! Frames are counted, not understood; only the first socket keeps what it heard, for later.

use std::net::SocketAddr;
use std::time::Duration;

use polling::{Events, Poller};
use serde_json::{Value, json};

use crate::client::watch;
use crate::figure::{Context, Outcome};
use crate::machine::now_ns;
use crate::server::{Household, Server};
use crate::socket::{Origin, Socket};

/// All sockets listening to one group.
pub struct Audience {
    listeners: Vec<Listener>,
    /// What a read goes into first.
    buffer: Vec<u8>,
}

struct Listener {
    socket: Socket,
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
            watch(poller, &listener.socket, first_key + index)?;
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
        let path = format!("/ws?token={}", household.token);
        let mut socket = Socket::open(Origin::default(), address, &path, "")?;
        let join = json!({"type": "join_group", "groupId": household.group});
        socket.send(&join.to_string())?;
        Ok(Listener { socket, arrivals: Vec::new(), heard: None })
    }

    fn readable(&mut self, buffer: &mut [u8]) -> Outcome<()> {
        let Listener { socket, arrivals, heard } = self;
        let now = now_ns();
        let closed = socket.receive(buffer, &mut |text| {
            arrivals.push(now);
            heard.iter_mut().for_each(|heard| heard.push(text.to_vec()));
            Ok(())
        })?;
        closed.map_or(Ok(()), |code| Err(format!("closed by the server with {code}")))
    }
}
