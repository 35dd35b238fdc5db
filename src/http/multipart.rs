//! Finds the one file in a `multipart/form-data` body (RFC 7578, RFC 2046 section 5.1), without copying it.
//!
//! Not here: whether the file is a picture, and its size; the type it claims is a claim. Fields that are not files are
//! read past.

use std::borrow::Cow;

/// The most parts in a body.
const PARTS: usize = 16;
/// The most bytes of header fields in a part.
const PART_HEAD_BYTES: usize = 4 * 1024;
/// The most header fields in a part.
const PART_HEADERS: usize = 16;

/// An uploaded file, still in its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File<'a> {
    /// The content type the client claims.
    pub content_type: Option<&'a str>,
    /// The content.
    pub bytes: &'a [u8],
}

/// Why no file can be taken from a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultipartError {
    /// The body is not `multipart/form-data`; the sentence says where it is wrong.
    Malformed(&'static str),
    /// There is a file in this field, which takes none.
    UnexpectedField(String),
}

use MultipartError::Malformed;

/// The file in this field. A part is a file when it has a file name; the part that browsers send for an empty file
/// input (no name, no content) is none.
///
/// # Errors
/// When the body is malformed, has a file in another field, or two files.
pub fn single_file<'a>(
    content_type: &str,
    body: &'a [u8],
    field: &str,
) -> Result<Option<File<'a>>, MultipartError> {
    let boundary = boundary(content_type)?;
    let mut delimiter = Vec::with_capacity(boundary.len() + 4);
    delimiter.extend_from_slice(b"\r\n--");
    delimiter.extend_from_slice(boundary.as_bytes());
    let mut rest = after_preamble(body, &delimiter)?;
    let mut file = None;
    for _ in 0..PARTS {
        let Some(start) = rest else {
            return Ok(file);
        };
        let (content, next) =
            until_delimiter(start, &delimiter).ok_or(Malformed("body: a part has no end"))?;
        rest = next;
        let part = part(content)?;
        let Some(file_name) = &part.file_name else {
            continue;
        };
        if file_name.is_empty() && part.file.bytes.is_empty() {
            continue;
        }
        if part.name != field {
            return Err(MultipartError::UnexpectedField(part.name.into_owned()));
        }
        if file.replace(part.file).is_some() {
            return Err(Malformed("body: more than one file"));
        }
    }
    if rest.is_none() { Ok(file) } else { Err(Malformed("body: too many parts")) }
}

/// The boundary that the content type names (RFC 2046 section 5.1.1).
fn boundary(content_type: &str) -> Result<Cow<'_, str>, MultipartError> {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(Malformed("content-type: must be multipart/form-data"));
    }
    let boundary = parameter(parameters, "boundary").map_err(|()| Malformed("content-type: not valid"))?;
    let boundary = boundary.ok_or(Malformed("content-type: has no boundary"))?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let well_formed =
        (1..=70).contains(&boundary.len()) && boundary.bytes().all(allowed) && !boundary.ends_with(' ');
    if well_formed { Ok(boundary) } else { Err(Malformed("content-type: has no valid boundary")) }
}

/// What follows the first delimiter line, which may be the very beginning; what stands before it is nothing.
fn after_preamble<'a>(body: &'a [u8], delimiter: &[u8]) -> Result<Option<&'a [u8]>, MultipartError> {
    if let Some(rest) = body.strip_prefix(&delimiter[2..]) {
        if let Some(next) = after_delimiter(rest) {
            return Ok(next);
        }
    }
    let (_, next) = until_delimiter(body, delimiter).ok_or(Malformed("body: the boundary is not in it"))?;
    Ok(next)
}

/// What stands before the next delimiter line, and what follows it: another part, or nothing after the last.
fn until_delimiter<'a>(bytes: &'a [u8], delimiter: &[u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let mut from = 0;
    loop {
        let at = from + bytes[from..].iter().position(|byte| *byte == b'\r')?;
        // A longer boundary that begins like ours is content.
        let next = bytes[at..].strip_prefix(delimiter).and_then(after_delimiter);
        if let Some(next) = next {
            return Some((&bytes[..at], next));
        }
        from = at + 1;
    }
}

/// What follows the boundary on its line: two hyphens after the last part, or white space and the end of the line.
/// `None` when it is no delimiter after all.
fn after_delimiter(rest: &[u8]) -> Option<Option<&[u8]>> {
    if rest.starts_with(b"--") {
        return Some(None);
    }
    let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    rest[padding..].strip_prefix(b"\r\n").map(Some)
}

