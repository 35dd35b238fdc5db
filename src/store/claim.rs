//! The claim secret's file: whoever can read it may become the owner of a server that has none.
//!
//! Not in the database, so that the person at the machine can look it up, and so that it is gone when it
//! is deleted. Whether the server still has to be claimed is decided in `api/claim.rs`.

use crate::domain::{Error, Result, Secret};
use crate::io::disk;
use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

fn path(data: &Path) -> PathBuf {
    data.join("claim")
}

/// The secret that is kept, if there is one.
///
/// # Errors
/// `Unavailable` when the file is there and cannot be read.
pub fn read(data: &Path) -> Result<Option<Secret>> {
    match fs::read_to_string(path(data)) {
        // What is no secret was not written by us, and nobody can claim with it.
        Ok(text) => Ok(Secret::parse(text.trim_end())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(trouble("read", data, &error)),
    }
}

/// Makes a new secret and keeps it. It is there as a whole or not at all, and for its owner only.
///
/// # Errors
/// `Unavailable` when it cannot be written.
pub fn make(data: &Path) -> Result<Secret> {
    let secret = Secret::new();
    write(data, &secret).map_err(|error| trouble("written", data, &error))?;
    Ok(secret)
}

fn write(data: &Path, secret: &Secret) -> io::Result<()> {
    let fresh = data.join("claim.new");
    // One that an earlier start was writing when the power went.
    disk::remove(&fresh)?;
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(format!("{}\n", secret.as_str()).as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path(data))?;
    disk::sync(data)
}

/// Removes the secret, if there is one.
///
/// # Errors
/// `Unavailable` when it is there and cannot be removed.
pub fn remove(data: &Path) -> Result<()> {
    disk::remove(&path(data)).map(|_| ()).map_err(|error| trouble("removed", data, &error))
}

fn trouble(what: &str, data: &Path, cause: &io::Error) -> Error {
    let sentence = format!("the claim file cannot be {what}");
    Error::unavailable(sentence).because(format!("{}: {cause}", path(data).display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_kept_for_its_owner_alone_until_it_is_removed() {
        let data = std::env::temp_dir().join(format!("deuced-claim-{}", std::process::id()));
        fs::create_dir_all(&data).unwrap();
        assert!(read(&data).unwrap().is_none());
        fs::write(data.join("claim.new"), "half of a sec").unwrap();
        let made = make(&data).unwrap();
        assert_eq!(read(&data).unwrap().unwrap().as_str(), made.as_str());
        assert_eq!(fs::metadata(path(&data)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(make(&data).unwrap().as_str(), made.as_str(), "each is a new one");
        remove(&data).unwrap();
        remove(&data).unwrap();
        assert!(read(&data).unwrap().is_none());
        fs::write(path(&data), "guess me").unwrap();
        assert!(read(&data).unwrap().is_none(), "what is no secret lets nobody in");
        fs::remove_dir_all(&data).unwrap();
    }
}
