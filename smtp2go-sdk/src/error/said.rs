//! Reads error text, code, id, counts and results from a reply of any shape.
//!
//! Reading never fails: a value that can't be read is absent, and of truncated JSON the values before
//! the end are kept. `call::verdict` decides what the values mean.

use std::borrow::Cow;
use std::fmt;

use serde_core::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use smtp2go_types::readable;

use super::FieldError;
use crate::operation::FailureIn200;

/// Depth up to which lists of texts, failed fields and batch results are searched.
const DEPTH: u8 = 4;

/// Values of `status` that report a failure. Inferred: the schema lists the first four for an SMS.
const FAILING: [&str; 6] = [
    "failed",
    "rejected",
    "cancelled",
    "expired",
    "error",
    "failure",
];

/// Values of `status` that the schema names for an SMS that was accepted.
const ACCEPTED: [&str; 7] = [
    "processing",
    "enroute",
    "queued",
    "submitted",
    "processed",
    "delivered",
    "held",
];

/// The content of a reply, or of one result of a batch.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Whether the reply is exactly one JSON object. If not, it may have content that was not read.
    pub(crate) whole: bool,
    pub(crate) request_id: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) error_code: Option<String>,
    pub(crate) fields: Vec<FieldError>,
    /// The id of the accepted mail. This and the fields below are filled only for operations with
    /// [`FailureIn200`].
    pub(crate) email_id: Option<String>,
    pub(crate) schedule_id: Option<String>,
    succeeded: Option<i64>,
    /// Whether a message has a status that means that it was accepted.
    accepted_by_status: bool,
    pub(crate) failed: Option<i64>,
    pub(crate) failures: Vec<String>,
    /// Whether an id or a success is reported.
    pub(crate) accepted: bool,
    /// Whether a failure is reported, other than by `error`, `error_code` and `fields`.
    pub(crate) refused: bool,
    /// Whether an id or a success is reported at an undocumented place or in an undocumented form.
    pub(crate) misplaced: bool,
    /// The results of a batch.
    pub(crate) results: Results,
}

/// The results of a batch, as a summary. They are not kept one by one, because a hostile reply can have
/// many more results than the batch has mails.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) count: usize,
    /// Whether a result reports an id or a success and nothing else.
    pub(crate) confirmed: bool,
    /// Whether a result reports an id or a success.
    pub(crate) accepted: bool,
    /// Whether a result reports an error or a failure.
    pub(crate) refused: bool,
    /// The reasons of the errors and failures that the results report.
    failures: Vec<String>,
}

impl Said {
    /// Reads a reply. The members of `data` take precedence over those of the root.
    pub(crate) fn read(body: &[u8], places: Option<FailureIn200>) -> Self {
        let whole = |text: &str| envelope(text, places).ok();
        if let Some(said) = std::str::from_utf8(body).ok().and_then(whole) {
            return said;
        }
        let text = readable(body);
        whole(&text).unwrap_or_else(|| {
            let part = closed(&text).and_then(|text| whole(&text));
            Self {
                whole: false,
                ..part.unwrap_or_default()
            }
        })
    }

