//! Requests of the API, over HTTP: checks, keys, and the mails and calls that the sandbox records.

// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use smtp2go_sandbox::{ApiKey, EventKind, KeyPlace, KeyStatus, Sandbox};
use support::{Reply, address, connect, post, read, send};

fn mail() -> Value {
    json!({
        "sender": "Acme <noreply@example.com>",
        "to": ["Jane <jane@example.net>"],
        "subject": "Hi",
        "text_body": "Hello",
    })
}

/// Returns [`mail`] with some fields changed. `null` removes a field.
fn mail_with(changes: &Value) -> Value {
    let mut mail = mail();
    for (field, value) in changes.as_object().unwrap() {
        if value.is_null() {
            mail.as_object_mut().unwrap().remove(field);
        } else {
            mail[field] = value.clone();
        }
    }
    mail
}

fn tomorrow(sandbox: &Sandbox) -> String {
    let time = sandbox.now() + Duration::from_secs(86_400);
    smtp2go_types::Timestamp::from(time).to_string()
}

fn assert_refused(reply: &Reply, status: u16, code: &str, field: Option<&str>) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert!(
        reply.head.contains("content-type: application/json"),
        "{reply:?}"
    );
    let body = reply.json();
    assert_eq!(body["request_id"].as_str().unwrap().len(), 36);
    assert_eq!(
        body["data"]["error_code"],
        format!("E_ApiResponseCodes.{code}"),
        "{body}"
    );
    assert!(!body["data"]["error"].as_str().unwrap().is_empty());
    let errors = body["data"].get("field_validation_errors");
    assert_eq!(
        errors.map(|errors| errors["fieldname"].as_str().unwrap()),
        field,
        "{body}"
    );
    if let Some(errors) = errors {
        assert!(!errors["message"].as_str().unwrap().is_empty());
    }
}

#[test]
fn refusal_of_invalid_field_names_the_field() {
    let sandbox = Sandbox::builder().strict(true).start_blocking().unwrap();
    let many = vec!["a@example.net"; 101];
    let table = [
        ("/email/send", json!({}), "sender"),
        ("/email/send", mail_with(&json!({ "to": null })), "to"),
        ("/email/send", mail_with(&json!({ "to": [] })), "to"),
        ("/email/send", mail_with(&json!({ "to": many })), "to"),
        (
            "/email/send",
            mail_with(&json!({ "to": "jane@example.net" })),
            "to",
        ),
        (
            "/email/send",
            mail_with(&json!({ "cc": ["a@example.net", 1] })),
            "cc[1]",
        ),
        ("/email/send", mail_with(&json!({ "sender": 1 })), "sender"),
        (
            "/email/send",
            mail_with(&json!({ "reply_to": "a@example.com" })),
            "reply_to",
        ),
        (
            "/email/send",
            mail_with(&json!({ "text_body": null })),
            "html_body",
        ),
        (
            "/email/send",
            mail_with(&json!({ "fastaccept": "yes" })),
            "fastaccept",
        ),
        (
            "/email/send",
            mail_with(&json!({ "custom_headers": [{ "header": "Reply-To" }] })),
            "custom_headers[0].value",
        ),
        (
            "/email/send",
            mail_with(&json!({ "attachments": [{ "fileblob": "aGk=" }] })),
            "attachments[0].filename",
        ),
        (
            "/email/send",
            mail_with(&json!({ "attachments": [{ "filename": "a.txt" }] })),
            "attachments[0].fileblob",
        ),
        (
            "/email/send",
            mail_with(&json!({ "inlines": [{ "filename": "a.png", "fileblob": "*" }] })),
            "inlines[0].fileblob",
        ),
        ("/email/mime", json!({}), "mime_email"),
        ("/email/mime", json!({ "mime_email": "*" }), "mime_email"),
        ("/email/batch", json!({}), "emails"),
        (
            "/email/batch",
            json!({ "emails": [mail(), mail_with(&json!({ "subject": null }))] }),
            "emails[1].subject",
        ),
        (
            "/email/batch",
            json!({ "emails": [mail(), mail_with(&json!({ "text_body": null }))] }),
            "emails[1].html_body",
        ),
        ("/template/view", json!({}), "id"),
        ("/template/view", json!({ "id": null }), "id"),
        (
            "/template/view",
            json!({ "id": "welcome", "ID": "welcome" }),
            "ID",
        ),
    ];
    for (path, body, field) in &table {
        let reply = post(&sandbox, path, body);
        assert_refused(&reply, 400, "NON_VALIDATING_IN_PAYLOAD", Some(field));
    }
    assert!(sandbox.mails().is_empty());
    let calls = sandbox.calls();
    assert_eq!(calls.len(), table.len());
    for (call, (path, _, field)) in calls.iter().zip(&table) {
        assert_eq!(call.path(), format!("/v3{path}"));
        assert_eq!(call.status(), 400);
        assert!(call.refused().unwrap().starts_with(&format!("{field}: ")));
    }
}

