//! A day without a time.

use std::fmt;

use serde_core::{Deserialize, Deserializer, Serialize, Serializer};

use crate::civil;
use crate::lenient::{Lenient, Scalar};

/// A calendar day in the form `YYYY-MM-DD`, as the SMS operations use it.
///
/// [`Date::new`] creates a date from numbers; with the features `chrono`, `jiff` and `time`, `From`
/// converts the dates of those crates. Text from a reply or through `From` is kept unchecked; in a
/// request, [`Validate`](crate::Validate) refuses text that is not a date. Equality and hashing
/// compare the text.
///
/// ```
/// use smtp2go_types::Date;
///
/// let date = Date::new(2026, 3, 2).ok_or("no such day")?;
/// assert_eq!(date.as_str(), "2026-03-02");
/// assert_eq!(date, Date::from("2026-03-02"));
/// assert_eq!(Date::new(2026, 2, 30), None);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema), schemars(extend("format" = "date")))]
pub struct Date(String);

impl Date {
    /// Creates a date from a year (0 to 9999), a month (1 to 12) and a day of that month (from 1).
    ///
    /// `None` if the Gregorian calendar has no such day.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        if year > 9999 {
            return None;
        }
        civil::days_since_epoch(i64::from(year), u32::from(month), u32::from(day))?;
        Some(Self::written(year.into(), month.into(), day.into()))
    }

    /// Writes a day as text, even if the API can't read it.
    pub(crate) fn written(year: i32, month: u32, day: u32) -> Self {
        Self(format!("{year:04}-{month:02}-{day:02}"))
    }

    /// Returns the text, as it was given or received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text is a day of the calendar, written `YYYY-MM-DD`.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let mut cursor = crate::timestamp::Cursor::new(&self.0);
        cursor.date().is_some() && cursor.is_at_end()
    }
}

impl From<&str> for Date {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Date {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl Lenient for Date {
    fn from_scalar(scalar: Scalar<'_>) -> Option<Self> {
        match scalar {
            Scalar::Bool(_) => None,
            scalar => Some(Self(scalar.into_text())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Date;

    #[test]
    fn new_pads_with_zeros_and_refuses_impossible_dates() {
        assert_eq!(Date::new(26, 3, 2), Some(Date::from("0026-03-02")));
        assert_eq!(Date::new(2024, 2, 29), Some(Date::from("2024-02-29")));
        assert_eq!(Date::new(2025, 2, 29), None);
        assert_eq!(Date::new(10_000, 1, 1), None);
        assert_eq!(Date::new(2026, 13, 1), None);
    }

    #[test]
    fn only_complete_dates_are_valid() {
        assert!(Date::from("2026-03-02").is_valid());
        for text in [
            "",
            "2026-3-2",
            "2026-03-02 ",
            "2026-03-02T00:00:00Z",
            "2026-02-30",
            "today",
        ] {
            assert!(!Date::from(text).is_valid(), "{text:?}");
        }
    }

    #[test]
    fn date_keeps_its_text_in_json_and_display() {
        let date: Date = serde_json::from_str(r#""2026-03-02""#).unwrap();
        assert_eq!(serde_json::to_string(&date).unwrap(), r#""2026-03-02""#);
        assert_eq!(date.to_string(), "2026-03-02");
    }
}
