//! Telling the living from the dead: one round of pings for all sockets at a time.

use crate::hub::{Ending, State};
use std::time::{Duration, Instant};

/// What a round of pings found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// Sockets pinged.
    pub pinged: usize,
    /// Sockets that were silent since the last ping, or stuck.
    pub ended: usize,
}

/// A ping without a payload (RFC 6455 section 5.5.2).
const PING: &[u8] = &[0x89, 0x00];

pub(super) fn beat(state: &mut State, now: Instant, patience: Duration) -> Beat {
    let mut beat = Beat::default();
    state.pinged = Some(now);
    // Those that are ending have been told all they will be.
    for (_, session) in state.sessions.iter_mut().filter(|(_, session)| session.ending.is_none()) {
        let stuck = session.stuck_since.is_some_and(|since| now.saturating_duration_since(since) >= patience);
        // Nobody can answer a ping that is still waiting to be sent.
        let silent = !session.alive && session.outbox.is_empty();
        if stuck || silent {
            session.end(Ending::Gone);
            beat.ended += 1;
        } else if session.outbox.is_empty() {
            session.alive = false;
            session.write(PING, &mut None);
            beat.pinged += 1;
        }
    }
    beat
}
