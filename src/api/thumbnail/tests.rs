//! What becomes of pictures: sound ones of every kind, and broken and malicious ones.
//!
//! Not here: how the pictures are made (`samples`).

use super::{
    Bounds, Refused, SIDE, decode,
    exif::Orientation,
    jpeg::{JpegHead, scaled},
    samples::*,
    scale::{Rgb, on_white},
    thumbnail, upright_square,
};
use jpeg_decoder::PixelFormat;
use jpeg_encoder::{ColorType, Encoder};

// Looking at thumbnails.

fn seen(bytes: &[u8]) -> Vec<Rgb> {
    let made = thumbnail(bytes, &Bounds::default()).unwrap();
    let mut decoder = jpeg_decoder::Decoder::new(&made[..]);
    let pixels = decoder.decode().unwrap();
    let info = decoder.info().unwrap();
    assert_eq!((info.width, info.height), (200, 200));
    assert_eq!(info.pixel_format, PixelFormat::RGB24);
    pixels.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect()
}

fn refused(bytes: &[u8]) -> Refused {
    thumbnail(bytes, &Bounds::default()).unwrap_err()
}

#[track_caller]
fn assert_near(found: Rgb, wanted: Rgb) {
    let near = |(a, b): (u8, u8)| a.abs_diff(b) <= 16;
    let all = found.into_iter().zip(wanted).all(near);
    assert!(all, "{found:?} is not near {wanted:?}");
}

#[track_caller]
fn assert_corners(bytes: &[u8], wanted: [Rgb; 4]) {
    let square = seen(bytes);
    let places = [(20, 20), (180, 20), (20, 180), (180, 180)];
    for ((x, y), wanted) in places.into_iter().zip(wanted) {
        assert_near(square[y * SIDE + x], wanted);
    }
}

// JPEG.

#[test]
fn a_jpeg_of_any_shape_is_cropped_to_its_middle() {
    for (width, height) in [(640, 480), (300, 901), (200, 200), (90, 60), (1700, 1650)] {
        assert_corners(&jpeg(width, height), [RED, GREEN, BLUE, WHITE]);
    }
}

#[test]
fn what_lies_outside_the_middle_is_gone() {
    let mut pixels = vec![RED; 600 * 200];
    for row in pixels.chunks_exact_mut(600) {
        row[200..400].fill(BLUE);
    }
    let wide = png_by_hand(&pixels, 600, 200, false, &[]);
    assert!(seen(&wide).iter().all(|&[red, _, blue]| red < blue));
}

#[test]
fn all_orientations_are_upright() {
    let (r, g, b, w) = (RED, GREEN, BLUE, WHITE);
    let upright = [
        [r, g, b, w],
        [g, r, w, b],
        [w, b, g, r],
        [b, w, r, g],
        [r, b, g, w],
        [b, r, w, g],
        [w, g, b, r],
        [g, w, r, b],
    ];
    let (stored_jpeg, stored_png) = (jpeg(240, 160), quadrants(240, 160));
    for (orientation, corners) in (1..).zip(upright) {
        for little_endian in [true, false] {
            let exif = exif(orientation, little_endian);
            assert_corners(&with_exif(&stored_jpeg, &exif), corners);
            let png = png_by_hand(&stored_png, 240, 160, false, &exif);
            assert_corners(&png, corners);
        }
    }
}

#[test]
fn nonsense_in_exif_means_upright() {
    let right = exif(6, true);
    assert_eq!(Orientation::read(&right), Orientation(6));
    for orientation in [0, 9, 65535] {
        assert_eq!(Orientation::read(&exif(orientation, false)), Orientation(1));
    }
    for end in 0..right.len() {
        Orientation::read(&right[..end]);
    }
    let beyond = b"II*\0\xff\xff\xff\xff\x01\0\x12\x01\x03\0";
    assert_eq!(Orientation::read(beyond), Orientation(1));
    assert_corners(&with_exif(&jpeg(240, 160), b"MM"), [RED, GREEN, BLUE, WHITE]);
}

#[test]
fn metadata_stays_behind() {
    let made = thumbnail(&with_exif(&jpeg(300, 300), &exif(1, true)), &Bounds::default()).unwrap();
    assert!(!made.windows(4).any(|window| window == b"Exif"));
}

#[test]
fn progressive_jpegs_are_read() {
    for (width, height) in [(640, 480), (97, 81), (1650, 1630)] {
        let corners = [RED, GREEN, BLUE, WHITE];
        assert_corners(&progressive(width, height, 4), corners);
    }
}

