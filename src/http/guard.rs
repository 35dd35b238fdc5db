//! The bytes of one connection, and nothing of its socket: what was read goes in, judged requests come out one at a
//! time, and what was read ahead is kept (R-H3, R-H5, R-H7).
//!
//! Not here: reading, waiting, deadlines and the sending of answers (the connection's task), the judgement of a
//! complete head (`head`), and chunked coding (`chunked`).
//!
//! The order is `feed` whatever arrived, `head` until it gives one, `body` until it gives one, answer, `head` again.
//! The outcome depends on the bytes alone, never on the packets they came in. After a [`Refusal`] the guard gives that
//! refusal for ever and takes no more bytes.

use super::chunked::Chunked;
use super::head::{self, Framing};

pub use super::head::Head;
pub use super::message::Refusal;

/// Lengths up to this are reserved when they are announced; more only once this much has really come.
const TRUSTED_BYTES: usize = 64 * 1024;
/// Empty lines that are read past before a request line, as some clients send one too many (RFC 9112 section 2.2).
const LEADING_LINES: u8 = 2;

const BAD_LINE_END: Refusal = Refusal::new(400, "request: lines end with CR LF");
const BAD_BYTE: Refusal = Refusal::new(400, "request: contains a character that is not allowed");
const TOO_LARGE: Refusal = Refusal::new(413, "request entity too large");
const OUT_OF_ORDER: Refusal = Refusal::new(500, "internal error");

/// How large a head may become. All of it is checked while reading.
#[derive(Debug, Clone, Copy)]
pub struct GuardLimits {
    /// Bytes of the whole head; more is 431.
    pub head_bytes: usize,
    /// Header fields; more is 431. At most 256.
    pub headers: usize,
    /// Bytes of the request target; more is 414.
    pub target_bytes: usize,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self { head_bytes: 16 * 1024, headers: 100, target_bytes: 8 * 1024 }
    }
}

/// The bytes of one connection.
#[derive(Debug)]
pub struct Guard {
    limits: GuardLimits,
    buffer: Vec<u8>,
    /// What lies before this in the buffer is consumed.
    start: usize,
    state: State,
    continue_due: bool,
    progress: u64,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum State {
    Head(Scan),
    /// The head is given out; there is no body to wait for.
    NoBody,
    Length {
        total: u64,
        received: Vec<u8>,
    },
    Chunked(Box<Chunked>),
    Refused(Refusal),
}

impl Guard {
    /// A guard for a fresh connection. It holds no memory until bytes come.
    pub fn new(mut limits: GuardLimits) -> Self {
        limits.headers = limits.headers.min(head::MOST_FIELDS);
        let state = State::Head(Scan::default());
        Self { limits, buffer: Vec::new(), start: 0, state, continue_due: false, progress: 0 }
    }

