//! Answers already given under a key.

use crate::domain::{Result, UserId};
use crate::store::{Db, Tx};
use rusqlite::params;

/// An answer that was given before.
pub struct Given {
    /// The hash of the request it was given to.
    pub request: [u8; 32],
    /// The answer, as it was sent.
    pub answer: String,
}

/// The answer given under a key since `hours` ago.
pub fn find(db: &Db, user: UserId, key: &str, now: crate::domain::Time, hours: u64) -> Result<Option<Given>> {
    let since = now.plus_seconds(-(hours as i64) * 3600).millis();
    let sql = "SELECT request, answer FROM idempotency WHERE user_id = ?1 AND key = ?2 AND at > ?3";
    db.one(sql, params![user.0, key, since], |row| Ok(Given { request: row.get(0)?, answer: row.get(1)? }))
}

/// Remembers an answer, and forgets those that are too old or too many.
pub fn insert(tx: &Tx<'_>, user: UserId, key: &str, given: &Given, hours: u64, keep: u64) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "DELETE FROM idempotency WHERE at <= ?1",
        [now.plus_seconds(-(hours as i64) * 3600).millis()],
    )?;
    let sql =
        "INSERT OR REPLACE INTO idempotency (user_id, key, request, answer, at) VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.execute(sql, params![user.0, key, given.request, given.answer, now.millis()])?;
    let sql = "DELETE FROM idempotency WHERE user_id = ?1 AND ?2 < (SELECT count(*) FROM idempotency WHERE user_id = ?1)
               AND at = (SELECT min(at) FROM idempotency WHERE user_id = ?1) AND key <> ?3";
    tx.execute(sql, params![user.0, keep as i64, key])?;
    Ok(())
}

/// Forgets a person's answers that say something, such as an entry's id: what was taken back must
/// not be told again.
pub fn forget(tx: &Tx<'_>, user: UserId, said: &str) -> Result<()> {
    tx.execute("DELETE FROM idempotency WHERE user_id = ?1 AND instr(answer, ?2)", params![user.0, said])?;
    Ok(())
}