    /// Reads the results of a batch one by one.
    pub(crate) fn results(body: &[u8], places: FailureIn200) -> Vec<Self> {
        let text = readable(body);
        let text = match serde_json::from_str::<Members<'_>>(&text) {
            Ok(_) => text,
            Err(_) => closed(&text).unwrap_or_default().into(),
        };
        let read = || -> serde_json::Result<Vec<Self>> {
            let Members(root) = serde_json::from_str(&text)?;
            let data = root.into_iter().rfind(|(name, _)| name == "data");
            let Some((_, data)) = data else {
                return Ok(Vec::new());
            };
            match kind(data) {
                b'{' => Ok(vec![Self::result(data, 0, places)?]),
                _ => items(data)?
                    .into_iter()
                    .map(|result| Self::result(result, DEPTH, places))
                    .collect(),
            }
        };
        read().unwrap_or_default()
    }

    /// Takes the reasons of failures from the results of a batch, if there are no others.
    pub(crate) fn take_failures(&mut self) {
        if self.failures.is_empty() {
            self.failures = std::mem::take(&mut self.results.failures);
        }
    }

    /// Whether the envelope reports an error.
    pub(crate) fn has_error(&self) -> bool {
        self.error.is_some() || self.error_code.is_some() || !self.fields.is_empty()
    }

    /// Whether the envelope, the data or a result of a batch reports an id or a success.
    pub(crate) fn reports_success(&self) -> bool {
        self.accepted || self.misplaced || self.results.accepted
    }

    /// Whether the envelope, the data or a result of a batch reports an error or a failure.
    fn is_failure(&self) -> bool {
        self.has_error() || self.refused || self.results.refused
    }

    /// Reads a member of the envelope.
    fn take(
        &mut self,
        name: &str,
        value: &RawValue,
        places: Option<FailureIn200>,
    ) -> serde_json::Result<()> {
        match name {
            "request_id" => set(&mut self.request_id, scalar(value)?),
            "error" => set(&mut self.error, joined(value, "; ")?),
            "error_code" => set(&mut self.error_code, scalar(value)?),
            "field_validation_errors" => {
                let mut fields = Vec::new();
                field_errors(value, DEPTH, &mut fields)?;
                if !fields.is_empty() {
                    self.fields = fields;
                }
            }
            name => {
                if let Some(places) = places {
                    self.take_result(name, value, places)?;
                }
            }
        }
        Ok(())
    }

    /// Reads a member that says whether a message was accepted.
    fn take_result(
        &mut self,
        name: &str,
        value: &RawValue,
        places: FailureIn200,
    ) -> serde_json::Result<()> {
        // The names of `/email/send` count too, because a batch's results have no documented shape.
        let is = |place: Option<&str>| ends_in(place, name);
        if matches!(name, "email_id" | "schedule_id") || is(places.id) {
            let id = id(value)?;
            self.accepted |= id.is_some();
            self.misplaced |= id.is_none() && is_something(value);
            if name == "schedule_id" {
                set(&mut self.schedule_id, id);
            } else {
                set(&mut self.email_id, id);
            }
        } else if name == "succeeded" || is(places.succeeded) {
            match count(value)? {
                Some(count) => {
                    self.succeeded = Some(count);
                    self.accepted |= count > 0;
                }
                None => self.misplaced |= is_something(value),
            }
        } else if name == "failed" || is(places.count) {
            self.failed = count(value)?;
            match self.failed {
                Some(count) => self.refused |= count > 0,
                None => self.report(value)?,
            }
        } else if matches!(name, "failures" | "errors") || is(places.messages) {
            self.report(value)?;
        } else if name == "status" {
            self.refused |= is_failing(value)?;
        } else if Some(name) == list_segment(places.status) {
            self.take_statuses(value, places)?;
        }
        Ok(())
    }

    /// Adds the reasons of a failure, if there are any.
    fn report(&mut self, reasons: &RawValue) -> serde_json::Result<()> {
        let before = self.failures.len();
        add_texts(reasons, DEPTH, &mut self.failures)?;
        self.refused |= self.failures.len() > before;
        Ok(())
    }

    /// Reads the statuses of a list of messages, some of which may have been accepted.
    fn take_statuses(&mut self, list: &RawValue, places: FailureIn200) -> serde_json::Result<()> {
        let (mut failing, mut accepted) = (false, false);
        for message in items(list)? {
            for (name, value) in members(message)? {
                if ends_in(places.status, &name) && is_something(value) {
                    if is_failing(value)? {
                        failing = true;
                        self.failures.extend(scalar(value)?);
                    } else {
                        accepted |= is_one_of(value, &ACCEPTED)?;
                    }
                }
            }
        }
        self.accepted_by_status |= accepted;
        self.refused |= failing && !accepted;
        Ok(())
    }

    /// Reads one result of a batch.
    fn result(value: &RawValue, depth: u8, places: FailureIn200) -> serde_json::Result<Self> {
        let mut said = Self {
            whole: true,
            ..Self::default()
        };
        match kind(value) {
            b'{' => {
                for (name, value) in members(value)? {
                    said.take(&name, value, Some(places))?;
                }
            }
            b'[' if depth > 0 => {
                for item in items(value)? {
                    let inner = Self::result(item, depth - 1, places)?;
                    said.misplaced |= inner.accepted || inner.misplaced;
                    said.refused |= inner.refused;
                    said.failures.extend(inner.failures);
                    set(&mut said.error, inner.error);
                    set(&mut said.error_code, inner.error_code);
                    set(&mut said.email_id, inner.email_id);
                    set(&mut said.schedule_id, inner.schedule_id);
                }
            }
            // A bare text may be an id or an explanation.
            b'"' => {
                let text = filled(text(value)?);
                said.misplaced = text.is_some();
                said.email_id = text.clone().filter(|text| is_id(text));
                said.failures.extend(text);
            }
            _ => {}
        }
        Ok(said)
    }
}

