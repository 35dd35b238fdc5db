//! SQLite's result codes in our words. Translated here once and nowhere else.

use crate::domain::{Code, Error, Storage};
use rusqlite::{Error as Sqlite, ErrorCode, ffi};

/// The space for the memory that connections share could not be had.
const NO_SHARED_MEMORY: [i32; 2] = [ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_IOERR_SHMMAP];

impl From<Sqlite> for Error {
    fn from(error: Sqlite) -> Error {
        let Sqlite::SqliteFailure(failure, _) = &error else {
            return Error::internal(error);
        };
        match failure.code {
            ErrorCode::DiskFull => full(error),
            ErrorCode::SystemIoFailure if NO_SHARED_MEMORY.contains(&failure.extended_code) => full(error),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                Error::unavailable("The database is busy, please try again").because(error)
            }
            ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_NOMEM => {
                Error::unavailable("Out of memory, please try again").because(error)
            }
            ErrorCode::OutOfMemory => Error::unavailable("Out of memory, please try again").because(error),
            ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied => {
                Error::new(Code::Failing, "The storage does not work; nothing was stored").because(error)
            }
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                Error::new(Code::Damaged, Storage::Damaged.sentence()).because(error)
            }
            _ => Error::internal(error),
        }
    }
}

fn full(error: Sqlite) -> Error {
    Error::new(Code::Full, "The disk is full; nothing was stored").because(error)
}
