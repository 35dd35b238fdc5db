//! What the server knows of its backups: how old the newest is, and whom to tell when that is too old.
//!
//! Copies are made by `deuced backup`, a process of its own, which notes each attempt in the database and knocks. What
//! was noted is kept here in memory, so that asking costs the card nothing.

use crate::api::App;
use crate::domain::notification::{Notice, Notification};
use crate::domain::{Author, Kind, Limits, Result, RoomId, Time};
pub use crate::store::backup::record::Attempt;
use crate::store::{self, Db, Tx, backup::record};
use serde_json::json;
use std::{path::PathBuf, time::Duration};

/// How copies are to be made, and when their absence is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The folder, if it is another than the usual one; a relative one is in the data directory.
    pub folder: Option<PathBuf>,
    /// How many stay.
    pub keep: u64,
    /// From which age of the newest verified copy the owners are told; 0 is never.
    pub warn_hours: u64,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { folder: None, keep: 7, warn_hours: 72 }
    }
}

impl Policy {
    /// The folder, of this data directory.
    pub fn folder(&self, data: &std::path::Path) -> PathBuf {
        data.join(self.folder.as_deref().unwrap_or("backups".as_ref()))
    }
}

/// A warning is repeated after so long, as long as it is true.
const AGAIN: Duration = Duration::from_secs(7 * 24 * 3600);

/// Of failures that follow each other, the owners hear once in so long.
const FAILURES: Duration = Duration::from_secs(20 * 3600);

/// What the database knows of copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The newest that is verified.
    pub verified: Option<Attempt>,
    /// The last attempt.
    pub last: Option<Attempt>,
    /// Since when there has been something to lose.
    begin: Option<Time>,
    warned_at: Option<Time>,
}

impl Known {
    /// Reads it.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn read(db: &Db) -> Result<Known> {
        Ok(Known {
            verified: record::verified(db)?,
            last: record::last(db)?,
            begin: record::begin(db)?,
            warned_at: record::warned_at(db)?,
        })
    }

    /// How old the newest verified copy is, if there is one.
    pub fn age(&self, now: Time) -> Option<Duration> {
        self.verified.as_ref().map(|verified| since(verified.at, now))
    }

    /// Whether the last attempt was good, and the newest copy is not too old.
    pub fn is_well(&self, now: Time, warn_hours: u64) -> bool {
        let failed = self.last.as_ref().is_some_and(|last| last.failure.is_some());
        !failed && self.is_young(now, warn_hours)
    }

    /// Counted from the first account where there is no copy.
    fn is_young(&self, now: Time, warn_hours: u64) -> bool {
        let without = self.age(now).or_else(|| self.begin.map(|begin| since(begin, now)));
        warn_hours == 0 || without.is_none_or(|without| without <= hours(warn_hours))
    }

    /// How long until the owners are to be told; `None` is never, as things are.
    pub fn wait(&self, now: Time, warn_hours: u64) -> Option<Duration> {
        if warn_hours == 0 {
            return None;
        }
        let without = self.age(now).or_else(|| self.begin.map(|begin| since(begin, now)))?;
        let old = (hours(warn_hours) + Duration::from_millis(1)).saturating_sub(without);
        let again = self.warned_at.map(|at| AGAIN.saturating_sub(since(at, now))).unwrap_or_default();
        Some(old.max(again))
    }
}

fn hours(count: u64) -> Duration {
    Duration::from_secs(count.saturating_mul(3600))
}

/// A clock that has gone back makes nothing younger than new.
fn since(then: Time, now: Time) -> Duration {
    Duration::from_millis(u64::try_from(now.millis() - then.millis()).unwrap_or_default())
}

/// Reads again what the database knows of copies.
///
/// # Errors
/// Those of the storage.
pub fn look(app: &App) -> Result<()> {
    let known = Known::read(app.db())?;
    app.backups.replace(known);
    Ok(())
}

/// Tells the owners, if it is still so, that the newest verified copy is too old.
///
/// # Errors
/// Those of the storage.
pub fn warn(tx: &Tx<'_>, limits: &Limits, warn_hours: u64) -> Result<()> {
    let (known, now) = (Known::read(tx)?, tx.now());
    if known.wait(now, warn_hours) != Some(Duration::ZERO) {
        return Ok(());
    }
    let message = match known.age(now) {
        Some(age) => format!("The newest verified backup of the diary is {} old", words(age)),
        None => "There is no verified backup of the diary".to_owned(),
    };
    log::warn!("{message}");
    tell_owners(tx, limits, "old", &message, known.verified.as_ref())?;
    record::set_warned(tx, Some(now))
}

/// Notes an attempt. Of one that failed the owners hear; one that succeeded is the end of all warnings.
///
/// # Errors
/// Those of the storage.
pub fn note(tx: &Tx<'_>, limits: &Limits, attempt: &Attempt) -> Result<()> {
    let told = match &attempt.failure {
        None => {
            record::set_warned(tx, None)?;
            false
        }
        Some(failure) => {
            let told = record::told(tx)?;
            let tell = told.is_none_or(|told| since(told.at, attempt.at) >= FAILURES);
            if tell {
                let message = format!("A backup of the diary has failed: {failure}");
                tell_owners(tx, limits, "failed", &message, record::verified(tx)?.as_ref())?;
            }
            tell
        }
    };
    record::insert(tx, &Attempt { told, ..attempt.clone() })
}

