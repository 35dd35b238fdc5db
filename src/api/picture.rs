//! Profile pictures: kept as files beside the database, named by chance, owned by a row.
//!
//! The order is what keeps them whole: the file is on the card before the row names it, and an old
//! file goes only after the row names another. A crash between leaves a file that nobody names,
//! which the next start removes.

use crate::api::thumbnail::{Bounds, thumbnail};
use crate::api::{App, user};
use crate::domain::{Code, Error, Limits, Result, User, UserId, id, token::base64url};
use crate::io::disk;
use crate::store::{self, Tx};
use std::{
    collections::HashSet,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

/// Where pictures are on the wire.
const PREFIX: &str = "/uploads/";

/// The folder of the pictures.
pub fn folder(data: &Path) -> PathBuf {
    data.join("pictures")
}

/// Makes the folder, and removes files that no row names.
///
/// # Errors
/// When the folder cannot be made or read.
pub fn prepare(app: &App) -> Result<()> {
    let folder = folder(&app.settings.data);
    let failed = |error| Error::unavailable(format!("{}: {error}", folder.display()));
    fs::create_dir_all(&folder).map_err(failed)?;
    // A picture is on the card when its folder is, and the folder when the one it lies in is.
    disk::sync(&app.settings.data).map_err(failed)?;
    // Nobody at all: rather a file that was lost than pictures that nobody has.
    if user::count(app.db())? == 0 {
        return Ok(());
    }
    let named: HashSet<String> = store::user::pictures(app.db())?.into_iter().collect();
    for file in fs::read_dir(&folder).map_err(failed)?.flatten() {
        let name = file.file_name();
        let known = name.to_str().is_some_and(|name| named.contains(&format!("{PREFIX}{name}")));
        if !known {
            let _ = fs::remove_file(file.path());
        }
    }
    Ok(())
}

/// Gives a stored picture to the person and says which one it replaces.
///
/// # Errors
/// `Unauthorized` when the account has vanished.
pub fn assign(tx: &Tx<'_>, me: UserId, path: &str) -> Result<(User, Option<String>)> {
    let old = store::user::set_picture(tx, me, Some(path))?;
    Ok((user::find(tx, me)?, old))
}

/// Removes the file of a picture that no row names any more.
pub fn remove(data: &Path, path: &str) {
    let Some(name) = path.strip_prefix(PREFIX) else { return };
    if let Err(error) = fs::remove_file(folder(data).join(name)) {
        log::warn!("an old picture could not be removed: {error}");
    }
}

/// The bytes of a picture by the last part of its path; `None` when there is none.
pub fn read(data: &Path, name: &str) -> Option<Vec<u8>> {
    // Only names that this file gives: nothing else can be asked for.
    let ours =
        name.strip_suffix(".jpg").is_some_and(|stem| stem.len() == 22 && stem.bytes().all(is_base64url));
    if ours { fs::read(folder(data).join(name)).ok() } else { None }
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// A picture that is on the card.
pub struct Kept {
    /// Its path on the wire.
    pub path: String,
    /// What it takes there.
    pub bytes: u64,
}

/// Makes a profile picture of an uploaded one. Its file is on the card when this returns its path.
///
/// # Errors
/// `Invalid` for what is no picture or too large a one, `Unavailable` when it cannot be written.
pub fn keep(data: &Path, upload: &[u8], limits: &Limits) -> Result<Kept> {
    let bounds = Bounds { pixels: limits.picture_pixels, ..Bounds::default() };
    let jpeg =
        thumbnail(upload, &bounds).map_err(|refused| Error::invalid(format!("profilePicture: {refused}")))?;
    let folder = folder(data);
    let name = format!("{}.jpg", base64url(&id::random::<16>()));
    let path = folder.join(&name);
    let write = || {
        let mut file = File::options().create_new(true).write(true).open(&path)?;
        file.write_all(&jpeg)?;
        file.sync_all()?;
        disk::sync(&folder)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&path);
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => {
                Error::new(Code::Full, "The disk is full; the picture was not stored").because(error)
            }
            _ => Error::unavailable("The picture could not be stored").because(error),
        }
    })?;
    Ok(Kept { path: format!("{PREFIX}{name}"), bytes: (jpeg.len() as u64).next_multiple_of(4096) })
}
