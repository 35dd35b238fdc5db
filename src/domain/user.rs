//! A person.

use crate::domain::{Error, GroupId, Result, Time, UserId};
use sha2::{Digest, Sha256};

/// A person's row, complete. What of it others may see is decided in `api/view.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The number rows refer to.
    pub id: UserId,
    /// The id on the wire.
    pub uid: String,
    /// Shown to its owner only.
    pub email: Option<String>,
    /// The name as typed at the first login.
    pub first_name: Option<String>,
    /// Kept for the clients' sake; nothing here sets it.
    pub last_name: Option<String>,
    /// The name chosen in the profile.
    pub username: Option<String>,
    /// Path of the profile picture on this server.
    pub picture: Option<String>,
    /// Entries ever logged, counted once per post, never lowered.
    pub deuce_count: i64,
    /// Owns the server: makes, disables and removes accounts.
    pub admin: bool,
    /// May do less: see `api/right.rs`.
    pub child: bool,
    /// Cannot log in.
    pub disabled: bool,
    /// First login, or when the account was made.
    pub created_at: Time,
    /// Last change of this row by its owner.
    pub updated_at: Time,
}

/// What a person is on this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Makes, disables and removes accounts.
    Owner,
    /// Everybody else who is grown up.
    Member,
    /// Sees, logs and talks in its groups, and nothing beyond them.
    Child,
}

impl Standing {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Owner => "owner",
            Standing::Member => "member",
            Standing::Child => "child",
        }
    }
}

/// An account as whoever administers the server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The person.
    pub user: User,
    /// Whether there is a password to log in with.
    pub ready: bool,
    /// The last login, if there was any.
    pub logged_in_at: Option<Time>,
    /// The person's groups and their names, oldest membership first.
    pub groups: Vec<(GroupId, String)>,
}

/// What others call somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The number rows refer to.
    pub id: UserId,
    /// The id on the wire.
    pub uid: String,
    /// The name others read.
    pub name: String,
    /// The name as typed at the first login.
    pub login_name: String,
}

/// The name others read: username, else first and last name, else `Someone`.
pub fn display_name(username: Option<&str>, first: Option<&str>, last: Option<&str>) -> String {
    match (username, first, last) {
        (Some(username), _, _) => username.to_owned(),
        (None, Some(first), Some(last)) => format!("{first} {last}"),
        (None, Some(first), None) => first.to_owned(),
        (None, None, _) => "Someone".to_owned(),
    }
}

impl User {
    /// What this person is on the server.
    pub fn standing(&self) -> Standing {
        match (self.child, self.admin) {
            (true, _) => Standing::Child,
            (false, true) => Standing::Owner,
            (false, false) => Standing::Member,
        }
    }

    /// What others call this person.
    pub fn person(&self) -> Person {
        Person {
            id: self.id,
            uid: self.uid.clone(),
            name: self.display_name(),
            login_name: self.first_name.clone().unwrap_or_default(),
        }
    }

    /// As the free function of this name.
    pub fn display_name(&self) -> String {
        display_name(self.username.as_deref(), self.first_name.as_deref(), self.last_name.as_deref())
    }
}

/// The wire id that a login name stands for. Names that differ in case or punctuation are one
/// person, as in the original; unlike there, names that differ outside ASCII are not (`Zoë` and `Zoé`,
/// `Анна` and `Инна`).
pub fn uid_of(login_name: &str) -> String {
    let name = login_name.trim().to_lowercase();
    let slug: String = name
        .encode_utf16()
        .map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii_alphanumeric() => char::from(byte),
            _ => '-',
        })
        .collect();
    if !name.is_ascii() {
        let digest = Sha256::digest(name.as_bytes());
        return format!("dev-{slug}-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
    }
    format!("dev-{slug}")
}

/// The address the original makes up for a login name: runs of blanks become dots.
pub fn email_of(login_name: &str) -> String {
    let name = login_name.trim().to_lowercase();
    format!("{}@localhost.dev", name.split_whitespace().collect::<Vec<_>>().join("."))
}

/// Checks a name chosen in the profile: 3 to 20 letters, digits, underscores or spaces.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn check_username(name: &str) -> Result<()> {
    let allowed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b' '));
    match allowed && (3..=20).contains(&name.len()) && !name.trim().is_empty() {
        true => Ok(()),
        false => Err(Error::invalid("username: 3 to 20 letters, digits, underscores or spaces")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_for_all_spellings_of_an_ascii_name() {
        assert_eq!(uid_of("Alice Smith"), "dev-alice-smith");
        assert_eq!(uid_of(" alice.SMITH "), "dev-alice-smith");
    }

    #[test]
    fn letters_outside_ascii_tell_people_apart() {
        assert_ne!(uid_of("Zoë"), uid_of("Zoé"));
        assert_ne!(uid_of("Анна"), uid_of("Инна"));
        assert_ne!(uid_of("🦄"), uid_of("🐶"));
        assert_eq!(uid_of("ZOË"), uid_of("zoë"));
        assert!(uid_of("Zoë").starts_with("dev-zo--"));
    }

    #[test]
    fn usernames_are_plain_and_short() {
        for good in ["abc", "A_1 b", "12345678901234567890"] {
            assert!(check_username(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "123456789012345678901", "Zoë", "a-b", "   "] {
            assert!(check_username(bad).is_err(), "{bad:?}");
        }
    }
}
