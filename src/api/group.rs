//! Groups: making, showing, changing and ending them.

use crate::api::right::{self, Act};
use crate::api::user;
use crate::domain::group::Place;
use crate::domain::text::{Lines, clean};
use crate::domain::{
    Entry, Error, Group, GroupId, GroupSummary, Kind, Limits, Member, Result, Role, User, UserId, event,
};
use crate::store::{self, Db, Tx, deuce::Page};

/// What a group may be called and described as, cleaned and measured.
pub struct Naming {
    /// The name.
    pub name: String,
    /// The description, if there is one.
    pub description: Option<String>,
}

/// Cleans a group's name.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn clean_name(name: &str, limits: &Limits) -> Result<String> {
    clean("name", name, Lines::One, 1, limits.group_name_characters as usize)
}

/// Cleans a group's description; an empty one is none.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn clean_description(description: &str, limits: &Limits) -> Result<Option<String>> {
    let text = clean("description", description, Lines::Many, 0, limits.description_characters as usize)?;
    Ok((!text.is_empty()).then_some(text))
}

/// Makes a group with its maker as admin.
///
/// # Errors
/// `Invalid` when the person has too many groups.
pub fn create(tx: &Tx<'_>, limits: &Limits, me: UserId, naming: &Naming) -> Result<Group> {
    user::find(tx, me)?;
    right::check(tx, me, Act::FoundGroup)?;
    check_room_for_one_more(tx, limits, me)?;
    let id = store::group::insert(tx, me, &naming.name, naming.description.as_deref())?;
    store::member::insert(tx, id, me, Role::Admin)?;
    let group = found(tx, id)?;
    let person = store::room::person(tx, me)?;
    store::room::append(tx, group.room, me, Kind::MemberJoined(person), limits.events_per_room)?;
    Ok(group)
}

/// Refuses to put a person into more groups than allowed.
///
/// # Errors
/// `Invalid` when there are as many already.
pub fn check_room_for_one_more(tx: &Tx<'_>, limits: &Limits, user: UserId) -> Result<()> {
    match store::member::count_groups(tx, user)? < limits.groups_per_user {
        true => Ok(()),
        false => Err(Error::invalid(format!("Nobody can be in more than {} groups", limits.groups_per_user))),
    }
}

fn found(db: &Db, id: GroupId) -> Result<Group> {
    store::group::find(db, id)?.ok_or_else(|| Error::internal("a group vanished within a transaction"))
}

/// Where the person stands in the group.
///
/// # Errors
/// `Forbidden`, the same for foreign groups and for none.
pub fn place(db: &Db, id: GroupId, me: UserId) -> Result<Place> {
    store::member::place(db, id, me)?.ok_or_else(|| Error::forbidden("Not authorized"))
}

/// As [`place`], for what only admins may do.
///
/// # Errors
/// `Forbidden` for everybody else.
pub fn admin_place(db: &Db, id: GroupId, me: UserId) -> Result<Place> {
    let place = place(db, id, me)?;
    right::check(db, me, Act::Lead)?;
    match place.role {
        Role::Admin => Ok(place),
        Role::Member => Err(Error::forbidden("Only admins can do this")),
    }
}

/// The person's groups, as a list shows them.
///
/// # Errors
/// Those of the storage.
pub fn list(db: &Db, me: UserId) -> Result<Vec<GroupSummary>> {
    store::group::list(db, me)
}

/// A group with everything in it.
pub struct Detail {
    /// The group.
    pub group: Group,
    /// Its members, newest first.
    pub members: Vec<Member>,
    /// Its entries with their authors.
    pub entries: Vec<(Entry, User)>,
}

/// A group as its members see it: all entries, newest stored first, or one page of them by the time
/// they are about.
///
/// # Errors
/// `Forbidden` for strangers.
pub fn detail(db: &Db, id: GroupId, me: UserId, page: Option<&Page>) -> Result<Detail> {
    place(db, id, me)?;
    let entries = match page {
        None => store::deuce::list(db, id)?,
        Some(page) => store::deuce::page(db, &[id], page)?,
    };
    let group = store::group::find(db, id)?.ok_or_else(|| Error::forbidden("Not authorized"))?;
    Ok(Detail { group, members: store::member::list(db, id)?, entries })
}

