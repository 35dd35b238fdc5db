//! One socket as the hub knows it: what it listens to, and what it still has to take.

use crate::domain::RoomId;
use crate::hub::{Ending, Form, Owner, Registration, Sink, outbox::Outbox};
use std::{io, rc::Rc, task::Waker, time::Instant};

pub(super) struct Session {
    pub(super) sink: Rc<dyn Sink>,
    pub(super) outbox: Outbox,
    pub(super) task: Option<Waker>,
    pub(super) owner: Option<Owner>,
    pub(super) registration: Registration,
    /// The name of somebody without a login.
    pub(super) nickname: Option<Rc<str>>,
    pub(super) subscriptions: Vec<(RoomId, Form)>,
    /// Passed over since its socket stopped taking everything.
    pub(super) lagging: bool,
    pub(super) ending: Option<Ending>,
    /// Whether it was passed over when somebody came or went where it watches.
    pub(super) missed_presence: bool,
    /// Whether anything arrived since the last ping.
    pub(super) alive: bool,
    /// Since when the socket has taken nothing of what waits.
    pub(super) stuck_since: Option<Instant>,
}

impl Session {
    pub(super) fn new(sink: Rc<dyn Sink>, owner: Option<Owner>) -> Session {
        Session {
            sink,
            outbox: Outbox::default(),
            task: None,
            owner,
            registration: Registration::None,
            nickname: None,
            subscriptions: Vec::new(),
            lagging: false,
            ending: None,
            missed_presence: false,
            alive: true,
            stuck_since: None,
        }
    }

    pub(super) fn end(&mut self, ending: Ending) {
        // The first reason is the true one.
        self.ending.get_or_insert(ending);
        self.wake();
    }

    /// For a socket that loses a room: without its cursor there, what it missed would stay missed
    /// without a word. It is to come back and load anew.
    pub(super) fn end_if_lagging(&mut self) {
        if self.lagging {
            self.end(Ending::TooSlow);
        }
    }

    pub(super) fn wake(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// Writes bytes or queues what the socket does not take; says how many are on their way. `shared`
    /// keeps one copy of the bytes for all the sockets that have to wait for the same ones.
    pub(super) fn write(&mut self, bytes: &[u8], shared: &mut Option<Rc<[u8]>>) -> u64 {
        if bytes.is_empty() || self.ending.is_some() {
            return 0;
        }
        let taken = match self.outbox.is_empty() {
            false => 0,
            true => match self.sink.try_write(bytes) {
                Ok(taken) => taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Err(_) => {
                    self.end(Ending::Gone);
                    return 0;
                }
            },
        };
        if taken < bytes.len() {
            let copy = shared.get_or_insert_with(|| Rc::from(bytes)).clone();
            self.outbox.push(copy, taken);
            self.stuck_since.get_or_insert_with(Instant::now);
            self.wake();
        } else {
            self.stuck_since = None;
        }
        bytes.len() as u64
    }
}
