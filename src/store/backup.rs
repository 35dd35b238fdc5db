//! Copies of the whole diary: one file each, with the pictures in it, and verified before it gets its name.
//!
//! A copy is an ordinary database of this program, with one table more for the pictures, so that whatever
//! reads SQLite can read it in twenty years, too.

use crate::domain::{Error, Result};
use crate::store::{Db, migration};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, params};
use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Pages copied at a time, and the rest between two such steps: the card is the server's first.
const PAGES: std::ffi::c_int = 256;
const REST: Duration = Duration::from_millis(5);

/// The table of a copy that the diary itself does not have.
const PICTURES: &str = "backup_picture";

/// What is in a database: how many rows each table has, and how far the logs have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    rows: Vec<(String, i64)>,
    log_heads: i64,
}

impl Summary {
    fn of(db: &Connection) -> rusqlite::Result<Summary> {
        let sql =
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                   AND name <> ?1 ORDER BY name";
        let mut tables = db.prepare(sql)?;
        let names: Vec<String> =
            tables.query_map([PICTURES], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let mut rows = Vec::new();
        for name in names {
            let count = db.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0))?;
            rows.push((name, count));
        }
        let sql = "SELECT coalesce(sum(head), 0) FROM (SELECT max(seq) AS head FROM event GROUP BY room_id)";
        let log_heads = db.query_row(sql, [], |row| row.get(0))?;
        Ok(Summary { rows, log_heads })
    }

    /// How many rows a table has.
    pub fn rows(&self, table: &str) -> i64 {
        self.rows.iter().find(|(name, _)| name == table).map_or(0, |(_, count)| *count)
    }

    /// How many rows all tables have together.
    pub fn all_rows(&self) -> i64 {
        self.rows.iter().map(|(_, count)| count).sum()
    }
}

/// Copies the database, which may be in use, and the pictures its people have, into one new file. The copy
/// holds everything that was acknowledged before this began. It appears under its name only when it has
/// been verified and is on the card.
///
/// # Errors
/// When something cannot be read or written, or the copy is not what it was copied from; no file is left then.
pub fn make(database: &Path, pictures: &Path, target: &Path) -> Result<Summary> {
    if target.exists() {
        return Err(Error::invalid(format!("{} exists already", target.display())));
    }
    let partial = with_ending(target, ".partial");
    let made = remove(&partial).and_then(|()| {
        let summary = copy(database, &partial)?;
        take_pictures_in(&partial, pictures)?;
        let verified = verify(&partial)?;
        match verified == summary {
            true => finish(&partial, target).map(|()| summary),
            false => Err(Error::internal(format!("the copy differs: {summary:?} became {verified:?}"))),
        }
    });
    if made.is_err() {
        let _ = remove(&partial);
    }
    made
}

/// Whether a copy is whole, and one that this program can use; says what is in it.
///
/// # Errors
/// When it is damaged, belongs to another program, or is of a newer version.
pub fn verify(path: &Path) -> Result<Summary> {
    let failed = |error: rusqlite::Error| broken(path, &error.to_string());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    migration::recognise(&db).map_err(|error| error.because(path.display()))?;
    let sound: String = db.pragma_query_value(None, "integrity_check", |row| row.get(0)).map_err(failed)?;
    if sound != "ok" {
        return Err(broken(path, &sound));
    }
    let mut orphans = db.prepare("PRAGMA foreign_key_check").map_err(failed)?;
    if orphans.exists([]).map_err(failed)? {
        return Err(broken(path, "a row refers to one that is missing"));
    }
    Summary::of(&db).map_err(failed)
}

/// Looks for damage, for so long at most: what a server does before it trusts its file.
///
/// # Errors
/// When damage was found. The file stays as it is.
pub fn check(path: &Path, most: Duration) -> Result<()> {
    if most.is_zero() || !path.exists() {
        return Ok(());
    }
    let failed = |error: rusqlite::Error| broken(path, &error.to_string());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    let begin = Instant::now();
    db.progress_handler(10_000, Some(move || begin.elapsed() > most)).map_err(failed)?;
    match db.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0)) {
        Ok(sound) if sound == "ok" => Ok(()),
        Ok(damage) => Err(broken(path, &damage)),
        // Time is up, and nothing was found so far.
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn broken(path: &Path, what: &str) -> Error {
    let what = what.lines().next().unwrap_or_default();
    Error::unavailable(format!("{} is damaged ({what}); it was left as it is", path.display()))
}

fn copy(database: &Path, partial: &Path) -> Result<Summary> {
    let source = Db::open_reader(database)?;
    let source = &source.connection;
    // One look at the file for all of it: writers go on beside, and the copy does not begin anew for them.
    source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
    let summary = Summary::of(source)?;
    let mut target = Connection::open(partial)?;
    {
        let copying = Backup::new(source, &mut target)?;
        while copying.step(PAGES)? != StepResult::Done {
            std::thread::sleep(REST);
        }
    }
    source.execute_batch("COMMIT")?;
    // One file, not three.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(summary)
}

/// Puts the files of the pictures that somebody has into the copy. One that is missing was replaced meanwhile.
fn take_pictures_in(partial: &Path, folder: &Path) -> Result<()> {
    let mut db = Connection::open(partial)?;
    let tx = db.transaction()?;
    tx.execute_batch(&format!(
        "CREATE TABLE {PICTURES} (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;"
    ))?;
    let paths: Vec<String> = tx
        .prepare("SELECT picture FROM user WHERE picture IS NOT NULL")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for path in paths {
        let Some(name) = path.rsplit('/').next() else { continue };
        match fs::read(folder.join(name)) {
            Ok(bytes) => {
                tx.execute(&format!("INSERT INTO {PICTURES} VALUES (?1, ?2)"), params![name, bytes])?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(cannot_write(&folder.join(name), &error)),
        }
    }
    tx.commit()?;
    Ok(())
}

/// Has the file on the card, then gives it its name, and has that on the card, too.
fn finish(partial: &Path, target: &Path) -> Result<()> {
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync(partial)
        .and_then(|()| fs::rename(partial, target))
        .and_then(|()| sync(folder))
        .map_err(|error| cannot_write(target, &error))
}

/// A copy of a database as it was before its tables are changed; the two newest such copies stay.
pub(super) fn before_migration(path: &Path, step: usize) -> Result<()> {
    const KEPT: usize = 2;
    let target = with_ending(path, &format!(".before-step-{step:04}"));
    remove(&target)?;
    make(path, &path.with_file_name("pictures"), &target)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let begin = format!("{}.before-step-", path.file_name().unwrap_or_default().to_string_lossy());
    let listed = fs::read_dir(folder).map_err(|error| cannot_write(folder, &error))?;
    let mut copies: Vec<PathBuf> = listed
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().starts_with(&begin))
        .map(|file| file.path())
        .collect();
    copies.sort();
    copies.iter().rev().skip(KEPT).try_for_each(|old| remove(old))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot_write(path, &error)),
        _ => Ok(()),
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::unavailable(format!("{}: {error}", path.display()))
}
