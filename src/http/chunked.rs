//! Takes the chunked transfer coding off a body, in whatever pieces it comes (RFC 9112 section 7.1, R-H3).
//!
//! Not here: whose body it is and what happens after it (`guard`). Extensions and trailers are read past, never kept.

use super::message::{Refusal, hex_digit};

/// The most bytes of chunk extensions in one request.
const EXTENSION_BYTES: usize = 1024;
/// The most bytes of trailers in one request.
const TRAILER_BYTES: usize = 8 * 1024;
/// The most digits of a chunk size, leading zeros included.
const SIZE_DIGITS: u8 = 16;

const BAD_CHUNK: Refusal = Refusal::new(400, "body: not valid chunked coding");
const TOO_LARGE: Refusal = Refusal::new(413, "request entity too large");

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The digits of a chunk size.
    Size { size: u64, digits: u8 },
    /// White space after the size, which only an extension may follow.
    Padding { size: u64 },
    /// An extension, up to its CR.
    Extension { size: u64 },
    /// The LF that ends the size line.
    SizeEnd { size: u64 },
    /// Data; this much is still to come.
    Data { left: u64 },
    /// The CR after the data.
    DataReturn,
    /// The LF after the data.
    DataEnd,
    /// The first byte of a trailer line, or the CR of the empty line.
    TrailerStart,
    /// Within the name of a trailer.
    TrailerName,
    /// Behind its colon.
    Trailer,
    /// The LF that ends a trailer line.
    TrailerEnd,
    /// The LF of the empty line.
    LastEnd,
    /// Nothing any more.
    Done,
}

/// A chunked body on its way in.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    body: Vec<u8>,
    extension_bytes: usize,
    trailer_bytes: usize,
}

impl Chunked {
    pub(super) fn new() -> Self {
        let state = State::Size { size: 0, digits: 0 };
        Self { state, body: Vec::new(), extension_bytes: 0, trailer_bytes: 0 }
    }

    /// Reads on and returns how many of the bytes belong to this body; all of them unless it `is_done`.
    ///
    /// # Errors
    /// 413 as soon as the announced chunks pass the limit; 400 or 431 for what is not chunked coding.
    pub(super) fn decode(&mut self, bytes: &[u8], limit: usize) -> Result<usize, Refusal> {
        let mut used = 0;
        while used < bytes.len() && self.state != State::Done {
            if let State::Data { left } = self.state {
                used += self.take_data(&bytes[used..], left);
            } else {
                self.state = self.step(bytes[used], limit)?;
                used += 1;
            }
        }
        Ok(used)
    }

    /// Whether the empty line after the trailers has been read.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// How many bytes of content there are so far.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    /// How many bytes of memory it holds.
    pub(super) fn held(&self) -> usize {
        self.body.capacity()
    }

    /// The content, taken out.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }

    fn take_data(&mut self, bytes: &[u8], left: u64) -> usize {
        let length = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.body.extend_from_slice(&bytes[..length]);
        let left = left - length as u64;
        self.state = if left == 0 { State::DataReturn } else { State::Data { left } };
        length
    }

    /// Where one byte leads. A CR or LF anywhere but in a CR LF pair is refused: others read lines differently.
    fn step(&mut self, byte: u8, limit: usize) -> Result<State, Refusal> {
        match (self.state, byte) {
            (State::Size { size, digits: 1.. }, b'\r') => Ok(State::SizeEnd { size }),
            (State::Size { size, digits: 1.. }, b';') => self.extension(size),
            (State::Size { size, digits: 1.. }, b' ' | b'\t') => self.padding(size),
            (State::Size { size, digits }, _) if digits < SIZE_DIGITS => {
                let digit = hex_digit(byte).ok_or(BAD_CHUNK)?;
                Ok(State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 })
            }
            (State::Padding { size }, b' ' | b'\t') => self.padding(size),
            (State::Padding { size }, b';') => self.extension(size),
            (State::Extension { size }, b'\r') => Ok(State::SizeEnd { size }),
            (State::Extension { size }, _) if is_text(byte) => self.extension(size),
            (State::SizeEnd { size }, b'\n') => self.chunk(size, limit),
            (State::DataReturn, b'\r') => Ok(State::DataEnd),
            (State::DataEnd, b'\n') => Ok(State::Size { size: 0, digits: 0 }),
            (State::TrailerStart, b'\r') => Ok(State::LastEnd),
            (State::TrailerName, b':') => self.trailer(State::Trailer),
            (State::TrailerStart | State::TrailerName, _) if is_token(byte) => {
                self.trailer(State::TrailerName)
            }
            (State::Trailer, b'\r') => Ok(State::TrailerEnd),
            (State::Trailer, _) if is_text(byte) => self.trailer(State::Trailer),
            (State::TrailerEnd, b'\n') => Ok(State::TrailerStart),
            (State::LastEnd, b'\n') => Ok(State::Done),
            _ => Err(BAD_CHUNK),
        }
    }

    fn chunk(&self, size: u64, limit: usize) -> Result<State, Refusal> {
        let room = limit.saturating_sub(self.body.len()) as u64;
        match size {
            0 => Ok(State::TrailerStart),
            _ if size > room => Err(TOO_LARGE),
            left => Ok(State::Data { left }),
        }
    }

    fn padding(&mut self, size: u64) -> Result<State, Refusal> {
        self.extension(size)?;
        Ok(State::Padding { size })
    }

    fn extension(&mut self, size: u64) -> Result<State, Refusal> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES {
            return Err(Refusal::new(400, "body: too many chunk extensions"));
        }
        Ok(State::Extension { size })
    }

    fn trailer(&mut self, next: State) -> Result<State, Refusal> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES {
            return Err(Refusal::new(431, "trailers: too large"));
        }
        Ok(next)
    }
}

