//! What is in a database file: how many rows, how far the logs have come, and a sum over all of it by which one
//! changed bit is seen.

use crate::domain::{Code, Error, Result, Time};
use crate::store::migration;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use sha2::{Digest, Sha256};
use std::path::Path;

/// The tables of a copy that the diary itself does not have: its pictures, and what it says about itself.
pub(in crate::store) const PICTURES: &str = "backup_picture";
pub(in crate::store) const ABOUT: &str = "backup_about";

/// How many rows each table has, and how far the log of each room has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    rows: Vec<(String, i64)>,
    heads: Vec<(i64, i64)>,
}

/// What a copy says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// When it was made.
    pub made_at: Option<Time>,
    /// The version that made it.
    pub version: String,
    /// Which diary it is of; empty for one that no server had served yet.
    pub diary: String,
    /// The sum over everything in it.
    sum: String,
}

/// A copy that was found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// What it says about itself; a plain database says nothing.
    pub about: Option<About>,
    /// How many rows it has.
    pub summary: Summary,
    /// How many pictures are in it.
    pub pictures: u64,
    /// When its newest entry was stored.
    pub newest_entry: Option<Time>,
    /// The last migration step that was done to it.
    pub step: usize,
    /// Its size.
    pub bytes: u64,
}

impl Summary {
    /// What a database has in its tables, those that only copies have aside.
    pub(in crate::store) fn of(db: &Connection) -> rusqlite::Result<Summary> {
        let mut rows = Vec::new();
        for name in tables(db)?.into_iter().filter(|name| name != PICTURES && name != ABOUT) {
            let count = db.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0))?;
            rows.push((name, count));
        }
        let mut heads = Vec::new();
        if rows.iter().any(|(name, _)| name == "event") {
            // A look at the end of each log, where grouping would read all of it.
            let sql = "SELECT id, (SELECT max(seq) FROM event WHERE room_id = room.id) AS head FROM room
                       WHERE head IS NOT NULL ORDER BY id";
            let mut statement = db.prepare(sql)?;
            let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            heads = found.collect::<rusqlite::Result<_>>()?;
        }
        Ok(Summary { rows, heads })
    }

    /// How many rows a table has.
    pub fn rows(&self, table: &str) -> i64 {
        self.rows.iter().find(|(name, _)| name == table).map_or(0, |(_, count)| *count)
    }

    /// How many rows all tables have together.
    pub fn all_rows(&self) -> i64 {
        self.rows.iter().map(|(_, count)| count).sum()
    }

    /// Where two differ, in words; `None` where they do not.
    pub(in crate::store) fn difference(&self, other: &Summary) -> Option<String> {
        let lost = |a: &Summary, b: &Summary| {
            let row = a.rows.iter().find(|row| !b.rows.contains(row))?;
            Some(format!("{} has {} rows here and {} there", row.0, row.1, b.rows(&row.0)))
        };
        let rows = lost(self, other).or_else(|| lost(other, self));
        rows.or_else(|| (self.heads != other.heads).then(|| "the logs end at different events".to_owned()))
    }
}

/// The tables by name, SQLite's own aside.
fn tables(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
               ORDER BY name";
    db.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// Whether there is such a table.
pub(in crate::store) fn has(db: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
    db.query_row(sql, [table], |row| row.get(0))
}

/// A sum over every value of every row, pictures included, in whatever order they are read. SQLite's own check looks
/// at how pages hang together, not at the letters on them.
fn sum(db: &Connection) -> rusqlite::Result<String> {
    let mut total = [0_u64; 4];
    for table in tables(db)?.into_iter().filter(|name| name != ABOUT) {
        let mut statement = db.prepare(&format!("SELECT * FROM \"{table}\""))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut digest = Sha256::new();
            digest.update(table.as_bytes());
            for column in 0..columns {
                add(&mut digest, row.get_ref(column)?);
            }
            let digest = digest.finalize();
            for (part, bytes) in total.iter_mut().zip(digest.chunks_exact(8)) {
                *part = part.wrapping_add(u64::from_be_bytes(bytes.try_into().expect("eight bytes")));
            }
        }
    }
    Ok(total.iter().map(|part| format!("{part:016x}")).collect())
}

