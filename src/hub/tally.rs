//! What the hub has done and what is in it, for health and metrics.

use crate::hub::Hub;

/// What the hub has done, for health and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sockets open now.
    pub open: u64,
    /// Sockets ever opened.
    pub opened: u64,
    /// Sockets that ended with a close handshake or an orderly end of their stream.
    pub graceful: u64,
    /// Sockets cut by the server.
    pub forced: u64,
    /// Events told to sockets, live or from the log.
    pub deliveries: u64,
    /// Times a socket fell behind.
    pub lags: u64,
    /// Whispers told to sockets.
    pub whispers: u64,
}

/// What went over the sockets, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of frames written or queued for sockets, pings aside.
    pub bytes: u64,
    /// Sockets that showed a sign of life after a ping, and how many microseconds that took them together.
    pub pongs: u64,
    /// See `pongs`.
    pub pong_micros: u64,
}

/// What there is in the hub now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Rooms that somebody listens to.
    pub rooms: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Sockets that are behind.
    pub lagging: u64,
    /// Bytes that wait for sockets to take them.
    pub waiting_bytes: u64,
}

impl Hub {
    /// What the hub has done so far.
    pub fn counters(&self) -> Counters {
        self.state.borrow().counters
    }

    /// What went over the sockets so far.
    pub fn traffic(&self) -> Traffic {
        self.state.borrow().traffic
    }

    /// What there is now: rooms that somebody listens to, subscriptions, and sockets that are behind, with the
    /// bytes that wait for them.
    pub fn gauges(&self) -> Gauges {
        let state = self.state.borrow();
        let mut gauges = Gauges { rooms: state.rooms.len() as u64, ..Gauges::default() };
        for (_, session) in &state.sessions {
            gauges.subscriptions += session.subscriptions.len() as u64;
            gauges.lagging += u64::from(session.lagging);
            gauges.waiting_bytes += session.outbox.bytes() as u64;
        }
        gauges
    }
}
