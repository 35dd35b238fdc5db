//! The throttle against a model that remembers every try and works each wait out anew.

use super::*;
use proptest::prelude::*;

fn limits() -> Limits {
    Limits { login_failures_per_address: 8, login_failures_per_name: 12, ..Limits::default() }
}

fn address(number: u8) -> IpAddr {
    match number {
        // Two of one network, and one of another.
        0 => "2001:db8::1".parse().unwrap(),
        1 => "2001:db8::2".parse().unwrap(),
        2 => "2001:db8:0:1::1".parse().unwrap(),
        number => IpAddr::from([192, 0, 2, number]),
    }
}

/// What has happened, as the model remembers it.
#[derive(Clone, Copy, Debug)]
struct Past {
    at: u64,
    name: u8,
    address: u8,
    what: What,
    known: bool,
    besieged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Wrong,
    Right,
    /// A first try that had to wait.
    Knock,
}

#[derive(Default)]
struct Model(Vec<Past>);

impl Model {
    /// The failures among `which`, as far as they are remembered, and until when they make one wait.
    fn count(
        &self,
        now: u64,
        free: u64,
        most: impl Fn(&Past) -> u64,
        which: impl Fn(&Past) -> bool,
    ) -> (u64, u64) {
        let (mut failures, mut until, mut last) = (0, 0, None::<u64>);
        for past in self.0.iter().filter(|past| which(past)) {
            if last.is_some_and(|last| past.at - last >= 3600 && until <= past.at) {
                (failures, until) = (0, 0);
            }
            last = Some(past.at);
            match past.what {
                What::Wrong => {
                    failures += 1;
                    if failures >= free {
                        until = past.at + most(past).min(1 << (failures - free).min(30));
                    }
                }
                What::Right => until = 0,
                What::Knock => {}
            }
        }
        match last.is_some_and(|last| now - last >= 3600 && until <= now) {
            true => (0, 0),
            false => (failures, until),
        }
    }

    fn known(&self, name: u8, place: u8) -> bool {
        let same = |past: &Past| address(past.address) == address(place);
        self.0.iter().any(|past| past.what == What::Right && past.name == name && same(past))
    }

    fn besieged(&self, limits: &Limits, now: u64, name: u8, place: u8) -> bool {
        let (failures, _) =
            self.count(now, u64::MAX, |_| 0, |past| past.name == name && past.what != What::Knock);
        failures >= limits.login_failures_per_name && !self.known(name, place)
    }

    /// How long a try has to wait.
    fn wait(&self, limits: &Limits, now: u64, name: u8, place: u8) -> u64 {
        let known = self.known(name, place);
        // A success wipes out the pair's failures.
        let pair = |past: &Past| past.name == name && past.address == place;
        let begin =
            self.0.iter().rposition(|past| pair(past) && past.what == What::Right).map_or(0, |at| at + 1);
        let own = Model(self.0[begin..].to_vec());
        let most = |past: &Past| if past.known { 4 } else { limits.login_wait_seconds };
        let (_, mut until) = own.count(now, limits.login_failures, most, pair);
        for past in own.0.iter().filter(|past| pair(past)) {
            if past.what == What::Knock || (past.besieged && past.what == What::Wrong) {
                until = until.max(past.at + 3);
            }
        }
        let network = |past: &Past| address(past.address) == address(place);
        let near = |past: &Past| {
            let mine = if known { past.known && past.name == name } else { !past.known };
            network(past) && mine && past.what != What::Knock
        };
        let fresh = match known {
            true => {
                self.0.iter().rposition(|past| near(past) && past.what == What::Right).map_or(0, |at| at + 1)
            }
            false => 0,
        };
        let (_, shared) =
            Model(self.0[fresh..].to_vec()).count(now, limits.login_failures_per_address, |_| 4, near);
        until.max(shared).saturating_sub(now)
    }

    fn has_tried(&self, now: u64, name: u8, place: u8) -> bool {
        let pair = |past: &&Past| past.name == name && past.address == place;
        let last = self.0.iter().rfind(pair);
        last.is_some_and(|past| past.what != What::Right && now - past.at < 3600)
    }
}

/// A try: after so many seconds, of this name, from there, with the right password or not.
fn tries() -> impl Strategy<Value = Vec<(u64, u8, u8, bool)>> {
    let pause = prop_oneof![6 => 0u64..3, 3 => 3u64..40, 1 => 300u64..1200, 1 => 3600u64..8000];
    prop::collection::vec((pause, 0u8..3, 0u8..6, prop::bool::weighted(0.1)), 1..160)
}

proptest! {
    #![proptest_config(crate::test::dice())]

    #[test]
    fn r_a6_the_throttle_is_as_its_model(tries in tries()) {
        let (limits, begin) = (limits(), Instant::now());
        let (mut throttle, mut model, mut now) = (Throttle::default(), Model::default(), 0);
        for (pause, name, place, right) in tries {
            now += pause;
            let at = begin + Duration::from_secs(now);
            let (known, besieged) = (model.known(name, place), model.besieged(&limits, now, name, place));
            let past = |what| Past { at: now, name, address: place, what, known, besieged };
            if besieged && !model.has_tried(now, name, place) {
                model.0.push(past(What::Knock));
            }
            let wait = model.wait(&limits, now, name, place);
            match throttle.begin_at(&limits, &name.to_string(), address(place), at) {
                Err(told) => {
                    prop_assert_eq!(told, Duration::from_secs(wait));
                    prop_assert!(!known || told <= FEW, "at home nobody waits for long");
                }
                Ok(tried) => {
                    prop_assert_eq!(wait, 0);
                    prop_assert_eq!(tried.is_known(), known);
                    model.0.push(past(if right { What::Right } else { What::Wrong }));
                    if right {
                        throttle.succeed_at(tried, at);
                    }
                }
            }
        }
    }
}

