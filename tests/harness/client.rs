//! Somebody's device: remembers its session, asks, and checks what every reply should have.

use super::{Socket, Wire, check, picture, socket::Handshake};
use serde_json::{Value, json};
use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

pub struct Client {
    place: Arc<Mutex<SocketAddr>>,
    wire: Mutex<Option<(SocketAddr, Wire)>>,
    cookie: Mutex<Option<String>>,
    bearer: Option<String>,
    /// The user's id and session token, after a login.
    identity: Mutex<Option<(String, String)>>,
    /// The same login as a token that says whose it is.
    jwt: Mutex<Option<String>>,
}

/// A whole reply. Reading it by [`Reply::ok`] or [`Reply::refused`] says what was expected.
#[derive(Clone)]
pub struct Reply {
    /// The first line, `HTTP/1.1 200 OK`.
    pub line: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The request, for messages.
    pub asked: String,
}

/// A request under construction.
pub struct Request<'a> {
    client: &'a Client,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Client {
    pub fn new(place: Arc<Mutex<SocketAddr>>) -> Client {
        Client {
            place,
            wire: Mutex::new(None),
            cookie: Mutex::new(None),
            bearer: None,
            identity: Mutex::new(None),
            jwt: Mutex::new(None),
        }
    }

    /// Logs in and keeps the session. The reply has been checked.
    #[track_caller]
    pub fn login(&self, name: &str, password: Option<&str>) -> Value {
        let mut body = json!({ "username": name });
        if let Some(password) = password {
            body["password"] = json!(password);
        }
        self.post("/api/login", body).ok()
    }

    /// Keeps what a successful login hands out.
    #[track_caller]
    fn keep_identity(&self, login: &Value) {
        let id = login["user"]["id"].as_str().expect("login names the user's id");
        let token = login["token"].as_str().expect("login hands out a token");
        assert_eq!(self.cookie(), Some(format!("deuced={token}")), "cookie and token are one session");
        *self.identity.lock().unwrap() = Some((id.into(), token.into()));
        *self.jwt.lock().unwrap() = login["jwt"].as_str().map(Into::into);
    }

    /// The same session from another connection, for acts in parallel.
    pub fn twin(&self) -> Client {
        Client {
            place: self.place.clone(),
            wire: Mutex::new(None),
            cookie: Mutex::new(self.cookie()),
            bearer: self.bearer.clone(),
            identity: Mutex::new(self.identity.lock().unwrap().clone()),
            jwt: Mutex::new(self.jwt.lock().unwrap().clone()),
        }
    }

    /// The same session at another server, which has the same people.
    pub fn twin_at(&self, server: &super::Server) -> Client {
        Client { place: server.place(), ..self.twin() }
    }

    /// The same session as a program uses it: a bearer token, no cookie.
    pub fn bearer(&self) -> Client {
        Client { bearer: Some(self.token()), cookie: Mutex::new(None), ..self.twin() }
    }

    /// A gadget that was given this token. It is nobody in particular: what it may see of its person is what others may.
    pub fn gadget(&self, token: &str) -> Client {
        Client { bearer: Some(token.to_owned()), ..Client::new(self.place.clone()) }
    }

    #[track_caller]
    pub fn id(&self) -> String {
        self.identity.lock().unwrap().clone().expect("logged in").0
    }

    #[track_caller]
    pub fn token(&self) -> String {
        self.identity.lock().unwrap().clone().expect("logged in").1
    }

    /// The login as a JWT.
    #[track_caller]
    pub fn jwt(&self) -> String {
        self.jwt.lock().unwrap().clone().expect("the login handed out a JWT")
    }

    /// What the JWT claims.
    #[track_caller]
    pub fn claims(&self) -> Value {
        let jwt = self.jwt();
        let parts: Vec<&str> = jwt.split('.').collect();
        assert_eq!(parts.len(), 3, "a JWT has three parts: {jwt}");
        serde_json::from_slice(&from_base64url(parts[1])).expect("claims are JSON")
    }

    /// The user's number, as QuickDapp's clients know people.
    #[track_caller]
    pub fn number(&self) -> i64 {
        self.claims()["userId"].as_i64().expect("a JWT names the user's number")
    }

    /// The cookie as a request carries it, `deuced=…`.
    pub fn cookie(&self) -> Option<String> {
        self.cookie.lock().unwrap().clone()
    }

    pub fn address(&self) -> SocketAddr {
        *self.place.lock().unwrap()
    }

    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        Request { client: self, method: method.into(), path: path.into(), headers: Vec::new(), body: None }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path).send()
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: Value) -> Reply {
        self.request("POST", path).json(&body).send()
    }

    #[track_caller]
    pub fn put(&self, path: &str, body: Value) -> Reply {
        self.request("PUT", path).json(&body).send()
    }

    #[track_caller]
    pub fn patch(&self, path: &str, body: Value) -> Reply {
        self.request("PATCH", path).json(&body).send()
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Reply {
        self.request("DELETE", path).send()
    }

    #[track_caller]
    pub fn delete_with_body(&self, path: &str, body: Value) -> Reply {
        self.request("DELETE", path).json(&body).send()
    }

    #[track_caller]
    pub fn form(&self, path: &str, body: &str) -> Reply {
        self.request("POST", path).content("application/x-www-form-urlencoded", body).send()
    }

    #[track_caller]
    pub fn upload(&self, path: &str, field: &str, content_type: &str, bytes: &[u8]) -> Reply {
        let (kind, body) = picture::multipart(&[(field, "me.jpg", content_type, bytes)]);
        self.request("POST", path).content(&kind, body).send()
    }

    /// A socket that comes as a page's does: with the session cookie. Without a login its first word is
    /// one that is never answered, so that it is not greeted.
    #[track_caller]
    pub fn socket(&self) -> Socket {
        match self.cookie().is_some() || self.bearer.is_some() {
            true => self.handshake().open(),
            false => self.handshake().saying(r#"{"type":"ack"}"#).open(),
        }
    }

    /// An upgrade of `/ws` with this client's credentials, to be changed before it is sent.
    pub fn handshake(&self) -> Handshake {
        let mut handshake =
            Handshake::new(self.address(), self.identity.lock().unwrap().clone().map(|who| who.0));
        if let Some(cookie) = self.cookie() {
            handshake = handshake.header("Cookie", &cookie);
        }
        if let Some(token) = &self.bearer {
            handshake = handshake.header("Authorization", &format!("Bearer {token}"));
        }
        handshake
    }

    /// Founds a group and names its id.
    #[track_caller]
    pub fn found(&self, name: &str) -> String {
        let group = self.post("/api/groups", json!({ "name": name })).ok();
        group["id"].as_str().expect("a group has an id").into()
    }

    /// An invite into the group; its id.
    #[track_caller]
    pub fn invite(&self, group: &str) -> String {
        let invite = self.post(&format!("/api/groups/{group}/invite"), json!({})).ok();
        invite["id"].as_str().expect("an invite has an id").into()
    }

    #[track_caller]
    pub fn join(&self, invite: &str) -> Value {
        self.post(&format!("/api/join/{invite}"), json!({})).ok()
    }

    /// Brings somebody into the group, by invite.
    #[track_caller]
    pub fn bring(&self, group: &str, guest: &Client) {
        guest.join(&self.invite(group));
    }

    /// Logs a deuce into one group; the entry.
    #[track_caller]
    pub fn log(&self, group: &str, thoughts: &str) -> Value {
        let body = json!({ "groupIds": [group], "location": "Home", "thoughts": thoughts });
        self.post("/api/deuces", body).ok()["entries"][0].clone()
    }

    /// The entry's id, for when nothing else matters.
    #[track_caller]
    pub fn log_id(&self, group: &str, thoughts: &str) -> String {
        self.log(group, thoughts)["id"].as_str().expect("an entry has an id").into()
    }

    /// The thoughts of a group's entries as its page shows them.
    #[track_caller]
    pub fn thoughts_in(&self, group: &str) -> Vec<String> {
        texts(&self.get(&format!("/api/groups/{group}")).ok()["entries"], "thoughts")
    }

    /// The ids of the group's members.
    #[track_caller]
    pub fn members_of(&self, group: &str) -> Vec<String> {
        texts(&self.get(&format!("/api/groups/{group}")).ok()["members"], "userId")
    }

    #[track_caller]
    fn exchange(&self, request: &Request) -> Reply {
        match self.try_exchange(request) {
            Ok(reply) => reply,
            Err(what) => panic!("{} {}: {what}", request.method, request.path),
        }
    }

    fn try_exchange(&self, request: &Request) -> Result<Reply, String> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.path).into_bytes();
        let address = self.address();
        let given = |name: &str| request.headers.iter().any(|(have, _)| have.eq_ignore_ascii_case(name));
        let mut head = String::new();
        if !given("Host") {
            head += &format!("Host: {address}\r\n");
        }
        if let Some(cookie) = self.cookie().filter(|_| !given("Cookie")) {
            head += &format!("Cookie: {cookie}\r\n");
        }
        if let Some(token) = self.bearer.as_ref().filter(|_| !given("Authorization")) {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        for (name, value) in &request.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = &request.body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(request.body.as_deref().unwrap_or_default());

        let mut held = self.wire.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut kept = held.take().filter(|(to, _)| *to == address).map(|(_, wire)| wire);
        let mut wire = match kept.take_if(|wire| wire.is_fresh()) {
            Some(wire) => wire,
            None => {
                Wire::try_open(address).map_err(|error| format!("cannot connect to {address}: {error}"))?
            }
        };
        // A refusal may come before the whole body was taken: the reply is what counts.
        let sent = wire.try_send(&bytes);
        let mut reply = wire.try_reply(&request.method).map_err(|what| format!("{what} (sent: {sent:?})"))?;
        reply.asked = format!("{} {}", request.method, request.path);
        let closes = reply.header("Connection").is_some_and(|value| value.to_lowercase().contains("close"));
        if !closes && sent.is_ok() {
            *held = Some((address, wire));
        }
        Ok(reply)
    }

    fn keep_cookie(&self, reply: &Reply) {
        for (_, value) in reply.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Set-Cookie")) {
            let pair = value.split(';').next().unwrap_or_default().trim();
            if let Some(token) = pair.strip_prefix("deuced=") {
                *self.cookie.lock().unwrap() = (!token.is_empty()).then(|| pair.to_string());
            }
        }
    }
}

