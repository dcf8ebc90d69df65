//! Parses the body of a request into an event.

use std::borrow::Cow;
use std::fmt;

use super::event::{Event, UnknownEvent};
use super::form;
use super::members::{EventMembers, Member, Members, map, rank, settle};
use crate::{EmailEventKind, OpenEnum, SmsEventName, readable, values_beyond};

/// Maximum length of a body for [`parse`]: 1 MiB. Events have a few hundred bytes; copied mail headers
/// can make them longer.
pub const DEFAULT_LIMIT: usize = 1024 * 1024;

/// Maximum number of members of a payload. Known payloads have about 30, besides the copied mail
/// headers.
pub const MAX_MEMBERS: usize = 10_000;

/// Maximum number of values in a JSON payload, with all that is inside its members, as
/// [`values_beyond`] counts. Enough for a list of 10,000 recipients.
pub const MAX_VALUES: usize = 20_000;

pub(super) const NO_EVENT: &str =
    "not an event: `event`, `email_id` and `message_id` are all missing or empty";

/// Parses an event from the body of a request, of at most [`DEFAULT_LIMIT`] bytes.
///
/// `content_type` is the value of the request's `Content-Type` header, if it has one. JSON and forms
/// are read. With another content type, or without one, a body that starts with `{` is JSON and any
/// other body is a form.
///
/// A field of an unexpected type or value is never an error: see the [module](crate::webhook).
/// Bytes that are not UTF-8 are replaced.
///
/// Takes linear time, and less than 8 MiB of memory for a body of 1 MiB.
///
/// ```
/// let event = smtp2go_types::webhook::parse(None, r#"{"event":"open","read-secs":"15"}"#)?;
/// assert_eq!(event.as_email().and_then(|event| event.read_secs), Some(15));
/// # Ok::<(), smtp2go_types::webhook::ParseError>(())
/// ```
///
/// # Errors
///
/// A body that is too long, broken JSON, a form without a pair, more than [`MAX_MEMBERS`] members
/// or [`MAX_VALUES`] values, and a body that is not an event: `event`, `email_id` and `message_id` are
/// all missing or empty.
pub fn parse<'a>(
    content_type: impl Into<Option<&'a str>>,
    body: impl AsRef<[u8]>,
) -> Result<Event, ParseError> {
    parse_with_limit(content_type, body, DEFAULT_LIMIT)
}

/// Like [`parse`], with your own limit on the length of the body, in bytes.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_with_limit<'a>(
    content_type: impl Into<Option<&'a str>>,
    body: impl AsRef<[u8]>,
    limit: usize,
) -> Result<Event, ParseError> {
    let body = body.as_ref();
    if body.len() > limit {
        return Err(ParseError::TooLarge {
            size: body.len(),
            limit,
        });
    }
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let starts = body
        .iter()
        .position(|byte| !byte.is_ascii_whitespace())
        .ok_or(ParseError::at(body, 0, "the body is empty"))?;
    let is_object = body.get(starts) == Some(&b'{');
    match Format::named(content_type.into()) {
        // Form encoders escape braces.
        Some(Format::Json) if !is_object => Err(ParseError::at(
            body,
            starts,
            "not an event: the JSON is not an object",
        )),
        _ if is_object => json(body, starts),
        _ => from_form(body, starts),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Form,
}

impl Format {
    /// Returns the format of a content type, if it is JSON or a form.
    fn named(content_type: Option<&str>) -> Option<Self> {
        let essence = content_type?.split(';').next()?.trim();
        let subtype = essence.split('/').nth(1)?;
        let is = |name: &str| subtype.eq_ignore_ascii_case(name);
        let ends = subtype.get(subtype.len().saturating_sub(5)..);
        if is("json") || ends.is_some_and(|end| end.eq_ignore_ascii_case("+json")) {
            Some(Self::Json)
        } else if is("x-www-form-urlencoded") {
            Some(Self::Form)
        } else {
            None
        }
    }
}

fn json(body: &[u8], starts: usize) -> Result<Event, ParseError> {
    let no_event = || ParseError::at(body, starts, NO_EVENT);
    if let Some(offset) = values_beyond(body, MAX_VALUES) {
        let what = format!("more than {MAX_VALUES} values");
        return Err(ParseError::at(body, offset, what));
    }
    match serde_json::from_slice::<EventMembers<'_>>(body) {
        Ok(EventMembers(members)) => event(members, false).ok_or_else(no_event),
        Err(error) => {
            // Only after an error, because it reads the whole body again.
            let Cow::Owned(repaired) = readable(body) else {
                return Err(error.into());
            };
            let Ok(EventMembers(members)) = serde_json::from_str(&repaired) else {
                return Err(error.into());
            };
            event(members, false).ok_or_else(no_event)
        }
    }
}