#[test]
fn body_that_is_not_one_json_object_is_refused() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let deep = "[".repeat(100_000);
    let table: [(&[u8], Option<&str>); 8] = [
        (b"{", None),
        (b"[]", None),
        (b"null", None),
        (b"{\"id\":\"\xff\"}", None),
        (br#"{"id":"\ud800"}"#, None),
        (deep.as_bytes(), None),
        (br#"{"id":"a","id":"b"}"#, Some("id")),
        (br#"{"id":{"x":1,"x":1}}"#, Some("x")),
    ];
    for (body, field) in table {
        let headers = [("X-Smtp2go-Api-Key", sandbox.key())];
        let reply = send(&sandbox, "POST", "/v3/template/view", &headers, body);
        assert_refused(&reply, 400, "NON_VALIDATING_IN_PAYLOAD", field);
    }
}

#[test]
fn request_with_several_errors_reports_the_first_in_the_order_path_method_key_size_body() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let key = [("X-Smtp2go-Api-Key", sandbox.key())];
    let wrong = [("X-Smtp2go-Api-Key", "api-wrong")];
    let large = vec![b' '; 1_048_577];
    type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8], u16);
    let table: [Row<'_>; 15] = [
        ("GET", "/v3/nowhere", &[], b"", 404),
        ("POST", "/", &key, b"{}", 404),
        ("POST", "/v3/v3/email/send", &key, b"{}", 404),
        ("POST", "/v4/email/send", &key, b"{}", 404),
        ("GET", "/v3/email/send", &[], b"", 405),
        ("PUT", "/v3/email/send", &wrong, b"{", 405),
        ("PATCH", "/v3/email/send", &key, b"{}", 405),
        ("POST", "/v3/template/view", &[], b"{}", 401),
        ("POST", "/v3/template/view", &[], b"{", 401),
        ("POST", "/v3/template/view", &[], &large, 401),
        ("POST", "/v3/template/view", &wrong, &large, 401),
        ("POST", "/v3/template/view", &key, &large, 400),
        ("POST", "/v3/template/view", &wrong, br#"{"a":1}"#, 401),
        (
            "POST",
            "/v3/template/view",
            &[("X-Smtp2go-Api-Key", "")],
            b"",
            401,
        ),
        (
            "POST",
            "/v3/template/view",
            &[("Authorization", "Basic YTpi")],
            b"{}",
            401,
        ),
    ];
    for (method, path, headers, body, status) in table {
        let reply = send(&sandbox, method, path, headers, body);
        assert_refused(&reply, status, "API_EXCEPTION", None);
        assert_eq!(
            reply.head.contains("\r\nallow: post"),
            status == 405,
            "{reply:?}"
        );
        let call = sandbox.calls().pop().unwrap();
        assert_eq!((call.method(), call.path()), (method, path));
        assert_eq!(call.status(), status);
        assert_eq!(
            call.operation().is_some(),
            status != 404 && status != 405,
            "{call:?}"
        );
    }

    let head = send(&sandbox, "HEAD", "/v3/email/send", &key, b"");
    assert_eq!((head.status, head.body.as_str()), (405, ""));

    // One byte less is within the limit. White space is read as an empty object.
    let reply = send(
        &sandbox,
        "POST",
        "/v3/template/view",
        &key,
        &large[..1_048_576],
    );
    assert_refused(&reply, 400, "NON_VALIDATING_IN_PAYLOAD", Some("id"));
}

#[test]
fn key_is_accepted_in_header_bearer_token_or_body_and_all_keys_must_be_valid() {
    let sandbox = Sandbox::builder()
        .key("api-made-up")
        .stateless(true)
        .start_blocking()
        .unwrap();
    let header = ("X-Smtp2go-Api-Key", "api-made-up");
    let bearer = ("Authorization", "bearer api-made-up");
    let in_body = json!({ "id": "welcome", "api_key": "api-made-up" });
    let without = json!({ "id": "welcome" });
    let wrong_header = ("x-smtp2go-api-key", "api-wrong");
    let wrong_body = json!({ "id": "welcome", "api_key": "api-wrong" });
    let odd_body = json!({ "id": "welcome", "api_key": null });
    let empty_body = json!({ "id": "welcome", "api_key": "" });
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a Value, u16, Option<KeyPlace>);
    let table: [Row<'_>; 12] = [
        (&[header], &without, 200, Some(KeyPlace::Header)),
        (&[bearer], &without, 200, Some(KeyPlace::Bearer)),
        (&[], &in_body, 200, Some(KeyPlace::Body)),
        (&[bearer, header], &in_body, 200, Some(KeyPlace::Header)),
        (&[], &without, 401, None),
        (&[wrong_header], &in_body, 401, Some(KeyPlace::Header)),
        (&[bearer], &wrong_body, 401, Some(KeyPlace::Bearer)),
        (&[], &wrong_body, 401, Some(KeyPlace::Body)),
        // An empty key is treated as absent.
        (&[], &odd_body, 401, None),
        (&[], &empty_body, 401, None),
        (&[header], &odd_body, 200, Some(KeyPlace::Header)),
        (&[bearer], &empty_body, 200, Some(KeyPlace::Bearer)),
    ];
    for (headers, body, status, place) in &table {
        let body = body.to_string();
        let reply = send(
            &sandbox,
            "POST",
            "/v3/template/view",
            headers,
            body.as_bytes(),
        );
        assert_eq!(reply.status, *status, "{headers:?} {body}: {reply:?}");
        let call = sandbox.calls().pop().unwrap();
        assert_eq!(call.key_place(), *place);
        assert_eq!(call.refused().is_some(), *status == 401);
    }
}

