//! Chat messages: what may be said, and whom it mentions.

use crate::domain::user::Person;
use crate::domain::{Error, EventId, Result, Time, event::Author};

/// What somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The words. Chat pages may send none at all.
    pub text: Option<String>,
    /// The name a chat page gave, where it is not the author's.
    pub nickname: Option<String>,
    /// Whether the text was changed since.
    pub edited: bool,
}

/// A message with what its event knows, for reading back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its id.
    pub id: EventId,
    /// Its number in the room.
    pub seq: i64,
    /// Who said it.
    pub author: Author,
    /// When.
    pub at: Time,
    /// What.
    pub message: Message,
}

/// The most a message may hold, in UTF-16 units, as the clients count.
pub const MOST_UNITS: usize = 1000;

/// The text of a message without control characters but line feeds and tabs: 1 to 1000 UTF-16 units.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn clean_text(text: &str) -> Result<String> {
    let kept: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    match kept.encode_utf16().take(MOST_UNITS + 1).count() {
        0 => Err(Error::invalid("text: at least 1 character")),
        count if count > MOST_UNITS => Err(Error::invalid("text: at most 1000 characters")),
        _ => Ok(kept),
    }
}

/// The names a text mentions: what stands behind each `@`.
pub struct Mentions(Vec<String>);

/// Whoever mentions more than so many, or later than that, means nobody.
const MOST_MENTIONS: usize = 50;
const MOST_MENTION_BYTES: usize = 16 << 10;
/// A name is not longer than this.
const NAME_CHARACTERS: usize = 220;

impl Mentions {
    /// Those of a text.
    pub fn of(text: &str) -> Mentions {
        let at = text.match_indices('@').map(|(at, _)| at).take_while(|at| *at < MOST_MENTION_BYTES);
        let behind = |at: usize| {
            let name: String = text[at + 1..].chars().take(NAME_CHARACTERS).collect();
            name.to_lowercase()
        };
        Mentions(at.take(MOST_MENTIONS).map(behind).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether somebody is among them: by one of their names, whatever the case, and no letter or digit behind
    /// it.
    pub fn name(&self, person: &Person) -> bool {
        let names = [person.name.to_lowercase(), person.login_name.to_lowercase()];
        let is_named = |behind: &String, name: &String| {
            let after = behind.strip_prefix(name.as_str());
            after.is_some_and(|after| !after.chars().next().is_some_and(char::is_alphanumeric))
        };
        let names = names.iter().filter(|name| !name.is_empty());
        names.into_iter().any(|name| self.0.iter().any(|behind| is_named(behind, name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UserId;

    #[test]
    fn length_is_counted_as_the_clients_do() {
        assert!(clean_text(&"x".repeat(1000)).is_ok());
        assert!(clean_text(&"😀".repeat(500)).is_ok(), "an emoji is two units");
        for bad in [String::new(), "\u{7}".to_owned(), "x".repeat(1001), "😀".repeat(501)] {
            assert!(clean_text(&bad).unwrap_err().message.starts_with("text: "));
        }
        assert_eq!(clean_text("a\u{0}\r\nb\t\u{9b}c ").unwrap(), "a\nb\tc ");
    }

    #[test]
    fn a_mention_is_a_whole_name_in_any_case() {
        let person = |name: &str, login: &str| Person {
            id: UserId(1),
            uid: String::new(),
            name: name.to_owned(),
            login_name: login.to_owned(),
        };
        let ann = person("Ann B", "ann");
        for text in ["@ann", "hi @ANN!", "(@Ann B)", "a@ann", "@bob @ann"] {
            assert!(Mentions::of(text).name(&ann), "{text}");
        }
        for text in ["ann", "@anna", "@ ann", "@an", "@"] {
            assert!(!Mentions::of(text).name(&ann), "{text}");
        }
        assert!(!Mentions::of("@").name(&person("", "")));
        assert!(Mentions::of("@ПЁТР, привет").name(&person("Пётр", "")));
        assert_eq!(Mentions::of(&"@".repeat(1 << 20)).0.len(), MOST_MENTIONS);
    }
}
