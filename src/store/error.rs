//! SQLite's result codes in our words. Translated here once and nowhere else.

use crate::domain::{Code, Error};
use rusqlite::{Error as Sqlite, ErrorCode};

impl From<Sqlite> for Error {
    fn from(error: Sqlite) -> Error {
        let Sqlite::SqliteFailure(failure, _) = &error else {
            return Error::internal(error);
        };
        match failure.code {
            ErrorCode::DiskFull => {
                Error::new(Code::Full, "The disk is full; nothing was stored").because(error)
            }
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                Error::unavailable("The database is busy, please try again").because(error)
            }
            ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::PermissionDenied => {
                Error::unavailable("The storage does not work; nothing was stored").because(error)
            }
            ErrorCode::OutOfMemory => Error::unavailable("Out of memory, please try again").because(error),
            _ => Error::internal(error),
        }
    }
}
