//! The profile picture: whatever a phone uploads becomes one 200 x 200 JPEG.
//!
//! In this folder is everything between the uploaded bytes and the bytes that are stored. This file
//! tells the type by the first bytes, knows the bounds and the refusals, and encodes the result;
//! `jpeg` and `png` read the size before anything is decoded and decode within a budget, `scale`
//! crops to the centred square, `exif` turns it upright. Because the result is made from pixels
//! alone, the place, the camera and whatever else travelled in the file stay behind.
//!
//! Not here: how long an upload may be (the door decides), where the result is stored and under
//! which name, and on which thread this runs. It takes tens of milliseconds to a second of plain
//! computing, so it belongs on a worker thread, never on the event loop, and one at a time keeps
//! the memory within [`Bounds::decode_bytes`]. `jpeg-decoder` starts up to four short-lived threads
//! of its own for a larger picture; they are gone when [`thumbnail`] returns.
//!
//! The bytes come from strangers. Whatever has a cost is bounded before it is paid: pixels and
//! scans from the header, memory from the sampling factors, metadata by not keeping it.

mod exif;
mod jpeg;
mod png;
#[cfg(test)]
mod samples;
mod scale;
#[cfg(test)]
mod tests;

use exif::{Orientation, turn};
use scale::{Rgb, Square};
use std::{fmt, panic};

/// Width and height of every thumbnail.
pub const SIDE: usize = 200;

const QUALITY: u8 = 85;

/// What decoding one picture may cost.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Most pixels (width times height) a picture may have, judged by its header alone.
    pub pixels: u64,
    /// Most bytes the decoder may hold at once. JPEGs are decoded at a lower resolution to stay
    /// below; what cannot (progressive ones keep every coefficient) is refused as too large.
    pub decode_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            pixels: 25_000_000,
            // Enough for a progressive picture of 12 megapixels; sequential ones take a tenth.
            decode_bytes: 64 << 20,
        }
    }
}

/// Why there is no thumbnail. The sentences are meant for the person who chose the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Neither a JPEG nor a PNG, whatever the file was called.
    NotAnImage,
    /// The header announces more than the bounds allow; nothing was decoded.
    TooManyPixels {
        /// The announced width.
        width: u32,
        /// The announced height.
        height: u32,
        /// How many pixels a picture stored in this way may have.
        limit: u64,
    },
    /// The right type, but cut short, broken, or stored in a way next to nobody uses.
    Damaged,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NotAnImage => {
                write!(formatter, "only JPEG and PNG pictures are accepted")
            }
            Refused::TooManyPixels { width, height, limit } => write!(
                formatter,
                "the picture has {width} x {height} pixels, which is too large; \
                 one like it may have at most {} pixels altogether",
                Grouped(*limit)
            ),
            Refused::Damaged => write!(
                formatter,
                "the picture is damaged or stored in a rare way; \
                 saving it again as JPEG or PNG helps"
            ),
        }
    }
}

impl std::error::Error for Refused {}

/// The 200 x 200 JPEG of the picture's centred square, upright, without metadata.
///
/// Transparent parts become white; smaller pictures are enlarged. Never panics, whatever the bytes.
///
/// # Errors
///
/// [`Refused`], with a sentence for the person who sent the picture.
pub fn thumbnail(bytes: &[u8], bounds: &Bounds) -> Result<Vec<u8>, Refused> {
    // The last net, for the decoders only. Both mean to return errors, and still a crafted file
    // now and then finds a place where they panic (image-rs/image-png#694). The next such file
    // should cost its sender an answer, not the household its worker thread.
    let square = panic::catch_unwind(|| upright_square(bytes, bounds));
    Ok(encode(&square.unwrap_or(Err(Refused::Damaged))?))
}

fn upright_square(bytes: &[u8], bounds: &Bounds) -> Result<Vec<Rgb>, Refused> {
    let (square, orientation) = decode(bytes, bounds)?;
    // A centred square stays centred when it is turned, so the small picture is turned: cheaper.
    Ok(turn(&square.finish(), orientation))
}

fn decode(bytes: &[u8], bounds: &Bounds) -> Result<(Square, Orientation), Refused> {
    // The bytes decide; names and declared types are claims.
    if bytes.starts_with(b"\xff\xd8\xff") {
        jpeg::decode(bytes, bounds)
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        png::decode(bytes, bounds)
    } else {
        Err(Refused::NotAnImage)
    }
}

fn encode(square: &[Rgb]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, QUALITY);
    encoder.set_optimized_huffman_tables(true);
    encoder
        .encode(square.as_flattened(), SIDE as u16, SIDE as u16, jpeg_encoder::ColorType::Rgb)
        .expect("a full square into a Vec cannot fail");
    out
}

impl Bounds {
    fn check_pixels(&self, width: u32, height: u32) -> Result<(), Refused> {
        if width == 0 || height == 0 {
            return Err(Refused::Damaged);
        }
        if u64::from(width) * u64::from(height) > self.pixels {
            let limit = self.pixels;
            return Err(Refused::TooManyPixels { width, height, limit });
        }
        Ok(())
    }

    /// The refusal of a picture that would need `needed` bytes, put in pixels: people can make a
    /// picture smaller, they have no idea of its coefficients.
    fn too_heavy(&self, width: u32, height: u32, needed: u64) -> Refused {
        let pixels = u128::from(width) * u128::from(height);
        let limit = pixels * self.decode_bytes as u128 / u128::from(needed.max(1));
        Refused::TooManyPixels { width, height, limit: u64::try_from(limit).unwrap_or(u64::MAX) }
    }
}

fn damaged<E>(_: E) -> Refused {
    // What exactly is wrong with the file helps nobody who could act on it.
    Refused::Damaged
}

/// Writes 25000000 as `25,000,000`.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            return write!(formatter, "{}", self.0);
        }
        write!(formatter, "{},{:03}", Grouped(self.0 / 1000), self.0 % 1000)
    }
}
