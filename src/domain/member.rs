//! A person in a group.

use crate::domain::user::Standing;
use crate::domain::{GroupId, Time, User};

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// May rename and delete the group, remove members and hand out roles.
    Admin,
    /// May log, react and invite.
    Member,
}

impl Role {
    /// The word on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Member => "member",
        }
    }

    /// The role a word stands for.
    pub fn parse(text: &str) -> Option<Role> {
        match text {
            "admin" => Some(Role::Admin),
            "member" => Some(Role::Member),
            _ => None,
        }
    }
}

/// A membership with the person it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The membership's number.
    pub id: i64,
    /// The group.
    pub group: GroupId,
    /// The person.
    pub user: User,
    /// What the person may do there.
    pub role: Role,
    /// Since when.
    pub joined_at: Time,
    /// The person's best day, if there was any.
    pub record: Option<Record>,
}

impl Member {
    /// The word on the wire for what the person is in the group: a child is one everywhere.
    pub fn role_word(&self) -> &'static str {
        match self.user.standing() {
            Standing::Child => Standing::Child.as_str(),
            Standing::Owner | Standing::Member => self.role.as_str(),
        }
    }
}

/// The calendar day with the most entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `YYYY-MM-DD`, cut in the server's time zone when the entry was stored.
    pub day: String,
    /// Entries stored on that day, one per group.
    pub count: i64,
}
