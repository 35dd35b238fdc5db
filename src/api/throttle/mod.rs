//! Wrong passwords: how long whoever sent them has to wait before the next try. In memory only, by the monotonic clock.
//!
//! Three things are counted. **A name from one address**: after a few failures each further one doubles the wait, up
//! to a quarter of an hour. **An address, whatever the name**, where of IPv6 the network counts, in which one device
//! takes as many addresses as it likes. **A name from all addresses**: where it is being tried from everywhere, an address
//! that is new to it waits once before its first try and after each failure.
//!
//! Nobody can be locked out by that. The long wait is for the very address that failed; the other two, which a stranger
//! can bring upon others, last a few seconds at most. And where somebody has logged in to an account before, that
//! account's tries are counted by themselves: whatever goes on elsewhere, or under other names, does not concern them.
//!
//! A try counts as failed from its beginning, until it turns out right: who goes away meanwhile has not saved one. Names that nobody has are counted like all others, or they could be told from them.

#[cfg(test)]
mod tests;

use crate::domain::{Code, Error, Limits, Result};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::{Duration, Instant},
};

/// The longest wait that a stranger can bring upon others.
const FEW: Duration = Duration::from_secs(4);

/// How long an address waits before its first try for a name that is being tried from everywhere.
const KNOCK: Duration = Duration::from_secs(3);

/// So long after the last failure all of them are forgotten. Longer than the longest wait that makes sense.
const FORGET: Duration = Duration::from_secs(3600);

/// Bounds of the memory, more than a household has names and addresses by far.
const MOST_RECORDS: usize = 8192;
const MOST_HOMES: usize = 1024;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// A name from one address.
    Pair(u64, IpAddr),
    /// All names from an address that is no home of theirs. Not its network: that is the family's, too.
    Stranger(IpAddr),
    /// A name from an address from which its account was logged in to.
    Home(u64, IpAddr),
    /// A name from everywhere.
    Name(u64),
}

#[derive(Clone, Copy)]
struct Record {
    failures: u32,
    /// The next try is let through from then on.
    until: Instant,
    last: Instant,
}

impl Record {
    fn is_lapsed(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGET && self.until <= now
    }
}

/// All counts.
#[derive(Default)]
pub struct Throttle {
    records: HashMap<Key, Record>,
    /// From which addresses accounts were logged in to, and when last.
    homes: HashMap<(u64, IpAddr), Instant>,
    /// Keyed by chance, so that nobody can choose names that are taken for another's.
    keys: RandomState,
}

/// A try under way. What is not told how it ended has failed.
#[derive(Clone, Copy, Debug)]
#[must_use = "a try that turned out right has to be told"]
pub struct Try {
    name: u64,
    address: IpAddr,
    known: bool,
}

impl Try {
    /// Whether the account was logged in to from there before.
    pub fn is_known(&self) -> bool {
        self.known
    }

    fn pair(&self) -> Key {
        Key::Pair(self.name, self.address)
    }

    fn near(&self) -> Key {
        if self.known { Key::Home(self.name, self.address) } else { Key::Stranger(self.address) }
    }
}

impl Throttle {
    /// Whether a try to prove to be `name` would be let through now; `name` in the spelling that all spellings of a login
    /// name have in common.
    ///
    /// # Errors
    /// `TooMany`, with the seconds to wait.
    pub fn check(&mut self, limits: &Limits, name: &str, address: IpAddr) -> Result<Try> {
        self.look(limits, name, address, Instant::now()).map(|(tried, _)| tried).map_err(too_many)
    }

    /// Begins a try.
    ///
    /// # Errors
    /// `TooMany`, with the seconds to wait. Such a try is not counted.
    pub fn begin(&mut self, limits: &Limits, name: &str, address: IpAddr) -> Result<Try> {
        self.begin_at(limits, name, address, Instant::now()).map_err(too_many)
    }

    /// Whether the account of this name was logged in to from this address before.
    pub fn is_known(&self, name: &str, address: IpAddr) -> bool {
        let home = (self.keys.hash_one(name), address.to_canonical());
        self.homes.contains_key(&home)
    }

    /// The try turned out right.
    pub fn succeed(&mut self, tried: Try) {
        self.succeed_at(tried, Instant::now());
    }

