//! Events as the service posts them, and damaged ones.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

mod support;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use smtp2go_types::webhook::{
    DEFAULT_LIMIT, Event, MAX_MEMBERS, MAX_VALUES, ParseError, parse, parse_with_limit,
};
use smtp2go_types::{
    BounceKind, EmailEvent, EmailEventKind, OpenEnum, SmsEvent, SmsEventName, Timestamp,
};
use support::{Random, form, payloads, texts};

const FORM: &str = "application/x-www-form-urlencoded";

fn event(body: &str) -> Event {
    parse(None, body).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn email(body: &str) -> EmailEvent {
    match event(body) {
        Event::Email(event) => *event,
        other => panic!("{body}: {other:?}"),
    }
}

fn sms(body: &str) -> SmsEvent {
    match event(body) {
        Event::Sms(event) => *event,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn every_event_kind_reads_the_same_from_json_and_form() {
    let mut kinds = BTreeSet::new();
    for payload in payloads() {
        let from_json = parse("application/json", payload.to_string()).unwrap();
        let from_form = parse(FORM, form(&payload)).unwrap();
        assert_eq!(from_json, from_form);
        assert_eq!(from_json.dedup_key(), from_form.dedup_key());
        // Encoding gives the original payload, except that numbers are text.
        let encoded = serde_json::to_value(&from_json).unwrap();
        assert_eq!(texts(&encoded), texts(&payload));
        assert_eq!(from_json.name(), payload["event"].as_str());
        kinds.insert(from_json.name().unwrap().to_owned());
        match &from_json {
            Event::Email(event) => {
                assert!(!event.event.as_ref().unwrap().is_unknown());
                assert_eq!(event.extra.keys().collect::<Vec<_>>(), ["X-Order"]);
            }
            Event::Sms(event) => {
                assert!(!event.event.as_ref().unwrap().is_unknown());
                assert!(event.extra.is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
    // There is a sample of every listed value.
    let words = EmailEventKind::VALUES.iter().chain(SmsEventName::VALUES);
    assert_eq!(kinds, words.map(|word| (*word).to_owned()).collect());
}

#[test]
fn event_fields_have_their_types() {
    let event = email(
        r#"{"event":"open","time":"2026-03-02T10:00:00Z","read-secs":"15",
        "sendtime":"2026-03-02T08:15:00.412907+00:00","opened-at":"2026-03-02T10:00:00Z"}"#,
    );
    assert_eq!(event.event, Some(EmailEventKind::Open));
    assert_eq!(event.time.unwrap().unix_seconds(), Some(1_772_445_600));
    assert_eq!(event.sendtime.unwrap().unix_seconds(), Some(1_772_439_300));
    assert_eq!(event.read_secs, Some(15));
    let opened_at = Timestamp::new("2026-03-02T10:00:00Z");
    assert_eq!(event.opened_at, Some(opened_at));

    let event = email(
        r#"{"event":"click","srchost":" 2001:db8::7 ","client-os":"OS","geoip-country":"NZ",
        "url":"https://example.com/7"}"#,
    );
    let reader = event.reader().unwrap();
    assert_eq!(reader.address, Some("2001:db8::7".parse().unwrap()));
    assert_eq!((reader.os, reader.country), (Some("OS"), Some("NZ")));
    assert_eq!((reader.client, reader.city), (None, None));
    assert_eq!(event.target(), Some("https://example.com/7"));
    // With `processed` it is the host that submitted the email.
    let event = email(
        r#"{"event":"processed","srchost":"192.0.2.1",
        "recipients":["a@example.com","b@example.com"]}"#,
    );
    assert_eq!(event.reader(), None);
    let concerns: Vec<_> = event.concerns().collect();
    assert_eq!(concerns, ["a@example.com", "b@example.com"]);

    for (bounce, hard) in [("hard", Some(true)), ("soft", Some(false)), ("odd", None)] {
        let body = json!({"event": "bounce", "bounce": bounce, "rcpt": "a@example.com"});
        let event = email(&body.to_string());
        assert_eq!(event.bounce, Some(BounceKind::from(bounce)));
        assert_eq!(event.is_hard_bounce(), hard);
        assert_eq!(event.concerns().collect::<Vec<_>>(), ["a@example.com"]);
    }

    let event = sms("event=sms_failed&retry_count=3&status_code=5&source_number=%2B15555550123");
    assert_eq!(event.retry_count, Some(3));
    assert_eq!(event.status_code.as_deref(), Some("5"));
    assert_eq!(event.source_number.as_deref(), Some("+15555550123"));
    let event = sms(r#"{"event":"sms_sending","source_number":15555550123,"status_code":5.5}"#);
    assert_eq!(event.source_number.as_deref(), Some("15555550123"));
    assert_eq!(event.status_code.as_deref(), Some("5.5"));
}

/// The events of the vendor's button "Test this webhook", one of each kind.
#[test]
fn vendor_test_events_are_typed_in_both_formats() {
    let mut keys = BTreeSet::new();
    let lines = include_str!("vendor.jsonl").lines();
    for line in lines {
        let payload: Value = serde_json::from_str(line).unwrap();
        let from_json = parse("application/json", line).unwrap();
        let from_form = parse(FORM, form(&payload)).unwrap();
        assert_eq!(from_json, from_form);
        let event = from_json.as_email().unwrap();
        // Only the copied header is left: the duplicate fields are one.
        assert_eq!(
            json!(event.extra),
            json!({"X-Order": "Headers Unavailable"})
        );
        assert_eq!(event.subject.as_deref(), Some("Test"));
        let seconds = event.sendtime.as_ref().unwrap().unix_seconds();
        assert_eq!(seconds, Some(1_778_148_000));
        let is_click = payload["event"] == "click";
        assert_eq!(event.target().is_some(), is_click, "{line}");
        assert_eq!(event.read_secs.is_some(), payload["event"] == "open");
        for (field, value) in [("context", &event.context), ("srchost", &event.srchost)] {
            assert_eq!(value.as_deref(), payload[field].as_str(), "{line}");
        }
        keys.insert(from_json.dedup_key().unwrap());
    }
    assert_eq!(keys.len(), 8);
    assert!(
        !keys.iter().any(|key| key.contains("Unavailable")),
        "{keys:#?}"
    );
}

#[test]
fn click_target_is_found_under_each_of_its_names() {
    for (body, url, extra) in [
        (r#"{"event":"click","url":"a"}"#, "a", json!({})),
        (r#"{"event":"click","link":"a"}"#, "a", json!({})),
        (r#"{"event":"click","click_url":"a"}"#, "a", json!({})),
        ("event=click&Click_URL=a", "a", json!({})),
        // An equal target under another name is dropped, and the field's own name wins.
        ("event=click&click_url=a&link=a&url=a", "a", json!({})),
        (
            "event=click&click_url=b&url=a",
            "a",
            json!({"click_url": "b"}),
        ),
        (
            r#"{"event":"click","URL":"a","link":"b"}"#,
            "a",
            json!({"link": "b"}),
        ),
        ("event=click&link=b&click_url=a", "a", json!({"link": "b"})),
        (r#"{"event":"click","url":null,"link":"a"}"#, "a", json!({})),
        (r#"{"event":"click","url":"","link":"a"}"#, "a", json!({})),
        (
            r#"{"event":"click","link":"","click_url":"a"}"#,
            "a",
            json!({"link": ""}),
        ),
        ("event=click&link=a&url=", "a", json!({})),
    ] {
        let event = email(body);
        assert_eq!(event.target(), Some(url), "{body}");
        assert_eq!(json!(event.extra), extra, "{body}");
    }
}

#[test]
fn event_aliases_give_the_listed_value() {
    for (word, name) in [
        ("bounce", "bounce"),
        ("opened", "open"),
        ("clicked", "click"),
        ("unsubscribed", "unsubscribe"),
        ("spam_complaint", "spam"),
        ("Bounce", "bounce"),
        (" OPENED ", "open"),
        ("sms_opt_out", "opt-out"),
        ("sms_optout", "opt-out"),
        ("SMS_Delivered", "sms_delivered"),
        // Unknown values are kept as they are.
        ("Deferred", "Deferred"),
        ("sms_Lost", "sms_Lost"),
    ] {
        let json = json!({"event": word}).to_string();
        assert_eq!(event(&json).name(), Some(name));
        let form = format!("Event={}", word.replace(' ', "+"));
        assert_eq!(event(&form).name(), Some(name), "{form}");
    }
}

#[test]
fn unknown_event_is_classified_by_its_ids_and_prefix() {
    let deferred = email(r#"{"event":"deferred","email_id":"1a","rcpt":"a@example.com"}"#);
    let word = EmailEventKind::from("deferred");
    assert_eq!(deferred.event, Some(word));
    assert_eq!(email(r#"{"email_id":"1a"}"#).event, None);
    assert!(event(r#"{"event":"sms_lost"}"#).as_sms().is_some());
    assert!(
        event(r#"{"event":"lost","message_id":1}"#)
            .as_sms()
            .is_some()
    );
    assert!(event(r#"{"message_id":"m"}"#).as_sms().is_some());
    let Event::Unknown(event) =
        event(r#"{"event":"Plan","Limit":{"a":[1,null]},"limit":2,"limit":3,"id":null}"#)
    else {
        panic!("is a known event");
    };
    assert_eq!(event.name(), Some("Plan"));
    assert_eq!(
        json!(event.members),
        json!({"event": "Plan", "Limit": {"a": [1, null]}, "limit": 3, "id": null})
    );
}

#[test]
fn keys_are_read_in_any_letter_case() {
    for (body, expected) in [
        // The key in lower case is the field, at any position; a different value is kept in
        // `extra`.
        (
            r#"{"event":"click","Subject":"large","subject":"small"}"#,
            json!({"event": "click", "subject": "small", "Subject": "large"}),
        ),
        (
            "subject=small&Subject=large&EVENT=click",
            json!({"event": "click", "subject": "small", "Subject": "large"}),
        ),
        // An equal value under another spelling is dropped.
        (
            "event=processed&Subject=a&subject=a&Message-Id=m&message-id=m",
            json!({"event": "processed", "subject": "a", "message-id": "m"}),
        ),
        (
            "event=open&Subject=a&subject=b&subject=a&read-secs=5.0&Read-Secs=5",
            json!({"event": "open", "subject": "a", "read-secs": 5, "Read-Secs": "5"}),
        ),
        (
            "EVENT=&message_id=7&message_id=&Message_Id=",
            json!({"message_id": "7", "event": ""}),
        ),
        // An empty value does not replace another.
        (
            "event=click&Message-Id=a&message-id=b&message-id=",
            json!({"event": "click", "message-id": "b", "Message-Id": "a"}),
        ),
        (
            r#"{"event":"click","subject":"","Subject":"a","subject":""}"#,
            json!({"event": "click", "subject": "a"}),
        ),
        (
            "event=click&Subject=&subject=&SUBJECT=a",
            json!({"event": "click", "subject": "a", "Subject": ""}),
        ),
        // Without a key in lower case, the first in alphabetical order is the field.
        (
            "event=click&MESSAGE-ID=a&Message-Id=b",
            json!({"event": "click", "message-id": "a", "Message-Id": "b"}),
        ),
        // Mail headers keep their case, and so do keys of the other payload type.
        (
            r#"{"event":"open","X-Order":"7","x-order":8,"Retry_Count":1}"#,
            json!({"event": "open", "X-Order": "7", "x-order": 8, "Retry_Count": 1}),
        ),
        (
            "EVENT=sms_failed&Retry_Count=3&Subject=s",
            json!({"event": "sms_failed", "retry_count": 3, "Subject": "s"}),
        ),
        // Null is the same as absent, for a field.
        (
            r#"{"event":"open","subject":null,"Subject":"a","X":null}"#,
            json!({"event": "open", "subject": "a", "X": null}),
        ),
        // The last of equal keys wins; in a form, only if the field is not a list.
        (
            r#"{"event":"open","event":"click","rcpt":"a","rcpt":"b"}"#,
            json!({"event": "click", "rcpt": "b"}),
        ),
        (
            "event=open&event=click&rcpt=a&rcpt=b&X=1&X=2&Y=1&Y=1",
            json!({"event": "click", "rcpt": "b", "X": ["1", "2"], "Y": "1"}),
        ),
    ] {
        let event = event(body);
        assert_eq!(serde_json::to_value(&event).unwrap(), expected, "{body}");
    }
}

#[test]
fn mail_header_is_found_in_any_case() {
    let read = |value: &str| {
        let body = format!(r#"{{"event":"open","email_id":"e","X-Idempotency-Key":{value}}}"#);
        event(&body).header("x-idempotency-key").map(str::to_owned)
    };
    for (value, expected) in [
        (r#""order-42""#, Some("order-42")),
        (r#"["order-42","b"]"#, Some("order-42")),
        (r#""Headers Unavailable""#, None),
        (r#"" ""#, None),
        ("7", None),
        ("null", None),
        ("[]", None),
    ] {
        assert_eq!(read(value).as_deref(), expected, "{value}");
    }
    let form = event("event=open&email_id=e&x-idempotency-key=order-42");
    assert_eq!(form.header("X-Idempotency-Key"), Some("order-42"));
    assert_eq!(form.header("X-Other"), None);
    // A field of the event is not a header.
    assert_eq!(form.header("email_id"), None);
    let unknown = event(r#"{"event":"new","X-Order":"7"}"#);
    assert_eq!(unknown.header("x-order"), Some("7"));
    let text = event(r#"{"event":"sms_failed","message_id":"m","X-Order":"7"}"#);
    assert_eq!(text.header("X-Order"), None);
}

#[test]
fn recipients_are_read_as_list_or_text() {
    let both = || vec!["a@example.com", "b@example.com"];
    for (recipients, expected) in [
        (json!(["a@example.com", "b@example.com"]), both()),
        (json!("a@example.com"), vec!["a@example.com"]),
        (json!("a@example.com, b@example.com"), both()),
        (json!("a@example.com;b@example.com\n"), both()),
        (json!(r#"["a@example.com","b@example.com"]"#), both()),
        (
            json!(["a@example.com", null, 7]),
            vec!["a@example.com", "7"],
        ),
        // A text with more than addresses is not split.
        (
            json!("\"Doe, J\" <a@example.com>"),
            vec!["\"Doe, J\" <a@example.com>"],
        ),
        (json!("[unreadable"), vec!["[unreadable"]),
        (json!(""), vec![]),
        (json!(null), vec![]),
    ] {
        let body = json!({"event": "processed", "recipients": recipients});
        let event = email(&body.to_string());
        assert_eq!(event.recipients, expected, "{body}");
        assert!(event.extra.is_empty());
    }
    for form in [
        "event=processed&recipients=a%40example.com&recipients=b%40example.com",
        "event=processed&recipients=a%40example.com%2C+b%40example.com",
        "event=processed&recipients[]=a@example.com&recipients[]=b@example.com",
        "event=processed&recipients%5B%5D=a@example.com&recipients%5B%5D=b@example.com",
    ] {
        assert_eq!(email(form).recipients, both(), "{form}");
    }
}

#[test]
fn value_that_does_not_fit_its_field_is_kept_in_extra() {
    let event = email(
        r#"{"event":"open","subject":["a"],"read-secs":"soon","rcpt":{"a":1},
        "recipients":[["a"]],"time":true,"client":1.5,"Subject":"b"}"#,
    );
    assert_eq!(event.subject.as_deref(), Some("b"));
    assert_eq!((event.read_secs, &event.rcpt), (None, &None));
    assert_eq!(event.time, None);
    assert_eq!(event.client.as_deref(), Some("1.5"));
    assert_eq!(
        json!(event.extra),
        json!({"read-secs": "soon", "rcpt": {"a": 1}, "recipients": [["a"]], "time": true})
    );
}

#[test]
fn every_field_is_found_in_another_letter_case() {
    for payload in payloads() {
        let members = payload.as_object().unwrap();
        let shouted: Map<String, Value> = members
            .iter()
            .map(|(key, value)| match key.as_str() {
                "X-Order" => (key.clone(), value.clone()),
                key => (key.to_uppercase(), value.clone()),
            })
            .collect();
        let found = event(&Value::Object(shouted).to_string());
        assert_eq!(found, event(&payload.to_string()));
    }
}

#[test]
fn content_type_selects_the_format() {
    let (json, form) = (r#" {"event":"open"}"#, "event=open");
    for content_type in [
        None,
        Some(""),
        Some("text/plain"),
        Some("application/octet-stream"),
        Some("multipart/form-data"),
        Some("é/ÿ"),
    ] {
        assert_eq!(parse(content_type, json).unwrap().name(), Some("open"));
        assert_eq!(parse(content_type, form).unwrap().name(), Some("open"));
    }
    for content_type in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/vnd.example+json",
        "text/json",
    ] {
        assert_eq!(parse(content_type, json).unwrap().name(), Some("open"));
        assert!(parse(content_type, form).is_err(), "{content_type}");
    }
    assert_eq!(parse(FORM, form).unwrap().name(), Some("open"));
    let charset = "application/X-WWW-Form-Urlencoded;charset=UTF-8";
    assert_eq!(parse(charset, form).unwrap().name(), Some("open"));
    // A form does not start with an unescaped brace.
    assert_eq!(parse(FORM, json).unwrap().name(), Some("open"));
}

#[test]
fn invalid_utf8_and_surrogates_are_replaced() {
    for body in [
        b"\xEF\xBB\xBF{\"event\":\"open\",\"subject\":\"a\xFF\"}".as_slice(),
        b"{\"event\":\"open\",\"subject\":\"a\\udc80\"}",
        b"event=open&subject=a%FF",
        b"event=open&subject=a\xFF",
        b"\xEF\xBB\xBFevent=open&subject=a%ff\r\n",
    ] {
        let event = parse(None, body).unwrap();
        let subject = event.as_email().unwrap().subject.as_deref();
        assert_eq!(subject, Some("a\u{fffd}"));
    }
}

#[test]
fn body_that_is_not_an_event_is_an_error_with_line_and_column() {
    let json = "application/json";
    for (content_type, body, says) in [
        ("", "", "the body is empty at line 1, column 1"),
        ("", " \n", "the body is empty at line 1, column 1"),
        (
            "",
            "word",
            "the body is neither a JSON object nor a form at line 1, column 1",
        ),
        (
            "",
            "\n  [1]",
            "the body is neither a JSON object nor a form at line 2, column 3",
        ),
        (
            "",
            "\"a=b\"",
            "not an event: `event`, `email_id` and `message_id`",
        ),
        ("", "a=b&c", "are all missing or empty at line 1, column 1"),
        (
            "",
            "event=&email_id=",
            "not an event: `event`, `email_id` and `message_id`",
        ),
        ("", "\n{}", "are all missing or empty at line 2, column 1"),
        (
            "",
            r#"{"event":null}"#,
            "not an event: `event`, `email_id` and `message_id`",
        ),
        (
            "",
            r#"{"event":["open"]}"#,
            "not an event: `event`, `email_id` and `message_id`",
        ),
        (
            json,
            " [{}]",
            "not an event: the JSON is not an object at line 1, column 2",
        ),
        (json, "event=open", "not an object at line 1, column 1"),
        (
            "",
            "{\"event\":\n\"open\",}",
            "trailing comma at line 2, column 8",
        ),
        (
            "",
            r#"{"event":"open"} {}"#,
            "trailing characters at line 1, column 18",
        ),
        (
            "",
            r#"{"event":"jane@"#,
            "EOF while parsing a string at line 1, column 15",
        ),
    ] {
        let error = parse(content_type, body).unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains(says), "{body}: {shown}");
        assert!(!shown.contains("jane"), "{shown}");
        assert!(matches!(
            error,
            ParseError::Malformed {
                line: 1..,
                column: 1..,
                ..
            }
        ));
    }
}

#[test]
fn event_with_several_spellings_of_a_key_is_read_back_the_same() {
    for body in [
        "evenT=mped&eveNT=processed",
        "eveNT=processed&evenT=mped",
        r#"{"evenT":"mped","eveNT":"processed"}"#,
        r#"{"eveNT":"processed","evenT":"mped"}"#,
        r#"{"event":["x"],"evenT":"mped","eveNT":"pmed"}"#,
        r#"{"evenT":"mped","event":"pmed","eveNT":"processed"}"#,
        "email_id=1&evenT=bounce&eveNT=processed&Sender=a&sendeR=b",
        "email_id=1&eveNT=processed&evenT=bounce&sendeR=b&Sender=a",
        "event=processed&rEcipients=a&recipients= [\t]&rEcipients=b",
    ] {
        let event = parse(None, body).unwrap();
        let json = serde_json::to_string(&event).unwrap();
        let again: Event = serde_json::from_str(&json).unwrap();
        assert_eq!(again, event, "{body}");
        assert_eq!(again.name(), event.name(), "{body}");
    }
    // In any order.
    let [one, other] = ["evenT=a&eveNT=open", "eveNT=open&evenT=a"];
    assert_eq!(parse(None, one).unwrap(), parse(None, other).unwrap());
}

#[test]
fn payload_beyond_a_limit_is_an_error() {
    let body = format!("event=open&x={}", "y".repeat(DEFAULT_LIMIT));
    let error = parse(None, &body).unwrap_err();
    assert!(matches!(error, ParseError::TooLarge { .. }), "{error}");
    assert!(error.to_string().contains("1048576"), "{error}");
    assert!(parse(None, &body[..DEFAULT_LIMIT]).is_ok());
    assert!(parse_with_limit(None, &body, body.len()).is_ok());
    assert!(parse_with_limit(None, "event=open", 9).is_err());

    for count in [MAX_MEMBERS, MAX_MEMBERS + 1] {
        let form = format!("event=open{}", "&a".repeat(count - 1));
        let json = format!(r#"{{"event":"open"{}}}"#, r#","a":1"#.repeat(count - 1));
        for body in [form, json] {
            match parse(None, &body) {
                Ok(_) => assert_eq!(count, MAX_MEMBERS),
                Err(error) => {
                    assert_eq!(count, MAX_MEMBERS + 1, "{error}");
                    let shown = error.to_string();
                    assert!(shown.contains("more than 10000 members"), "{shown}");
                }
            }
        }
    }

    for (unit, end) in [
        ("0,", "0]"),
        ("[],", "0]"),
        (r#"{"":0},"#, "0]"),
        (r#"{"":"#, ""),
    ] {
        for field in ["x", "recipients"] {
            let body = |count| {
                let list = unit.repeat(count);
                format!("{{\"event\":\"open\",\n\"{field}\":[{list}{end}}}")
            };
            if !end.is_empty() {
                parse(None, body(1_000)).unwrap();
            }
            let error = parse(None, body(MAX_VALUES)).unwrap_err().to_string();
            assert!(
                error.contains("more than 20000 values at line 2"),
                "{error}"
            );
        }
    }
    let many = |count| vec!["a@example.com"; count];
    let list = |count| serde_json::json!({"event": "processed", "recipients": many(count)});
    let event = parse(None, list(MAX_MEMBERS).to_string()).unwrap();
    assert_eq!(event.as_email().unwrap().recipients.len(), MAX_MEMBERS);
    // A text with more addresses than the limit is not split.
    for (count, found) in [(MAX_MEMBERS, MAX_MEMBERS), (MAX_MEMBERS + 1, 1)] {
        let form = format!("event=processed&recipients={}", many(count).join(","));
        let event = parse(None, form).unwrap();
        assert_eq!(event.as_email().unwrap().recipients.len(), found);
    }
    let deep = format!(
        r#"{{"event":"x","a":{}{}}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    assert!(parse(None, deep).is_err());
}

#[test]
fn duplicate_deliveries_have_the_same_key_and_other_events_different_keys() {
    let key = |body: &str| event(body).dedup_key().unwrap_or_else(|| panic!("{body}"));
    let mut keys = BTreeSet::new();
    let mut count = 0;
    for payload in payloads() {
        let first = key(&payload.to_string());
        assert!(keys.insert(first.clone()));
        count += 1;
        let parts: &[&str] = if payload.get("email_id").is_some() {
            &["email_id", "rcpt", "time", "id", "url"]
        } else {
            &[
                "message_id",
                "destination_number",
                "status_code",
                "retry_count",
                "submitted_timestamp",
                "received_timestamp",
                "id",
            ]
        };
        for part in parts {
            let mut other = payload.clone();
            other[part] = json!("99");
            count += 1;
            keys.insert(key(&other.to_string()));
        }
        let mut same = payload.clone();
        same["x-new"] = json!(1);
        assert_eq!(key(&same.to_string()), first);
    }
    assert_eq!(keys.len(), count);

    for (one, other) in [
        (
            "event=click&email_id=1&time=t&link=https://example.com/1",
            "event=click&email_id=1&time=t&url=https://example.com/2",
        ),
        // Rejections without an id, in the same second.
        (
            "event=reject&email_id=Unavailable&message-id=Unavailable&time=t&rcpt=a&subject=1",
            "event=reject&email_id=Unavailable&message-id=Unavailable&time=t&rcpt=a&subject=2",
        ),
        (
            "event=reject&email_id=unavailable&time=t&rcpt=a&sendtime=1",
            "event=reject&email_id=unavailable&time=t&rcpt=a&sendtime=2",
        ),
        (
            "event=reject&email_id=Unavailable&time=t&rcpt=a",
            "event=reject&email_id=Unavailable&time=t&rcpt=b",
        ),
        (
            "event=processed&email_id=&time=t&recipients=a@b.example",
            "event=processed&email_id=&time=t&recipients=c@b.example",
        ),
        (
            "event=reject&id=1&time=t&rcpt=a&sender=a",
            "event=reject&id=1&time=t&rcpt=a&sender=b",
        ),
    ] {
        assert_ne!(key(one), key(other));
    }
    assert_ne!(
        key(r#"{"event":"new","a":1}"#),
        key(r#"{"event":"new","a":2}"#)
    );
    assert_eq!(
        key(r#"{"event":"new","a":1,"b":2}"#),
        key(r#"{"b":2,"event":"new","a":1}"#)
    );
    let long = json!({"event": "open", "email_id": "/".repeat(5_000), "rcpt": "%".repeat(256)});
    assert!(key(&long.to_string()).len() < 3_000);
}

#[test]
fn event_without_distinguishing_values_has_no_key() {
    for (body, has_key) in [
        ("event=open", false),
        (
            "event=open&email_id=Unavailable&message-id=Unavailable&id=",
            false,
        ),
        ("event=open&rcpt=a", false),
        ("event=open&time=t&subject=s", false),
        ("event=open&time=t&rcpt=Unavailable", false),
        ("event=open&time=t&rcpt=a", true),
        ("event=processed&sendtime=t&recipients=a", true),
        ("event=open&email_id=1", true),
        ("event=open&message-id=1", true),
        ("event=open&id=1", true),
        ("event=sms_failed", false),
        // The documentation calls this the id of the webhook.
        ("event=sms_failed&id=1", false),
        (
            "event=sms_failed&message_id=Unavailable&status_code=1",
            false,
        ),
        ("event=sms_failed&destination_number=1", false),
        (
            "event=sms_failed&destination_number=1&received_timestamp=t",
            true,
        ),
        ("event=sms_failed&message_id=1", true),
        ("event=new", false),
        ("Event=new", false),
        ("event=new&a=1", true),
        ("event=new&a=Unavailable&b=", false),
        (r#"{"event":"new","id":"unavailable","a":null}"#, false),
    ] {
        assert_eq!(event(body).dedup_key().is_some(), has_key, "{body}");
    }
}

/// Damaged and made-up bodies: no panic, and every event survives a round trip.
#[test]
fn random_events_survive_a_round_trip() {
    let mut random = Random::new(0x5eed);
    let payloads = payloads();
    let (mut events, mut errors) = (0, 0);
    for round in 0..6_000 {
        let payload = random.damaged(&payloads);
        let mut body = match round % 2 {
            0 => payload.to_string().into_bytes(),
            _ => form(&payload).into_bytes(),
        };
        if round % 5 == 0 {
            random.scramble(&mut body);
        }
        let content_type = [None, Some("application/json"), Some(FORM)][random.below(3)];
        let Ok(event) = parse(content_type, &body) else {
            errors += 1;
            continue;
        };
        events += 1;
        let text = String::from_utf8_lossy(&body);
        let encoded = serde_json::to_string(&event).unwrap();
        let again = parse("application/json", &encoded)
            .unwrap_or_else(|error| panic!("{text}\n{encoded}: {error}"));
        assert_eq!(again, event, "{text}\n{encoded}");
        assert_eq!(again.dedup_key(), event.dedup_key());
        // Through serde, as in a queue.
        assert_eq!(serde_json::from_str::<Event>(&encoded).unwrap(), event);
        let value = serde_json::to_value(&event).unwrap();
        assert_eq!(serde_json::from_value::<Event>(value).unwrap(), event);
    }
    assert!(events > 3_000 && errors > 300, "{events} {errors}");
}

/// Bodies that take minutes if parsing is quadratic.
#[test]
fn longest_bodies_are_parsed_in_linear_time() {
    let fill = |unit: &str, most: usize| {
        let mut body = "event=open".to_owned();
        for count in 1..most {
            body.push('&');
            body.push_str(&unit.replace("{}", &count.to_string()));
        }
        body
    };
    for unit in [
        "a",
        "=",
        "Subject=a",
        "subject=a",
        "Event=a",
        "event=a",
        "{}=1",
        "X{}=%41",
        "recipients=a@b.example",
        "recipients=a@b.example,c@d.example",
        "RECIPIENTS[]=a",
    ] {
        parse(None, fill(unit, MAX_MEMBERS)).unwrap();
        assert!(parse(None, fill(unit, MAX_MEMBERS + 1)).is_err(), "{unit}");
    }
    for (start, unit, end) in [
        ("event=open&subject=", "%", ""),
        ("event=open&subject=", "%41", ""),
        ("event=processed&recipients=", "a@b,", ""),
        ("event=processed&recipients=", "[", ""),
        (r#"{"event":"open","x":""#, r"\\ud800", r#""}"#),
        (r#"{"event":"open","x":""#, r"\udead", r#""}"#),
    ] {
        let count = (DEFAULT_LIMIT - 100) / unit.len();
        let body = format!("{start}{}{end}", unit.repeat(count));
        let event = parse(None, body).unwrap();
        assert!(event.dedup_key().is_none_or(|key| key.len() < 3_000));
    }
}
