//! One complete request head, split by `httparse` and judged by RFC 9112: what is asked, of whom, and how the body is
//! framed.
//!
//! Not here: waiting for the bytes and their limits (`guard`), and the request target (`target`). Everything here
//! depends on the bytes of the head alone, so it cannot matter in which packets they came.

use std::mem::MaybeUninit;

use super::message::{Field, Headers, Method, Query, Refusal};
use super::target;

/// The most header fields a head can have here, whatever the guard's limits say.
pub(super) const MOST_FIELDS: usize = 256;

const BAD_HEAD: Refusal = Refusal::new(400, "request: not a valid HTTP/1.1 head");
const BAD_HOST: Refusal = Refusal::new(400, "host: exactly one valid name is required");
const BAD_LENGTH: Refusal = Refusal::new(400, "content-length: not a single number");
const BAD_CODING: Refusal = Refusal::new(400, "transfer-encoding: only chunked is allowed");

/// The codings we know but do not speak (RFC 9112 section 7.2).
const OTHER_CODINGS: [&str; 5] = ["gzip", "x-gzip", "compress", "x-compress", "deflate"];

/// One judged head. Nothing in it needs to be checked for form again.
#[derive(Debug)]
pub struct Head {
    /// What is asked for.
    pub method: Method,
    /// The path, percent-decoded once; it begins with `/`, or is `*` for `OPTIONS *`.
    pub path: String,
    /// The decoded query string.
    pub query: Query,
    /// The header fields, as they came.
    pub headers: Headers,
    /// The lower-case authority the client asked for; empty only when an HTTP/1.0 client named none.
    pub host: String,
    /// Whether the connection may serve another request after this one (RFC 9112 section 9.3).
    pub keep_alive: bool,
    /// Whether the client speaks HTTP/1.0; such a connection always closes after the answer.
    pub http10: bool,
    /// Whether an absolute target asked for https, which only a proxy can have spoken.
    pub https: bool,
    /// Whether the client wants this connection to become a WebSocket (RFC 6455 section 4.2.1). Never with a body and
    /// never in HTTP/1.0 (RFC 9110 section 7.8); method, version, key and origin are the upgrade's business.
    pub upgrade_websocket: bool,
    raw_path: (u32, u32),
    /// Where the path with its query lies.
    pub(super) raw_target: (u32, u32),
}

impl Head {
    /// The path as it came: ASCII without spaces, still percent-encoded; empty when an absolute target had none.
    pub(super) fn raw_path(&self) -> &[u8] {
        self.headers.slice(self.raw_path)
    }
}

/// How the body is framed (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// What judging a head gives.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) head: Head,
    pub(super) framing: Framing,
    pub(super) expects_continue: bool,
}

/// Judges the bytes of one head, from the request line up to and including the empty line.
pub(super) fn judge(bytes: Vec<u8>) -> Result<Judged, Refusal> {
    let Split { method, connect, target: place, http10, headers } = split(bytes)?;
    if connect {
        return Err(Refusal::new(400, "target: this is not a proxy"));
    }
    // The scan let only ASCII into the request line.
    let raw = std::str::from_utf8(headers.slice(place)).map_err(|_| BAD_HEAD)?;
    let target = target::parse(raw, method)?;
    let named = host(&headers, http10)?;
    let framing = framing(&headers, http10)?;
    let expects_continue = expects_continue(&headers, http10)?;
    let upgrade_websocket = !http10
        && framing == Framing::None
        && headers.has_member("connection", "upgrade")
        && headers.has_member("upgrade", "websocket");
    let head = Head {
        method,
        path: target.path,
        query: target.query,
        host: target.authority.unwrap_or(named),
        keep_alive: !http10 && !headers.has_member("connection", "close"),
        http10,
        https: target.https,
        upgrade_websocket,
        raw_target: (place.0 + target.raw_path.0 as u32, place.1),
        raw_path: (place.0 + target.raw_path.0 as u32, place.0 + target.raw_path.1 as u32),
        headers,
    };
    Ok(Judged { head, framing, expects_continue })
}

/// A head taken apart, not yet judged.
struct Split {
    method: Method,
    connect: bool,
    target: (u32, u32),
    http10: bool,
    headers: Headers,
}