/// Whether showing the group takes longer than the loop should.
///
/// # Errors
/// Those of the storage.
pub fn is_long(db: &Db, id: GroupId) -> Result<bool> {
    Ok(store::group::entry_count(db, id)? > 100)
}

/// What to change of a group; `None` leaves as it is.
#[derive(Default)]
pub struct Change {
    /// The new name.
    pub name: Option<String>,
    /// The new description, or that there is to be none.
    pub description: Option<Option<String>>,
}

/// Renames or describes a group anew.
///
/// # Errors
/// `Forbidden` for everybody but its admins.
pub fn update(tx: &Tx<'_>, limits: &Limits, id: GroupId, me: UserId, change: &Change) -> Result<Group> {
    let place = admin_place(tx, id, me)?;
    let group = found(tx, id)?;
    let name = change.name.clone().unwrap_or(group.name);
    let description = change.description.clone().unwrap_or(group.description);
    store::group::update(tx, id, &name, description.as_deref())?;
    let naming = event::Naming { id, name, description };
    let kind = Kind::GroupChanged(Box::new(naming));
    store::room::append(tx, place.room, me, kind, limits.events_per_room)?;
    found(tx, id)
}

/// Ends a group with everything in it.
///
/// # Errors
/// `Forbidden` for everybody but its admins.
pub fn delete(tx: &Tx<'_>, limits: &Limits, id: GroupId, me: UserId) -> Result<()> {
    let place = admin_place(tx, id, me)?;
    dissolve(tx, limits, id, place, me)
}

fn dissolve(tx: &Tx<'_>, limits: &Limits, id: GroupId, place: Place, me: UserId) -> Result<()> {
    store::room::append(tx, place.room, me, Kind::GroupDeleted, limits.events_per_room)?;
    let authors = store::deuce::authors(tx, id)?;
    store::group::delete(tx, id, place.room)?;
    authors.into_iter().try_for_each(|author| {
        store::idempotency::forget(tx, author, &id.to_string())?;
        store::user::recount_days(tx, author)
    })
}

/// Takes a member out of a group. With the last member the group goes too.
///
/// # Errors
/// `Invalid` when the group's other members would be left without an admin.
pub fn part(tx: &Tx<'_>, limits: &Limits, id: GroupId, place: Place, me: UserId) -> Result<()> {
    let alone = store::member::count(tx, id)? == 1;
    if !alone && place.role == Role::Admin && store::member::count_admins(tx, id)? == 1 {
        return Err(Error::invalid("The last admin cannot leave: make somebody else an admin first"));
    }
    depart(tx, limits, id, place, me)
}

/// Gives the group to the grown-up who has been there longest, if it has no other admin than the one who goes. Says
/// whether it has one then.
///
/// # Errors
/// Those of the storage.
pub fn hand_over(tx: &Tx<'_>, limits: &Limits, id: GroupId, place: Place, me: UserId) -> Result<bool> {
    if place.role != Role::Admin || store::member::count_admins(tx, id)? > 1 {
        return Ok(true);
    }
    let Some(heir) = store::member::oldest_other(tx, id, place.user)? else { return Ok(false) };
    store::member::set_role(tx, id, heir, Role::Admin)?;
    let kind = Kind::RoleChanged(store::room::person(tx, heir)?, Role::Admin);
    store::room::append(tx, place.room, me, kind, limits.events_per_room)?;
    Ok(true)
}

/// As [`part`], whoever runs the group afterwards.
///
/// # Errors
/// Those of the storage.
pub fn depart(tx: &Tx<'_>, limits: &Limits, id: GroupId, place: Place, me: UserId) -> Result<()> {
    if store::member::count(tx, id)? == 1 {
        return dissolve(tx, limits, id, place, me);
    }
    store::member::delete(tx, id, place.user)?;
    store::invite::delete_of(tx, place.user, Some(id))?;
    let person = store::room::person(tx, place.user)?;
    store::room::append(tx, place.room, me, Kind::MemberLeft(person), limits.events_per_room)?;
    Ok(())
}
