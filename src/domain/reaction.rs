//! A reaction: one emoji of one person on one entry.

use crate::domain::{EntryId, Time, User};

/// A reaction with the person it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// Its number.
    pub id: i64,
    /// What it is a reaction to.
    pub entry: EntryId,
    /// Whose it is.
    pub user: User,
    /// 1 to 10 code points.
    pub emoji: String,
    /// When it was given.
    pub created_at: Time,
}
