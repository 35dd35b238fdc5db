//! A look at the database from outside, beside a running server or without one, that leaves no trace: nothing is written,
//! no file is made, and none is left that belongs to somebody else. For `deuced status` and `deuced doctor`.

use crate::domain::{Result, Time};
use crate::store::backup::record::{self, Attempt};
use crate::store::backup::{self, Found};
use crate::store::{Db, cannot_open, has_log, migration};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{path::Path, time::Duration};

/// What is in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// People with an account.
    pub people: i64,
    /// Groups.
    pub groups: i64,
    /// Entries.
    pub entries: i64,
    /// When the newest entry was made, by the clock of then.
    pub newest_entry: Option<Time>,
    /// How many steps its tables have been through.
    pub step: usize,
}

/// Bytes that went to the card for one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What for.
    pub cause: String,
    /// On the last day that was counted, if that is today.
    pub today: i64,
    /// In the last seven days, today among them.
    pub week: i64,
}

/// How many steps this program knows.
pub const STEPS: usize = migration::STEPS.len();

/// Opens the database to look at it. `served` says that a server has it open, so that the files beside it are there and
/// in use.
///
/// # Errors
/// When it cannot be read.
pub fn open(path: &Path, served: bool) -> Result<Db> {
    let has_log = has_log(path);
    // Where nobody has it open, SQLite would make the two files beside it, or take what the log holds into the file.
    let ways: &[&str] = match (served, has_log) {
        (true, _) => &["mode=ro"],
        (false, true) => &["mode=ro&readonly_shm=1", "immutable=1"],
        (false, false) => &["immutable=1"],
    };
    let mut last = None;
    for way in ways {
        match try_open(path, way) {
            Ok(db) => return Ok(db),
            Err(error) => last = Some(error),
        }
    }
    Err(cannot_open(path, last.expect("there is a way to try")))
}

fn try_open(path: &Path, way: &str) -> rusqlite::Result<Db> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri(path, way), flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let db = Db { connection, path: path.to_owned(), around: None };
    db.prepare_connection("PRAGMA query_only = ON;")?;
    // Opening reads nothing yet.
    db.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(db)
}

/// A path in the form that takes settings along.
pub(super) fn uri(path: &Path, way: &str) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte))
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri + "?" + way
}

/// Says what is in it.
///
/// # Errors
/// When the file belongs to another program or a newer version, or cannot be read.
pub fn at(db: &Db) -> Result<Look> {
    migration::recognise(&db.connection)?;
    let step = db.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let count = |sql: &str| db.only(sql, [], |row| row.get(0));
    // An entry's id begins with its time.
    let newest: Option<Vec<u8>> = db.only("SELECT max(id) FROM entry", [], |row| row.get(0))?;
    let newest_entry = newest.filter(|id| id.len() >= 6).and_then(|id| {
        Time::from_millis(id[..6].iter().fold(0, |millis, byte| millis << 8 | i64::from(*byte)))
    });
    Ok(Look {
        people: count("SELECT count(*) FROM user WHERE deleted_at IS NULL")?,
        groups: count("SELECT count(*) FROM \"group\"")?,
        entries: count("SELECT count(*) FROM entry")?,
        newest_entry,
        step,
    })
}

/// Looks for damage, for so long at most: what was found, and whether all of it was looked at.
///
/// # Errors
/// When it cannot be read.
pub fn damage(db: &Db, most: Duration) -> Result<(Option<String>, bool)> {
    match backup::quick_check(&db.connection, most) {
        Ok(Found::Nothing) => Ok((None, true)),
        Ok(Found::NothingSoFar) => Ok((None, false)),
        Ok(Found::Damage(damage)) => Ok((Some(damage.lines().next().unwrap_or_default().to_owned()), true)),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
            Ok((Some(error.to_string()), true))
        }
        Err(error) => Err(error.into()),
    }
}

/// The newest copy that was made and verified, and the newest attempt.
///
/// # Errors
/// Those of the storage.
pub fn backups(db: &Db) -> Result<(Option<Attempt>, Option<Attempt>)> {
    if !has_table(db, "backup")? {
        return Ok((None, None));
    }
    Ok((record::verified(db)?, record::last(db)?))
}

