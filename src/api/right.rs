//! What a child may not do, decided here for every door.
//!
//! A child is a property of the account and not of one membership, because "nobody outside" cannot be kept group by
//! group. It sees, logs, reacts and talks in the groups that a grown-up has put it into, and has its inbox. Whatever
//! would lead beyond them asks here first, so that it makes no difference how it was asked for.

use crate::domain::{Error, Result, UserId};
use crate::store::{self, Db};

/// What leads beyond one's own groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Letting others into a group.
    Invite,
    /// Making a group.
    FoundGroup,
    /// Administering a group.
    Lead,
    /// Joining a group by oneself.
    Join,
    /// Hearing and talking in the rooms by name, where everybody is.
    Roam,
    /// Making accounts for others.
    Prepare,
    /// Making tokens for devices and programs.
    MakeDevice,
}

impl Act {
    /// Why a child may not, in words for its parents.
    fn sentence(self) -> &'static str {
        match self {
            Act::Invite => {
                "This is a child's account, which cannot invite anybody. A grown-up of the group can do it."
            }
            Act::FoundGroup => {
                "This is a child's account, which cannot make groups. A grown-up can make one and put the child into it."
            }
            Act::Lead => {
                "This is a child's account, which cannot run a group. A grown-up of the group can do it."
            }
            Act::Join => {
                "This is a child's account, which cannot join a group by itself. A grown-up who runs the group can put the child into it."
            }
            Act::Roam => "This is a child's account, which can talk in its own groups only.",
            Act::Prepare => "This is a child's account, which cannot make accounts for others.",
            Act::MakeDevice => "This is a child's account, which cannot make tokens for devices or programs.",
        }
    }
}

/// Refuses what a child may not do.
///
/// # Errors
/// `Forbidden`, for children.
pub fn check(db: &Db, me: UserId, act: Act) -> Result<()> {
    match store::user::is_child(db, me)? {
        false => Ok(()),
        true => Err(Error::forbidden(act.sentence())),
    }
}

/// Refuses that a child writes to strangers, or a stranger to a child. The owners of the server are no strangers to
/// the children on it.
///
/// # Errors
/// `Forbidden`, where one of the two is a child.
pub fn check_contact(db: &Db, from: UserId, from_owner: bool, to: UserId) -> Result<()> {
    let sentence = if store::user::is_child(db, from)? {
        "This is a child's account, which can write to people of its own groups only."
    } else if !from_owner && store::user::is_child(db, to)? {
        "userId: this is a child's account, to which only people of its own groups can write."
    } else {
        return Ok(());
    };
    match from == to || store::member::share_a_group(db, from, to)? {
        true => Ok(()),
        false => Err(Error::forbidden(sentence)),
    }
}
