//! The HTTP/1.1 codec: `async-h1`, driven in memory, and the only file that knows its types and those of `http-types`.
//!
//! Not here: sockets and judgement. `async-h1` never sees what a client sent but a canonical request made of judged
//! pieces: constant Host, at most two headers, all ASCII. So it can neither panic nor wait nor be steered. Its futures
//! are polled once; one that is not ready is an error of ours, answered with 500.

use std::future::Future;
use std::io::Write as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_h1::server::{self, Encoder};
use http_types::headers::HeaderValue;
use smol::io::{self, AsyncRead, AsyncWrite};

use super::guard::{Head, Refusal};
use super::message::{Body, Method, Request, Response, is_sendable_value};

/// Bodies up to this are read back through the codec; larger ones (pictures) stay where they are, because a copy would
/// double what an upload costs in memory.
const COPIED_BODY_BYTES: usize = 64 * 1024;
/// `async-h1` takes heads up to 8 KiB, the guard's targets alone may be as long. The guard has read the path and the
/// query, the codec only needs one that parses.
const CANONICAL_PATH_BYTES: usize = 4 * 1024;
/// Longer content types are none that mean anything to us.
const CONTENT_TYPE_BYTES: usize = 256;

const INTERNAL: Refusal = Refusal::new(500, "internal error");

/// Joins a judged head and a whole body into a request.
///
/// # Errors
/// 500 when the codec does not take the canonical request, which would be a bug here.
pub fn decode(head: Head, body: Vec<u8>) -> Result<Request, Refusal> {
    let canonical = Canonical { head: canonical_head(&head, body.len()), body };
    let memory = Memory { bytes: Arc::new(canonical), at: 0 };
    let shared = memory.bytes.clone();
    let decoded = ready(server::decode(memory)).and_then(Result::ok).flatten();
    let (mut request, reader) = decoded.ok_or(INTERNAL)?;
    let method = own_method(request.method());
    let body = if shared.body.is_empty() {
        Vec::new()
    } else if shared.body.len() <= COPIED_BODY_BYTES {
        let bytes = ready(request.take_body().into_bytes()).and_then(Result::ok);
        bytes.filter(|bytes| bytes.len() == shared.body.len()).ok_or(INTERNAL)?
    } else {
        drop((request, reader));
        Arc::try_unwrap(shared).map_err(|_| INTERNAL)?.body
    };
    Ok(Request::join(head, method, body))
}

/// Appends one answer, head and body, to a buffer. `head_only` is for HEAD: the head is the same, the body stays away.
///
/// A header value that may not go on the wire is sent empty, and the log says so.
pub fn encode(response: Response, head_only: bool, keep_alive: bool, out: &mut Vec<u8>) {
    let body = encode_head(response, keep_alive, out);
    if !head_only {
        out.extend_from_slice(body.as_bytes());
    }
}

/// Appends an answer's head, and hands back the content that is to follow it, so that a long one need not be copied.
pub fn encode_head(response: Response, keep_alive: bool, out: &mut Vec<u8>) -> Body {
    let Response { status, headers, body, shield } = response;
    let status = if (100..1000).contains(&status) {
        status
    } else {
        log::error!("http: {status} is no status code; sent 500");
        500
    };
    // 1xx, 204 and 304 have no content and no length (RFC 9110 sections 8.6, 15.2, 15.3.5, 15.4.5).
    let bodyless = status < 200 || status == 204 || status == 304;
    let body = if bodyless { Body::Empty } else { body };
    out.reserve(1024);
    // Only the rest of the head comes from the library: its reason phrases are not the registered ones.
    let _ = write!(out, "HTTP/1.1 {status} {}\r\n", reason(status));
    out.extend_from_slice(shield.lines().as_bytes());
    let fields = out.len();
    append_fields(headers, body.as_bytes().len(), keep_alive, out);
    if bodyless {
        remove_field(out, fields, b"content-length: 0\r\n");
    }
    body
}

