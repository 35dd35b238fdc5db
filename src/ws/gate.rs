//! The rules of framing (RFC 6455 sections 5, 7.4 and 8.1), judged while the bytes come: at the first byte of a frame
//! that breaks one, at the length in its header, at the first byte of a text that no letter has.
//!
//! What passes here is well formed, so the library behind it only has to put messages together. Nothing is kept
//! but a header and what a cut has left of a letter; where the bytes are cut makes no difference.

use crate::ws::close::Violation;

/// Follows the frames of one connection without keeping their payloads.
pub struct Gate {
    /// The header that is coming; its last four bytes are the mask of the payload behind it.
    header: [u8; 14],
    have: u8,
    /// What the payload that is coming is.
    payload: Payload,
    /// What the message that is coming in pieces is, if one is.
    message: Option<Kind>,
    letter: Letter,
    /// How many bytes of the payload are still to come, and how many have.
    left: u32,
    passed: u32,
    /// Bytes of the message that is coming in pieces.
    length: u32,
    most: u32,
    longest: u32,
    frames: u32,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

/// What a payload is, and so what it must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payload {
    /// Text, or a piece of it.
    Text,
    /// The reason of a close, behind the two bytes of its code, of which the first may be known.
    Close(u8),
    /// Anything.
    Free,
}

/// How far bytes have been judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// So many may be read by whoever puts messages together.
    pub good: usize,
    /// Why it stopped there.
    pub stop: Stop,
}

/// Why the gate stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// There is nothing more.
    End,
    /// A message is complete.
    Message,
    /// A close frame is complete; what follows it is of no concern (section 1.4).
    Close,
    /// The rules are broken. Nothing after that is to be read.
    Broken(Violation),
}

impl Gate {
    /// A gate for messages of at most so many bytes.
    pub fn new(most: u64) -> Gate {
        Gate {
            header: [0; 14],
            have: 0,
            payload: Payload::Free,
            message: None,
            letter: Letter::default(),
            left: 0,
            passed: 0,
            length: 0,
            most: u32::try_from(most).unwrap_or(u32::MAX),
            longest: 0,
            frames: 0,
        }
    }

    /// The longest message that may pass.
    pub fn most(&self) -> u64 {
        self.most.into()
    }

    /// Lets longer messages pass, from the next frame on.
    pub fn set_most(&mut self, most: u64) {
        self.most = self.most.max(u32::try_from(most).unwrap_or(u32::MAX));
    }

    /// Whether the connection is between two messages.
    pub fn is_at_rest(&self) -> bool {
        self.left == 0 && self.have == 0 && self.message.is_none()
    }

    /// How many frames have begun since this was last asked.
    pub fn take_frames(&mut self) -> u32 {
        std::mem::take(&mut self.frames)
    }

    /// The longest message since this was last asked.
    pub fn take_longest(&mut self) -> u64 {
        std::mem::take(&mut self.longest).into()
    }

    /// Looks at the next bytes of the connection, up to the end of a message. Once it has stopped for good (`Close`,
    /// `Broken`) it is not to be asked again.
    pub fn pass(&mut self, bytes: &[u8]) -> Passed {
        let mut good = 0;
        while good < bytes.len() {
            let stop = match self.left {
                _ if self.have > 0 => self.take_header_byte(bytes[good]).map(|stop| (1, stop)),
                0 => self.take_header_byte(bytes[good]).map(|stop| (1, stop)),
                left => {
                    let piece = &bytes[good..bytes.len().min(good + left as usize)];
                    self.take_payload(piece).map(|stop| (piece.len(), stop))
                }
            };
            match stop {
                Ok((count, None)) => good += count,
                Ok((count, Some(stop))) => return Passed { good: good + count, stop },
                Err(violation) => return Passed { good, stop: Stop::Broken(violation) },
            }
        }
        Passed { good, stop: Stop::End }
    }

    /// Judges each part of a header as soon as it is there.
    fn take_header_byte(&mut self, byte: u8) -> Result<Option<Stop>, Violation> {
        let have = usize::from(self.have);
        self.header[have] = byte;
        self.have += 1;
        match have {
            0 => return self.judge_kind(byte).map(|()| None),
            1 => self.judge_mask(byte)?,
            _ => {}
        }
        let lengths = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if have + 1 == 2 + lengths {
            self.judge_length(lengths)?;
        }
        if have + 1 < 6 + lengths {
            return Ok(None);
        }
        self.header.copy_within(2 + lengths..6 + lengths, 10);
        self.have = 0;
        self.begin_payload()
    }

    fn judge_kind(&mut self, byte: u8) -> Result<(), Violation> {
        let (last, reserved, kind) = (byte & 0x80 != 0, byte & 0x70, byte & 0x0f);
        let fits = match kind {
            0 => self.message.is_some(),
            1 | 2 => self.message.is_none(),
            8..=10 => last,
            _ => false,
        };
        self.frames += 1;
        if fits && reserved == 0 { Ok(()) } else { Err(Violation::Protocol) }
    }

    fn judge_mask(&self, byte: u8) -> Result<(), Violation> {
        let (masked, length, kind) = (byte & 0x80 != 0, byte & 0x7f, self.header[0] & 0x0f);
        // Half a code is none (section 5.5.1).
        let fits = match kind {
            8 => length <= 125 && length != 1,
            9 | 10 => length <= 125,
            _ => true,
        };
        if masked && fits { Ok(()) } else { Err(Violation::Protocol) }
    }

