//! From a request to a live socket: the opening handshake, with its refusals in the contract's order
//! (path, method and headers, Origin, credentials, capacity).

use crate::api::room::{self, Who};
use crate::api::{App, device, user};
use crate::domain::text::is_invisible;
use crate::domain::token::base64;
use crate::domain::{self, Author, Channel, Code, Error, Permit, Token, UserId};
use crate::http::Server;
use crate::http::auth::{self, Source};
use crate::http::guard::Head;
use crate::http::message::{Method, Response};
use crate::http::share::Counted;
use crate::http::shield::Shield;
use crate::hub::Owner;
use crate::ws::{Endpoint, Greeting, Page};
use sha1::{Digest, Sha1};
use std::rc::Rc;

/// A handshake that is accepted.
pub struct Accepted {
    /// The 101 to answer with.
    pub answer: Response,
    /// Whose socket it will be; nobody's without credentials.
    pub owner: Option<Owner>,
    /// What kind of clients come to its path.
    pub endpoint: Endpoint,
    /// What it is told first.
    pub greeting: Greeting,
    /// Whether it may talk without a login.
    pub guest: bool,
    /// Its place among all sockets.
    pub place: Counted,
    /// Its place among those without a login, if it has none.
    pub anonymous_place: Option<Counted>,
}

/// A path that sockets are opened at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// `/ws`
    Ws,
    /// `/realtime`
    Realtime,
    /// `/`, which without an upgrade is the page.
    Root,
    /// `/chat/room/:name`
    Room(String),
    /// `/chat/:name`
    Echo,
}

impl Path {
    /// The socket path of a request, if it is one.
    pub fn of(head: &Head) -> Option<Path> {
        let path = head.path.as_str();
        match path {
            "/ws" => return Some(Path::Ws),
            "/realtime" => return Some(Path::Realtime),
            "/" => return head.upgrade_websocket.then_some(Path::Root),
            _ => {}
        }
        let rest = path.strip_prefix("/chat/")?;
        let segments: Vec<&str> = rest.strip_suffix('/').unwrap_or(rest).split('/').collect();
        match segments[..] {
            ["room", name] if !name.is_empty() => Some(Path::Room(name.to_owned())),
            // `/chat/room/` names no room.
            ["room"] if rest.ends_with('/') => None,
            [name] if !name.is_empty() => Some(Path::Echo),
            _ => None,
        }
    }
}

/// Takes a socket's place among all, and among those without a login, before the handshake is answered.
fn places_for(server: &Rc<Server>, caller: Option<UserId>) -> Option<(Counted, Option<Counted>)> {
    let limits = server.app.limits();
    let full = server.sockets.get() >= limits.sockets
        || match caller {
            None => server.anonymous_sockets.get() >= limits.anonymous_sockets,
            Some(user) => server.app.hub.count_sockets(user) >= limits.sockets_per_user,
        };
    let count = |counter| Counted::begin(server, counter);
    (!full).then(|| {
        let anonymous = caller.is_none().then(|| count(|server| &server.anonymous_sockets));
        (count(|server| &server.sockets), anonymous)
    })
}

/// Judges a request for a socket.
///
/// # Errors
/// The refusal: empty, and the last answer of its connection.
pub fn judge(server: &Rc<Server>, path: &Path, head: &Head) -> Result<Accepted, Response> {
    let key = key(head)?;
    if !auth::comes_from_here(server, &head.headers, &head.host, head.https).unwrap_or(true) {
        return Err(refusal(403));
    }
    let offers: Vec<&str> = head
        .headers
        .get_all("sec-websocket-protocol")
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let caller =
        auth::socket_caller(server, head, &offers).map_err(|failure| match failure.clear_cookie {
            true => refusal(401).with("set-cookie", auth::clear_cookie()),
            false => refusal(401),
        })?;
    let user = caller.as_ref().map(|caller| caller.me.user);
    if let Some(caller) = &caller {
        check_scope(server, path, &caller.me.token).map_err(|_| refusal(403))?;
    }
    let guest = server.app.settings.guests && auth::is_own_page(&head.headers, &head.host, head.https);
    let endpoint =
        endpoint(server, path, head, user, guest).map_err(|error| refusal(status_of(&error, path)))?;
    let full = || refusal(503).with("retry-after", "5");
    let (place, anonymous_place) = places_for(server, user).ok_or_else(full)?;
    let mut answer = switching(key);
    let native = offers.contains(&NATIVE) && endpoint == Endpoint::Any;
    // A browser that offered something gives up unless one of its offers comes back.
    let chosen = if native { Some(&NATIVE) } else { offers.first() };
    if let Some(chosen) = chosen.filter(|offer| is_token(offer)) {
        answer = answer.with("sec-websocket-protocol", *chosen);
    }
    let source = caller.as_ref().map(|caller| caller.source);
    let greeting = match (&endpoint, source) {
        _ if native => Greeting::Native,
        (Endpoint::Flat, _) | (Endpoint::Any, Some(Source::Subprotocol)) => Greeting::Flat,
        (Endpoint::Any, None) => Greeting::FirstWord,
        _ => Greeting::None,
    };
    let owner = caller.map(|caller| Owner {
        user: caller.me.user,
        token: caller.me.token.id,
        permits: caller.me.token.permits,
        // The diary's page asks for nothing and expects all its groups; whoever names a
        // subprotocol is another kind of client and will ask.
        follows: *path == Path::Ws
            && caller.source == Source::Cookie
            && offers.is_empty()
            && caller.me.token.permits.is_none(),
    });
    Ok(Accepted { answer, owner, endpoint, greeting, guest, place, anonymous_place })
}

