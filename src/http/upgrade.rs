//! From a request to a live socket: the opening handshake, with its refusals in the contract's order
//! (path, method and headers, Origin, credentials, capacity).

use crate::domain::token::base64;
use crate::http::Server;
use crate::http::auth::{self, Source};
use crate::http::guard::Head;
use crate::http::message::{Method, Response};
use crate::http::share::Counted;
use crate::hub::Owner;
use sha1::{Digest, Sha1};
use std::rc::Rc;

/// The path of the diary's sockets.
pub const PATH: &str = "/ws";

/// A handshake that is accepted.
pub struct Accepted {
    /// The 101 to answer with.
    pub answer: Response,
    /// Whose socket it will be; nobody's without credentials.
    pub owner: Option<Owner>,
    /// Its place among all sockets.
    pub place: SocketPlace,
}

/// A socket's place among all, and among those without a login, taken before the handshake is
/// answered and given back at the socket's end.
pub type SocketPlace = (Counted, Option<Counted>);

fn place_for(server: &Rc<Server>, anonymous: bool) -> Option<SocketPlace> {
    let limits = server.app.limits();
    let full = server.sockets.get() >= limits.sockets
        || (anonymous && server.anonymous_sockets.get() >= limits.anonymous_sockets);
    let count = |counter| Counted::begin(server, counter);
    (!full).then(|| {
        (count(|server| &server.sockets), anonymous.then(|| count(|server| &server.anonymous_sockets)))
    })
}

/// Judges a request for a socket.
///
/// # Errors
/// The refusal: empty, and the last answer of its connection.
pub fn judge(server: &Rc<Server>, head: &Head) -> Result<Accepted, Response> {
    if head.method != Method::Get || !head.upgrade_websocket {
        return Err(refusal(426).with("upgrade", "websocket").with("sec-websocket-version", "13"));
    }
    if head.headers.get("sec-websocket-version").map(str::trim) != Some("13") {
        return Err(refusal(426).with("upgrade", "websocket").with("sec-websocket-version", "13"));
    }
    let key = head
        .headers
        .get("sec-websocket-key")
        .map(str::trim)
        .filter(|key| is_key(key))
        .ok_or_else(|| refusal(400))?;
    if let Some(origin) = head.headers.bytes("origin") {
        let own = std::str::from_utf8(origin).is_ok_and(|origin| auth::may_use(server, origin, &head.host));
        if !own {
            return Err(refusal(403));
        }
    }
    let caller = auth::socket_caller(server, &head.headers, &head.query).map_err(|failure| match failure
        .clear_cookie
    {
        true => refusal(401).with("set-cookie", auth::clear_cookie()),
        false => refusal(401),
    })?;
    let place = place_for(server, caller.is_none()).ok_or_else(|| refusal(503).with("retry-after", "5"))?;
    let owner = caller.map(|caller| Owner {
        user: caller.me.user,
        token: caller.me.token.id,
        // The diary's page asks for nothing and expects all its groups; whoever names a
        // subprotocol is another kind of client and will ask.
        follows: caller.source == Source::Cookie && head.headers.get("sec-websocket-protocol").is_none(),
    });
    let mut answer = Response::empty(101)
        .with("upgrade", "websocket")
        .with("connection", "Upgrade")
        .with("sec-websocket-accept", accept_key(key));
    // A browser that offered something gives up unless one of its offers comes back.
    let offers = head.headers.get_all("sec-websocket-protocol").flat_map(|value| value.split(','));
    if let Some(first) = offers.map(str::trim).next().filter(|offer| is_token(offer)) {
        answer = answer.with("sec-websocket-protocol", first);
    }
    Ok(Accepted { answer, owner, place })
}

/// The answer to a request for a socket where there are none.
pub fn no_such_path() -> Response {
    refusal(404)
}

fn refusal(status: u16) -> Response {
    Response::empty(status).with("connection", "close")
}

/// Sixteen bytes in base 64 (RFC 6455 section 4.1).
fn is_key(key: &str) -> bool {
    key.len() == 24
        && key.ends_with("==")
        && key[..22].bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// A token of RFC 9110 section 5.6.2, which is safe to repeat in a header.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The proof that the server understood (RFC 6455 section 4.2.2).
fn accept_key(key: &str) -> String {
    let mut hasher = Sha1::new();
    hasher.update(key.as_bytes());
    hasher.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_are_sixteen_bytes() {
        assert!(is_key("dGhlIHNhbXBsZSBub25jZQ=="));
        for bad in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ==x",
            "dGhlIHNhbXBs ZSBub25jZ===",
            "äGhlIHNhbXBsZSBub25jZ==",
        ] {
            assert!(!is_key(bad), "{bad}");
        }
    }
}