    /// Appends bytes that were read; call `head` or `body` next, so that the buffer stays within its limits plus one
    /// read.
    pub fn feed(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::Refused(_)) {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next request's head, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// 400, 414, 417, 431, 501 or 505, as early as the bytes allow; 500 when the body of the last request was not
    /// asked for.
    pub fn head(&mut self) -> Result<Option<Head>, Refusal> {
        let found = self.next_head();
        found.map_err(|refusal| self.refuse(refusal))
    }

    /// The whole body of the request whose head was given out last, or `None` when more bytes are needed; empty when
    /// it has none. Afterwards the guard is ready for the next head.
    ///
    /// # Errors
    /// 413 when the body is longer than this limit, before any of it is waited for if its length was announced;
    /// 400 or 431 for broken chunks; 500 when no head was given out.
    pub fn body(&mut self, limit: usize) -> Result<Option<Vec<u8>>, Refusal> {
        let found = self.next_body(limit);
        found.map_err(|refusal| self.refuse(refusal))
    }

    /// Whether a `100 Continue` is to be sent now (RFC 9110 section 10.1.1): true once, for a client that waits for
    /// one. Ask only after `body` has given `None`: by then a body that is too large is already refused.
    pub fn wants_continue(&mut self) -> bool {
        std::mem::take(&mut self.continue_due)
    }

    /// Whether a request has begun but is not complete, so that a deadline must run.
    pub fn has_partial(&self) -> bool {
        match self.state {
            State::Head(_) => self.start < self.buffer.len(),
            State::NoBody | State::Length { .. } | State::Chunked(_) => true,
            State::Refused(_) => false,
        }
    }

    /// How many bytes of content have been accepted since the connection began, for a least rate.
    pub fn progress(&self) -> u64 {
        self.progress
    }

    /// How many bytes of memory it holds for what has not come whole.
    pub fn held(&self) -> usize {
        let body = match &self.state {
            State::Length { received, .. } => received.capacity(),
            State::Chunked(chunked) => chunked.held(),
            State::Head(_) | State::NoBody | State::Refused(_) => 0,
        };
        self.buffer.capacity() + body
    }

    /// What was read ahead of the last request, for the protocol that takes the connection over.
    pub fn into_leftover(mut self) -> Vec<u8> {
        self.buffer.drain(..self.start);
        self.buffer
    }

    fn next_head(&mut self) -> Result<Option<Head>, Refusal> {
        let scan = match &mut self.state {
            State::Head(scan) => scan,
            State::Refused(refusal) => return Err(*refusal),
            _ => return Err(OUT_OF_ORDER),
        };
        self.start += scan.skip_leading_lines(&self.buffer[self.start..]);
        let Some(length) = scan.advance(&self.buffer[self.start..], &self.limits)? else {
            self.release();
            return Ok(None);
        };
        let bytes = self.take(length);
        let judged = head::judge(bytes)?;
        self.continue_due = judged.expects_continue && judged.framing != Framing::None;
        self.state = match judged.framing {
            Framing::None => State::NoBody,
            Framing::Length(total) => State::Length { total, received: Vec::new() },
            Framing::Chunked => State::Chunked(Box::new(Chunked::new())),
        };
        Ok(Some(judged.head))
    }

    fn next_body(&mut self, limit: usize) -> Result<Option<Vec<u8>>, Refusal> {
        let complete = match &mut self.state {
            State::NoBody => Some(Vec::new()),
            State::Length { total, .. } => {
                let total = usize::try_from(*total).ok().filter(|total| *total <= limit);
                self.take_length(total.ok_or(TOO_LARGE)?)
            }
            State::Chunked(chunked) => {
                let before = chunked.len();
                let used = chunked.decode(&self.buffer[self.start..], limit)?;
                self.progress += (chunked.len() - before) as u64;
                self.start += used;
                chunked.is_done().then(|| chunked.take())
            }
            State::Refused(refusal) => return Err(*refusal),
            State::Head(_) => return Err(OUT_OF_ORDER),
        };
        if complete.is_some() {
            self.continue_due = false;
            self.state = State::Head(Scan::default());
        }
        self.release();
        Ok(complete)
    }

    /// Moves what has come of a body of known length out of the buffer; the body, once it is whole.
    fn take_length(&mut self, total: usize) -> Option<Vec<u8>> {
        let available = self.buffer.len() - self.start;
        let State::Length { received, .. } = &mut self.state else {
            return None;
        };
        let length = available.min(total - received.len());
        self.progress += length as u64;
        if received.is_empty() && length == total {
            return Some(self.take(length));
        }
        if received.len() + length > received.capacity() {
            // A length that was only announced must not cost more than a little memory.
            let worth =
                if received.len() + length < TRUSTED_BYTES { total.min(TRUSTED_BYTES) } else { total };
            received.reserve_exact(worth - received.len());
        }
        received.extend_from_slice(&self.buffer[self.start..self.start + length]);
        self.start += length;
        (received.len() == total).then(|| std::mem::take(received))
    }

    /// Cuts the next bytes off the buffer, without copying when they are all of it.
    fn take(&mut self, length: usize) -> Vec<u8> {
        if self.start == 0 && length == self.buffer.len() {
            return std::mem::take(&mut self.buffer);
        }
        let bytes = self.buffer[self.start..self.start + length].to_vec();
        self.start += length;
        bytes
    }

    /// Gives the buffer back when everything in it is consumed: most connections are idle most of the time.
    fn release(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer = Vec::new();
            self.start = 0;
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> Refusal {
        self.state = State::Refused(refusal);
        self.buffer = Vec::new();
        self.start = 0;
        self.continue_due = false;
        refusal
    }
}

/// How far the search for the end of a head has come. It remembers its place, so that a head that comes a byte at a
/// time is still looked at once (tungstenite CVE-2023-43669).
///
/// It also refuses, at the first such byte, what no head may contain: a line end that is not CR LF (others read lines
/// differently), control characters, and anything but ASCII in the request line.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    leading_lines: u8,
    lines: usize,
    line_bytes: usize,
    spaces: usize,
    target_bytes: usize,
    after_return: bool,
}

impl Scan {
    /// How many bytes of empty lines to read past before the request line.
    fn skip_leading_lines(&mut self, bytes: &[u8]) -> usize {
        let mut skipped = 0;
        while self.at == 0 && self.leading_lines < LEADING_LINES && bytes[skipped..].starts_with(b"\r\n") {
            skipped += 2;
            self.leading_lines += 1;
        }
        skipped
    }

    /// Looks at the bytes that are new; the length of the head once its empty line is there.
    fn advance(&mut self, bytes: &[u8], limits: &GuardLimits) -> Result<Option<usize>, Refusal> {
        // A lone CR may yet become a leading empty line.
        if self.at == 0 && self.leading_lines < LEADING_LINES && bytes == b"\r" {
            return Ok(None);
        }
        while let Some(&byte) = bytes.get(self.at) {
            if self.at == limits.head_bytes {
                return Err(Refusal::new(431, "headers: too large"));
            }
            self.at += 1;
            match byte {
                b'\n' if self.after_return => {
                    if self.end_line(limits)? {
                        return Ok(Some(self.at));
                    }
                }
                b'\n' => return Err(BAD_LINE_END),
                _ if self.after_return => return Err(BAD_LINE_END),
                b'\r' => self.after_return = true,
                _ => self.take_byte(byte, limits)?,
            }
        }
        Ok(None)
    }

    /// Ends a line; true when it was the empty one that ends the head.
    fn end_line(&mut self, limits: &GuardLimits) -> Result<bool, Refusal> {
        self.after_return = false;
        if self.line_bytes == 0 {
            return if self.lines > 0 { Ok(true) } else { Err(BAD_LINE_END) };
        }
        self.lines += 1;
        self.line_bytes = 0;
        if self.lines > 1 + limits.headers {
            return Err(Refusal::new(431, "headers: too many"));
        }
        Ok(false)
    }

    fn take_byte(&mut self, byte: u8, limits: &GuardLimits) -> Result<(), Refusal> {
        self.line_bytes += 1;
        let in_request_line = self.lines == 0;
        match byte {
            b' ' if in_request_line => self.spaces += 1,
            b'\t' if !in_request_line => {}
            0..=0x1f | 0x7f => return Err(BAD_BYTE),
            0x80.. if in_request_line => return Err(BAD_BYTE),
            _ if in_request_line && self.spaces == 1 => self.target_bytes += 1,
            _ => {}
        }
        if self.target_bytes > limits.target_bytes {
            return Err(Refusal::new(414, "target: too long"));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
