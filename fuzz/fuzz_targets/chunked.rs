//! Chunked bodies: the same result however the bytes are cut; what is taken is what a plain reading of RFC 9112
//! section 7.1 takes; and what somebody encodes properly arrives as it was.

#![no_main]

use deuced_fuzz::{BODY_BYTES, Cuts, Given, read};
use libfuzzer_sys::fuzz_target;

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

fuzz_target!(|data: &[u8]| {
    let Some((cuts, bytes)) = Cuts::split(data) else { return };
    let all = [HEAD, bytes].concat();
    let whole = read([all.as_slice()]);
    assert_eq!(whole, read(cuts.pieces(&all)), "in pieces");
    assert!(matches!(whole.first(), Some(Given::Head { .. })), "the head is good");
    if let Some(Given::Body(body)) = whole.get(1) {
        let (plain, rest) = plainly(bytes).expect("only the guard takes this for a body");
        assert_eq!(*body, plain);
        // Where the body ends, the next request begins.
        assert_eq!(read([rest]), whole[2..]);
    }

    let content = &bytes[..bytes.len().min(BODY_BYTES)];
    let mut wire = HEAD.to_vec();
    for (number, piece) in cuts.pieces(content).into_iter().enumerate() {
        let extension = if number == 1 { ";name=\"value\"" } else { "" };
        wire.extend(format!("{:x}{extension}\r\n", piece.len()).into_bytes());
        wire.extend([piece, b"\r\n"].concat());
    }
    wire.extend([b"0\r\nTrailer: ignored\r\n\r\n", NEXT].concat());
    let given = read(cuts.pieces(&wire));
    assert_eq!(given[1], Given::Body(content.to_vec()));
    assert!(matches!(&given[2], Given::Head { path, .. } if path == "/next"));
});

/// Reads chunks line by line, believing nearly everything: the content, and what follows it.
fn plainly(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut content = Vec::new();
    loop {
        let line = line(&mut rest)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = usize::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()?;
        if size == 0 {
            while !self::line(&mut rest)?.is_empty() {}
            return Some((content, rest));
        }
        content.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

/// Takes a line without its end.
fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, later) = (&rest[..end], &rest[end + 2..]);
    *rest = later;
    Some(line)
}
