//! The time at which a mail is sent.

use std::time::{Duration, UNIX_EPOCH};

use smtp2go_types::Timestamp;
use smtp2go_types::validation::Check;

use crate::body::json::JsonWriter;
use crate::platform::time::now;

/// By how much the local clock may be wrong, in seconds. The API judges times this close to a
/// limit.
const TOLERANCE: i64 = 10 * 60;
const DAY: u64 = 24 * 60 * 60;

/// Checks that a time is in the future, and at most `max_days` ahead.
pub(super) fn check(time: &Timestamp, max_days: u64, check: &mut Check) {
    let Some(at) = time.unix_seconds() else {
        check.problem(format!("{:?} is not a time", time.as_str()));
        return;
    };
    let now = Timestamp::from(now()).unix_seconds().unwrap_or_default();
    let furthest = i64::try_from(max_days.saturating_mul(DAY)).unwrap_or(i64::MAX);
    if at <= now - TOLERANCE {
        check.problem(format!("{:?} is not in the future", time.as_str()));
    } else if at - now > furthest.saturating_add(TOLERANCE) {
        check.problem(format!(
            "{:?} is more than {max_days} days ahead",
            time.as_str()
        ));
    }
}

/// Writes the member `schedule`, if there is a time.
pub(super) fn write(time: Option<&Timestamp>, json: &mut JsonWriter) {
    if let Some(time) = time.and_then(in_utc) {
        json.key("schedule");
        json.string(&time);
    }
}

/// The time in UTC, in the format of the API's guides: `2026-03-03 09:00:00 +0000`.
pub(super) fn in_utc(time: &Timestamp) -> Option<String> {
    let seconds = u64::try_from(time.unix_seconds()?).ok()?;
    let whole = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    let whole = Timestamp::from(whole);
    let (date, time) = whole.as_str().strip_suffix('Z')?.split_once('T')?;
    Some(format!("{date} {time} +0000"))
}

#[cfg(test)]
mod tests {
    use smtp2go_types::Validate;

    use super::*;

    #[test]
    fn time_is_written_in_utc() {
        for (given, expected) in [
            ("2026-03-03T09:00:00Z", "2026-03-03 09:00:00 +0000"),
            ("2026-03-03 09:00:00.75 +0200", "2026-03-03 07:00:00 +0000"),
            ("1772528400", "2026-03-03 09:00:00 +0000"),
        ] {
            assert_eq!(in_utc(&given.into()).as_deref(), Some(expected));
        }
        assert_eq!(in_utc(&"tomorrow".into()), None);
    }

    #[test]
    fn time_near_a_limit_is_left_to_the_api() {
        struct Scheduled(Timestamp);
        impl Validate for Scheduled {
            fn check(&self, problems: &mut Check) {
                check(&self.0, 3, problems);
            }
        }
        let (minute, furthest) = (60, 3 * 24 * 60 * 60);
        for (offset, is_valid) in [
            (-12 * minute, false),
            (-8 * minute, true),
            (0, true),
            (minute, true),
            (furthest + 8 * minute, true),
            (furthest + 12 * minute, false),
        ] {
            let now = Timestamp::from(now()).unix_seconds().unwrap();
            let time = Timestamp::from((now + offset).to_string());
            assert_eq!(Scheduled(time).validate().is_ok(), is_valid, "{offset}");
        }
    }
}