    /// Judges a complete length, before anything of what it announces has come.
    fn judge_length(&mut self, bytes: usize) -> Result<(), Violation> {
        let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let (length, least) = match bytes {
            2 => (number(&self.header[2..4]), 126),
            8 => (number(&self.header[2..10]), 1 << 16),
            _ => (u64::from(self.header[1] & 0x7f), 0),
        };
        // Only the shortest form is allowed, and not the highest bit (section 5.2).
        if length < least || length >> 63 == 1 {
            return Err(Violation::Protocol);
        }
        let kind = self.header[0] & 0x0f;
        let before = match kind {
            0 => self.length,
            1 | 2 => 0,
            _ => {
                self.left = length as u32;
                return Ok(());
            }
        };
        if length > u64::from(self.most.saturating_sub(before)) {
            return Err(Violation::TooBig);
        }
        self.left = length as u32;
        self.length = before + self.left;
        self.longest = self.longest.max(self.length);
        Ok(())
    }

    /// The header is complete. A frame without a payload is, too, with that.
    fn begin_payload(&mut self) -> Result<Option<Stop>, Violation> {
        let kind = self.header[0] & 0x0f;
        self.passed = 0;
        match kind {
            1 => self.message = Some(Kind::Text),
            2 => self.message = Some(Kind::Binary),
            _ => {}
        }
        self.payload = match (kind, self.message) {
            (8, _) => {
                self.letter = Letter::default();
                Payload::Close(0)
            }
            (0..=2, Some(Kind::Text)) => Payload::Text,
            _ => Payload::Free,
        };
        if self.left == 0 { self.end_payload() } else { Ok(None) }
    }

    fn take_payload(&mut self, mut piece: &[u8]) -> Result<Option<Stop>, Violation> {
        const AT_ONCE: usize = 1024;
        self.left -= piece.len() as u32;
        if self.payload == Payload::Free {
            self.passed += piece.len() as u32;
        } else {
            let mut plain = [0; AT_ONCE];
            while !piece.is_empty() {
                let (now, later) = piece.split_at(piece.len().min(AT_ONCE));
                self.unmask(now, &mut plain);
                self.judge_payload(&plain[..now.len()])?;
                piece = later;
            }
        }
        if self.left == 0 { self.end_payload() } else { Ok(None) }
    }

    fn unmask(&mut self, piece: &[u8], plain: &mut [u8]) {
        let mut mask = [self.header[10], self.header[11], self.header[12], self.header[13]];
        mask.rotate_left(self.passed as usize % 4);
        self.passed += piece.len() as u32;
        for (plain, masked) in plain.chunks_mut(4).zip(piece.chunks(4)) {
            for ((plain, masked), mask) in plain.iter_mut().zip(masked).zip(mask) {
                *plain = masked ^ mask;
            }
        }
    }

    fn judge_payload(&mut self, mut plain: &[u8]) -> Result<(), Violation> {
        if let Payload::Close(first) = self.payload {
            let before = self.passed as usize - plain.len();
            match (before, plain) {
                (0, [high, low, ..]) => judge_code(u16::from_be_bytes([*high, *low]))?,
                (0, [high]) => self.payload = Payload::Close(*high),
                (1, [low, ..]) => judge_code(u16::from_be_bytes([first, *low]))?,
                _ => {}
            }
            plain = &plain[plain.len().min(2_usize.saturating_sub(before))..];
        }
        if self.letter.spell(plain) { Ok(()) } else { Err(Violation::Utf8) }
    }

    /// A frame is complete.
    fn end_payload(&mut self) -> Result<Option<Stop>, Violation> {
        let (last, kind) = (self.header[0] & 0x80 != 0, self.header[0] & 0x0f);
        // A letter may be cut between two pieces, but not by the end.
        let is_end = matches!(self.payload, Payload::Text | Payload::Close(_)) && last;
        if is_end && !self.letter.is_whole() {
            return Err(Violation::Utf8);
        }
        Ok(match kind {
            8 => Some(Stop::Close),
            0..=2 if last => {
                self.message = None;
                Some(Stop::Message)
            }
            _ => None,
        })
    }
}

/// Codes that may be sent (section 7.4): the defined ones but those that only stand for an end without a code, and the
/// ranges for libraries and applications.
fn judge_code(code: u16) -> Result<(), Violation> {
    match code {
        1000..=1003 | 1007..=1013 | 3000..=4999 => Ok(()),
        _ => Err(Violation::Protocol),
    }
}

/// What a cut has left of a letter in UTF-8.
#[derive(Clone, Copy, Debug, Default)]
struct Letter {
    bytes: [u8; 3],
    count: u8,
}

impl Letter {
    /// Reads on; `false` when these bytes can be no text, whatever follows.
    fn spell(&mut self, mut text: &[u8]) -> bool {
        while self.count > 0 && !text.is_empty() {
            let count = usize::from(self.count);
            let mut whole = [0; 4];
            whole[..count].copy_from_slice(&self.bytes[..count]);
            whole[count] = text[0];
            text = &text[1..];
            match std::str::from_utf8(&whole[..=count]) {
                Ok(_) => self.count = 0,
                Err(error) if error.error_len().is_none() => self.keep(&whole[..=count]),
                Err(_) => return false,
            }
        }
        match std::str::from_utf8(text) {
            Ok(_) => true,
            Err(error) if error.error_len().is_none() => {
                self.keep(&text[error.valid_up_to()..]);
                true
            }
            Err(_) => false,
        }
    }

    /// At most three bytes are the beginning of a letter.
    fn keep(&mut self, bytes: &[u8]) {
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.count = bytes.len() as u8;
    }

    fn is_whole(&self) -> bool {
        self.count == 0
    }
}
