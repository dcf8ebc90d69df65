//! Times and dates of the crates chrono, jiff and time are written in the API's format.
// A test that fails, fails by a panic.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, UNIX_EPOCH};

use smtp2go_types::{Date, Timestamp};

/// Nanoseconds since 1970, and the text of each: round, with a fraction, before 1970, before the year 0.
const MOMENTS: [(i128, &str); 7] = [
    (0, "1970-01-01T00:00:00Z"),
    (1_772_439_300_000_000_000, "2026-03-02T08:15:00Z"),
    (1_772_439_300_412_907_999, "2026-03-02T08:15:00.412Z"),
    (-1, "1969-12-31T23:59:59.999Z"),
    (-1_000_000, "1969-12-31T23:59:59.999Z"),
    (-1_500_000_000, "1969-12-31T23:59:58.500Z"),
    (-62_167_219_200_000_000_000, "0000-01-01T00:00:00Z"),
];

const DATES: [(i16, u8, u8, &str); 3] = [
    (2026, 3, 2, "2026-03-02"),
    (2024, 2, 29, "2024-02-29"),
    (26, 12, 31, "0026-12-31"),
];

#[test]
fn system_time_is_written_like_the_times_of_chrono_jiff_and_time() {
    for (nanos, text) in MOMENTS {
        let distance = u64::try_from(nanos.unsigned_abs()).map(Duration::from_nanos);
        // The year 0 is out of reach of 64 bits.
        let Ok(distance) = distance else { continue };
        let time = if nanos < 0 {
            UNIX_EPOCH - distance
        } else {
            UNIX_EPOCH + distance
        };
        assert_eq!(Timestamp::from(time).as_str(), text);
    }
}

#[test]
fn chrono_times_are_written_in_utc() {
    use chrono::{DateTime, FixedOffset, NaiveDate};

    for (nanos, text) in MOMENTS {
        let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap();
        let rest = u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap();
        let utc = DateTime::from_timestamp(seconds, rest).unwrap();
        assert_eq!(Timestamp::from(utc).as_str(), text);
        let zone = FixedOffset::east_opt(-5 * 3600).unwrap();
        assert_eq!(Timestamp::from(utc.with_timezone(&zone)).as_str(), text);
    }
    let leap = DateTime::from_timestamp(1_483_228_799, 1_500_000_000).unwrap();
    assert_eq!(Timestamp::from(leap).as_str(), "2016-12-31T23:59:59.999Z");
    for (year, month, day, text) in DATES {
        let date = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into()).unwrap();
        assert_eq!(Date::from(date), Date::from(text));
    }
    for year in [-1, 10_000] {
        let date = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        assert!(!Date::from(date).is_valid(), "{year}");
    }
}

#[test]
fn jiff_times_are_written_in_utc() {
    use jiff::tz::{Offset, TimeZone};

    for (nanos, text) in MOMENTS {
        let time = jiff::Timestamp::from_nanosecond(nanos).unwrap();
        assert_eq!(Timestamp::from(time).as_str(), text);
        let zoned = time.to_zoned(TimeZone::fixed(Offset::constant(-5)));
        assert_eq!(Timestamp::from(zoned).as_str(), text);
    }
    for (year, month, day, text) in DATES {
        let [month, day] = [month, day].map(|part| i8::try_from(part).unwrap());
        let date = jiff::civil::date(year, month, day);
        assert_eq!(Date::from(date), Date::from(text));
    }
    assert!(!Date::from(jiff::civil::date(-1, 1, 1)).is_valid());
}

#[test]
fn times_of_the_time_crate_are_written_in_utc() {
    use time::{Month, OffsetDateTime, UtcDateTime, UtcOffset};

    for (nanos, text) in MOMENTS {
        let utc = UtcDateTime::from_unix_timestamp_nanos(nanos).unwrap();
        assert_eq!(Timestamp::from(utc).as_str(), text);
        let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
        assert_eq!(Timestamp::from(time).as_str(), text);
        let zone = UtcOffset::from_hms(-5, 0, 0).unwrap();
        assert_eq!(Timestamp::from(time.to_offset(zone)).as_str(), text);
    }
    for (year, month, day, text) in DATES {
        let month = Month::try_from(month).unwrap();
        let date = time::Date::from_calendar_date(year.into(), month, day).unwrap();
        assert_eq!(Date::from(date), Date::from(text));
    }
    let early = time::Date::from_calendar_date(-1, Month::January, 1).unwrap();
    assert!(!Date::from(early).is_valid());
}