impl Request<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.content("application/json", body.to_string())
    }

    pub fn content(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self.header("Content-Type", content_type)
    }

    /// Asks, and checks what every reply should have.
    #[track_caller]
    pub fn send(self) -> Reply {
        let reply = self.client.exchange(&self);
        self.client.keep_cookie(&reply);
        let me = self.client.identity.lock().unwrap().clone().map(|who| who.0);
        check::reply(&reply, &self.method, &self.path, me.as_deref());
        if self.method == "POST" && check::is_login(&self.path) && reply.status == 200 {
            self.client.keep_identity(&reply.json());
        }
        reply
    }
}

impl Request<'_> {
    /// Asks a server that may be gone before it has answered.
    #[track_caller]
    pub fn send_to_mortal(self) -> Option<Reply> {
        let reply = self.client.try_exchange(&self).ok()?;
        let me = self.client.identity.lock().unwrap().clone().map(|who| who.0);
        check::reply(&reply, &self.method, &self.path, me.as_deref());
        Some(reply)
    }

    /// Both: nothing where it is gone, and whatever it says where it is not.
    #[track_caller]
    pub fn send_if_answered(self) -> Option<Reply> {
        let reply = self.client.try_exchange(&self).ok()?;
        let me = self.client.identity.lock().unwrap().clone().map(|who| who.0);
        check::form(&reply, &self.method, &self.path, me.as_deref());
        Some(reply)
    }

    /// Asks a server that may have to say that it cannot: 5xx is an answer like any other.
    #[track_caller]
    pub fn send_to_troubled(self) -> Reply {
        let reply = self.client.exchange(&self);
        check::form(&reply, &self.method, &self.path, None);
        reply
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// A 200 with JSON.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "expected success: {self:?}");
        self.json()
    }

    /// An error with exactly this message.
    #[track_caller]
    pub fn refused(&self, status: u16, message: &str) {
        assert_eq!((self.status, self.message().as_str()), (status, message), "{self:?}");
    }

    /// An error whose message has `part` in it, in any case: the field it is about.
    #[track_caller]
    pub fn refused_naming(&self, status: u16, part: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let message = self.message().to_lowercase();
        assert!(message.contains(&part.to_lowercase()), "the message does not name {part:?}: {self:?}");
    }

    #[track_caller]
    pub fn refused_with(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
    }

    /// A 302 to exactly this place.
    #[track_caller]
    pub fn leads_to(&self, place: &str) {
        assert_eq!((self.status, self.header("Location")), (302, Some(place)), "{self:?}");
    }

    #[track_caller]
    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_else(|| panic!("no message: {self:?}")).into()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let body: String = self.text().chars().take(2000).collect();
        write!(f, "{} -> {} {:?} {body}", self.asked, self.status, self.headers)
    }
}

/// Bytes from base 64 in the alphabet of URLs, without padding.
#[track_caller]
pub fn from_base64url(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    for letter in text.bytes() {
        let six = ALPHABET.iter().position(|have| *have == letter);
        bits = bits << 6 | six.unwrap_or_else(|| panic!("not base 64 for URLs: {text:?}")) as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    bytes
}

/// One text field of each object in an array.
#[track_caller]
pub fn texts(array: &Value, field: &str) -> Vec<String> {
    let text =
        |object: &Value| object[field].as_str().unwrap_or_else(|| panic!("{field} in {object}")).to_string();
    array.as_array().unwrap_or_else(|| panic!("not an array: {array}")).iter().map(text).collect()
}
