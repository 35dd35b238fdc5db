//! Places' rows.

use crate::domain::{Location, Result, UserId};
use crate::store::{Db, Tx, time_at};
use rusqlite::{Row, params};

fn from_row(row: &Row<'_>) -> rusqlite::Result<Location> {
    let created_by: Option<String> = row.get(2)?;
    Ok(Location {
        id: row.get(0)?,
        name: row.get(1)?,
        is_default: created_by.is_none(),
        created_by,
        created_at: time_at(row, 3)?,
    })
}

/// The places a person is offered: their own, then those of everybody, each by name.
pub fn list(db: &Db, user: UserId) -> Result<Vec<Location>> {
    let sql = "SELECT location.id, location.name, user.uid, location.created_at
               FROM location LEFT JOIN user ON user.id = location.created_by
               WHERE location.created_by IS NULL OR location.created_by = ?1
               ORDER BY location.created_by IS NULL, location.name, location.id";
    db.all(sql, [user.0], from_row)
}

/// Adds a place; `None` when the person is offered one of exactly this name already.
pub fn insert(tx: &Tx<'_>, user: UserId, uid: &str, name: &str) -> Result<Option<Location>> {
    let sql = "INSERT INTO location (name, created_by, created_at)
               SELECT ?1, ?2, ?3 WHERE NOT EXISTS
                   (SELECT 1 FROM location WHERE name = ?1 AND (created_by IS NULL OR created_by = ?2))
               RETURNING id";
    let id = tx.one(sql, params![name, user.0, tx.now().millis()], |row| row.get(0))?;
    Ok(id.map(|id| Location {
        id,
        name: name.to_owned(),
        is_default: false,
        created_by: Some(uid.to_owned()),
        created_at: tx.now(),
    }))
}

/// How many places a person has added.
pub fn count(db: &Db, user: UserId) -> Result<u64> {
    db.only("SELECT count(*) FROM location WHERE created_by = ?1", [user.0], |row| row.get(0))
}