/// Refuses a socket to a device that could neither hear nor say anything there. What it may hear and say on a socket
/// is judged word by word (`ws/talk/scope.rs`); a chat page hears its room without asking, so that is judged here.
fn check_scope(server: &Server, path: &Path, token: &Token) -> domain::Result<()> {
    let Some(permits) = token.permits else { return Ok(()) };
    match path {
        Path::Ws | Path::Realtime | Path::Root if permits.include(Permit::Chat) => Ok(()),
        Path::Ws | Path::Realtime | Path::Root => device::check_permit(permits, Some(Permit::Read)),
        Path::Room(name) => {
            device::check_permit(permits, Some(Permit::Read))?;
            device::check_channel(server.app.db(), token.id, &Channel::parse(name)?)
        }
        // There one hears oneself, with one's e-mail address.
        Path::Echo => device::check_permit(permits, None),
    }
}

/// The native protocol's name (`docs/native.md`).
const NATIVE: &str = "deuced.v1";

/// Judges what has nothing to do with who asks: method, version and key (RFC 6455 section 4.2.1). The key.
///
/// # Errors
/// 426 where no WebSocket of version 13 was asked for, 400 for what is no key.
pub fn key(head: &Head) -> Result<&str, Response> {
    let wrong_version = || refusal(426).with("upgrade", "websocket").with("sec-websocket-version", "13");
    if head.method != Method::Get || !head.upgrade_websocket {
        return Err(wrong_version());
    }
    if head.headers.get("sec-websocket-version").map(str::trim) != Some("13") {
        return Err(wrong_version());
    }
    let key = head.headers.get("sec-websocket-key").map(str::trim);
    key.filter(|key| is_key(key)).ok_or_else(|| refusal(400))
}

/// The answer that makes a connection a socket. Extensions are declined by saying nothing of them (section 9.1).
pub fn switching(key: &str) -> Response {
    Response::empty(101)
        .shielded(Shield::Handshake)
        .with("upgrade", "websocket")
        .with("connection", "Upgrade")
        .with("sec-websocket-accept", accept_key(key))
}

/// What is spoken at a path, if this caller may be there.
fn endpoint(
    server: &Server,
    path: &Path,
    head: &Head,
    caller: Option<UserId>,
    guest: bool,
) -> domain::Result<Endpoint> {
    match path {
        Path::Ws => Ok(Endpoint::Any),
        Path::Root => Ok(Endpoint::Flat),
        Path::Realtime => caller.map(|_| Endpoint::Flat).ok_or_else(Error::unauthorized),
        Path::Echo => caller.map(|_| Endpoint::Echo).ok_or_else(Error::unauthorized),
        Path::Room(name) => {
            let username = head.query.get("username").unwrap_or_default();
            page(&server.app, name, username, caller, guest).map(|page| Endpoint::Page(Box::new(page)))
        }
    }
}

/// The contract has 401 for whatever a chat page may not do. A child in a room by name is none of its cases: its login is
/// as good as any, and logging in again would not help.
fn status_of(error: &Error, path: &Path) -> u16 {
    let is_named = matches!(path, Path::Room(name) if matches!(Channel::parse(name), Ok(Channel::Named(_))));
    if error.code == Code::Forbidden && is_named { 403 } else { 401 }
}

/// A chat page's room and name. Nobody goes by the name of somebody else who has an account.
fn page(app: &App, name: &str, username: &str, caller: Option<UserId>, guest: bool) -> domain::Result<Page> {
    const MOST_CHARACTERS: usize = 50;
    let channel = Channel::parse(name)?;
    let who = match caller {
        Some(user) => Who::Person(user),
        None if guest => Who::Guest,
        None => Who::Nobody,
    };
    let room = match channel {
        Channel::Me => return Err(Error::unauthorized()),
        _ => room::enter(app.db(), &who, &channel)?,
    };
    let seen: String = username.chars().filter(|c| !is_invisible(*c)).take(MOST_CHARACTERS).collect();
    let given = Some(seen.trim()).filter(|name| !name.is_empty());
    let name = given.unwrap_or("Anonymous");
    let taken = user::is_name_of_somebody(app.db(), name, caller)?;
    let (author, nickname) = match caller {
        Some(me) => {
            let person = user::person(app.db(), me)?;
            let nickname = given.filter(|name| !taken && *name != person.name).map(str::to_owned);
            (Author::Person(person), nickname)
        }
        None if taken => return Err(Error::unauthorized()),
        None => (Author::Guest(name.to_owned()), None),
    };
    Ok(Page { channel, room, author, nickname })
}

/// The answer to a request for a socket where there are none.
pub fn no_such_path() -> Response {
    refusal(404)
}

fn refusal(status: u16) -> Response {
    Response::empty(status).shielded(Shield::Handshake).with("connection", "close")
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
pub fn accept_key(key: &str) -> String {
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
