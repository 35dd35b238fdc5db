//! Notifications: what a person is told about later, and what they chose to be told about.

use crate::domain::{EntryId, EventId, GroupId, Time, UserId, event::Author};

/// A notification of somebody's inbox. Its number is that of its event there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Its number in the inbox.
    pub id: i64,
    /// Whose it is.
    pub user: UserId,
    /// Who caused it.
    pub actor: Author,
    /// What it is about.
    pub notice: Notice,
    /// When it was made.
    pub created_at: Time,
    /// Whether it was read.
    pub read: bool,
}

/// What a notification is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Data somebody with the right to do so sent, as the JSON text they sent.
    Custom(String),
    /// An entry in one's group.
    Deuce(Topic),
    /// A reaction to one's entry.
    Reaction(Topic, String),
    /// Somebody joined one's group.
    Joined(Topic),
    /// A chat message with one's name in it.
    Mention(Mention),
}

/// The entry and the group a notification is about, as far as they still exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    /// The group.
    pub group: Option<GroupId>,
    /// The entry.
    pub entry: Option<EntryId>,
}

/// Where one was mentioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The room's name on the wire.
    pub channel: String,
    /// The message's number there.
    pub seq: i64,
    /// The message's id.
    pub message: EventId,
}

/// What a member is notified of, group by group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Entries of others.
    pub entries: bool,
    /// Reactions to one's entries.
    pub reactions: bool,
    /// New members.
    pub joins: bool,
    /// Messages with one's name in them.
    pub mentions: bool,
}

impl Choice {
    /// The choice as it is stored, a bit for each.
    pub fn bits(self) -> i64 {
        i64::from(self.entries)
            | i64::from(self.reactions) << 1
            | i64::from(self.joins) << 2
            | i64::from(self.mentions) << 3
    }

    /// The choice that is stored as these bits.
    pub fn from_bits(bits: i64) -> Choice {
        let has = |bit: i64| bits >> bit & 1 == 1;
        Choice { entries: has(0), reactions: has(1), joins: has(2), mentions: has(3) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_survives_being_stored() {
        (0..16).for_each(|bits| assert_eq!(Choice::from_bits(bits).bits(), bits));
        let only_joins = Choice { entries: false, reactions: false, joins: true, mentions: false };
        assert_eq!(Choice::from_bits(4), only_joins);
    }
}
