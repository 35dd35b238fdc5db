//! A WebSocket client that shows every frame, can send illegal ones, and proves silence without
//! waiting for it: a ping goes out, and its pong must be the next frame.

use super::{PATIENCE, Reply, Wire, check};
use serde_json::Value;
use std::{
    io::ErrorKind,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Two keys with their answers, so that no SHA-1 is needed here (RFC 6455 1.3 and a common example).
const KEYS: [(&str, &str); 2] = [
    ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ("x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
];

pub struct Socket {
    wire: Wire,
    pings_sent: u32,
    /// Whose socket it is, to know whose e-mail address may be seen.
    me: Option<String>,
}

#[derive(Debug, PartialEq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    /// The stream ended, with or without a reset.
    End,
}

/// An upgrade request under construction.
pub struct Handshake {
    address: SocketAddr,
    me: Option<String>,
    target: String,
    headers: Vec<(String, String)>,
    accept: &'static str,
    ahead: Vec<u8>,
}

impl Handshake {
    pub fn new(address: SocketAddr, me: Option<String>) -> Handshake {
        let (key, accept) = KEYS[address.port() as usize % 2];
        let headers = [
            ("Host", address.to_string().as_str()),
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .to_vec();
        Handshake { address, me, target: "/ws".into(), headers, accept, ahead: Vec::new() }
    }

    pub fn target(mut self, target: &str) -> Handshake {
        self.target = target.into();
        self
    }

    /// Sets a header, or replaces it.
    pub fn header(self, name: &str, value: &str) -> Handshake {
        let mut handshake = self.without(name);
        handshake.headers.push((name.into(), value.into()));
        handshake
    }

    pub fn without(mut self, name: &str) -> Handshake {
        self.headers.retain(|(have, _)| !have.eq_ignore_ascii_case(name));
        self
    }

    /// Offers these subprotocols.
    pub fn offering(self, protocols: &str) -> Handshake {
        self.header("Sec-WebSocket-Protocol", protocols)
    }

    /// What a browser that offered something has to find in the answer.
    fn expected_protocol(&self) -> Option<&str> {
        let named = |name: &str| name.eq_ignore_ascii_case("Sec-WebSocket-Protocol");
        let values = self.headers.iter().filter(|(name, _)| named(name));
        let offers: Vec<&str> = values.flat_map(|(_, value)| value.split(',')).map(str::trim).collect();
        offers.iter().find(|offer| **offer == "deuced.v1").or(offers.first()).copied()
    }

    /// Bytes that travel in the same packet, right behind the request.
    pub fn followed_by(mut self, bytes: &[u8]) -> Handshake {
        self.ahead = bytes.to_vec();
        self
    }

    /// A first word that is there before the server could greet, however busy the machine is.
    pub fn saying(self, text: &str) -> Handshake {
        self.followed_by(&frame(1, text.as_bytes()))
    }

    /// The request as it goes out.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("GET {} HTTP/1.1\r\n", self.target);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        let mut bytes = (text + "\r\n").into_bytes();
        bytes.extend_from_slice(&self.ahead);
        bytes
    }

    #[track_caller]
    pub fn open(self) -> Socket {
        match self.try_open() {
            Ok(socket) => socket,
            Err(reply) => panic!("the socket was refused: {reply:?}"),
        }
    }

    /// Refused with this status, an empty body and the end of the connection.
    #[track_caller]
    pub fn refused(self, status: u16) -> Reply {
        let mut wire = Wire::open(self.address);
        wire.send(self.bytes());
        let reply = wire.reply("GET");
        assert_eq!(reply.status, status, "{reply:?}");
        assert_eq!(reply.header("Content-Length"), Some("0"), "{reply:?}");
        assert_eq!(reply.header("Connection").map(str::to_lowercase).as_deref(), Some("close"), "{reply:?}");
        wire.expect_end();
        reply
    }

    /// Opens where there may be no server, or one that is about to go. Nothing where it does not work out.
    #[track_caller]
    pub fn reach(self) -> Option<Socket> {
        let mut wire = Wire::try_open(self.address).ok()?;
        wire.try_send(self.bytes()).ok()?;
        let reply = wire.try_reply("GET").ok()?;
        self.judge(wire, reply).ok()
    }

    #[track_caller]
    pub fn try_open(self) -> Result<Socket, Reply> {
        let mut wire = Wire::open(self.address);
        wire.send(self.bytes());
        let reply = wire.reply("GET");
        self.judge(wire, reply)
    }

    /// Checks the answer to a handshake.
    #[track_caller]
    fn judge(self, wire: Wire, mut reply: Reply) -> Result<Socket, Reply> {
        reply.asked = format!("upgrade of {}", self.target);
        if reply.status != 101 {
            return Err(reply);
        }
        let header = |name| reply.header(name).unwrap_or_default();
        assert_eq!(header("Upgrade").to_lowercase(), "websocket", "{reply:?}");
        assert!(header("Connection").to_lowercase().contains("upgrade"), "{reply:?}");
        if self.headers.iter().any(|(_, value)| KEYS.iter().any(|(key, _)| key == value)) {
            assert_eq!(header("Sec-WebSocket-Accept"), self.accept, "{reply:?}");
        }
        assert_eq!(reply.header("Sec-WebSocket-Extensions"), None, "{reply:?}");
        assert_eq!(reply.header("Sec-WebSocket-Protocol"), self.expected_protocol(), "{reply:?}");
        Ok(Socket { wire, pings_sent: 0, me: self.me })
    }
}

impl Socket {
    #[track_caller]
    pub fn send_text(&mut self, text: &str) {
        self.send_raw(&frame(1, text.as_bytes()));
    }

    #[track_caller]
    pub fn send_json(&mut self, value: Value) {
        self.send_text(&value.to_string());
    }

    /// Bytes as they are, legal or not.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.wire.send(bytes);
    }

    /// The same, where the server may have hung up already.
    pub fn try_send_raw(&mut self, bytes: &[u8]) {
        let _ = self.wire.try_send(bytes);
    }

    /// The connection beneath.
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// No more from this side.
    pub fn finish_sending(&self) {
        self.wire.finish_sending();
    }

    /// Sends more; `false` when the server has hung up.
    pub fn try_send_more(&mut self, bytes: &[u8]) -> bool {
        self.wire.try_send(bytes).is_ok()
    }

    /// Every byte up to the end of the stream, and how long that took. Nothing is answered meanwhile.
    #[track_caller]
    pub fn until_the_end(&mut self) -> (Vec<u8>, Duration) {
        let begin = Instant::now();
        loop {
            match self.wire.fill() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("there is no end ({error}) after {:?}", self.wire.ahead),
            }
        }
        (std::mem::take(&mut self.wire.ahead), begin.elapsed())
    }

    /// The next frame, pings included.
    #[track_caller]
    pub fn any_frame(&mut self) -> Frame {
        match self.read_frame() {
            Ok(frame) => frame,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                Frame::End
            }
            Err(error) => panic!("no frame came: {error}"),
        }
    }

    /// The next frame that is not a ping; pings are answered.
    #[track_caller]
    pub fn next_frame(&mut self) -> Frame {
        loop {
            match self.any_frame() {
                Frame::Ping(payload) => self.send_raw(&frame(10, &payload)),
                other => return other,
            }
        }
    }

    /// The next frame is a JSON text.
    #[track_caller]
    pub fn expect_json(&mut self) -> Value {
        match self.next_frame() {
            Frame::Text(text) => self.read(&text),
            other => panic!("expected JSON, got {other:?}"),
        }
    }

    /// Reads a JSON text, and checks what every frame should have.
    #[track_caller]
    pub fn read(&self, text: &str) -> Value {
        let value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
        check::secrets(&value, self.me.as_deref(), false);
        value
    }

    /// Everything that was sent before the server answers a ping that leaves now.
    #[track_caller]
    pub fn drain(&mut self) -> Vec<Value> {
        self.pings_sent += 1;
        let payload = format!("drain {}", self.pings_sent).into_bytes();
        self.send_raw(&frame(9, &payload));
        let mut heard = Vec::new();
        loop {
            match self.next_frame() {
                Frame::Text(text) => heard.push(self.read(&text)),
                Frame::Pong(back) if back == payload => return heard,
                other => panic!("expected JSON or a pong, got {other:?}"),
            }
        }
    }

    /// Leaves as a browser does when a page is closed.
    #[track_caller]
    pub fn leave(mut self) {
        self.send_raw(&frame(8, &1000_u16.to_be_bytes()));
        self.expect_close(1000);
    }

    /// The next frame is a whole `deuce_logged` with these thoughts.
    #[track_caller]
    pub fn expect_deuce(&mut self, thoughts: &str) -> Value {
        let event = self.expect_json();
        check::deuce_logged(&event);
        assert_eq!(event["entry"]["thoughts"], thoughts, "{event}");
        event
    }

    /// Nothing was sent before the server answered a ping that leaves now. What could have been
    /// sent must have been decided by then: ask somebody who does hear it first.
    #[track_caller]
    pub fn expect_silence(&mut self) {
        self.pings_sent += 1;
        let payload = format!("silence {}", self.pings_sent).into_bytes();
        self.send_raw(&frame(9, &payload));
        match self.next_frame() {
            Frame::Pong(back) => assert_eq!(back, payload, "a pong for something else"),
            other => panic!("expected silence, got {other:?}"),
        }
    }

    /// The server closes with this code, and then the connection.
    #[track_caller]
    pub fn expect_close(&mut self, code: u16) {
        match self.next_frame() {
            Frame::Close(Some(have), reason) => {
                assert_eq!(have, code, "closed with another code, reason {reason:?}");
                assert!(reason.len() <= 123);
            }
            other => panic!("expected a close with {code}, got {other:?}"),
        }
        self.try_send_raw(&frame(8, &code.to_be_bytes()));
        self.wire.set_patience(Duration::from_secs(5));
        assert_eq!(self.any_frame(), Frame::End, "after the close frame");
        self.wire.set_patience(PATIENCE);
    }

    fn read_frame(&mut self) -> std::io::Result<Frame> {
        let Some(head) = self.wire.take(2)? else { return Ok(Frame::End) };
        assert_eq!(head[0] & 0xf0, 0x80, "whole frames without reserved bits");
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let length = match head[1] & 0x7f {
            126 => self.wire.take(2)?.map(|bytes| u16::from_be_bytes(bytes.try_into().unwrap()).into()),
            127 => self.wire.take(8)?.map(|bytes| u64::from_be_bytes(bytes.try_into().unwrap())),
            short => Some(short.into()),
        };
        let Some(length) = length else { return Ok(Frame::End) };
        let kind = head[0] & 0x0f;
        assert!(kind < 8 || length <= 125, "a control frame of {length} bytes");
        let Some(payload) = self.wire.take(length as usize)? else { return Ok(Frame::End) };
        Ok(match kind {
            1 => Frame::Text(String::from_utf8(payload).expect("text is UTF-8")),
            2 => Frame::Binary(payload),
            8 if payload.is_empty() => Frame::Close(None, String::new()),
            8 => {
                let (code, reason) = payload.split_at(2);
                let reason = String::from_utf8(reason.to_vec()).expect("a reason is UTF-8");
                Frame::Close(Some(u16::from_be_bytes(code.try_into().unwrap())), reason)
            }
            9 => Frame::Ping(payload),
            10 => Frame::Pong(payload),
            other => panic!("a frame of kind {other}"),
        })
    }
}

/// A whole masked frame.
pub fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    fragment(0x80 | kind, payload)
}

/// A masked frame with this first byte: FIN, the reserved bits and the kind.
pub fn fragment(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = head(first, 0x80, payload.len() as u64);
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// First byte, length in its shortest form, and the mask bit.
pub fn head(first: u8, mask_bit: u8, length: u64) -> Vec<u8> {
    let mut out = vec![first];
    match length {
        0..=125 => out.push(mask_bit | length as u8),
        126..=0xffff => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out
}
