//! Calendar arithmetic in the proleptic Gregorian calendar, as far as this crate needs it.

/// Days from 1 January of year 1 to 1 January 1970.
const DAYS_TO_EPOCH: i64 = 719_162;
/// Days in 400 years, after which the calendar repeats.
const DAYS_PER_CYCLE: i64 = 146_097;
/// Days in 100 years whose last year is not a leap year.
const DAYS_PER_CENTURY: i64 = 36_524;
/// Days in four years, one of which is a leap year.
const DAYS_PER_OLYMPIAD: i64 = 1_461;

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days in a month, or `None` if the month is not 1 to 12.
fn days_in_month(year: i64, month: u32) -> Option<u32> {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if is_leap(year) => Some(29),
        2 => Some(28),
        _ => None,
    }
}

/// Days from 1 January 1970 to a date, negative before it; `None` if the calendar has no such day.
///
/// `year` must be 0 to 9999; callers can't produce others.
pub(crate) fn days_since_epoch(year: i64, month: u32, day: u32) -> Option<i64> {
    if day == 0 || day > days_in_month(year, month)? {
        return None;
    }
    let past = year - 1;
    let years = 365 * past + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400);
    let months: u32 = (1..month)
        .filter_map(|month| days_in_month(year, month))
        .sum();
    Some(years + i64::from(months) + i64::from(day) - 1 - DAYS_TO_EPOCH)
}

/// Returns the year, month and day that is `days` days after 1 January 1970.
pub(crate) fn date_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + DAYS_TO_EPOCH;
    let cycle = days.div_euclid(DAYS_PER_CYCLE);
    let mut rest = days.rem_euclid(DAYS_PER_CYCLE);
    // The last century of a cycle and the last year of an olympiad are one day longer than the
    // others: their last day must not become the first day of a fifth century or year.
    let century = (rest / DAYS_PER_CENTURY).min(3);
    rest -= century * DAYS_PER_CENTURY;
    let olympiad = rest / DAYS_PER_OLYMPIAD;
    rest -= olympiad * DAYS_PER_OLYMPIAD;
    let single = (rest / 365).min(3);
    rest -= single * 365;

    let year = 400 * cycle + 100 * century + 4 * olympiad + single + 1;
    let mut month = 1;
    while let Some(length) = days_in_month(year, month).map(i64::from)
        && rest >= length
    {
        rest -= length;
        month += 1;
    }
    // The rest is 0 to 30: a day of the month at which the loop stopped.
    (year, month, u32::try_from(rest).unwrap_or_default() + 1)
}

#[cfg(test)]
mod tests {
    use super::{date_from_days, days_since_epoch};

    #[test]
    fn known_dates_have_their_day_numbers() {
        for (date, days) in [
            ((1970, 1, 1), 0),
            ((1969, 12, 31), -1),
            ((1972, 2, 29), 789),
            ((1900, 3, 1), -25_508),
            ((2000, 2, 29), 11_016),
            ((2026, 3, 2), 20_514),
            ((0, 1, 1), -719_528),
            ((9999, 12, 31), 2_932_896),
        ] {
            assert_eq!(
                days_since_epoch(date.0, date.1, date.2),
                Some(days),
                "{date:?}"
            );
            assert_eq!(date_from_days(days), date, "{days}");
        }
    }

    #[test]
    fn day_numbers_of_two_cycles_are_consecutive() {
        let first = days_since_epoch(1600, 1, 1).unwrap();
        let mut expected = first;
        for year in 1600..2400 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(days) = days_since_epoch(year, month, day) {
                        assert_eq!(days, expected, "{year}-{month}-{day}");
                        assert_eq!(date_from_days(days), (year, month, day));
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(expected - first, 2 * super::DAYS_PER_CYCLE);
    }

    #[test]
    fn date_that_does_not_exist_has_no_day_number() {
        for (year, month, day) in [
            (2026, 2, 29),
            (1900, 2, 29),
            (2026, 4, 31),
            (2026, 0, 1),
            (2026, 13, 1),
            (2026, 1, 0),
        ] {
            assert_eq!(
                days_since_epoch(year, month, day),
                None,
                "{year}-{month}-{day}"
            );
        }
    }
}
