//! Payloads of every kind, and ways to damage them.

use serde_json::{Map, Value, json};

/// One payload of each kind, as the service writes them.
pub(crate) fn payloads() -> Vec<Value> {
    include_str!("events.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A payload as a form. Every value is text, and a key with several values is repeated.
pub(crate) fn form(payload: &Value) -> String {
    let mut pairs = Vec::new();
    for (key, value) in payload.as_object().into_iter().flatten() {
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

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            b' ' => "+".to_owned(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// A payload with every scalar as text.
pub(crate) fn texts(payload: &Value) -> Value {
    match payload {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (key.clone(), texts(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(texts).collect(),
        Value::Number(number) => number.to_string().into(),
        other => other.clone(),
    }
}

/// Damages payloads and bodies; the same seed causes the same damage.
pub(crate) struct Random(fastrand::Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0.usize(..limit)
    }

    fn value(&mut self) -> Value {
        match self.below(14) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-7),
            3 => json!(u64::MAX),
            4 => json!(1.5),
            5 => json!([]),
            6 => json!(["a@example.com", null, 3, ["b"]]),
            7 => json!({"event": "open", "subject": [null]}),
            8 => json!("a@example.com, b@example.com"),
            9 => json!("[\"a@example.com\"]"),
            10 => json!("12.0"),
            11 => json!(" % +&=\u{e9}\u{0}\u{fffd}\" "),
            12 => json!(["open", "sms_failed", "Bounce", "opt-out", "new"][self.below(5)]),
            _ => json!(""),
        }
    }

    fn key(&mut self, of: &Value) -> String {
        let keys: Vec<_> = of.as_object().unwrap().keys().collect();
        let key = match keys.len() {
            0 => "event",
            len => keys[self.below(len)],
        };
        match self.below(5) {
            0 => key.to_uppercase(),
            1 => key.replacen(char::is_lowercase, "E", 1),
            2 => ["X-New", "", "é", "recipients[]", "a=b&c", "Event"][self.below(6)].to_owned(),
            _ => key.to_owned(),
        }
    }

    /// One of the payloads with some members replaced, removed, renamed or added.
    pub(crate) fn damaged(&mut self, payloads: &[Value]) -> Value {
        let mut payload = payloads[self.below(payloads.len())].clone();
        for _ in 0..self.below(6) {
            let (key, value) = (self.key(&payload), self.value());
            let other = self.key(&payload);
            let members = payload.as_object_mut().unwrap();
            match self.below(4) {
                0 => drop(members.remove(&key)),
                1 => {
                    let moved = members.remove(&key).unwrap_or(value);
                    members.insert(other, moved);
                }
                _ => drop(members.insert(key, value)),
            }
        }
        payload
    }

    /// Changes, doubles, removes and cuts off bytes.
    pub(crate) fn scramble(&mut self, body: &mut Vec<u8>) {
        const BYTES: &[u8] = b"{}[]\",:&=%+ \\\n\xEF\xBB\xBF\xFF\x00a1E";
        for _ in 0..=self.below(4) {
            if body.is_empty() {
                return;
            }
            let at = self.below(body.len());
            match self.below(5) {
                0 => body[at] = BYTES[self.below(BYTES.len())],
                1 => body.insert(at, BYTES[self.below(BYTES.len())]),
                2 => drop(body.remove(at)),
                3 => {
                    let end = (at + self.below(60)).min(body.len());
                    let part = body[at..end].to_vec();
                    body.splice(at..at, part);
                }
                _ => body.truncate(at),
            }
        }
    }
}
