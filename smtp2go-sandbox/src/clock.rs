//! The sandbox's clock, and the API's formats of time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use smtp2go_types::Timestamp;

/// A clock that can run ahead of the system's or stand still.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) enum Clock {
    /// Runs ahead of the system's clock by this duration.
    Running { ahead: Duration },
    /// Stands still at this time.
    Frozen { at: SystemTime },
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self::Running {
            ahead: Duration::ZERO,
        }
    }

    pub(crate) fn now(self) -> SystemTime {
        match self {
            Self::Running { ahead } => after(SystemTime::now(), ahead),
            Self::Frozen { at } => at,
        }
    }

    pub(crate) fn is_frozen(self) -> bool {
        matches!(self, Self::Frozen { .. })
    }

    pub(crate) fn freeze(&mut self, at: SystemTime) {
        *self = Self::Frozen { at };
    }

    /// Restarts the clock from its frozen time, or from the system's time if that is later.
    pub(crate) fn resume(&mut self) {
        if let Self::Frozen { at } = *self {
            *self = Self::Running {
                ahead: at.duration_since(SystemTime::now()).unwrap_or_default(),
            };
        }
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        match self {
            Self::Running { ahead } => *ahead = ahead.saturating_add(by),
            Self::Frozen { at } => *at = after(*at, by),
        }
    }
}

/// Why the clock can't be advanced.
pub(crate) const TOO_LATE: &str = "moves the clock beyond the year 9999";

/// Whether a time is before the year 10000, so that its date can be written.
pub(crate) fn has_date(time: SystemTime) -> bool {
    const END: u64 = 253_402_300_800;
    time < after(UNIX_EPOCH, Duration::from_secs(END))
}

/// Adds a duration. Returns `time` unchanged if the result is out of range.
pub(crate) fn after(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_add(by).unwrap_or(time)
}

/// Writes `2026-03-02T08:15:01Z`, the format of webhooks and most replies.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let whole = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => after(UNIX_EPOCH, Duration::from_secs(since.as_secs())),
        Err(_) => time,
    };
    Timestamp::from(whole).to_string()
}

/// Writes `2026-03-02T08:15:00.412907+00:00`, the format of `sendtime` in events.
pub(crate) fn precise(time: SystemTime) -> String {
    let micros = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.subsec_micros());
    let text = rfc3339(time);
    format!("{}.{micros:06}+00:00", text.trim_end_matches('Z'))
}

/// Writes `2026-03-02 08:15:00.412907+00:00`, the format of some replies.
pub(crate) fn spaced(time: SystemTime) -> String {
    precise(time).replace('T', " ")
}

/// Writes `Mon, 02 Mar 2026 08:15:01 +0000`, the format of a mail's header (RFC 5322).
pub(crate) fn rfc5322(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = rfc3339(time);
    let part = |range| text.get(range).unwrap_or_default();
    let name = |names: &[&'static str], place: u64| -> &'static str {
        let place = usize::try_from(place).unwrap_or_default();
        names.get(place).copied().unwrap_or_default()
    };
    let month: u64 = part(5..7).parse().unwrap_or(1);
    format!(
        "{}, {} {} {} {} +0000",
        // 1970-01-01 was a Thursday.
        name(&DAYS, days(time) % 7),
        part(8..10),
        name(&MONTHS, month.saturating_sub(1)),
        part(0..4),
        part(11..19),
    )
}

/// Number of whole UTC days from 1970 to a time.
pub(crate) fn days(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        / 86_400
}

/// Start of the UTC day that is `days_before` days before a time.
pub(crate) fn day_start(time: SystemTime, days_before: u64) -> SystemTime {
    let day = days(time).saturating_sub(days_before);
    after(UNIX_EPOCH, Duration::from_secs(day * 86_400))
}

/// Parses a time in any format that the API accepts. Default time zone: UTC.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    Timestamp::new(text).to_system_time()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_the_formats_of_the_api() {
        let time = parse("2026-03-02T08:15:00.412907Z").unwrap();
        assert_eq!(rfc3339(time), "2026-03-02T08:15:00Z");
        assert_eq!(precise(time), "2026-03-02T08:15:00.412907+00:00");
        assert_eq!(spaced(time), "2026-03-02 08:15:00.412907+00:00");
        assert_eq!(parse(&spaced(time)), Some(time));
        assert_eq!(parse("soon"), None);
        assert_eq!(rfc5322(time), "Mon, 02 Mar 2026 08:15:00 +0000");
        let leap = parse("2024-02-29T23:59:59Z").unwrap();
        assert_eq!(rfc5322(leap), "Thu, 29 Feb 2024 23:59:59 +0000");
        assert_eq!(rfc3339(day_start(time, 0)), "2026-03-02T00:00:00Z");
        assert_eq!(rfc3339(day_start(time, 2)), "2026-02-28T00:00:00Z");
    }

    #[test]
    fn clock_that_is_frozen_resumed_or_advanced_never_goes_back() {
        let mut clock = Clock::new();
        let start = clock.now();
        clock.freeze(start);
        assert_eq!(clock.now(), start);
        let day = Duration::from_secs(86_400);
        clock.advance(day);
        assert_eq!(clock.now(), start + day);
        clock.resume();
        assert!(clock.now() >= start + day);
        clock.advance(day);
        assert!(clock.now() >= start + 2 * day);
        clock.advance(Duration::MAX);
        clock.freeze(start);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), start);
    }
}
