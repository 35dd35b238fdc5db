//! Why sockets are closed, as RFC 6455 section 7.4 numbers it. One number for each reason, here and
//! nowhere else: 1000, 1002, 1003, 1007, 1008 and 1009 say "do not simply come back", 1001 and 1013
//! say "come back".

use crate::api::token::Endings;
use crate::hub::Ending;

/// The server stops or restarts.
pub const GOING_AWAY: Ending = Ending::Close(1001, "server is stopping");

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
