//! Copies of the whole diary: one file each, with the pictures in it, and verified before it gets its name.
//!
//! A copy is an ordinary database of this program, with two tables more, for the pictures and for what it says about
//! itself, so that whatever reads SQLite can read it in twenty years, too. Putting one back is `store/restore`.

pub(super) mod content;
mod keep;
pub mod record;

use crate::domain::{Code, Error, Result, Time};
use crate::io::disk;
use crate::store::{Db, log_of, with_ending};
pub use content::{About, Copy, Summary, verify};
pub use keep::{Kept, list, list_before_migrations};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, ffi, params};
use std::{
    fs::{self, File},
    io::ErrorKind,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Pages copied at a time, and the rest between two such steps: the card is the server's first.
const PAGES: std::ffi::c_int = 256;
const REST: Duration = Duration::from_millis(5);

/// So many steps at most wait in memory before the card has them: a sync of the server's would have to wait for all.
const STEPS_PER_SYNC: u32 = 4;

/// While a copy is made, the server's log cannot begin anew. From so many bytes on the copy no longer rests.
const LONG_LOG: u64 = 32 << 20;

/// What is left free beside a copy.
const SPARE: u64 = 4 << 20;

/// A copy that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub copy: Copy,
    /// Pictures that people have, but whose files are missing.
    pub missing_pictures: u64,
    /// Older copies that were removed for it.
    pub removed: Vec<PathBuf>,
}

/// Makes one more copy in a folder, under a name by the time, and then removes all but the newest `keep` of this diary
/// there. Nothing is removed before the new one is verified.
///
/// # Errors
/// When there is too little space, something cannot be read or written, or the copy is not what it was copied from; no
/// file is left then.
pub fn make(database: &Path, pictures: &Path, folder: &Path, keep: usize) -> Result<Made> {
    let diary = content::diary(&Db::open_reader(database)?.connection)?;
    // A name of its own, so that one that was cut off is overwritten by the next, and another diary's is not.
    let partial = folder.join(format!(".deuced-{diary}.partial"));
    check_space(database, pictures, folder, &partial)?;
    let target = keep::free_name(folder, Time::now())?;
    let mut made = copy_to(database, pictures, &target, &partial)?;
    // Without a name of its own it cannot be told from another.
    if !diary.is_empty() {
        made.removed = keep::rotate(folder, &target, &diary, keep)?;
    }
    Ok(made)
}

/// Copies the database, which may be in use, and the pictures its people have, into one new file. The copy
/// holds everything that was acknowledged before this began. It appears under its name only when it has
/// been verified and is on the card.
///
/// # Errors
/// When something cannot be read or written, or the copy is not what it was copied from; no file is left then.
fn copy_to(database: &Path, pictures: &Path, target: &Path, partial: &Path) -> Result<Made> {
    if target.exists() {
        return Err(Error::invalid(format!("{} exists already", target.display())));
    }
    let made = remove(partial).and_then(|()| {
        let now = Time::now();
        let summary = copy(database, partial)?;
        let missing_pictures = fill(partial, pictures, now).map_err(|error| no_space(target, error))?;
        flush(partial).map_err(|error| cannot_write(target, &error))?;
        let copy = verify(partial)?;
        if let Some(difference) = summary.difference(&copy.summary) {
            return Err(Error::internal(format!("the copy is not what was copied: {difference}")));
        }
        compare_pictures(partial, pictures)?;
        finish(partial, target)?;
        Ok(Made { path: target.to_owned(), copy, missing_pictures, removed: Vec::new() })
    });
    if made.is_err() {
        let _ = remove(partial);
    }
    made
}