#[test]
fn path_without_v3_is_refused_with_the_remedy() {
    let call = |sandbox: &Sandbox| {
        let key = [("X-Smtp2go-Api-Key", sandbox.key())];
        let body = mail().to_string();
        send(sandbox, "POST", "/email/send", &key, body.as_bytes())
    };
    let sandbox = Sandbox::start_blocking().unwrap();
    let reply = call(&sandbox);
    assert_refused(&reply, 404, "API_EXCEPTION", None);
    assert!(reply.body.contains("call /v3/email/send"), "{reply:?}");
    assert!(sandbox.mails().is_empty());
    let sandbox = Sandbox::builder().allow_missing_v3(true);
    let sandbox = sandbox.start_blocking().unwrap();
    assert_eq!(call(&sandbox).status, 200);
}

#[test]
fn each_strict_check_can_be_enabled_separately() {
    let null = mail_with(&json!({}));
    let with = |field: &str, value: Value| {
        let mut mail = null.clone();
        mail[field] = value;
        mail
    };
    // What is sent, and the field that a sandbox refuses: a lenient one, one that refuses unknown fields,
    // one that refuses nulls, and one that does both.
    for (body, refused) in [
        (with("version", "1".into()), [None, None, None, None]),
        (
            with("reply_to", "a@example.com".into()),
            [None, Some("reply_to"), None, Some("reply_to")],
        ),
        (
            with("reply_to", Value::Null),
            [None, Some("reply_to"), None, Some("reply_to")],
        ),
        (
            with("cc", Value::Null),
            [None, None, Some("cc"), Some("cc")],
        ),
        (
            with("template_data", Value::Null),
            [None, None, Some("template_data"), Some("template_data")],
        ),
        (
            with("schedule", Value::Null),
            [None, None, Some("schedule"), Some("schedule")],
        ),
        (
            with("template_id", "".into()),
            [None, None, Some("template_id"), Some("template_id")],
        ),
        (
            with("html_body", "".into()),
            [None, None, Some("html_body"), Some("html_body")],
        ),
        (
            with(
                "attachments",
                json!([{ "filename": "a", "fileblob": "", "mimetype": "" }]),
            ),
            [
                None,
                None,
                Some("attachments[0].mimetype"),
                Some("attachments[0].mimetype"),
            ],
        ),
        (
            with("attachments", json!([{ "filename": "a", "fileblob": "" }])),
            [None, None, None, None],
        ),
        (
            with("custom_headers", json!([{ "header": "X-A", "value": "" }])),
            [None, None, None, None],
        ),
        (
            with("template_data", json!({ "a": "", "b": null })),
            [None, None, None, None],
        ),
    ] {
        for (index, refused) in refused.into_iter().enumerate() {
            let builder = Sandbox::builder()
                .refuse_unknown(index & 1 == 1)
                .refuse_null(index & 2 == 2);
            let sandbox = builder.start_blocking().unwrap();
            let reply = post(&sandbox, "/email/send", &body);
            match refused {
                None => assert_eq!(reply.status, 200, "{index} {body}: {reply:?}"),
                Some(field) => {
                    assert_refused(&reply, 400, "NON_VALIDATING_IN_PAYLOAD", Some(field));
                    let reason = match field {
                        "reply_to" => "The field is unknown.",
                        "cc" | "template_data" | "schedule" => {
                            "The value is null: leave the field out."
                        }
                        _ => "The value is empty: leave the field out.",
                    };
                    assert!(reply.body.contains(reason), "{reply:?}");
                }
            }
        }
    }
}

#[test]
fn unknown_key_gets_the_services_error_and_the_configured_status() {
    const NOT_FOUND: &str = "An API User matching the passed 'api_key' was not found";
    for status in [401, 500] {
        let builder = Sandbox::builder();
        let sandbox = match status {
            401 => builder,
            other => builder.unknown_key_status(other),
        };
        let sandbox = sandbox.start_blocking().unwrap();
        let empty = json!({});
        let in_body = json!({ "api_key": "api-wrong" });
        type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a Value);
        let unknown: [Row<'_>; 5] = [
            ("/email/send", &[("X-Smtp2go-Api-Key", "api-wrong")], &empty),
            ("/email/send", &[("X-Smtp2go-Api-Key", "")], &empty),
            (
                "/email/send",
                &[("Authorization", "Bearer api-wrong")],
                &empty,
            ),
            ("/email/send", &[], &in_body),
            ("/ip_allow_list/view", &[], &in_body),
        ];
        for (path, headers, body) in unknown {
            let path = format!("/v3{path}");
            let body = body.to_string();
            let reply = send(&sandbox, "POST", &path, headers, body.as_bytes());
            assert_refused(&reply, status, "API_EXCEPTION", None);
            assert_eq!(reply.json()["data"]["error"], NOT_FOUND);
        }
        // A missing key has another error.
        let reply = send(&sandbox, "POST", "/v3/email/send", &[], b"{}");
        assert_refused(&reply, 401, "API_EXCEPTION", None);
        assert_ne!(reply.json()["data"]["error"], NOT_FOUND);
    }
    for status in [0, 200, 399, 600] {
        let error = Sandbox::builder()
            .unknown_key_status(status)
            .start_blocking()
            .unwrap_err()
            .to_string();
        assert!(error.contains(&status.to_string()), "{error}");
    }
}

