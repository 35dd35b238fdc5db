//! From a connection's bytes to messages: the gate judges, the WebSocket library puts together, and what the library
//! would answer (pongs, the answer to a close) is collected for whoever owns the socket. No socket is seen here, and
//! no other file names the library's types.
//!
//! What comes out depends on the bytes alone, never on where they were cut.

use crate::ws::close::Violation;
use crate::ws::gate::{Gate, Passed, Stop};
use async_tungstenite::tungstenite::{
    Bytes, Error as Broken, Message, Utf8Bytes,
    protocol::{Role, WebSocketConfig, WebSocketContext},
};
use std::{
    cell::Cell,
    io::{self, Read, Write},
};

thread_local! {
    /// A protocol that nobody is using. Nearly every message comes in one piece, so one is enough.
    static SPARE: Cell<Option<Box<WebSocketContext>>> = const { Cell::new(None) };
}

/// What comes out.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text.
    Text(Text),
    /// Bytes.
    Binary(Binary),
    /// The peer parts with this code; the answer is among the replies. Nothing comes after that.
    Close(u16),
    /// The peer breaks the rules. Nothing comes after that.
    Broken(Violation),
}

/// A text, still where it was put together.
#[derive(Debug, PartialEq, Eq)]
pub struct Text(Utf8Bytes);

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Bytes, still where they were put together.
#[derive(Debug, PartialEq, Eq)]
pub struct Binary(Bytes);

impl std::ops::Deref for Binary {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Frames that answer frames, in order.
#[derive(Debug, Default)]
pub struct Replies {
    bytes: Vec<u8>,
    /// Where the answer to the newest ping begins.
    newest: usize,
}

impl Replies {
    /// All of them, taken out.
    pub fn take(&mut self) -> Vec<u8> {
        self.newest = 0;
        std::mem::take(&mut self.bytes)
    }

    /// The newest, taken out of the others, which are gone: only the newest ping needs a pong (RFC 6455 section
    /// 5.5.3).
    pub fn take_newest(&mut self) -> Vec<u8> {
        let newest = self.newest;
        self.take().split_off(newest)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// The reading half of a socket.
pub struct Reader {
    gate: Gate,
    /// There while a message is coming in; between messages it would only take up room.
    protocol: Option<Box<WebSocketContext>>,
}

impl Reader {
    /// A reader of messages of at most so many bytes.
    pub fn new(most: u64) -> Reader {
        Reader { gate: Gate::new(most), protocol: None }
    }

    /// The longest message that is read.
    pub fn most(&self) -> u64 {
        self.gate.most()
    }

    /// Lets longer messages in, from the next one on.
    pub fn set_most(&mut self, most: u64) {
        self.gate.set_most(most);
    }

    /// How many frames have begun since this was last asked.
    pub fn take_frames(&mut self) -> u32 {
        self.gate.take_frames()
    }

    /// What comes next out of these bytes, which are what is left of it afterwards; nothing when more are needed.
    pub fn next(&mut self, bytes: &mut &[u8], replies: &mut Replies) -> Option<Incoming> {
        if bytes.is_empty() {
            self.rest();
            return None;
        }
        let Passed { good, stop } = self.gate.pass(bytes);
        let (now, later) = bytes.split_at(good);
        *bytes = later;
        let message = self.put_together(now, replies);
        match (stop, message) {
            (_, Some(message)) => Some(message),
            (Stop::Broken(violation), None) => Some(Incoming::Broken(violation)),
            (Stop::End, None) => {
                self.rest();
                None
            }
            // The gate and the library do not agree on what a message is.
            (Stop::Message | Stop::Close, None) => Some(Incoming::Broken(Violation::Protocol)),
        }
    }

    /// Hands bytes to the library, which end with a message if there is one in them.
    fn put_together(&mut self, bytes: &[u8], replies: &mut Replies) -> Option<Incoming> {
        if bytes.is_empty() {
            return None;
        }
        let most = self.gate.most();
        let protocol = self.protocol.get_or_insert_with(|| fresh_protocol(most));
        let mut wire = Wire { input: bytes, replies };
        loop {
            match protocol.read(&mut wire) {
                Ok(Message::Text(text)) => return Some(Incoming::Text(Text(text))),
                Ok(Message::Binary(bytes)) => return Some(Incoming::Binary(Binary(bytes))),
                // Its pong is written with the next read.
                Ok(Message::Ping(_)) => wire.replies.newest = wire.replies.bytes.len(),
                Ok(Message::Close(frame)) => {
                    // Without a code it is 1005 (RFC 6455 section 7.1.5).
                    let code = frame.map_or(1005, |frame| u16::from(frame.code));
                    // Writes the answer.
                    let _ = protocol.read(&mut wire);
                    return Some(Incoming::Close(code));
                }
                Ok(_) => {}
                Err(Broken::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => return Some(Incoming::Broken(violation(&error))),
            }
        }
    }

    /// Lets go of the library where a socket is between two messages. It keeps the room of the longest message for
    /// ever, so after a long one it is better made anew.
    fn rest(&mut self) {
        const LONG: u64 = 4096;
        if !self.gate.is_at_rest() {
            return;
        }
        let Some(protocol) = self.protocol.take() else { return };
        if self.gate.take_longest() <= LONG && protocol.can_read() {
            SPARE.set(Some(protocol));
        }
    }
}

/// Every field has a value: the library's own defaults cost 128 KiB a socket.
fn config(most: u64) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(1024)
        .write_buffer_size(0)
        .max_write_buffer_size(64 << 10)
        .max_message_size(Some(most as usize))
        .max_frame_size(Some(most as usize))
}

/// A protocol for the next message of a socket, which may have this length.
fn fresh_protocol(most: u64) -> Box<WebSocketContext> {
    match SPARE.take() {
        Some(mut spare) => {
            spare.set_config(|spare| *spare = config(most));
            spare
        }
        None => Box::new(WebSocketContext::new(Role::Server, Some(config(most)))),
    }
}

/// What the library says of what the gate let pass, which should be nothing.
fn violation(error: &Broken) -> Violation {
    match error {
        Broken::Utf8(_) => Violation::Utf8,
        Broken::Capacity(_) => Violation::TooBig,
        _ => Violation::Protocol,
    }
}

/// The bytes that came, and those that are to go, as the library's idea of a connection.
struct Wire<'a> {
    input: &'a [u8],
    replies: &'a mut Replies,
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.is_empty() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => self.input.read(buffer),
        }
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.replies.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
