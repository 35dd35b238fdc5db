//! A login: what proves who is asking.

use crate::domain::text::is_invisible;
use crate::domain::{Permits, Time, TokenId, UserId, id};
use sha2::{Digest, Sha256};

/// A login's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its number; sockets remember it, so that logging out closes them.
    pub id: TokenId,
    /// Whose login it is.
    pub user: UserId,
    /// When it was made.
    pub made_at: Time,
    /// When it was made or last renewed.
    pub renewed_at: Time,
    /// When it ends unless it is used before.
    pub expires_at: Time,
    /// Whether it may be used to notify others.
    pub may_notify: bool,
    /// What it may do at most, if it is a device's; a full login has no such bounds.
    pub permits: Option<Permits>,
}

/// A login as its owner sees it in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Its number.
    pub id: TokenId,
    /// What the program that logged in called itself.
    pub agent: Option<String>,
    /// When it was made.
    pub made_at: Time,
    /// When it was made or last renewed, which is at most once a day.
    pub renewed_at: Time,
    /// When it ends unless it is used before.
    pub expires_at: Time,
}

/// The longest name of a program that is kept, in characters.
const AGENT_CHARACTERS: usize = 200;

/// What a program calls itself, as it is kept: without what cannot be seen, and not too long. `None` for nothing.
pub fn clean_agent(text: &str) -> Option<String> {
    let seen: String = text.chars().filter(|c| !is_invisible(*c)).take(AGENT_CHARACTERS).collect();
    let seen = seen.trim();
    (!seen.is_empty()).then(|| seen.to_owned())
}

/// The secret of a login, 256 bits from the operating system. It is told once; the database has
/// its hash only.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Secret {
    /// A new secret.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    pub fn new() -> Secret {
        Secret(base64url(&id::random::<32>()))
    }

    /// What somebody claims to be a secret; `None` when it cannot be one.
    pub fn parse(text: &str) -> Option<Secret> {
        let fits = text.len() == 43 && text.bytes().all(|byte| ALPHABET.contains(&byte));
        fits.then(|| Secret(text.to_owned()))
    }

    /// A secret that somebody has chosen: 16 to 512 letters, digits and signs of ASCII; `None` when it is anything else.
    pub fn chosen(text: &str) -> Option<Secret> {
        let fits = (16..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Secret(text.to_owned()))
    }

    /// Whether somebody offers this very secret. How long it takes tells nothing about either.
    pub fn is(&self, offered: &str) -> bool {
        let offered: [u8; 32] = Sha256::digest(offered.as_bytes()).into();
        self.hash().iter().zip(offered).fold(0, |differing, (own, other)| differing | (own ^ other)) == 0
    }

    /// The text that travels: one of ours has 43 characters that fit a header, a cookie and a query.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the database keeps instead. No salt: the secret itself is random enough.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl Default for Secret {
    fn default() -> Secret {
        Secret::new()
    }
}

/// Never the secret itself: it would end up in a log one day.
impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Base 64 with the URL alphabet and without padding (RFC 4648 section 5).
pub fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * position)) as usize & 63]));
        }
    }
    text
}

/// The bytes of a text in base 64 with the URL alphabet and without padding; `None` for any other text, and for a
/// second spelling of the same bytes (RFC 4648 section 3.5).
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for chunk in text.as_bytes().chunks(4) {
        let mut word = 0u32;
        for byte in chunk {
            let digit = ALPHABET.iter().position(|known| known == byte)?;
            word = word << 6 | digit as u32;
        }
        let word = (word << (6 * (4 - chunk.len()))).to_be_bytes();
        match chunk.len() {
            1 => return None,
            length if word[length..].iter().any(|left| *left != 0) => return None,
            length => bytes.extend_from_slice(&word[1..length]),
        }
    }
    Some(bytes)
}

/// Base 64 with the plain alphabet and padding (RFC 4648 section 4).
pub fn base64(bytes: &[u8]) -> String {
    let mut text = base64url(bytes).replace('-', "+").replace('_', "/");
    text.extend(std::iter::repeat_n('=', (4 - text.len() % 4) % 4));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64url(bytes.as_bytes()), text);
            assert_eq!(from_base64url(text).unwrap(), bytes.as_bytes());
        }
        assert!(
            ["Z", "Zg==", "Zm9v YmFy", "ü", "Zh", "Zm9", "2026-02-29"]
                .into_iter()
                .all(|text| from_base64url(text).is_none())
        );
        assert_eq!(base64url(&[0xfb, 0xff, 0xfe]), "-__-");
        assert_eq!(base64(&[0xfb, 0xff, 0xfe, 0x66]), "+//+Zg==");
    }

    #[test]
    fn a_programs_name_is_kept_short_and_clean() {
        assert_eq!(clean_agent(" curl/8\u{7}\n ").as_deref(), Some("curl/8"));
        assert_eq!(clean_agent(" \t\u{200b}"), None);
        assert_eq!(clean_agent(&"ä".repeat(500)).unwrap().chars().count(), 200);
    }

    #[test]
    fn a_secret_survives_its_text_and_hides_from_logs() {
        let secret = Secret::new();
        assert_eq!(Secret::parse(secret.as_str()).map(|again| again.hash()), Some(secret.hash()));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(Secret::parse("short").is_none());
    }
}