#[test]
fn bodies_of_public_clients_are_accepted() {
    // A client that sends every field, empty or null if it is not set.
    let go = json!({
        "sender": "Jane <jane@example.com>", "to": ["kim@example.net"], "cc": null, "bcc": null,
        "subject": "Hi", "html_body": "", "text_body": "Hello", "custom_headers": null,
        "attachments": null, "inlines": null, "template_id": "", "template_data": null,
        "schedule": "",
    });
    let with_files = json!({
        "sender": "jane@example.com", "to": ["kim@example.net"], "cc": [], "bcc": [],
        "subject": "Hi", "html_body": "<p>Hello</p>", "text_body": "", "custom_headers": [],
        "attachments": [
            { "filename": "a.txt", "fileblob": "aGk=", "mimetype": "", "url": "" },
            { "filename": "empty.txt", "fileblob": "", "mimetype": null, "url": null },
        ],
        "inlines": null, "template_id": "", "template_data": {},
    });
    // Clients that send the key and their version in the body, and nulls.
    let lenient = Sandbox::start_blocking().unwrap();
    let versioned = |version: Value, more: &Value| {
        let mut body = mail_with(more);
        body["version"] = version;
        body["api_key"] = lenient.key().into();
        body
    };
    let php = versioned(
        json!(1),
        &json!({ "custom_headers": [], "attachments": [], "inlines": [] }),
    );
    let mut net = versioned(json!("2"), &json!({ "fastaccept": false }));
    let mut python = versioned(json!("1.2.0"), &json!({ "html_body": "<p>Hello</p>" }));
    let ruby = versioned(Value::Null, &json!({ "template_id": "" }));
    let mut node = versioned(
        json!(1),
        &json!({ "custom_headers": [{ "header": "X-A", "value": "" }] }),
    );
    for (body, fields) in [
        (&mut net, ["cc", "bcc", "template_data"]),
        (&mut python, ["attachments", "inlines", "custom_headers"]),
        (&mut node, ["template_id", "schedule", "html_body"]),
    ] {
        for field in fields {
            body[field] = Value::Null;
        }
    }
    let mut batch_item = go.clone();
    batch_item["version"] = json!(1);
    let webhook = json!({
        "url": "http://example.com/", "events": null, "sms_events": ["opt-out"], "headers": null,
        "usernames": null, "output_format": "", "auth_header_type": "", "auth_header_value": "",
        "custom_headers": null, "disabled": null, "subaccount_id": "",
    });
    let search = json!({
        "start_date": "", "end_date": "", "search": "", "search_subject": "",
        "search_subject_op": "", "search_usernames": null, "continue_token": "", "region": "",
        "event_types": null, "limit": null,
    });
    let table = [
        ("go", "/email/send", go, &[][..]),
        ("go with files", "/email/send", with_files, &[]),
        ("php", "/email/send", php, &["version"]),
        (".net", "/email/send", net, &["version"]),
        ("python", "/email/send", python, &["version"]),
        ("ruby", "/email/send", ruby, &["version"]),
        ("node", "/email/send", node, &["version"]),
        (
            "batch",
            "/email/batch",
            json!({ "emails": [batch_item] }),
            &["emails[0].version"],
        ),
        ("webhook", "/webhook/add", webhook, &[]),
        ("search", "/activity/search", search, &[]),
    ];
    let known = Sandbox::builder().refuse_unknown(true);
    let known = known.start_blocking().unwrap();
    let strict = Sandbox::builder().strict(true).start_blocking().unwrap();
    for (client, path, body, ignored) in table {
        let path = format!("/v3{path}");
        let bytes = body.to_string();
        let headers = [("X-Smtp2go-Api-Key", lenient.key())];
        let headers = match body.get("api_key") {
            Some(_) => &[][..],
            None => &headers,
        };
        let reply = send(&lenient, "POST", &path, headers, bytes.as_bytes());
        assert_eq!(reply.status, 200, "{client}: {reply:?}");
        let call = lenient.calls().pop().unwrap();
        assert_eq!(call.ignored(), ignored, "{client}");
        // The field `version` is known in a single mail, but not in a batch.
        let status = if client == "batch" { 400 } else { 200 };
        let reply = send(&known, "POST", &path, headers, bytes.as_bytes());
        assert_eq!(reply.status, status, "{client}: {reply:?}");
        // The PHP client sends neither null nor an empty text, so its requests pass.
        let status = if client == "php" { 200 } else { 400 };
        let reply = send(&strict, "POST", &path, headers, bytes.as_bytes());
        assert_eq!(reply.status, status, "{client}: {reply:?}");
    }
    let mails = lenient.mails();
    assert_eq!(mails.len(), 8);
    assert_eq!(mails[0].text_body(), Some("Hello"));
    assert_eq!(mails[0].html_body(), None);
    assert_eq!(mails[1].text_body(), None);
    let files = mails[1].attachments();
    assert_eq!(files[0].content, b"hi");
    assert_eq!(
        (files[0].mimetype.as_ref(), files[0].url.as_ref()),
        (None, None)
    );
    assert!(files[1].content.is_empty());
    let webhook = post(&lenient, "/webhook/view", &json!({ "subaccount_id": "" })).json();
    assert_eq!(webhook["data"][0]["output_format"], "form");
    assert_eq!(webhook["data"][0]["events"], json!([]));
    // An edit can set a field to an empty string.
    let edit = json!({ "id": webhook["data"][0]["id"], "auth_header_type": "bearer",
                       "auth_header_value": "t0ken", "subaccount_id": "" });
    assert_eq!(post(&lenient, "/webhook/edit", &edit).status, 200);
    let edit = json!({ "id": webhook["data"][0]["id"], "auth_header_type": "" });
    let edited = post(&lenient, "/webhook/edit", &edit).json();
    assert_eq!(edited["data"]["auth_header_type"], "");
    assert_eq!(edited["data"]["auth_header_value"], "t0ken");
}