#[test]
fn gray_and_ink_jpegs_are_read() {
    let gray = vec![90; 300 * 240];
    let gray = jpeg_of(&gray, 300, 240, ColorType::Luma);
    assert_corners(&gray, [[90; 3]; 4]);
    // Full cyan and a fifth of black. The encoder stores ink inverted, as Adobe does.
    let ink = [255, 0, 0, 51].repeat(300 * 240);
    let cyan = [0, 204, 204];
    for color in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        assert_corners(&jpeg_of(&ink, 300, 240, color), [cyan; 4]);
    }
}

#[test]
fn every_small_size_works() {
    let flat = [RED; 40 * 40];
    for width in [1, 2, 3, 7, 8, 9, 15, 16, 17, 40] {
        for height in [1, 2, 7, 8, 9, 16, 17, 31, 40] {
            let samples = &flat.as_flattened()[..width * height * 3];
            for sampling in [jpeg_encoder::SamplingFactor::F_1_1, jpeg_encoder::SamplingFactor::F_2_2] {
                let mut out = Vec::new();
                let mut encoder = Encoder::new(&mut out, 90);
                encoder.set_sampling_factor(sampling);
                encoder.encode(samples, width as u16, height as u16, ColorType::Rgb).unwrap();
                let square = upright_square(&out, &Bounds::default()).unwrap();
                assert_eq!(square.len(), SIDE * SIDE);
                assert_near(square[0], RED);
                assert_near(square[SIDE * SIDE - 1], RED);
            }
        }
    }
}

#[test]
fn a_line_is_still_a_picture() {
    for (width, height) in [(1, 1), (1, 5000), (5000, 1), (1, 65_000)] {
        let samples = [RED].repeat(width * height);
        let samples = samples.as_flattened();
        let line = jpeg_of(samples, width, height, ColorType::Rgb);
        assert_corners(&line, [RED; 4]);
        let (wide, high) = (width as u32, height as u32);
        let (color, depth) = (png::ColorType::Rgb, png::BitDepth::Eight);
        assert_corners(&png_of(samples, wide, high, color, depth), [RED; 4]);
    }
}

#[test]
fn the_decoder_scales_as_asked() {
    let small = jpeg(16, 16);
    for (width, height) in [(4000, 3000), (3000, 4000), (1601, 1599), (65_535, 200), (3, 900)] {
        let bytes = with_jpeg_size(&small, width, height);
        let head = JpegHead::read(&bytes).unwrap();
        for eighths in [1, 2, 4, 8] {
            let mut decoder = jpeg_decoder::Decoder::new(&bytes[..]);
            let (wide, high) = head.request(eighths);
            let found = decoder.scale(wide, high).unwrap();
            assert_eq!(found, (scaled(width, eighths), scaled(height, eighths)));
        }
        let eighths = head.eighths(u64::MAX).unwrap();
        let short = usize::from(scaled(width.min(height), eighths));
        assert!(short >= SIDE || eighths == 8);
    }
}

#[test]
fn a_tight_budget_lowers_the_resolution_before_it_refuses() {
    let bytes = jpeg(1590, 1590);
    let tight = |decode_bytes| Bounds { decode_bytes, ..Bounds::default() };
    let head = JpegHead::read(&bytes).unwrap();
    assert_eq!(head.eighths(u64::MAX), Some(2));
    assert_eq!(head.eighths(head.decode_bytes(2) - 1), Some(1));
    assert!(thumbnail(&bytes, &tight(head.decode_bytes(1) as usize)).is_ok());
    let refused = thumbnail(&bytes, &tight(head.decode_bytes(1) as usize - 1));
    assert!(matches!(refused, Err(Refused::TooManyPixels { .. })));
    // Progressive files keep their coefficients, so they are heavier.
    let head = JpegHead::read(&progressive(1590, 1590, 4)).unwrap();
    assert!(head.decode_bytes(1) > 1590 * 1590 * 5);
}

#[test]
fn a_jpeg_of_many_scans_is_refused() {
    assert_eq!(refused(&progressive(64, 64, 64)), Refused::Damaged);
}

#[test]
fn a_jpeg_that_claims_to_be_huge_or_empty_is_refused() {
    let small = jpeg(16, 16);
    let huge = refused(&with_jpeg_size(&small, 65_535, 65_535));
    let sentence = "the picture has 65535 x 65535 pixels, which is too large; \
                    one like it may have at most 25,000,000 pixels altogether";
    assert_eq!(huge.to_string(), sentence);
    for (width, height) in [(0, 16), (16, 0), (0, 0)] {
        let empty = with_jpeg_size(&small, width, height);
        assert_eq!(refused(&empty), Refused::Damaged);
    }
}

