//! A database that nothing can be written to, not even beside it: on a file system that is full, or that can only be read.
//! It is read as it is, which needs some care: SQLite wants two files beside it that cannot be made there.
//!
//! Nobody else changes such a file: the server holds the lock of its directory, and when the file system takes writes again
//! it begins anew, with connections as they should be.

use crate::domain::{Error, Result};
use crate::store::{
    Db, Surroundings, cannot_open, clock::Clock, condition::Condition, has_log, look::uri, migration,
};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// How it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// There is no log: the file is all there is.
    FileAlone,
    /// There is a log, and what it was last read with, which stays as it is.
    WithItsLog,
    /// There is a log, and what is needed to read it is kept in memory. Other processes cannot look meanwhile.
    InMemory,
}

impl Way {
    fn open(self, path: &Path) -> Result<Db> {
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let (only, both) = (OpenFlags::SQLITE_OPEN_READ_ONLY, OpenFlags::SQLITE_OPEN_READ_WRITE);
        let connection = match self {
            Way::FileAlone => Connection::open_with_flags(uri(path, "immutable=1"), flags | only),
            Way::WithItsLog => Connection::open_with_flags(uri(path, "mode=ro"), flags | only),
            Way::InMemory => {
                Connection::open_with_flags_and_vfs(uri(path, "mode=rw"), flags | both, c"unix-excl")
            }
        };
        let connection = connection.map_err(|error| cannot_open(path, error))?;
        let db = Db { connection, path: path.to_owned(), around: None };
        db.prepare_connection("PRAGMA query_only = ON;").map_err(|error| cannot_open(path, error))?;
        match migration::is_current(&db.connection)? {
            true => Ok(db),
            false => Err(Error::unavailable("it is of an earlier version, and cannot be brought up to date")),
        }
    }
}

/// A connection to what cannot be written, and what is around it; `why` is what the trouble is.
///
/// # Errors
/// `why`, when it cannot be read either.
pub fn open(path: &Path, condition: Condition, why: &Error) -> Result<(Db, Surroundings)> {
    let ways: &[Way] = match has_log(path) {
        true => &[Way::WithItsLog, Way::InMemory],
        false => &[Way::FileAlone],
    };
    let opened = ways.iter().find_map(|way| Some((way.open(path).ok()?, *way)));
    let (db, way) = opened.ok_or_else(|| why.clone())?;
    condition.find_error(why);
    let clock = Clock::start(&db)?;
    Ok((db, Surroundings { still: Some(way), condition, written: Default::default(), clock }))
}

/// One more connection like that.
pub(super) fn reader(path: &Path, way: Way) -> Result<Db> {
    way.open(path)
}
