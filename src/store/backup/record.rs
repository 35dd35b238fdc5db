//! What is remembered of copies: each attempt to make one, and when the owners were warned.

use crate::domain::{Result, Time};
use crate::store::{Db, Tx, condition::Copy, time_at};
use rusqlite::{Row, params};
use std::path::PathBuf;

/// So many attempts are remembered, and the newest that succeeded.
const REMEMBERED: i64 = 100;

/// An attempt to make a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began: the copy holds what was answered before.
    pub at: Time,
    /// Where the copy is, or was to be.
    pub path: String,
    /// How large it is.
    pub bytes: u64,
    /// How long it took.
    pub took_millis: u64,
    /// Why there is none; `None` where it was made and verified.
    pub failure: Option<String>,
    /// Whether the owners were told of the failure.
    pub told: bool,
}

const COLUMNS: &str = "SELECT at, path, bytes, took_millis, failure, told FROM backup";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        at: time_at(row, 0)?,
        path: row.get(1)?,
        bytes: row.get::<_, i64>(2)? as u64,
        took_millis: row.get::<_, i64>(3)? as u64,
        failure: row.get(4)?,
        told: row.get(5)?,
    })
}

/// Remembers an attempt, and forgets the oldest.
pub fn insert(tx: &Tx<'_>, attempt: &Attempt) -> Result<()> {
    tx.execute(
        "INSERT INTO backup (at, path, bytes, took_millis, failure, told) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            attempt.at.millis(),
            attempt.path,
            attempt.bytes as i64,
            attempt.took_millis as i64,
            attempt.failure,
            attempt.told
        ],
    )?;
    let sql = "DELETE FROM backup WHERE id <= (SELECT max(id) FROM backup) - ?1
               AND id IS NOT (SELECT max(id) FROM backup WHERE failure IS NULL)";
    tx.execute(sql, [REMEMBERED])?;
    Ok(())
}

/// The last attempt.
pub fn last(db: &Db) -> Result<Option<Attempt>> {
    db.one(&format!("{COLUMNS} ORDER BY id DESC LIMIT 1"), [], from_row)
}

/// The newest attempt that succeeded.
pub fn verified(db: &Db) -> Result<Option<Attempt>> {
    db.one(&format!("{COLUMNS} WHERE failure IS NULL ORDER BY id DESC LIMIT 1"), [], from_row)
}

/// The newest copy that was verified, if it is still where it was made.
pub fn newest_copy(db: &Db) -> Option<Copy> {
    let sql = format!("{COLUMNS} WHERE failure IS NULL ORDER BY id DESC LIMIT 20");
    let made = db.all(&sql, [], from_row).unwrap_or_default();
    let mut copies = made.into_iter().map(|made| Copy { path: PathBuf::from(made.path), at: made.at });
    copies.find(|copy| copy.path.is_file())
}

/// The newest failure that the owners were told of, if nothing has succeeded since.
pub fn told(db: &Db) -> Result<Option<Attempt>> {
    let sql = format!(
        "{COLUMNS} WHERE told = 1 AND id > coalesce((SELECT max(id) FROM backup WHERE failure IS NULL), 0)
         ORDER BY id DESC LIMIT 1"
    );
    db.one(&sql, [], from_row)
}

/// When the owners were last warned, if they are.
pub fn warned_at(db: &Db) -> Result<Option<Time>> {
    db.one("SELECT at FROM backup_warning", [], |row| time_at(row, 0))
}

/// Remembers that they were warned now, or with `None` that there is nothing to warn of.
pub fn set_warned(tx: &Tx<'_>, at: Option<Time>) -> Result<()> {
    tx.execute("DELETE FROM backup_warning", [])?;
    if let Some(at) = at {
        tx.execute("INSERT INTO backup_warning (at) VALUES (?1)", [at.millis()])?;
    }
    Ok(())
}

/// When the first account was made: since then there has been something to lose.
pub fn begin(db: &Db) -> Result<Option<Time>> {
    let oldest = db.one("SELECT min(created_at) FROM user", [], |row| row.get::<_, Option<i64>>(0))?;
    Ok(oldest.flatten().and_then(Time::from_millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::test::in_tx;

    fn attempt(at: i64, failure: Option<&str>) -> Attempt {
        let at = Time::from_millis(at).unwrap();
        let failure = failure.map(str::to_owned);
        Attempt { at, path: "/x".into(), bytes: 7, took_millis: 8, told: failure.is_some(), failure }
    }

    #[test]
    fn the_newest_success_is_remembered_behind_any_number_of_failures() {
        in_tx(|tx| {
            assert!(last(tx).unwrap().is_none() && verified(tx).unwrap().is_none());
            let good = attempt(1, None);
            insert(tx, &good).unwrap();
            assert!(told(tx).unwrap().is_none());
            (2..300).for_each(|at| insert(tx, &attempt(at, Some("full"))).unwrap());
            assert_eq!(verified(tx).unwrap(), Some(good));
            assert_eq!(last(tx).unwrap(), Some(attempt(299, Some("full"))));
            assert_eq!(told(tx).unwrap(), last(tx).unwrap());
            let count: i64 = tx.only("SELECT count(*) FROM backup", [], |row| row.get(0)).unwrap();
            assert_eq!(count, REMEMBERED + 1);
            insert(tx, &attempt(300, None)).unwrap();
            assert!(told(tx).unwrap().is_none(), "over with the next that succeeds");
        });
    }
}
