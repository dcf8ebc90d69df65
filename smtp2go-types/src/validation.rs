//! Checks of a request before it is sent.
//!
//! Each request type implements [`Validate`]. [`Validate::validate`] collects all problems, so that
//! a caller can fix them at once. It can't check everything: only the API knows, for example,
//! whether a sender is verified.

use std::error::Error;
use std::fmt::{self, Display};

use serde_core::de::DeserializeOwned;

use crate::open_enum::{Origin, letters};
use crate::{Date, KeepUnknown, OpenEnum, UnknownValue, one_line};

/// Names that the client itself puts into a request.
pub(crate) const RESERVED: [&str; 2] = ["api_key", "subaccount_id"];

/// A value that can be checked against the API's limits.
pub trait Validate {
    /// Reports all problems of this value to `check`.
    fn check(&self, check: &mut Check);

    /// Checks the value as a whole.
    ///
    /// # Errors
    ///
    /// All problems, each with its field path.
    fn validate(&self) -> Result<(), ValidationError> {
        let mut check = Check::default();
        self.check(&mut check);
        check.finish()
    }
}

/// Checks the JSON of a request of type `T`.
///
/// The same as [`Validate::validate`], except for unlisted values of open enums: they are accepted
/// unless they differ from a listed value only in case or separators, because JSON does not show
/// how they were made.
///
/// ```
/// use smtp2go_types::SmsSendRequest;
/// use smtp2go_types::validation::validate_json;
///
/// let json = br#"{"destination":["+15555550100"],"content":"Hello"}"#;
/// assert!(validate_json::<SmsSendRequest>(json).is_ok());
/// let json = br#"{"destination":[],"content":"Hello"}"#;
/// let error = validate_json::<SmsSendRequest>(json).unwrap_err();
/// assert_eq!(error.problems()[0].field(), "destination");
/// ```
///
/// # Errors
///
/// All problems, each with its field path; or why the JSON is not a `T`.
pub fn validate_json<T>(json: &[u8]) -> Result<(), ValidationError>
where
    T: Validate,
    KeepUnknown<T>: DeserializeOwned,
{
    let mut check = Check {
        from_json: true,
        ..Check::default()
    };
    match serde_json::from_slice(json) {
        Ok(KeepUnknown(request)) => T::check(&request, &mut check),
        Err(error) => check.problem(error.to_string()),
    }
    check.finish()
}

/// One problem of a request. `Debug` is safe for logs: it leaves out the message, which can quote a
/// value such as an address.
#[derive(Clone, PartialEq, Eq)]
pub struct Problem {
    field: String,
    message: String,
}

impl Problem {
    /// Returns the path of the field, in the API's names: `sender`, `attachments[2].filename`, with
    /// items counted from 0. Empty if the problem is not about one field.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Returns the description of the problem, with the limit.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// `field: message`, or the message alone if there is no field.
impl Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(formatter, "{}: ", one_line(&self.field))?;
        }
        formatter.write_str(&one_line(&self.message))
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Problem")
            .field("field", &self.field)
            .finish_non_exhaustive()
    }
}

/// The problems of a request that would be refused. Contains at least one [`Problem`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationError {
    problems: Vec<Problem>,
}

impl ValidationError {
    /// Returns the problems, in the order of the fields. Never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// All problems in one line, with `; ` between them.
impl Display for ValidationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                formatter.write_str("; ")?;
            }
            problem.fmt(formatter)?;
        }
        Ok(())
    }
}

impl Error for ValidationError {}

/// Returns why a text can't be a header or a part of one: it has a control character, such as a
/// line break, which would begin another header. `None` if it can.
#[must_use]
pub fn header_fault(text: &str) -> Option<&'static str> {
    // All control characters beyond ASCII begin with the same byte, so most text need not be
    // decoded.
    let suspect = |byte: u8| byte.is_ascii_control() || byte == 0xC2;
    // No early exit: this is faster, because nearly all texts have no control character.
    let is_suspect = text
        .bytes()
        .fold(false, |found, byte| found | suspect(byte));
    let has_control = is_suspect && text.contains(char::is_control);
    has_control.then_some("a line break or another control character is not allowed")
}