// PNG.

#[test]
fn all_png_colour_types_and_depths_are_read() {
    use png::BitDepth::{Eight, Four, One, Sixteen, Two};
    use png::ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};

    for (color, depths) in [
        (Grayscale, &[One, Two, Four, Eight, Sixteen][..]),
        (Indexed, &[One, Two, Four, Eight]),
        (GrayscaleAlpha, &[Eight, Sixteen]),
        (Rgb, &[Eight, Sixteen]),
        (Rgba, &[Eight, Sixteen]),
    ] {
        for &depth in depths {
            // Black left, white right; alpha is full on both sides.
            let bits = depth as usize * color.samples();
            let half = 240 * bits / 8 / 2;
            let mut row = [vec![0; half], vec![255; half]].concat();
            match (color, depth) {
                (Indexed, One) => {}
                (Indexed, Two) => row[half..].fill(0b0101_0101),
                (Indexed, Four) => row[half..].fill(0x11),
                (Indexed, _) => row[half..].fill(1),
                (GrayscaleAlpha | Rgba, _) => {
                    let bytes = bits / 8;
                    for pixel in row.chunks_exact_mut(bytes) {
                        pixel[bytes - depth as usize / 8..].fill(255);
                    }
                }
                _ => {}
            }
            let png = png_of(&row.repeat(230), 240, 230, color, depth);
            assert_corners(&png, [BLACK, WHITE, BLACK, WHITE]);
        }
    }
}

#[test]
fn transparency_lies_on_white() {
    let (depth, palette) = (png::BitDepth::Eight, png::ColorType::Indexed);
    let through = vec![2; 210 * 210];
    assert_corners(&png_of(&through, 210, 210, palette, depth), [WHITE; 4]);
    let half_red = [255, 0, 0, 128].repeat(210 * 210);
    let half_red = png_of(&half_red, 210, 210, png::ColorType::Rgba, depth);
    assert_corners(&half_red, [[255, 127, 127]; 4]);
    for part in 0..=255 {
        assert_eq!((on_white(part, 0), on_white(part, 255)), (255, part));
    }
}

#[test]
fn interlaced_png_equals_plain_png() {
    let sizes = (1..=9).flat_map(|width| (1..=9).map(move |height| (width, height)));
    for (width, height) in sizes.chain([(333, 257), (190, 400)]) {
        let pixels: Vec<Rgb> =
            (0..width * height).map(|at| [at as u8, (at / 3) as u8, (at * at) as u8]).collect();
        let decode = |interlaced| {
            let bytes = png_by_hand(&pixels, width, height, interlaced, &[]);
            upright_square(&bytes, &Bounds::default()).unwrap()
        };
        assert!(decode(true) == decode(false), "{width} x {height}");
    }
}

#[test]
fn shrinking_equals_the_plain_average() {
    let (width, height) = (333, 257);
    let pixels: Vec<Rgb> = (0..width * height)
        .map(|at| [(at % width) as u8, (at * 7919 % 251) as u8, (at / width) as u8])
        .collect();
    let bytes = png_by_hand(&pixels, width, height, false, &[]);
    let square = upright_square(&bytes, &Bounds::default()).unwrap();

    let crop = height as f64;
    let overlap = |at: usize, source: usize| {
        let (start, end) = (at as f64 * crop / 200.0, (at + 1) as f64 * crop / 200.0);
        (end.min(source as f64 + 1.0) - start.max(source as f64)).max(0.0) * 200.0 / crop
    };
    for (x, y) in [(0, 0), (199, 0), (0, 199), (199, 199), (77, 123)] {
        for part in 0..3 {
            let mut average = 0.0;
            for row in 0..height {
                for column in 0..height {
                    let pixel = pixels[row * width + column + (width - height) / 2];
                    average += f64::from(pixel[part]) * overlap(x, column) * overlap(y, row);
                }
            }
            let found = f64::from(square[y * SIDE + x][part]);
            assert!((found - average).abs() <= 0.51, "{found} {average}");
        }
    }
}

