//! Entries' rows, and the days they are counted in.

use crate::domain::{Entry, EntryId, GroupId, Result, RoomId, Time, User, UserId};
use crate::store::{Db, Tx, time_at, user};
use rusqlite::{Row, params};
use std::cmp::Reverse;

/// The columns that [`from_row`] reads, in its order. The author's wire id comes from `user`.
macro_rules! entry_columns {
    () => {
        "entry.id, entry.user_id, user.uid, entry.group_id, entry.location, entry.thoughts, entry.logged_at, entry.created_at"
    };
}
pub(super) use entry_columns;

/// How many columns that are.
pub(super) const WIDTH: usize = 8;

/// The entry whose columns begin at `at`.
pub(super) fn from_row(row: &Row<'_>, at: usize) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: EntryId(row.get(at)?),
        user: UserId(row.get(at + 1)?),
        user_uid: row.get(at + 2)?,
        group: GroupId(row.get(at + 3)?),
        location: row.get(at + 4)?,
        thoughts: row.get(at + 5)?,
        logged_at: time_at(row, at + 6)?,
        created_at: time_at(row, at + 7)?,
    })
}

fn with_author(row: &Row<'_>) -> rusqlite::Result<(Entry, User)> {
    Ok((from_row(row, 0)?, user::from_row(row, WIDTH)?))
}

/// What is logged, once for each group.
pub struct NewEntry<'a> {
    /// The author.
    pub author: &'a User,
    /// Where.
    pub location: &'a str,
    /// What about it.
    pub thoughts: &'a str,
    /// When, by the author's word.
    pub logged_at: Time,
}

/// Stores one entry.
pub fn insert(tx: &Tx<'_>, new: &NewEntry<'_>, group: GroupId) -> Result<Entry> {
    let entry = Entry {
        id: EntryId::new(),
        user: new.author.id,
        user_uid: new.author.uid.clone(),
        group,
        location: new.location.to_owned(),
        thoughts: new.thoughts.to_owned(),
        logged_at: new.logged_at,
        created_at: tx.now(),
    };
    tx.execute(
        "INSERT INTO entry (id, group_id, user_id, location, thoughts, logged_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            entry.id.0,
            group.0,
            entry.user.0,
            entry.location,
            entry.thoughts,
            entry.logged_at.millis(),
            entry.created_at.millis()
        ],
    )?;
    Ok(entry)
}

/// How many entries a person has stored since `since`, one for each group.
pub fn count_since(db: &Db, user: UserId, since: Time) -> Result<u64> {
    let sql = "SELECT count(*) FROM entry WHERE id >= ?3 AND user_id = ?1 AND created_at >= ?2";
    db.only(sql, params![user.0, since.millis(), EntryId::first_of(since).0], |row| row.get(0))
}

/// An entry with its group's room.
pub fn find(db: &Db, id: EntryId) -> Result<Option<(RoomId, Entry)>> {
    let sql = concat!(
        r#"SELECT "#,
        entry_columns!(),
        r#", "group".room_id FROM entry JOIN user ON user.id = entry.user_id
           JOIN "group" ON "group".id = entry.group_id WHERE entry.id = ?1"#
    );
    db.one(sql, [id.0], |row| Ok((RoomId(row.get(WIDTH)?), from_row(row, 0)?)))
}

/// Whoever has written in a group.
pub fn authors(db: &Db, group: GroupId) -> Result<Vec<UserId>> {
    let sql = "SELECT DISTINCT user_id FROM entry WHERE group_id = ?1";
    db.all(sql, [group.0], |row| Ok(UserId(row.get(0)?)))
}

/// All entries of a group with their authors, newest stored first.
pub fn list(db: &Db, group: GroupId) -> Result<Vec<(Entry, User)>> {
    let sql = concat!(
        "SELECT ",
        entry_columns!(),
        ", ",
        user::user_columns!(),
        " FROM entry JOIN user ON user.id = entry.user_id WHERE entry.group_id = ?1 ORDER BY entry.id DESC"
    );
    db.all(sql, [group.0], with_author)
}

/// Where a page of the feed begins: after the entry with this time and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The entry's `loggedAt`.
    pub logged_at: i64,
    /// The entry's id.
    pub id: EntryId,
}

/// One page of entries.
pub struct Page {
    /// At most so many.
    pub limit: u64,
    /// After skipping so many.
    pub offset: u64,
    /// Beginning after this one, if given.
    pub after: Option<Cursor>,
}

/// A page of the entries of these groups, latest `loggedAt` first. Of the entries that are skipped
/// only the index is read.
pub fn page(db: &Db, groups: &[GroupId], page: &Page) -> Result<Vec<(Entry, User)>> {
    let sql = "SELECT logged_at, id FROM entry WHERE group_id = ?1 AND (logged_at, id) < (?2, ?3)
               ORDER BY logged_at DESC, id DESC LIMIT ?4";
    let after = page.after.unwrap_or(Cursor { logged_at: i64::MAX, id: EntryId([0xff; 16]) });
    let most = page.limit + page.offset;
    let mut keys: Vec<(i64, EntryId)> = Vec::new();
    for group in groups {
        let params = params![group.0, after.logged_at, after.id.0, most as i64];
        keys.extend(db.all(sql, params, |row| Ok((row.get(0)?, EntryId(row.get(1)?))))?);
    }
    keys.sort_unstable_by_key(|key| Reverse(*key));
    let wanted = keys.into_iter().skip(page.offset as usize).take(page.limit as usize);
    wanted.filter_map(|(_, id)| entry_with_author(db, id).transpose()).collect()
}

fn entry_with_author(db: &Db, id: EntryId) -> Result<Option<(Entry, User)>> {
    let sql = concat!(
        "SELECT ",
        entry_columns!(),
        ", ",
        user::user_columns!(),
        " FROM entry JOIN user ON user.id = entry.user_id WHERE entry.id = ?1"
    );
    db.one(sql, [id.0], with_author)
}

/// The newest entry's id, which all ids to come must follow.
pub fn newest(db: &Db) -> Result<Option<EntryId>> {
    db.only("SELECT max(id) FROM entry", [], |row| Ok(row.get::<_, Option<[u8; 16]>>(0)?.map(EntryId)))
}

/// Everything a person has written and still has, oldest first.
pub fn list_of(db: &Db, author: UserId) -> Result<Vec<Entry>> {
    let sql = concat!(
        "SELECT ",
        entry_columns!(),
        " FROM entry JOIN user ON user.id = entry.user_id WHERE entry.user_id = ?1 ORDER BY entry.id"
    );
    db.all(sql, [author.0], |row| from_row(row, 0))
}

/// Removes an entry with its reactions.
pub fn delete(tx: &Tx<'_>, id: EntryId) -> Result<()> {
    tx.execute("DELETE FROM entry WHERE id = ?1", [id.0])?;
    Ok(())
}

/// Blanks what a person wrote; that there was an entry stays.
pub fn blank_all(tx: &Tx<'_>, author: UserId) -> Result<()> {
    tx.execute("UPDATE entry SET location = '', thoughts = '' WHERE user_id = ?1", [author.0])?;
    Ok(())
}
