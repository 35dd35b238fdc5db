//! Notifications: who is told what, reading them, and what one chooses to be told.

use crate::api::{group, right};
use crate::domain::notification::{Choice, Notice, Notification, Topic};
use crate::domain::{Author, Entry, Error, GroupId, Kind, Limits, Person, Result, RoomId, UserId};
use crate::store::{self, Db, Tx};

/// Puts a notification into somebody's inbox.
///
/// # Errors
/// Those of the storage.
pub(super) fn notify(
    tx: &Tx<'_>,
    limits: &Limits,
    to: UserId,
    actor: &Person,
    notice: Notice,
) -> Result<Notification> {
    let mut notification = Notification {
        id: 0,
        user: to,
        actor: Author::Person(actor.clone()),
        notice,
        created_at: tx.now(),
        read: false,
    };
    let kind = Kind::Notified(Box::new(notification.clone()));
    let event = store::room::append(tx, RoomId::inbox(to), actor.id, kind, limits.notifications_per_user)?;
    notification.id = event.seq;
    Ok(notification)
}

/// Notifies a group's members, whoever did it aside, as far as they want to hear of such things.
///
/// # Errors
/// Those of the storage.
pub fn tell_members(
    tx: &Tx<'_>,
    limits: &Limits,
    group: GroupId,
    actor: &Person,
    wants: impl Fn(Choice) -> bool,
    notice: &Notice,
) -> Result<()> {
    for (person, choice) in store::notification::choices(tx, group, actor.id)? {
        if wants(choice) {
            notify(tx, limits, person.id, actor, notice.clone())?;
        }
    }
    Ok(())
}

/// Notifies an entry's author of a reaction, unless it is their own or they are not there any more.
///
/// # Errors
/// Those of the storage.
pub fn tell_author(tx: &Tx<'_>, limits: &Limits, entry: &Entry, actor: &Person, emoji: &str) -> Result<()> {
    let choice = store::notification::choice(tx, entry.group, entry.user)?;
    if entry.user != actor.id && choice.is_some_and(|choice| choice.reactions) {
        let topic = Topic { group: Some(entry.group), entry: Some(entry.id) };
        notify(tx, limits, entry.user, actor, Notice::Reaction(topic, emoji.to_owned()))?;
    }
    Ok(())
}

/// Sends a notification with data of one's own, a JSON object as its text. Server admins may, and logins with
/// that right.
///
/// # Errors
/// `Forbidden` for everybody else, and where one of the two is a child that does not know the other; `NotFound` when
/// there is no such person.
pub fn send(
    tx: &Tx<'_>,
    limits: &Limits,
    me: UserId,
    may_notify: bool,
    to: &Recipient,
    data: &str,
) -> Result<Notification> {
    let sender = store::user::find(tx, me)?.ok_or_else(Error::unauthorized)?;
    if !sender.admin && !may_notify {
        return Err(Error::forbidden("Only admins can send notifications"));
    }
    let found = match to {
        Recipient::Number(number) => store::user::find(tx, UserId(*number))?,
        Recipient::Uid(uid) => store::user::find_by_uid(tx, uid)?,
    };
    let found = found.ok_or_else(|| Error::not_found("userId: nobody has this id"))?;
    right::check_contact(tx, me, sender.admin, found.id)?;
    notify(tx, limits, found.id, &sender.person(), Notice::Custom(data.to_owned()))
}

/// Whom a notification is for, as its sender says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// By number.
    Number(i64),
    /// By wire id.
    Uid(String),
}

/// A page of somebody's notifications, newest first, and how many there are in all.
///
/// # Errors
/// Those of the storage.
pub fn list(db: &Db, me: UserId, start: u64, limit: u64) -> Result<(Vec<Notification>, u64)> {
    Ok((store::notification::list(db, me, start, limit)?, store::notification::count(db, me)?.0))
}

/// How many notifications somebody has not read.
///
/// # Errors
/// Those of the storage.
pub fn unread(db: &Db, me: UserId) -> Result<u64> {
    Ok(store::notification::count(db, me)?.1)
}

/// Marks one as read; doing so again changes nothing. Says how many were unread.
///
/// # Errors
/// `NotFound` when there is none of this number.
pub fn mark(tx: &Tx<'_>, limits: &Limits, me: UserId, id: i64) -> Result<u64> {
    let unread = store::notification::mark(tx, me, id)?;
    let unread = unread.ok_or_else(|| Error::not_found("Notification not found"))?;
    if unread {
        let keep = limits.notifications_per_user;
        store::room::append(tx, RoomId::inbox(me), me, Kind::NotificationRead(id), keep)?;
    }
    Ok(u64::from(unread))
}

/// Marks all as read. Says how many were unread.
///
/// # Errors
/// Those of the storage.
pub fn mark_all(tx: &Tx<'_>, limits: &Limits, me: UserId) -> Result<u64> {
    let count = store::notification::mark_all(tx, me)?;
    if count > 0 {
        let keep = limits.notifications_per_user;
        store::room::append(tx, RoomId::inbox(me), me, Kind::AllRead, keep)?;
    }
    Ok(count)
}

/// What one is notified of in a group.
///
/// # Errors
/// `Forbidden` for strangers.
pub fn choice(db: &Db, id: GroupId, me: UserId) -> Result<Choice> {
    group::place(db, id, me)?;
    store::notification::choice(db, id, me)?.ok_or_else(|| Error::forbidden("Not authorized"))
}

/// Chooses what one is notified of in a group; `change` gets the choice so far.
///
/// # Errors
/// `Forbidden` for strangers.
pub fn choose(tx: &Tx<'_>, id: GroupId, me: UserId, change: impl Fn(Choice) -> Choice) -> Result<Choice> {
    let chosen = change(choice(tx, id, me)?);
    store::notification::set_choice(tx, id, me, chosen)?;
    Ok(chosen)
}
