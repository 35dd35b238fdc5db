//! The request and the response as the rest of the server sees them, and the refusal that ends a connection.
//!
//! Not here: how a request is cut out of a connection's bytes (`guard`), how it is judged (`head`, `target`), what its
//! body says (`body`, `multipart`), and the codec library, whose types stay inside `codec`.

use std::sync::Arc;

use super::guard::Head;
use super::shield::Shield;

/// The most pairs in a query string: 8 KiB of `a&a&a` would otherwise become a hundred times as much in memory.
const QUERY_PAIRS: usize = 256;

/// A request that is not served: answer with this, then close the connection, because where the next request would
/// begin can no longer be trusted (RFC 9112 section 9.3 and 11.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: u16,
    /// A sentence for the client; it never holds anything the client sent.
    pub message: &'static str,
}

impl Refusal {
    pub(super) const fn new(status: u16, message: &'static str) -> Self {
        Self { status, message }
    }
}

/// What is asked for (RFC 9110 section 9.3). Names are case-sensitive: `get` is `Other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH` (RFC 5789)
    Patch,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// Any other word; the router answers it with 405.
    Other,
}

impl Method {
    /// The method with this name.
    pub fn from_name(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }

    /// The name on the wire; `OTHER` for what has none here (for logs).
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Other => "OTHER",
        }
    }
}

/// One complete request: judged head, whole body.
#[derive(Debug)]
pub struct Request {
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
    /// The body, without transfer coding.
    pub body: Vec<u8>,
    /// Whether the connection may serve another request after this one.
    pub keep_alive: bool,
    /// Whether the client speaks HTTP/1.0.
    pub http10: bool,
    raw_target: (u32, u32),
    /// Whether the client speaks https, to a proxy we trust.
    pub https: bool,
}

impl Request {
    /// Joins a judged head with what the codec read back.
    pub(super) fn join(head: Head, method: Method, body: Vec<u8>) -> Self {
        Self {
            method,
            path: head.path,
            query: head.query,
            headers: head.headers,
            raw_target: head.raw_target,
            host: head.host,
            body,
            keep_alive: head.keep_alive,
            http10: head.http10,
            https: head.https,
        }
    }

    /// The path with its query as they stand in the request line. The scan of the head lets only ASCII be there.
    pub fn raw_target(&self) -> &str {
        std::str::from_utf8(self.headers.slice(self.raw_target)).unwrap_or_default()
    }
}

/// The decoded pairs of a query string, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes what stands after the question mark, `+` being a space (WHATWG URL section 5.1).
    pub(super) fn parse(raw: &str) -> Result<Self, Refusal> {
        match form_pairs(raw.as_bytes(), QUERY_PAIRS) {
            Ok(pairs) => Ok(Self(pairs)),
            Err(FormError::Escape) => Err(Refusal::new(400, "query: not valid percent-encoded UTF-8")),
            Err(FormError::TooMany) => Err(Refusal::new(400, "query: too many fields")),
        }
    }

    /// The value of this name; the last one when it is repeated.
    pub fn get(&self, name: &str) -> Option<&str> {
        let pair = self.0.iter().rev().find(|(key, _)| key == name)?;
        Some(&pair.1)
    }

    /// Every value of this name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self.0.iter().filter(move |(key, _)| key == name);
        pairs.map(|(_, value)| value.as_str())
    }

    /// All pairs, in order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// Where one header field lies in the bytes of its head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: (u32, u32),
    pub(super) value: (u32, u32),
}

/// The header fields of a request: lower-case names, values as raw bytes (RFC 9110 section 5).
///
/// The head's own bytes are kept and the fields point into them, so that a request costs two allocations here,
/// however many fields it has.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

impl Headers {
    /// Takes the bytes of a head and the places of its fields, whose names are lower-case already.
    pub(super) fn new(bytes: Vec<u8>, fields: Vec<Field>) -> Self {
        Self { bytes, fields }
    }

    /// A piece of the head's bytes; empty when it is not inside.
    pub(super) fn slice(&self, (start, end): (u32, u32)) -> &[u8] {
        self.bytes.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The request line as it came: method, target and version.
    pub fn line(&self) -> impl Iterator<Item = &str> {
        let line = self.bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        std::str::from_utf8(line).unwrap_or_default().split(' ')
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| {
            let name = std::str::from_utf8(self.slice(field.name)).unwrap_or_default();
            (name, self.slice(field.value))
        })
    }

    /// Every value of this lower-case name, as bytes, in order.
    pub fn all_bytes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields.iter();
        let named = fields.filter(move |field| self.slice(field.name) == name.as_bytes());
        named.map(|field| self.slice(field.value))
    }

    /// The first value of this lower-case name, as bytes.
    pub fn bytes<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.all_bytes(name).next()
    }

    /// The first value of this lower-case name; `None` also when it is not UTF-8.
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(name)?).ok()
    }

    /// Every value of this lower-case name that is UTF-8, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all_bytes(name).filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// The members of a comma-separated list that may be spread over several fields (RFC 9110 section 5.6.1); empty
    /// members are handed out, for those who must refuse them.
    pub fn members<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let values = self.all_bytes(name);
        values.flat_map(|value| value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii))
    }

    /// Whether such a list has this member, in any case.
    pub fn has_member(&self, name: &str, member: &str) -> bool {
        let member = member.as_bytes();
        self.members(name).any(|found| found.eq_ignore_ascii_case(member))
    }
}

