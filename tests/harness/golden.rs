//! Texts with places left open: how transcripts write a frame whose ids and times vary. Compares byte
//! by byte, so that keys, their order and their spelling are part of what was promised.
//!
//! In `<…>` stands what varies: `<uuid>`, `<iso>` (a time as `2026-11-20T14:59:01.608Z`), `<ms>` (a time
//! in milliseconds), `<n>` (a whole number), `<text>` (what a JSON text holds), `<text with WORD>`,
//! `<json>` (any value), `<rest>` (everything to the end). `<NAME=uuid>` remembers what stood there,
//! `<NAME>` is what was remembered, and `<1000 x>` is a thousand times x.

use std::collections::BTreeMap;

/// What has been remembered so far.
#[derive(Clone, Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.into(), value.into());
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The template as it is sent: what is remembered, in its places.
    #[track_caller]
    pub fn fill(&self, template: &str) -> String {
        let mut out = String::new();
        for piece in pieces(template) {
            match piece {
                Piece::Plain(text) => out += text,
                Piece::Open(word) => match self.known(word) {
                    Some(text) => out += &text,
                    None => panic!("nothing is remembered as {word:?} in {template:?}"),
                },
            }
        }
        out
    }

    /// Whether the text is as the pattern says; remembers what it names.
    ///
    /// # Errors
    /// From where on it is not.
    pub fn compare(&mut self, pattern: &str, text: &str) -> Result<(), String> {
        let mut learned = self.clone();
        let mut rest = text;
        for piece in pieces(pattern) {
            let differs = |what: &str| Err(format!("{what} at {:?}", start_of(rest)));
            let length = match piece {
                Piece::Plain(plain) => {
                    let same = plain.bytes().zip(rest.bytes()).take_while(|(one, two)| one == two).count();
                    if same < plain.len() {
                        let (at, was) = (floor(plain, same), floor(rest, same));
                        return Err(format!(
                            "{:?} instead of {:?}",
                            start_of(&rest[was..]),
                            start_of(&plain[at..])
                        ));
                    }
                    plain.len()
                }
                Piece::Open(word) => match learned.known(word) {
                    Some(known) if rest.starts_with(&known) => known.len(),
                    Some(known) => return differs(&format!("not <{word}>, {:?},", start_of(&known))),
                    None => {
                        let (name, kind) = word.split_once('=').unwrap_or(("", word));
                        let Some(length) = extent(kind, rest) else {
                            return differs(&format!("not <{kind}>"));
                        };
                        if !name.is_empty() {
                            learned.set(name, &rest[..length]);
                        }
                        length
                    }
                },
            };
            rest = &rest[length..];
        }
        if !rest.is_empty() {
            return Err(format!("more than expected: {:?}", start_of(rest)));
        }
        *self = learned;
        Ok(())
    }

    /// What stands for itself: a remembered name, or a repetition.
    fn known(&self, word: &str) -> Option<String> {
        if let Some(value) = self.get(word) {
            return Some(value.into());
        }
        let (count, what) = word.split_once(' ')?;
        Some(what.repeat(count.parse().ok()?))
    }
}

enum Piece<'a> {
    Plain(&'a str),
    Open(&'a str),
}

fn pieces(mut pattern: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    while let Some(begin) = pattern.find('<') {
        let Some(length) = pattern[begin..].find('>') else { break };
        found.push(Piece::Plain(&pattern[..begin]));
        found.push(Piece::Open(&pattern[begin + 1..begin + length]));
        pattern = &pattern[begin + length + 1..];
    }
    found.push(Piece::Plain(pattern));
    found
}

/// How much of `text` is of this kind, if it begins with that.
fn extent(kind: &str, text: &str) -> Option<usize> {
    let like = |form: &str| {
        let fits = |(have, want): (u8, u8)| match want {
            b'0' => have.is_ascii_digit(),
            b'x' => have.is_ascii_digit() || (b'a'..=b'f').contains(&have),
            _ => have == want,
        };
        (text.len() >= form.len() && text.bytes().zip(form.bytes()).all(fits)).then_some(form.len())
    };
    let digits = || text.bytes().take_while(u8::is_ascii_digit).count();
    match kind {
        "uuid" => like("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
        "iso" => like("0000-00-00T00:00:00.000Z"),
        "ms" => (digits() == 13).then_some(13),
        "n" => Some(digits()).filter(|count| *count > 0),
        "text" => Some(end_of_text(text)),
        "rest" => Some(text.len()),
        "json" => {
            let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
            values.next()?.ok()?;
            Some(values.byte_offset())
        }
        _ => {
            let word = kind.strip_prefix("text with ").unwrap_or_else(|| panic!("what is <{kind}>?"));
            let end = end_of_text(text);
            text[..end].to_lowercase().contains(&word.to_lowercase()).then_some(end)
        }
    }
}

/// Up to the quotation mark that ends a JSON text, or to the end.
fn end_of_text(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' if !escaped => return at,
            _ => escaped = letter == '\\' && !escaped,
        }
    }
    text.len()
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn start_of(text: &str) -> String {
    text.chars().take(60).collect()
}

#[test]
fn open_places_take_what_they_say() {
    let mut names = Names::default();
    let frame = r#"{"id":"0190c0de-0000-7000-8000-000000000001","at":1795187924544,"n":7,"t":"a\"b"}"#;
    names.compare(r#"{"id":"<id=uuid>","at":<ms>,"n":<n>,"t":"<text>"}"#, frame).unwrap();
    names.compare(r#"{"id":"<id>",<rest>"#, frame).unwrap();
    names.compare(r#"{"id":<json>,"at":<json>,"n":7,"t":"<text with A\>"}"#, frame).unwrap();
    assert_eq!(names.fill(r#"{"id":"<id>","x":"<3 ab>"}"#).len(), 58);
    for other in [r#"{"at":<rest>"#, r#"{"id":"<n>"<rest>"#, r#"{"id":"<id>"}"#, "<id>", ""] {
        names.compare(other, frame).unwrap_err();
    }
    names.compare("x<json>", r#"x{"a":[1]}"#).unwrap();
    names.compare("<json>", "7 8").unwrap_err();
}
