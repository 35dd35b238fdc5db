//! Members: leaving, being removed, and changing roles.

use crate::api::right::{self, Act};
use crate::api::{group, invite, user};
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
    right::check(tx, me, Act::Lead)?;
    let place = group::place(tx, id, whose.user.id)?;
    // Whoever was in the group may have seen its invites, and would come back by one.
    store::invite::delete_all(tx, id)?;
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
    if role == Role::Admin && whose.user.child {
        return Err(Error::invalid("role: a child cannot be an admin"));
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

/// Puts somebody into a group: a child, which does not join by itself, or, where nobody runs the group any more, whoever
/// is to do so. Grown-ups else decide for themselves, by an invite.
///
/// A child is put there by an owner of the server who is in the group, or by an admin of the group who runs another
/// one that the child is in: whoever merely knows a child's id could otherwise get at it by making a group.
///
/// # Errors
/// `Forbidden` for strangers and for members without that right; `NotFound` for whom one cannot put there; `Invalid`
/// when there are too many members.
pub fn add(tx: &Tx<'_>, limits: &Limits, id: GroupId, me: UserId, whom: &str) -> Result<Member> {
    right::check(tx, me, Act::Lead)?;
    let owner = user::find(tx, me)?.admin;
    let is_orphaned = store::group::find(tx, id)?.is_some() && store::member::count_admins(tx, id)? == 0;
    let rescue = owner && is_orphaned;
    if !rescue {
        let mine = group::place(tx, id, me)?;
        if mine.role != Role::Admin && !owner {
            return Err(Error::forbidden("Only admins can do this"));
        }
    }
    let missing = || Error::not_found("userId: there is no child of this id whom you could put here");
    let person = store::user::find_by_uid(tx, whom)?.ok_or_else(missing)?;
    let allowed = match person.child {
        true => owner || store::member::leads_a_group_of(tx, me, person.id)?,
        false => rescue,
    };
    if !allowed {
        return Err(missing());
    }
    let role = if rescue && !person.child { Role::Admin } else { Role::Member };
    invite::admit(tx, limits, id, person.id, role)?;
    store::member::find(tx, id, person.id)?.ok_or_else(missing)
}

fn member_by_uid(tx: &Tx<'_>, id: GroupId, uid: &str) -> Result<Member> {
    let user = store::user::find_by_uid(tx, uid)?;
    let member = user.map(|user| store::member::find(tx, id, user.id)).transpose()?.flatten();
    member.ok_or_else(|| Error::not_found("Member not found"))
}
