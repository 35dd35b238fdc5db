//! People: their accounts, their profile, their data, and their leaving.

use crate::api::view::export;
use crate::api::{group, link, people};
use crate::domain::text::{Lines, clean, is_invisible};
use crate::domain::user::Standing;
use crate::domain::{Error, Kind, Limits, Person, Result, TokenId, User, UserId, user};
use crate::store::{self, Db, Tx, user::NewUser};

/// The person, who must still be there.
///
/// # Errors
/// `Unauthorized` when the account has vanished.
pub fn find(db: &Db, id: UserId) -> Result<User> {
    store::user::find(db, id)?.ok_or_else(Error::unauthorized)
}

/// What others call somebody.
///
/// # Errors
/// `Unauthorized` when there is nobody of that number.
pub fn person(db: &Db, id: UserId) -> Result<Person> {
    store::user::person(db, id)?.ok_or_else(Error::unauthorized)
}

/// Whether a name is somebody's: by login, in the profile, or as others read it.
///
/// # Errors
/// Those of the storage.
pub fn is_name_of_somebody(db: &Db, name: &str, except: Option<UserId>) -> Result<bool> {
    let (uid, lower) = (user::uid_of(name), name.trim().to_lowercase());
    let taken = |person: &Person| {
        let names = [&person.name, &person.login_name];
        person.uid == uid || names.into_iter().any(|known| known.to_lowercase() == lower)
    };
    let everybody = store::user::everybody(db)?;
    Ok(everybody.iter().any(|person| Some(person.id) != except && taken(person)))
}

/// Whether somebody who may log in owns the server.
///
/// # Errors
/// Those of the storage.
pub fn is_owned(db: &Db) -> Result<bool> {
    store::user::is_owned(db, None)
}

/// How many people there are.
///
/// # Errors
/// Those of the storage.
pub fn count(db: &Db) -> Result<u64> {
    store::user::count(db)
}

/// A login name, cleaned and measured.
///
/// # Errors
/// `Invalid`: in the contract's words when there is none, else naming the field.
pub fn clean_login_name(name: &str, limits: &Limits) -> Result<String> {
    if name.trim().is_empty() {
        return Err(Error::invalid("Username is required"));
    }
    // Nobody is to look like somebody else, or like nobody.
    let seen: String =
        name.chars().filter(|c| !is_invisible(*c) && !matches!(c, '\u{2800}' | '\u{3164}')).collect();
    clean("username", &seen, Lines::One, 1, limits.login_name_characters as usize)
}

/// Checks that a newcomer would not be taken for somebody else.
///
/// # Errors
/// `Invalid` when somebody is called so.
pub fn check_name_is_free(db: &Db, name: &str) -> Result<()> {
    match is_name_of_somebody(db, name, None)? {
        true => Err(Error::invalid(format!("username: there is somebody called {name} already"))),
        false => Ok(()),
    }
}

/// Makes an account, an owner's, a child's or anybody's. Nobody is a child and an owner.
///
/// # Errors
/// `Invalid` when the name is taken, `Forbidden` when there are too many accounts.
pub fn add(
    tx: &Tx<'_>,
    limits: &Limits,
    name: &str,
    password: Option<&str>,
    standing: Standing,
) -> Result<User> {
    if count(tx)? >= limits.users {
        return Err(Error::forbidden(format!("This server takes no more than {} people", limits.users)));
    }
    let email = user::email_of(name);
    let new = NewUser {
        uid: &user::uid_of(name),
        email: Some(&email),
        first_name: name,
        password,
        admin: standing == Standing::Owner,
        child: standing == Standing::Child,
    };
    store::user::insert(tx, &new)?
        .ok_or_else(|| Error::invalid(format!("username: there is an account named {name} already")))
}

/// What [`add_or_give_password`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// There was none of that name.
    Account,
    /// There was one, from the days of `--open`, which had no password.
    Password,
}

