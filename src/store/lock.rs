//! One server per data directory.

use crate::domain::{Error, Result};
use std::{
    fs::File,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

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
        Lock::of(&Lock::path(directory), || {
            format!("another deuced is already serving {}", directory.display())
        })
    }

    /// Takes the lock of those who copy: one at a time. Where the directory cannot be written, it does without.
    ///
    /// # Errors
    /// When another process has it.
    pub fn take_for_backup(directory: &Path) -> Result<Option<Lock>> {
        let path = directory.join("backup.lock");
        match open(&path) {
            Ok(_) => Lock::of(&path, || format!("another backup of {} is under way", directory.display()))
                .map(Some),
            Err(_) => Ok(None),
        }
    }

    fn of(path: &Path, taken: impl FnOnce() -> String) -> Result<Lock> {
        // Closing a file that was open for writing is how commands knock; whoever only asks is not to be heard.
        let file = File::open(path)
            .or_else(|_| open(path))
            .map_err(|error| Error::unavailable(format!("{} cannot be written: {error}", path.display())))?;
        // SAFETY: the descriptor is open for as long as the file lives.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            return Err(Error::unavailable(taken()));
        }
        Ok(Lock { _file: file })
    }

    /// Whether somebody has the lock. Makes no file, and whoever takes it in this very moment is refused.
    pub fn is_taken(directory: &Path) -> bool {
        let Ok(file) = File::open(Lock::path(directory)) else { return false };
        // SAFETY: the descriptor is open for as long as the file lives.
        unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) != 0 }
    }

    /// The process that has the lock, by what the kernel says of locks (`/proc/locks`).
    pub fn holder(directory: &Path, locks: &str) -> Option<u32> {
        let about = std::fs::metadata(Lock::path(directory)).ok()?;
        let (major, minor) = (libc::major(about.dev()), libc::minor(about.dev()));
        let place = format!("{major:02x}:{minor:02x}:{}", about.ino());
        locks.lines().find_map(|line| {
            // 1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF
            let words: Vec<&str> = line.split_whitespace().collect();
            let ours = words.get(1) == Some(&"FLOCK") && words.get(5) == Some(&place.as_str());
            ours.then(|| words[4].parse().ok())?
        })
    }

    /// Where the lock of a data directory is.
    pub fn path(directory: &Path) -> PathBuf {
        directory.join("deuced.lock")
    }

    /// Has the server of a data directory look at the database again, because another process has written to it. The
    /// server watches its lock being closed; nothing is written for that. One that does not run is not told, and one
    /// that cannot watch looks by itself.
    pub fn knock(directory: &Path) {
        let _ = open(&Lock::path(directory));
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}