impl Results {
    fn add(&mut self, result: Said) {
        let refused = result.refused || result.has_error();
        self.count += 1;
        self.confirmed |= result.accepted && !refused;
        self.accepted |= result.accepted || result.misplaced;
        self.refused |= refused;
        self.failures.extend(result.failures);
        self.failures.extend(result.error);
    }
}

/// Reads a reply that is a JSON object.
fn envelope(text: &str, places: Option<FailureIn200>) -> serde_json::Result<Said> {
    let Members(root) = serde_json::from_str(text)?;
    let mut said = Said {
        whole: true,
        ..Said::default()
    };
    let mut data = None;
    for (name, value) in root {
        if name == "data" {
            // If there are two, it is unknown which one counts.
            said.whole &= data.is_none();
            data = Some(value);
        } else {
            said.take(&name, value, places)?;
        }
    }
    // An id or a success outside of `data` does not confirm the call.
    said.misplaced |= std::mem::take(&mut said.accepted);
    let Some(data) = data else {
        said.misplaced |= places.is_some() && said.is_failure() && reports_success(text)?;
        return Ok(said);
    };
    match places {
        Some(places) if places.id.is_some_and(|id| id.starts_with("/data/*/")) => {
            for result in items(data)? {
                said.results.add(Said::result(result, DEPTH, places)?);
            }
            for (name, value) in members(data)? {
                said.take(&name, value, None)?;
            }
            // An object in place of the list counts as one result, unless it is an error for the batch.
            if kind(data) == b'{' {
                let result = Said::result(data, 0, places)?;
                if result.accepted || result.misplaced || !result.has_error() {
                    said.results.add(result);
                }
            }
        }
        places => {
            for (name, value) in members(data)? {
                said.take(&name, value, places)?;
            }
        }
    }
    if said.accepted_by_status {
        // If the reply counts zero successes, a status of an accepted message confirms nothing.
        said.accepted |= said.succeeded != Some(0);
        said.misplaced |= said.succeeded == Some(0);
    }
    if places.is_some() && said.is_failure() && !said.reports_success() {
        said.misplaced |= reports_success(text)?;
    }
    Ok(said)
}

/// Whether a JSON text has an id or a success anywhere. Called only for a reply that reports a
/// failure: if it also reports an id or a success, it does not prove that the call was refused.
fn reports_success(json: &str) -> serde_json::Result<bool> {
    fn search(value: &RawValue, depth: u8) -> serde_json::Result<bool> {
        for item in items(value)? {
            if depth > 0 && search(item, depth - 1)? {
                return Ok(true);
            }
        }
        for (name, member) in members(value)? {
            let found = match &*name {
                "email_id" | "schedule_id" => id(member)?.is_some(),
                "succeeded" | "total_sent" => match count(member)? {
                    Some(count) => count > 0,
                    None => is_something(member),
                },
                "data" => text(member)?.as_deref().is_some_and(is_id),
                _ => false,
            };
            if found || depth > 0 && search(member, depth - 1)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
    search(serde_json::from_str(json)?, 2 * DEPTH)
}

/// Returns a truncated JSON object, closed after its last complete value. Of a complete object with
/// text after it, returns the object.
fn closed(text: &str) -> Option<String> {
    let text = text.trim_start();
    if !text.starts_with('{') {
        return None;
    }
    let (mut open, mut is_string) = (Vec::new(), false);
    let mut cut = (0, 0);
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => is_string = !is_string,
            b'\\' if is_string => drop(bytes.next()),
            _ if is_string => {}
            b'{' | b'[' => open.push(if byte == b'{' { '}' } else { ']' }),
            b'}' | b']' => {
                open.pop();
                cut = (at + 1, open.len());
                if open.is_empty() {
                    break;
                }
            }
            b',' => cut = (at, open.len()),
            _ => {}
        }
    }
    let (end, depth) = cut;
    let closers = open.get(..depth)?.iter().rev();
    Some(text.get(..end)?.chars().chain(closers.copied()).collect())
}