fn tell_owners(
    tx: &Tx<'_>,
    limits: &Limits,
    reason: &str,
    message: &str,
    verified: Option<&Attempt>,
) -> Result<()> {
    let data = json!({
        "type": "backup",
        "reason": reason,
        "message": message,
        "verifiedAt": verified.map(|verified| verified.at.to_string()),
    });
    for account in store::user::accounts(tx, None)? {
        let user = account.user;
        if !user.admin || user.disabled {
            continue;
        }
        // Nobody did this: the server speaks for itself.
        let actor = Author::Guest(env!("CARGO_PKG_NAME").to_owned());
        let notification = Notification {
            id: 0,
            user: user.id,
            actor: actor.clone(),
            notice: Notice::Custom(data.to_string()),
            created_at: tx.now(),
            read: false,
        };
        let kind = Kind::Notified(Box::new(notification));
        store::room::append_by(tx, RoomId::inbox(user.id), actor, kind, None, limits.notifications_per_user)?;
    }
    Ok(())
}

/// An age in words: days from two of them on, else hours.
pub fn words(age: Duration) -> String {
    let hours = age.as_secs() / 3600;
    let count = |number: u64, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
    match hours {
        0 => count(age.as_secs() / 60, "minute"),
        1..48 => count(hours, "hour"),
        _ => count(hours / 24, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UserId;
    use crate::store::test::in_tx;
    use crate::store::user::{NewUser, insert};

    fn person(tx: &Tx<'_>, uid: &str, admin: bool) -> UserId {
        let new = NewUser { uid, email: None, first_name: uid, password: None, admin, child: false };
        insert(tx, &new).unwrap().unwrap().id
    }

    fn attempt(at: Time, failure: Option<&str>) -> Attempt {
        let failure = failure.map(str::to_owned);
        Attempt { at, path: String::new(), bytes: 1, took_millis: 1, failure, told: false }
    }

    fn heard(tx: &Tx<'_>, of: UserId) -> Vec<String> {
        let list = store::notification::list(tx, of, 0, 100).unwrap();
        let data = list.into_iter().filter_map(|one| match one.notice {
            Notice::Custom(data) => Some(data),
            _ => None,
        });
        data.collect()
    }

    #[test]
    fn owners_hear_of_an_old_copy_once_and_again_after_a_week() {
        in_tx(|tx| {
            let (ann, bob) = (person(tx, "ann", true), person(tx, "bob", false));
            let (limits, now) = (Limits::default(), tx.now());
            let ago = |hours: i64| now.plus_seconds(-3600 * hours);
            warn(tx, &limits, 72).unwrap();
            assert!(heard(tx, ann).is_empty(), "the diary is new");
            record::insert(tx, &attempt(ago(73), None)).unwrap();
            warn(tx, &limits, 0).unwrap();
            warn(tx, &limits, 74).unwrap();
            assert!(heard(tx, ann).is_empty(), "never, and not yet");
            warn(tx, &limits, 72).unwrap();
            warn(tx, &limits, 72).unwrap();
            let told = heard(tx, ann);
            assert!(told.len() == 1 && told[0].contains("is 3 days old"), "{told:?}");
            assert!(heard(tx, bob).is_empty(), "it is the owners' business");
            record::set_warned(tx, Some(ago(24 * 7))).unwrap();
            warn(tx, &limits, 72).unwrap();
            assert_eq!(heard(tx, ann).len(), 2, "a week later");
            note(tx, &limits, &attempt(now, None)).unwrap();
            assert_eq!(Known::read(tx).unwrap().wait(now, 72).unwrap().as_secs(), 72 * 3600);
            assert!(Known::read(tx).unwrap().warned_at.is_none());
        });
    }

    #[test]
    fn owners_hear_of_failures_but_not_of_each() {
        in_tx(|tx| {
            let ann = person(tx, "ann", true);
            let (limits, now) = (Limits::default(), tx.now());
            let fail = |hours: i64| {
                note(tx, &limits, &attempt(now.plus_seconds(3600 * hours), Some("full"))).unwrap()
            };
            [0, 1, 19].into_iter().for_each(fail);
            assert_eq!(heard(tx, ann).len(), 1);
            [21, 22].into_iter().for_each(fail);
            assert_eq!(heard(tx, ann).len(), 2, "the next day");
            assert!(heard(tx, ann)[0].contains("has failed: full"));
            assert!(!Known::read(tx).unwrap().is_well(now, 72));
            note(tx, &limits, &attempt(now.plus_seconds(3600 * 23), None)).unwrap();
            assert!(Known::read(tx).unwrap().is_well(now, 72));
            fail(24);
            assert_eq!(heard(tx, ann).len(), 3, "the first after a success");
        });
    }

    #[test]
    fn a_clock_that_goes_back_warns_of_nothing() {
        let now = Time::from_millis(1_000_000).unwrap();
        let known = Known { verified: Some(attempt(now.plus_seconds(99_999_999), None)), ..Known::default() };
        assert_eq!(known.age(now), Some(Duration::ZERO));
        assert!(known.is_well(now, 72));
        assert_eq!(words(Duration::from_secs(60)), "1 minute");
        assert_eq!(words(Duration::from_secs(47 * 3600)), "47 hours");
    }
}