/// Collects the problems of a [`Validate`] value, and tracks the path of the current field.
///
/// Limits are inclusive; `None` means no limit.
#[derive(Debug, Default)]
pub struct Check {
    path: String,
    problems: Vec<Problem>,
    /// Whether the value was read from JSON: see [`validate_json`].
    from_json: bool,
}

impl Check {
    /// Runs `body` for a field of the current object.
    pub fn at(&mut self, field: &str, body: impl FnOnce(&mut Self)) {
        let length = self.enter(field, None);
        body(self);
        self.path.truncate(length);
    }

    /// Runs `body` for one item, counted from 0, of a list field of the current object.
    pub fn at_index(&mut self, field: &str, index: usize, body: impl FnOnce(&mut Self)) {
        let length = self.enter(field, Some(index));
        body(self);
        self.path.truncate(length);
    }

    /// Appends a field to the path. Returns the previous length of the path.
    fn enter(&mut self, field: &str, index: Option<usize>) -> usize {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(field);
        if let Some(index) = index {
            self.path.push_str(&format!("[{index}]"));
        }
        length
    }

    /// Reports a problem of the current field.
    pub fn problem(&mut self, message: impl Into<String>) {
        self.push(message.into());
    }

    fn push(&mut self, message: String) {
        self.problems.push(Problem {
            field: self.path.clone(),
            message,
        });
    }

    /// Checks the number of items of a list.
    pub fn count(&mut self, count: usize, least: Option<usize>, most: Option<usize>) {
        self.amount(count, ["item", "items"], least, most);
    }

    /// Checks the length of a text in characters (Unicode scalar values, not bytes).
    pub fn length(&mut self, text: &str, least: Option<usize>, most: Option<usize>) {
        self.amount(
            text.chars().count(),
            ["character", "characters"],
            least,
            most,
        );
    }

