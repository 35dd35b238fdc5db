//! The pictures that the tests look at: made by encoders, by hand, and with one thing wrong.
//!
//! Not here: any check (`tests`).

use super::{
    png::{ADAM7, Pass, WHOLE},
    scale::Rgb,
};
use jpeg_encoder::{ColorType, Encoder};

pub(super) const RED: Rgb = [220, 30, 30];
pub(super) const GREEN: Rgb = [30, 200, 30];
pub(super) const BLUE: Rgb = [30, 30, 220];
pub(super) const WHITE: Rgb = [255, 255, 255];
pub(super) const BLACK: Rgb = [0, 0, 0];

/// Red and green above blue and white, meeting in the middle.
pub(super) fn quadrants(width: usize, height: usize) -> Vec<Rgb> {
    let paint = |at: usize| match (2 * (at % width) < width, 2 * (at / width) < height) {
        (true, true) => RED,
        (false, true) => GREEN,
        (true, false) => BLUE,
        (false, false) => WHITE,
    };
    (0..width * height).map(paint).collect()
}

pub(super) fn jpeg_of(samples: &[u8], width: usize, height: usize, color: ColorType) -> Vec<u8> {
    let mut out = Vec::new();
    let encoder = Encoder::new(&mut out, 95);
    encoder.encode(samples, width as u16, height as u16, color).unwrap();
    out
}

pub(super) fn jpeg(width: usize, height: usize) -> Vec<u8> {
    let pixels = quadrants(width, height);
    jpeg_of(pixels.as_flattened(), width, height, ColorType::Rgb)
}

pub(super) fn progressive(width: usize, height: usize, scans: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 80);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
    encoder.set_progressive_scans(scans);
    let pixels = quadrants(width, height);
    let (wide, high) = (width as u16, height as u16);
    encoder.encode(pixels.as_flattened(), wide, high, ColorType::Rgb).unwrap();
    out
}

/// An EXIF block with one entry before the orientation, in either byte order.
pub(super) fn exif(orientation: u16, little_endian: bool) -> Vec<u8> {
    let short = |value: u16| match little_endian {
        true => value.to_le_bytes(),
        false => value.to_be_bytes(),
    };
    let long = |value: u32| match little_endian {
        true => value.to_le_bytes(),
        false => value.to_be_bytes(),
    };
    let mut block = if little_endian { *b"II" } else { *b"MM" }.to_vec();
    block.extend(short(42));
    block.extend(long(8));
    block.extend(short(2));
    for (tag, value) in [(0x0100, 7), (0x0112, orientation)] {
        block.extend([short(tag), short(3)].concat());
        block.extend(long(1));
        block.extend([short(value), short(0)].concat());
    }
    block.extend(long(0));
    block
}

pub(super) fn with_exif(jpeg: &[u8], exif: &[u8]) -> Vec<u8> {
    let length = (exif.len() as u16 + 8).to_be_bytes();
    let marker: &[u8] = &[0xFF, 0xE1, length[0], length[1]];
    [&jpeg[..2], marker, b"Exif\0\0", exif, &jpeg[2..]].concat()
}

pub(super) fn with_jpeg_size(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let is_frame = |pair: &[u8]| pair[0] == 0xFF && (0xC0..=0xC2).contains(&pair[1]);
    let frame = jpeg.windows(2).position(is_frame).unwrap();
    let mut changed = jpeg.to_vec();
    changed[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    changed[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    changed
}

pub(super) fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for &byte in name.iter().chain(data) {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
        }
    }
    let length = (data.len() as u32).to_be_bytes();
    [&length, &name[..], data, &(!crc).to_be_bytes()].concat()
}

/// The same file with every checksum made right, so that a mutation gets past the gate.
pub(super) fn with_right_checksums(png: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (png[..8].to_vec(), &png[8..]);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((name, after)) = after.split_first_chunk::<4>() else {
            break;
        };
        let data = &after[..length.min(after.len())];
        out.extend(chunk(name, data));
        rest = after.get(data.len() + 4..).unwrap_or_default();
    }
    out
}

pub(super) fn zlib(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    for (at, part) in data.chunks(60_000).enumerate() {
        let length = part.len() as u16;
        out.push(u8::from((at + 1) * 60_000 >= data.len()));
        out.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
        out.extend(part);
    }
    let (mut low, mut high) = (1u32, 0u32);
    for &byte in data {
        low = (low + u32::from(byte)) % 65521;
        high = (high + low) % 65521;
    }
    out.extend((high << 16 | low).to_be_bytes());
    out
}

/// An 8 bit RGB PNG by hand, because the crate writes neither interlaced files nor eXIf.
pub(super) fn png_by_hand(
    pixels: &[Rgb],
    width: usize,
    height: usize,
    interlaced: bool,
    exif: &[u8],
) -> Vec<u8> {
    let passes: &[Pass] = if interlaced { &ADAM7 } else { &[WHOLE] };
    let mut raw = Vec::new();
    for pass in passes.iter().filter(|pass| pass.columns.first < width) {
        for y in (pass.first_row..height).step_by(pass.row_step) {
            raw.push(0);
            for x in (pass.columns.first..width).step_by(pass.columns.step) {
                raw.extend(pixels[y * width + x]);
            }
        }
    }
    let size = [(width as u32).to_be_bytes(), (height as u32).to_be_bytes()].concat();
    let header = [&size[..], &[8, 2, 0, 0, u8::from(interlaced)]].concat();
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    out.extend(chunk(b"IHDR", &header));
    if !exif.is_empty() {
        out.extend(chunk(b"eXIf", exif));
    }
    out.extend(chunk(b"IDAT", &zlib(&raw)));
    out.extend(chunk(b"IEND", &[]));
    out
}

pub(super) fn png_of(
    rows: &[u8],
    width: u32,
    height: u32,
    color: png::ColorType,
    depth: png::BitDepth,
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == png::ColorType::Indexed {
        encoder.set_palette([BLACK, WHITE, RED, GREEN].concat());
        encoder.set_trns(vec![255, 255, 0]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(rows).unwrap();
    writer.finish().unwrap();
    out
}

pub(super) fn samples() -> [Vec<u8>; 6] {
    let pixels = quadrants(24, 20);
    [
        with_exif(&jpeg(24, 20), &exif(6, false)),
        progressive(40, 24, 6),
        jpeg_of(&[10, 200, 30, 90].repeat(24 * 20), 24, 20, ColorType::CmykAsYcck),
        png_by_hand(&pixels, 24, 20, false, &exif(3, true)),
        png_by_hand(&pixels, 24, 20, true, &[]),
        png_of(&[0x12; 12 * 20], 24, 20, png::ColorType::Indexed, png::BitDepth::Four),
    ]
}
