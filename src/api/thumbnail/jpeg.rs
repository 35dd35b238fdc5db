//! JPEG: what a file says about itself, and its pixels at as low a resolution as will do.
//!
//! Here are our own reading of the segments, the reckoning of what decoding will hold in memory,
//! and the one call of `jpeg-decoder`. Not here: what EXIF means (`exif`), and the cropping and
//! averaging (`scale`).

use super::{
    Bounds, Refused, SIDE, damaged,
    exif::Orientation,
    scale::{Columns, Pixel, Square},
};
use jpeg_decoder::PixelFormat;

/// More scans than any encoder writes. A scan of a few bytes costs a walk over the whole picture,
/// so without this bound a small progressive file could keep a worker busy for minutes.
const SCANS: usize = 100;

pub(super) fn decode(bytes: &[u8], bounds: &Bounds) -> Result<(Square, Orientation), Refused> {
    let head = JpegHead::read(bytes)?;
    let (width, height) = (u32::from(head.width), u32::from(head.height));
    bounds.check_pixels(width, height)?;
    let eighths = head
        .eighths(bounds.decode_bytes as u64)
        .ok_or_else(|| bounds.too_heavy(width, height, head.decode_bytes(1)))?;

    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    // The decoder looks at this only when it is about to assemble the result; the planes and
    // coefficients before that are what `JpegHead::decode_bytes` is for.
    decoder.set_max_decoding_buffer_size(bounds.decode_bytes);
    decoder.read_info().map_err(damaged)?;
    let info = decoder.info().ok_or(Refused::Damaged)?;
    if (info.width, info.height) != (head.width, head.height) {
        // Two readings of one header: the bounds were checked against the wrong one.
        return Err(Refused::Damaged);
    }
    let (wide, high) = head.request(eighths);
    let (width, height) = decoder.scale(wide, high).map_err(damaged)?;
    let pixels = on_one_thread(|| decoder.decode())?.map_err(damaged)?;

    let kind = match info.pixel_format {
        PixelFormat::L8 => Pixel::Gray,
        PixelFormat::RGB24 => Pixel::Rgb,
        PixelFormat::CMYK32 => Pixel::Cmyk,
        // Only the lossless process has these, and `JpegHead` refuses it.
        PixelFormat::L16 => return Err(Refused::Damaged),
    };
    let (width, height) = (usize::from(width), usize::from(height));
    let mut square = Square::new(width, height);
    for (y, row) in pixels.chunks_exact(width * kind.bytes()).enumerate() {
        square.add_row(y, Columns::ALL, kind, row);
    }
    Ok((square, head.orientation))
}

/// Runs the decoder on one thread that ends with it. By itself it would take as many as there are processors, or one for
/// each colour.
fn on_one_thread<T: Send>(act: impl FnOnce() -> T + Send) -> Result<T, Refused> {
    let pool = rayon_core::ThreadPoolBuilder::new().num_threads(1).build().map_err(damaged)?;
    Ok(pool.install(act))
}

/// What a JPEG says about itself before (and between) its scans.
pub(super) struct JpegHead {
    width: u16,
    height: u16,
    progressive: bool,
    /// Horizontal and vertical sampling factor of each component.
    sampling: Vec<(u64, u64)>,
    orientation: Orientation,
}

impl JpegHead {
    pub(super) fn read(bytes: &[u8]) -> Result<JpegHead, Refused> {
        let mut frame = None;
        let mut orientation = None;
        let mut scans = 0;
        for (marker, body) in (JpegSegments { bytes, at: 2 }) {
            match marker {
                0xC0..=0xC2 if frame.is_none() => frame = Some((marker == 0xC2, body)),
                0xE1 if orientation.is_none() => {
                    orientation = body.strip_prefix(b"Exif\0\0").map(Orientation::read);
                }
                0xDA => scans += 1,
                _ => {}
            }
        }
        // Lossless, hierarchical and arithmetic files have another frame marker and end here.
        let (progressive, frame) = frame.ok_or(Refused::Damaged)?;
        if scans > SCANS {
            return Err(Refused::Damaged);
        }
        JpegHead::from_frame(progressive, frame, orientation.unwrap_or_default()).ok_or(Refused::Damaged)
    }

