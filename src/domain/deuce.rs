//! An entry of the diary, and how its time may be written.

use crate::domain::{EntryId, Error, GroupId, Result, Time, UserId, time::MONTHS};

/// An entry's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: EntryId,
    /// Its author's number.
    pub user: UserId,
    /// Its author's wire id.
    pub user_uid: String,
    /// The group it was logged to.
    pub group: GroupId,
    /// Where, in the author's words.
    pub location: String,
    /// What about it; may be empty.
    pub thoughts: String,
    /// When it happened, by the author's word; may lie ahead.
    pub logged_at: Time,
    /// When it was stored.
    pub created_at: Time,
}

/// Reads `loggedAt` the way the clients' `Date` does: ISO 8601 with any offset, or a written date
/// such as `Fri, 20 Nov 2026 14:56:46 GMT`. Without an offset a date alone is UTC, as is a time,
/// because the server does not know the writer's zone.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn parse_logged_at(text: &str) -> Result<Time> {
    let text = text.trim();
    parse_iso(text)
        .or_else(|| parse_slashes(text))
        .or_else(|| parse_words(text))
        .ok_or_else(|| Error::invalid("loggedAt: not a date that can be read, such as 2026-11-20T14:56:46Z"))
}

/// Reads a number of milliseconds since 1970.
///
/// # Errors
/// `Invalid`, naming the field, outside the years 0 to 9999.
pub fn logged_at_millis(millis: i64) -> Result<Time> {
    Time::from_millis(millis).ok_or_else(|| Error::invalid("loggedAt: must lie in the years 0 to 9999"))
}

/// A reader of ASCII text that takes what fits and says `None` at the first thing that does not.
struct Scanner<'a>(&'a [u8]);

impl Scanner<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let fits = self.0.first() == Some(&byte);
        if fits {
            self.0 = &self.0[1..];
        }
        fits
    }

    /// Exactly `count` digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits.iter().try_fold(0, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    }

    /// Any number of digits after the point, of which three count.
    fn millis(&mut self) -> Option<i64> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let padded = digits.iter().copied().chain([b'0', b'0']).take(3);
        (count > 0).then(|| padded.fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    /// `HH:MM`, `HH:MM:SS` or with decimals, as (seconds, milliseconds) of the day.
    fn time_of_day(&mut self) -> Option<(i64, i64)> {
        let hour = self.digits(2)?;
        let minute = if self.take(b':') { self.digits(2)? } else { return None };
        let second = if self.take(b':') { self.digits(2)? } else { 0 };
        let millis = if self.take(b'.') || self.take(b',') { self.millis()? } else { 0 };
        let midnight = hour == 24 && minute == 0 && second == 0 && millis == 0;
        ((hour < 24 || midnight) && minute < 60 && second < 60)
            .then_some((hour * 3600 + minute * 60 + second, millis))
    }

    /// `Z`, `+01:00`, `-0530` or nothing, in seconds east of Greenwich.
    fn offset(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.take(b'Z') || self.take(b'z') {
            return Some(0);
        }
        let sign = match (self.take(b'+'), self.take(b'-')) {
            (true, _) => 1,
            (_, true) => -1,
            _ => return None,
        };
        let hours = self.digits(2)?;
        self.take(b':');
        let minutes = self.digits(2)?;
        (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    }
}

fn parse_iso(text: &str) -> Option<Time> {
    let mut scanner = Scanner(text.as_bytes());
    let year = scanner.digits(4)?;
    let month = if scanner.take(b'-') { scanner.digits(2)? } else { 1 };
    let day = if scanner.take(b'-') { scanner.digits(2)? } else { 1 };
    let (second, millis, offset) = match scanner.0.is_empty() {
        true => (0, 0, 0),
        false if scanner.take(b'T') || scanner.take(b't') || scanner.take(b' ') => {
            let (second, millis) = scanner.time_of_day()?;
            (second, millis, scanner.offset()?)
        }
        false => return None,
    };
    let local = Time::from_civil(year, month, day, second, millis)?;
    scanner.0.is_empty().then(|| Time::from_millis(local.millis() - offset * 1000))?
}

/// `2026/11/20` or, as Americans write it, `11/20/2026`, with or without a time after it.
fn parse_slashes(text: &str) -> Option<Time> {
    let (date, rest) = text.split_once(' ').unwrap_or((text, ""));
    let parts: Vec<i64> = date.split('/').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (year, month, day) = match (parts.as_slice(), date.find('/')?) {
        ([year, month, day], 4) => (*year, *month, *day),
        ([month, day, year], 1 | 2) if date.len() - date.rfind('/')? == 5 => (*year, *month, *day),
        _ => return None,
    };
    let month = MONTHS.get(usize::try_from(month - 1).ok()?)?;
    parse_words(&format!("{month} {day} {year:04} {rest}"))
}

/// A date in words: weekday and anything in parentheses are passed over, and day, month, year and
/// time may come in the orders of HTTP dates and of JavaScript's own `Date` texts.
fn parse_words(text: &str) -> Option<Time> {
    let text = text.split('(').next()?;
    let (mut day, mut month, mut year, mut clock, mut offset) = (None, None, None, (0, 0), 0);
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        let bytes = word.as_bytes();
        let month_number =
            MONTHS.iter().position(|name| word.get(..3).is_some_and(|head| head.eq_ignore_ascii_case(name)));
        if let (true, Some(number)) = (bytes[0].is_ascii_alphabetic(), month_number) {
            month = Some(number as i64 + 1);
        } else if word.contains(':') {
            let mut scanner = Scanner(bytes);
            clock = scanner.time_of_day()?;
            offset = scanner.offset()?;
        } else if let Some(zone) = word.strip_prefix("GMT").or_else(|| word.strip_prefix("UTC")) {
            offset = Scanner(zone.as_bytes()).offset()?;
        } else if bytes[0].is_ascii_digit() {
            let number = word.parse().ok()?;
            match word.len() {
                1 | 2 if day.is_none() => day = Some(number),
                4 if year.is_none() => year = Some(number),
                _ => return None,
            }
        } else if word.eq_ignore_ascii_case("am") || word.eq_ignore_ascii_case("pm") {
            clock.0 = twelve_hours(clock.0, word.eq_ignore_ascii_case("pm"))?;
        } else if matches!(bytes[0], b'+' | b'-') {
            offset = Scanner(bytes).offset()?;
        } else if !is_weekday(word) {
            return None;
        }
    }
    let local = Time::from_civil(year?, month?, day?, clock.0, clock.1)?;
    Time::from_millis(local.millis() - offset * 1000)
}

