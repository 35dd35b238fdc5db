//! A group: people who see each other's entries.

use crate::domain::{GroupId, RoomId, Time, UserId};

/// A group's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// The room in which its events are numbered.
    pub room: RoomId,
    /// 1 to 100 characters.
    pub name: String,
    /// At most 500 characters.
    pub description: Option<String>,
    /// Wire id of who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Time,
    /// When name or description last changed.
    pub updated_at: Time,
}

/// A group as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSummary {
    /// The group.
    pub group: Group,
    /// How many people are in it.
    pub member_count: i64,
    /// How many entries it has.
    pub entry_count: i64,
    /// When its newest entry was stored.
    pub last_activity: Option<Time>,
}

/// Where a person stands in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The room of the group.
    pub room: RoomId,
    /// The acting member.
    pub user: UserId,
    /// The member's role.
    pub role: crate::domain::Role,
}