/// The members of an object, in their order.
struct Members<'de>(Vec<(Cow<'de, str>, &'de RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((MemberName(name), value)) = object.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The name of a member, borrowed unless it has escapes.
struct MemberName<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for MemberName<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }

        deserializer.deserialize_str(Text).map(Self)
    }
}

/// Returns the members of a value. Empty if it is not an object.
fn members(value: &RawValue) -> serde_json::Result<Vec<(Cow<'_, str>, &RawValue)>> {
    match kind(value) {
        b'{' => serde_json::from_str(value.get()).map(|Members(members)| members),
        _ => Ok(Vec::new()),
    }
}

/// Returns the items of a value. Empty if it is not a list.
fn items(value: &RawValue) -> serde_json::Result<Vec<&RawValue>> {
    match kind(value) {
        b'[' => serde_json::from_str(value.get()),
        _ => Ok(Vec::new()),
    }
}

/// Returns the first character of a JSON value, which tells its type.
fn kind(value: &RawValue) -> u8 {
    value.get().bytes().next().unwrap_or_default()
}

/// Whether `name` is the last segment of a place.
fn ends_in(place: Option<&str>, name: &str) -> bool {
    let parent = place.and_then(|place| place.strip_suffix(name));
    parent.is_some_and(|parent| parent.ends_with('/'))
}

/// Returns the name of the list that a place goes through: `messages` in `/data/messages/*/status`.
fn list_segment(place: Option<&str>) -> Option<&str> {
    let mut segments = place?.rsplit('/').skip(1);
    (segments.next()? == "*").then(|| segments.next())?
}

fn set(target: &mut Option<String>, found: Option<String>) {
    if found.is_some() {
        *target = found;
    }
}

/// Returns a value that is text.
fn text(value: &RawValue) -> serde_json::Result<Option<String>> {
    match value
        .get()
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    {
        None => Ok(None),
        Some(plain) if !plain.contains('\\') => Ok(Some(plain.to_owned())),
        Some(_) => serde_json::from_str(value.get()).map(Some),
    }
}

/// Returns the text unless it is empty or only white space.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.chars().all(char::is_whitespace))
}