fn from_form(body: &[u8], starts: usize) -> Result<Event, ParseError> {
    if !body.contains(&b'=') {
        return Err(ParseError::at(
            body,
            starts,
            "the body is neither a JSON object nor a form",
        ));
    }
    let text = String::from_utf8_lossy(body);
    let members = form::read(&text, MAX_MEMBERS).ok_or_else(|| {
        let what = format!("more than {MAX_MEMBERS} members");
        ParseError::at(body, starts, what)
    })?;
    event(members, true).ok_or_else(|| ParseError::at(body, starts, NO_EVENT))
}

/// The kind of an event.
enum EventClass {
    Email,
    Sms,
    Unknown,
}

/// Chooses one of the members with this name, in any letter case: the first by [`rank`], and the
/// last of those with the same spelling, as in JSON. Removes the others with that spelling, and
/// empty ones. Returns the spelling, or `None` if no member of this name has a text.
fn single<'de>(members: &mut Members<'de>, name: &str) -> Option<Cow<'de, str>> {
    let is_named = |key: &str| key.len() == name.len() && key.eq_ignore_ascii_case(name);
    let mut found: Option<usize> = None;
    let mut count = 0;
    for (index, (key, value)) in members.iter().enumerate() {
        if !is_named(key) {
            continue;
        }
        count += 1;
        if value.to_text().is_none_or(|text| text.is_empty()) {
            continue;
        }
        let first = found.and_then(|index| members.get(index));
        if first.is_none_or(|(first, _)| rank(key) <= rank(first)) {
            found = Some(index);
        }
    }
    let found = found?;
    let (spelling, _) = members.get(found)?;
    let spelling = spelling.clone();
    if count > 1 {
        let mut index = 0..;
        members.retain(|(key, value)| {
            let is_empty = || value.to_text().is_some_and(|text| text.is_empty());
            index.next() == Some(found) || !is_named(key) || (*key != spelling && !is_empty())
        });
    }
    Some(spelling)
}

/// Builds an event from the members. `None` if they are not an event. For `repeats`, see [`settle`].
pub(super) fn event(mut members: Members<'_>, repeats: bool) -> Option<Event> {
    let found = single(&mut members, "event");
    let has_email = single(&mut members, "email_id").is_some();
    let has_message = single(&mut members, "message_id").is_some();
    // `single` may have removed members before it.
    let found = found.and_then(|key| members.iter().position(|(other, _)| *other == key));
    let kind = match found {
        Some(found) => {
            let (_, value) = members.get(found)?;
            let word = value.to_text()?;
            let small = word.trim().to_ascii_lowercase();
            let (email, sms) = (
                !EmailEventKind::from_value(&small).is_unknown(),
                !SmsEventName::from_value(&small).is_unknown(),
            );
            let word = if email || sms {
                small.clone()
            } else {
                word.into_owned()
            };
            if let Some((_, value)) = members.get_mut(found) {
                *value = Member::Text(Cow::Owned(word));
            }
            if email {
                EventClass::Email
            } else if sms {
                EventClass::Sms
            } else if has_email {
                EventClass::Email
            } else if has_message || small.starts_with("sms") {
                EventClass::Sms
            } else {
                EventClass::Unknown
            }
        }
        None if has_email => EventClass::Email,
        None if has_message => EventClass::Sms,
        None => return None,
    };
    let unknown = |members| {
        Event::Unknown(UnknownEvent {
            members: map(members, repeats),
        })
    };
    Some(match kind {
        EventClass::Email => Event::Email(Box::new(settle(members, repeats)?)),
        EventClass::Sms => Event::Sms(Box::new(settle(members, repeats)?)),
        EventClass::Unknown => unknown(members),
    })
}

/// The reason why a body is not an event.
///
/// `Display` is one line and shows nothing of the body, which contains personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// The body is too long, and was not read.
    #[non_exhaustive]
    TooLarge {
        /// Its length, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body can't be read, or is not an event.
    #[non_exhaustive]
    Malformed {
        /// The reason.
        message: String,
        /// The line of the error, from 1.
        line: usize,
        /// The column of the error, in bytes, from 1.
        column: usize,
    },
}

impl ParseError {
    fn at(body: &[u8], offset: usize, message: impl Into<String>) -> Self {
        let before = body.get(..offset).unwrap_or(body);
        let line_start = before.iter().rposition(|byte| *byte == b'\n');
        Self::Malformed {
            message: message.into(),
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            column: 1 + offset - line_start.map_or(0, |at| at + 1),
        }
    }
}

impl From<serde_json::Error> for ParseError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let place = format!(" at line {line} column {column}");
        Self::Malformed {
            message: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
            line,
            column,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size, limit } => {
                write!(
                    f,
                    "the body has {size} bytes and exceeds the limit of {limit} bytes"
                )
            }
            Self::Malformed {
                message,
                line,
                column,
            } => write!(f, "{message} at line {line}, column {column}"),
        }
    }
}

impl std::error::Error for ParseError {}
