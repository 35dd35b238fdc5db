//! Rooms: their names, and the numbers that follow from them.
//!
//! A group's room has the number the database gave it. An inbox and a room by name have numbers that
//! follow from whose and which they are, so that one can listen before anything was ever said there.

use crate::domain::text::is_invisible;
use crate::domain::{Error, GroupId, Result, RoomId, UserId};
use sha2::{Digest, Sha256};

/// What a client may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A group's room.
    Group(GroupId),
    /// One's own inbox.
    Me,
    /// A room by its name.
    Named(String),
}

/// What the inbox is called on the wire.
pub const INBOX: &str = "me";

/// The longest name of a room, in characters.
const MOST_CHARACTERS: usize = 100;

impl Channel {
    /// Reads a name as clients write it; `room:general` is `general`.
    ///
    /// # Errors
    /// `Invalid` for what cannot be a name, `Forbidden` for the inboxes of others by name.
    pub fn parse(text: &str) -> Result<Channel> {
        let name = text.strip_prefix("room:").unwrap_or(text);
        if let Some(group) = name.strip_prefix("group:") {
            // Like a group one is not in: whoever asks learns nothing.
            return GroupId::parse(group)
                .map(Channel::Group)
                .ok_or_else(|| Error::forbidden("Not authorized"));
        }
        if name == INBOX {
            return Ok(Channel::Me);
        }
        if name.starts_with("user:") {
            return Err(Error::forbidden("Not authorized"));
        }
        let fits = (1..=MOST_CHARACTERS).contains(&name.chars().take(MOST_CHARACTERS + 1).count());
        let plain = name.trim() == name && !name.chars().any(is_invisible) && !name.starts_with("room:");
        match fits && plain {
            true => Ok(Channel::Named(name.to_owned())),
            false => {
                Err(Error::invalid("channel: 1 to 100 characters that can be seen, without blanks around"))
            }
        }
    }
}

/// The name on the wire.
impl std::fmt::Display for Channel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Channel::Group(group) => write!(formatter, "group:{group}"),
            Channel::Me => formatter.write_str(INBOX),
            Channel::Named(name) => formatter.write_str(name),
        }
    }
}

impl RoomId {
    /// All rooms by name have this number or one below it.
    pub const FIRST_NAMED: RoomId = RoomId(-FIRST_NAMED);

    /// A person's inbox.
    pub fn inbox(user: UserId) -> RoomId {
        RoomId(-user.0)
    }

    /// Whose inbox this is, if it is one.
    pub fn inbox_of(self) -> Option<UserId> {
        (1 - FIRST_NAMED..0).contains(&self.0).then_some(UserId(-self.0))
    }

    /// Whether this is a room by name.
    pub fn is_named(self) -> bool {
        self <= RoomId::FIRST_NAMED
    }

    /// The room of this name.
    pub fn named(name: &str) -> RoomId {
        let digest = Sha256::digest(name.as_bytes());
        let number = digest[..8].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        RoomId(-((number >> 4) as i64 | FIRST_NAMED))
    }
}

/// No person has a number as large as this.
const FIRST_NAMED: i64 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let group = GroupId::new();
        for (text, channel) in [
            ("general", Channel::Named("general".into())),
            ("room:general", Channel::Named("general".into())),
            ("me", Channel::Me),
            (format!("group:{group}").as_str(), Channel::Group(group)),
            (format!("room:group:{group}").as_str(), Channel::Group(group)),
            ("Küche 🍳", Channel::Named("Küche 🍳".into())),
        ] {
            assert_eq!(Channel::parse(text).unwrap(), channel, "{text}");
        }
        assert_eq!(Channel::Group(group).to_string(), format!("group:{group}"));
        for bad in
            ["", "room:", "a\nb", " a", "a\u{200b}", "group:x", "user:7", "room:room:x", &"x".repeat(101)]
        {
            assert!(Channel::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_of_one_kind_are_never_of_another() {
        let named = ["general", "a", "b", ""].map(RoomId::named);
        assert!(named.iter().all(|room| room.inbox_of().is_none() && room.is_named()));
        assert!(![RoomId::inbox(UserId(7)), RoomId(7)].into_iter().any(RoomId::is_named));
        assert_ne!(named[1], named[2]);
        assert_eq!(RoomId::inbox(UserId(7)).inbox_of(), Some(UserId(7)));
        assert_eq!(RoomId(7).inbox_of(), None, "a group's room");
    }
}