    pub(crate) fn finish(self) -> Result<(), ValidationError> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ValidationError {
                problems: self.problems,
            })
        }
    }

    fn amount(
        &mut self,
        amount: usize,
        [one, many]: [&str; 2],
        least: Option<usize>,
        most: Option<usize>,
    ) {
        let unit = if amount == 1 { one } else { many };
        if let Some(least) = least
            && amount < least
        {
            let verb = if least == 1 { "is" } else { "are" };
            self.problem(format!("{amount} {unit}, at least {least} {verb} needed"));
        }
        if let Some(most) = most
            && amount > most
        {
            let verb = if most == 1 { "is" } else { "are" };
            self.problem(format!("{amount} {unit}, at most {most} {verb} allowed"));
        }
    }

    /// Checks that an integer is within the limits.
    pub fn range(&mut self, value: i64, least: Option<i64>, most: Option<i64>) {
        self.between(value, least, most);
    }

    /// Checks that a number is finite and within the limits.
    pub fn range_f64(&mut self, value: f64, least: Option<f64>, most: Option<f64>) {
        if value.is_finite() {
            self.between(value, least, most);
        } else {
            self.problem(format!("{value} can't be written as a JSON number"));
        }
    }

    fn between<N: Copy + Display + PartialOrd>(
        &mut self,
        value: N,
        least: Option<N>,
        most: Option<N>,
    ) {
        if let Some(least) = least
            && value < least
        {
            self.problem(format!("{value} is too small: the minimum is {least}"));
        }
        if let Some(most) = most
            && value > most
        {
            self.problem(format!("{value} is too large: the maximum is {most}"));
        }
    }

    /// Checks that an integer is one of the allowed ones.
    pub fn one_of(&mut self, value: i64, allowed: &[i64]) {
        if !allowed.contains(&value) {
            let allowed: Vec<_> = allowed.iter().map(i64::to_string).collect();
            self.problem(format!("{value} is not one of {}", allowed.join(", ")));
        }
    }

    /// Checks that a text can be a header or a part of one: see [`header_fault`].
    pub fn header(&mut self, text: &str) {
        if let Some(fault) = header_fault(text) {
            self.problem(fault);
        }
    }

    /// Refuses a text that is in `refused`, whatever its case and the white space around it.
    pub fn refused(&mut self, text: &str, refused: &[&str]) {
        let text = text.trim();
        if let Some(refused) = refused
            .iter()
            .find(|refused| refused.eq_ignore_ascii_case(text))
        {
            self.problem(format!("{refused} is refused by the API"));
        }
    }

    /// Checks that a value of an open enum is listed, or comes from a reply or from
    /// [`unlisted`](OpenEnum::unlisted). For fields where the API refuses or ignores other values.
    pub fn known<V: OpenEnum>(&mut self, value: &V) {
        let is_refused = |value: &UnknownValue| {
            let may_be_new = || self.from_json && V::similar(value.as_str()).is_none();
            value.origin() == Origin::Text && !may_be_new()
        };
        if value.unknown().is_some_and(is_refused) {
            let known: Vec<_> = V::VALUES
                .iter()
                .map(|word| if word.is_empty() { "\"\"" } else { word })
                .collect();
            let advice = match V::similar(value.as_str()) {
                Some(listed) => format!("did you mean {listed:?}?"),
                None => "use `unlisted` for a newer value".to_owned(),
            };
            // Quoted and escaped, so that the message stays on one line.
            self.problem(format!(
                "{:?} is not one of {}; {advice}",
                value.as_str(),
                known.join(", ")
            ));
        }
        self.spelling(value);
    }

    /// Checks that a value made by [`unlisted`](OpenEnum::unlisted) is not another spelling of a
    /// listed one.
    pub fn spelling<V: OpenEnum>(&mut self, value: &V) {
        let is_unlisted = |value: &&UnknownValue| value.origin() == Origin::Unlisted;
        let Some(value) = value.unknown().filter(is_unlisted) else {
            return;
        };
        if let Some(listed) = V::similar(value.as_str()) {
            self.problem(format!("{value:?} is not a new value: use {listed:?}"));
        } else if !value.as_str().contains(char::is_alphanumeric) {
            self.problem(format!("{value:?} is blank"));
        }
    }

    /// Checks the names of fields that were added to a request. A name must not be blank, and must
    /// not equal a `listed` field, `api_key` or `subaccount_id`, ignoring case and separators.
    pub fn extra<'a>(&mut self, listed: &[&str], names: impl IntoIterator<Item = &'a String>) {
        for name in names {
            let is = |other: &&&str| letters(other) == letters(name);
            let problem = if let Some(listed) = listed.iter().find(is) {
                format!("not a new field: use `{listed}`")
            } else if RESERVED.iter().any(|reserved| is(&reserved)) {
                "not allowed here: the client sends the key, and `for_subaccount` sets the subaccount".to_owned()
            } else if letters(name).is_empty() {
                "the field name is blank".to_owned()
            } else {
                continue;
            };
            self.at(name, |check| check.problem(problem));
        }
    }

    /// Checks that a date exists in the calendar and is written `YYYY-MM-DD`.
    pub fn date(&mut self, value: &Date) {
        if !value.is_valid() {
            self.problem(format!(
                "{:?} is not a date of the form YYYY-MM-DD",
                value.as_str()
            ));
        }
    }
}

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "the macro is for public enums")]
mod tests {
    use super::{Check, Validate, header_fault};
    use crate::Date;

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    enum Colour {
        Red,
        None,
        Unknown(crate::UnknownValue),
    }
    crate::open_enum::open_enum!(Colour { Red = "red", None = "" });

    struct Part {
        name: String,
    }

    impl Validate for Part {
        fn check(&self, check: &mut Check) {
            check.at("name", |check| check.length(&self.name, Some(2), Some(4)));
        }
    }

    struct Request {
        to: Vec<String>,
        limit: i64,
        share: f64,
        size: i64,
        colours: Vec<Colour>,
        start: Date,
        parts: Vec<Part>,
    }