    fn begin_at(
        &mut self,
        limits: &Limits,
        name: &str,
        address: IpAddr,
        now: Instant,
    ) -> std::result::Result<Try, Duration> {
        let (tried, besieged) = self.look(limits, name, address, now)?;
        let longest = Duration::from_secs(limits.login_wait_seconds);
        let own = if tried.known { longest.min(FEW) } else { longest };
        self.record(tried.pair(), now).fail(limits.login_failures, own, now);
        self.record(tried.near(), now).fail(limits.login_failures_per_address, longest.min(FEW), now);
        self.record(Key::Name(tried.name), now).fail(u64::MAX, Duration::ZERO, now);
        if besieged {
            let pair = self.record(tried.pair(), now);
            pair.until = pair.until.max(now + KNOCK);
        }
        Ok(tried)
    }

    /// A try that would be let through, and whether its name is being tried from everywhere.
    fn look(
        &mut self,
        limits: &Limits,
        name: &str,
        address: IpAddr,
        now: Instant,
    ) -> std::result::Result<(Try, bool), Duration> {
        let (name, address) = (self.keys.hash_one(name), address.to_canonical());
        let known = self.homes.contains_key(&(name, address));
        let tried = Try { name, address, known };
        let everywhere = self.find(Key::Name(name), now).map_or(0, |record| record.failures);
        let besieged = !known && u64::from(everywhere) >= limits.login_failures_per_name;
        if besieged && self.find(tried.pair(), now).is_none() {
            self.record(tried.pair(), now).until = now + KNOCK;
        }
        let waits = [tried.pair(), tried.near()].into_iter().filter_map(|key| self.find(key, now)?.wait(now));
        match waits.max() {
            Some(wait) => Err(wait),
            None => Ok((tried, besieged)),
        }
    }

    fn succeed_at(&mut self, tried: Try, now: Instant) {
        self.records.remove(&tried.pair());
        for key in [tried.near(), Key::Name(tried.name)] {
            if let Some(record) = self.records.get_mut(&key) {
                record.failures = record.failures.saturating_sub(1);
                record.until = record.until.min(now);
            }
        }
        if tried.known {
            self.records.remove(&tried.near());
        }
        let home = (tried.name, tried.address);
        if self.homes.len() >= MOST_HOMES && !self.homes.contains_key(&home) {
            if let Some(oldest) = self.homes.iter().min_by_key(|(_, at)| **at).map(|(home, _)| *home) {
                self.homes.remove(&oldest);
            }
        }
        self.homes.insert(home, now);
    }

    fn find(&self, key: Key, now: Instant) -> Option<&Record> {
        self.records.get(&key).filter(|record| !record.is_lapsed(now))
    }

    /// The record of a key, a fresh one where there is none.
    fn record(&mut self, key: Key, now: Instant) -> &mut Record {
        let fresh = Record { failures: 0, until: now, last: now };
        if self.records.len() >= MOST_RECORDS && !self.records.contains_key(&key) {
            self.make_room(now);
        }
        let record = self.records.entry(key).or_insert(fresh);
        if record.is_lapsed(now) {
            *record = fresh;
        }
        record
    }

    /// Forgets what makes nobody wait; should that not do, the older half.
    fn make_room(&mut self, now: Instant) {
        self.records.retain(|key, record| {
            let counts = record.until > now || matches!(key, Key::Name(_) | Key::Stranger(_));
            counts && !record.is_lapsed(now)
        });
        if self.records.len() >= MOST_RECORDS / 2 {
            let mut times: Vec<Instant> = self.records.values().map(|record| record.last).collect();
            let middle = times.len() / 2;
            let median = *times.select_nth_unstable(middle).1;
            self.records.retain(|_, record| record.last > median);
        }
    }
}

fn too_many(wait: Duration) -> Error {
    let seconds = wait.as_secs_f64().ceil().max(1.0) as u32;
    let plural = if seconds == 1 { "" } else { "s" };
    let sentence = format!("Too many wrong passwords, please wait {seconds} second{plural}");
    Error::new(Code::TooMany { retry_after_seconds: seconds }, sentence)
}

impl Record {
    /// How long a try has to wait; `None` when it need not.
    fn wait(&self, now: Instant) -> Option<Duration> {
        Some(self.until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// Counts a failure. From the last of the `free` ones on each doubles the wait, which is never longer than `most`.
    fn fail(&mut self, free: u64, most: Duration, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.last = now;
        if let Some(beyond) = u64::from(self.failures).checked_sub(free) {
            let doubled = 1u64.checked_shl(beyond.min(63) as u32).unwrap_or(u64::MAX);
            self.until = now + Duration::from_secs(doubled).min(most);
        }
    }
}