#[test]
fn refusal_of_invalid_address_names_its_field() {
    for strict in [false, true] {
        let sandbox = Sandbox::builder().strict(strict).start_blocking().unwrap();
        for wrong in [
            "nope",
            "Jane <jane@example.net",
            "a@b.c,d@e.f",
            "Doe, J <jane@example.net>",
            "jane@example.net\r\nBcc: kim@example.net",
        ] {
            for field in ["sender", "to", "cc", "bcc"] {
                let value = match field {
                    "sender" => json!(wrong),
                    _ => json!(["kim@example.net", wrong]),
                };
                let body = mail_with(&json!({ field: value }));
                let reply = post(&sandbox, "/email/send", &body);
                assert_refused(&reply, 400, "NON_VALIDATING_IN_PAYLOAD", Some(field));
                let message = &reply.json()["data"]["field_validation_errors"]["message"];
                let quoted = format!("{wrong:?}");
                assert!(message.as_str().unwrap().contains(&quoted), "{message}");

                let reply = post(
                    &sandbox,
                    "/email/batch",
                    &json!({ "emails": [mail(), body] }),
                );
                let field = format!("emails[1].{field}");
                assert_refused(&reply, 400, "NON_VALIDATING_IN_PAYLOAD", Some(&field));
            }
        }
        let long = mail_with(&json!({ "to": ["x".repeat(10_000)] }));
        assert!(post(&sandbox, "/email/send", &long).body.len() < 1_000);
        assert!(sandbox.mails().is_empty());
    }
}

#[test]
fn operation_with_a_key_in_its_schema_requires_it_in_the_body() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let reply = post(&sandbox, "/ip_allow_list/view", &json!({}));
    assert_refused(&reply, 400, "NON_VALIDATING_IN_PAYLOAD", Some("api_key"));
    let body = json!({ "api_key": sandbox.key() });
    assert_eq!(post(&sandbox, "/ip_allow_list/view", &body).status, 200);
    let body = json!({ "api_key": "api-wrong" });
    assert_eq!(post(&sandbox, "/ip_allow_list/view", &body).status, 401);
}

#[test]
fn stateless_sandbox_replies_with_the_specs_examples() {
    let sandbox = Sandbox::builder().stateless(true).start_blocking().unwrap();
    let body = json!({ "id": "welcome" });
    let first = post(&sandbox, "/template/view", &body).json();
    let second = post(&sandbox, "/template/view", &body).json();
    assert!(first["data"]["id"].is_string());
    assert_eq!(first["data"], second["data"]);
    assert_ne!(first["request_id"], second["request_id"]);

    let body = json!({ "id": "api-00000000000000000000000000EXAMPL" });
    let reply = post(&sandbox, "/api_keys/remove", &body);
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));

    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
    assert!(sandbox.mails().is_empty());
    let wrong = mail_with(&json!({ "to": null }));
    assert_eq!(post(&sandbox, "/email/send", &wrong).status, 400);
}

#[test]
fn stateless_sandbox_replies_with_the_example_named_in_prefer() {
    let sandbox = Sandbox::builder().stateless(true).start_blocking().unwrap();
    for (prefer, failed) in [
        ("example=failed", json!(1)),
        ("code=200, example=failed", json!(1)),
        ("example=fast_accepted", Value::Null),
        ("example=accepted", json!(0)),
        ("example=unheard_of", json!(0)),
        ("wait=10", json!(0)),
    ] {
        let headers = [("X-Smtp2go-Api-Key", sandbox.key()), ("Prefer", prefer)];
        let body = mail().to_string();
        let reply = send(
            &sandbox,
            "POST",
            "/v3/email/send",
            &headers,
            body.as_bytes(),
        );
        assert_eq!(reply.json()["data"]["failed"], failed, "{prefer}");
    }
}

