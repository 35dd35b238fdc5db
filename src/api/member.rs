//! Members: leaving, being removed, and changing roles.

use crate::api::group;
use crate::domain::{Error, GroupId, Kind, Limits, Member, Result, Role, UserId};
use crate::store::{self, Tx};

/// Removes a member: oneself, or, for admins, anybody.
///
/// # Errors
/// `Forbidden` for strangers and for members who would remove others, `NotFound` when that person
/// is no member, `Invalid` when the last admin would leave others behind.
pub fn remove(tx: &Tx<'_>, limits: &Limits, id: GroupId, me: UserId, whom: &str) -> Result<()> {
    let mine = group::place(tx, id, me)?;
    let whose = member_by_uid(tx, id, whom)?;
    if whose.user.id == me {
        return group::part(tx, limits, id, mine, me);
    }
    if mine.role != Role::Admin {
        return Err(Error::forbidden("Only admins can remove other members"));
    }
    let place = group::place(tx, id, whose.user.id)?;
    group::part(tx, limits, id, place, me)
}

/// Leaves a group.
///
/// # Errors
/// As [`remove`].
pub fn leave(tx: &Tx<'_>, limits: &Limits, id: GroupId, me: UserId) -> Result<()> {
    let mine = group::place(tx, id, me)?;
    group::part(tx, limits, id, mine, me)
}

/// Gives a member a role.
///
/// # Errors
/// `Forbidden` for everybody but admins, `NotFound` when that person is no member, `Invalid` when
/// no admin would be left.
pub fn set_role(
    tx: &Tx<'_>,
    limits: &Limits,
    id: GroupId,
    me: UserId,
    whom: &str,
    role: Role,
) -> Result<Member> {
    let mine = group::admin_place(tx, id, me)?;
    let whose = member_by_uid(tx, id, whom)?;
    if whose.role == role {
        return Ok(whose);
    }
    if role == Role::Member && store::member::count_admins(tx, id)? == 1 {
        return Err(Error::invalid("role: a group needs at least one admin"));
    }
    store::member::set_role(tx, id, whose.user.id, role)?;
    store::room::append(
        tx,
        mine.room,
        me,
        Kind::RoleChanged(whose.user.person(), role),
        limits.events_per_room,
    )?;
    Ok(Member { role, ..whose })
}

fn member_by_uid(tx: &Tx<'_>, id: GroupId, uid: &str) -> Result<Member> {
    let user = store::user::find_by_uid(tx, uid)?;
    let member = user.map(|user| store::member::find(tx, id, user.id)).transpose()?.flatten();
    member.ok_or_else(|| Error::not_found("Member not found"))
}
