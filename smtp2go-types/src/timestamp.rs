//! A time in any layout that the API writes or reads.

use std::cmp::Ordering;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_core::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::civil;
use crate::lenient::{self, Lenient, Scalar};

const SECONDS_PER_DAY: i64 = 86_400;

/// A time, as text in a format of the API.
///
/// Keeps its text and serialises as that text, unchecked.
/// [`to_system_time`](Timestamp::to_system_time) and [`unix_seconds`](Timestamp::unix_seconds)
/// parse it and understand:
///
/// - `2026-03-02`, `2026-03-02 08:15:00`, `2026-03-02T08:15:00`, the latter two optionally with a
///   fraction of any length (digits beyond nanoseconds are dropped) and with a zone: `Z`, `+00:00`,
///   `+0000`, `+00`, or a name as below, with or without a space before it;
/// - RFC 822 and RFC 1123: `02 Mar 26 08:15 GMT`, `Mon, 02 Mar 2026 08:15:00 +0000`, where weekday
///   and seconds may be missing. A year of two digits means 1969 to 2068. Zone names are those of
///   RFC 822 (`GMT`, `UT`, `EST`, `PDT`, …), `UTC` and `Z`;
/// - a number alone, with or without a fraction: seconds since 1970.
///
/// A time without a zone is UTC. A date that does not exist is refused, and so is a leap second. The
/// weekday is not checked.
///
/// Equality and hashing compare the text: `2026-03-02T08:15:00Z` and `2026-03-02 08:15:00` are the
/// same time, but not equal. The order is by time, then by text; text in an unknown layout comes
/// before all times.
///
/// The features `chrono`, `jiff` and `time` add `From` for the times of those crates. To convert back,
/// convert [`to_system_time`](Timestamp::to_system_time), as in `jiff::Timestamp::try_from(time)`.
///
/// ```
/// use std::time::SystemTime;
/// use smtp2go_types::Timestamp;
///
/// let time = Timestamp::new("Mon, 02 Mar 2026 09:15:00 +0100");
/// assert_eq!(time.unix_seconds(), Some(1_772_439_300));
/// assert!(Timestamp::from(SystemTime::now()).as_str().ends_with('Z'));
/// assert_eq!(Timestamp::new("soon").to_system_time(), None);
///
/// let mut times = ["2026-03-02 10:00:00 +0200", "2026-03-02T09:00:00Z"].map(Timestamp::from);
/// times.sort();
/// assert_eq!(times[0].as_str(), "2026-03-02 10:00:00 +0200"); // 08:00 UTC
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct Timestamp(String);

impl Timestamp {
    /// Creates a timestamp from text, which is not checked.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, as it was given or received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a time as RFC 3339 in UTC: seconds since 1970, plus milliseconds.
    pub(crate) fn from_unix(seconds: i64, millis: u32) -> Self {
        let (year, month, day) = civil::date_from_days(seconds.div_euclid(SECONDS_PER_DAY));
        let second = seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let year = match year {
            0..=9999 => format!("{year:04}"),
            _ => format!("{year:+05}"),
        };
        let fraction = match millis {
            0 => String::new(),
            _ => format!(".{millis:03}"),
        };
        Self(format!(
            "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"
        ))
    }

    /// Returns the time, to the nanosecond. `None` if the layout is unknown, or the time is outside
    /// the platform's range of [`SystemTime`].
    #[must_use]
    pub fn to_system_time(&self) -> Option<SystemTime> {
        let (seconds, nanos) = parse(&self.0)?;
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let second = if seconds < 0 {
            UNIX_EPOCH.checked_sub(whole)?
        } else {
            UNIX_EPOCH.checked_add(whole)?
        };
        second.checked_add(Duration::from_nanos(u64::from(nanos)))
    }

    /// Returns the time in seconds since 1970, rounded down; negative before 1970. `None` if the
    /// layout is unknown.
    #[must_use]
    pub fn unix_seconds(&self) -> Option<i64> {
        parse(&self.0).map(|(seconds, _)| seconds)
    }
}

