//! Request heads: the same result however the bytes are cut, and never another reading than `httparse`'s.

#![no_main]

use deuced_fuzz::{Cuts, Given, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((cuts, bytes)) = Cuts::split(data) else { return };
    let whole = read([bytes]);
    assert_eq!(whole, read(cuts.pieces(bytes)), "in pieces");
    if bytes.len() < 2000 {
        assert_eq!(whole, read(bytes.chunks(1)), "byte by byte");
    }
    for given in &whole {
        if let Given::Head { path, host, query, flags: [keep_alive, http10, upgrade], .. } = given {
            assert!(path.starts_with('/') || path == "*", "{path:?}");
            assert!(!path.contains('\\') && !path.contains(|c: char| c.is_ascii_control()), "{path:?}");
            assert!(path.split('/').all(|segment| segment != ".." && segment != "."), "{path:?}");
            assert!(!host.is_empty() || *http10);
            assert!(
                !host.contains(['/', '@', ' ', '?', '#']) && *host == host.to_ascii_lowercase(),
                "{host:?}"
            );
            assert!(query.len() <= 256);
            assert!(!(*http10 && (*keep_alive || *upgrade)));
        }
    }
    compare(bytes, &whole);
});

/// The first head as another reader has it.
fn compare(bytes: &[u8], whole: &[Given]) {
    let mut slots = [httparse::EMPTY_HEADER; 64];
    let mut other = httparse::Request::new(&mut slots);
    let complete = matches!(other.parse(bytes), Ok(httparse::Status::Complete(_)));
    let Some(Given::Head { method, headers, flags: [_, http10, _], .. }) = whole.first() else { return };
    // HTTP/1.2 and on are read as 1.1 here (RFC 9112 section 2.3); the other reader does not know them.
    let line = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    if line.is_some_and(|line| matches!(line, [.., b'1', b'.', b'2'..=b'9'])) {
        return;
    }
    assert!(complete, "only the guard takes this for a head");
    let name = other.method.unwrap_or_default();
    assert!(*method == name || *method == "OTHER", "{method} is {name}");
    assert_eq!(*http10, other.version == Some(0));
    assert_eq!(headers.len(), other.headers.len());
    for ((name, value), header) in headers.iter().zip(other.headers.iter()) {
        assert_eq!(*name, header.name.to_ascii_lowercase());
        assert_eq!(value.as_slice(), header.value.trim_ascii());
    }
    let count = |wanted: &str| headers.iter().filter(|(name, _)| name == wanted).count();
    assert!(count("host") == 1 || (*http10 && count("host") == 0));
    assert!(count("transfer-encoding") == 0 || count("content-length") == 0, "two ways to say how long");
    assert!(!other.path.unwrap_or_default().contains('#'));
}
