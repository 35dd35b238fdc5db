//! `deuced backup`: the whole diary as one verified file, also beside a running server.

use crate::api::backup::{self as known, Attempt, Policy};
use crate::api::{database_path, picture};
use crate::cli::config::value::keep;
use crate::cli::words::{Asked, Choice, Entry, Job};
use crate::cli::{data_directory, owner, print};
use crate::domain::{Error, Limits, Time};
use crate::store::{Db, backup, lock::Lock};
use std::{
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// `deuced backup`.
pub const ENTRY: Entry = Entry {
    name: "backup",
    arguments: &["[DIR]"],
    brief: "copy the diary into one verified file, also while it is served",
    about: "Copies the whole diary, pictures included, into one file, and verifies it: whole, readable by this program, \
            with every row and picture of the original. The copy holds everything that was answered before it began. \
            Works while the server runs.\n\n\
            DIR is where the file goes, instead of the folder that is set.",
    options: &[
        Choice { name: "keep", value: "N", help: "the same as --backup-keep" },
        Choice { name: "list", value: "", help: "list the copies there and those made before upgrades" },
    ],
    settings: &["data", "backup.folder", "backup.keep"],
    notes: "The file is a SQLite database named after the time it was made. A copy on another disk is worth more than \
            one on the same. The server tells its owners when the newest verified copy is older than backup.warn_hours \
            says.",
    read,
};

/// The settings of `deuced backup`.
struct Settings {
    policy: Policy,
    list: bool,
    data: Option<PathBuf>,
    limits: Limits,
}

fn read(asked: Asked) -> Result<Job, String> {
    let mut policy = asked.settings().backup.clone();
    if let Some(text) = asked.value("keep") {
        policy.keep = keep(&text).map_err(|error| format!("--keep: {error}"))?;
    }
    // What is said on the command line counts from where one stands, unlike what is set.
    let here = |path: String| std::path::absolute(&path).unwrap_or_else(|_| path.into());
    policy.folder = asked.argument(0).map(here).or(policy.folder);
    let (data, limits) = (asked.settings().data.clone(), asked.settings().limits.clone());
    let settings = Settings { policy, list: asked.has("list"), data, limits };
    Ok(Box::new(move || run(&settings)))
}

/// Makes the copy and says what is in it, or lists those there are.
fn run(settings: &Settings) -> Result<(), String> {
    let data = data_directory(settings.data.clone())?;
    let folder = settings.policy.folder(&data);
    if settings.list {
        return list(&data, &folder);
    }
    if let Ok(lock) = Lock::take(&data) {
        crate::store::restore::settle(&data, &lock).map_err(|error| error.to_string())?;
    }
    let database = database_path(&data);
    if !database.is_file() {
        return Err(format!("there is no diary in {}", data.display()));
    }
    // SAFETY: only sets the mask for files made later. Backups are nobody else's to read either.
    unsafe { libc::umask(0o077) };
    let _one_at_a_time = Lock::take_for_backup(&data).map_err(|error| error.to_string())?;
    give_way();
    let (at, begin) = (Time::now(), Instant::now());
    let made = prepare(&folder).and_then(|()| {
        backup::make(&database, &picture::folder(&data), &folder, settings.policy.keep as usize)
    });
    let (path, bytes, failure) = match &made {
        Ok(made) => (made.path.as_path(), made.copy.bytes, None),
        Err(error) => (folder.as_path(), 0, Some(error.message.to_string())),
    };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let took_millis = begin.elapsed().as_millis() as u64;
    note(&data, &settings.limits, &Attempt { at, path, bytes, took_millis, failure, told: false });
    let made = made.map_err(|error| error.to_string())?;
    if made.missing_pictures > 0 {
        log::warn!("{} pictures are not in the copy: their files are missing", made.missing_pictures);
    }
    for old in &made.removed {
        log::info!("{} was removed, {} newer ones stay", old.display(), settings.policy.keep);
    }
    let (entries, rows) = (made.copy.summary.rows("entry"), made.copy.summary.all_rows());
    let pictures = made.copy.pictures;
    print(&format!(
        "{}: {entries} entries, {pictures} pictures, {rows} rows in all, verified\n",
        made.path.display()
    ))
}

fn prepare(folder: &Path) -> crate::domain::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let usable = made.and_then(|()| owner::may_write(folder));
    usable.map_err(|error| Error::unavailable(owner::explain(folder, &error)))
}

/// The server and everybody else come first, on the processor and on the card.
fn give_way() {
    /// `ioprio_set(2)`: this process, best effort, the last in the queue.
    const WHO_PROCESS: libc::c_int = 1;
    const BEST_EFFORT_LAST: libc::c_int = 2 << 13 | 7;
    // SAFETY: both only ask for less, of this process. Where they are not known, nothing is lost.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 10);
        libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, BEST_EFFORT_LAST);
    }
}

/// Has the attempt remembered and the server told, as far as possible: where the card is full or broken, it is not.
fn note(data: &Path, limits: &Limits, attempt: &Attempt) {
    /// A server that writes without a pause leaves hardly a gap; each try waits five seconds for one.
    const TRIES: u32 = 12;
    let try_to = || {
        Db::open_beside(&database_path(data))
            .and_then(|db| db.write_now(|tx| known::note(tx, limits, attempt)))
    };
    let mut noted = try_to();
    for _ in 1..TRIES {
        match &noted {
            Err(error) if is_busy(error) => noted = try_to(),
            _ => break,
        }
    }
    match noted {
        Ok(()) => Lock::knock(data),
        Err(error) => log::warn!("the server was not told of this: {error}"),
    }
}

fn is_busy(error: &Error) -> bool {
    error.cause.as_ref().is_some_and(|cause| cause.contains("locked"))
}

/// The copies in the folder and those made before upgrades, newest first.
fn list(data: &Path, folder: &Path) -> Result<(), String> {
    let sentence = |error: Error| error.to_string();
    let mut text = String::new();
    let mut copies = backup::list(folder).map_err(sentence)?;
    copies.extend(backup::list_before_migrations(&database_path(data)).unwrap_or_default());
    let now = Time::now();
    for copy in &copies {
        let made_at = copy.about.as_ref().and_then(|about| about.made_at);
        // A copy says when it was made only in its last moment before it was verified.
        let (when, age) = match made_at {
            Some(at) => {
                let age = u64::try_from(now.millis() - at.millis()).unwrap_or_default();
                (at.minute(), known::words(Duration::from_millis(age)))
            }
            None => ("not known".to_owned(), "-".to_owned()),
        };
        let megabytes = copy.bytes as f64 / 1e6;
        let step = if copy.step == 0 { "unreadable".to_owned() } else { format!("step {}", copy.step) };
        text += &format!("{when:<20} {age:>10} {megabytes:>9.1} MB  {step:<10} {}\n", copy.path.display());
    }
    match copies.is_empty() {
        true => print(&format!("no backups in {}\n", folder.display())),
        false => print(&format!(
            "{:<20} {:>10} {:>12}  {:<10} FILE\n{text}",
            "MADE AND VERIFIED", "AGE", "SIZE", "TABLES"
        )),
    }
}
