//! Conversions from the times of chrono, jiff and time, each behind a feature with the crate's name.

#[cfg(feature = "chrono")]
mod of_chrono {
    use chrono::{DateTime, Datelike, NaiveDate, TimeZone};

    use crate::{Date, Timestamp};

    /// Writes RFC 3339 in UTC, with milliseconds unless they are zero; finer parts are cut off. A leap
    /// second is written as the last millisecond of the second before it.
    ///
    /// ```
    /// use chrono::{TimeZone, Utc};
    /// use smtp2go_types::Timestamp;
    ///
    /// let noon = Utc.with_ymd_and_hms(2026, 12, 1, 12, 0, 0).unwrap();
    /// assert_eq!(Timestamp::from(noon).as_str(), "2026-12-01T12:00:00Z");
    /// ```
    impl<Tz: TimeZone> From<DateTime<Tz>> for Timestamp {
        fn from(time: DateTime<Tz>) -> Self {
            Self::from_unix(time.timestamp(), time.timestamp_subsec_millis().min(999))
        }
    }

    /// A year beyond 9999 or before 0 gives a text that [`Validate`](crate::Validate) refuses.
    impl From<NaiveDate> for Date {
        fn from(date: NaiveDate) -> Self {
            Self::written(date.year(), date.month(), date.day())
        }
    }
}

#[cfg(feature = "jiff")]
mod of_jiff {
    use crate::{Date, Timestamp};

    /// Writes RFC 3339 in UTC, with milliseconds unless they are zero; finer parts are cut off.
    ///
    /// ```
    /// use smtp2go_types::Timestamp;
    ///
    /// let noon: jiff::Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
    /// assert_eq!(Timestamp::from(noon).as_str(), "2026-12-01T12:00:00Z");
    /// ```
    impl From<jiff::Timestamp> for Timestamp {
        fn from(time: jiff::Timestamp) -> Self {
            // jiff counts a part of a second before 1970 away from the second, `from_unix` towards it.
            let millis = time.as_millisecond();
            let millis = match time.subsec_nanosecond() % 1_000_000 {
                nanos if nanos < 0 => millis - 1,
                _ => millis,
            };
            let rest = u32::try_from(millis.rem_euclid(1000)).unwrap_or_default();
            Self::from_unix(millis.div_euclid(1000), rest)
        }
    }

    /// Writes the moment in UTC. The time zone is not kept.
    impl From<jiff::Zoned> for Timestamp {
        fn from(time: jiff::Zoned) -> Self {
            Self::from(time.timestamp())
        }
    }

    /// A year before 0 gives a text that [`Validate`](crate::Validate) refuses.
    impl From<jiff::civil::Date> for Date {
        fn from(date: jiff::civil::Date) -> Self {
            let [month, day] = [date.month(), date.day()].map(|part| part.unsigned_abs().into());
            Self::written(date.year().into(), month, day)
        }
    }
}

#[cfg(feature = "time")]
mod of_time {
    use time::{OffsetDateTime, UtcDateTime};

    use crate::{Date, Timestamp};

    /// Writes RFC 3339 in UTC, with milliseconds unless they are zero; finer parts are cut off.
    ///
    /// ```
    /// use smtp2go_types::Timestamp;
    /// use time::OffsetDateTime;
    ///
    /// let noon = OffsetDateTime::from_unix_timestamp(1_796_126_400).unwrap();
    /// assert_eq!(Timestamp::from(noon).as_str(), "2026-12-01T12:00:00Z");
    /// ```
    impl From<OffsetDateTime> for Timestamp {
        fn from(time: OffsetDateTime) -> Self {
            Self::from_unix(time.unix_timestamp(), time.millisecond().into())
        }
    }

    /// Writes RFC 3339 in UTC, with milliseconds unless they are zero; finer parts are cut off.
    impl From<UtcDateTime> for Timestamp {
        fn from(time: UtcDateTime) -> Self {
            Self::from_unix(time.unix_timestamp(), time.millisecond().into())
        }
    }

    /// A year before 0 gives a text that [`Validate`](crate::Validate) refuses.
    impl From<time::Date> for Date {
        fn from(date: time::Date) -> Self {
            Self::written(
                date.year(),
                u8::from(date.month()).into(),
                date.day().into(),
            )
        }
    }
}
