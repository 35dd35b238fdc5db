//! Puts a copy in the place of the diary, so that a power cut at any moment leaves the one or the other.
//!
//! Everything is made ready in a folder beside the database, `restore.new`: the database with its tables brought up to
//! date, the pictures, and a second name for each picture there is. Nothing that is in use has been touched by then.
//! The folder's getting the name `restore.ready` is the decision. Whoever opens the data directory from then on finishes
//! first what was decided ([`settle`]), and each of those steps may be done twice. The data directory itself is never
//! renamed: it may be a mount point.

mod compare;
mod raise;

use crate::domain::{Code, Error, Result};
use crate::io::disk::{self, sync};
use crate::store::backup::content;
use crate::store::{lock::Lock, migration};
pub use compare::{Comparison, compare};
use rusqlite::Connection;
use rusqlite::backup::Backup;
use std::{
    fs::{self, DirBuilder},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

const DATABASE: &str = "deuced.db";
const PICTURES: &str = "pictures";

/// Pages that are taken over at a time: nobody else wants the card.
const PAGES: std::ffi::c_int = 2048;

/// Where things are in the data directory while a copy is put back.
struct Place<'a> {
    data: &'a Path,
}

impl Place<'_> {
    fn database(&self) -> PathBuf {
        self.data.join(DATABASE)
    }

    fn pictures(&self) -> PathBuf {
        self.data.join(PICTURES)
    }

    fn staging(&self) -> PathBuf {
        self.data.join("restore.new")
    }

    fn ready(&self) -> PathBuf {
        self.data.join("restore.ready")
    }
}

/// Puts a copy that was verified in the place of the diary in a data directory whose lock is held. What was there is
/// kept in the folder `aside` within it; says whether there was anything.
///
/// # Errors
/// When there is no space, the copy cannot be brought up to date, or the card fails. The diary is as it was then, or
/// the next start finishes what was decided.
pub fn replace(copy: &Path, data: &Path, aside: &str) -> Result<bool> {
    let place = Place { data };
    if fs::canonicalize(copy)
        .ok()
        .is_some_and(|copy| fs::canonicalize(place.database()).is_ok_and(|at| at == copy))
    {
        return Err(Error::invalid("this is the diary itself"));
    }
    check_space(copy, data)?;
    let cannot = |error| trouble(data, &error);
    remove_all(&place.staging()).map_err(cannot)?;
    let prepared = prepare(copy, &place, aside);
    if prepared.is_err() {
        // Nothing was decided, and the space is wanted.
        let _ = remove_all(&place.staging());
    }
    prepared?;
    fs::rename(place.staging(), place.ready()).and_then(|()| sync(data)).map_err(cannot)?;
    finish(&place).map_err(cannot)?;
    Ok(data.join(aside).exists())
}

/// Finishes what a restore has decided and a power cut has interrupted. To be called under the lock, before the database
/// is opened.
///
/// # Errors
/// When the card fails. It is to be tried again then; nothing may be opened before.
pub fn settle(data: &Path, _held: &Lock) -> Result<()> {
    let place = Place { data };
    if !place.ready().exists() {
        return Ok(());
    }
    log::warn!("a restore was interrupted; finishing it");
    finish(&place).map_err(|error| trouble(data, &error))
}

fn check_space(copy: &Path, data: &Path) -> Result<()> {
    let size = fs::metadata(copy).map_or(0, |file| file.len());
    // The copy holds its pictures, and for a moment they are there a second time.
    let needed = size + size / 2 + (4 << 20);
    let free = disk::space(data).map_err(|error| trouble(data, &error))?.free;
    match free >= needed {
        true => Ok(()),
        false => Err(Error::new(
            Code::Full,
            format!(
                "there is too little space in {}: {} MB are needed, {} MB are free",
                data.display(),
                needed.div_ceil(1_000_000),
                free / 1_000_000
            ),
        )),
    }
}

/// Fills `restore.new`, and has all of it on the card.
fn prepare(copy: &Path, place: &Place<'_>, aside: &str) -> Result<()> {
    let cannot = |error| trouble(place.data, &error);
    let new = place.staging();
    let folders = [new.clone(), new.join(PICTURES), new.join("aside"), new.join("aside").join(PICTURES)];
    for folder in &folders {
        DirBuilder::new().mode(0o700).create(folder).map_err(cannot)?;
    }
    take_over(copy, &new)?;
    let mut db = Connection::open(new.join(DATABASE))?;
    db.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA secure_delete = ON;")?;
    for table in [content::PICTURES, content::ABOUT] {
        db.execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
    }
    migration::run(&mut db)?;
    raise::raise(&mut db, &place.database())?;
    raise::remember(&db, copy)?;
    db.close().map_err(|(_, error)| error)?;
    sync(&new.join(DATABASE)).map_err(cannot)?;
    // A second name costs nothing, and what the first one names may change.
    for picture in files(&place.pictures()).map_err(cannot)? {
        let name = picture.file_name().unwrap_or_default().to_owned();
        link_or_copy(&picture, &new.join("aside").join(PICTURES).join(name)).map_err(cannot)?;
    }
    fs::write(new.join("name"), aside).and_then(|()| sync(&new.join("name"))).map_err(cannot)?;
    folders.iter().rev().try_for_each(|folder| sync(folder)).and_then(|()| sync(place.data)).map_err(cannot)
}

