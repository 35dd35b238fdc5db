//! `deuced backup`: the whole diary as one verified file, also beside a running server.

use crate::api::{database_path, picture};
use crate::cli::{Backup, data_directory, print};
use crate::domain::Time;
use crate::store::backup;
use std::os::unix::fs::DirBuilderExt;

/// Makes the copy and says what is in it.
pub(super) fn run(settings: &Backup) -> Result<(), String> {
    let data = data_directory(settings.data.clone())?;
    let database = database_path(&data);
    if !database.is_file() {
        return Err(format!("there is no diary in {}", data.display()));
    }
    let folder = settings.folder.clone().unwrap_or_else(|| data.join("backups"));
    // SAFETY: only sets the mask for files made later. Backups are nobody else's to read either.
    unsafe { libc::umask(0o077) };
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(|error| format!("{}: {error}", folder.display()))?;
    // Names that sort by time and do for every file system: 20261124T211500Z.
    let now = Time::now().to_string();
    let stamp: String = now[..19].chars().filter(|letter| !matches!(letter, '-' | ':')).collect();
    let target = folder.join(format!("deuced-{stamp}Z.db"));
    let summary =
        backup::make(&database, &picture::folder(&data), &target).map_err(|error| error.to_string())?;
    let (entries, rows) = (summary.rows("entry"), summary.all_rows());
    print(&format!("{}: {entries} entries, {rows} rows in all, verified\n", target.display()))
}