    fn good() -> Request {
        Request {
            to: vec!["a@example.com".to_owned()],
            limit: 1,
            share: 0.5,
            size: 2,
            colours: vec![Colour::Red, Colour::from("")],
            start: Date::from("2026-03-02"),
            parts: vec![Part {
                name: "日本語".to_owned(),
            }],
        }
    }

    impl Validate for Request {
        fn check(&self, check: &mut Check) {
            check.at("to", |check| check.count(self.to.len(), Some(1), Some(2)));
            check.at("limit", |check| {
                check.range(self.limit, Some(1), Some(1000));
            });
            check.at("share", |check| {
                check.range_f64(self.share, Some(0.0), Some(1.5));
            });
            check.at("size", |check| check.one_of(self.size, &[1, 2]));
            for (index, colour) in self.colours.iter().enumerate() {
                check.at_index("colours", index, |check| check.known(colour));
            }
            check.at("start", |check| check.date(&self.start));
            for (index, part) in self.parts.iter().enumerate() {
                check.at_index("parts", index, |check| part.check(check));
            }
        }
    }

    #[test]
    fn limits_are_inclusive_and_in_characters() {
        assert_eq!(good().validate(), Ok(()));
        let edge = Request {
            to: vec![String::new(); 2],
            limit: 1000,
            share: 1.5,
            ..good()
        };
        assert_eq!(edge.validate(), Ok(()));
    }

    #[test]
    fn all_problems_are_reported_with_path_and_limit() {
        let bad = Request {
            to: vec![],
            limit: 1001,
            share: -0.25,
            size: 3,
            colours: vec![Colour::Red, Colour::from("blue\n")],
            start: Date::from("2026-02-30"),
            parts: vec![
                Part {
                    name: "ab".to_owned(),
                },
                Part {
                    name: "a".to_owned(),
                },
                Part {
                    name: "abcde".to_owned(),
                },
            ],
        };
        let error = bad.validate().unwrap_err();
        let problems: Vec<_> = error
            .problems()
            .iter()
            .map(|problem| (problem.field(), problem.message()))
            .collect();
        assert_eq!(
            problems,
            [
                ("to", "0 items, at least 1 is needed"),
                ("limit", "1001 is too large: the maximum is 1000"),
                ("share", "-0.25 is too small: the minimum is 0"),
                ("size", "3 is not one of 1, 2"),
                (
                    "colours[1]",
                    r#""blue\n" is not one of red, ""; use `unlisted` for a newer value"#
                ),
                (
                    "start",
                    r#""2026-02-30" is not a date of the form YYYY-MM-DD"#
                ),
                ("parts[1].name", "1 character, at least 2 are needed"),
                ("parts[2].name", "5 characters, at most 4 are allowed"),
            ]
        );
        let line = error.to_string();
        assert!(
            line.starts_with("to: 0 items, at least 1 is needed; limit: 1001"),
            "{line}"
        );
        assert!(!line.contains('\n'));
    }

    #[test]
    fn control_characters_are_refused_in_headers() {
        for c in (0..0x300).chain(0x2000..0x2100).filter_map(char::from_u32) {
            let is_control = matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}');
            for text in [c.to_string(), format!("Grüße{c}"), format!("{c}: a")] {
                assert_eq!(header_fault(&text).is_some(), is_control, "{text:?}");
            }
        }
        assert_eq!(header_fault(""), None);
    }

    #[test]
    fn infinite_numbers_are_refused() {
        for share in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = Request { share, ..good() }.validate().unwrap_err();
            assert_eq!(error.problems().len(), 1);
            assert_eq!(error.problems().first().unwrap().field(), "share");
        }
    }

    #[test]
    fn problem_without_a_field_displays_only_its_message() {
        struct Whole;
        impl Validate for Whole {
            fn check(&self, check: &mut Check) {
                check.problem("text or html is needed");
            }
        }
        assert_eq!(
            Whole.validate().unwrap_err().to_string(),
            "text or html is needed"
        );
    }
}
