//! What happened in a room, numbered.

use crate::domain::{Entry, EntryId, EventId, Role, RoomId, Time, User, UserId};

/// An event of a room's log. `seq` counts each room's events from 1 without gaps, in the order of
/// their commits.
#[derive(Clone, Debug)]
pub struct Event {
    /// The room it belongs to.
    pub room: RoomId,
    /// Its number in that room.
    pub seq: i64,
    /// Its id, the same for everyone who hears of it.
    pub id: EventId,
    /// Who caused it.
    pub sender: UserId,
    /// When it was stored.
    pub at: Time,
    /// What happened.
    pub kind: Kind,
}

/// What can happen in a group's room.
#[derive(Clone, Debug)]
pub enum Kind {
    /// An entry was logged.
    DeuceLogged(Box<(Entry, User)>),
    /// An entry was taken back. Also what remains of `DeuceLogged` afterwards.
    DeuceDeleted(EntryId),
    /// A reaction was given.
    ReactionAdded(EntryId, String),
    /// A reaction was taken back.
    ReactionRemoved(EntryId, String),
    /// Somebody became a member.
    MemberJoined(UserId),
    /// Somebody is no member any more.
    MemberLeft(UserId),
    /// A member's role changed.
    RoleChanged(UserId, Role),
    /// Name or description changed.
    GroupChanged,
    /// The group is gone; the last event of its room, told but not kept.
    GroupDeleted,
}
