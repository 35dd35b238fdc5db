//! What the WebSocket library lets pass and should not, judged from frame headers as they come.
//!
//! It takes lengths in forms longer than needed (RFC 6455 section 5.2 forbids them), and it looks
//! at the size of a message in pieces only when a piece has come in full. The gate counts headers
//! before the library sees them, so that too much is refused before it is sent. Everything else
//! about frames is the library's business.

use crate::ws::close::Violation;

/// Follows the frames of one connection without keeping their payloads.
pub struct Gate {
    header: [u8; 14],
    have: usize,
    payload_left: u64,
    /// Bytes of the message that is coming in pieces, if one is.
    message: Option<u64>,
    longest: u64,
    frames: u32,
    most: u64,
}

impl Gate {
    /// A gate for messages of at most so many bytes.
    pub fn new(most: u64) -> Gate {
        Gate { header: [0; 14], have: 0, payload_left: 0, message: None, longest: 0, frames: 0, most }
    }

    /// The longest message that may pass.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Changes how long a message may be, from the next one on.
    pub fn set_most(&mut self, most: u64) {
        self.most = self.most.max(most);
    }

    /// Whether the connection is between two messages.
    pub fn is_at_rest(&self) -> bool {
        self.payload_left == 0 && self.have == 0 && self.message.is_none()
    }

    /// How many frames have begun since this was last asked.
    pub fn take_frames(&mut self) -> u32 {
        std::mem::take(&mut self.frames)
    }

    /// The longest frame since this was last asked.
    pub fn take_longest(&mut self) -> u64 {
        std::mem::take(&mut self.longest)
    }

    /// Looks at the next bytes of the connection.
    ///
    /// # Errors
    /// How they break the rules. Nothing after that is to be read.
    pub fn pass(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        while !bytes.is_empty() {
            let skip = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
            self.payload_left -= skip as u64;
            bytes = &bytes[skip..];
            let Some((first, rest)) = bytes.split_first() else { break };
            self.header[self.have] = *first;
            self.have += 1;
            bytes = rest;
            if self.have >= 2 && self.have == self.header_length() {
                self.judge()?;
                self.have = 0;
            }
        }
        Ok(())
    }

    fn header_length(&self) -> usize {
        let length = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        2 + length + mask
    }

    /// Judges a complete header.
    fn judge(&mut self) -> Result<(), Violation> {
        let length = match self.header[1] & 0x7f {
            126 => match u64::from(u16::from_be_bytes([self.header[2], self.header[3]])) {
                0..=125 => return Err(Violation::Protocol),
                length => length,
            },
            127 => {
                let mut number = [0; 8];
                number.copy_from_slice(&self.header[2..10]);
                match u64::from_be_bytes(number) {
                    0..=0xffff => return Err(Violation::Protocol),
                    length if length >> 63 == 1 => return Err(Violation::Protocol),
                    length => length,
                }
            }
            length => u64::from(length),
        };
        self.payload_left = length;
        self.longest = self.longest.max(length);
        self.frames += 1;
        let (last, kind) = (self.header[0] & 0x80 != 0, self.header[0] & 0x0f);
        let is_control = kind & 0x08 != 0;
        if !is_control {
            let before = if kind == 0 { self.message.unwrap_or(0) } else { 0 };
            if length > self.most.saturating_sub(before) {
                return Err(Violation::TooBig);
            }
            self.message = (!last).then_some(before + length);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the gate says of these bytes, whole and byte by byte.
    fn verdict(bytes: &[u8]) -> Result<(), Violation> {
        let whole = Gate::new(1000).pass(bytes);
        let mut gate = Gate::new(1000);
        let one_by_one = bytes.chunks(1).try_for_each(|byte| gate.pass(byte));
        assert_eq!(whole, one_by_one, "{bytes:?}");
        whole
    }

    /// A masked frame with its payload.
    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match length {
            0..=125 => bytes.push(0x80 | length as u8),
            _ => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
        }
        bytes.extend(vec![0; 4 + length]);
        bytes
    }

    #[test]
    fn lengths_must_have_their_shortest_form() {
        assert_eq!(verdict(&[0x81, 0xfe, 0, 125, 0, 0, 0, 0]), Err(Violation::Protocol));
        assert_eq!(
            verdict(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]),
            Err(Violation::Protocol)
        );
        assert_eq!(verdict(&[0x81, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), Err(Violation::Protocol));
        assert_eq!(verdict(&frame(0x81, 126)), Ok(()));
    }

    #[test]
    fn a_message_whose_first_piece_is_empty_has_begun() {
        let mut gate = Gate::new(1000);
        gate.pass(&frame(0x01, 0)).unwrap();
        assert!(!gate.is_at_rest());
        gate.pass(&frame(0x89, 0)).unwrap();
        assert!(!gate.is_at_rest(), "a ping between the pieces changes nothing");
        gate.pass(&frame(0x80, 5)).unwrap();
        assert!(gate.is_at_rest());
    }

    #[test]
    fn a_message_in_pieces_is_refused_with_the_header_that_makes_it_too_big() {
        let pieces = [frame(0x01, 600), frame(0x89, 5), frame(0x00, 400), frame(0x80, 0)].concat();
        assert_eq!(verdict(&pieces), Ok(()));
        let pieces = [frame(0x01, 600), frame(0x89, 5)].concat();
        let header_only = [0x80, 0xfe, 1, 145, 0, 0, 0, 0];
        assert_eq!(verdict(&[pieces, header_only.to_vec()].concat()), Err(Violation::TooBig));
        let one_after_the_other = [frame(0x81, 1000), frame(0x82, 1000), frame(0x81, 1)].concat();
        assert_eq!(verdict(&one_after_the_other), Ok(()));
        assert_eq!(verdict(&frame(0x81, 1001)[..8]), Err(Violation::TooBig));
    }

    proptest::proptest! {
        #![proptest_config(crate::test::dice())]

        #[test]
        fn however_the_bytes_are_cut_the_verdict_is_the_same(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400),
            cuts in proptest::collection::vec(1usize..50, 1..20),
        ) {
            let whole = Gate::new(1000).pass(&bytes);
            let (mut gate, mut rest, mut cut) = (Gate::new(1000), &bytes[..], cuts.iter().cycle());
            let mut in_pieces = Ok(());
            while !rest.is_empty() && in_pieces.is_ok() {
                let (piece, later) = rest.split_at((*cut.next().unwrap()).min(rest.len()));
                in_pieces = gate.pass(piece);
                rest = later;
            }
            assert_eq!(in_pieces, whole);
        }
    }
}
