//! A client of `deuced.v1` as docs/native.md wants one: it asks under ids of its own, tells answers from
//! events, and checks with every event that its channel's numbers go on without a gap.

use super::{Client, Frame, PATIENCE, Server, Socket, socket::Handshake};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

pub struct Native {
    pub socket: Socket,
    /// The payload of the server's first frame.
    pub hello: Value,
    next_id: u64,
    /// Heard, but nobody has asked for it yet.
    waiting: VecDeque<Value>,
    /// The number of the last event of each channel.
    heads: BTreeMap<String, i64>,
}

/// Where a client is in a channel: number and id of the last event it has seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    pub seq: i64,
    pub id: Value,
}

impl Cursor {
    /// Behind this event.
    #[track_caller]
    pub fn after(event: &Value) -> Cursor {
        let seq = event["payload"]["seq"].as_i64().unwrap_or_else(|| panic!("no number: {event}"));
        Cursor { seq, id: event["id"].clone() }
    }

    /// Where an acknowledged subscription begins.
    #[track_caller]
    pub fn of(ack: &Value) -> Cursor {
        let seq = ack["seq"].as_i64().unwrap_or_else(|| panic!("no number: {ack}"));
        Cursor { seq, id: ack["lastId"].clone() }
    }

    /// Before everything.
    pub fn beginning() -> Cursor {
        Cursor { seq: 0, id: Value::Null }
    }

    fn json(&self) -> Value {
        match self.id.is_null() {
            true => json!({ "seq": self.seq }),
            false => json!({ "seq": self.seq, "id": self.id }),
        }
    }
}

impl Native {
    /// A device of this login.
    #[track_caller]
    pub fn open(client: &Client) -> Native {
        let native = Native::over(native_handshake(client).open());
        assert_eq!(native.hello["userId"], json!(client.id()), "{}", native.hello);
        native
    }

    /// Somebody without a login.
    #[track_caller]
    pub fn anonymous(server: &Server) -> Native {
        let native = Native::over(server.nobody().handshake().offering("deuced.v1").open());
        assert_eq!(native.hello["userId"], Value::Null, "{}", native.hello);
        native
    }

    /// Takes the greeting.
    #[track_caller]
    pub fn over(mut socket: Socket) -> Native {
        let hello = socket.expect_json();
        assert_eq!(hello["type"], "hello", "{hello}");
        assert_eq!(hello["payload"]["v"], 1, "{hello}");
        Native {
            socket,
            hello: hello["payload"].clone(),
            next_id: 1,
            waiting: VecDeque::new(),
            heads: BTreeMap::new(),
        }
    }

    /// Sends a frame without an id.
    #[track_caller]
    pub fn tell(&mut self, kind: &str, payload: Value) {
        self.socket.send_json(json!({ "type": kind, "payload": payload }));
    }

    /// Asks, and takes the acknowledgement's payload.
    #[track_caller]
    pub fn ask(&mut self, kind: &str, payload: Value) -> Value {
        match self.try_ask(kind, payload) {
            Ok(ack) => ack,
            Err(error) => panic!("{kind} was refused: {error}"),
        }
    }

    /// Asks, and is refused with this code. The error's payload.
    #[track_caller]
    pub fn refused(&mut self, kind: &str, payload: Value, code: &str) -> Value {
        match self.try_ask(kind, payload) {
            Ok(ack) => panic!("{kind} was to be refused with {code}, but: {ack}"),
            Err(error) => {
                assert_eq!(error["code"], code, "{error}");
                assert!(!super::check::shows_insides(error["message"].as_str().unwrap_or("SQL")), "{error}");
                error
            }
        }
    }

    #[track_caller]
    pub fn try_ask(&mut self, kind: &str, payload: Value) -> Result<Value, Value> {
        let id = json!(self.next_id);
        self.next_id += 1;
        self.ask_as(&id, kind, payload)
    }

    /// Asks under an id of the caller's choice.
    #[track_caller]
    pub fn ask_as(&mut self, id: &Value, kind: &str, payload: Value) -> Result<Value, Value> {
        self.socket.send_json(json!({ "type": kind, "id": id, "payload": payload }));
        self.answer_to(id)
    }

    /// The answer to what was asked under this id; events that come before it wait.
    #[track_caller]
    pub fn answer_to(&mut self, id: &Value) -> Result<Value, Value> {
        loop {
            let frame = self.socket.expect_json();
            let payload = &frame["payload"];
            match frame["type"].as_str() {
                Some("ack") if payload["id"] == *id => {
                    self.note_subscription(payload);
                    return Ok(payload.clone());
                }
                Some("error") if payload["id"] == *id => return Err(payload.clone()),
                Some("error" | "ack") => panic!("an answer to something else than {id}: {frame}"),
                _ => self.waiting.push_back(frame),
            }
        }
    }

    /// An acknowledged subscription says from where its events are counted. Events of the same
    /// channel cannot have come before: answer and subscription are one step.
    fn note_subscription(&mut self, ack: &Value) {
        if let (Some(channel), Some(seq), true) =
            (ack["channel"].as_str(), ack["seq"].as_i64(), ack.get("lastId").is_some())
        {
            let replay = ack["replay"].as_i64().unwrap_or(0);
            self.heads.insert(channel.into(), seq - replay);
        }
    }