/// One part: its field, its file name if it has one, and its content.
struct Part<'a> {
    name: Cow<'a, str>,
    file_name: Option<Cow<'a, str>>,
    file: File<'a>,
}

/// Reads the head of a part (RFC 7578 section 4).
fn part(content: &[u8]) -> Result<Part<'_>, MultipartError> {
    const BAD_HEAD: MultipartError = Malformed("body: the head of a part is not valid");
    let end =
        content.windows(4).take(PART_HEAD_BYTES).position(|window| window == b"\r\n\r\n").ok_or(BAD_HEAD)?;
    let (head, bytes) = content.split_at(end + 4);
    let mut slots = [httparse::EMPTY_HEADER; PART_HEADERS];
    let Ok(httparse::Status::Complete((_, headers))) = httparse::parse_headers(head, &mut slots) else {
        return Err(BAD_HEAD);
    };
    let (mut disposition, mut content_type) = (None, None);
    for header in headers {
        let value = std::str::from_utf8(header.value).map_err(|_| BAD_HEAD)?;
        if header.name.eq_ignore_ascii_case("content-disposition") {
            if disposition.replace(value).is_some() {
                return Err(BAD_HEAD);
            }
        } else if header.name.eq_ignore_ascii_case("content-type") {
            content_type = Some(value.trim());
        }
    }
    let (kind, parameters) = disposition.unwrap_or_default().split_once(';').ok_or(BAD_HEAD)?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(BAD_HEAD);
    }
    let value_of = |wanted| parameter(parameters, wanted).map_err(|()| BAD_HEAD);
    let name = value_of("name")?.ok_or(BAD_HEAD)?;
    // RFC 7578 forbids the starred form, but who sends it means a file.
    let file_name = match value_of("filename")? {
        Some(file_name) => Some(file_name),
        None => value_of("filename*")?,
    };
    Ok(Part { name, file_name, file: File { content_type, bytes } })
}

/// The value of a parameter, quoted or not (RFC 9110 section 5.6.6); the first one when it is repeated.
fn parameter<'a>(mut parameters: &'a str, wanted: &str) -> Result<Option<Cow<'a, str>>, ()> {
    loop {
        parameters = parameters.trim_start_matches([' ', '\t', ';']);
        if parameters.is_empty() {
            return Ok(None);
        }
        let (name, rest) = parameters.split_once('=').ok_or(())?;
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (value, rest) = unquote(quoted).ok_or(())?;
                let rest = rest.trim_start();
                if !rest.is_empty() && !rest.starts_with(';') {
                    return Err(());
                }
                (value, rest)
            }
            None => {
                let end = rest.find(';').unwrap_or(rest.len());
                (Cow::Borrowed(rest[..end].trim_end()), &rest[end..])
            }
        };
        if name.trim_end().eq_ignore_ascii_case(wanted) {
            return Ok(Some(value));
        }
        parameters = rest;
    }
}

