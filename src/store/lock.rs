//! One server per data directory.

use crate::domain::{Error, Result};
use std::{fs::File, os::fd::AsRawFd, path::Path};

/// Holds the directory for as long as it lives, also against a process that is killed later: the
/// kernel lets go of the lock with the process.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a data directory.
    ///
    /// # Errors
    /// When another server has it, or the directory cannot be written.
    pub fn take(directory: &Path) -> Result<Lock> {
        let path = directory.join("deuced.lock");
        let file =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(|error| {
                Error::unavailable(format!("{} cannot be written: {error}", path.display()))
            })?;
        // SAFETY: the descriptor is open for as long as the file lives.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            return Err(Error::unavailable(format!(
                "another deuced is already serving {}",
                directory.display()
            )));
        }
        Ok(Lock { _file: file })
    }
}
