//! The write meter: how many bytes went to the card, for what and on which day.
//!
//! The writer's thread asks the kernel what it has had written for it. Counts are stored with a commit that happens
//! anyway, once in a while, so that counting costs the card next to nothing and an idle server writes nothing.

use crate::domain::{Cause, Result, Time};
use crate::store::Tx;
use rusqlite::params;
use std::{
    fs::File,
    os::unix::fs::FileExt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// So much is counted before it is worth a page of the card, and so long until it is all the same.
const WORTH_SAVING: u64 = 1 << 20;
const SAVE_EVERY: Duration = Duration::from_secs(3600);

/// Rows that are kept: more than a year of days with every cause.
const MOST_ROWS: i64 = 4000;

/// Bytes by cause.
pub type Bytes = [u64; Cause::ALL.len()];

/// Adds to a day's count.
fn add(tx: &Tx<'_>, day: i64, cause: Cause, bytes: u64) -> Result<()> {
    let sql = "INSERT INTO written (day, cause, bytes) VALUES (?1, ?2, ?3)
               ON CONFLICT (day, cause) DO UPDATE SET bytes = bytes + excluded.bytes";
    tx.execute(sql, params![day, cause.name(), bytes])?;
    Ok(())
}

/// What this process has had written, by cause.
pub struct Written {
    totals: [AtomicU64; Cause::ALL.len()],
    unsaved: Mutex<Unsaved>,
}

struct Unsaved {
    bytes: Bytes,
    /// The UTC day they belong to.
    day: i64,
    since: Instant,
}

/// Counts that are in a transaction, and are saved when it is committed.
#[derive(Default)]
pub struct Saving(Bytes);

impl Default for Written {
    fn default() -> Written {
        let unsaved = Unsaved { bytes: Bytes::default(), day: 0, since: Instant::now() };
        Written { totals: Default::default(), unsaved: Mutex::new(unsaved) }
    }
}

impl Written {
    /// Counts bytes.
    pub fn count(&self, cause: Cause, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.totals[cause as usize].fetch_add(bytes, Ordering::Relaxed);
        let mut unsaved = self.unsaved();
        if unsaved.bytes.iter().all(|bytes| *bytes == 0) {
            unsaved.day = Time::now().day();
        }
        unsaved.bytes[cause as usize] += bytes;
    }

    /// Counts bytes that several causes have brought together, by how much each has changed.
    pub fn share_out(&self, bytes: u64, changes: &Bytes) {
        let all: u64 = changes.iter().sum();
        if all == 0 {
            return self.count(Cause::Housekeeping, bytes);
        }
        let mut left = bytes;
        for (cause, changed) in Cause::ALL.iter().zip(changes) {
            let share = (bytes * changed).div_ceil(all).min(left);
            left -= share;
            self.count(*cause, share);
        }
    }

    /// Everything counted since the start.
    pub fn totals(&self) -> impl Iterator<Item = (Cause, u64)> {
        Cause::ALL.iter().map(|cause| (*cause, self.totals[*cause as usize].load(Ordering::Relaxed)))
    }

    /// Puts what was counted into a transaction, if it is time to; always when `at_last`.
    pub(super) fn save(&self, tx: &Tx<'_>, at_last: bool) -> Result<Saving> {
        let unsaved = self.unsaved();
        let (bytes, day) = (unsaved.bytes, unsaved.day);
        let sum: u64 = bytes.iter().sum();
        let due = sum >= WORTH_SAVING || unsaved.since.elapsed() >= SAVE_EVERY || day != tx.now().day();
        drop(unsaved);
        if sum == 0 || !(due || at_last) {
            return Ok(Saving::default());
        }
        for (cause, bytes) in Cause::ALL.iter().zip(bytes).filter(|(_, bytes)| *bytes > 0) {
            add(tx, day, *cause, bytes)?;
        }
        let sql =
            "DELETE FROM written WHERE day < (SELECT day FROM written ORDER BY day DESC LIMIT 1 OFFSET ?1)";
        tx.execute(sql, [MOST_ROWS])?;
        Ok(Saving(bytes))
    }

    /// The transaction was committed.
    pub(super) fn saved(&self, saving: &Saving) {
        if saving.0.iter().all(|bytes| *bytes == 0) {
            return;
        }
        let mut unsaved = self.unsaved();
        for (unsaved, saved) in unsaved.bytes.iter_mut().zip(saving.0) {
            *unsaved -= saved;
        }
        unsaved.day = Time::now().day();
        unsaved.since = Instant::now();
    }

    fn unsaved(&self) -> std::sync::MutexGuard<'_, Unsaved> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the kernel has had written for the thread that asks.
pub(super) struct Kernel {
    file: Option<File>,
    last: u64,
}

impl Kernel {
    /// For this thread, from now on.
    pub(super) fn of_this_thread() -> Kernel {
        let mut kernel = Kernel { file: File::open("/proc/thread-self/io").ok(), last: 0 };
        kernel.since_last();
        kernel
    }

    /// The bytes since the last call; `None` where the kernel does not count.
    pub(super) fn since_last(&mut self) -> Option<u64> {
        let mut text = [0_u8; 256];
        let length = self.file.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(&text[..length]).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "))?;
        let now: u64 = line.trim().parse().ok()?;
        let before = std::mem::replace(&mut self.last, now);
        Some(now.saturating_sub(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::test::in_tx;

    /// Causes by name and their bytes, day by day, the newest first and the most first.
    fn days(tx: &Tx<'_>) -> Vec<Vec<(String, u64)>> {
        let sql = "SELECT day, cause, bytes FROM written ORDER BY day DESC, bytes DESC";
        let rows: Vec<(i64, String, u64)> =
            tx.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let days = rows.chunk_by(|one, next| one.0 == next.0);
        days.map(|day| day.iter().map(|(_, cause, bytes)| (cause.clone(), *bytes)).collect()).collect()
    }

    #[test]
    fn what_was_counted_is_saved_once() {
        let written = Written::default();
        written.count(Cause::Entry, 3 << 20);
        written.count(Cause::Picture, 100);
        let found = in_tx(|tx| {
            let saving = written.save(tx, false).unwrap();
            // Counted between the saving and the commit.
            written.count(Cause::Entry, 7);
            written.saved(&saving);
            written.save(tx, true).unwrap();
            days(tx)
        });
        assert_eq!(found.len(), 1);
        assert_eq!(found[0], [("entry".to_owned(), (3 << 20) + 7), ("picture".to_owned(), 100)]);
        assert_eq!(found[0].iter().map(|(_, bytes)| bytes).sum::<u64>(), (3 << 20) + 107);
        assert_eq!(written.totals().map(|(_, bytes)| bytes).sum::<u64>(), (3 << 20) + 107);
    }

    #[test]
    fn a_little_waits_for_more() {
        let written = Written::default();
        written.count(Cause::Message, 100);
        in_tx(|tx| {
            written.save(tx, false).unwrap();
            assert!(days(tx).is_empty());
        });
    }

    #[test]
    fn a_batch_is_shared_out_by_what_changed() {
        let written = Written::default();
        let mut changes = Bytes::default();
        changes[Cause::Entry as usize] = 3;
        changes[Cause::Reaction as usize] = 1;
        written.share_out(1001, &changes);
        let of = |cause| written.totals().find(|(found, _)| *found == cause).unwrap().1;
        assert_eq!((of(Cause::Entry), of(Cause::Reaction)), (751, 250));
        written.share_out(10, &Bytes::default());
        assert_eq!(of(Cause::Housekeeping), 10);
    }

    #[test]
    fn old_days_are_forgotten() {
        in_tx(|tx| {
            for day in 0..MOST_ROWS + 500 {
                add(tx, day, Cause::Entry, 1).unwrap();
            }
            let written = Written::default();
            written.count(Cause::Entry, 1);
            written.save(tx, true).unwrap();
            let days = days(tx);
            assert!((MOST_ROWS..MOST_ROWS + 10).contains(&(days.len() as i64)), "{}", days.len());
        });
    }
}
