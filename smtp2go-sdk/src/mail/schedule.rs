//! When to send.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use smtp2go_types::Timestamp;
use smtp2go_types::validation::Check;

/// How far ahead a mail can be scheduled, in seconds.
const FURTHEST: i64 = 3 * 24 * 60 * 60;

/// Checks a time to send at.
pub(crate) fn check(time: &Timestamp, check: &mut Check) {
    let Some(at) = time.unix_seconds() else {
        check.problem(format!("{:?} is not a time", time.as_str()));
        return;
    };
    let now = Timestamp::from(SystemTime::now())
        .unix_seconds()
        .unwrap_or_default();
    if at <= now {
        check.problem(format!("{:?} is not in the future", time.as_str()));
    } else if at - now > FURTHEST {
        check.problem(format!("{:?} is more than 3 days ahead", time.as_str()));
    }
}

/// The time as the API's guides write it, in UTC: `2026-03-03 09:00:00 +0000`.
pub(crate) fn written(time: &Timestamp) -> Option<String> {
    let seconds = u64::try_from(time.unix_seconds()?).ok()?;
    let whole = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    let whole = Timestamp::from(whole);
    let (date, time) = whole.as_str().strip_suffix('Z')?.split_once('T')?;
    Some(format!("{date} {time} +0000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        for (given, expected) in [
            ("2026-03-03T09:00:00Z", "2026-03-03 09:00:00 +0000"),
            ("2026-03-03 09:00:00.75 +0200", "2026-03-03 07:00:00 +0000"),
            ("1772528400", "2026-03-03 09:00:00 +0000"),
        ] {
            assert_eq!(written(&given.into()).as_deref(), Some(expected));
        }
        assert_eq!(written(&"tomorrow".into()), None);
    }
}
