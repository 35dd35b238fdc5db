//! Reactions' rows.

use crate::domain::{EntryId, Reaction, Result, Time, UserId};
use crate::store::{Db, Tx, time_at, user};
use rusqlite::params;

/// Stores a reaction and returns its number; `None` when the person gave this one already.
pub fn insert(tx: &Tx<'_>, entry: EntryId, user: UserId, emoji: &str) -> Result<Option<i64>> {
    let sql = "INSERT INTO reaction (entry_id, user_id, emoji, created_at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO NOTHING RETURNING id";
    tx.one(sql, params![entry.0, user.0, emoji, tx.now().millis()], |row| row.get(0))
}

/// Removes a reaction; `false` when there was none.
pub fn delete(tx: &Tx<'_>, entry: EntryId, user: UserId, emoji: &str) -> Result<bool> {
    let sql = "DELETE FROM reaction WHERE entry_id = ?1 AND user_id = ?2 AND emoji = ?3";
    Ok(tx.execute(sql, params![entry.0, user.0, emoji])? == 1)
}

/// Removes everything a person reacted with.
pub fn delete_of(tx: &Tx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM reaction WHERE user_id = ?1", [user.0])?;
    Ok(())
}

/// How many reactions an entry has.
pub fn count(db: &Db, entry: EntryId) -> Result<u64> {
    db.only("SELECT count(*) FROM reaction WHERE entry_id = ?1", [entry.0], |row| row.get(0))
}

/// The reactions to an entry, oldest first.
pub fn list(db: &Db, entry: EntryId) -> Result<Vec<Reaction>> {
    let sql = concat!(
        "SELECT reaction.id, reaction.emoji, reaction.created_at, ",
        user::user_columns!(),
        " FROM reaction JOIN user ON user.id = reaction.user_id WHERE reaction.entry_id = ?1 ORDER BY reaction.id"
    );
    db.all(sql, [entry.0], |row| {
        Ok(Reaction {
            id: row.get(0)?,
            entry,
            emoji: row.get(1)?,
            created_at: time_at(row, 2)?,
            user: user::from_row(row, 3)?,
        })
    })
}

/// What a person reacted with, oldest first: the entry, the emoji, when.
pub fn list_of(db: &Db, user: UserId) -> Result<Vec<(EntryId, String, Time)>> {
    let sql = "SELECT entry_id, emoji, created_at FROM reaction WHERE user_id = ?1 ORDER BY id";
    db.all(sql, [user.0], |row| Ok((EntryId(row.get(0)?), row.get(1)?, time_at(row, 2)?)))
}