/// Copies the database, and the pictures out of it or from beside it.
fn take_over(copy: &Path, new: &Path) -> Result<()> {
    let source = content::open(copy)?;
    let mut target = Connection::open(new.join(DATABASE))?;
    target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    Backup::new(&source, &mut target)?.run_to_completion(PAGES, Duration::ZERO, None)?;
    let write = |name: &str, bytes: &[u8]| {
        let path = new.join(PICTURES).join(name);
        fs::write(&path, bytes).and_then(|()| sync(&path)).map_err(|error| trouble(&path, &error))
    };
    if content::has(&source, content::PICTURES)? {
        let mut statement = source.prepare(&format!("SELECT name, bytes FROM {}", content::PICTURES))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            if is_plain(&name) {
                write(&name, row.get_ref(1)?.as_blob().unwrap_or_default())?;
            }
        }
        return Ok(());
    }
    // A plain database, such as one that was kept aside: its pictures are files.
    let folder = copy.with_file_name(PICTURES);
    for name in content::picture_names(&source)?.iter().filter(|name| is_plain(name)) {
        match fs::read(folder.join(name)) {
            Ok(bytes) => write(name, &bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(trouble(&folder.join(name), &error)),
        }
    }
    Ok(())
}

/// A stranger's copy must not name a file anywhere else.
fn is_plain(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    letters && !name.is_empty() && !name.starts_with('.')
}

/// What follows from the decision. Each step may be done again: after a power cut all of them are.
fn finish(place: &Place<'_>) -> io::Result<()> {
    let (ready, aside) = (place.ready(), place.ready().join("aside"));
    let new = ready.join(DATABASE);
    // As long as the new one waits here, the one in use is the old.
    if new.exists() {
        for ending in ["", "-wal", "-journal"] {
            let name = format!("{DATABASE}{ending}");
            move_file(&place.data.join(&name), &aside.join(&name))?;
        }
        // Only an index of the log, made anew by whoever opens that.
        disk::remove(&place.data.join(format!("{DATABASE}-shm")))?;
        sync(&aside)?;
        sync(place.data)?;
        let mut pictures = DirBuilder::new();
        pictures.recursive(true).mode(0o700).create(place.pictures())?;
        for picture in files(&ready.join(PICTURES))? {
            let name = picture.file_name().unwrap_or_default().to_owned();
            move_file(&picture, &place.pictures().join(name))?;
        }
        sync(&place.pictures())?;
        sync(place.data)?;
        move_file(&new, &place.database())?;
        sync(place.data)?;
    }
    if aside.exists() {
        let name = fs::read_to_string(ready.join("name"))?;
        let empty = fs::read_dir(&aside)?.count() == 1 && fs::read_dir(aside.join(PICTURES))?.count() == 0;
        match empty {
            true => remove_all(&aside)?,
            false => fs::rename(&aside, place.data.join(name))?,
        }
        sync(place.data)?;
    }
    remove_all(&ready)?;
    sync(place.data)
}

/// Moves a file if it is there, also to another file system.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EXDEV) => {
            copy_file(from, to)?;
            disk::remove(from).map(|_| ())
        }
        moved => moved,
    }
}

/// Gives a file a second name, or where the file system knows no such thing a copy.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| copy_file(from, to))
}

/// The copy has its name only when it is whole.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let partial = to.with_extension("partial");
    fs::copy(from, &partial)?;
    sync(&partial)?;
    fs::rename(&partial, to)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut paths = Vec::new();
    for file in listed {
        let file = file?;
        if file.file_type()?.is_file() {
            paths.push(file.path());
        }
    }
    Ok(paths)
}

fn remove_all(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn trouble(path: &Path, error: &io::Error) -> Error {
    Error::unavailable(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_names_no_file_elsewhere() {
        assert!(is_plain("vvWQvSZgnMXG0r_8Q9_3iw.jpg"));
        for name in ["", ".", "..", "../deuced.db", "/etc/passwd", ".hidden", "a b", "ä.jpg", "a\0"] {
            assert!(!is_plain(name), "{name:?}");
        }
    }
}