#[test]
fn lenient_sandbox_ignores_nulls_and_unknown_fields() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let mut body = mail_with(&json!({
        "reply_to": "x@example.com",
        "template_data": { "name": "Jane" },
        "attachments": [{ "filename": "a.txt", "fileblob": "aGk=", "cid": "1" }],
    }));
    body["cc"] = Value::Null;
    assert_eq!(post(&sandbox, "/email/send", &body).status, 200);
    let mail = &sandbox.mails()[0];
    assert_eq!(mail.request()["template_data"], json!({ "name": "Jane" }));
    for field in ["reply_to", "cc"] {
        assert!(mail.request().get(field).is_none(), "{field}");
    }
    let call = &sandbox.calls()[0];
    assert_eq!(call.ignored(), ["attachments[0].cid", "reply_to"]);
    assert_eq!(call.body(), body.to_string().as_bytes());
    assert!(call.reply().starts_with(b"{"));

    let missing = mail_with(&json!({ "to": null, "sender": null }));
    let reply = post(&sandbox, "/email/send", &missing);
    assert_refused(&reply, 400, "NON_VALIDATING_IN_PAYLOAD", Some("sender"));
}

#[test]
fn key_is_limited_by_its_endpoints_status_and_subaccount() {
    let only_templates = "api-TEMPLATES0TEMPLATES0TEMPLATES000";
    let blocked = "api-BLOCKED0BLOCKED0BLOCKED0BLOCKED0";
    let on_trial = "api-TRIAL0TRIAL0TRIAL0TRIAL0TRIAL000";
    let of_sub = "api-SUB0SUB0SUB0SUB0SUB0SUB0SUB0SUB0";
    let sandbox = Sandbox::builder()
        .strict(true)
        .api_key(ApiKey::new(only_templates).endpoints(["/template/*"]))
        .api_key(ApiKey::new(blocked).status(KeyStatus::Blocked))
        .api_key(ApiKey::new(on_trial).status(KeyStatus::Sandbox))
        .api_key(ApiKey::new(of_sub).subaccount("381204"))
        .start_blocking()
        .unwrap();
    let call = |key: &str, path: &str, body: &Value| {
        let headers = [("X-Smtp2go-Api-Key", key)];
        let path = format!("/v3{path}");
        send(
            &sandbox,
            "POST",
            &path,
            &headers,
            body.to_string().as_bytes(),
        )
    };
    let reply = call(only_templates, "/email/send", &mail());
    assert_refused(&reply, 400, "ENDPOINT_PERMISSION_DENIED", None);
    // This endpoint is open to every key.
    assert_eq!(
        call(only_templates, "/api_keys/permissions", &json!({})).status,
        200
    );
    let reply = call(blocked, "/email/send", &mail());
    assert_refused(&reply, 401, "API_EXCEPTION", None);
    assert!(reply.body.contains("disabled"), "{reply:?}");

    assert_eq!(call(on_trial, "/email/send", &mail()).status, 200);
    sandbox.advance(Duration::from_secs(60));
    let kinds: Vec<_> = sandbox.events().iter().map(|event| event.kind()).collect();
    assert_eq!(kinds, [EventKind::Reject]);
    assert_eq!(sandbox.mails()[0].username(), "api-TRIAL0TRIAL0");

    // Only keys of the master account may name a subaccount, which must exist.
    let here = json!({ "subaccount_id": "381204" });
    let nowhere = json!({ "subaccount_id": "nowhere" });
    for (key, body, status) in [
        (sandbox.key(), &here, 200),
        (sandbox.key(), &nowhere, 400),
        (of_sub, &here, 400),
        (of_sub, &json!({}), 200),
    ] {
        let reply = call(key, "/webhook/view", body);
        assert_eq!(reply.status, status, "{reply:?}");
        if status == 400 {
            assert_refused(&reply, 400, "API_EXCEPTION", None);
        }
    }
}

#[test]
fn call_beyond_a_documented_rate_gets_429_by_the_sandboxs_clock() {
    let sandbox = Sandbox::start_blocking().unwrap();
    sandbox.freeze();
    let search = || post(&sandbox, "/activity/search", &json!({}));
    for _ in 0..60 {
        assert_eq!(search().status, 200);
    }
    assert_refused(&search(), 429, "REQ_LIMIT_EXCEEDED", None);
    sandbox.advance(Duration::from_secs(60));
    assert_eq!(search().status, 200);
}

#[test]
fn mail_is_delivered_when_the_clock_advances() {
    let sandbox = Sandbox::builder().strict(true).start_blocking().unwrap();
    sandbox.freeze();
    let start = sandbox.now();
    let kinds = || -> Vec<_> {
        let events = sandbox.events();
        events.iter().map(|event| event.kind()).collect()
    };
    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
    assert_eq!(kinds(), [EventKind::Processed]);
    sandbox.advance(Duration::from_secs(1));
    assert_eq!(kinds(), [EventKind::Processed, EventKind::Delivered]);
    let events = sandbox.events();
    assert_eq!(events[0].time(), start);
    assert_eq!(events[1].recipient(), Some("jane@example.net"));
    let mail = events[1].mail().unwrap();
    assert_eq!(mail.email_id(), sandbox.mails()[0].email_id());

    sandbox.reset();
    assert!(sandbox.events().is_empty() && sandbox.mails().is_empty());
    assert!(sandbox.calls().is_empty());
}