/// The canonical request. A method without a name of its own here becomes TRACE, which comes back as `Other`.
fn canonical_head(head: &Head, length: usize) -> Vec<u8> {
    let method = if head.method == Method::Other { "TRACE" } else { head.method.name() };
    let path =
        Some(head.raw_path()).filter(|path| path.starts_with(b"/") && path.len() <= CANONICAL_PATH_BYTES);
    let path = path.unwrap_or(b"/");
    let mut bytes = Vec::with_capacity(path.len() + 128);
    bytes.extend_from_slice(method.as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(path);
    bytes.extend_from_slice(b" HTTP/1.1\r\nhost: deuced\r\n");
    if length > 0 {
        let _ = write!(bytes, "content-length: {length}\r\n");
    }
    let content_type = head.headers.get("content-type").unwrap_or_default();
    if !content_type.is_empty() && content_type.len() <= CONTENT_TYPE_BYTES && is_sendable_value(content_type)
    {
        let _ = write!(bytes, "content-type: {content_type}\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn own_method(method: http_types::Method) -> Method {
    match method {
        http_types::Method::Get => Method::Get,
        http_types::Method::Head => Method::Head,
        http_types::Method::Post => Method::Post,
        http_types::Method::Put => Method::Put,
        http_types::Method::Patch => Method::Patch,
        http_types::Method::Delete => Method::Delete,
        http_types::Method::Options => Method::Options,
        _ => Method::Other,
    }
}

/// Lets the library write the header fields and the empty line, for a body of this length that is appended later: it
/// would copy the body through buffers of its own.
///
/// It adds `content-length`, and `date` unless there is one. Its date panics before 1970 and after 9998; Linux does not
/// let the clock be set to either.
fn append_fields(headers: Vec<(&'static str, String)>, length: usize, keep_alive: bool, out: &mut Vec<u8>) {
    let mut response = http_types::Response::new(http_types::StatusCode::Ok);
    if length > 0 {
        response.set_body(http_types::Body::from_reader(io::empty(), Some(length)));
        response.remove_header("content-type");
    }
    for (name, value) in headers {
        append_field(&mut response, name, value);
    }
    if !keep_alive {
        response.insert_header("connection", "close");
    }
    let mut encoder = Encoder::new(response, http_types::Method::Head);
    let mut piece = [0; 1024];
    let mut in_status_line = true;
    loop {
        let mut context = Context::from_waker(Waker::noop());
        let length = match Pin::new(&mut encoder).poll_read(&mut context, &mut piece) {
            Poll::Ready(Ok(length)) if length > 0 => length,
            Poll::Ready(Ok(_)) => return,
            Poll::Ready(Err(_)) | Poll::Pending => {
                return log::error!("http: an answer could not be encoded");
            }
        };
        let mut bytes = &piece[..length];
        if in_status_line {
            // The first piece is far longer than the library's status line, which has been replaced.
            let end = bytes.iter().position(|byte| *byte == b'\n').map_or(length, |end| end + 1);
            bytes = &bytes[end..];
            in_status_line = false;
        }
        out.extend_from_slice(bytes);
    }
}

/// Adds one field, unless it is the encoder's to write; everything that would make the library panic or the answer
/// mean something else is caught here.
fn append_field(response: &mut http_types::Response, name: &'static str, value: String) {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return log::error!("http: {name:?} is no header name; not sent");
    }
    if name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding") {
        return log::error!("http: {name} is the codec's to send");
    }
    let sendable = Some(value).filter(|value| is_sendable_value(value));
    let value = sendable.unwrap_or_else(|| {
        log::error!("http: the value of {name} may not be sent; sent empty");
        String::new()
    });
    match HeaderValue::from_bytes(value.into_bytes()) {
        // A second date would be one too many.
        Ok(value) if name.eq_ignore_ascii_case("date") => drop(response.insert_header(name, value)),
        Ok(value) => response.append_header(name, value),
        Err(_) => log::error!("http: the value of {name} could not be sent"),
    }
}

/// Removes one line that lies somewhere after `from`.
fn remove_field(out: &mut Vec<u8>, from: usize, line: &[u8]) {
    let mut start = from;
    while start < out.len() {
        let rest = &out[start..];
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        if &rest[..length] == line {
            out.drain(start..start + length);
            return;
        }
        start += length;
    }
}

/// The registered reason phrases (RFC 9110 section 15) of what is sent here; they may be empty, but people read them.
fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

/// The output of a future that has nothing to wait for; `None` if it wants to wait after all.
fn ready<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A canonical request.
struct Canonical {
    head: Vec<u8>,
    body: Vec<u8>,
}

/// A canonical request as the stream that the library wants to read from.
#[derive(Clone)]
struct Memory {
    bytes: Arc<Canonical>,
    at: usize,
}

impl AsyncRead for Memory {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let Canonical { head, body } = &*self.bytes;
        let rest = match head.get(self.at..) {
            Some(rest) if !rest.is_empty() => rest,
            _ => &body[(self.at - head.len()).min(body.len())..],
        };
        let length = rest.len().min(into.len());
        into[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Poll::Ready(Ok(length))
    }
}

/// The library asks for it, to write `100 Continue`, which the canonical request never provokes.
impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::guard::{Guard, GuardLimits};
    use crate::http::shield::Shield;

    fn request(bytes: &[u8]) -> Request {
        let mut guard = Guard::new(GuardLimits::default());
        guard.feed(bytes);
        let head = guard.head().expect("a head").expect("complete");
        let body = guard.body(1 << 24).expect("a body").expect("complete");
        decode(head, body).expect("a canonical request is always taken")
    }

    fn answer(response: Response, head_only: bool, keep_alive: bool) -> String {
        let mut out = b"before".to_vec();
        encode(response, head_only, keep_alive, &mut out);
        let text = String::from_utf8(out).expect("an ASCII answer");
        text.strip_prefix("before").expect("appended").to_owned()
    }

    #[test]
    fn requests_go_through_whole() {
        let seen =
            request(b"GET /a%20b?x=1&x=2 HTTP/1.1\r\nHost: Diary:80\r\nCookie: n=\xc3\xa9\xff\r\n\r\n");
        assert_eq!((seen.method, seen.path.as_str(), seen.host.as_str()), (Method::Get, "/a b", "diary:80"));
        assert_eq!(seen.query.get("x"), Some("2"));
        assert_eq!(seen.headers.bytes("cookie"), Some(&b"n=\xc3\xa9\xff"[..]));
        assert!(seen.body.is_empty() && seen.keep_alive && !seen.http10);
        for name in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "BREW"] {
            let seen = request(format!("{name} / HTTP/1.0\r\n\r\n").as_bytes());
            assert_eq!(seen.method, Method::from_name(name));
            assert!(seen.http10 && !seen.keep_alive);
        }
        assert_eq!(request(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path, "*");
        for target in ["http://b", "//b", "/@:80", "/[", "/a|b{c}", "/:", "///", "/%41"] {
            request(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        }
        let long = format!("/{}", "x".repeat(8191));
        assert_eq!(request(format!("GET {long} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).path, long);
    }

    #[test]
    fn bodies_of_any_size_go_through() {
        for length in [0, 1, 1024, 8191, 8192, 8193, 65_536, 65_537, 1_000_000] {
            let body: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let head =
                "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Type: caf\u{e9}; x=\u{1}";
            for head in [head.replace('\u{1}', ""), "PUT / HTTP/1.1\r\nHost: a\r\nContent-Type: a/b".into()] {
                let head = format!("{head}\r\nContent-Length: {length}\r\n\r\n");
                assert!(request(&[head.as_bytes(), &body].concat()).body == body, "{length}");
            }
        }
    }

    #[test]
    fn answers_are_framed() {
        let text =
            answer(Response::json(200, "{}".to_owned()).with("x-b", "1").with("x-b", "2"), false, true);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(body, "{}");
        for line in ["content-length: 2", "content-type: application/json", "x-b: 1", "x-b: 2"] {
            assert_eq!(head.split("\r\n").filter(|found| *found == line).count(), 1, "{line} in {head}");
        }
        assert_eq!(head.matches("\r\ndate: ").count(), 1);
        assert!(!head.contains("connection"));

        let text = answer(Response::json(404, "{}".to_owned()).with("connection", "x"), true, false);
        assert!(text.starts_with("HTTP/1.1 404 Not Found\r\n") && text.ends_with("\r\n\r\n"), "{text}");
        assert!(text.contains("content-length: 2\r\n") && text.contains("\r\nconnection: close\r\n"));
        assert!(!text.contains("connection: x"));

        let text = answer(Response::empty(200).with("date", "then").with("date", "now"), false, true);
        assert!(text.contains("content-length: 0\r\n") && text.contains("date: now\r\n"), "{text}");
        assert_eq!(text.matches("date: ").count(), 1);
        assert!(!text.contains("\r\ncontent-type:"));
    }

    #[test]
    fn answers_without_content_have_no_length() {
        let upgrade = Response::empty(101)
            .shielded(Shield::Handshake)
            .with("connection", "Upgrade")
            .with("upgrade", "websocket");
        for (response, line) in [
            (upgrade, "HTTP/1.1 101 Switching Protocols\r\n"),
            (Response::json(204, "{}".to_owned()), "HTTP/1.1 204 No Content\r\n"),
            (Response::empty(304).with("etag", "\"1\""), "HTTP/1.1 304 Not Modified\r\n"),
        ] {
            let text = answer(response, false, true);
            assert!(text.starts_with(line) && text.ends_with("\r\n\r\n"), "{text}");
            assert!(!text.contains("content-length") && !text.contains("transfer-encoding"), "{text}");
        }
    }

    #[test]
    fn r_h9_values_cannot_break_out() {
        let response = Response::empty(302)
            .with("location", "/\r\nset-cookie: a=b")
            .with("x-name", "Zo\u{eb}")
            .with("content-length", "99")
            .with("transfer-encoding", "chunked")
            .with("b\u{e4}d", "1")
            .with("x y", "1");
        let text = answer(response, false, true);
        assert!(text.contains("\r\nlocation: \r\n") && text.contains("\r\nx-name: \r\n"), "{text}");
        assert!(!text.contains("set-cookie") && !text.contains("99") && !text.contains("chunked"), "{text}");
        assert_eq!(text.matches("\r\n").count(), 6 + Shield::Data.lines().matches("\r\n").count(), "{text}");
        assert!(
            answer(Response::empty(42), false, true).starts_with("HTTP/1.1 500 Internal Server Error\r\n")
        );
        assert!(answer(Response::empty(799), false, true).starts_with("HTTP/1.1 799 \r\n"));
    }

    #[test]
    fn large_heads_and_bodies_are_whole() {
        static PAGE: [u8; 100_000] = [b'x'; 100_000];
        let response = Response::new(200, "text/html", Body::Static(&PAGE)).with("x-long", "y".repeat(5000));
        let text = answer(response, false, true);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("x-long: {}", "y".repeat(5000))));
        assert!(head.contains("content-length: 100000"));
        assert_eq!(body.len(), 100_000);
    }
}