/// What went to the card today and in the last seven days, by cause, the most first.
///
/// # Errors
/// Those of the storage.
pub fn written(db: &Db, now: Time) -> Result<Vec<Written>> {
    if !has_table(db, "written")? {
        return Ok(Vec::new());
    }
    let today = now.millis().div_euclid(86_400_000);
    let sql = "SELECT cause, coalesce(sum(bytes) FILTER (WHERE day = ?1), 0), sum(bytes) FROM written
               WHERE day > ?1 - 7 AND day <= ?1 GROUP BY cause ORDER BY 3 DESC, 1";
    db.all(sql, [today], |row| Ok(Written { cause: row.get(0)?, today: row.get(1)?, week: row.get(2)? }))
}

fn has_table(db: &Db, name: &str) -> Result<bool> {
    db.only("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)", [name], |row| {
        row.get(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder of its own, gone with the value.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("deuced-look-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        /// The names and sizes of all files, and when they were changed.
        fn listed(&self) -> Vec<(String, u64, std::time::SystemTime)> {
            let mut listed: Vec<_> = fs::read_dir(&self.0)
                .unwrap()
                .flatten()
                .map(|file| {
                    let about = file.metadata().unwrap();
                    (file.file_name().to_string_lossy().into_owned(), about.len(), about.modified().unwrap())
                })
                .collect();
            listed.sort();
            listed
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_look_leaves_no_trace_and_sees_what_is_in_the_log() {
        let folder = Folder::new("no trace? 100%#");
        let path = folder.0.join("deuced.db");
        let insert = "INSERT INTO user (uid, username, created_at, updated_at) VALUES ('a', 'a', 0, 0)";
        let writer = Db::open(&path).unwrap();
        writer.connection.execute(insert, []).unwrap();
        let people = |served| at(&open(&path, served).unwrap()).unwrap().people;
        assert_eq!(people(true), 1, "beside whoever writes");
        // As a killed server leaves it: a log that is in no file yet.
        let left = Folder::new("left");
        for name in ["deuced.db", "deuced.db-wal", "deuced.db-shm"] {
            fs::copy(folder.0.join(name), left.0.join(name)).unwrap();
        }
        assert!(left.0.join("deuced.db-wal").metadata().unwrap().len() > 0);
        let before = left.listed();
        assert_eq!(at(&open(&left.0.join("deuced.db"), false).unwrap()).unwrap().people, 1);
        assert_eq!(left.listed(), before);
        // Stopped in order: one file, and it stays one.
        drop(writer);
        let before = folder.listed();
        assert_eq!(before.len(), 1, "{before:?}");
        assert_eq!(people(false), 1);
        let db = open(&path, false).unwrap();
        assert_eq!(damage(&db, Duration::from_secs(9)).unwrap(), (None, true));
        assert_eq!(written(&db, Time::now()).unwrap(), []);
        assert_eq!(backups(&db).unwrap(), (None, None));
        drop(db);
        assert_eq!(folder.listed(), before);
    }

    #[test]
    fn backups_and_writes_are_told() {
        let folder = Folder::new("told");
        let path = folder.0.join("deuced.db");
        let db = Db::open(&path).unwrap();
        let day = 20_000;
        db.connection
            .execute_batch(&format!(
                "INSERT INTO backup (at, path, bytes, took_millis, failure) VALUES (1000, 'a', 5, 1, NULL), (2000, 'b', 0, 1, 'full');
                 INSERT INTO written VALUES ({day}, 'entry', 10), ({day} - 1, 'entry', 100), ({day} - 6, 'login', 3), ({day} - 7, 'login', 900)"
            ))
            .unwrap();
        let (good, last) = backups(&db).unwrap();
        assert_eq!((good.unwrap().path, last.unwrap().failure), ("a".to_owned(), Some("full".to_owned())));
        let now = Time::from_millis(day * 86_400_000 + 5).unwrap();
        let of = |cause: &str, today, week| Written { cause: cause.to_owned(), today, week };
        assert_eq!(written(&db, now).unwrap(), [of("entry", 10, 110), of("login", 0, 3)]);
    }
}
