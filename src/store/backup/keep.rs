//! The copies in a folder: their names, which of them are ours, and which of those stay.

use super::{cannot_write, content, remove};
use crate::domain::{Result, Time};
use crate::store::migration;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A copy in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What it says about itself; `None` for one that cannot be read, or was made before copies said anything.
    pub about: Option<content::About>,
    /// The step its tables are at.
    pub step: usize,
}

/// A name that sorts by time and does for every file system: `deuced-20261124T211500Z.db`. Of several in one second the
/// later has the higher number, also where the first is gone.
pub(super) fn free_name(folder: &Path, now: Time) -> Result<PathBuf> {
    let stamp = now.stamp();
    let names = names(folder)?;
    let numbers = names.iter().filter_map(|name| read_name(name)).filter(|(known, _)| *known == stamp);
    let name = match numbers.map(|(_, number)| number).max() {
        None => format!("deuced-{stamp}.db"),
        Some(number) => format!("deuced-{stamp}-{}.db", number + 1),
    };
    Ok(folder.join(name))
}

/// Time and number in a name that we gave; `None` for every other name.
fn read_name(name: &str) -> Option<(&str, u32)> {
    let stem = name.strip_prefix("deuced-")?.strip_suffix(".db")?;
    let (stamp, rest) = (stem.get(..16)?, stem.get(16..)?);
    let is_stamp = stamp.bytes().enumerate().all(|(index, byte)| match index {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    });
    let number = match rest {
        "" => Some(1),
        rest => rest.strip_prefix('-')?.parse().ok().filter(|number| *number > 1),
    };
    number.filter(|_| is_stamp).map(|number| (stamp, number))
}

/// The copies in a folder, newest first, by their names.
///
/// # Errors
/// When the folder cannot be read; one that is missing has none.
pub fn list(folder: &Path) -> Result<Vec<Kept>> {
    let mut found = names(folder)?;
    found.sort_by(|a, b| read_name(b).cmp(&read_name(a)));
    Ok(found.iter().map(|name| kept(folder.join(name))).collect())
}

/// The copies that were made of a database before its tables changed, newest first.
///
/// # Errors
/// When its folder cannot be read.
pub fn list_before_migrations(database: &Path) -> Result<Vec<Kept>> {
    let mut paths = before_migrations(database)?;
    paths.reverse();
    Ok(paths.into_iter().map(kept).collect())
}

/// The paths of those, oldest first.
pub(super) fn before_migrations(database: &Path) -> Result<Vec<PathBuf>> {
    let folder = database.parent().unwrap_or(Path::new("."));
    let begin = format!("{}.before-step-", database.file_name().unwrap_or_default().to_string_lossy());
    let listed = fs::read_dir(folder).map_err(|error| cannot_write(folder, &error))?;
    let mut paths: Vec<PathBuf> = listed
        .flatten()
        .filter(|file| {
            let name = file.file_name();
            let step = name.to_str().and_then(|name| name.strip_prefix(&begin));
            step.is_some_and(|step| step.len() == 4 && step.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .map(|file| file.path())
        .collect();
    paths.sort();
    Ok(paths)
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(|error| cannot_write(folder, &error))?,
    };
    let names = listed.flatten().filter(|file| file.file_type().is_ok_and(|kind| kind.is_file()));
    let names = names.filter_map(|file| file.file_name().into_string().ok());
    Ok(names.filter(|name| read_name(name).is_some()).collect())
}

fn kept(path: PathBuf) -> Kept {
    let opened = content::open(&path).ok();
    let ours = opened.as_ref().filter(|db| migration::recognise(db).is_ok());
    let about = ours.and_then(|db| content::about(db).ok().flatten());
    let step = ours.and_then(|db| db.pragma_query_value(None, "user_version", |row| row.get(0)).ok());
    let bytes = fs::metadata(&path).map_or(0, |file| file.len());
    Kept { path, bytes, about, step: step.unwrap_or_default() }
}

/// Removes the oldest copies of this diary until so many are left, the new one among them whatever the clock says.
/// Nothing else in the folder is touched: not what has another name, not another diary's copies, and nothing that
/// cannot be read. Says what was removed.
pub(super) fn rotate(folder: &Path, new: &Path, diary: &str, keep: usize) -> Result<Vec<PathBuf>> {
    let ours = list(folder)?
        .into_iter()
        .filter(|one| one.path != new && one.about.as_ref().is_some_and(|about| about.diary == diary));
    let old: Vec<PathBuf> = ours.skip(keep.max(1) - 1).map(|one| one.path).collect();
    old.iter().try_for_each(|path| remove(path))?;
    Ok(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_gave_are_ours() {
        assert_eq!(read_name("deuced-20261124T211500Z.db"), Some(("20261124T211500Z", 1)));
        assert_eq!(read_name("deuced-20261124T211500Z-12.db"), Some(("20261124T211500Z", 12)));
        assert!(read_name("deuced-20261124T211500Z-2.db") > read_name("deuced-20261124T211500Z.db"));
        for foreign in [
            "deuced.db",
            "deuced-20261124T211500Z.db.partial",
            "deuced-20261124T211500Z-1.db",
            "deuced-20261124T211500Z-x.db",
            "deuced-20261124T2115000.db",
            "deuced-before-the-move.db",
            "deuced-2026112é211500Z.db",
            "Deuced-20261124T211500Z.db",
        ] {
            assert_eq!(read_name(foreign), None, "{foreign}");
        }
    }
}
