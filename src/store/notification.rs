//! Notifications' rows, which are events of their persons' inboxes.

use crate::domain::notification::{Choice, Notification};
use crate::domain::{GroupId, Kind, Person, Result, RoomId, UserId};
use crate::store::room::{event_query, from_row};
use crate::store::{Db, Tx, deuce, user};
use rusqlite::params;

/// A person's notifications, newest first: at most `limit` of them, after the first `offset`.
pub fn list(db: &Db, of: UserId, offset: u64, limit: u64) -> Result<Vec<Notification>> {
    let sql = concat!(
        event_query!(),
        " AND event.kind BETWEEN 20 AND 24 ORDER BY event.seq DESC LIMIT ?2 OFFSET ?3"
    );
    let inbox = RoomId::inbox(of);
    let params = params![inbox.0, limit as i64, i64::try_from(offset).unwrap_or(i64::MAX)];
    let events = db.all(sql, params, |row| from_row(inbox, row))?;
    let notifications = events.into_iter().filter_map(|event| match event.kind {
        Kind::Notified(notification) => Some(*notification),
        _ => None,
    });
    Ok(notifications.collect())
}

/// How many notifications a person has, and how many of them were not read.
pub fn count(db: &Db, of: UserId) -> Result<(u64, u64)> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE state = 0) FROM event
               WHERE room_id = ?1 AND kind BETWEEN 20 AND 24";
    db.only(sql, [RoomId::inbox(of).0], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Marks one as read. Says whether it was unread; `None` when there is none of this number.
pub fn mark(tx: &Tx<'_>, of: UserId, id: i64) -> Result<Option<bool>> {
    let params = params![RoomId::inbox(of).0, id];
    let sql = "SELECT state = 0 FROM event WHERE room_id = ?1 AND seq = ?2 AND kind BETWEEN 20 AND 24";
    let unread = tx.one(sql, params, |row| row.get(0))?;
    if unread == Some(true) {
        tx.execute("UPDATE event SET state = 1 WHERE room_id = ?1 AND seq = ?2", params)?;
    }
    Ok(unread)
}

/// Marks all as read, and says how many were not.
pub fn mark_all(tx: &Tx<'_>, of: UserId) -> Result<u64> {
    let sql = "UPDATE event SET state = 1 WHERE room_id = ?1 AND kind BETWEEN 20 AND 24 AND state = 0";
    Ok(tx.execute(sql, [RoomId::inbox(of).0])? as u64)
}

/// The other members of a group, each with what they want to be notified of there.
pub fn choices(db: &Db, group: GroupId, except: UserId) -> Result<Vec<(Person, Choice)>> {
    let sql = concat!(
        "SELECT member.notify, ",
        user::person_columns!("user"),
        " FROM member JOIN user ON user.id = member.user_id WHERE member.group_id = ?1 AND member.user_id <> ?2"
    );
    let rows = db.all(sql, params![group.0, except.0], |row| {
        Ok((user::person_from_row(row, 1)?, Choice::from_bits(row.get(0)?)))
    })?;
    Ok(rows.into_iter().filter_map(|(person, choice)| Some((person?, choice))).collect())
}

/// What a member wants to be notified of; `None` for who is none.
pub fn choice(db: &Db, group: GroupId, user: UserId) -> Result<Option<Choice>> {
    let sql = "SELECT notify FROM member WHERE user_id = ?2 AND group_id = ?1";
    db.one(sql, params![group.0, user.0], |row| row.get(0).map(Choice::from_bits))
}

/// Changes what a member wants to be notified of.
pub fn set_choice(tx: &Tx<'_>, group: GroupId, user: UserId, choice: Choice) -> Result<()> {
    let sql = "UPDATE member SET notify = ?3 WHERE user_id = ?2 AND group_id = ?1";
    tx.execute(sql, params![group.0, user.0, choice.bits()])?;
    Ok(())
}
