//! Which way up a picture is: the one EXIF entry that matters, and turning the square by it.
//!
//! Not here: where in a file the EXIF block is (`jpeg` and `png` know). Everything else in the
//! block is never looked at, and never kept.

use super::{SIDE, scale::Rgb};

/// How the camera was held, as EXIF numbers it: 1 (upright) to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation(pub(super) u8);

impl Default for Orientation {
    fn default() -> Self {
        Orientation(1)
    }
}

impl Orientation {
    /// Reads it from an EXIF block (starting at its TIFF header); upright if there is none that
    /// makes sense. Only the first directory is looked at, entry by entry, and no offset but the
    /// one to that directory is followed, so there is nothing to loop in.
    pub(super) fn read(exif: &[u8]) -> Orientation {
        let found = Tiff::new(exif).and_then(|tiff| tiff.orientation());
        match found {
            Some(value @ 1..=8) => Orientation(value as u8),
            _ => Orientation::default(),
        }
    }

    /// Which stored pixel (column, row) is seen at this column and row of the upright square.
    fn stored(self, x: usize, y: usize) -> (usize, usize) {
        let last = SIDE - 1;
        match self.0 {
            2 => (last - x, y),
            3 => (last - x, last - y),
            4 => (x, last - y),
            5 => (y, x),
            6 => (y, last - x),
            7 => (last - y, last - x),
            8 => (last - y, x),
            _ => (x, y),
        }
    }
}

pub(super) fn turn(square: &[Rgb], orientation: Orientation) -> Vec<Rgb> {
    let mut upright = Vec::with_capacity(square.len());
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (column, row) = orientation.stored(x, y);
            upright.push(square[row * SIDE + column]);
        }
    }
    upright
}

/// The numbers of a TIFF block in its own byte order; `None` beyond its end.
struct Tiff<'a> {
    bytes: &'a [u8],
    little_endian: bool,
}

impl<'a> Tiff<'a> {
    fn new(bytes: &'a [u8]) -> Option<Tiff<'a>> {
        let little_endian = match bytes.get(..4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        };
        Some(Tiff { bytes, little_endian })
    }

    fn orientation(&self) -> Option<u32> {
        const ORIENTATION: u32 = 0x0112;
        const SHORT: u32 = 3;
        const LONG: u32 = 4;

        let directory = usize::try_from(self.long(4)?).ok()?;
        let entries = self.short(directory)? as usize;
        for entry in 0..entries {
            let at = directory.checked_add(2 + 12 * entry)?;
            if self.short(at)? == ORIENTATION {
                return match self.short(at + 2)? {
                    SHORT => self.short(at + 8),
                    // Against the standard, but written by some editors.
                    LONG => self.long(at + 8),
                    _ => None,
                };
            }
        }
        None
    }

    fn short(&self, at: usize) -> Option<u32> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(u32::from(if self.little_endian {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        }))
    }

    fn long(&self, at: usize) -> Option<u32> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }
}
