//! How often who may do what: a bucket of tokens for each pair of deed and doer, in memory only.
//!
//! A bucket holds a minute's worth and fills evenly, so that a page that asks for three hundred
//! things at once is served, and a loop that never stops is not. Time is the monotonic clock's.

use crate::domain::{Error, Result, TokenId, UserId};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    time::Instant,
};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deed {
    /// Any API request.
    Request,
    /// A try to log in.
    Login,
    /// A try to choose a password by a link.
    Link,
    /// A wrong claim secret.
    WrongClaim,
    /// An entry.
    Deuce,
    /// A new group, invite, account or link.
    Group,
    /// A try to join by invite.
    Join,
    /// A reaction given or taken back.
    Reaction,
    /// A chat message said, changed or deleted.
    Message,
    /// A notification sent.
    Notification,
    /// An uploaded picture.
    Picture,
}

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doer {
    /// A person.
    User(UserId),
    /// A device: one gone mad must not lock its person out.
    Device(TokenId),
    /// An address; of IPv6 the network, because a device has many addresses there.
    Address(IpAddr),
    /// A name tried from an address where its person is known: a stranger there cannot use up the person's tries.
    Name(u64),
}

impl Doer {
    /// The doer behind an address.
    pub fn address(address: IpAddr) -> Doer {
        Doer::Address(network_of(address))
    }

    /// A name tried from an address.
    pub fn name(name: &str, address: IpAddr) -> Doer {
        let mut hasher = DefaultHasher::new();
        (name, Doer::address(address)).hash(&mut hasher);
        Doer::Name(hasher.finish())
    }
}

/// What stands for whoever is at an address: of IPv6 the network of 64 bits, in which one device may
/// take as many addresses as it likes. At home all devices are in one such network, and one of them must not use up
/// what the others have, so addresses that are only good there stand for themselves.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) if v6.is_unique_local() || v6.is_unicast_link_local() => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
    }
}

struct Bucket {
    /// How many are left, as of `at`.
    left: f64,
    per_minute: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, now: Instant) {
        let minutes = now.saturating_duration_since(self.at).as_secs_f64() / 60.0;
        self.left = (self.left + minutes * self.per_minute).min(self.per_minute);
        self.at = now;
    }
}

/// All buckets.
#[derive(Default)]
pub struct Pace {
    buckets: HashMap<(Deed, Doer), Bucket>,
}

/// More buckets than a household has people and devices by far.
const MOST_BUCKETS: usize = 8192;

impl Pace {
    /// Counts one deed, of which there may be so many a minute.
    ///
    /// # Errors
    /// `TooMany` with the seconds until the next is allowed.
    pub fn take(&mut self, deed: Deed, doer: Doer, per_minute: u64) -> Result<()> {
        self.take_at(deed, doer, per_minute, Instant::now())
    }

    /// Whether one more deed would be allowed, without counting it.
    ///
    /// # Errors
    /// `TooMany` with the seconds until the next is allowed.
    pub fn check(&mut self, deed: Deed, doer: Doer, per_minute: u64) -> Result<()> {
        check(self.bucket(deed, doer, per_minute, Instant::now()))
    }

    fn take_at(&mut self, deed: Deed, doer: Doer, per_minute: u64, now: Instant) -> Result<()> {
        let bucket = self.bucket(deed, doer, per_minute, now);
        check(bucket)?;
        bucket.left -= 1.0;
        Ok(())
    }

    fn bucket(&mut self, deed: Deed, doer: Doer, per_minute: u64, now: Instant) -> &mut Bucket {
        if self.buckets.len() >= MOST_BUCKETS {
            self.forget_full(now);
        }
        let per_minute = per_minute as f64;
        let bucket =
            self.buckets.entry((deed, doer)).or_insert(Bucket { left: per_minute, per_minute, at: now });
        bucket.fill(now);
        bucket
    }

    /// A full bucket says the same as none. Should a flood of addresses leave none full, all go:
    /// being generous for once is better than growing.
    fn forget_full(&mut self, now: Instant) {
        self.buckets.retain(|_, bucket| {
            bucket.fill(now);
            bucket.left < bucket.per_minute
        });
        if self.buckets.len() >= MOST_BUCKETS {
            self.buckets.clear();
        }
    }
}

fn check(bucket: &Bucket) -> Result<()> {
    if bucket.left >= 1.0 {
        return Ok(());
    }
    let seconds = ((1.0 - bucket.left) * 60.0 / bucket.per_minute).ceil();
    Err(Error::too_many((seconds as u32).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Code;
    use std::time::Duration;

    #[test]
    fn a_minutes_worth_at_once_then_evenly() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        let doer = Doer::User(UserId(1));
        let mut take = |seconds| pace.take_at(Deed::Deuce, doer, 30, begin + Duration::from_secs(seconds));
        assert!((0..30).all(|_| take(0).is_ok()));
        let refused = take(0).unwrap_err();
        assert_eq!(refused.code, Code::TooMany { retry_after_seconds: 2 });
        assert!(take(1).is_err());
        assert!(take(2).is_ok());
        assert!(take(2).is_err());
        assert!((0..30).all(|_| take(1000).is_ok()));
        assert!(take(1000).is_err());
    }

    #[test]
    fn a_flood_of_addresses_does_not_grow_without_end() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for number in 0..100_000u32 {
            let doer = Doer::address(IpAddr::from(number.to_be_bytes()));
            pace.take_at(Deed::Login, doer, 30, now).unwrap();
            assert!(pace.buckets.len() <= MOST_BUCKETS);
        }
    }

    #[test]
    fn a_device_cannot_hide_in_its_own_network() {
        let doers = ["2001:db8::1", "2001:db8::2"].map(|text| Doer::address(text.parse().unwrap()));
        assert_eq!(doers[0], doers[1]);
        assert_ne!(doers[0], Doer::address("2001:db8:0:1::1".parse().unwrap()));
    }

    #[test]
    fn a_device_at_home_does_not_use_up_what_its_neighbours_have() {
        for [one, other] in [["fd00::1", "fd00::2"], ["fe80::1", "fe80::2"], ["192.168.0.1", "192.168.0.2"]] {
            let doers = [one, other].map(|text| Doer::address(text.parse().unwrap()));
            assert_ne!(doers[0], doers[1]);
        }
    }
}
