//! The database and its copies: whole, of this version, and kept somewhere else as well.

use super::{Finding, Patient, Report, ok, problem, size, span, warning};
use crate::api::{backup::Attempt, database_path};
use crate::domain::Time;
use crate::io::disk;
use crate::store::look::{self, Look};
use std::{fs, path::Path, time::Duration};

/// How long damage is looked for at most.
const MOST: Duration = Duration::from_secs(60);

/// Looks at the database and at what is known of backups.
pub(super) fn check(patient: &Patient<'_>, report: &mut Report) {
    let path = database_path(&patient.data);
    if !path.is_file() {
        report.tell(problem(
            format!("there is no diary in {}", patient.data.display()),
            "say --data DIR if it is elsewhere, else start 'deuced serve' once",
        ));
        return;
    }
    let looked =
        look::open(&path, patient.server.is_some()).and_then(|db| look::at(&db).map(|look| (db, look)));
    let (db, look) = match looked {
        Ok(looked) => looked,
        Err(error) => {
            report.tell(problem(error.to_string(), RESTORE));
            return;
        }
    };
    let found = look::damage(&db, MOST);
    report.tell(match found {
        Ok((None, whole)) => judge_whole(&look, bytes_of(&path), whole),
        Ok((Some(damage), _)) => problem(format!("the database is damaged ({damage})"), RESTORE),
        Err(error) => problem(format!("the database cannot be read ({error})"), RESTORE),
    });
    let now = Time::now();
    report.tell_all(judge_step(look.step).into_iter().chain(judge_newest(&look, now)));
    match look::backups(&db) {
        Ok((good, last)) => report.tell_all(check_backups(patient, good.as_ref(), last.as_ref(), now)),
        Err(error) => {
            report.tell(warning(format!("what is known of backups cannot be read ({error})"), RESTORE))
        }
    }
}

const RESTORE: &str = "stop the server, keep a copy of the data directory, and restore the newest verified backup with 'deuced restore FILE'";

fn bytes_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |about| about.len())
}

fn judge_whole(look: &Look, bytes: u64, whole: bool) -> Finding {
    let how = if whole { "" } else { " as far as one minute of looking goes" };
    let Look { people, groups, entries, .. } = look;
    ok(format!(
        "the database is whole{how} ({}; {people} people, {groups} groups, {entries} entries)",
        size(bytes)
    ))
}

fn judge_step(step: usize) -> Option<Finding> {
    (step < look::STEPS).then(|| {
        warning(
            format!("the database is of an earlier version (step {step} of {})", look::STEPS),
            "the next start of this version's server brings it up to date, and keeps a copy from before",
        )
    })
}

/// A clock that is behind what was written already.
fn judge_newest(look: &Look, now: Time) -> Option<Finding> {
    let newest = look.newest_entry.filter(|newest| newest.millis() > now.millis() + 3_600_000)?;
    Some(warning(
        format!("the clock is behind: it says {}, and the newest entry is of {}", date(now), date(newest)),
        "set it, or wait for the network's time; order does not depend on it, but logins and invites end by it",
    ))
}

fn check_backups(
    patient: &Patient<'_>,
    good: Option<&Attempt>,
    last: Option<&Attempt>,
    now: Time,
) -> Vec<Finding> {
    let place = good.map(|good| Place {
        there: Path::new(&good.path).is_file(),
        same_disk: disk::are_together(Path::new(&good.path), &patient.data),
    });
    judge_backups(good.zip(place), last, patient.settings.server.backup.warn_hours, now)
}

/// Where a backup is.
#[derive(Clone, Copy)]
struct Place {
    there: bool,
    same_disk: bool,
}

const MAKE_ONE: &str =
    "make one with 'deuced backup DIR', or have systemd do it: 'systemctl enable --now deuced-backup.timer'";

fn judge_backups(
    good: Option<(&Attempt, Place)>,
    last: Option<&Attempt>,
    warn_hours: u64,
    now: Time,
) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(failure) = last.and_then(|last| last.failure.as_ref()) {
        found.push(warning(format!("the last backup failed ({failure})"), MAKE_ONE));
    }
    let Some((good, place)) = good else {
        found.push(warning("there has been no verified backup", MAKE_ONE));
        return found;
    };
    let age = (now.millis() - good.at.millis()) / 1000;
    let what =
        format!("the newest verified backup is {} old: {} ({})", span(age), good.path, size(good.bytes));
    let late = warn_hours > 0 && age > warn_hours as i64 * 3600;
    found.push(match place {
        _ if late => warning(what, MAKE_ONE),
        Place { there: false, .. } => warning(
            format!("{what}, and it is not there"),
            "plug in its disk, or make another with 'deuced backup DIR'",
        ),
        Place { same_disk: true, .. } => warning(
            format!("{what}, and it is on the same disk as the diary"),
            "a copy on another disk survives this one: 'deuced backup /media/usb'",
        ),
        _ => ok(format!("{what}, on another disk")),
    });
    found
}

fn date(time: Time) -> String {
    let (year, month, day) = time.date();
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(at: i64, failure: Option<&str>) -> Attempt {
        let failure = failure.map(str::to_owned);
        Attempt {
            at: Time::from_millis(at * 1000).unwrap(),
            path: "/b/1.db".to_owned(),
            bytes: 1_500_000,
            took_millis: 1,
            failure,
            told: false,
        }
    }

    #[test]
    fn a_backup_is_young_and_elsewhere() {
        let now = Time::from_millis(1000 * 3600 * 1000).unwrap();
        let judged = |hours: i64, there, same_disk| {
            let good = attempt((1000 - hours) * 3600, None);
            judge_backups(Some((&good, Place { there, same_disk })), Some(&good), 72, now).remove(0)
        };
        let what = "the newest verified backup is 10 h old: /b/1.db (1.5 MB)";
        assert_eq!(judged(10, true, false), ok(format!("{what}, on another disk")));
        assert!(matches!(judged(73, true, false), Finding::Warning(what, _) if what.contains("3 days old")));
        assert!(
            matches!(judged(10, true, true), Finding::Warning(what, _) if what.ends_with("same disk as the diary"))
        );
        assert!(
            matches!(judged(10, false, false), Finding::Warning(what, _) if what.ends_with("it is not there"))
        );
        assert_eq!(
            judge_backups(None, None, 72, now),
            [warning("there has been no verified backup", MAKE_ONE)]
        );
        let failed = attempt(0, Some("no room"));
        assert_eq!(judge_backups(None, Some(&failed), 72, now).len(), 2);
    }

    #[test]
    fn old_tables_and_a_clock_behind_are_named() {
        assert_eq!(judge_step(look::STEPS), None);
        assert!(matches!(judge_step(3), Some(Finding::Warning(what, _)) if what.contains("step 3 of")));
        let at = |text: i64| Time::from_millis(text).unwrap();
        let look =
            |newest| Look { people: 1, groups: 1, entries: 1, newest_entry: Some(at(newest)), step: 1 };
        assert_eq!(judge_newest(&look(1000), at(2000)), None);
        assert!(judge_newest(&look(86_400_000), at(2000)).is_some());
    }
}
