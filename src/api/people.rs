//! Accounts in the hands of those who run the server or a group: preparing, changing and removing them.
//!
//! An owner's word counts from the shell, and over HTTP where people log in with passwords. In open mode a name alone
//! logs in, so that nobody there has shown to be an owner.

use crate::api::right::{self, Act};
use crate::api::{App, group, invite, link, token, user};
use crate::domain::user::{Account, Standing};
use crate::domain::{Error, GroupId, Kind, Limits, Link, Result, Role, User, UserId};
use crate::store::{self, Db, Tx};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Whoever has a shell on the machine.
    Shell,
    /// An owner, logged in.
    Owner(UserId),
}

impl Actor {
    /// Lets an owner act over HTTP.
    ///
    /// # Errors
    /// `Forbidden` for everybody else, and in open mode.
    pub fn of(app: &App, me: UserId) -> Result<Actor> {
        check_mode(app)?;
        let actor = Actor::Owner(me);
        actor.check(app.db()).map(|()| actor)
    }

    /// Looks again within the transaction: the role may have gone meanwhile.
    fn check(self, db: &Db) -> Result<()> {
        let Actor::Owner(me) = self else { return Ok(()) };
        match user::find(db, me)?.admin {
            true => Ok(()),
            false => Err(Error::forbidden("Only an owner of this server can do this")),
        }
    }
}

/// Refuses to handle accounts where a name alone logs in.
///
/// # Errors
/// `Forbidden` in open mode.
pub fn check_mode(app: &App) -> Result<()> {
    match app.settings.open {
        false => Ok(()),
        true => Err(Error::forbidden(
            "This server is open: a name alone logs in, so accounts are looked after on the server itself, with 'deuced user'",
        )),
    }
}

/// All accounts, oldest first.
///
/// # Errors
/// Those of the storage.
pub fn list(db: &Db) -> Result<Vec<Account>> {
    store::user::accounts(db, None)
}

fn account(db: &Db, id: UserId) -> Result<Account> {
    store::user::accounts(db, Some(id))?.pop().ok_or_else(missing)
}

fn missing() -> Error {
    Error::not_found("Person not found")
}

fn find(db: &Db, uid: &str) -> Result<User> {
    store::user::find_by_uid(db, uid)?.ok_or_else(missing)
}

/// An account to be prepared for somebody.
#[derive(Clone, Debug)]
pub struct New {
    /// The login name, cleaned.
    pub name: String,
    /// The password's hash; without one there will be a link to choose it.
    pub password: Option<String>,
    /// Whether it is a child's.
    pub child: bool,
    /// The groups it is in from the beginning, as they were named.
    pub groups: Vec<String>,
}

/// An account that was prepared.
pub struct Prepared {
    /// The account.
    pub account: Account,
    /// Where its person chooses a password, if it has none.
    pub link: Option<Link>,
}

/// Prepares an account in the groups that were named. An owner of the server is not by that a member of other
/// people's groups, so they must be the owner's own.
///
/// # Errors
/// `Forbidden` for who is no owner, and for foreign groups; `Invalid` for a name that is taken.
pub fn prepare(tx: &Tx<'_>, limits: &Limits, actor: Actor, new: &New) -> Result<Prepared> {
    actor.check(tx)?;
    let groups = new.groups.iter().map(|name| {
        let id = GroupId::parse(name);
        let place = match (actor, id) {
            (Actor::Owner(me), Some(id)) => store::member::place(tx, id, me)?,
            _ => None,
        };
        id.zip(place)
            .map(|(id, _)| id)
            .ok_or_else(|| Error::forbidden(format!("Not authorized for group {name}")))
    });
    make(tx, limits, new, &groups.collect::<Result<Vec<_>>>()?)
}

/// Whether one may prepare accounts in a group.
///
/// # Errors
/// `Forbidden` for everybody but the group's admins.
pub fn check_leads(db: &Db, me: UserId, id: GroupId) -> Result<()> {
    right::check(db, me, Act::Prepare)?;
    group::admin_place(db, id, me).map(|_| ())
}

/// Prepares an account in a group one runs.
///
/// # Errors
/// `Forbidden` for everybody but the group's admins; `Invalid` for a name that is taken.
pub fn prepare_in_group(
    tx: &Tx<'_>,
    limits: &Limits,
    me: UserId,
    id: GroupId,
    new: &New,
) -> Result<Prepared> {
    check_leads(tx, me, id)?;
    make(tx, limits, new, &[id])
}

fn make(tx: &Tx<'_>, limits: &Limits, new: &New, groups: &[GroupId]) -> Result<Prepared> {
    let standing = if new.child { Standing::Child } else { Standing::Member };
    user::check_name_is_free(tx, &new.name)?;
    let made = user::add(tx, limits, &new.name, new.password.as_deref(), standing)?;
    for id in groups {
        invite::admit(tx, limits, *id, made.id, Role::Member)?;
    }
    let link = match new.password {
        Some(_) => None,
        None => Some(link::make(tx, limits, made.id)?),
    };
    Ok(Prepared { account: account(tx, made.id)?, link })
}

