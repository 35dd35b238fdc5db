//! An invite: a link that lets several people into a group for a week.

use crate::domain::{GroupId, InviteId, Time};

/// An invite's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The secret in the link.
    pub id: InviteId,
    /// Where it leads.
    pub group: GroupId,
    /// Wire id of who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// How many people may join by it; `None` is any number.
    pub max_uses: Option<i64>,
    /// How many have.
    pub uses: i64,
}

impl Invite {
    /// Where its link leads on this server.
    pub fn path(&self) -> String {
        format!("/join/{}", self.id)
    }

    /// Whether somebody may still join by it.
    pub fn is_open(&self, now: Time) -> bool {
        self.expires_at > now && self.max_uses.is_none_or(|most| self.uses < most)
    }
}
