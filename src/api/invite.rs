//! Invites: links that let people into a group.

use crate::api::right::{self, Act};
use crate::api::{group, notification, user};
use crate::domain::notification::{Notice, Topic};
use crate::domain::{Error, Group, GroupId, Invite, InviteId, Kind, Limits, Result, Role, Time, UserId};
use crate::store::{self, Db, Tx};
use std::ops::RangeInclusive;

/// The answer to an invite that is unknown, used up or over: which of them is nobody's business.
pub const OVER: &str = "Invalid or expired invite";

/// How many people an invite may be made for.
pub const USES: RangeInclusive<i64> = 1..=1_000_000;

/// Makes an invite. Any member may.
///
/// # Errors
/// `Forbidden` for strangers, `Invalid` when the group has too many open ones.
pub fn create(
    tx: &Tx<'_>,
    limits: &Limits,
    id: GroupId,
    me: UserId,
    max_uses: Option<i64>,
) -> Result<Invite> {
    group::place(tx, id, me)?;
    right::check(tx, me, Act::Invite)?;
    store::invite::sweep(tx, id)?;
    if store::invite::list(tx, id, tx.now())?.len() as u64 >= limits.invites_per_group {
        return Err(Error::invalid(format!(
            "A group has at most {} open invites: revoke one first",
            limits.invites_per_group
        )));
    }
    let invite = store::invite::insert(tx, id, me, limits.invite_days as i64 * 86_400, max_uses)?;
    store::invite::find(tx, invite)?.ok_or_else(|| Error::internal("an invite vanished within a transaction"))
}

/// A group's open invites, newest first.
///
/// # Errors
/// `Forbidden` for strangers.
pub fn list(db: &Db, id: GroupId, me: UserId) -> Result<Vec<Invite>> {
    group::place(db, id, me)?;
    right::check(db, me, Act::Invite)?;
    store::invite::list(db, id, db.now())
}

/// Revokes an invite. Its maker may, and admins.
///
/// # Errors
/// `Forbidden` for others, `NotFound` when there is none.
pub fn revoke(tx: &Tx<'_>, id: GroupId, me: UserId, invite: Option<InviteId>) -> Result<()> {
    let place = group::place(tx, id, me)?;
    right::check(tx, me, Act::Invite)?;
    let missing = || Error::not_found("Invite not found");
    let invite = invite.ok_or_else(missing)?;
    let found = store::invite::find(tx, invite)?.filter(|found| found.group == id).ok_or_else(missing)?;
    let mine = store::user::find_by_uid(tx, &found.created_by)?.is_some_and(|maker| maker.id == me);
    if place.role != Role::Admin && !mine {
        return Err(Error::forbidden("Only admins can revoke other people's invites"));
    }
    store::invite::delete(tx, id, invite)?;
    Ok(())
}

/// An open invite of a group.
///
/// # Errors
/// `Forbidden` for strangers, `NotFound` when there is none.
pub fn find(db: &Db, id: GroupId, me: UserId, invite: Option<InviteId>) -> Result<Invite> {
    let open = list(db, id, me)?.into_iter().find(|open| Some(open.id) == invite);
    open.ok_or_else(|| Error::not_found("Invite not found"))
}

/// What whoever holds an invite may know before joining.
pub struct Preview {
    /// The group's name.
    pub group: String,
    /// What others call the inviter.
    pub inviter: String,
    /// When the invite ends.
    pub expires_at: Time,
}

/// Whether there is or was such an invite.
///
/// # Errors
/// Those of the storage.
pub fn is_known(db: &Db, id: InviteId) -> Result<bool> {
    Ok(store::invite::find(db, id)?.is_some())
}

/// What an invite leads to; `None` when it is unknown, used up or over.
///
/// # Errors
/// Those of the storage.
pub fn preview(db: &Db, id: InviteId) -> Result<Option<Preview>> {
    let Some(invite) = store::invite::find(db, id)?.filter(|invite| invite.is_open(db.now())) else {
        return Ok(None);
    };
    let maker = store::user::find_by_uid(db, &invite.created_by)?;
    let group = store::group::find(db, invite.group)?;
    Ok(group.zip(maker).map(|(group, maker)| Preview {
        group: group.name,
        inviter: maker.display_name(),
        expires_at: invite.expires_at,
    }))
}

/// What came of an invite.
pub struct Accepted {
    /// The group it leads to.
    pub group: Group,
    /// Whether the person was in it before. Then the invite was not used.
    pub already: bool,
}

/// Joins by invite. Joining twice is no error and uses the invite once.
///
/// # Errors
/// `Invalid` when the invite is unknown, used up or over, or when group or person are full; `Forbidden` for children.
pub fn accept(tx: &Tx<'_>, limits: &Limits, me: UserId, id: InviteId) -> Result<Accepted> {
    let over = || Error::invalid(OVER);
    user::find(tx, me)?;
    let invite =
        store::invite::find(tx, id)?.filter(|invite| invite.expires_at > tx.now()).ok_or_else(over)?;
    let group = store::group::find(tx, invite.group)?.ok_or_else(over)?;
    if store::member::place(tx, group.id, me)?.is_some() {
        return Ok(Accepted { group, already: true });
    }
    right::check(tx, me, Act::Join)?;
    check_space(tx, limits, group.id, me)?;
    if !store::invite::take(tx, id)? {
        return Err(over());
    }
    enter(tx, limits, &group, me, Role::Member)?;
    Ok(Accepted { group, already: false })
}

/// Puts somebody into a group without an invite; nothing happens to who is in it. Whether that may be is the caller's
/// to decide.
///
/// # Errors
/// `Invalid` when group or person are full.
pub(super) fn admit(tx: &Tx<'_>, limits: &Limits, id: GroupId, whom: UserId, role: Role) -> Result<()> {
    let group = store::group::find(tx, id)?.ok_or_else(|| Error::forbidden("Not authorized"))?;
    if store::member::place(tx, id, whom)?.is_some() {
        return Ok(());
    }
    check_space(tx, limits, id, whom)?;
    enter(tx, limits, &group, whom, role)
}

fn check_space(tx: &Tx<'_>, limits: &Limits, id: GroupId, whom: UserId) -> Result<()> {
    group::check_room_for_one_more(tx, limits, whom)?;
    match store::member::count(tx, id)? < limits.members_per_group {
        true => Ok(()),
        false => Err(Error::invalid(format!("A group has at most {} members", limits.members_per_group))),
    }
}

fn enter(tx: &Tx<'_>, limits: &Limits, group: &Group, whom: UserId, role: Role) -> Result<()> {
    store::member::insert(tx, group.id, whom, role)?;
    let person = store::room::person(tx, whom)?;
    store::room::append(tx, group.room, whom, Kind::MemberJoined(person.clone()), limits.events_per_room)?;
    let notice = Notice::Joined(Topic { group: Some(group.id), entry: None });
    notification::tell_members(tx, limits, group.id, &person, |choice| choice.joins, &notice)
}
