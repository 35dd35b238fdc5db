//! PNG: row by row, interlaced or not, never more of it in memory than a handful of rows.
//!
//! Here is the use of the `png` crate, with guards before the places where it is known to panic.
//! Not here: what EXIF means (`exif`), and the cropping and averaging (`scale`).

use super::{
    Bounds, Refused, damaged,
    exif::Orientation,
    scale::{Columns, Pixel, Square},
};
use png::Transformations;
use std::io::Cursor;

pub(super) fn decode(bytes: &[u8], bounds: &Bounds) -> Result<(Square, Orientation), Refused> {
    let limits = png::Limits { bytes: bounds.decode_bytes };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    // Comments and colour profiles can be small and unpack to a lot; nobody will see them.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let header = decoder.read_header_info().map_err(damaged)?;
    let (width, height) = header.size();
    bounds.check_pixels(width, height)?;
    // The decoder keeps a handful of raw rows, and one in the shape we asked for. That is little,
    // unless the picture is a single row of 25 million pixels.
    let needed = 8 * header.raw_row_length() as u64 + 8 * u64::from(width);
    if needed > bounds.decode_bytes as u64 {
        return Err(bounds.too_heavy(width, height, needed));
    }

    let mut reader = decoder.read_info().map_err(damaged)?;
    let orientation = match &reader.info().exif_metadata {
        Some(exif) => Orientation::read(exif),
        None => Orientation::default(),
    };
    let square = read_rows(&mut reader)?;
    Ok((square, orientation))
}

fn read_rows(reader: &mut png::Reader<Cursor<&[u8]>>) -> Result<Square, Refused> {
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    // In an animated PNG the first picture may not be smaller than the header says. Were it
    // tolerated, the rows would not be the ones counted below.
    let first = info.frame_control.as_ref();
    if first.is_some_and(|frame| (frame.width, frame.height) != info.size()) {
        return Err(Refused::Damaged);
    }
    // png 0.18.1 panics on a palette that ends within a colour (image-rs/image-png#694).
    let palette = info.palette.as_deref().unwrap_or_default();
    if palette.len() % 3 != 0 {
        return Err(Refused::Damaged);
    }
    let passes: &[Pass] = if info.interlaced { &ADAM7 } else { &[WHOLE] };
    let kind = match reader.output_color_type().0 {
        png::ColorType::Grayscale => Pixel::Gray,
        png::ColorType::GrayscaleAlpha => Pixel::GrayAlpha,
        png::ColorType::Rgb => Pixel::Rgb,
        png::ColorType::Rgba => Pixel::Rgba,
        png::ColorType::Indexed => unreachable!("palettes are expanded"),
    };

    let mut square = Square::new(width, height);
    for pass in passes.iter().filter(|pass| pass.columns.first < width) {
        for y in (pass.first_row..height).step_by(pass.row_step) {
            let row = reader.next_row().map_err(damaged)?;
            let row = row.ok_or(Refused::Damaged)?;
            square.add_row(y, pass.columns, kind, row.data());
        }
    }
    Ok(square)
}

/// Which pixels of the picture a run of PNG rows holds. The decoder knows, but does not say.
pub(super) struct Pass {
    pub(super) columns: Columns,
    pub(super) first_row: usize,
    pub(super) row_step: usize,
}

const fn pass(first: usize, step: usize, first_row: usize, row_step: usize) -> Pass {
    Pass { columns: Columns { first, step }, first_row, row_step }
}

pub(super) const WHOLE: Pass = pass(0, 1, 0, 1);

/// The seven passes of an interlaced PNG, in the order they are stored.
pub(super) const ADAM7: [Pass; 7] = [
    pass(0, 8, 0, 8),
    pass(4, 8, 0, 8),
    pass(0, 4, 4, 8),
    pass(2, 4, 0, 4),
    pass(0, 2, 2, 4),
    pass(1, 2, 0, 2),
    pass(0, 1, 1, 2),
];