    /// Hears a channel from now on.
    #[track_caller]
    pub fn subscribe(&mut self, channel: &str) -> Cursor {
        let ack = self.ask("subscribe", json!({ "channel": channel }));
        assert_eq!(ack["channel"], *channel, "{ack}");
        assert!(ack.get("recovered").is_none() && ack.get("replay").is_none(), "not asked for: {ack}");
        Cursor::of(&ack)
    }

    /// Comes back to a channel: the acknowledgement's payload, whose `recovered` says how it went.
    #[track_caller]
    pub fn resume(&mut self, channel: &str, since: &Cursor) -> Value {
        let ack = self.ask("subscribe", json!({ "channel": channel, "since": since.json() }));
        assert_eq!(ack["channel"], *channel, "{ack}");
        let (seq, replay) = (ack["seq"].as_i64().unwrap(), ack["replay"].as_i64().unwrap_or(-1));
        match ack["recovered"].as_bool().unwrap_or_else(|| panic!("no word about recovery: {ack}")) {
            true => assert_eq!(replay, seq - since.seq, "exactly what was missed: {ack}"),
            false => assert!(replay <= 0, "nothing is replayed: {ack}"),
        }
        ack
    }

    /// Says something; the acknowledgement's payload.
    #[track_caller]
    pub fn say(&mut self, channel: &str, text: &str) -> Value {
        let ack = self.ask("message", json!({ "channel": channel, "text": text }));
        assert_eq!(ack["channel"], *channel, "{ack}");
        assert!(ack["seq"].is_i64() && ack["messageId"].is_string(), "{ack}");
        ack
    }

    /// The next event or whisper.
    #[track_caller]
    pub fn event(&mut self) -> Value {
        let frame = match self.waiting.pop_front() {
            Some(frame) => frame,
            None => self.socket.expect_json(),
        };
        self.count(&frame);
        frame
    }

    /// The next event or whisper of a server that may be gone: nothing when it is.
    #[track_caller]
    pub fn event_if_any(&mut self) -> Option<Value> {
        let frame = match self.waiting.pop_front() {
            Some(frame) => frame,
            None => match self.socket.next_frame() {
                Frame::Text(text) => self.socket.read(&text),
                Frame::Close(..) | Frame::End => return None,
                other => panic!("expected an event or the end, got {other:?}"),
            },
        };
        self.count(&frame);
        Some(frame)
    }

    /// The next event is of this type; the whole frame.
    #[track_caller]
    pub fn expect(&mut self, kind: &str) -> Value {
        let frame = self.event();
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// The next event is a message of this text; the whole frame.
    #[track_caller]
    pub fn hear(&mut self, text: &str) -> Value {
        let frame = self.expect("message");
        assert_eq!(frame["payload"]["text"], text, "{frame}");
        frame
    }

    /// Passes over everything until an event of this type.
    #[track_caller]
    pub fn until(&mut self, kind: &str) -> Value {
        let start = Instant::now();
        loop {
            let frame = self.event();
            if frame["type"] == kind {
                return frame;
            }
            assert!(start.elapsed() < PATIENCE, "no {kind} among all that came, last {frame}");
        }
    }

    /// Nothing is waiting, and nothing was sent. See [`Socket::expect_silence`].
    #[track_caller]
    pub fn expect_silence(&mut self) {
        assert!(self.waiting.is_empty(), "expected silence, got {:?}", self.waiting);
        self.socket.expect_silence();
    }

    /// Everything that comes before the close with this code.
    #[track_caller]
    pub fn rest_until_close(&mut self, code: u16) -> Vec<Value> {
        let mut heard: Vec<Value> = self.waiting.drain(..).collect();
        loop {
            match self.socket.next_frame() {
                Frame::Text(text) => heard.push(self.socket.read(&text)),
                Frame::Close(Some(have), reason) => {
                    assert_eq!(have, code, "closed with another code, reason {reason:?}");
                    return heard;
                }
                other => panic!("expected a close with {code}, got {other:?}"),
            }
        }
    }

    /// Checks that an event follows upon the one before it.
    #[track_caller]
    fn count(&mut self, frame: &Value) {
        let payload = &frame["payload"];
        let (Some(channel), Some(seq)) = (payload["channel"].as_str(), payload["seq"].as_i64()) else {
            return;
        };
        if let Some(head) = self.heads.get_mut(channel) {
            assert_eq!(seq, *head + 1, "without a gap and not twice: {frame}");
            *head = seq;
        }
        assert!(frame["id"].is_string() && frame["timestamp"].is_i64(), "{frame}");
    }
}

/// The upgrade as a program makes it: protocol and token side by side.
pub fn native_handshake(client: &Client) -> Handshake {
    let bare = Handshake::new(client.address(), Some(client.id()));
    bare.offering(&format!("deuced.v1, jwt.{}", client.token()))
}