#[tokio::test]
async fn mail_is_delivered_without_advance_if_the_clock_runs() {
    let sandbox = Sandbox::start_blocking().unwrap();
    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
    while sandbox.events().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn sent_mail_is_recorded_with_all_fields() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let body = mail_with(&json!({
        "cc": ["c@example.net"],
        "bcc": ["d@example.net", "e@example.net"],
        "html_body": "<p>Hello</p>",
        "attachments": [
            { "filename": "a.txt", "mimetype": "text/plain", "fileblob": "aGk=" },
            { "filename": "b.pdf", "url": "https://example.com/b.pdf" },
        ],
        "inlines": [{ "filename": "c.png", "fileblob": "AAE=" }],
        "api_key": sandbox.key(),
    }));
    let reply = post(&sandbox, "/email/send", &body);
    assert_eq!(reply.status, 200);
    let mails = sandbox.mails();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(
        reply.json()["data"],
        json!({ "succeeded": 1, "failed": 0, "failures": [], "email_id": mail.email_id() })
    );
    let lengths: Vec<_> = mail.email_id().split('-').map(str::len).collect();
    assert_eq!(lengths, [6, 6, 2]);
    assert_eq!(mail.operation(), "email_send");
    assert_eq!(mail.sender(), "Acme <noreply@example.com>");
    assert_eq!(mail.to(), ["Jane <jane@example.net>"]);
    assert_eq!(mail.cc(), ["c@example.net"]);
    assert_eq!(mail.bcc(), ["d@example.net", "e@example.net"]);
    assert_eq!(mail.subject(), Some("Hi"));
    assert_eq!(mail.text_body(), Some("Hello"));
    assert_eq!(mail.html_body(), Some("<p>Hello</p>"));
    assert_eq!((mail.schedule_id(), mail.mime()), (None, None));
    assert!(mail.request().get("api_key").is_none());

    let attachments = mail.attachments();
    assert_eq!(attachments.len(), 2);
    assert_eq!(attachments[0].filename, "a.txt");
    assert_eq!(attachments[0].mimetype.as_deref(), Some("text/plain"));
    assert_eq!(attachments[0].content, b"hi");
    assert_eq!(
        attachments[1].url.as_deref(),
        Some("https://example.com/b.pdf")
    );
    assert!(attachments[1].content.is_empty());
    assert_eq!(mail.inlines()[0].content, [0, 1]);

    let call = &sandbox.calls()[0];
    assert_eq!(call.operation(), Some("email_send"));
    assert_eq!(call.content_type(), Some("application/json"));
    assert_eq!((call.status(), call.refused()), (200, None));
    assert_eq!(call.body(), body.to_string().as_bytes());
    let debug = format!("{sandbox:?} {mail:?} {attachments:?} {call:?}");
    for secret in [sandbox.key(), "example.net", "Hello"] {
        assert!(!debug.contains(secret), "{debug}");
    }
}

#[test]
fn reply_to_a_scheduled_or_fast_accepted_mail_has_its_fields() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let keys = |body: &Value| -> Vec<String> {
        let reply = post(&sandbox, "/email/send", body).json();
        let mut keys: Vec<_> = reply["data"].as_object().unwrap().keys().cloned().collect();
        keys.sort_unstable();
        keys
    };
    let schedule = tomorrow(&sandbox);
    assert_eq!(
        keys(&mail_with(&json!({ "schedule": schedule }))),
        ["email_id", "failed", "failures", "schedule_id", "succeeded"]
    );
    assert_eq!(
        keys(&mail_with(&json!({ "fastaccept": true }))),
        ["email_id"]
    );
    assert_eq!(
        keys(&mail_with(&json!({ "fastaccept": false }))),
        ["email_id", "failed", "failures", "succeeded"]
    );
    let mails = sandbox.mails();
    assert_eq!(mails[0].schedule_id().unwrap().len(), 36);
    assert_eq!(mails[1].schedule_id(), None);
    assert_ne!(mails[0].email_id(), mails[1].email_id());
}

#[test]
fn mime_message_and_batch_are_recorded_as_mails() {
    let sandbox = Sandbox::start_blocking().unwrap();
    // From: A <a@example.com>, To: b@example.net and c@example.net, Subject: Hi
    let message = "RnJvbTogQSA8YUBleGFtcGxlLmNvbT4NClRvOiBiQGV4YW1wbGUubmV0LA0KIGNAZXhhbXBsZS5uZXQNClN1YmplY3Q6IEhpDQoNCkhlbGxvDQo=";
    let reply = post(&sandbox, "/email/mime", &json!({ "mime_email": message }));
    assert_eq!(reply.json()["data"]["succeeded"], 1);
    let schedule = tomorrow(&sandbox);
    let batch = json!({ "emails": [mail(), mail_with(&json!({ "schedule": schedule }))] });
    let reply = post(&sandbox, "/email/batch", &batch).json();

    let mails = sandbox.mails();
    assert_eq!(mails.len(), 3);
    assert_eq!(mails[0].sender(), "A <a@example.com>");
    assert_eq!(mails[0].to(), ["b@example.net", "c@example.net"]);
    assert_eq!(mails[0].subject(), Some("Hi"));
    assert!(mails[0].mime().unwrap().ends_with(b"\r\n\r\nHello\r\n"));
    assert_eq!(
        reply["data"],
        json!([{ "email_id": mails[1].email_id() }, { "schedule_id": mails[2].schedule_id() }])
    );
    assert_eq!(mails[1].text_body(), Some("Hello"));
}