/// Looks for damage, for so long at most: what a server does before it trusts its file.
///
/// # Errors
/// When damage was found. The file stays as it is.
pub fn check(path: &Path, most: Duration) -> Result<()> {
    if most.is_zero() || !path.exists() {
        return Ok(());
    }
    let begin = Instant::now();
    let sound = look(path, OpenFlags::SQLITE_OPEN_READ_ONLY, begin, most).or_else(|error| match error {
        // The power went while the tables were made, before there was a write-ahead log. SQLite takes such a half
        // change back, but not for somebody who only reads.
        rusqlite::Error::SqliteFailure(cause, _) if cause.extended_code == ffi::SQLITE_READONLY_ROLLBACK => {
            look(path, OpenFlags::SQLITE_OPEN_READ_WRITE, begin, most)
        }
        other => Err(other),
    });
    match sound {
        Ok(Found::Nothing | Found::NothingSoFar) => Ok(()),
        Ok(Found::Damage(damage)) => Err(content::broken(path, &damage)),
        Err(error) => match Error::from(error) {
            Error { code: Code::Damaged, cause, .. } => {
                Err(content::broken(path, &cause.unwrap_or_default()))
            }
            // Such as a full disk, where what SQLite wants beside the file cannot be made: said by whoever opens it.
            _ => Ok(()),
        },
    }
}

fn look(path: &Path, flags: OpenFlags, begin: Instant, most: Duration) -> rusqlite::Result<Found> {
    let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    quick_check(&db, most.saturating_sub(begin.elapsed()))
}

/// What a look for damage has come to.
pub(super) enum Found {
    Nothing,
    Damage(String),
    /// Time was up, and nothing was found so far.
    NothingSoFar,
}

/// Looks for damage, for so long at most.
pub(super) fn quick_check(db: &Connection, most: Duration) -> rusqlite::Result<Found> {
    let begin = Instant::now();
    db.progress_handler(10_000, Some(move || begin.elapsed() > most))?;
    let found = db.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0));
    db.progress_handler(0, None::<fn() -> bool>)?;
    match found {
        Ok(sound) if sound == "ok" => Ok(Found::Nothing),
        Ok(damage) => Ok(Found::Damage(damage)),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {
            Ok(Found::NothingSoFar)
        }
        Err(error) => Err(error),
    }
}

/// Says before anything is written when there is too little space.
fn check_space(database: &Path, pictures: &Path, folder: &Path, partial: &Path) -> Result<()> {
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let pictures = fs::read_dir(pictures).into_iter().flatten().flatten();
    let pictures: u64 = pictures.map(|file| file.metadata().map_or(0, |file| file.len())).sum();
    let needed = size(database) + size(&log_of(database)) + pictures + pictures / 4;
    // What a copy that was cut off takes is free again in a moment.
    let free = disk::space(folder).map_err(|error| cannot_write(folder, &error))?.free + size(partial);
    match free >= needed + SPARE {
        true => Ok(()),
        false => Err(Error::new(
            Code::Full,
            format!(
                "there is too little space in {}: a copy needs {} MB, {} MB are free",
                folder.display(),
                (needed + SPARE).div_ceil(1_000_000),
                free / 1_000_000
            ),
        )),
    }
}

fn copy(database: &Path, partial: &Path) -> Result<Summary> {
    let db = Db::open_reader(database)?;
    let source = &db.connection;
    // One look at the file for all of it: writers go on beside, and the copy does not begin anew for them.
    source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
    let mut target = Connection::open(partial).map_err(|error| no_space(partial, error.into()))?;
    // It is on the card before it gets its name, and nobody looks before.
    target
        .execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1024;")?;
    copy_steps(source, &mut target, database, partial).map_err(|error| no_space(partial, error))?;
    let summary = Summary::of(source)?;
    source.execute_batch("COMMIT")?;
    drop(target);
    fold_log(source);
    Ok(summary)
}

fn copy_steps(source: &Connection, target: &mut Connection, database: &Path, partial: &Path) -> Result<()> {
    let file = File::open(partial).map_err(|error| cannot_write(partial, &error))?;
    let log = log_of(database);
    let copying = Backup::new(source, target)?;
    for step in 1_u32.. {
        if copying.step(PAGES)? == StepResult::Done {
            break;
        }
        if step % STEPS_PER_SYNC == 0 {
            flush_file(&file).map_err(|error| cannot_write(partial, &error))?;
        }
        if fs::metadata(&log).map_or(0, |log| log.len()) < LONG_LOG {
            std::thread::sleep(REST);
        }
    }
    Ok(())
}

