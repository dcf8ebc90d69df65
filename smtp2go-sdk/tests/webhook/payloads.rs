//! A payload of each kind of event, made from the known values of the enums.

use serde_json::{Value, json};
use smtp2go_sdk::types::{EmailEventKind, OpenEnum, SmsEventName};

/// How the body of an event is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    Json,
    Form,
}

impl Format {
    pub(crate) const ALL: [Self; 2] = [Self::Json, Self::Form];

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
        }
    }

    pub(crate) fn body(self, payload: &Value) -> String {
        let Self::Form = self else {
            return payload.to_string();
        };
        let escape =
            |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        let mut pairs = Vec::new();
        for (key, value) in payload.as_object().unwrap() {
            let values = match value {
                Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            for value in values {
                let text = value.as_str().map_or(value.to_string(), str::to_owned);
                pairs.push(format!("{}={}", escape(key), escape(&text)));
            }
        }
        pairs.join("&")
    }
}

/// One payload of each kind, and one for each kind of bounce.
pub(crate) fn payloads() -> Vec<Value> {
    let email = EmailEventKind::VALUES.iter().map(|word| {
        json!({
            "event": word, "id": format!("{word}-1"), "email_id": "1aBcDe-FgHiJk-2L",
            "time": "2026-05-07T10:00:04Z", "rcpt": "jane@example.net", "subject": "Caf\u{e9} & more",
            "recipients": ["jane@example.net", "joe@example.org"], "X-Order": "88", "read-secs": 15,
        })
    });
    let bounces = ["hard", "soft"].map(
        |kind| json!({"event": "bounce", "bounce": kind, "id": kind, "rcpt": "jane@example.net"}),
    );
    let sms = SmsEventName::VALUES.iter().map(|word| {
        json!({
            "event": word, "message_id": "5d0e", "destination_number": "+15555550123",
            "retry_count": 2, "status_code": "7",
        })
    });
    email.chain(bounces).chain(sms).collect()
}
