//! Points in time, their wire form, and the only clock of the house.
//!
//! The clock may be wrong: a Raspberry Pi has none of its own and can wake up in 1970. So time is
//! for showing to people and for expiry, never for order; order is a row number.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

static OFFSET_MILLIS: AtomicI64 = AtomicI64::new(0);

/// Shifts the clock of this process, for tests that need next week.
pub fn shift_clock(seconds: i64) {
    OFFSET_MILLIS.store(seconds.saturating_mul(1000), Ordering::Relaxed);
}

/// Milliseconds that have passed since the machine was started, sleep included. Nobody can set this clock.
pub fn steady_millis() -> i64 {
    let mut now = std::mem::MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the kernel fills what it was given; this clock is always there (clock_gettime(2)).
    let now = unsafe {
        libc::clock_gettime(libc::CLOCK_BOOTTIME, now.as_mut_ptr());
        now.assume_init()
    };
    // The fields are 32 bits wide on some machines.
    #[allow(clippy::unnecessary_cast)]
    let (seconds, nanoseconds) = (now.tv_sec as i64, now.tv_nsec as i64);
    seconds * 1000 + nanoseconds / 1_000_000
}

/// Milliseconds since 1970 in UTC. Years 0 to 9999 only, so that the wire form always has the
/// same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

const DAY_MILLIS: i64 = 86_400_000;
const FIRST: i64 = -62_167_219_200_000; // 0000-01-01T00:00:00.000Z
const LAST: i64 = 253_402_300_799_999; // 9999-12-31T23:59:59.999Z

impl Time {
    /// The earliest point that can be written.
    pub const FIRST: Time = Time(FIRST);

    /// Now, by the clock of this machine.
    pub fn now() -> Time {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_millis() as i64,
            Err(before) => -(before.duration().as_millis() as i64),
        };
        Time((millis + OFFSET_MILLIS.load(Ordering::Relaxed)).clamp(FIRST, LAST))
    }

    /// The point that many milliseconds after 1970; `None` outside the years 0 to 9999.
    pub fn from_millis(millis: i64) -> Option<Time> {
        (FIRST..=LAST).contains(&millis).then_some(Time(millis))
    }

    /// The second, as part of a file's name: `20261124T211500Z`. Such names sort by time, and every file system takes them.
    pub fn stamp(self) -> String {
        let text = self.to_string();
        text[..19].chars().filter(|letter| !matches!(letter, '-' | ':')).chain(['Z']).collect()
    }

    /// The minute, as people read it: `2026-11-24 21:15 UTC`.
    pub fn minute(self) -> String {
        format!("{} UTC", self.to_string()[..16].replace('T', " "))
    }

    /// Midnight in UTC, so many days after 1970.
    pub fn of_day(day: i64) -> Time {
        Time(day.saturating_mul(DAY_MILLIS).clamp(FIRST, LAST))
    }

    /// The days from 1970 to this point, in UTC.
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY_MILLIS)
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// The point so many seconds later (or earlier), held within the years that can be written.
    pub fn plus_seconds(self, seconds: i64) -> Time {
        Time(self.0.saturating_add(seconds.saturating_mul(1000)).clamp(FIRST, LAST))
    }

    /// The point of a calendar date and time of day in UTC; `None` if there is no such date.
    pub fn from_civil(year: i64, month: i64, day: i64, second_of_day: i64, millis: i64) -> Option<Time> {
        let real = (0..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && (0..=86_400).contains(&second_of_day)
            && (0..1000).contains(&millis);
        if !real {
            return None;
        }
        Time::from_millis(days_from_civil(year, month, day) * DAY_MILLIS + second_of_day * 1000 + millis)
    }

    /// Year, month and day of this point in UTC.
    pub fn date(self) -> (i64, i64, i64) {
        civil_from_days(self.0.div_euclid(DAY_MILLIS))
    }

    /// The form that HTTP headers and cookies use (RFC 9110 section 5.6.7).
    pub fn http_date(self) -> String {
        const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        let days = self.0.div_euclid(DAY_MILLIS);
        let (year, month, day) = civil_from_days(days);
        let second = self.0.rem_euclid(DAY_MILLIS) / 1000;
        format!(
            "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
            WEEKDAYS[days.rem_euclid(7) as usize],
            MONTHS[(month - 1) as usize],
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`, always in UTC, always three decimals.
impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let millis = self.0.rem_euclid(DAY_MILLIS);
        let text = [
            digit(year / 1000),
            digit(year / 100),
            digit(year / 10),
            digit(year),
            b'-',
            digit(month / 10),
            digit(month),
            b'-',
            digit(day / 10),
            digit(day),
            b'T',
            digit(millis / 36_000_000),
            digit(millis / 3_600_000 % 24 % 10),
            b':',
            digit(millis / 600_000 % 6),
            digit(millis / 60_000),
            b':',
            digit(millis / 10_000 % 6),
            digit(millis / 1000),
            b'.',
            digit(millis / 100),
            digit(millis / 10),
            digit(millis),
            b'Z',
        ];
        formatter.write_str(std::str::from_utf8(&text).expect("digits are ASCII"))
    }
}

fn digit(number: i64) -> u8 {
    b'0' + (number % 10) as u8
}

/// English month names, as HTTP dates have them.
pub const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date in the Gregorian calendar. The year is taken to begin in March, so
/// that the leap day is its last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_and_people_have_their_own_forms() {
        let time = Time::from_civil(2026, 11, 24, 21 * 3600 + 15 * 60 + 7, 5).unwrap();
        assert_eq!(time.stamp(), "20261124T211507Z");
        assert_eq!(time.minute(), "2026-11-24 21:15 UTC");
    }

    #[test]
    fn the_wire_form_has_three_decimals_and_a_z() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_187_924_544, "2026-11-20T15:18:44.544Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (LAST, "9999-12-31T23:59:59.999Z"),
            (FIRST, "0000-01-01T00:00:00.000Z"),
            (1_709_210_096_007, "2024-02-29T12:34:56.007Z"),
        ] {
            assert_eq!(Time(millis).to_string(), text);
        }
    }

    #[test]
    fn every_day_survives_the_way_there_and_back() {
        let mut days = FIRST / DAY_MILLIS;
        while days < LAST / DAY_MILLIS {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            days += 13;
        }
    }

    #[test]
    fn http_dates_name_the_weekday() {
        assert_eq!(Time(784_111_777_000).http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(Time(-1).http_date(), "Wed, 31 Dec 1969 23:59:59 GMT");
    }

    #[test]
    fn there_is_no_thirtieth_of_february() {
        assert_eq!(Time::from_civil(2026, 2, 30, 0, 0), None);
        assert_eq!(Time::from_civil(2023, 2, 29, 0, 0), None);
        assert!(Time::from_civil(2024, 2, 29, 86_399, 999).is_some());
    }
}