/// Reads up to the closing quote. Only `\"` and `\\"` are escapes: old browsers send whole Windows paths as they are.
fn unquote(quoted: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut from = 0;
    loop {
        let end = from + quoted[from..].find('"')?;
        if !quoted[..end].ends_with('\\') {
            let (value, rest) = (&quoted[..end], &quoted[end + 1..]);
            let value =
                if value.contains("\\\"") { value.replace("\\\"", "\"").into() } else { value.into() };
            return Some((value, rest));
        }
        from = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=xyz";
    const PICTURE: &str = "Content-Disposition: form-data; name=\"picture\"; filename=\"a.png\"";

    /// A body of these parts, each with its head lines and its content.
    fn body(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (head, content) in parts {
            body.extend_from_slice(format!("--xyz\r\n{head}\r\n\r\n").as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--xyz--\r\n");
        body
    }

    fn found(body: &[u8]) -> Option<Vec<u8>> {
        single_file(TYPE, body, "picture").expect("a valid body").map(|file| file.bytes.to_vec())
    }

    #[test]
    fn the_file_is_found_whatever_is_in_it() {
        for content in [
            &b""[..],
            b"x",
            b"\x89PNG\r\n\x1a\n",
            b"\r\n",
            b"\r\n--xy",
            b"\r\n--xyzz\r\n",
            b"a--xyz\r\n",
            b"\r\n--xyz-\r\n",
            b"\r\r\n--xy\r\n\r",
        ] {
            assert_eq!(found(&body(&[(PICTURE, content)])), Some(content.to_vec()), "{content:?}");
        }
    }

    #[test]
    fn other_parts_are_read_past() {
        let text = ("content-disposition: form-data; name=\"note\"", &b"hello"[..]);
        let typed = format!("X-Y: z\r\nContent-Type: image/png \r\n{PICTURE}");
        let bytes = body(&[text, (&typed, b"data"), text]);
        let file = single_file(TYPE, &bytes, "picture").expect("valid").expect("a file");
        assert_eq!(file, File { content_type: Some("image/png"), bytes: b"data" });
        assert_eq!(found(&body(&[text])), None);
        assert_eq!(found(b"--xyz--"), None);
        assert_eq!(
            found(b"preamble\r\n--xyz \t\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--xyz--end"),
            None
        );
        let nothing_chosen = "Content-Disposition: form-data; name=\"other\"; filename=\"\"";
        assert_eq!(found(&body(&[(nothing_chosen, b"")])), None);
    }

    #[test]
    fn boundaries_and_names_may_be_quoted() {
        for content_type in [
            "multipart/form-data; boundary=\"xyz\"",
            "Multipart/Form-Data;charset=utf-8; BOUNDARY=xyz ; x=y",
            "multipart/form-data; x=\"a;boundary=b\\\"\"; boundary=xyz",
        ] {
            let bytes = body(&[(PICTURE, b"data")]);
            assert!(single_file(content_type, &bytes, "picture").expect(content_type).is_some());
        }
        for (head, field) in [
            (
                "Content-Disposition: form-data; filename=\"C:\\pics\\a \\\"b\\\"; name=x.png\"; name=picture",
                "picture",
            ),
            ("Content-Disposition: form-data; name=\"a\\\"b\"; filename=é.png", "a\"b"),
            ("Content-Disposition: form-data; name=picture; filename*=UTF-8''%e2%82%ac.png", "picture"),
        ] {
            assert!(single_file(TYPE, &body(&[(head, b"data")]), field).expect(head).is_some());
        }
    }

    #[test]
    fn a_file_in_another_field_is_unexpected() {
        let other = "Content-Disposition: form-data; name=\"avatar\"; filename=\"a.png\"";
        for parts in [&[(other, &b"data"[..])][..], &[(PICTURE, b"data"), (other, b"data")]] {
            let error = single_file(TYPE, &body(parts), "picture").expect_err("another field");
            assert_eq!(error, MultipartError::UnexpectedField("avatar".to_owned()));
        }
    }

    #[test]
    fn malformed_bodies_are_refused() {
        let whole = body(&[(PICTURE, b"data")]);
        for length in 0..whole.len() - 4 {
            let cut = single_file(TYPE, &whole[..length], "picture");
            assert!(matches!(cut, Err(Malformed(_))), "cut after {length}");
        }
        for content_type in [
            "",
            "multipart/mixed; boundary=xyz",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"xyz",
            "multipart/form-data; boundary=\"x\"y",
            "multipart/form-data; boundary",
            "multipart/form-data; boundary=x\"z",
            "multipart/form-data; boundary=\"xyz \"",
        ] {
            assert!(
                matches!(single_file(content_type, &whole, "picture"), Err(Malformed(_))),
                "{content_type}"
            );
        }
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        assert!(single_file(&long, &whole, "picture").is_err());
        for head in [
            "",
            "X: y",
            "Content-Disposition: form-data",
            "Content-Disposition: form-data; filename=a",
            "Content-Disposition: attachment; name=picture",
            "Content-Disposition: form-data; name=\"picture",
            "Content-Disposition form-data; name=a",
            "Content-Disposition: form-data; name",
            "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b",
        ] {
            let bytes = body(&[(head, b"data")]);
            assert!(matches!(single_file(TYPE, &bytes, "picture"), Err(Malformed(_))), "{head}");
        }
        assert_eq!(
            single_file(TYPE, &body(&[(PICTURE, b"a"), (PICTURE, b"b")]), "picture"),
            Err(Malformed("body: more than one file"))
        );
    }

    #[test]
    fn parts_are_limited() {
        let text = ("Content-Disposition: form-data; name=a", &b"b"[..]);
        assert_eq!(found(&body(&[text; 16])), None);
        assert!(single_file(TYPE, &body(&[text; 17]), "picture").is_err());
        let padded = |length: usize| format!("X: {}\r\n{PICTURE}", "y".repeat(length - PICTURE.len() - 9));
        assert!(single_file(TYPE, &body(&[(&padded(4096), b"data")]), "picture").expect("fits").is_some());
        assert!(single_file(TYPE, &body(&[(&padded(4200), b"data")]), "picture").is_err());
        // Much that looks like a delimiter takes linear time.
        let near = b"\r\n--xy".repeat(200_000);
        assert_eq!(found(&body(&[(PICTURE, &near)])), Some(near));
    }
}