/// A second of the day by a clock of twelve hours.
fn twelve_hours(second: i64, after_noon: bool) -> Option<i64> {
    let hour = second / 3600;
    (1..=12)
        .contains(&hour)
        .then(|| second - hour * 3600 + (hour % 12 + if after_noon { 12 } else { 0 }) * 3600)
}

fn is_weekday(word: &str) -> bool {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    word.get(..3).is_some_and(|head| DAYS.iter().any(|day| head.eq_ignore_ascii_case(day)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_the_clients_write_them() {
        for (text, wire) in [
            ("2026-11-20T14:56:46.816Z", "2026-11-20T14:56:46.816Z"),
            ("2026-11-20T14:56:46Z", "2026-11-20T14:56:46.000Z"),
            ("2026-11-20T14:56", "2026-11-20T14:56:00.000Z"),
            ("2026-11-20 14:56:46.816015", "2026-11-20T14:56:46.816Z"),
            ("2026-11-20T14:56:46.5+01:00", "2026-11-20T13:56:46.500Z"),
            ("2026-11-20T00:30:00-0530", "2026-11-20T06:00:00.000Z"),
            ("2026-11-20", "2026-11-20T00:00:00.000Z"),
            ("2026-11", "2026-11-01T00:00:00.000Z"),
            ("2026", "2026-01-01T00:00:00.000Z"),
            ("2026-11-20T24:00:00Z", "2026-11-21T00:00:00.000Z"),
            ("Fri, 20 Nov 2026 14:56:46 GMT", "2026-11-20T14:56:46.000Z"),
            (
                "Fri Nov 20 2026 15:56:46 GMT+0100 (Central European Standard Time)",
                "2026-11-20T14:56:46.000Z",
            ),
            ("November 20, 2026", "2026-11-20T00:00:00.000Z"),
            ("Nov 20, 2026 12:30 PM", "2026-11-20T12:30:00.000Z"),
            ("Nov 20, 2026 12:30 AM", "2026-11-20T00:30:00.000Z"),
            ("11/20/2026", "2026-11-20T00:00:00.000Z"),
            ("1/2/2026 11:05 pm", "2026-01-02T23:05:00.000Z"),
            ("2026/11/20 14:56:46", "2026-11-20T14:56:46.000Z"),
        ] {
            assert_eq!(
                parse_logged_at(text).map(|time| time.to_string()).ok().as_deref(),
                Some(wire),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_date_is_refused_by_name() {
        for text in [
            "",
            "x",
            "yesterday",
            "2026-13-01",
            "2026-02-30",
            "2026-11-20T25:00Z",
            "2026-11-20T14:56:46+25:00",
            "2026-11-20Z9",
            "13/13/2026",
            "1/2/26",
            "0/1/2026",
            "Nov 20 2026 13:00 PM",
            "20 2026",
            "é",
            "Nové 1 2026 x",
            "1 2 3",
            "2026-11-20T14",
        ] {
            assert!(parse_logged_at(text).unwrap_err().message.starts_with("loggedAt: "), "{text}");
        }
    }
}