/// What the server wrote meanwhile is taken into its file and the log cut short, here rather than in one of its own
/// commits: first what can be done beside it, then, for a moment, the rest. If somebody is reading, it is done later.
fn fold_log(source: &Connection) {
    let fold = "PRAGMA query_only = OFF; PRAGMA wal_checkpoint(PASSIVE); PRAGMA busy_timeout = 200;
                PRAGMA wal_checkpoint(TRUNCATE);";
    if let Err(error) = source.execute_batch(fold) {
        log::debug!("the log was not folded in: {error}");
    }
}

/// Puts the files of the pictures that somebody has into the copy, and what it says about itself. Says how many
/// pictures are missing; one that was replaced meanwhile is among them.
fn fill(partial: &Path, folder: &Path, now: Time) -> Result<u64> {
    let mut db = Connection::open(partial)?;
    // One file, not three.
    db.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; PRAGMA cache_size = -1024;")?;
    let tx = db.transaction()?;
    let table = content::PICTURES;
    tx.execute_batch(&format!("CREATE TABLE {table} (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;"))?;
    let mut missing = 0;
    for name in content::picture_names(&tx)? {
        match fs::read(folder.join(&name)) {
            Ok(bytes) => {
                tx.execute(&format!("INSERT INTO {table} VALUES (?1, ?2)"), params![name, bytes])?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => missing += 1,
            Err(error) => return Err(cannot_read(&folder.join(&name), &error)),
        }
    }
    content::sign(&tx, now)?;
    tx.commit()?;
    Ok(missing)
}

/// Whether the pictures in the copy are those in the folder, as the card gives them back.
fn compare_pictures(partial: &Path, folder: &Path) -> Result<()> {
    let db = content::open(partial)?;
    let mut statement = db.prepare(&format!("SELECT name, bytes FROM {}", content::PICTURES))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let path = folder.join(row.get_ref(0)?.as_str().unwrap_or_default());
        match fs::read(&path) {
            Ok(bytes) if row.get_ref(1)?.as_blob().is_ok_and(|copied| copied == bytes) => {}
            Ok(_) => return Err(Error::unavailable(format!("{}: it reads differently now", path.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(cannot_read(&path, &error)),
        }
    }
    Ok(())
}

/// Has a file on the card, and forgets what of it is in memory: it is then read from the card.
fn flush(path: &Path) -> std::io::Result<()> {
    flush_file(&File::open(path)?)
}

fn flush_file(file: &File) -> std::io::Result<()> {
    file.sync_all()?;
    // SAFETY: only advice about a file that is open.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    Ok(())
}

/// Has the file on the card, then gives it its name, and has that on the card, too; and that of its folder, which may be as
/// new as the file.
fn finish(partial: &Path, target: &Path) -> Result<()> {
    disk::sync(partial)
        .and_then(|()| fs::rename(partial, target))
        .and_then(|()| disk::sync(folder_of(target)))
        .and_then(|()| disk::sync(&folder_of(target).join("..")))
        .map_err(|error| cannot_write(target, &error))
}

/// A copy of a database as it was before its tables are changed; the two newest such copies stay.
pub(super) fn before_migration(path: &Path, step: usize) -> Result<()> {
    const KEPT: usize = 2;
    let target = with_ending(path, &format!(".before-step-{step:04}"));
    let partial = with_ending(&target, ".partial");
    let pictures = path.with_file_name("pictures");
    check_space(path, &pictures, folder_of(path), &partial)?;
    remove(&target)?;
    let made = copy_to(path, &pictures, &target, &partial)?;
    log::info!("before its tables change, the diary was copied to {} and verified", made.path.display());
    keep::before_migrations(path)?.iter().rev().skip(KEPT).try_for_each(|old| remove(old))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn remove(path: &Path) -> Result<()> {
    disk::remove(path).map(|_| ()).map_err(|error| cannot_write(path, &error))
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Error {
    Error::unavailable(format!("{}: {error}", path.display()))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    let code = match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => Code::Full,
        _ => Code::Unavailable,
    };
    Error::new(code, format!("{}: {error}", path.display()))
}

/// The storage speaks of the diary where it cannot write a copy.
fn no_space(target: &Path, error: Error) -> Error {
    match error.code {
        Code::Full => {
            let folder = folder_of(target).display().to_string();
            Error::new(Code::Full, format!("there is no space left in {folder}: no copy was made"))
        }
        _ => error,
    }
}