#[test]
fn r_a6_each_failure_doubles_the_wait_up_to_a_quarter_of_an_hour() {
    let (mut throttle, limits, begin) = (Throttle::default(), Limits::default(), Instant::now());
    let (home, mut now, mut waits) = (address(9), begin, Vec::new());
    for number in 0..18 {
        assert!(throttle.begin_at(&limits, "ann", home, now).is_ok(), "after waiting it is let through");
        if number >= 4 {
            let wait = throttle.begin_at(&limits, "ann", home, now).unwrap_err();
            waits.push(wait.as_secs());
            now += wait;
        }
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]);
    // A try that was refused has not made it longer.
    assert!(throttle.begin_at(&limits, "ann", home, now).is_ok());
}

#[test]
fn r_a6_five_are_free_and_the_sixth_waits_a_second() {
    let (mut throttle, limits, now) = (Throttle::default(), Limits::default(), Instant::now());
    for _ in 0..5 {
        let _failed = throttle.begin_at(&limits, "ann", address(9), now).unwrap();
    }
    assert_eq!(throttle.begin_at(&limits, "ann", address(9), now).unwrap_err(), Duration::from_secs(1));
    // Neither another name from there, nor the name from elsewhere.
    assert!(throttle.begin_at(&limits, "bob", address(9), now).is_ok());
    assert!(throttle.begin_at(&limits, "ann", address(10), now).is_ok());
}

#[test]
fn r_a6_whatever_a_stranger_does_the_right_password_waits_a_few_seconds_at_most() {
    let (mut throttle, limits, begin) = (Throttle::default(), Limits::default(), Instant::now());
    let home = throttle.begin_at(&limits, "ann", address(9), begin).unwrap();
    throttle.succeed_at(home, begin);
    // A thousand addresses, all at once and again and again.
    let stranger = |number: u32| IpAddr::from((0x0a00_0000 + number).to_be_bytes());
    for second in 0..60 {
        for number in 0..1000 {
            let _ = throttle.begin_at(&limits, "ann", stranger(number), begin + Duration::from_secs(second));
        }
    }
    let mut now = begin + Duration::from_secs(60);
    let at_home = throttle.begin_at(&limits, "ann", address(9), now).expect("at home nobody waits");
    assert!(at_home.is_known());
    // From a new address: once, for a few seconds.
    let wait = throttle.begin_at(&limits, "ann", address(77), now).unwrap_err();
    assert!(wait <= FEW, "{wait:?}");
    now += wait;
    for number in 0..1000 {
        let _ = throttle.begin_at(&limits, "ann", stranger(number), now);
    }
    assert!(throttle.begin_at(&limits, "ann", address(77), now).is_ok());
    assert!(throttle.records.len() <= MOST_RECORDS && throttle.homes.len() <= MOST_HOMES);
}

#[test]
fn a_visitor_in_the_home_network_does_not_lock_the_family_out() {
    let (mut throttle, limits, begin) = (Throttle::default(), Limits::default(), Instant::now());
    // One network, as IPv6 has it: the visitor's phone takes a new address for each try.
    let visitor = |number: u16| IpAddr::from([0x2001, 0xdb8, 0, 7, 0, 0, 1, number]);
    let mut let_through = 0;
    for second in 0..600 {
        let now = begin + Duration::from_secs(second);
        let through = (0..20).filter(|number| {
            throttle.begin_at(&limits, "ann", visitor(second as u16 * 20 + number), now).is_ok()
        });
        let_through += through.count();
    }
    assert!(let_through <= 20 + 600 / 4 + 1, "{let_through} tries in ten minutes");
    let now = begin + Duration::from_secs(600);
    let wait =
        throttle.begin_at(&limits, "ann", visitor(60_000), now).map_or_else(|wait| wait, |_| Duration::ZERO);
    assert!(wait <= FEW, "{wait:?}");
}

#[test]
fn tries_at_the_same_moment_all_count() {
    let (mut throttle, limits, now) = (Throttle::default(), Limits::default(), Instant::now());
    let tries: Vec<_> =
        (0..100).filter_map(|_| throttle.begin_at(&limits, "ann", address(9), now).ok()).collect();
    assert_eq!(tries.len(), 5);
    // One of them was right: that is the end of waiting.
    throttle.succeed_at(tries[3], now);
    assert!(throttle.begin_at(&limits, "ann", address(9), now).is_ok());
}

#[test]
fn looking_is_not_trying() {
    let (mut throttle, limits) = (Throttle::default(), Limits::default());
    for _ in 0..100 {
        assert!(!throttle.check(&limits, "ann", address(9)).unwrap().is_known());
    }
    for _ in 0..5 {
        let _failed = throttle.begin(&limits, "ann", address(9)).unwrap();
    }
    let error = throttle.check(&limits, "ann", address(9)).unwrap_err();
    assert_eq!(error.code, Code::TooMany { retry_after_seconds: 1 });
    assert_eq!(error.message, "Too many wrong passwords, please wait 1 second");
}

#[test]
fn the_memory_is_bounded() {
    let (mut throttle, limits, begin) = (Throttle::default(), Limits::default(), Instant::now());
    for number in 0..50_000u32 {
        let from = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
        let now = begin + Duration::from_millis(u64::from(number));
        let tried = throttle.begin_at(&limits, &format!("name {number}"), from, now).unwrap();
        if number % 2 == 0 {
            throttle.succeed_at(tried, now);
        }
        assert!(throttle.records.len() <= MOST_RECORDS && throttle.homes.len() <= MOST_HOMES);
    }
}