#[test]
fn mail_from_an_unverified_domain_is_refused() {
    let sandbox = Sandbox::builder()
        .sender_domains(["Example.com"])
        .start_blocking()
        .unwrap();
    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
    let unverified = mail_with(&json!({ "sender": "Acme <a@example.org>" }));
    // From: a@example.org, To: b@example.net
    let message = "RnJvbTogYUBleGFtcGxlLm9yZw0KVG86IGJAZXhhbXBsZS5uZXQNCg0KSGVsbG8NCg==";
    for (path, body) in [
        ("/email/send", unverified.clone()),
        ("/email/batch", json!({ "emails": [mail(), unverified] })),
        ("/email/mime", json!({ "mime_email": message })),
    ] {
        let reply = post(&sandbox, path, &body);
        assert_refused(&reply, 400, "API_EXCEPTION", None);
        assert!(reply.body.contains("not verified"), "{reply:?}");
    }
    assert_eq!(sandbox.mails().len(), 1);
}

#[test]
fn same_calls_to_two_sandboxes_get_the_same_ids() {
    let run = || {
        let sandbox = Sandbox::start_blocking().unwrap();
        let replies = [(); 3].map(|()| post(&sandbox, "/email/send", &mail()).json());
        assert_ne!(
            replies[0]["data"]["email_id"],
            replies[1]["data"]["email_id"]
        );
        replies
    };
    assert_eq!(run(), run());
}

#[test]
fn sandboxes_that_run_at_the_same_time_are_independent() {
    std::thread::scope(|scope| {
        for count in 0..8 {
            scope.spawn(move || {
                let sandbox = Sandbox::start_blocking().unwrap();
                let address: SocketAddr = address(&sandbox).parse().unwrap();
                assert_eq!(address.ip(), IpAddr::from([127, 0, 0, 1]));
                assert_eq!(sandbox.key().len(), 36);
                for _ in 0..count {
                    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
                }
                assert_eq!(sandbox.mails().len(), count);
            });
        }
    });
}

/// Waits for the end of the connection, and returns whether nothing was received before.
fn is_closed(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => rest.is_empty(),
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Opens a connection, uses it once and keeps it open.
fn kept_alive(sandbox: &Sandbox) -> TcpStream {
    let mut stream = connect(sandbox);
    stream
        .write_all(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    assert_eq!(read(&mut stream, true).status, 404);
    stream
}

#[test]
fn dropping_a_sandbox_closes_its_connections() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let stream = kept_alive(&sandbox);
    drop(sandbox);
    assert!(is_closed(stream));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn started_sandbox_runs_on_the_callers_runtime() {
    let sandbox = Sandbox::start().await.unwrap();
    tokio::task::block_in_place(|| {
        assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
    });
    let stream = tokio::task::block_in_place(|| kept_alive(&sandbox));
    drop(sandbox);
    assert!(tokio::task::block_in_place(|| is_closed(stream)));
}

#[tokio::test]
async fn blocking_sandbox_can_be_used_and_dropped_on_a_runtime() {
    let sandbox = Sandbox::start_blocking().unwrap();
    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
    drop(sandbox);
}

#[test]
fn start_without_a_runtime_returns_an_error() {
    let mut start = std::pin::pin!(Sandbox::start());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match start.as_mut().poll(&mut context) {
        std::task::Poll::Ready(result) => assert!(result.is_err()),
        std::task::Poll::Pending => panic!("pending"),
    }
}

#[tokio::test]
async fn wait_for_mail_returns_each_mail_once_and_none_on_timeout() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let moment = Duration::from_millis(10);
    assert!(sandbox.wait_for_mail(moment).await.is_none());

    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| post(&sandbox, "/email/send", &mail()));
        }
    });
    let first = sandbox.wait_for_mail(moment).await.unwrap();
    let second = sandbox.wait_for_mail(moment).await.unwrap();
    assert_ne!(first.email_id(), second.email_id());
    assert!(sandbox.wait_for_mail(moment).await.is_none());

    let sandbox = std::sync::Arc::new(sandbox);
    let sender = std::sync::Arc::clone(&sandbox);
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        post(&sender, "/email/send", &mail()).status
    });
    let third = sandbox.wait_for_mail(Duration::from_secs(20)).await;
    assert_eq!(third.unwrap().subject(), Some("Hi"));
    assert_eq!(later.join().unwrap(), 200);
}