/// What to change of an account; `None` leaves as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Whether it is a child's.
    pub child: Option<bool>,
    /// Whether it cannot log in.
    pub disabled: Option<bool>,
    /// Whether its person owns the server.
    pub owner: Option<bool>,
}

/// Changes what an account is. The logins, links and invites of one that is disabled end; what its person wrote stays.
///
/// # Errors
/// `Forbidden` for who is no owner; `NotFound` when there is no such account; `Invalid` where no owner would be left, a
/// child would own the server, or a group be left without a grown-up to run it.
pub fn change(tx: &Tx<'_>, limits: &Limits, actor: Actor, uid: &str, change: Change) -> Result<Account> {
    actor.check(tx)?;
    let before = find(tx, uid)?;
    let (child, owner) = (change.child.unwrap_or(before.child), change.owner.unwrap_or(before.admin));
    let disabled = change.disabled.unwrap_or(before.disabled);
    if child && owner {
        return Err(Error::invalid("owner: a child cannot own the server"));
    }
    if !owner || disabled {
        check_not_last_owner(tx, &before)?;
    }
    if owner != before.admin {
        store::user::set_owner(tx, before.id, owner)?;
    }
    if child && !before.child {
        bring_under_care(tx, limits, &before)?;
    } else if child != before.child {
        store::user::set_child(tx, before.id, false)?;
    }
    if disabled != before.disabled {
        store::user::set_disabled(tx, before.id, disabled)?;
        if disabled {
            // Whatever would let them in, or let others in for them.
            store::token::delete_all(tx, before.id)?;
            store::link::delete_of(tx, before.id)?;
            store::invite::delete_of(tx, before.id, None)?;
            for (id, _) in store::member::groups_of(tx, before.id)? {
                let place = group::place(tx, id, before.id)?;
                group::hand_over(tx, limits, id, place, before.id)?;
            }
        }
    }
    account(tx, before.id)
}

/// Refuses what would leave the server without an owner.
///
/// # Errors
/// `Invalid` when this person is the last one.
pub fn check_not_last_owner(tx: &Tx<'_>, person: &User) -> Result<()> {
    let is_one = person.admin && !person.disabled;
    match is_one && !store::user::is_owned(tx, Some(person.id))? {
        true => {
            Err(Error::invalid("owner: this is the last owner of the server, make somebody else one first"))
        }
        false => Ok(()),
    }
}

/// Makes somebody a child: others run the groups that they ran, and their invites are over.
fn bring_under_care(tx: &Tx<'_>, limits: &Limits, person: &User) -> Result<()> {
    store::user::set_child(tx, person.id, true)?;
    store::invite::delete_of(tx, person.id, None)?;
    store::device::delete_all(tx, person.id)?;
    for (id, room) in store::member::groups_of(tx, person.id)? {
        let place = group::place(tx, id, person.id)?;
        if place.role != Role::Admin {
            continue;
        }
        let others = store::member::count(tx, id)? > 1;
        if !group::hand_over(tx, limits, id, place, person.id)? && others {
            let name = store::group::find(tx, id)?.map_or_else(String::new, |group| group.name);
            return Err(Error::invalid(format!(
                "child: nobody else in the group {name} is grown up to run it: put somebody there first"
            )));
        }
        store::member::set_role(tx, id, person.id, Role::Member)?;
        let kind = Kind::RoleChanged(person.person(), Role::Member);
        store::room::append(tx, room, person.id, kind, limits.events_per_room)?;
    }
    Ok(())
}

/// Removes an account, as if its person had deleted it. Returns the path of the picture, whose file is to be removed.
///
/// # Errors
/// `Forbidden` for who is no owner; `NotFound` when there is no such account; `Invalid` for the last owner.
pub fn remove(tx: &Tx<'_>, limits: &Limits, actor: Actor, uid: &str) -> Result<Option<String>> {
    actor.check(tx)?;
    let person = find(tx, uid)?;
    user::erase(tx, limits, person.id)
}

/// Makes a link with which somebody chooses a new password. Until it is used the old one does.
///
/// # Errors
/// `Forbidden` for who is no owner; `NotFound` when there is no such account; `Invalid` for one that is disabled.
pub fn reset(tx: &Tx<'_>, limits: &Limits, actor: Actor, uid: &str) -> Result<Link> {
    actor.check(tx)?;
    let person = find(tx, uid)?;
    if person.disabled {
        return Err(Error::invalid("This account is disabled: enable it first"));
    }
    link::make(tx, limits, person.id)
}

/// The wire id of the account that a name stands for: by login name, or failing that by the name chosen in the
/// profile.
///
/// # Errors
/// `NotFound` when there is none.
pub fn uid_of(db: &Db, name: &str) -> Result<String> {
    Ok(user::find(db, token::person(db, name)?)?.uid)
}
