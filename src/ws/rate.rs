//! How much a socket may send: frames, which wait when there are too many, and requests, which are dropped.

use std::time::{Duration, Instant};

/// How many frames a socket may still send. When they are used up it is not read from for a while:
/// nothing is lost, the sender waits.
pub(super) struct Budget {
    left: f64,
    per_second: f64,
    burst: f64,
    at: Instant,
}

impl Budget {
    pub(super) fn new(per_second: u64, burst: u64) -> Budget {
        Budget { left: burst as f64, per_second: per_second as f64, burst: burst as f64, at: Instant::now() }
    }

    /// Takes so many, whether there are any left or not.
    pub(super) fn take(&mut self, frames: u32) {
        self.take_at(frames, Instant::now());
    }

    fn take_at(&mut self, frames: u32, now: Instant) {
        let filled = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.left = (self.left + filled).min(self.burst) - f64::from(frames);
        self.at = now;
    }

    /// Until when there is nothing left, if so.
    pub(super) fn empty_until(&self) -> Option<Instant> {
        if self.left >= 1.0 {
            return None;
        }
        let until = self.at + Duration::from_secs_f64((1.0 - self.left) / self.per_second);
        (until > Instant::now()).then_some(until)
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is carried out.
    Taken,
    /// It is dropped; `true` when the sender is to be told so.
    Dropped(bool),
    /// It is dropped, and the sender has been at it for too long.
    Enough,
}

/// How many requests a socket may still make. One too many is dropped, its sender told once a second, and ended
/// after five seconds of it.
pub(super) struct Rate {
    budget: Budget,
    /// Since when requests have been dropped, and when the last one was.
    over: Option<(Instant, Instant)>,
    told: Option<Instant>,
}

const PATIENCE: Duration = Duration::from_secs(5);
const A_SECOND: Duration = Duration::from_secs(1);

impl Rate {
    pub(super) fn new(per_second: u64, burst: u64) -> Rate {
        Rate { budget: Budget::new(per_second, burst), over: None, told: None }
    }

    pub(super) fn judge(&mut self) -> Verdict {
        self.judge_at(Instant::now())
    }

    fn judge_at(&mut self, now: Instant) -> Verdict {
        self.budget.take_at(1, now);
        if self.budget.left >= 0.0 {
            return Verdict::Taken;
        }
        self.budget.left += 1.0;
        let since = match self.over {
            Some((since, last)) if now.saturating_duration_since(last) < A_SECOND => since,
            _ => now,
        };
        self.over = Some((since, now));
        if now.saturating_duration_since(since) >= PATIENCE {
            return Verdict::Enough;
        }
        let tell = self.told.is_none_or(|told| now.saturating_duration_since(told) >= A_SECOND);
        if tell {
            self.told = Some(now);
        }
        Verdict::Dropped(tell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_so_many_a_second() {
        let begin = Instant::now();
        let mut rate = Rate::new(20, 40);
        let verdicts: Vec<_> = (0..45).map(|_| rate.judge_at(begin)).collect();
        assert!(verdicts[..40].iter().all(|verdict| *verdict == Verdict::Taken));
        assert_eq!(verdicts[40], Verdict::Dropped(true));
        assert!(verdicts[41..].iter().all(|verdict| *verdict == Verdict::Dropped(false)));
        let later = begin + Duration::from_millis(500);
        let taken = (0..20).filter(|_| rate.judge_at(later) == Verdict::Taken).count();
        assert_eq!(taken, 10, "half a second's worth");
    }

    #[test]
    fn whoever_goes_on_is_told_once_a_second_and_ended_after_five() {
        let begin = Instant::now();
        let mut rate = Rate::new(20, 40);
        let mut told = 0;
        for step in 0.. {
            let now = begin + Duration::from_millis(10 * step);
            match rate.judge_at(now) {
                Verdict::Enough => {
                    let over = now.duration_since(begin).as_secs_f64();
                    // The burst is gone after half a second.
                    assert!((5.0..6.0).contains(&over), "{over}");
                    break;
                }
                Verdict::Dropped(tell) => told += u32::from(tell),
                Verdict::Taken => {}
            }
        }
        assert!((5..=6).contains(&told), "{told}");
    }

    #[test]
    fn whoever_rests_for_a_second_begins_anew() {
        let begin = Instant::now();
        let mut rate = Rate::new(1, 1);
        for round in 0..20 {
            let now = begin + Duration::from_millis(1100 * round);
            assert_eq!(rate.judge_at(now), Verdict::Taken);
            assert!(matches!(rate.judge_at(now), Verdict::Dropped(_)));
        }
    }
}
