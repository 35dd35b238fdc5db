//! What all measurements of sockets begin with: a server with people and lifted limits, its frames as the
//! bare loops are to send them, those loops, and the cost of a load.

use std::time::Duration;

use crate::bare::Running;
use crate::crowd::{Crowd, Load, Manner, Wish};
use crate::figure::{Context, Outcome};
use crate::machine::{Spent, now_ns};
use crate::option::Options;
use crate::server::{FOR_CROWDS, Scratch, Server};
use crate::socket::{Origin, Socket, text_frame};

/// What people say. An event with it has some 250 bytes.
pub const TEXT: &str = "Whoever has borrowed the blue bicycle, please bring it back by noon.";

/// How many people there are; their sockets take turns.
const PEOPLE: usize = 20;

/// How often sockets are pinged, unless that is what is measured.
const PING_SECONDS: u64 = 30;

/// A server, and people who are logged in.
pub struct Scene {
    scratch: Scratch,
    /// The server.
    pub server: Server,
    people: Vec<String>,
    templates: [String; 2],
}

/// The bare loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// Straight on `epoll`.
    Bare,
    /// On the server's reactor, with a task per socket.
    Reactor,
    /// As `Bare`, but each message is committed to a database before it is told.
    Storing,
}

impl Scene {
    /// Starts a server with these limits beside the lifted ones, and looks at its frames.
    ///
    /// # Errors
    /// The server failed, or does not speak the native protocol.
    pub fn open(options: &Options, limits: &[&str]) -> Outcome<Scene> {
        let scratch = Scratch::make(options)?;
        let limits = [&FOR_CROWDS[..], limits].concat();
        let server = Server::start_with(scratch.path(), &Vec::new(), &limits)?;
        let people = (0..PEOPLE).map(|number| server.login(&format!("Person {number}")));
        let people = people.collect::<Outcome<Vec<_>>>()?;
        let templates = templates(&server, &people[0])?;
        Ok(Scene { scratch, server, people, templates })
    }

    /// A wish for a socket; the people take turns.
    pub fn wish(&self, index: usize, manner: Manner) -> Wish {
        Wish::new(&self.people[index % PEOPLE], manner)
    }

    /// A crowd at the server.
    ///
    /// # Errors
    /// As [`Crowd::new`].
    pub fn crowd(&self, channels: &[String]) -> Outcome<Crowd> {
        Crowd::new(self.server.address, channels, TEXT)
    }

    /// Starts a bare loop that sends frames as long as the server's.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn floor(&self, floor: Floor) -> Outcome<Running> {
        let [event, ack] = self.templates.clone();
        let yes = |which| if floor == which { "yes" } else { "no" }.to_owned();
        Running::start(
            "bare-rooms",
            &[
                ("--event", event),
                ("--ack", ack),
                ("--store", yes(Floor::Storing)),
                ("--reactor", yes(Floor::Reactor)),
                ("--dir", self.scratch.path().display().to_string()),
                ("--ping-seconds", PING_SECONDS.to_string()),
            ],
        )
    }
}

/// What a load cost the process that carried it, in microseconds of processor time per message.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// All threads.
    pub total: f64,
    /// The first thread alone: in the server, the loop.
    pub first_thread: f64,
}

/// Runs a load and measures.
///
/// # Errors
/// As [`Crowd::run`].
pub fn cost(process: u32, crowd: &mut Crowd, load: &Load) -> Outcome<Cost> {
    crowd.forget();
    let before = Spent::of(process);
    crowd.run(load)?;
    // The store may still be about to tidy up.
    crowd.idle(Duration::from_millis(20))?;
    let after = Spent::of(process);
    let each = |nanoseconds: f64| nanoseconds / 1e3 / load.messages() as f64;
    let first_thread = each(after.first_thread_since(&before, process));
    Ok(Cost { total: each(after.since(&before)), first_thread })
}

/// An event and an acknowledgement of a message, as the server words them.
fn templates(server: &Server, token: &str) -> Outcome<[String; 2]> {
    let headers = format!("Authorization: Bearer {token}\r\nSec-WebSocket-Protocol: deuced.v1\r\n");
    let mut socket = Socket::open(Origin::default(), server.address, "/ws", &headers)?;
    let subscribe = r#"{"id":0,"type":"subscribe","payload":{"channel":"templates"}}"#.to_owned();
    let message =
        format!(r#"{{"id":1000,"type":"message","payload":{{"channel":"templates","text":"{TEXT}"}}}}"#);
    socket.send_all(&[text_frame(&subscribe), text_frame(&message)].concat())?;
    let (mut event, mut ack) = (None, None);
    let until = now_ns() + 5_000_000_000;
    let mut buffer = vec![0; 4096];
    while event.is_none() || ack.is_none() {
        if now_ns() > until {
            return Err("the server answers no message of the native protocol".into());
        }
        std::thread::sleep(Duration::from_millis(1));
        let closed = socket.receive(&mut buffer, &mut |text| {
            let text = std::str::from_utf8(text).context("a frame")?;
            if text.starts_with(r#"{"type":"message""#) {
                event = Some(text.to_owned());
            } else if text.contains(r#""id":1000"#) {
                ack = Some(text.to_owned());
            }
            Ok(())
        })?;
        if let Some(code) = closed {
            return Err(format!("the server closed a socket of the native protocol with {code}"));
        }
    }
    let missing = "a frame was missing";
    Ok([event.ok_or(missing)?, ack.ok_or(missing)?])
}
