//! Why sockets are closed, as RFC 6455 section 7.4 numbers it. One number for each reason, here and
//! nowhere else: 1000, 1002, 1003, 1007, 1008 and 1009 say "do not simply come back", 1001, 1012 and
//! 1013 say "come back".

use crate::api::token::Endings;
use crate::hub::Ending;

/// The server stops or restarts.
pub const GOING_AWAY: Ending = Ending::Close(1001, "server is stopping");

/// What [`GOING_AWAY`] is for clients of the native protocol, with [`come_back_in`] as the reason.
pub const RESTART: u16 = 1012;

/// Tells a socket when to come back: each of them at another time, 100 in a second, and none before the next process may
/// be there. Sockets have slots from 0 on; where there were more, some are far beyond how many are `open`, and that does
/// no harm.
pub fn come_back_in(slot: usize, open: u64) -> String {
    const SOONEST_MILLIS: u64 = 500;
    const MILLIS_EACH: u64 = 10;
    const SHORTEST_SPREAD_MILLIS: u64 = 1000;
    let spread = (open * MILLIS_EACH).max(SHORTEST_SPREAD_MILLIS);
    // Multiples of the golden ratio, taken without their whole part, lie evenly however many there are of them.
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let fraction = (slot as u64 + 1).wrapping_mul(GOLDEN) >> 32;
    format!("retry in {} ms", SOONEST_MILLIS + ((fraction * spread) >> 32))
}

/// The login of this socket has ended.
pub const LOGGED_OUT: Ending = Ending::Close(1008, "logged out");

/// This socket's person may hear less than before; after coming back it hears what is left.
pub const RESTRICTED: Ending = Ending::Close(1013, "please reconnect");

/// How sockets end when it is found that they may not go on.
pub const ENDINGS: Endings = Endings { logged_out: LOGGED_OUT, restricted: RESTRICTED };

/// The token that was to log this socket in is not good.
pub const UNAUTHORIZED: Ending = Ending::Close(1008, "unauthorized");

/// More requests than allowed, for too long.
pub const RATE_LIMIT: Ending = Ending::Close(1008, "rate limit");

/// More sockets registered for notifications than allowed. The number is the contract's.
pub const TOO_MANY_REGISTERED: Ending = Ending::Close(1000, "");

/// More sockets of one person than allowed.
pub const TOO_MANY_SOCKETS: Ending = Ending::Close(1013, "too many sockets");

/// Text that is not JSON, where clients want to be told so.
pub const INVALID_JSON: Ending = Ending::Close(1003, "Invalid JSON");

/// The log no longer has what this socket missed; after reconnecting it is to load anew.
pub const MISSED_TOO_MUCH: Ending = Ending::Close(1013, "missed too much, please reconnect");

/// The socket took too little for too long.
pub const TOO_SLOW: (u16, &str) = (1013, "too slow, please reconnect");

/// The storage could not be read.
pub const INTERNAL: Ending = Ending::Close(1011, "internal error");

/// What the WebSocket rules were broken by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Framing: reserved bits, missing masks, control frames that are too long, and so on.
    Protocol,
    /// Text that is not UTF-8.
    Utf8,
    /// A message longer than allowed.
    TooBig,
}

impl Violation {
    /// How the socket ends.
    pub fn ending(self) -> Ending {
        match self {
            Violation::Protocol => Ending::Close(1002, "protocol error"),
            Violation::Utf8 => Ending::Close(1007, "text is not UTF-8"),
            Violation::TooBig => Ending::Close(1009, "message too big"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_all_come_back_at_once() {
        let delay = |slot, open| {
            let text = come_back_in(slot, open);
            text.strip_prefix("retry in ").unwrap().strip_suffix(" ms").unwrap().parse::<u64>().unwrap()
        };
        for open in [1, 2, 10, 100, 1000, 5000_u64] {
            let mut delays: Vec<u64> = (0..open as usize).map(|slot| delay(slot, open)).collect();
            delays.sort_unstable();
            let last = 500 + (open * 10).max(1000);
            assert!(delays[0] >= 500 && delays[open as usize - 1] < last, "{open}: {delays:?}");
            for begin in (500..last).step_by(100) {
                let count = delays.iter().filter(|delay| (begin..begin + 100).contains(*delay)).count();
                assert!(count <= 14, "{open}: {count} in the tenth of a second after {begin}");
            }
        }
    }
}