fn add(digest: &mut Sha256, value: ValueRef<'_>) {
    let mut field = |kind: u8, bytes: &[u8]| {
        digest.update([kind]);
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    match value {
        ValueRef::Null => field(0, &[]),
        ValueRef::Integer(number) => field(1, &number.to_be_bytes()),
        ValueRef::Real(number) => field(2, &number.to_bits().to_be_bytes()),
        ValueRef::Text(text) => field(3, text),
        ValueRef::Blob(bytes) => field(4, bytes),
    }
}

/// Which diary this is: the same in every copy of it, and nothing by which one could log in. Empty for one that no
/// server has served yet.
pub(in crate::store) fn diary(db: &Connection) -> rusqlite::Result<String> {
    let key: Option<Vec<u8>> = match has(db, "secret")? {
        true => {
            db.query_row("SELECT value FROM secret WHERE name = 'token'", [], |row| row.get(0)).optional()?
        }
        false => None,
    };
    let Some(key) = key else { return Ok(String::new()) };
    let digest = Sha256::new_with_prefix("which diary this is").chain_update(key).finalize();
    Ok(digest[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Has a copy say what it is. The last thing that is written into it.
pub(in crate::store) fn sign(db: &Connection, now: Time) -> rusqlite::Result<()> {
    let about = [
        ("made_at", now.millis().to_string()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("diary", diary(db)?),
        ("sum", sum(db)?),
    ];
    db.execute_batch(&format!("CREATE TABLE {ABOUT} (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"))?;
    about.iter().try_for_each(|(name, value)| {
        db.execute(&format!("INSERT INTO {ABOUT} VALUES (?1, ?2)"), [*name, value.as_str()]).map(|_| ())
    })
}

/// What a copy says about itself, if it does.
pub(in crate::store) fn about(db: &Connection) -> rusqlite::Result<Option<About>> {
    if !has(db, ABOUT)? {
        return Ok(None);
    }
    let value = |name: &str| {
        let sql = format!("SELECT value FROM {ABOUT} WHERE name = ?1");
        Ok::<String, rusqlite::Error>(
            db.query_row(&sql, [name], |row| row.get(0)).optional()?.unwrap_or_default(),
        )
    };
    let made_at = value("made_at")?.parse().ok().and_then(Time::from_millis);
    Ok(Some(About { made_at, version: value("version")?, diary: value("diary")?, sum: value("sum")? }))
}

/// The files of the pictures that people have, by name.
pub(in crate::store) fn picture_names(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare("SELECT picture FROM user WHERE picture IS NOT NULL")?;
    let name = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
    statement.query_map([], |row| row.get(0).map(name))?.collect()
}

/// Opens a file for reading, whatever else it is.
///
/// # Errors
/// When it is not there, or cannot be read.
pub(in crate::store) fn open(path: &Path) -> Result<Connection> {
    if !path.is_file() {
        return Err(Error::unavailable(format!("{}: there is no such file", path.display())));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(|error| broken(path, &error.to_string()))?;
    // What stands in a stranger's file is not carried out.
    db.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;")
        .map_err(|error| broken(path, &error.to_string()))?;
    Ok(db)
}

/// Whether a copy is whole, and one that this program can use; says what is in it.
///
/// # Errors
/// When it is damaged, belongs to another program, or is of a newer version.
pub fn verify(path: &Path) -> Result<Copy> {
    let db = open(path)?;
    migration::recognise(&db).map_err(|error| match error.cause {
        // The storage's own words: the file is no database, or cannot be read.
        Some(cause) => broken(path, &cause),
        None => Error::unavailable(format!("{}: {}", path.display(), error.message)),
    })?;
    look(&db, path).map_err(|error| broken(path, &error.to_string()))?
}

fn look(db: &Connection, path: &Path) -> rusqlite::Result<Result<Copy>> {
    let step: usize = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if step == 0 {
        return Ok(Err(Error::unavailable(format!("{}: there is no diary in it", path.display()))));
    }
    let sound: String = db.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
    if sound != "ok" {
        return Ok(Err(broken(path, &sound)));
    }
    if db.prepare("PRAGMA foreign_key_check")?.exists([])? {
        return Ok(Err(broken(path, "a row refers to one that is missing")));
    }
    let about = about(db)?;
    if about.as_ref().is_some_and(|about| sum(db).is_ok_and(|sum| sum != about.sum)) {
        return Ok(Err(broken(path, "what it says is not what was copied")));
    }
    let newest = match has(db, "entry")? {
        true => db.query_row("SELECT max(created_at) FROM entry", [], |row| row.get::<_, Option<i64>>(0))?,
        false => None,
    };
    let pictures = match has(db, PICTURES)? {
        true => db.query_row(&format!("SELECT count(*) FROM {PICTURES}"), [], |row| row.get(0))?,
        false => 0,
    };
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    let newest_entry = newest.and_then(Time::from_millis);
    Ok(Ok(Copy { about, summary: Summary::of(db)?, pictures, newest_entry, step, bytes }))
}

pub(super) fn broken(path: &Path, what: &str) -> Error {
    let what = what.lines().next().unwrap_or_default();
    Error::new(Code::Damaged, format!("{} is damaged ({what}); it was left as it is", path.display()))
}