/// One complete answer. Framing (`content-length`, `connection`) and `date` are added when it is encoded.
#[derive(Debug)]
pub struct Response {
    /// The status code (RFC 9110 section 15).
    pub status: u16,
    /// The header fields, with lower-case names; a value that may not go on the wire is sent empty.
    pub headers: Vec<(&'static str, String)>,
    /// The content.
    pub body: Body,
    /// What a browser may do with it.
    pub shield: Shield,
}

/// The content of an answer.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// Made for this answer.
    Bytes(Vec<u8>),
    /// Part of the program, such as the pages of the web client.
    Static(&'static [u8]),
    /// What several answers under way may have in common, such as a file.
    Shared(Arc<Vec<u8>>),
}

impl Body {
    /// The content as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Bytes(bytes) => bytes,
            Self::Static(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Response {
    /// An answer without content.
    pub fn empty(status: u16) -> Self {
        let (headers, body) = (Vec::new(), Body::Empty);
        Self { status, headers, body, shield: Shield::Data }
    }

    /// An answer with this content and its type.
    pub fn new(status: u16, content_type: &'static str, body: Body) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body, shield: Shield::Data }
    }

    /// An answer whose content is this JSON text.
    pub fn json(status: u16, text: String) -> Self {
        Self::new(status, "application/json", Body::Bytes(text.into_bytes()))
    }

    /// The same answer with one more header field; repeated names are sent repeatedly.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same answer as another kind of content.
    pub fn shielded(self, shield: Shield) -> Self {
        Self { shield, ..self }
    }
}

/// Whether this may be sent as a header value: no CR, LF or NUL, which would begin another header or answer, and only
/// visible ASCII, spaces and tabs (RFC 9110 section 5.5).
pub(super) fn is_sendable_value(value: &str) -> bool {
    let mut bytes = value.bytes();
    bytes.all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
}

/// Why a form-encoded text cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FormError {
    /// An escape that is none, or bytes that are not UTF-8.
    Escape,
    /// More pairs than allowed.
    TooMany,
}

/// Decodes `name=value&name=value` as forms and queries write it (WHATWG URL section 5.1), but strictly.
pub(super) fn form_pairs(raw: &[u8], most: usize) -> Result<Vec<(String, String)>, FormError> {
    let mut pairs = Vec::new();
    for pair in raw.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == most {
            return Err(FormError::TooMany);
        }
        let equals = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = match equals {
            Some(place) => (&pair[..place], &pair[place + 1..]),
            None => (pair, &[][..]),
        };
        let name = percent_decode(name, true).ok_or(FormError::Escape)?;
        let value = percent_decode(value, true).ok_or(FormError::Escape)?;
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// Undoes percent-encoding once (RFC 3986 section 2.1); `None` for a broken escape or what is not UTF-8.
pub(super) fn percent_decode(raw: &[u8], plus_is_space: bool) -> Option<String> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(&byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex_digit(*bytes.next()?)? << 4 | hex_digit(*bytes.next()?)?,
            b'+' if plus_is_space => b' ',
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The value of one hexadecimal digit.
pub(super) fn hex_digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_strictly() {
        let query = Query::parse("a=1&b=x+y%20z&a=%C3%A9&&c&=d&e=f=g").expect("a valid query");
        assert_eq!(query.get("a"), Some("é"));
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "é"]);
        assert_eq!(query.get("b"), Some("x y z"));
        assert_eq!(query.get("c"), Some(""));
        assert_eq!(query.get(""), Some("d"));
        assert_eq!(query.get("e"), Some("f=g"));
        assert_eq!(query.get("z"), None);
        assert_eq!(query.pairs().len(), 6);
        for bad in ["a=%", "a=%4", "a=%zz", "%ff=1", "a=%C3", "a=%+1", "a=%C3%28"] {
            assert_eq!(Query::parse(bad).expect_err(bad).status, 400, "{bad}");
        }
        assert!(Query::parse(&"a&".repeat(256)).is_ok());
        assert_eq!(Query::parse(&"a&".repeat(257)).expect_err("too many").status, 400);
    }

    #[test]
    fn percent_decoding_happens_once() {
        assert_eq!(percent_decode(b"%2541+", false).as_deref(), Some("%41+"));
        assert_eq!(percent_decode(b"%e2%82%AC", false).as_deref(), Some("€"));
        assert_eq!(percent_decode(b"%", false), None);
    }

    #[test]
    fn values_that_would_break_out_are_not_sendable() {
        for good in ["", "a b\tc", "~!\"%"] {
            assert!(is_sendable_value(good), "{good:?}");
        }
        for bad in ["a\r\nset-cookie: b", "a\n", "\0", "é", "\u{7f}", "\u{1b}"] {
            assert!(!is_sendable_value(bad), "{bad:?}");
        }
    }

    #[test]
    fn method_names_are_case_sensitive() {
        for name in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert_eq!(Method::from_name(name).name(), name);
        }
        for name in ["get", "", "TRACE", "GETT", "OTHER"] {
            assert_eq!(Method::from_name(name), Method::Other);
        }
    }
}
