//! Frames from the server: unmasked, never fragmented (RFC 6455 section 5.2).

/// Appends a text frame.
pub fn text(payload: &str, out: &mut Vec<u8>) {
    header(0x81, payload.len(), out);
    out.extend_from_slice(payload.as_bytes());
}

/// Appends a frame of bytes.
pub fn binary(payload: &[u8], out: &mut Vec<u8>) {
    header(0x82, payload.len(), out);
    out.extend_from_slice(payload);
}

/// A close frame. The reason is cut to the 123 bytes that fit.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut out = Vec::with_capacity(4 + end);
    header(0x88, 2 + end, &mut out);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&reason.as_bytes()[..end]);
    out
}

fn header(first: u8, length: usize, out: &mut Vec<u8>) {
    out.push(first);
    match length {
        0..=125 => out.push(length as u8),
        126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_their_shortest_form() {
        for (length, head) in [
            (0, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_535, vec![0x81, 126, 0xff, 0xff]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            text(&"x".repeat(length), &mut out);
            assert_eq!(out[..head.len()], head);
            assert_eq!(out.len(), head.len() + length);
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = close(1008, &"ü".repeat(100));
        assert_eq!(frame[1], 2 + 122);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }
}
