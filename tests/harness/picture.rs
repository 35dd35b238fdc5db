//! Pictures to upload, the wrapping they travel in, and a look at what comes back.

/// A `width` x `height` JPEG, left half red, right half blue.
pub fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut out = Vec::new();
    jpeg_encoder::Encoder::new(&mut out, 90)
        .encode(&two_halves(width.into(), height.into()), width, height, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    out
}

/// The same as a PNG.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&two_halves(width, height)).unwrap();
    writer.finish().unwrap();
    out
}

/// A PNG of a few bytes whose header announces so many pixels.
pub fn png_that_claims(width: u32, height: u32) -> Vec<u8> {
    let mut out = png(1, 1);
    out[16..20].copy_from_slice(&width.to_be_bytes());
    out[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32(&out[12..29]);
    out[29..33].copy_from_slice(&checksum.to_be_bytes());
    out
}

/// A JPEG whose frame header announces so many pixels.
pub fn jpeg_that_claims(width: u16, height: u16) -> Vec<u8> {
    let mut out = jpeg(8, 8);
    let frame = out.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a baseline frame header");
    out[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    out[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    out
}

/// Width, height and RGB bytes of a JPEG.
#[track_caller]
pub fn decode_jpeg(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    let pixels = decoder.decode().expect("a JPEG that decodes");
    let info = decoder.info().unwrap();
    (info.width.into(), info.height.into(), pixels)
}

/// Content type and body of a multipart form; parts are (field, file name, type, bytes).
pub fn multipart(parts: &[(&str, &str, &str, &[u8])]) -> (String, Vec<u8>) {
    let boundary = "----deucedStories7MA4YWxkTrZu0gW";
    let mut body = Vec::new();
    for (field, file, kind, bytes) in parts {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{file}\"\r\n\
             Content-Type: {kind}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

fn two_halves(width: u32, height: u32) -> Vec<u8> {
    let colour = |x: u32| if x < width / 2 { [220, 20, 20] } else { [20, 20, 220] };
    (0..height).flat_map(|_| (0..width).flat_map(colour)).collect()
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
