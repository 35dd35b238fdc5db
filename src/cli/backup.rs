//! `deuced backup`: the whole diary as one verified file, also beside a running server.

use crate::api::backup::{self as known, Attempt, Policy};
use crate::api::{database_path, picture};
use crate::cli::{Command, Environment, data_directory, help, limits_from, print, told_data};
use crate::domain::{Error, Limits, Time};
use crate::store::{Db, backup, lock::Lock};
use lexopt::{Arg, Parser, ValueExt};
use std::{
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The settings of `deuced backup`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    policy: Policy,
    list: bool,
    data: Option<PathBuf>,
    limits: Limits,
}

/// How copies are to be made, as the environment says.
pub(super) fn policy(environment: Environment<'_>) -> Result<Policy, String> {
    let get = |name: &str| environment(name).filter(|value| !value.is_empty());
    let mut policy = Policy { folder: get("DEUCED_BACKUP_FOLDER").map(PathBuf::from), ..Policy::default() };
    if let Some(keep) = get("DEUCED_BACKUP_KEEP") {
        policy.keep = parse_keep(&keep).map_err(|error| format!("DEUCED_BACKUP_KEEP: {error}"))?;
    }
    if let Some(hours) = get("DEUCED_BACKUP_WARN_HOURS") {
        policy.warn_hours =
            parse_hours(&hours).map_err(|error| format!("DEUCED_BACKUP_WARN_HOURS: {error}"))?;
    }
    Ok(policy)
}

/// How many copies stay.
pub(super) fn parse_keep(text: &str) -> Result<u64, String> {
    let keep = text.parse().ok().filter(|keep| (1..=1000).contains(keep));
    keep.ok_or_else(|| format!("'{text}' is not a number of backups from 1 to 1000"))
}

/// From which age on a warning is due.
pub(super) fn parse_hours(text: &str) -> Result<u64, String> {
    let hours = text.parse().ok().filter(|hours| *hours <= 100_000);
    hours.ok_or_else(|| format!("'{text}' is not a number of hours up to 100000 (0 is never)"))
}

pub(super) fn parse(mut words: Parser, environment: Environment<'_>) -> Result<Command, String> {
    let plain = |error: lexopt::Error| error.to_string();
    let mut settings = Settings {
        policy: policy(environment)?,
        list: false,
        data: told_data(environment),
        limits: limits_from(environment)?,
    };
    let text = |words: &mut Parser| words.value().and_then(|value| value.string()).map_err(plain);
    let mut folder = None;
    while let Some(word) = words.next().map_err(plain)? {
        match word {
            Arg::Value(value) if folder.is_none() => folder = Some(PathBuf::from(value)),
            Arg::Long("list") => settings.list = true,
            Arg::Long("keep" | "backup-keep") => settings.policy.keep = parse_keep(&text(&mut words)?)?,
            Arg::Long("backup-folder") => settings.policy.folder = Some(text(&mut words)?.into()),
            Arg::Long("data") => settings.data = Some(words.value().map_err(plain)?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(help::BACKUP)),
            other => return Err(other.unexpected().to_string()),
        }
    }
    settings.policy.folder = folder.or(settings.policy.folder);
    Ok(Command::Backup(settings))
}

/// Makes the copy and says what is in it, or lists those there are.
pub(super) fn run(settings: &Settings) -> Result<(), String> {
    let data = data_directory(settings.data.clone())?;
    let folder = settings.policy.folder(&data);
    if settings.list {
        return list(&data, &folder);
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
    made.map_err(|error| Error::unavailable(format!("{}: {error}", folder.display())))
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
    let noted = Db::open_beside(&database_path(data))
        .and_then(|db| db.write_now(|tx| known::note(tx, limits, attempt)));
    match noted {
        Ok(()) => Lock::knock(data),
        Err(error) => log::warn!("the server was not told of this: {error}"),
    }
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
                (
                    format!("{} UTC", at.to_string()[..16].replace('T', " ")),
                    known::words(Duration::from_millis(age)),
                )
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
