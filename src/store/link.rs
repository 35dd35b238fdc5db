//! Rows of the links that let people choose a password.

use crate::domain::{Result, Time, UserId};
use crate::store::{Db, Tx};
use rusqlite::params;

/// Stores a link under its secret's hash. A person has one at a time: an earlier one is good for nothing any more.
pub fn insert(tx: &Tx<'_>, user: UserId, hash: &[u8; 32], expires_at: Time) -> Result<()> {
    tx.execute(
        "DELETE FROM link WHERE user_id = ?1 OR expires_at <= ?2",
        params![user.0, tx.now().millis()],
    )?;
    let sql = "INSERT INTO link (hash, user_id, expires_at) VALUES (?1, ?2, ?3)";
    tx.execute(sql, params![hash, user.0, expires_at.millis()])?;
    Ok(())
}

/// Whose link this is; `None` when it has ended, or when its person cannot log in.
pub fn find(db: &Db, hash: &[u8; 32], now: Time) -> Result<Option<UserId>> {
    let sql = "SELECT link.user_id FROM link JOIN user ON user.id = link.user_id
               WHERE link.hash = ?1 AND link.expires_at > ?2
                 AND user.disabled_at IS NULL AND user.deleted_at IS NULL";
    db.one(sql, params![hash, now.millis()], |row| Ok(UserId(row.get(0)?)))
}

/// Takes a person's link away.
pub fn delete_of(tx: &Tx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM link WHERE user_id = ?1", [user.0])?;
    Ok(())
}
