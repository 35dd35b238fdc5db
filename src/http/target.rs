//! What a request line asks for: the request target and the authority, judged (RFC 9112 section 3.2, R-H4).
//!
//! Not here: the rest of the head (`head`), and which path means what (the router).

use std::net::Ipv6Addr;

use super::message::{Method, Query, Refusal, percent_decode};

const BAD_TARGET: Refusal = Refusal::new(400, "target: not a valid request target");
const BAD_PATH: Refusal = Refusal::new(400, "path: not valid");

/// A judged request target.
#[derive(Debug)]
pub(super) struct Target {
    /// The path, decoded once.
    pub(super) path: String,
    /// The decoded query.
    pub(super) query: Query,
    /// The authority of an absolute target, which overrules Host (RFC 9112 section 3.2.2).
    pub(super) authority: Option<String>,
    /// Whether it is an absolute one of https.
    pub(super) https: bool,
    /// Where in the raw target the still encoded path lies.
    pub(super) raw_path: (usize, usize),
}

/// Judges a raw target: a path with or without query, an absolute http URL, or `*` for `OPTIONS`.
pub(super) fn parse(raw: &str, method: Method) -> Result<Target, Refusal> {
    if raw.contains('#') {
        return Err(Refusal::new(400, "target: a fragment is not sent to servers"));
    }
    if raw == "*" && method == Method::Options {
        let (path, query) = (raw.to_owned(), Query::default());
        return Ok(Target { path, query, authority: None, https: false, raw_path: (0, 1) });
    }
    let (authority, path_start) = match after_scheme(raw) {
        Some(start) => {
            let rest = &raw[start..];
            let length = rest.find(['/', '?']).unwrap_or(rest.len());
            (Some(self::authority(&rest.as_bytes()[..length]).ok_or(BAD_TARGET)?), start + length)
        }
        None if raw.starts_with('/') => (None, 0),
        None => return Err(BAD_TARGET),
    };
    let rest = &raw[path_start..];
    let (raw_path, raw_query) = rest.split_once('?').unwrap_or((rest, ""));
    Ok(Target {
        path: path(raw_path)?,
        query: Query::parse(raw_query)?,
        authority,
        https: raw.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("https:")),
        raw_path: (path_start, path_start + raw_path.len()),
    })
}

/// Where the authority of an absolute target begins.
fn after_scheme(raw: &str) -> Option<usize> {
    let mut schemes = ["http://", "https://"].into_iter();
    let scheme = schemes.find(|scheme| {
        let start = raw.get(..scheme.len()).unwrap_or_default();
        start.eq_ignore_ascii_case(scheme)
    })?;
    Some(scheme.len())
}

/// Decodes a path once and refuses everything that another program might read as another path: backslashes, control
/// characters, and dot segments, encoded or not.
fn path(raw: &str) -> Result<String, Refusal> {
    if raw.is_empty() {
        return Ok("/".to_owned());
    }
    let path = percent_decode(raw.as_bytes(), false).ok_or(BAD_PATH)?;
    let forbidden = |byte: u8| byte < b' ' || byte == 0x7f || byte == b'\\';
    if path.bytes().any(forbidden) || path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(BAD_PATH);
    }
    Ok(path)
}

/// A host with or without a port, in lower case; `None` unless it is a name, an IPv4 address or an IPv6 address in
/// brackets (RFC 3986 section 3.2.2).
///
/// The characters `!$&'()*+,;=%` that the grammar also allows in names are refused: no household has them, and they
/// would end up in links and cookies.
pub(super) fn authority(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw).ok()?;
    let port = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            port
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (name, port) = text.split_at(end);
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if name.is_empty() || name.len() > 255 || !name.bytes().all(plain) {
                return None;
            }
            port
        }
    };
    is_port(port).then(|| text.to_ascii_lowercase())
}

/// Nothing, or a colon and a port number; the digits may be missing (RFC 3986 section 3.2.3).
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        Some("") => true,
        // The digits are checked because `parse` would take a sign.
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
        None => text.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        for good in [
            "a",
            "diary.local",
            "diary.local:8222",
            "192.168.1.2:80",
            "[::1]",
            "[fe80::1]:8222",
            "a:",
            "A_b-1",
        ] {
            assert_eq!(authority(good.as_bytes()), Some(good.to_ascii_lowercase()), "{good}");
        }
        let bad: [&[u8]; 17] = [
            b"",
            b":80",
            b"a:b",
            b"a:99999",
            b"a:+8",
            b"a:8:8",
            b"u@a",
            b"a/b",
            b"a b",
            b"[::1",
            b"::1",
            b"[::1]x",
            b"[x]",
            b"a?b",
            b"a\\b",
            b"a%41",
            b"caf\xc3\xa9",
        ];
        for bad in bad {
            assert_eq!(authority(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn targets() {
        let good = [
            ("/", "/", "", None),
            ("/a%20b/c?x=1", "/a b/c", "1", None),
            ("//a", "//a", "", None),
            ("/.well-known/..a", "/.well-known/..a", "", None),
            ("/a%2541", "/a%41", "", None),
            ("http://Diary:8222/a?x=2", "/a", "2", Some("diary:8222")),
            ("HTTPS://a?x=3", "/", "3", Some("a")),
            ("http://a", "/", "", Some("a")),
            ("/a?x=?%2F", "/a", "?/", None),
        ];
        for (raw, path, x, authority) in good {
            let target = parse(raw, Method::Get).expect(raw);
            assert_eq!(target.path, path, "{raw}");
            assert_eq!(target.query.get("x").unwrap_or_default(), x, "{raw}");
            assert_eq!(target.authority.as_deref(), authority, "{raw}");
        }
        let bad = [
            "",
            "*",
            "a",
            "a:80",
            "/#",
            "/a#b",
            "/%",
            "/%4",
            "/%zz",
            "/%ff",
            "/%00",
            "/%0a",
            "/a\\b",
            "/%5c",
            "/..",
            "/.",
            "/a/../b",
            "/a/./b",
            "/%2e%2e/a",
            "/a%2f..",
            "http://",
            "http:///a",
            "http://u@a/",
            "http:/a",
            "ftp://a/",
            "/?%",
            "/?a=%ff",
            "http://a\\b/",
        ];
        for raw in bad {
            assert_eq!(parse(raw, Method::Get).expect_err(raw).status, 400, "{raw}");
        }
        assert_eq!(parse("*", Method::Options).expect("asterisk").path, "*");
    }
}
