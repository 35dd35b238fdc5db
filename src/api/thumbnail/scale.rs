//! Pixels: every layout becomes RGB on white, and any picture a square of [`SIDE`].
//!
//! Plain arithmetic on rows as the decoders hand them over, in whole numbers. Not here: where the
//! rows come from, and which way up the square is (`exif`).

use super::SIDE;

pub(super) type Rgb = [u8; 3];

/// How the decoders lay out a pixel, in bytes.
#[derive(Clone, Copy)]
pub(super) enum Pixel {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
    Cmyk,
}

impl Pixel {
    pub(super) fn bytes(self) -> usize {
        match self {
            Pixel::Gray => 1,
            Pixel::GrayAlpha => 2,
            Pixel::Rgb => 3,
            Pixel::Rgba | Pixel::Cmyk => 4,
        }
    }

    fn to_rgb(self, pixel: &[u8]) -> Rgb {
        match self {
            Pixel::Gray => [pixel[0]; 3],
            Pixel::GrayAlpha => [on_white(pixel[0], pixel[1]); 3],
            Pixel::Rgb => [pixel[0], pixel[1], pixel[2]],
            Pixel::Rgba => [pixel[0], pixel[1], pixel[2]].map(|part| on_white(part, pixel[3])),
            // Amounts of ink: the decoder has already undone Adobe's inversion, which all
            // four-colour JPEGs in the wild have, and has turned YCCK into CMYK.
            Pixel::Cmyk => [pixel[0], pixel[1], pixel[2]].map(|ink| scale_byte(255 - ink, 255 - pixel[3])),
        }
    }
}

pub(super) fn on_white(part: u8, alpha: u8) -> u8 {
    // The two terms round to at most 255 together: they are shares of one 255.
    255 - scale_byte(255 - part, alpha)
}

/// `part` times `whole`, both meaning shares of 255, rounded.
fn scale_byte(part: u8, whole: u8) -> u8 {
    ((u32::from(part) * u32::from(whole) + 127) / 255) as u8
}

/// Which columns of the picture a row holds: from `first`, every `step`th.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub(super) first: usize,
    pub(super) step: usize,
}

impl Columns {
    pub(super) const ALL: Columns = Columns { first: 0, step: 1 };
}

/// The centred square of a picture, shrunk by averaging while its rows come in, in any order.
///
/// Along each side the picture has `crop` pixels and the result `side`. Measured in units of which
/// a result pixel has `crop` and a picture pixel has `side`, all borders are whole numbers, and
/// each picture pixel lies in one result pixel or across the border of two.
pub(super) struct Square {
    left: usize,
    top: usize,
    crop: usize,
    side: usize,
    /// Where each picture column of the crop lies in the result.
    shares: Vec<Share>,
    /// Weighted sums of one row, reused.
    row: Vec<[u64; 3]>,
    /// Weighted sums of the whole result.
    sums: Vec<[u64; 3]>,
}

/// How much of a picture pixel lies in the result pixel `first`, and how much in the next.
#[derive(Clone, Copy)]
struct Share {
    first: usize,
    here: u64,
    next: u64,
}

impl Square {
    pub(super) fn new(width: usize, height: usize) -> Square {
        let crop = width.min(height);
        let side = crop.min(SIDE);
        Square {
            left: (width - crop) / 2,
            top: (height - crop) / 2,
            crop,
            side,
            shares: (0..crop).map(|at| Share::of(at, crop, side)).collect(),
            row: vec![[0; 3]; side],
            sums: vec![[0; 3]; side * side],
        }
    }

    pub(super) fn add_row(&mut self, y: usize, columns: Columns, kind: Pixel, row: &[u8]) {
        let Some(y) = y.checked_sub(self.top).filter(|&y| y < self.crop) else {
            return;
        };
        self.row.fill([0; 3]);
        // The first pixel of the row at or right of the crop's left edge, then as far as it goes.
        let skipped = self.left.saturating_sub(columns.first).div_ceil(columns.step);
        let start = columns.first + skipped * columns.step - self.left;
        let shares = self.shares.get(start..).unwrap_or_default();
        let pixels = row.chunks_exact(kind.bytes()).skip(skipped);
        for (pixel, share) in pixels.zip(shares.iter().step_by(columns.step)) {
            let rgb = kind.to_rgb(pixel).map(u64::from);
            add(&mut self.row[share.first], rgb, share.here);
            if share.next > 0 {
                add(&mut self.row[share.first + 1], rgb, share.next);
            }
        }

        let share = self.shares[y];
        let sums = &mut self.sums[share.first * self.side..];
        for (sum, &part) in sums.iter_mut().zip(&self.row) {
            add(sum, part, share.here);
        }
        if share.next > 0 {
            for (sum, &part) in sums[self.side..].iter_mut().zip(&self.row) {
                add(sum, part, share.next);
            }
        }
    }

    pub(super) fn finish(self) -> Vec<Rgb> {
        let weight = (self.crop as u64).pow(2);
        let average = |sum: &[u64; 3]| sum.map(|part| ((part + weight / 2) / weight) as u8);
        let small: Vec<Rgb> = self.sums.iter().map(average).collect();
        if self.side == SIDE { small } else { enlarge(&small, self.side) }
    }
}

impl Share {
    fn of(at: usize, crop: usize, side: usize) -> Share {
        let (start, end) = (at * side, (at + 1) * side);
        let first = start / crop;
        let next = end.saturating_sub((first + 1) * crop);
        Share { first, here: (side - next) as u64, next: next as u64 }
    }
}

fn add(sum: &mut [u64; 3], part: [u64; 3], weight: u64) {
    for (sum, part) in sum.iter_mut().zip(part) {
        *sum += part * weight;
    }
}

/// The square of `side` pixels enlarged to [`SIDE`], with straight transitions between pixels.
fn enlarge(small: &[Rgb], side: usize) -> Vec<Rgb> {
    // Twice the result's pixels, so that their centres have whole numbers.
    let grain = 2 * SIDE;
    let place = |at: usize| {
        let centre = ((2 * at + 1) * side).saturating_sub(SIDE);
        let centre = centre.min((side - 1) * grain);
        let first = centre / grain;
        (first, (first + 1).min(side - 1), centre % grain)
    };
    let blend = |a: usize, b: usize, share: usize| a * (grain - share) + b * share;

    let mut large = Vec::with_capacity(SIDE * SIDE);
    for (top, bottom, down) in (0..SIDE).map(place) {
        for (left, right, across) in (0..SIDE).map(place) {
            large.push([0, 1, 2].map(|part| {
                let at = |y: usize, x: usize| usize::from(small[y * side + x][part]);
                let upper = blend(at(top, left), at(top, right), across);
                let lower = blend(at(bottom, left), at(bottom, right), across);
                ((blend(upper, lower, down) + grain * grain / 2) / (grain * grain)) as u8
            }));
        }
    }
    large
}