/// Whether a text could be an id: one word with a digit.
fn is_id(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    text.bytes().all(known) && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether a value is more than null, false, zero or empty.
fn is_something(value: &RawValue) -> bool {
    match kind(value) {
        b'n' | b'f' => false,
        // Text with a broken escape counts: the reply is repaired and read again.
        b'"' => text(value).map_or(true, |text| filled(text).is_some()),
        b'[' | b'{' => value
            .get()
            .bytes()
            .any(|byte| !b"[]{} \t\r\n".contains(&byte)),
        b't' => true,
        _ => !matches!(serde_json::from_str(value.get()), Ok(0.0)),
    }
}

/// Returns a text, a number or `true`, as text.
fn scalar(value: &RawValue) -> serde_json::Result<Option<String>> {
    match kind(value) {
        b'"' => text(value).map(filled),
        b'[' | b'{' => Ok(None),
        _ => Ok(is_something(value).then(|| value.get().to_owned())),
    }
}

/// Returns a value that is an id, or the first id of a list.
fn id(value: &RawValue) -> serde_json::Result<Option<String>> {
    const NONE: [&str; 4] = ["null", "none", "undefined", "0"];
    let found = match kind(value) {
        b't' => None,
        b'[' => items(value)?
            .first()
            .map_or(Ok(None), |first| scalar(first))?,
        _ => scalar(value)?,
    };
    Ok(found.filter(|id| !NONE.iter().any(|none| none.eq_ignore_ascii_case(id.trim()))))
}

/// Returns a number, or text that is a number, rounded up.
fn count(value: &RawValue) -> serde_json::Result<Option<i64>> {
    let text = text(value)?;
    let number = text.as_deref().unwrap_or(value.get()).trim();
    Ok(number.parse().ok().or_else(|| {
        let float: f64 = number.parse().ok()?;
        #[allow(clippy::cast_possible_truncation)]
        float.is_finite().then(|| float.ceil() as i64)
    }))
}

/// Whether a status is that of a failure.
fn is_failing(status: &RawValue) -> serde_json::Result<bool> {
    is_one_of(status, &FAILING)
}

fn is_one_of(status: &RawValue, words: &[&str]) -> serde_json::Result<bool> {
    let status = text(status)?.unwrap_or_default();
    Ok(words
        .iter()
        .any(|word| word.eq_ignore_ascii_case(status.trim())))
}

/// Adds the texts of a list, or a single text. Other values are kept as JSON.
fn add_texts(value: &RawValue, depth: u8, found: &mut Vec<String>) -> serde_json::Result<()> {
    match kind(value) {
        b'[' if depth > 0 => {
            for item in items(value)? {
                add_texts(item, depth - 1, found)?;
            }
        }
        b'"' => found.extend(filled(text(value)?)),
        _ if is_something(value) => found.push(value.get().to_owned()),
        _ => {}
    }
    Ok(())
}

/// Returns the texts of a value as one text.
fn joined(value: &RawValue, separator: &str) -> serde_json::Result<Option<String>> {
    let mut found = Vec::new();
    add_texts(value, DEPTH, &mut found)?;
    // A single text is not copied, since it may be long.
    Ok(match found.len() {
        0 | 1 => found.pop(),
        _ => Some(found.join(separator)),
    })
}

/// Reads the fields that failed, in any of these shapes: an object with `fieldname` and `message`, a
/// list of such objects, a map from field to text, or bare text.
fn field_errors(
    value: &RawValue,
    depth: u8,
    found: &mut Vec<FieldError>,
) -> serde_json::Result<()> {
    match kind(value) {
        b'[' if depth > 0 => {
            for item in items(value)? {
                field_errors(item, depth - 1, found)?;
            }
        }
        b'{' => {
            let members = members(value)?;
            let named = |wanted| members.iter().rfind(|(name, _)| name == wanted);
            if let Some((_, field)) = named("fieldname") {
                let message = named("message").map(|(_, message)| joined(message, "; "));
                found.push(FieldError {
                    field: joined(field, ", ")?.unwrap_or_default(),
                    message: message.transpose()?.flatten().unwrap_or_default(),
                });
            } else {
                for (field, message) in members {
                    let message = joined(message, "; ")?.unwrap_or_default();
                    let field = field.into_owned();
                    found.push(FieldError { field, message });
                }
            }
        }
        _ => {
            let mut messages = Vec::new();
            add_texts(value, depth, &mut messages)?;
            found.extend(messages.into_iter().map(|message| FieldError {
                field: String::new(),
                message,
            }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MAIL: Option<FailureIn200> = Some(FailureIn200::MAIL);

    fn inspect(body: &[u8]) -> Said {
        Said::read(body, None)
    }

    fn fields(body: &str) -> Vec<(String, String)> {
        inspect(body.as_bytes())
            .fields
            .into_iter()
            .map(|e| (e.field, e.message))
            .collect()
    }

    #[test]
    fn envelope_is_read_at_both_levels() {
        for body in [
            r#"{"request_id":"r","data":{"error":"e","error_code":"c"}}"#,
            r#"{"request_id":"r","error":"e","error_code":"c"}"#,
            r#"{"request_id":"r","error":"e","error_code":"c","data":null}"#,
            r#"{"error":"e","error_code":"c","data":[1,{}],"request_id":"r"}"#,
            r#"{"error":"e","error_code":"c","data":"gone","request_id":"r"}"#,
            r#"{"data":{"request_id":"r","error":"e","error_code":"c","data":{"error":"x"}}}"#,
            r#"{"error":"x","data":{"request_id":"r","error":"e","error_code":"c"},"error":"y"}"#,
            // Truncated, and followed by other text.
            r#"{"request_id":"r","data":{"error":"e","error_code":"c","field_val"#,
            r#"{"request_id":"r","data":{"error":"e","error_code":"c"}} trailing"#,
        ] {
            let found = inspect(body.as_bytes());
            assert_eq!(found.request_id.as_deref(), Some("r"), "{body}");
            assert_eq!(found.error.as_deref(), Some("e"), "{body}");
            assert_eq!(found.error_code.as_deref(), Some("c"), "{body}");
        }
        let odd = inspect(b"{\"request_id\":\"r\",\"error\":\"caf\xe9\"}");
        assert_eq!(odd.error.as_deref(), Some("caf\u{fffd}"));
    }

    #[test]
    fn empty_error_members_are_not_an_error() {
        for body in [
            "",
            " ",
            "null",
            "[]",
            "<html>",
            "{",
            "7",
            "\"error\"",
            r#"{"error":""}"#,
        ] {
            let found = inspect(body.as_bytes());
            assert!(!found.has_error() && found.request_id.is_none() && found.fields.is_empty());
        }
        for error in [
            json!(null),
            json!(""),
            json!(false),
            json!(0),
            json!({}),
            json!([]),
            json!([null, ""]),
        ] {
            let body = json!({"data": {"error": error, "error_code": ""}}).to_string();
            assert!(!inspect(body.as_bytes()).has_error(), "{body}");
        }
    }

    #[test]
    fn failed_fields_are_read_in_any_shape() {
        let pair = |field: &str, message: &str| (field.to_owned(), message.to_owned());
        for (shape, expected) in [
            (
                r#"{"fieldname":"to","message":"bad"}"#,
                vec![pair("to", "bad")],
            ),
            (
                r#"[{"fieldname":"to","message":"bad"}]"#,
                vec![pair("to", "bad")],
            ),
            (
                r#"{"cc":["a","b"],"to":"bad"}"#,
                vec![pair("cc", "a; b"), pair("to", "bad")],
            ),
            (
                r#"[{"to":"bad"},"and more"]"#,
                vec![pair("to", "bad"), pair("", "and more")],
            ),
            (r#""bad""#, vec![pair("", "bad")]),
            ("null", vec![]),
            ("[]", vec![]),
            ("{}", vec![]),
        ] {
            for body in [
                format!(r#"{{"data":{{"field_validation_errors":{shape}}}}}"#),
                format!(r#"{{"field_validation_errors":{shape},"data":{{}}}}"#),
            ] {
                assert_eq!(fields(&body), expected, "{body}");
            }
        }
    }

    #[test]
    fn lists_nested_deeper_than_the_limit_are_kept_as_json() {
        let deep = |depth| format!("{}\"a\"{}", "[".repeat(depth), "]".repeat(depth));
        for (depth, as_text) in [(1, false), (4, false), (5, true), (100_000, true)] {
            let body = format!(
                r#"{{"field_validation_errors":{0},"data":{{"failures":{0}}}}}"#,
                deep(depth)
            );
            let found = [
                Said::read(body.as_bytes(), MAIL).failures.remove(0),
                fields(&body).remove(0).1,
            ];
            for text in found {
                assert_eq!(text.starts_with('['), as_text, "{depth}");
                assert_eq!(text == "a", !as_text, "{depth}");
            }
        }
    }

    #[test]
    fn reply_with_half_a_surrogate_pair_is_read() {
        let body = br#"{"data":{"error":"bad \udc80","error_code":"X"}}"#;
        let found = inspect(body);
        assert_eq!(found.error.as_deref(), Some("bad \u{fffd}"));
        assert_eq!(found.error_code.as_deref(), Some("X"));
        let body = r#"{"field_validation_errors":[{"fieldname":"to","message":"\udc80"}]}"#;
        assert_eq!(fields(body), [("to".to_owned(), "\u{fffd}".to_owned())]);
    }

    #[test]
    fn error_is_read_in_any_shape() {
        for (error, text) in [
            (json!("a"), "a"),
            (json!(7), "7"),
            (json!(true), "true"),
            (json!(["a", "b"]), "a; b"),
            (json!({"why": "a"}), r#"{"why":"a"}"#),
        ] {
            for body in [json!({"error": error}), json!({"data": {"error": error}})] {
                let said = inspect(body.to_string().as_bytes());
                assert_eq!(said.error.as_deref(), Some(text), "{body}");
            }
        }
    }

    #[test]
    fn truncated_object_is_closed_after_its_last_value() {
        for (text, expected) in [
            (
                r#"{"a":1,"b":[1,{"c":2},{"d"#,
                Some(r#"{"a":1,"b":[1,{"c":2}]}"#),
            ),
            (r#"{"a":"x,]}","b":"#, Some(r#"{"a":"x,]}"}"#)),
            (
                r#"{"a":"\",","b":{"c":1,"d"#,
                Some(r#"{"a":"\",","b":{"c":1}}"#),
            ),
            (r#" {"a":{}} {"b":1}"#, Some(r#"{"a":{}}"#)),
            (r#"{"a":1"#, Some("")),
            ("{", Some("")),
            ("[1,2", None),
            ("", None),
        ] {
            assert_eq!(closed(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn result_of_a_mail_is_read() {
        let read = |body: &str| {
            let said = Said::read(body.as_bytes(), MAIL);
            let ids = [said.email_id, said.schedule_id].map(Option::unwrap_or_default);
            let signs = [said.accepted, said.refused, said.misplaced, said.whole];
            let signs: String = "armw"
                .chars()
                .zip(signs)
                .filter_map(|(c, on)| on.then_some(c))
                .collect();
            (ids.join(" "), said.failed, said.failures.join("|"), signs)
        };
        for (body, ids, failed, failures, signs) in [
            (
                r#"{"data":{"succeeded":1,"failed":0,"failures":[],"email_id":"e","schedule_id":"s"}}"#,
                "e s",
                Some(0),
                "",
                "aw",
            ),
            (
                r#"{"failed":3,"data":{"failed":"2","error":"e","x":{"failed":7}}}"#,
                " ",
                Some(2),
                "",
                "rw",
            ),
            (
                r#"{"data":{"failed":1,"failed":0},"email_id":"e"}"#,
                "e ",
                Some(0),
                "",
                "rmw",
            ),
            (
                r#"{"data":{"failures":["a",null,"",{"b":1},["c"]],"email_id":12}}"#,
                "12 ",
                None,
                r#"a|{"b":1}|c"#,
                "arw",
            ),
            (
                r#"{"data":{"failed":1,"failures":["bad \udc80"]}}"#,
                " ",
                Some(1),
                "bad \u{fffd}",
                "rw",
            ),
            (
                r#"{"data":{"failures":"a","email_id":" ","schedule_id":null}}"#,
                " ",
                None,
                "a",
                "rw",
            ),
            (r#"{"data":{"\u0066ailed":1}}"#, " ", Some(1), "", "rw"),
            ("\u{feff}{\"data\":{\"failed\":1}}", " ", Some(1), "", "rw"),
            (r#"{"data":{"failed":true}}"#, " ", None, "true", "rw"),
            (r#"{"data":{"failed":["no"]}}"#, " ", None, "no", "rw"),
            (r#"{"data":{"failed":false}}"#, " ", None, "", "w"),
            (r#"{"data":{"status":"Error"}}"#, " ", None, "", "rw"),
            (r#"{"data":{"status":"queued"}}"#, " ", None, "", "w"),
            (
                r#"{"data":{"errors":[{"m":1}]}}"#,
                " ",
                None,
                r#"{"m":1}"#,
                "rw",
            ),
            (r#"{"data":{"succeeded":true}}"#, " ", None, "", "mw"),
            (r#"{"data":{"email_id":{"id":1}}}"#, " ", None, "", "mw"),
            (r#"{"data":{"email_id":["e"]}}"#, "e ", None, "", "aw"),
            (r#"{"data":{"email_id":true}}"#, " ", None, "", "mw"),
            (r#"{"data":{"email_id":false}}"#, " ", None, "", "w"),
            (r#"{"email_id":"e"}"#, "e ", None, "", "mw"),
            (" {} ", " ", None, "", "w"),
            // Truncated, followed by other text, and not an object.
            (
                r#"{"data":{"failed":1,"failures":["brok"#,
                " ",
                Some(1),
                "",
                "r",
            ),
            (r#"{"data":{"failed":1}} trailing"#, " ", Some(1), "", "r"),
            ("", " ", None, "", ""),
            ("<html>", " ", None, "", ""),
            (r#"[{"data":{"failed":1}}]"#, " ", None, "", ""),
            ("null", " ", None, "", ""),
        ] {
            let expected = (
                ids.to_owned(),
                failed,
                failures.to_owned(),
                signs.to_owned(),
            );
            assert_eq!(read(body), expected, "{body}");
        }
    }

    #[test]
    fn count_is_read_from_number_or_text() {
        for (value, number) in [
            (json!(1), Some(1)),
            (json!("1"), Some(1)),
            (json!(" 2 "), Some(2)),
            (json!("01"), Some(1)),
            (json!("+1"), Some(1)),
            (json!("-1"), Some(-1)),
            (json!(1.0), Some(1)),
            (json!("1e3"), Some(1000)),
            (json!(0.5), Some(1)),
            (json!("1."), Some(1)),
            (json!("+.5"), Some(1)),
            (json!("1e400"), None),
            (json!(0), Some(0)),
            (json!("0"), Some(0)),
            (json!("none"), None),
            (json!("1,5"), None),
            (json!(null), None),
            (json!([1]), None),
        ] {
            let raw = serde_json::value::to_raw_value(&value).unwrap();
            assert_eq!(count(&raw).unwrap(), number, "{value}");
        }
    }
}