/// Whether a byte may stand in the name of a field (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a byte may stand in an extension or the value of a trailer.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes in pieces of this size; the body and what was left over, or the refusal's status.
    fn decode(bytes: &[u8], limit: usize, piece: usize) -> Result<(Vec<u8>, usize), u16> {
        let mut chunked = Chunked::new();
        let mut used = 0;
        for piece in bytes.chunks(piece) {
            if !chunked.is_done() {
                used += chunked.decode(piece, limit).map_err(|refusal| refusal.status)?;
            }
        }
        if chunked.is_done() { Ok((chunked.take(), bytes.len() - used)) } else { Err(0) }
    }

    #[test]
    fn r_h3_bodies_come_out_whatever_the_packets() {
        let good: [(&[u8], &[u8], usize); 9] = [
            (b"0\r\n\r\n", b"", 0),
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello", 0),
            (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET /", b"hello world", 5),
            (b"00000005\r\nhello\r\n000\r\n\r\n", b"hello", 0),
            (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", 0),
            (b"a;x=\"y;z\";caf\xc3\xa9\r\n0123456789\r\n0;last\r\n\r\n", b"0123456789", 0),
            (b"1 ;x\r\na\r\n0\r\n\r\n", b"a", 0),
            (b"1\r\na\r\n0\r\nx: y\r\nz:\r\n\r\n", b"a", 0),
            (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n", 0),
        ];
        for (bytes, body, left) in good {
            for piece in 1..=bytes.len() {
                assert_eq!(decode(bytes, 100, piece), Ok((body.to_vec(), left)), "{bytes:?} by {piece}");
            }
        }
    }

    #[test]
    fn r_h3_everything_else_is_refused() {
        let bad: [&[u8]; 27] = [
            b"\r\n",
            b";x\r\n",
            b" 5\r\n",
            b"+5\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b"5 \r\n",
            b"5\n",
            b"5\rx",
            b"g\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello\r0\r\n\r\n",
            b"5\r\nhello!\r\n0\r\n\r\n",
            b"00000000000000001\r\n",
            b"5;a\nb\r\n",
            b"5;\0\r\n",
            b"0\r\n\n",
            b"0\r\nx: y\n\r\n",
            b"0\r\n x\r\n\r\n",
            b"0\r\nx\0: y\r\n\r\n",
            b"0\r\nx: y\0\r\n\r\n",
            b"0\r\nx\r\n\r\n",
            b"0\r\n: y\r\n\r\n",
            b"0\r\nx : y\r\n\r\n",
            b"0\r\nx: y\r\n z\r\n\r\n",
            b"\n5\r\n",
        ];
        for bytes in bad {
            for piece in 1..=bytes.len() {
                assert_eq!(decode(bytes, 100, piece), Err(400), "{bytes:?} by {piece}");
            }
        }
    }

    #[test]
    fn r_h3_limits_hold_while_decoding() {
        assert_eq!(decode(b"ffffffffffffffff\r\n", 100, 1), Err(413));
        assert_eq!(decode(b"65\r\n", 100, 1), Err(413));
        assert_eq!(
            decode(b"32\r\n01234567890123456789012345678901234567890123456789\r\n33\r\n", 100, 7),
            Err(413)
        );
        let extension = |length: usize| format!("0;{}\r\n\r\n", "x".repeat(length - 1));
        assert_eq!(decode(extension(1024).as_bytes(), 0, 99), Ok((Vec::new(), 0)));
        assert_eq!(decode(extension(1025).as_bytes(), 0, 99), Err(400));
        let trailers = |length: usize| format!("0\r\nx:{}\r\n\r\n", "y".repeat(length - 2));
        assert_eq!(decode(trailers(8192).as_bytes(), 0, 99), Ok((Vec::new(), 0)));
        assert_eq!(decode(trailers(8193).as_bytes(), 0, 99), Err(431));
        // Line ends count for nothing: a line is at least a name and a colon.
        assert_eq!(decode(format!("0\r\n{}\r\n", "x:\r\n".repeat(4097)).as_bytes(), 0, 99), Err(431));
    }
}
