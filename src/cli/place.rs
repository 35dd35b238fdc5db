//! Where the data is, and how commands get at it beside a running server.

use crate::api::database_path;
use crate::cli::owner;
use crate::domain::Code;
use crate::store::{Db, lock::Lock, reserve};
use std::{
    env,
    path::{Path, PathBuf},
};

/// The data directory: as told, else where systemd keeps it, else the user's own. Root goes on as whom it belongs to.
pub(super) fn data_directory(told: Option<PathBuf>) -> Result<PathBuf, String> {
    let data = find(told)?;
    owner::become_owner(&data)?;
    Ok(data)
}

fn find(told: Option<PathBuf>) -> Result<PathBuf, String> {
    let below_home =
        || Some(PathBuf::from(env::var_os("HOME").filter(|home| !home.is_empty())?).join(".local/share"));
    let xdg = || {
        env::var_os("XDG_DATA_HOME").filter(|path| !path.is_empty()).map(PathBuf::from).or_else(below_home)
    };
    // systemd may name several, separated by colons; ours is one.
    let state = || env::var_os("STATE_DIRECTORY").filter(|path| !path.is_empty()).map(PathBuf::from);
    told.or_else(state)
        .or_else(|| xdg().map(|path| path.join("deuced")))
        .ok_or_else(|| "no place for the data: say --data DIR".to_owned())
}

/// Makes the data directory if there is none; only its owner may look in.
pub(super) fn prepare_data_directory(told: Option<PathBuf>) -> Result<PathBuf, String> {
    use std::os::unix::fs::DirBuilderExt;
    let data = data_directory(told)?;
    // Also where the directory was made by somebody else, what is in it is nobody else's to read.
    // SAFETY: only sets the mask for files made later.
    unsafe { libc::umask(0o077) };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&data)
        .map_err(|error| format!("the data directory {} cannot be made: {error}", data.display()))?;
    Ok(data)
}

/// Opens the database. Beside a running server its tables stay as they are: only with the directory
/// to oneself may they be brought up to date.
pub(super) fn open_database(data: &Path) -> crate::domain::Result<Db> {
    match Lock::take(data) {
        Ok(lock) => crate::store::restore::settle(data, &lock).and_then(|()| Db::open(&database_path(data))),
        Err(_) => Db::open_beside(&database_path(data)),
    }
}

/// Changes the database, and has a server that runs beside take notice at once.
pub(super) fn change<T>(
    data: &Path,
    work: impl Fn(&crate::store::Tx<'_>) -> crate::domain::Result<T>,
) -> crate::domain::Result<T> {
    let write = || open_database(data).and_then(|db| db.write_now(&work));
    let mut changed = write();
    // Whoever runs this server may need the space that is kept back just now, to get in.
    if changed.as_ref().is_err_and(|error| error.code == Code::Full)
        && reserve::release(data).is_ok_and(|had| had)
    {
        changed = write();
    }
    Lock::knock(data);
    changed
}