/// Orders by the moment, then by the text.
impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_moment = parse(&self.0).cmp(&parse(&other.0));
        by_moment.then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<&str> for Timestamp {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Timestamp {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Writes RFC 3339 in UTC, with milliseconds unless they are zero; finer parts are cut off. A year
/// beyond 9999 or before 0 has a sign and more digits if needed; the API refuses such a time.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let (seconds, millis) = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => (whole_seconds(after), after.subsec_millis()),
            Err(error) => {
                let before = error.duration();
                // Rounded down: before 1970, a fraction belongs to the earlier second.
                match before.subsec_nanos() {
                    0 => (-whole_seconds(before), 0),
                    nanos => (
                        -whole_seconds(before) - 1,
                        (1_000_000_000 - nanos) / 1_000_000,
                    ),
                }
            }
        };
        Self::from_unix(seconds, millis)
    }
}

/// Returns the seconds of a duration, capped so that later arithmetic can't overflow.
fn whole_seconds(duration: Duration) -> i64 {
    const MOST: i64 = i64::MAX / 2;
    i64::try_from(duration.as_secs()).map_or(MOST, |seconds| seconds.min(MOST))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Lenient for Timestamp {
    fn from_scalar(scalar: Scalar<'_>) -> Option<Self> {
        match scalar {
            Scalar::Bool(_) => None,
            scalar => Some(Self(scalar.into_text())),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// Accepts text, or a number of seconds since 1970.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::read::<Option<_>, _>(deserializer)?
            .ok_or_else(|| de::Error::custom("expected a time as text or as seconds since 1970"))
    }
}

/// Returns the seconds since 1970, rounded down, and the remaining nanoseconds.
fn parse(text: &str) -> Option<(i64, u32)> {
    let text = text.trim();
    unix(text).or_else(|| iso(text)).or_else(|| mail(text))
}

/// Parses seconds since 1970: `1772439300` or `-0.5`.
fn unix(text: &str) -> Option<(i64, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = whole.strip_prefix('-');
    if !digits
        .unwrap_or(whole)
        .bytes()
        .all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let mut fraction = Cursor::new(fraction);
    let nanos = fraction.nanos()?;
    if !fraction.is_at_end() {
        return None;
    }
    match (digits, nanos) {
        // The fraction of a negative number counts away from 1970, the nanoseconds count towards
        // it.
        (Some(_), 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos)),
        _ => Some((seconds, nanos)),
    }
}

/// Parses the layouts from `2026-03-02` to `2026-03-02 08:15:00.412907+00:00`.
fn iso(text: &str) -> Option<(i64, u32)> {
    let mut cursor = Cursor::new(text);
    let midnight = cursor.date()? * SECONDS_PER_DAY;
    if cursor.is_at_end() {
        return Some((midnight, 0));
    }
    if !(cursor.eat('T') || cursor.eat('t') || cursor.eat(' ')) {
        return None;
    }
    let time = cursor.minutes()?;
    cursor.eat(':').then_some(())?;
    let seconds = cursor.number(2, 59)?;
    let nanos = if cursor.eat('.') { cursor.nanos()? } else { 0 };
    let offset = zone(cursor.rest().trim_start())?;
    Some((midnight + time + seconds - offset, nanos))
}

/// Parses the layouts from `02 Mar 26 08:15 +0000` to `Mon, 02 Mar 2026 08:15:00 GMT`.
fn mail(text: &str) -> Option<(i64, u32)> {
    let mut words = text.split_ascii_whitespace();
    let mut word = words.next()?;
    if let Some(weekday) = word.strip_suffix(',') {
        position(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"], weekday)?;
        word = words.next()?;
    }
    let mut day = Cursor::new(word);
    let day_of_month = day.number(word.len().clamp(1, 2), 31)?;
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let month = position(&MONTHS, words.next()?)? + 1;
    let word = words.next()?;
    let mut year = Cursor::new(word);
    let full_year = match word.len() {
        // The pivot year of POSIX and Go; RFC 822 defines none.
        2 => match year.number(2, 99)? {
            short @ 69.. => 1900 + short,
            short => 2000 + short,
        },
        _ => year.number(4, 9999)?,
    };
    let days = civil::days_since_epoch(
        full_year,
        u32::try_from(month).ok()?,
        u32::try_from(day_of_month).ok()?,
    )?;
    let mut clock = Cursor::new(words.next()?);
    let time = clock.minutes()?;
    let seconds = if clock.eat(':') {
        clock.number(2, 59)?
    } else {
        0
    };
    let offset = words.next().map_or(Some(0), zone)?;
    let complete =
        day.is_at_end() && year.is_at_end() && clock.is_at_end() && words.next().is_none();
    complete.then_some((days * SECONDS_PER_DAY + time + seconds - offset, 0))
}

/// Returns the index of a word in a list, ignoring case.
fn position(words: &[&str], word: &str) -> Option<usize> {
    words
        .iter()
        .position(|known| known.eq_ignore_ascii_case(word))
}

/// Parses a zone. Returns seconds east of Greenwich; an empty zone is UTC.
fn zone(text: &str) -> Option<i64> {
    let sign = match text.chars().next() {
        None => return Some(0),
        Some('+') => 1,
        Some('-') => -1,
        Some(_) => {
            let hours = match text.to_ascii_uppercase().as_str() {
                "Z" | "UTC" | "GMT" | "UT" => 0,
                "EDT" => -4,
                "EST" | "CDT" => -5,
                "CST" | "MDT" => -6,
                "MST" | "PDT" => -7,
                "PST" => -8,
                _ => return None,
            };
            return Some(hours * 3600);
        }
    };
    let mut cursor = Cursor::new(text.get(1..)?);
    let hours = cursor.number(2, 23)?;
    let minutes = if cursor.is_at_end() {
        0
    } else {
        cursor.eat(':');
        cursor.number(2, 59)?
    };
    cursor
        .is_at_end()
        .then_some(sign * (hours * 3600 + minutes * 60))
}

/// Reads text from left to right.
pub(crate) struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self(text)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads `2026-03-02`, as days since 1970.
    pub(crate) fn date(&mut self) -> Option<i64> {
        let year = self.number(4, 9999)?;
        self.eat('-').then_some(())?;
        let month = self.number(2, 12)?;
        self.eat('-').then_some(())?;
        let day = self.number(2, 31)?;
        civil::days_since_epoch(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)
    }

    /// Reads `08:15`, as seconds since midnight.
    fn minutes(&mut self) -> Option<i64> {
        let hours = self.number(2, 23)?;
        self.eat(':').then_some(())?;
        Some(hours * 3600 + self.number(2, 59)? * 60)
    }

    /// Reads a number of exactly `digits` digits, up to `limit`.
    fn number(&mut self, digits: usize, limit: i64) -> Option<i64> {
        let (head, rest) = self.0.split_at_checked(digits)?;
        if !head.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        head.parse().ok().filter(|number| *number <= limit)
    }

    /// Reads at least one digit after a decimal point, as nanoseconds. Digits after the ninth are
    /// ignored.
    fn nanos(&mut self) -> Option<u32> {
        let rest = self
            .0
            .trim_start_matches(|letter: char| letter.is_ascii_digit());
        let digits = self
            .0
            .strip_suffix(rest)
            .filter(|digits| !digits.is_empty())?;
        self.0 = rest;
        let nine = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
        Some(nine.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0')))
    }

    fn eat(&mut self, letter: char) -> bool {
        self.0
            .strip_prefix(letter)
            .map(|rest| self.0 = rest)
            .is_some()
    }

    fn rest(self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::{Timestamp, parse};

    /// 2 March 2026, 08:15:00 UTC.
    const MOMENT: i64 = 1_772_439_300;
    const MIDNIGHT: i64 = MOMENT - 8 * 3600 - 15 * 60;

    #[test]
    fn every_known_layout_is_parsed() {
        let table: &[(&str, i64, u32)] = &[
            // Layouts of replies.
            ("2026-03-02T08:15:00Z", MOMENT, 0),
            ("2026-03-02 08:15:00", MOMENT, 0),
            ("2026-03-02 08:15:00.412907", MOMENT, 412_907_000),
            ("2026-03-02 08:15:00.412907+00:00", MOMENT, 412_907_000),
            // Other layouts of requests.
            ("2026-03-02", MIDNIGHT, 0),
            ("2026-03-02T08:15:00", MOMENT, 0),
            ("2026-03-02 08:15:00.4129071", MOMENT, 412_907_100),
            ("2026-03-02T08:15:00.4129071", MOMENT, 412_907_100),
            ("02 Mar 26 08:15 UTC", MOMENT, 0),
            ("02 Mar 26 08:15 GMT", MOMENT, 0),
            ("02 Mar 26 03:15 EST", MOMENT, 0),
            ("02 Mar 26 01:15 PDT", MOMENT, 0),
            ("02 Mar 26 09:15 +0100", MOMENT, 0),
            ("02 Mar 26 02:45 -0530", MOMENT, 0),
            ("2026-03-02T09:15:00+01:00", MOMENT, 0),
            ("2026-03-01T22:15:00-10:00", MOMENT, 0),
            ("2026-03-02T08:15:00.123456789Z", MOMENT, 123_456_789),
            ("Mon, 02 Mar 2026 08:15:00 GMT", MOMENT, 0),
            ("Mon, 02 Mar 2026 08:15:00 UTC", MOMENT, 0),
            // Variants of these.
            ("2026-03-02 08:15:00 +0000", MOMENT, 0),
            ("2026-03-02 08:15:00+00", MOMENT, 0),
            ("2026-03-02 08:15:00 UTC", MOMENT, 0),
            ("2026-03-02t08:15:00z", MOMENT, 0),
            ("2026-03-02T08:15:00.5Z", MOMENT, 500_000_000),
            ("2026-03-02T08:15:00.1234567899999Z", MOMENT, 123_456_789),
            (" 2026-03-02T08:15:00Z\n", MOMENT, 0),
            ("mon, 2 mar 2026 08:15:00 +0000", MOMENT, 0),
            ("Mon, 02 Mar 2026 08:15:00", MOMENT, 0),
            ("1772439300", MOMENT, 0),
            ("1772439300.0", MOMENT, 0),
            ("1772439300.412907", MOMENT, 412_907_000),
            ("0", 0, 0),
            // Before 1970, and the pivot of two-digit years.
            ("-1", -1, 0),
            ("-0.25", -1, 750_000_000),
            ("-1.0", -1, 0),
            ("1969-12-31T23:59:59Z", -1, 0),
            ("1969-12-31T23:59:58.25Z", -2, 250_000_000),
            ("1900-01-01", -2_208_988_800, 0),
            ("0000-01-01T00:00:00Z", -62_167_219_200, 0),
            ("9999-12-31T23:59:59Z", 253_402_300_799, 0),
            ("01 Jan 69 00:00 GMT", -31_536_000, 0),
            ("01 Jan 68 00:00 GMT", 3_092_601_600, 0),
            ("2024-02-29T00:00:00Z", 1_709_164_800, 0),
        ];
        for (text, seconds, nanos) in table {
            assert_eq!(parse(text), Some((*seconds, *nanos)), "{text}");
            let time = Timestamp::new(*text);
            assert_eq!(time.as_str(), *text);
            assert_eq!(time.unix_seconds(), Some(*seconds), "{text}");
            let expected = if *seconds < 0 {
                UNIX_EPOCH - Duration::from_secs(seconds.unsigned_abs())
            } else {
                UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
            } + Duration::from_nanos(u64::from(*nanos));
            assert_eq!(time.to_system_time(), Some(expected), "{text}");
        }
    }

    #[test]
    fn invalid_text_has_no_time() {
        for text in [
            "",
            " ",
            "-",
            "soon",
            "2026-02-29",
            "2026-04-31T00:00:00Z",
            "2026-13-01",
            "2026-00-10",
            "2026-03-00",
            "2026-3-2",
            "2026-03-02T24:00:00Z",
            "2026-03-02T08:60:00Z",
            "2026-03-02T08:15:60Z",
            "2026-03-02T08:15",
            "2026-03-02T08:15:00.",
            "2026-03-02T08:15:00.Z",
            "2026-03-02T08:15:00+1",
            "2026-03-02T08:15:00+24:00",
            "2026-03-02T08:15:00+01:60",
            "2026-03-02T08:15:00+01:00x",
            "2026-03-02T08:15:00 Mars",
            "2026-03-02X08:15:00",
            "20260302T081500Z",
            "+1772439300",
            "1772439300.",
            ".5",
            "1.5e3",
            "1.-5",
            "-9223372036854775808.5",
            "99999999999999999999",
            "Moo, 02 Mar 2026 08:15:00 GMT",
            "Mon 02 Mar 2026 08:15:00 GMT",
            "31 Feb 26 08:15 GMT",
            "002 Mar 26 08:15 GMT",
            "02 Mars 26 08:15 GMT",
            "02 Mar 026 08:15 GMT",
            "02 Mar 26 08:15 GMT GMT",
            "02 Mar 26 8:15 GMT",
            "02 Mar 26",
            "２０２６-03-02",
            "é026-03-02",
            "2026-03-02T08:15:00é",
        ] {
            assert_eq!(Timestamp::from(text).to_system_time(), None, "{text:?}");
            assert_eq!(Timestamp::from(text).unix_seconds(), None, "{text:?}");
        }
    }

    #[test]
    fn system_time_is_written_as_rfc_3339() {
        let at = |seconds: u64, nanos: u32| UNIX_EPOCH + Duration::new(seconds, nanos);
        for (time, text) in [
            (at(0, 0), "1970-01-01T00:00:00Z"),
            (at(1_772_439_300, 0), "2026-03-02T08:15:00Z"),
            (at(1_772_439_300, 412_907_000), "2026-03-02T08:15:00.412Z"),
            (at(1_772_439_300, 7_000_000), "2026-03-02T08:15:00.007Z"),
            (at(1_772_439_300, 999_999), "2026-03-02T08:15:00Z"),
            (at(253_402_300_800, 0), "+10000-01-01T00:00:00Z"),
            (UNIX_EPOCH - Duration::from_secs(1), "1969-12-31T23:59:59Z"),
            (
                UNIX_EPOCH - Duration::from_millis(1),
                "1969-12-31T23:59:59.999Z",
            ),
            (
                UNIX_EPOCH - Duration::from_millis(2500),
                "1969-12-31T23:59:57.500Z",
            ),
            (
                UNIX_EPOCH - Duration::from_secs(62_167_219_201),
                "-0001-12-31T23:59:59Z",
            ),
        ] {
            assert_eq!(Timestamp::from(time).as_str(), text);
        }
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        for seconds in [
            u64::MAX,
            i64::MAX.unsigned_abs(),
            i64::MAX.unsigned_abs() / 2,
        ] {
            for time in [
                UNIX_EPOCH.checked_add(Duration::from_secs(seconds)),
                UNIX_EPOCH.checked_sub(Duration::from_secs(seconds)),
            ] {
                assert!(time.is_none_or(|time| Timestamp::from(time).as_str().ends_with('Z')));
            }
        }
        assert_eq!(
            Timestamp::new(i64::MIN.to_string()).unix_seconds(),
            Some(i64::MIN)
        );
        // Any result is correct, as long as there is no panic.
        let _: Option<SystemTime> = Timestamp::new(i64::MIN.to_string()).to_system_time();
    }

    #[test]
    fn written_system_time_parses_back() {
        let mut seconds: u64 = 1;
        while seconds < 253_402_300_800 {
            let time = UNIX_EPOCH + Duration::from_millis(seconds * 1000 + seconds % 1000);
            assert_eq!(Timestamp::from(time).to_system_time(), Some(time));
            if let Some(time) = UNIX_EPOCH.checked_sub(Duration::from_millis(seconds))
                && seconds < 62_000_000_000_000
            {
                assert_eq!(Timestamp::from(time).to_system_time(), Some(time));
            }
            seconds = seconds * 7 / 5 + 13;
        }
    }

    #[test]
    fn json_may_be_text_or_a_number() {
        for (json, text) in [
            (r#""2026-03-02 08:15:00""#, "2026-03-02 08:15:00"),
            (r#""""#, ""),
            ("1772439300", "1772439300"),
            ("1772439300.5", "1772439300.5"),
        ] {
            let time: Timestamp = serde_json::from_str(json).unwrap();
            assert_eq!(time.as_str(), text);
            assert_eq!(time.to_string(), text);
            assert_eq!(serde_json::to_string(&time).unwrap(), format!("{text:?}"));
        }
        for json in ["null", "true", "[]", "{}"] {
            assert!(serde_json::from_str::<Timestamp>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn order_is_that_of_the_moments_then_of_the_texts() {
        let sorted = [
            "",
            "soon",
            "-1",
            "1970-01-01",
            "2026-03-02 09:00:00 +0100",
            "2026-03-02T08:00:00Z",
            "1772439300",
            "2026-03-02T08:15:00.1Z",
        ]
        .map(Timestamp::from);
        let mut times = sorted.clone();
        times.reverse();
        times.sort();
        assert_eq!(times, sorted);
        assert!(Timestamp::from("0") < Timestamp::from("0.0"));
    }
}
