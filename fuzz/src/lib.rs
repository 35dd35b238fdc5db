//! What the targets share: bytes that come in pieces, and what a connection's guard makes of them.

use deuced::http::guard::{Guard, GuardLimits};
use deuced::http::message::Request;

/// The first bytes of an input say where the others are cut.
pub struct Cuts([u8; 4]);

impl Cuts {
    /// Takes the cuts off an input.
    pub fn split(data: &[u8]) -> Option<(Cuts, &[u8])> {
        let (cuts, bytes) = data.split_first_chunk::<4>()?;
        Some((Cuts(*cuts), bytes))
    }

    /// The bytes in pieces of one to 256 bytes, one length after the other and again.
    pub fn pieces<'a>(&self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut lengths = self.0.iter().cycle().map(|length| usize::from(*length) + 1);
        let (mut rest, mut pieces) = (bytes, Vec::new());
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(lengths.next().unwrap_or(1).min(rest.len()));
            pieces.push(piece);
            rest = later;
        }
        pieces
    }
}

/// What a guard gives out.
#[derive(Debug, PartialEq)]
pub enum Given {
    /// Method, path, query, headers, host; whether the connection is kept, and whether it is to become a socket.
    Head {
        /// As the wire has it, or `OTHER`.
        method: &'static str,
        /// Decoded.
        path: String,
        /// Decoded.
        query: Vec<(String, String)>,
        /// In order.
        headers: Vec<(String, Vec<u8>)>,
        /// In lower case.
        host: String,
        /// Whether another request may follow, whether it is HTTP/1.0, whether it asks for a socket.
        flags: [bool; 3],
    },
    /// A whole body.
    Body(Vec<u8>),
    /// The status of a refusal, and its sentence.
    Refused(u16, &'static str),
}

/// The longest body that [`read`] takes.
pub const BODY_BYTES: usize = 4096;

/// Hands pieces to a guard, as a connection would, and takes what it gives. Its limits are low, so that short inputs
/// reach them.
pub fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Given> {
    let mut guard = Guard::new(GuardLimits { head_bytes: 1024, headers: 16, target_bytes: 256 });
    let (mut given, mut in_body) = (Vec::new(), false);
    for piece in pieces {
        guard.feed(piece);
        loop {
            let next = match in_body {
                false => guard.head().map(|head| {
                    head.map(|head| Given::Head {
                        method: head.method.name(),
                        headers: head
                            .headers
                            .iter()
                            .map(|(name, value)| (name.into(), value.into()))
                            .collect(),
                        query: head.query.pairs().to_vec(),
                        flags: [head.keep_alive, head.http10, head.upgrade_websocket],
                        path: head.path,
                        host: head.host,
                    })
                }),
                true => guard.body(BODY_BYTES).map(|body| body.map(Given::Body)),
            };
            match next {
                Ok(Some(next)) => {
                    given.push(next);
                    in_body = !in_body;
                }
                Ok(None) => break,
                Err(refusal) => {
                    given.push(Given::Refused(refusal.status, refusal.message));
                    return given;
                }
            }
        }
    }
    given
}

/// The request in these bytes, if there is a whole one at their beginning.
pub fn request(bytes: &[u8]) -> Option<Request> {
    let mut guard = Guard::new(GuardLimits::default());
    guard.feed(bytes);
    let head = guard.head().ok()??;
    let body = guard.body(64 << 10).ok()??;
    let request = deuced::http::codec::decode(head, body);
    Some(request.expect("the codec takes what the guard lets pass"))
}