/// Makes an account with a password, or gives one to an account that has none.
///
/// # Errors
/// As [`add`], when the account has a password already.
pub fn add_or_give_password(
    tx: &Tx<'_>,
    limits: &Limits,
    name: &str,
    hash: &str,
    standing: Standing,
) -> Result<Made> {
    let uid = user::uid_of(name);
    if let Some(known) = store::user::find_by_uid(tx, &uid)?.filter(|known| !known.disabled) {
        // Somebody's place on the server is not changed by the way.
        let fits = match standing {
            Standing::Owner => !known.child,
            Standing::Member => true,
            Standing::Child => known.child,
        };
        let owner = standing == Standing::Owner;
        if fits && store::user::set_first_password(tx, &uid, hash, owner)? {
            store::link::delete_of(tx, known.id)?;
            return Ok(Made::Password);
        }
    }
    add(tx, limits, name, Some(hash), standing).map(|_| Made::Account)
}

/// Sets the profile name.
///
/// # Errors
/// `Invalid` when it is not a fit name, or taken.
pub fn rename(tx: &Tx<'_>, limits: &Limits, me: UserId, username: &str) -> Result<User> {
    user::check_username(username)?;
    // Two profiles may differ in case alone (contract), but none takes the name that somebody else logs in with.
    let login = store::user::find_by_uid(tx, &user::uid_of(username))?;
    if login.is_some_and(|other| other.id != me) {
        return Err(Error::invalid("Username already taken"));
    }
    if !store::user::set_username(tx, me, username)? {
        return Err(Error::invalid("Username already taken"));
    }
    let user = find(tx, me)?;
    for (_, room) in store::member::groups_of(tx, me)? {
        store::room::append(tx, room, me, Kind::PersonChanged(user.person()), limits.events_per_room)?;
    }
    Ok(user)
}

/// Everything the server knows of a person, entries included, as the JSON text to hand out.
///
/// # Errors
/// `Unauthorized` when the account has vanished.
pub fn export(db: &Db, me: UserId) -> Result<String> {
    let user = find(db, me)?;
    let entries = store::deuce::list_of(db, me)?;
    let groups = store::group::list(db, me)?;
    let locations = store::location::list(db, me)?;
    let reactions = store::reaction::list_of(db, me)?;
    let best = store::member::record(db, me)?;
    let messages = store::message::list_of(db, me)?;
    let notifications = store::notification::list(db, me, 0, u64::MAX >> 1)?;
    let sessions = store::token::list(db, me, db.now())?;
    export::export(&export::Export {
        user: &user,
        groups: &groups,
        entries: &entries,
        reactions: &reactions,
        locations: &locations,
        best: best.as_ref(),
        messages: &messages,
        notifications: &notifications,
        sessions: &sessions,
    })
}

/// The hash of a person's password, if they have one.
///
/// # Errors
/// Those of the storage.
pub fn password(db: &Db, me: UserId) -> Result<Option<String>> {
    store::user::password(db, me)
}

/// Changes one's password. All other logins of the person end.
///
/// # Errors
/// Those of the storage.
pub fn change_password(tx: &Tx<'_>, me: UserId, hash: &str, keep: TokenId) -> Result<()> {
    find(tx, me)?;
    link::set_password(tx, me, hash, Some(keep))
}

/// Deletes an account. Memberships, invites, reactions and notifications go; entries and messages stay,
/// without text and place; a group without another admin passes to whoever has been there longest, and one without
/// another member vanishes. Returns the path of the picture, whose file is to be removed.
///
/// # Errors
/// `Unauthorized` when the account has vanished already; `Invalid` for the last owner of the server.
pub fn erase(tx: &Tx<'_>, limits: &Limits, me: UserId) -> Result<Option<String>> {
    let user = find(tx, me)?;
    people::check_not_last_owner(tx, &user)?;
    for (id, _) in store::member::groups_of(tx, me)? {
        let place = store::member::place(tx, id, me)?
            .ok_or_else(|| Error::internal("a membership without its group"))?;
        // Where only children are left, nobody runs the group until an owner puts somebody there.
        group::hand_over(tx, limits, id, place, me)?;
        group::depart(tx, limits, id, place, me)?;
    }
    for room in store::room::written_in(tx, me)? {
        store::room::append(tx, room, me, Kind::PersonErased(user.person()), limits.events_per_room)?;
    }
    store::invite::delete_of(tx, me, None)?;
    store::reaction::delete_of(tx, me)?;
    store::message::delete_all(tx, me)?;
    store::deuce::blank_all(tx, me)?;
    store::token::delete_all(tx, me)?;
    store::user::erase(tx, me)?;
    Ok(user.picture)
}