    fn from_frame(progressive: bool, frame: &[u8], orientation: Orientation) -> Option<JpegHead> {
        let (fixed, components) = frame.split_first_chunk::<6>()?;
        let sampling: Vec<(u64, u64)> = components
            .chunks_exact(3)
            .map(|component| (u64::from(component[1] >> 4), u64::from(component[1] & 15)))
            .collect();
        let in_range = |factor: u64| (1..=4).contains(&factor);
        let sane = sampling.iter().all(|&(across, down)| in_range(across) && in_range(down));
        if sampling.is_empty() || sampling.len() > 4 || !sane {
            return None;
        }
        Some(JpegHead {
            width: u16::from_be_bytes([fixed[3], fixed[4]]),
            height: u16::from_be_bytes([fixed[1], fixed[2]]),
            progressive,
            sampling,
            orientation,
        })
    }

    /// The eighths of the full size to decode at: the fewest that leave [`SIDE`] pixels on the
    /// short side, fewer if more would not fit into the budget, none if nothing fits.
    pub(super) fn eighths(&self, budget: u64) -> Option<u16> {
        let short = self.width.min(self.height);
        let wanted =
            [1, 2, 4].into_iter().find(|&eighths| usize::from(scaled(short, eighths)) >= SIDE).unwrap_or(8);
        [8, 4, 2, 1]
            .into_iter()
            .filter(|&eighths| eighths <= wanted)
            .find(|&eighths| self.decode_bytes(eighths) <= budget)
    }

    /// The size to ask the decoder for so that it picks `eighths`. It is content as soon as one
    /// side is long enough, so the short side asks for what cannot be had.
    pub(super) fn request(&self, eighths: u16) -> (u16, u16) {
        if self.width >= self.height {
            (scaled(self.width, eighths), u16::MAX)
        } else {
            (u16::MAX, scaled(self.height, eighths))
        }
    }

    /// What the decoder holds at its fullest: the planes, the assembled picture, and for a
    /// progressive file all coefficients, those of one component twice while it is transformed.
    pub(super) fn decode_bytes(&self, eighths: u16) -> u64 {
        let widest = self.sampling.iter().map(|factors| factors.0).max();
        let highest = self.sampling.iter().map(|factors| factors.1).max();
        let units = u64::from(self.width).div_ceil(8 * widest.unwrap_or(1))
            * u64::from(self.height).div_ceil(8 * highest.unwrap_or(1));
        let blocks = |&(across, down): &(u64, u64)| units * across * down;
        let all: u64 = self.sampling.iter().map(blocks).sum();
        let largest = self.sampling.iter().map(blocks).max().unwrap_or(0);

        let planes = all * u64::from(eighths * eighths);
        let assembled = u64::from(scaled(self.width, eighths))
            * u64::from(scaled(self.height, eighths))
            * self.sampling.len() as u64;
        let coefficients = if self.progressive { (all + largest) * 64 * size_of::<i16>() as u64 } else { 0 };
        planes + assembled + coefficients
    }
}

/// The length of a side decoded at so many eighths; rounded up, as the decoder does.
pub(super) fn scaled(side: u16, eighths: u16) -> u16 {
    (u32::from(side) * u32::from(eighths)).div_ceil(8) as u16
}

/// Walks the segments of a JPEG as (marker, body), in the decoder's own lenient way: what lies
/// between segments, which includes the entropy-coded data of a scan, is skipped up to the next
/// marker. A segment cut short has the body that is left.
struct JpegSegments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for JpegSegments<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            self.at += rest.iter().position(|&byte| byte == 0xFF)? + 1;
            match *self.bytes.get(self.at)? {
                // A stuffed zero, fill bytes, and the markers that stand alone.
                0x00 | 0xFF | 0x01 | 0xD0..=0xD8 => {}
                0xD9 => return None,
                marker => return Some((marker, self.body())),
            }
        }
    }
}

impl<'a> JpegSegments<'a> {
    /// The body of the segment whose marker is at `at`, which then moves behind it.
    fn body(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at + 1..];
        let length = match rest.first_chunk::<2>() {
            // The length counts itself, so less than two is a lie the decoder will refuse.
            Some(length) => usize::from(u16::from_be_bytes(*length)).max(2),
            None => rest.len(),
        };
        let body = rest.get(2..length.min(rest.len())).unwrap_or_default();
        self.at += 1 + length;
        body
    }
}