/// Takes the bytes apart. `httparse` refuses folded lines, space before a colon and bytes that no token has; with the
/// scan before it, what passes has exactly one reading.
fn split(mut bytes: Vec<u8>) -> Result<Split, Refusal> {
    take_higher_minor_as_11(&mut bytes);
    let mut slots = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(&bytes, &mut slots) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::new(431, "headers: too many")),
        Err(httparse::Error::Version) => return Err(refused_version(&bytes)),
        _ => return Err(BAD_HEAD),
    }
    let name = request.method.unwrap_or_default();
    let (method, connect) = (Method::from_name(name), name == "CONNECT");
    let target = place(&bytes, request.path.unwrap_or_default().as_bytes());
    let http10 = request.version == Some(0);
    let fields: Vec<Field> = request
        .headers
        .iter()
        .map(|header| Field {
            name: place(&bytes, header.name.as_bytes()),
            value: place(&bytes, header.value.trim_ascii()),
        })
        .collect();
    for field in &fields {
        bytes[field.name.0 as usize..field.name.1 as usize].make_ascii_lowercase();
    }
    Ok(Split { method, connect, target, http10, headers: Headers::new(bytes, fields) })
}

/// HTTP/1.2 and its like mean that the client understands 1.1 as well, and are read as that (RFC 9110 section 2.5).
fn take_higher_minor_as_11(bytes: &mut [u8]) {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\r') else { return };
    if let [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'2'..=b'9'] = &mut bytes[..end] {
        *minor = b'1';
    }
}

/// Where a piece that was cut from the bytes lies in them. A head is far shorter than 4 GiB.
fn place(bytes: &[u8], piece: &[u8]) -> (u32, u32) {
    let start = (piece.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
    (start as u32, (start + piece.len()) as u32)
}

/// A version we do not speak is answered with 505 (RFC 9110 section 15.6.6); what is no version at all with 400.
fn refused_version(bytes: &[u8]) -> Refusal {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    match words[..] {
        [_, target, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]]
            if !target.is_empty() && major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal::new(505, "version: only HTTP/1.1 and HTTP/1.0 are spoken here")
        }
        _ => BAD_HEAD,
    }
}

/// The one Host (RFC 9112 section 3.2); HTTP/1.0 may lack it.
fn host(headers: &Headers, http10: bool) -> Result<String, Refusal> {
    let mut hosts = headers.all_bytes("host");
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => target::authority(host).ok_or(BAD_HOST),
        (None, None) if http10 => Ok(String::new()),
        _ => Err(BAD_HOST),
    }
}

/// How the body is framed (RFC 9112 section 6.3), refusing every head that two programs might read differently.
fn framing(headers: &Headers, http10: bool) -> Result<Framing, Refusal> {
    let length = content_length(headers)?;
    let chunked = is_chunked(headers)?;
    match (length, chunked) {
        (Some(_), true) => Err(Refusal::new(400, "transfer-encoding: not together with content-length")),
        (None, true) if http10 => Err(Refusal::new(400, "transfer-encoding: not in HTTP/1.0")),
        (None, true) => Ok(Framing::Chunked),
        (Some(0) | None, false) => Ok(Framing::None),
        (Some(length), false) => Ok(Framing::Length(length)),
    }
}

/// The one length, in digits only. Repetitions of the same number are taken once, as RFC 9110 section 8.6 allows;
/// a number too large for us becomes the largest, which no limit lets through.
fn content_length(headers: &Headers) -> Result<Option<u64>, Refusal> {
    let mut length = None;
    for member in headers.members("content-length") {
        if member.is_empty() || !member.iter().all(u8::is_ascii_digit) {
            return Err(BAD_LENGTH);
        }
        let number = member
            .iter()
            .fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
        if *length.get_or_insert(number) != number {
            return Err(BAD_LENGTH);
        }
    }
    Ok(length)
}

/// Whether the body is chunked. A coding we know but do not speak in front of a final `chunked` is 501 (RFC 9112
/// section 6.1); everything else but exactly one `chunked` is 400, also a known coding without a final `chunked`,
/// because nobody can say where such a body ends (section 6.3).
fn is_chunked(headers: &Headers) -> Result<bool, Refusal> {
    let (mut present, mut chunked, mut other) = (false, false, false);
    for coding in headers.members("transfer-encoding") {
        present = true;
        let is = |name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
        if chunked {
            return Err(BAD_CODING);
        } else if is("chunked") {
            chunked = true;
        } else if OTHER_CODINGS.into_iter().any(is) {
            other = true;
        } else {
            return Err(BAD_CODING);
        }
    }
    match (present, chunked, other) {
        (false, ..) => Ok(false),
        (true, false, _) => Err(BAD_CODING),
        (true, true, true) => Err(Refusal::new(501, "transfer-encoding: only chunked is spoken here")),
        (true, true, false) => Ok(true),
    }
}

/// Whether the client waits for a `100 Continue` (RFC 9110 section 10.1.1), which HTTP/1.0 clients do not know.
fn expects_continue(headers: &Headers, http10: bool) -> Result<bool, Refusal> {
    let mut expected = false;
    for member in headers.members("expect").filter(|_| !http10) {
        if !member.eq_ignore_ascii_case(b"100-continue") {
            return Err(Refusal::new(417, "expect: only 100-continue is understood"));
        }
        expected = true;
    }
    Ok(expected)
}
