//! Adds the subaccount to requests.

use std::fmt;
use std::sync::Arc;

use serde_core::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::body::Body;
use crate::error::Error;
use crate::operation::Operation;

/// A subaccount that every request names.
#[derive(Clone)]
pub(crate) struct Subaccount {
    id: Arc<str>,
}

impl Subaccount {
    pub(crate) fn new(id: String) -> Self {
        Self { id: id.into() }
    }

    /// See [`fill`].
    pub(crate) fn fill(&self, operation: &Operation, body: Body) -> Result<Body, Error> {
        fill(operation, body, &self.id)
    }
}

/// Shows the id.
impl fmt::Debug for Subaccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

/// Adds the subaccount to a body, in the operation's field for it.
///
/// # Errors
/// If the operation has no such field, if the body names another subaccount, or if the id is empty.
fn fill(operation: &Operation, body: Body, id: &str) -> Result<Body, Error> {
    let Some(field) = operation.subaccount else {
        return Err(Error::config(
            "the client is for a subaccount, and this operation can't be called for one",
        ));
    };
    if id.trim().is_empty() {
        return Err(Error::config("the id of the client's subaccount is empty"));
    }
    let Some(body) = body.into_bytes() else {
        return Err(Error::config(
            "the body is read while it is sent, so the subaccount can't be named in it",
        ));
    };
    let no_object =
        || Error::config("the body is not a JSON object, so the subaccount can't be named in it");
    let text = std::str::from_utf8(&body).map_err(|_| no_object())?;
    let mut json = serde_json::Deserializer::from_str(text);
    let named = json
        .deserialize_map(Named { field, id })
        .and_then(|named| json.end().map(|()| named))
        .map_err(|_| no_object())?;
    match named {
        None => Body::from(body)
            .with_member(field, id)
            .ok_or_else(no_object),
        Some(true) => Ok(body.into()),
        Some(false) => Err(Error::config(format!(
            "the request names another subaccount in `{field}` than the client's"
        ))),
    }
}

/// Compares an object's member with this id. `None` if the object does not have the member. If it has
/// the member more than once, all must be equal.
struct Named<'a> {
    field: &'static str,
    id: &'a str,
}

impl<'de> Visitor<'de> for Named<'_> {
    type Value = Option<bool>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Option<bool>, A::Error> {
        let mut named = None;
        while let Some(name) = members.next_key::<String>()? {
            if name == self.field {
                let value: &RawValue = members.next_value()?;
                let text = serde_json::from_str::<String>(value.get());
                let is_id = text.is_ok_and(|text| text == self.id);
                named = Some(is_id && named != Some(false));
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Certainty;
    use crate::operations::{EMAIL_SEND, WEBHOOK_VIEW};

    fn filled(body: &'static str) -> Result<String, Error> {
        let filled = fill(&WEBHOOK_VIEW, body.into(), "a\"1")?;
        Ok(filled.into_text())
    }

    #[test]
    fn missing_field_is_added() {
        for (body, expected) in [
            ("", r#"{"subaccount_id":"a\"1"}"#),
            (" { }", r#"{"subaccount_id":"a\"1" }"#),
            (r#"{"id":1}"#, r#"{"subaccount_id":"a\"1","id":1}"#),
            // Only at the top.
            (
                r#"{"a":{"subaccount_id":"b"}}"#,
                r#"{"subaccount_id":"a\"1","a":{"subaccount_id":"b"}}"#,
            ),
        ] {
            assert_eq!(filled(body).unwrap(), expected);
        }
    }

    #[test]
    fn same_subaccount_in_the_body_is_accepted() {
        for body in [
            r#"{"subaccount_id":"a\"1","id":1}"#,
            r#"{ "subaccount_\u0069d" : "a\u00221" }"#,
        ] {
            assert_eq!(filled(body).unwrap(), body);
        }
    }

    #[test]
    fn other_subaccount_or_unfit_body_is_refused() {
        for (body, says) in [
            (r#"{"subaccount_id":"b"}"#, "names another"),
            (r#"{"subaccount_id":null}"#, "names another"),
            (r#"{"subaccount_id":""}"#, "names another"),
            (
                r#"{"subaccount_id":"a\"1","subaccount_id":"b"}"#,
                "names another",
            ),
            ("[]", "not a JSON object"),
            ("{", "not a JSON object"),
            ("{}{}", "not a JSON object"),
        ] {
            let error = filled(body).unwrap_err();
            assert!(error.is_config() && error.certainty() == Certainty::NotSent);
            assert!(error.to_string().contains(says), "{body}: {error}");
        }
        for (operation, id, says) in [
            (&EMAIL_SEND, "1", "can't be called for one"),
            (&WEBHOOK_VIEW, "", "is empty"),
            (&WEBHOOK_VIEW, " \u{a0}", "is empty"),
        ] {
            let error = fill(operation, Body::empty(), id).unwrap_err();
            assert!(error.is_config() && error.certainty() == Certainty::NotSent);
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