#[test]
fn a_png_that_claims_to_be_huge_is_refused() {
    let header = |width: u32, height: u32| {
        let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
        let header = chunk(b"IHDR", &[&size[..], &[16, 6, 0, 0, 0]].concat());
        [b"\x89PNG\r\n\x1a\n", &header[..], &chunk(b"IDAT", &[])].concat()
    };
    let too_many = |width, height, limit| Refused::TooManyPixels { width, height, limit };
    let huge = refused(&header(50_000, 50_000));
    assert_eq!(huge, too_many(50_000, 50_000, 25_000_000));
    // Few enough pixels, but rows of 200 MB.
    let line = refused(&header(25_000_000, 1));
    assert!(matches!(line, Refused::TooManyPixels { limit, .. } if limit < 1_000_000));
    assert_eq!(refused(&header(0, 5)), Refused::Damaged);
    let most = refused(&header(u32::MAX, u32::MAX));
    assert_eq!(most, too_many(u32::MAX, u32::MAX, 25_000_000));
}

#[test]
fn a_palette_that_ends_within_a_colour_is_refused() {
    let picture = |colours: &[u8]| {
        let header = [0, 0, 0, 1, 0, 0, 0, 1, 8, 3, 0, 0, 0];
        let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
        out.extend(chunk(b"IHDR", &header));
        out.extend(chunk(b"PLTE", colours));
        out.extend(chunk(b"IDAT", &zlib(&[0, 0])));
        out
    };
    assert!(decode(&picture(&RED), &small_bounds()).is_ok());
    let broken = decode(&picture(&[9; 4]), &small_bounds());
    assert_eq!(broken.err(), Some(Refused::Damaged));
}

#[test]
fn an_animation_whose_first_picture_is_smaller_is_refused() {
    let plain = png_by_hand(&quadrants(20, 20), 20, 20, false, &[]);
    let frame = |width: u32| {
        let parts = [0, width, 20, 0, 0].map(u32::to_be_bytes).concat();
        let control = chunk(b"fcTL", &[&parts[..], &[0, 1, 0, 1, 0, 0]].concat());
        let animation = chunk(b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0]);
        // The header ends after 33 bytes.
        [&plain[..33], &animation, &control, &plain[33..]].concat()
    };
    assert_corners(&frame(20), [RED, GREEN, BLUE, WHITE]);
    assert_eq!(refused(&frame(10)), Refused::Damaged);
}

// Anything else.

#[test]
fn other_files_are_told_what_is_accepted() {
    let others: [&[u8]; 9] = [
        b"",
        b"\xff\xd8",
        b"\x89PNG",
        b"hello",
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
        b"GIF89a\x01\0\x01\0\0\0\0;",
        b"RIFF\x24\0\0\0WEBPVP8 ",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"BM\0\0\0\0",
    ];
    for other in others {
        let refused = refused(other);
        assert_eq!(refused, Refused::NotAnImage);
        let sentence = "only JPEG and PNG pictures are accepted";
        assert_eq!(refused.to_string(), sentence);
    }
}

/// Small enough that a mutated size does not make the tests slow.
fn small_bounds() -> Bounds {
    Bounds { pixels: 40_000, decode_bytes: 1 << 20 }
}

#[test]
fn files_cut_short_never_panic() {
    for sample in samples() {
        for end in 0..sample.len() {
            let _ = decode(&sample[..end], &small_bounds());
        }
        assert_eq!(refused(&sample[..sample.len() / 2]), Refused::Damaged);
    }
}

#[test]
fn mutated_files_never_panic() {
    let samples = samples();
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 20) as usize % below
    };
    for round in 0..4000 {
        let mut bytes = samples[round % samples.len()].clone();
        for _ in 0..=random(6) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = random(256) as u8,
                1 => bytes[at] ^= 1 << random(8),
                2 => bytes[at] = [0, 1, 127, 128, 255][random(5)],
                _ => drop(bytes.remove(at)),
            }
        }
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            bytes = with_right_checksums(&bytes);
        }
        // Without the net first: our own readers have to do without, and a decoder that
        // panics on these is worth knowing about.
        let _ = decode(&bytes, &small_bounds());
        Orientation::read(&bytes);
        if round % 16 == 0 {
            let _ = thumbnail(&bytes, &small_bounds());
        }
    }
}

#[test]
fn garbage_behind_the_right_magic_never_panics() {
    let mut seed = 1u32;
    for length in 0..600 {
        for magic in [&b"\xff\xd8\xff"[..], b"\x89PNG\r\n\x1a\n", b"II*\0", b""] {
            let mut bytes = magic.to_vec();
            for _ in 0..length {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                bytes.push((seed >> 24) as u8);
            }
            assert!(thumbnail(&bytes, &small_bounds()).is_err());
            Orientation::read(&bytes);
        }
    }
}
