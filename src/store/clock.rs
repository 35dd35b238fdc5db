//! What a clock that is set does to what has an end: nothing.
//!
//! A Pi has no clock of its own. It wakes up in 1970, or when it was last seen, and jumps to today when the network tells
//! it, maybe minutes later. Logins, invites, links and remembered answers would then all have ended, or never end. So
//! a jump (against the clock that counts since the machine was started, which nobody can set) moves their ends along,
//! with the next write; until then they are judged as if there had been none. Between two runs of the server nobody can
//! tell a jump from a long night: only what cannot be one, backwards or more than two years, is taken for a jump.

use crate::domain::{Result, Time, time::steady_millis};
use crate::store::{Db, Tx};
use std::sync::atomic::{AtomicI64, Ordering};

/// Less is what clocks are corrected by, and nothing that matters to anybody's login.
const JUMP_MILLIS: i64 = 3_600_000;

/// How far back, and how far ahead, a clock may be at a start without having been set.
const BACK_MILLIS: i64 = 86_400_000;
const AHEAD_MILLIS: i64 = 2 * 365 * 86_400_000;

/// The time by which everything that ends is judged.
pub struct Clock {
    /// What the machine's clock said, less what the steady one said, when the rows were last in line with it.
    offset: AtomicI64,
    /// What it said at the start, if nothing was ever noted.
    is_new: bool,
}

impl Clock {
    /// Compares the machine's clock with what it said last.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn start(db: &Db) -> Result<Clock> {
        let last = db.one("SELECT at FROM clock", [], |row| row.get::<_, i64>(0))?;
        let wall = Time::now().millis();
        let offset = match last {
            Some(last) if !(-BACK_MILLIS..=AHEAD_MILLIS).contains(&(wall - last)) => last,
            _ => wall,
        };
        Ok(Clock { offset: AtomicI64::new(offset - steady_millis()), is_new: last.is_none() })
    }

    /// How far the clock was set since the rows were last in line with it; `None` if it was not.
    fn jump(&self) -> Option<i64> {
        let jump = Time::now().millis() - steady_millis() - self.offset.load(Ordering::Acquire);
        (jump.abs() >= JUMP_MILLIS).then_some(jump)
    }

    /// What time it is for whatever ends.
    pub fn now(&self) -> Time {
        let now = Time::now();
        match self.jump() {
            Some(jump) => Time::from_millis(now.millis().saturating_sub(jump)).unwrap_or(now),
            None => now,
        }
    }

    /// Brings the rows in line with the clock, first of all in a transaction.
    pub(super) fn settle(&self, tx: &Tx<'_>) -> Result<Settling> {
        let Some(jump) = self.jump() else {
            if self.is_new && tx.one("SELECT 1 FROM clock", [], |_| Ok(()))?.is_none() {
                note(tx)?;
            }
            return Ok(Settling(None));
        };
        let before = self.offset.load(Ordering::Acquire);
        move_ends(tx, jump)?;
        note(tx)?;
        // Whoever reads beside must not find an end that has been moved back judged by the time from before.
        if jump < 0 {
            self.offset.store(before + jump, Ordering::Release);
        }
        Ok(Settling(Some((before, jump))))
    }

    /// The transaction was committed, or not.
    pub(super) fn settled(&self, settling: &Settling, committed: bool) {
        let Some((before, jump)) = settling.0 else { return };
        let offset = if committed { before + jump } else { before };
        self.offset.store(offset, Ordering::Release);
        if committed {
            log::warn!(
                "the clock was set by {} s; logins, invites and links end as much later or earlier",
                jump / 1000
            );
        }
    }
}

/// What a transaction does about the clock.
#[derive(Default)]
pub struct Settling(Option<(i64, i64)>);

/// Notes what the clock says.
pub(super) fn note(tx: &Tx<'_>) -> Result<()> {
    let sql = "INSERT INTO clock (id, at) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET at = excluded.at";
    tx.execute(sql, [tx.now().millis()])?;
    Ok(())
}

/// Everything that has an end has it so much later. What has none (a device) ends with the last year that can be written.
fn move_ends(tx: &Tx<'_>, millis: i64) -> Result<()> {
    for sql in [
        "UPDATE token SET made_at = made_at + ?1, renewed_at = renewed_at + ?1,
                          expires_at = CASE WHEN permits IS NULL THEN expires_at + ?1 ELSE expires_at END",
        "UPDATE invite SET created_at = created_at + ?1, expires_at = expires_at + ?1",
        "UPDATE link SET expires_at = expires_at + ?1",
        "UPDATE idempotency SET at = at + ?1",
    ] {
        tx.execute(sql, [millis])?;
    }
    Ok(())
}
