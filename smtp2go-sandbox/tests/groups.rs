//! The state of an account, one test per group of operations, over HTTP. The sandbox is strict: it
//! checks every reply against the spec.

// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use smtp2go_sandbox::{ApiKey, Sandbox, SandboxBuilder};
use support::{Reply, send};

/// The expected reply to a call.
enum Wanted {
    /// Status 200 with these values at these JSON pointers. `null` also matches a missing value.
    Ok(Value),
    /// An error with this status and the code `API_EXCEPTION`.
    Refused(u16),
    /// A validation error of this field.
    Field(&'static str),
    /// The key has no permission for the endpoint.
    NotPermitted,
}

use Wanted::{Field, NotPermitted, Refused};

fn ok(wanted: &Value) -> Wanted {
    Wanted::Ok(wanted.clone())
}

fn sandbox(change: impl FnOnce(SandboxBuilder) -> SandboxBuilder) -> Sandbox {
    let builder = Sandbox::builder().strict(true).seed(7);
    let sandbox = change(builder).start_blocking().unwrap();
    sandbox.freeze();
    sandbox
}

/// Makes a call such as `template/add` (a POST) or `PATCH template/edit`.
fn call_as(sandbox: &Sandbox, key: &str, call: &str, body: &Value) -> Reply {
    let (method, path) = call.split_once(' ').unwrap_or(("POST", call));
    let mut body = body.clone();
    if path.starts_with("ip_allow_list") {
        body["api_key"] = key.into();
    }
    let headers = [("X-Smtp2go-Api-Key", key)];
    let path = format!("/v3/{path}");
    send(
        sandbox,
        method,
        &path,
        &headers,
        body.to_string().as_bytes(),
    )
}

/// Makes a call with the main key. The reply must have status 200 and a body.
fn call(sandbox: &Sandbox, path: &str, body: &Value) -> Value {
    let reply = call_as(sandbox, sandbox.key(), path, body);
    assert_eq!(reply.status, 200, "{path} {body}: {}", reply.body);
    reply.json()
}

fn check(sandbox: &Sandbox, key: &str, path: &str, body: &Value, wanted: &Wanted) {
    let reply = call_as(sandbox, key, path, body);
    let at = format!("{path} {body}: {} {}", reply.status, reply.body);
    match wanted {
        Wanted::Ok(values) => {
            assert_eq!(reply.status, 200, "{at}");
            if reply.body.is_empty() {
                assert_eq!(*values, json!({}), "{at}");
                return;
            }
            let reply = reply.json();
            for (pointer, value) in values.as_object().unwrap() {
                let found = reply.pointer(pointer).unwrap_or(&Value::Null);
                assert_eq!(found, value, "{pointer} of {at}");
            }
        }
        refused => {
            let (status, code, field) = match refused {
                Refused(status) => (*status, "API_EXCEPTION", None),
                Field(field) => (400, "NON_VALIDATING_IN_PAYLOAD", Some(*field)),
                _ => (400, "ENDPOINT_PERMISSION_DENIED", None),
            };
            let reply_json = reply.json();
            let data = &reply_json["data"];
            assert_eq!(reply.status, status, "{at}");
            assert_eq!(
                data["error_code"],
                format!("E_ApiResponseCodes.{code}"),
                "{at}"
            );
            let named = data["field_validation_errors"]["fieldname"].as_str();
            assert_eq!(named, field, "{at}");
        }
    }
}

/// Makes calls with the main key in order, and checks the replies.
fn play(sandbox: &Sandbox, steps: &[(&str, Value, Wanted)]) {
    for (path, body, wanted) in steps {
        check(sandbox, sandbox.key(), path, body, wanted);
    }
}

fn mail(sender: &str, to: &str) -> Value {
    json!({ "sender": sender, "to": [to], "subject": "Hi", "text_body": "Hello" })
}

#[test]
fn template_calls_change_and_list_templates() {
    let sandbox = sandbox(|builder| builder);
    let add = |id: &str, name: &str, tags: &[&str]| {
        json!({ "id": id, "template_name": name, "subject": "Hi {{ n }}", "html_body": "<p>",
                "text_body": "T", "tags": tags })
    };
    let id = |id: &str| json!({ "id": id });
    play(
        &sandbox,
        &[
            ("template/view", id("welcome"), Refused(400)),
            (
                "template/add",
                add("welcome", "Welcome", &["a", "b"]),
                ok(
                    &json!({ "/data/id": "welcome", "/data/template_name": "Welcome",
                            "/data/html_body": "<p>", "/data/tags": ["a", "b"],
                            "/data/template_variables": {} }),
                ),
            ),
            ("template/add", add("welcome", "Again", &[]), Refused(400)),
            (
                "template/add",
                add("Welcome", "Case", &["b"]),
                ok(&json!({})),
            ),
            ("template/add", add("four", "Short id", &[]), Field("id")),
            (
                "template/view",
                id("welcome"),
                ok(
                    &json!({ "/data/name": "Welcome", "/data/subject": "Hi {{ n }}",
                            "/data/template_name": null }),
                ),
            ),
            (
                "template/edit",
                json!({ "id": "welcome", "subject": "New", "template_variables": { "n": [1] } }),
                ok(&json!({ "/data/subject": "New", "/data/text_body": "T",
                            "/data/template_variables": { "n": [1] }, "/data/tags": ["a", "b"] })),
            ),
            (
                "template/edit",
                json!({ "id": "welcome", "new_id": "Welcome" }),
                Refused(400),
            ),
            (
                "template/edit",
                json!({ "id": "welcome", "new_id": "four" }),
                Field("new_id"),
            ),
            (
                "template/edit",
                json!({ "id": "welcome", "template_name": "" }),
                Field("template_name"),
            ),
            (
                "template/edit",
                json!({ "id": "welcome", "html_body": "{{#if x}}" }),
                Refused(400),
            ),
            (
                "template/view",
                id("welcome"),
                ok(&json!({ "/data/html_body": "<p>" })),
            ),
            (
                "template/edit",
                json!({ "id": "welcome", "new_id": "welcome-2", "tags": [] }),
                ok(&json!({ "/data/id": "welcome-2", "/data/tags": [] })),
            ),
            ("template/view", id("welcome"), Refused(400)),
            (
                "template/search",
                json!({}),
                ok(
                    &json!({ "/data/total_count": 2, "/data/templates/0/name": "Case",
                            "/data/templates/1/name": "Welcome", "/data/continue_token": null }),
                ),
            ),
            (
                "template/search",
                json!({ "sort_direction": "desc" }),
                ok(&json!({ "/data/templates/0/name": "Welcome" })),
            ),
            (
                "template/search",
                json!({ "sort_direction": "up" }),
                Field("sort_direction"),
            ),
            (
                "template/search",
                json!({ "search_terms": ["welcome"] }),
                ok(&json!({ "/data/total_count": 1 })),
            ),
            (
                "template/search",
                json!({ "search_terms": ["welcome"], "fuzzy_search": true }),
                ok(&json!({ "/data/total_count": 2 })),
            ),
            (
                "template/search",
                json!({ "tags": ["b", "c"] }),
                ok(&json!({ "/data/total_count": 1, "/data/templates/0/id": "Welcome" })),
            ),
            ("template/search", json!({ "page_size": 0 }), Refused(400)),
            ("template/delete", id("welcome-2"), ok(&json!({}))),
            ("template/delete", id("welcome-2"), Refused(400)),
        ],
    );
    // The pages together have all templates.
    let mut names = Vec::new();
    for number in 0..5 {
        call(
            &sandbox,
            "template/add",
            &add(&format!("t-000{number}"), &format!("{number}"), &[]),
        );
    }
    let mut request = json!({ "page_size": 2, "search_terms": ["t-000"] });
    loop {
        let page = call(&sandbox, "template/search", &request);
        let rows = page["data"]["templates"].as_array().unwrap();
        assert!(rows.len() <= 2);
        names.extend(
            rows.iter()
                .map(|row| row["name"].as_str().unwrap().to_owned()),
        );
        assert_eq!(page["data"]["total_count"], 5);
        match &page["data"]["continue_token"] {
            Value::Null => break,
            token => request["continue_token"] = token.clone(),
        }
    }
    assert_eq!(names, ["0", "1", "2", "3", "4"]);
}

#[test]
fn suppression_calls_change_and_list_suppressions() {
    let sandbox = sandbox(|builder| builder);
    let total = |count: usize| ok(&json!({ "/data/total_results": count }));
    play(
        &sandbox,
        &[
            (
                "suppression/add",
                json!({ "email_address": "kim@example.net", "block_description": "By phone" }),
                ok(
                    &json!({ "/data/added": true, "/data/email_address": "kim@example.net",
                            "/data/block_description": "By phone" }),
                ),
            ),
            (
                "suppression/add",
                json!({ "email_address": "KIM@example.net" }),
                ok(&json!({ "/data/added": false })),
            ),
            (
                "suppression/add",
                json!({ "email_address": "example.org" }),
                ok(&json!({})),
            ),
        ],
    );
    // Without an end date, suppressions of today are not listed.
    sandbox.advance(Duration::from_secs(86_400));
    play(
        &sandbox,
        &[
            (
                "suppression/view",
                json!({}),
                ok(
                    &json!({ "/data/total_results": 2, "/data/continue_token": null,
                            "/data/results/0/email_address": "kim@example.net",
                            "/data/results/0/reason": "manual", "/data/results/0/subject": null,
                            "/data/results/0/block_description": "By phone" }),
                ),
            ),
            (
                "suppression/view",
                json!({ "sort": "desc" }),
                ok(&json!({ "/data/results/0/email_address": "example.org" })),
            ),
            (
                "suppression/view",
                json!({ "email_address": "kim@example.net" }),
                total(1),
            ),
            (
                "suppression/view",
                json!({ "email_address": "any@example.org" }),
                total(1),
            ),
            (
                "suppression/view",
                json!({ "email_address": "lou@example.net" }),
                total(0),
            ),
            ("suppression/view", json!({ "recipient": "kim" }), total(0)),
            (
                "suppression/view",
                json!({ "recipient": "KIM", "fuzzy": true }),
                total(1),
            ),
            (
                "suppression/view",
                json!({ "recipients": ["kim@example.net", "EXAMPLE.ORG"] }),
                total(2),
            ),
            (
                "suppression/view",
                json!({ "reason": "by phone" }),
                total(1),
            ),
            (
                "suppression/view",
                json!({ "reasons": ["phone"] }),
                total(0),
            ),
            (
                "suppression/view",
                json!({ "reasons": ["phone"], "fuzzy": true }),
                total(1),
            ),
            (
                "suppression/view",
                json!({ "suppression_type": "spam" }),
                total(0),
            ),
            (
                "suppression/view",
                json!({ "suppression_types": ["spam", "manual"] }),
                total(2),
            ),
            (
                "suppression/view",
                json!({ "wildcard": "example" }),
                total(2),
            ),
            ("suppression/view", json!({ "wildcard": ".org" }), total(1)),
            (
                "suppression/view",
                json!({ "start_date": "2999-01-01" }),
                total(0),
            ),
            (
                "suppression/view",
                json!({ "end_date": "2001-01-01T00:00:00Z" }),
                total(0),
            ),
            (
                "suppression/view",
                json!({ "end_date": "2999-01-01" }),
                total(2),
            ),
            (
                "suppression/view",
                json!({ "start_date": "soon" }),
                Field("start_date"),
            ),
            (
                "suppression/view",
                json!({ "continue_token": "soon" }),
                Field("continue_token"),
            ),
            (
                "suppression/remove",
                json!({ "email_address": "kim@example.net", "reasons": ["spam", "manual"] }),
                ok(&json!({
                    "/data/suppressions/0": { "reason": "spam", "email_address": "kim@example.net",
                                              "removed": false },
                    "/data/suppressions/1/removed": true,
                })),
            ),
            ("suppression/view", json!({}), total(1)),
        ],
    );
}

#[test]
fn domain_is_verified_after_a_look_up_and_may_then_send() {
    let sandbox = sandbox(|builder| builder.enforce_senders(true));
    let from = |domain: &str| mail(&format!("Acme <a@{domain}>"), "b@example.net");
    let domain = |name: &str| json!({ "domain": name });
    let first = "/data/domains/0";
    let is = |verified: [bool; 3]| {
        let mut wanted = json!({});
        wanted[format!("{first}/domain/dkim_verified")] = verified[0].into();
        wanted[format!("{first}/domain/rpath_verified")] = verified[1].into();
        wanted[format!("{first}/trackers/0/cname_verified")] = verified[2].into();
        Wanted::Ok(wanted)
    };
    play(
        &sandbox,
        &[
            ("email/send", from("example.com"), Refused(400)),
            (
                "domain/view",
                json!({}),
                ok(&json!({ "/data/domains": [] })),
            ),
            ("domain/verify", domain("example.com"), Refused(400)),
            (
                "domain/add",
                domain("Example.com"),
                is([false, false, false]),
            ),
            ("domain/add", domain("example.com"), Refused(400)),
            ("domain/add", domain("no domain"), Refused(400)),
            (
                "domain/view",
                domain("example.com"),
                ok(&json!({
                    "/data/domains/0/domain/fulldomain": "example.com",
                    "/data/domains/0/domain/suffix": "com",
                    "/data/domains/0/domain/setup_link": "https://setup.example.net/example.com",
                    "/data/domains/0/trackers/0/fulldomain": "link.example.com",
                    "/data/domains/0/from_master": false,
                    "/data/domains/0/subaccount_access/subaccounts": [],
                })),
            ),
            ("email/send", from("example.com"), Refused(400)),
            (
                "domain/verify",
                domain("example.com"),
                is([true, true, true]),
            ),
            (
                "email/send",
                from("EXAMPLE.com"),
                ok(&json!({ "/data/succeeded": 1 })),
            ),
            ("email/send", from("mail.example.com"), Refused(400)),
            (
                "domain/tracking",
                json!({ "domain": "example.com", "old_subdomain": "link",
                        "new_subdomain": "click" }),
                is([true, true, false]),
            ),
            (
                "domain/tracking",
                json!({ "domain": "example.com", "old_subdomain": "link",
                        "new_subdomain": "other" }),
                Refused(400),
            ),
            ("email/send", from("example.com"), ok(&json!({}))),
        ],
    );
    // The sandbox looks the records up by itself after some minutes.
    sandbox.advance(Duration::from_secs(7 * 60));
    let label =
        call(&sandbox, "domain/view", &json!({}))["data"]["domains"][0]["domain"]["rpath_selector"]
            .clone();
    let relabel = json!({ "domain": "example.com", "old_subdomain": label,
                          "new_subdomain": "bounce" });
    play(
        &sandbox,
        &[
            ("domain/view", json!({}), is([true, true, true])),
            ("domain/returnpath", relabel, is([true, false, true])),
            ("email/send", from("example.com"), Refused(400)),
            (
                "domain/add",
                json!({ "domain": "mail.example.co.uk", "tracking_subdomain": "t",
                        "returnpath_subdomain": "r" }),
                ok(&json!({ "/data/domains/0/domain/subdomain": "mail",
                            "/data/domains/0/domain/suffix": "co.uk",
                            "/data/domains/0/domain/rpath_verified": true })),
            ),
            (
                "domain/add",
                json!({ "domain": "unpublished.example.org", "tracking_subdomain": "t",
                        "returnpath_subdomain": "r" }),
                is([false, false, false]),
            ),
            (
                "domain/verify",
                domain("unpublished.example.org"),
                is([false, false, false]),
            ),
            (
                "domain/view",
                json!({}),
                ok(&json!({ "/data/domains/2/domain/setup_link": "unavailable",
                            "/data/domains/3": null })),
            ),
            (
                "domain/remove",
                domain("example.com"),
                ok(
                    &json!({ "/data/domains/0/domain/fulldomain": "mail.example.co.uk",
                            "/data/domains/2": null }),
                ),
            ),
            ("domain/remove", domain("example.com"), Refused(400)),
        ],
    );
}

/// The result of the last look-up of a domain's records.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    NotLookedUp,
    No,
    Yes,
}

#[test]
fn reply_about_a_domain_has_the_result_of_the_last_look_up() {
    use Found::{No, NotLookedUp, Yes};
    let sandbox = sandbox(|builder| builder);
    let now = sandbox.now().duration_since(std::time::UNIX_EPOCH);
    let issued = format!("issued: {}", now.unwrap().as_secs());
    let verify = |name: &str| ("domain/verify", json!({ "domain": name }));
    let add = |name: &str| ("domain/add", json!({ "domain": name }));
    let labelled = |name: &str| {
        let body = json!({ "domain": name, "tracking_subdomain": "t",
                           "returnpath_subdomain": "r" });
        ("domain/add", body)
    };
    let steps = [
        (add("example.com"), 0, [NotLookedUp; 3]),
        (("domain/view", json!({})), 0, [NotLookedUp; 3]),
        (verify("example.com"), 0, [Yes; 3]),
        (verify("example.com"), 0, [Yes; 3]),
        (
            (
                "domain/tracking",
                json!({ "domain": "example.com", "old_subdomain": "link",
                        "new_subdomain": "click" }),
            ),
            0,
            [Yes, Yes, NotLookedUp],
        ),
        (verify("example.com"), 0, [Yes; 3]),
        (add("unpublished.example.com"), 0, [NotLookedUp; 3]),
        (verify("unpublished.example.com"), 0, [No; 3]),
        (labelled("example.org"), 0, [Yes; 3]),
        (
            (
                "domain/returnpath",
                json!({ "domain": "example.org", "old_subdomain": "r", "new_subdomain": "b" }),
            ),
            0,
            [Yes, NotLookedUp, Yes],
        ),
        (labelled("unpublished.example.org"), 0, [No; 3]),
        (("domain/view", json!({})), 1, [No; 3]),
        (
            ("domain/remove", json!({ "domain": "example.com" })),
            1,
            [Yes, NotLookedUp, Yes],
        ),
    ];
    for ((path, body), place, found) in steps {
        let reply = call(&sandbox, path, &body);
        let entry = &reply["data"]["domains"][place];
        let at = format!("{path} {body}: {entry}");
        let (domain, tracker) = (&entry["domain"], &entry["trackers"][0]);
        for (record, prefix, label, found) in [
            (domain, "dkim", "dkim", found[0]),
            (domain, "rpath", "return", found[1]),
            (tracker, "cname", "track", found[2]),
        ] {
            let target = format!("{label}.smtp2go.net");
            let status = match found {
                NotLookedUp => String::new(),
                No => "No CNAME record was found.".to_owned(),
                Yes => format!("Target: {target}"),
            };
            // The value of a tracker's record is empty until it was found.
            let value = match prefix == "cname" && found != Yes {
                true => "",
                false => &target,
            };
            assert_eq!(record[format!("{prefix}_expected")], target, "{at}");
            assert_eq!(record[format!("{prefix}_value")], value, "{at}");
            assert_eq!(record[format!("{prefix}_verified")], found == Yes, "{at}");
            assert_eq!(record[format!("{prefix}_status")], status, "{at}");
        }
        assert_eq!(tracker["enabled"], found[2] == Yes, "{at}");
        let issued = if found[2] == Yes { &issued } else { "" };
        assert_eq!(tracker["ssl_status"], issued, "{at}");
        let registrar = match found[0] {
            NotLookedUp => "",
            _ => "Example Registry",
        };
        assert_eq!(domain["registrar"], registrar, "{at}");
    }
}

#[test]
fn fields_added_in_november_are_accepted() {
    let sandbox = sandbox(|builder| builder);
    let id = "/data/id";
    let add = json!({ "fullname": "Shop", "ip_pool": 12 });
    let added = call(&sandbox, "subaccount/add", &add);
    let edit = |pool: i64| json!({ "id": added.pointer(id), "ip_pool": pool });
    let search = json!({ "search_subject": "invoice", "search_subject_op": "is",
                         "search_sender": "a@", "search_sender_op": "starts with",
                         "search_recipient": "b@", "search_recipient_op": "any word" });
    play(
        &sandbox,
        &[
            (
                "subaccount/edit",
                edit(12),
                ok(&json!({ "/data/ip_pool": null })),
            ),
            ("subaccount/edit", edit(13), Refused(400)),
            (
                "subaccount/add",
                json!({ "fullname": "Shop 2", "ip_pool": 13 }),
                Refused(400),
            ),
            (
                "email/send",
                json!({ "sender": "a@example.com", "to": ["b@example.net"],
                        "subject": "Your invoice", "text_body": "x" }),
                ok(&json!({})),
            ),
            // How the service filters is not known. The sandbox finds a text anywhere.
            (
                "activity/search",
                search,
                ok(&json!({ "/data/total_events": 1 })),
            ),
            (
                "api_keys/add",
                json!({ "description": "x" }),
                ok(&json!({ "/data/0/sending_status": null })),
            ),
        ],
    );
}

#[test]
fn key_may_call_only_the_paths_of_its_endpoints() {
    let sandbox = sandbox(|builder| {
        builder.api_key(
            ApiKey::new("api-SMS0SMS0SMS0SMS0SMS0SMS0SMS0SMS0").endpoints([
                "/sms/*",
                "/email/send",
                "/sms/send",
            ]),
        )
    });
    let permissions = |key: &str| {
        let reply = call_as(&sandbox, key, "api_keys/permissions", &json!({}));
        reply.json()["data"].clone()
    };
    assert_eq!(
        permissions("api-SMS0SMS0SMS0SMS0SMS0SMS0SMS0SMS0"),
        json!([
            "/email/send",
            "/sms/send",
            "/sms/summary",
            "/sms/view-received",
            "/sms/view-sent"
        ])
    );
    let all = permissions(sandbox.key());
    let all = all.as_array().unwrap();
    assert!(all.contains(&json!("/webhook/add")) && all.contains(&json!("/ip_allow_list")));
    assert_eq!(all.len(), 72);
}

#[test]
fn single_sender_is_verified_by_its_link_and_may_then_send() {
    let sandbox = sandbox(|builder| builder.enforce_senders(true));
    let address = |address: &str| json!({ "email_address": address });
    let senders = |verified: &[(&str, bool)]| {
        let rows = verified
            .iter()
            .map(|(address, verified)| json!({ "email_address": address, "verified": verified }));
        Wanted::Ok(json!({ "/data/senders": rows.collect::<Value>() }))
    };
    let from = |sender: &str| mail(sender, "b@example.net");
    play(
        &sandbox,
        &[
            (
                "single_sender_emails/add",
                address("nobody"),
                Field("email_address"),
            ),
            (
                "single_sender_emails/add",
                address("Me@example.com"),
                ok(&json!({})),
            ),
            (
                "single_sender_emails/add",
                address("me@example.com"),
                ok(&json!({})),
            ),
            (
                "single_sender_emails/add",
                address("unverified@example.com"),
                ok(&json!({})),
            ),
            (
                "single_sender_emails/view",
                json!({}),
                senders(&[("Me@example.com", false), ("unverified@example.com", false)]),
            ),
            ("email/send", from("me@example.com"), Refused(400)),
        ],
    );
    sandbox.advance(Duration::from_secs(1));
    play(
        &sandbox,
        &[
            ("email/send", from("Me <me@example.com>"), ok(&json!({}))),
            ("email/send", from("you@example.com"), Refused(400)),
            ("email/send", from("unverified@example.com"), Refused(400)),
            (
                "single_sender_emails/view",
                address("me@example.com"),
                senders(&[("Me@example.com", true)]),
            ),
            (
                "single_sender_emails/view",
                address("you@example.com"),
                senders(&[]),
            ),
        ],
    );
    assert!(sandbox.verify_sender("unverified@example.com"));
    assert!(!sandbox.verify_sender("you@example.com"));
    play(
        &sandbox,
        &[
            ("email/send", from("unverified@example.com"), ok(&json!({}))),
            (
                "single_sender_emails/remove",
                address("me@example.com"),
                ok(&json!({})),
            ),
            (
                "single_sender_emails/remove",
                address("me@example.com"),
                Refused(400),
            ),
            ("email/send", from("me@example.com"), Refused(400)),
        ],
    );
}

#[test]
fn allowed_senders_and_recipients_restrict_sending() {
    let sandbox = sandbox(|builder| builder.enforce_senders(true));
    let senders = |entries: &[&str]| json!({ "allowed_senders": entries });
    let update = |entries: &[&str], mode: &str| json!({ "allowed_senders": entries, "mode": mode });
    let recipients = |entries: &[&str]| json!({ "allowed_recipients": entries });
    let enabled = |entries: &[&str], enabled: bool| json!({ "allowed_recipients": entries, "enabled": enabled });
    let data = |data: Value| ok(&json!({ "/data": data }));
    let from = |sender: &str| mail(sender, "b@example.net");
    let to = |recipient: &str| mail("a@example.com", recipient);
    let mime = |to: &str| {
        use base64::Engine as _;
        let message = format!("From: a@example.com\r\nTo: {to}\r\n\r\nHi");
        let encoded = base64::engine::general_purpose::STANDARD.encode(message);
        json!({ "mime_email": encoded })
    };
    play(
        &sandbox,
        &[
            (
                "allowed_senders/view",
                json!({}),
                data(update(&[], "disabled")),
            ),
            ("email/send", from("a@example.com"), Refused(400)),
            // Adding entries does not change the mode.
            (
                "allowed_senders/add",
                senders(&["example.com", "Example.com", "b@example.org"]),
                data(update(&["example.com", "b@example.org"], "disabled")),
            ),
            ("email/send", from("a@example.com"), Refused(400)),
            (
                "allowed_senders/update",
                update(&["example.com", "b@example.org"], "whitelist"),
                data(update(&["example.com", "b@example.org"], "whitelist")),
            ),
            // The list replaces the check of sender domains.
            ("email/send", from("A <a@example.com>"), ok(&json!({}))),
            ("email/send", from("B@example.org"), ok(&json!({}))),
            ("email/send", from("c@example.org"), Refused(400)),
            (
                "allowed_senders/remove",
                senders(&["EXAMPLE.com", "unknown"]),
                data(update(&["b@example.org"], "whitelist")),
            ),
            ("email/send", from("a@example.com"), Refused(400)),
            (
                "allowed_senders/update",
                update(&["example.org"], "blacklist"),
                ok(&json!({})),
            ),
            ("email/send", from("b@example.org"), Refused(400)),
            ("email/send", from("a@example.com"), ok(&json!({}))),
            (
                "allowed_senders/update",
                update(&[], "greylist"),
                Field("mode"),
            ),
            (
                "allowed_recipients/view",
                json!({}),
                data(enabled(&[], false)),
            ),
            (
                "allowed_recipients/add",
                recipients(&["example.net"]),
                data(enabled(&["example.net"], false)),
            ),
            ("email/send", to("c@example.org"), ok(&json!({}))),
            (
                "allowed_recipients/add",
                enabled(&["example.net", "c@example.org"], true),
                data(enabled(&["example.net", "c@example.org"], true)),
            ),
            ("email/send", to("C <c@example.org>"), ok(&json!({}))),
            ("email/send", to("d@example.org"), Refused(400)),
            (
                "email/mime",
                mime("d@example.net, c@example.org"),
                ok(&json!({})),
            ),
            (
                "email/mime",
                mime("d@example.net, d@example.org"),
                Refused(400),
            ),
            (
                "email/batch",
                json!({ "emails": [to("d@example.net"), to("d@example.org")] }),
                Refused(400),
            ),
            (
                "allowed_recipients/remove",
                recipients(&["c@example.org", "unknown"]),
                data(enabled(&["example.net"], true)),
            ),
            ("email/send", to("c@example.org"), Refused(400)),
            (
                "allowed_recipients/update",
                enabled(&["example.org"], false),
                data(enabled(&["example.org"], false)),
            ),
            ("email/send", to("c@example.com"), ok(&json!({}))),
        ],
    );
}

#[test]
fn api_key_calls_change_permissions_limits_and_status() {
    let other = "api-TEMPLATES0TEMPLATES0TEMPLATES000";
    let endpoints = ["/template/*", "/api_keys/*", "/email/send"];
    let sandbox = sandbox(|builder| builder.api_key(ApiKey::new(other).endpoints(endpoints)));
    let added = call(&sandbox, "api_keys/add", &json!({ "description": "Shop" }));
    let key = added["data"][0]["api_key"].as_str().unwrap().to_owned();
    let masked = format!("{}{}", &key[..16], "*".repeat(20));
    assert_eq!(key.len(), 36);
    assert_eq!(added["data"][0]["username"], key[..16]);
    let id = |fields: Value| {
        let mut body = json!({ "id": key });
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    let main = sandbox.key().to_owned();
    let (main, other, key) = (main.as_str(), other, key.as_str());
    let send = || mail("a@example.com", "b@example.net");
    let limit = |value: Value, period: &str| {
        id(
            json!({ "custom_ratelimit": true, "custom_ratelimit_value": value,
                   "custom_ratelimit_period": period }),
        )
    };
    let steps = [
        // The new key works at once, but only for its endpoint.
        (key, "email/send", send(), ok(&json!({}))),
        (key, "template/search", json!({}), NotPermitted),
        (
            key,
            "api_keys/permissions",
            json!({}),
            ok(&json!({ "/data": ["/email/send"] })),
        ),
        (
            main,
            "api_keys/view",
            json!({ "search": "sHoP" }),
            ok(
                &json!({ "/data/0/api_key": masked, "/data/0/description": "Shop", "/data/1": null,
                        "/data/0/status": "allowed", "/data/0/custom_rate_limit": false,
                        "/data/0/custom_ratelimit_value": null, "/data/0/audit_email": null,
                        "/data/0/bounce_notifications": "from" }),
            ),
        ),
        (
            main,
            "api_keys/view",
            id(json!({})),
            ok(&json!({ "/data/0/api_key": masked, "/data/1": null })),
        ),
        (
            main,
            "api_keys/view",
            json!({}),
            ok(&json!({ "/data/2/api_key": masked })),
        ),
        (
            main,
            "api_keys/view",
            json!({ "id": masked }),
            ok(&json!({ "/data": [] })),
        ),
        // PATCH keeps fields that are not given.
        (
            main,
            "PATCH api_keys/edit",
            id(json!({ "open_tracking_enabled": true, "ip_pool": 12, "status": "blocked" })),
            ok(
                &json!({ "/data/0/api_key": masked, "/data/0/description": "Shop",
                        "/data/0/open_tracking_enabled": true, "/data/0/ippool": 12,
                        "/data/0/status": "blocked" }),
            ),
        ),
        (key, "email/send", send(), Refused(401)),
        (
            main,
            "PATCH api_keys/edit",
            id(json!({ "audit_email": "audit@example.com" })),
            ok(&json!({ "/data/0/status": "blocked", "/data/0/ippool": 12,
                        "/data/0/audit_email": "audit@example.com" })),
        ),
        // POST sets fields that are not given back to their defaults, except the endpoints.
        (
            main,
            "PATCH api_keys/edit",
            id(json!({ "endpoints": ["/email/send", "/template/*"] })),
            ok(&json!({ "/data/0/endpoints": ["/email/send", "/template/*"] })),
        ),
        (
            main,
            "api_keys/edit",
            id(json!({ "feedback_html": "x" })),
            ok(
                &json!({ "/data/0/description": "", "/data/0/status": "allowed",
                        "/data/0/ippool": null, "/data/0/audit_email": null,
                        "/data/0/feedback_html": "x", "/data/0/open_tracking_enabled": false,
                        "/data/0/endpoints": ["/email/send", "/template/*"] }),
            ),
        ),
        (key, "template/search", json!({}), ok(&json!({}))),
        // A key cannot grant permissions that it does not have.
        (
            other,
            "api_keys/add",
            json!({ "endpoints": ["/template/view"] }),
            ok(&json!({})),
        ),
        (
            other,
            "api_keys/add",
            json!({ "endpoints": ["/template/*"] }),
            ok(&json!({})),
        ),
        (
            other,
            "api_keys/add",
            json!({ "endpoints": ["*"] }),
            Refused(400),
        ),
        (
            other,
            "api_keys/add",
            json!({ "endpoints": ["/email/*"] }),
            Refused(400),
        ),
        (
            main,
            "PATCH api_keys/edit",
            id(json!({ "endpoints": ["/email/*"] })),
            ok(&json!({})),
        ),
        // Permissions that the edited key already has may be kept or removed.
        (
            other,
            "PATCH api_keys/edit",
            id(json!({ "endpoints": ["/email/batch", "/template/add"] })),
            ok(&json!({})),
        ),
        (
            other,
            "PATCH api_keys/edit",
            id(json!({ "endpoints": ["/sms/send"] })),
            Refused(400),
        ),
        // Limits and values that only the spec's prose has.
        (
            main,
            "PATCH api_keys/edit",
            id(json!({ "status": "paused" })),
            Field("status"),
        ),
        (
            main,
            "PATCH api_keys/edit",
            id(json!({ "bounce_notifications": "to" })),
            Field("bounce_notifications"),
        ),
        (
            main,
            "PATCH api_keys/edit",
            id(json!({ "ip_pool": 13 })),
            Refused(400),
        ),
        (
            main,
            "PATCH api_keys/edit",
            id(json!({ "custom_ratelimit": true })),
            Refused(400),
        ),
        (
            main,
            "PATCH api_keys/edit",
            limit(json!(2), "now and then"),
            Field("custom_ratelimit_period"),
        ),
        (
            main,
            "PATCH api_keys/edit",
            limit(json!(0), "1 hour"),
            Field("custom_ratelimit_value"),
        ),
        // The rate limit is enforced.
        (
            main,
            "api_keys/edit",
            {
                let mut body = limit(json!(2), "2 hours");
                body["endpoints"] = json!(["/email/*"]);
                body
            },
            ok(
                &json!({ "/data/0/custom_rate_limit": true, "/data/0/custom_ratelimit_value": 2,
                        "/data/0/custom_ratelimit_period": "2 hours" }),
            ),
        ),
        (key, "email/send", send(), ok(&json!({}))),
        (key, "email/send", send(), Refused(400)),
        (main, "email/send", send(), ok(&json!({}))),
    ];
    for (key, path, body, wanted) in &steps {
        check(&sandbox, key, path, body, wanted);
    }
    sandbox.advance(Duration::from_secs(2 * 3_600));
    let batch = |count| json!({ "emails": vec![send(); count] });
    let steps = [
        (key, "email/batch", batch(3), Refused(400)),
        (key, "email/batch", batch(2), ok(&json!({}))),
        (key, "email/send", send(), Refused(400)),
        // With status sandbox, mail is accepted but not delivered.
        (
            main,
            "api_keys/edit",
            id(json!({ "status": "sandbox" })),
            ok(&json!({})),
        ),
        (
            key,
            "email/send",
            send(),
            ok(&json!({ "/data/succeeded": 1 })),
        ),
        (main, "api_keys/remove", id(json!({})), ok(&json!({}))),
        (main, "api_keys/remove", id(json!({})), Refused(400)),
        (main, "api_keys/edit", id(json!({})), Refused(400)),
        (key, "email/send", send(), Refused(401)),
    ];
    for (key, path, body, wanted) in &steps {
        check(&sandbox, key, path, body, wanted);
    }
    let rejected = sandbox.events();
    assert_eq!(
        rejected.last().unwrap().kind(),
        smtp2go_sandbox::EventKind::Reject
    );
}

#[test]
fn smtp_user_calls_change_and_list_users() {
    let subaccount = "api-SUBACCOUNT0SUBACCOUNT0SUBACCOUNT";
    let sandbox = sandbox(|builder| builder.api_key(ApiKey::new(subaccount).subaccount("sub")));
    let strong = "Fw7nQ2xLr9Tz4KbV";
    let user = |fields: Value| {
        let mut body = json!({ "username": "shop@example.com" });
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    let first = "/data/results/0";
    play(
        &sandbox,
        &[
            (
                "users/smtp/view",
                json!({}),
                ok(&json!({ "/data/results": [], "/data/default_ratelimit_period": "unlimited" })),
            ),
            (
                "users/smtp/add",
                json!({ "username": "shop" }),
                Field("username"),
            ),
            (
                "users/smtp/add",
                user(json!({ "email_password": "secret" })),
                Field("email_password"),
            ),
            (
                "users/smtp/add",
                user(json!({ "email_password": strong, "description": "Shop" })),
                ok(&json!({ "/data/results/0/username": "shop@example.com",
                            "/data/results/0/email_password": strong,
                            "/data/results/0/sending_allowed": true,
                            "/data/results/0/custom_ratelimit": false,
                            "/data/results/1": null })),
            ),
            ("users/smtp/add", user(json!({})), Refused(400)),
            (
                "PATCH users/smtp/edit",
                user(json!({ "click_tracking_enabled": true, "status": "blocked" })),
                ok(
                    &json!({ "/data/0/description": "Shop", "/data/0/click_tracking_enabled": true,
                            "/data/0/status": "blocked", "/data/0/custom_rate_limit": false,
                            "/data/0/email_password": null }),
                ),
            ),
            (
                "users/smtp/view",
                user(json!({})),
                ok(&json!({ "/data/results/0/email_password": strong,
                            "/data/results/0/sending_allowed": false })),
            ),
            (
                "users/smtp/view",
                json!({ "username": "other" }),
                ok(&json!({ "/data/results": [] })),
            ),
            (
                "users/smtp/edit",
                user(json!({ "email_password": strong })),
                ok(
                    &json!({ "/data/results/0/description": "", "/data/results/0/status": "allowed",
                            "/data/results/0/email_password": strong }),
                ),
            ),
            (
                "PATCH users/smtp/edit",
                user(json!({ "email_password": "Kb4Vz9TxL2rQnw7F" })),
                ok(&json!({})),
            ),
            (
                "users/smtp/view",
                json!({}),
                ok(&json!({ "/data/results/0/email_password": "Kb4Vz9TxL2rQnw7F" })),
            ),
            (
                "PATCH users/smtp/edit",
                json!({ "username": "other" }),
                Refused(400),
            ),
            (
                "users/smtp/edit",
                json!({ "username": "other" }),
                Refused(400),
            ),
        ],
    );
    // Usernames are unique across accounts.
    let taken = call_as(&sandbox, subaccount, "users/smtp/add", &user(json!({})));
    assert_eq!(taken.status, 400);
    let password = |reply: &Value| {
        let password = reply.pointer(&format!("{first}/email_password"));
        password.unwrap().as_str().unwrap().to_owned()
    };
    let one = password(&call(&sandbox, "users/smtp/edit", &user(json!({}))));
    let other = password(&call(
        &sandbox,
        "users/smtp/edit",
        &user(json!({ "email_password": "" })),
    ));
    assert!(one != other && one != strong && one.len() >= 22);
    play(
        &sandbox,
        &[
            (
                "users/smtp/remove",
                user(json!({})),
                ok(&json!({ "/data/results/0/email_password": other })),
            ),
            ("users/smtp/remove", user(json!({})), Refused(400)),
        ],
    );
}

#[test]
fn ip_auth_and_allow_lists_hold_addresses_and_restrict_calls() {
    let address = "192.0.2.25".parse().unwrap();
    let sandbox = sandbox(|builder| builder.ip_auth(address));
    let ip = |address: &str| json!({ "ip_address": address });
    let entry = |address: &str, description: &str| {
        ok(&json!({ "/data": { "ip_address": address, "description": description } }))
    };
    play(
        &sandbox,
        &[
            (
                "dedicated_ips/view",
                json!({}),
                ok(&json!({ "/data/0/id": 12, "/data/0/name": "Main pool" })),
            ),
            // IP authentication.
            (
                "ip_auth/view",
                json!({}),
                ok(&json!({ "/data/results/0/ip_address": "192.0.2.25",
                            "/data/results/0/status": "allowed",
                            "/data/results/0/custom_ratelimit": false })),
            ),
            (
                "ip_auth/view",
                ip("192.0.2.26"),
                ok(&json!({ "/data/results": [] })),
            ),
            (
                "PATCH ip_auth/edit",
                json!({ "ip_address": "192.0.2.25", "description": "Office", "ip_pool": 12,
                        "custom_ratelimit": true, "custom_ratelimit_value": 5,
                        "custom_ratelimit_period": "1 day 12:00:00" }),
                ok(&json!({ "/data/0/description": "Office", "/data/0/custom_rate_limit": true })),
            ),
            (
                "PATCH ip_auth/edit",
                json!({ "ip_address": "192.0.2.25", "status": "sandbox",
                        "custom_ratelimit_value": 6 }),
                ok(
                    &json!({ "/data/0/description": "Office", "/data/0/status": "sandbox",
                            "/data/0/custom_ratelimit_value": 6, "/data/0/ippool": 12,
                            "/data/0/custom_ratelimit_period": "1 day 12:00:00" }),
                ),
            ),
            ("PATCH ip_auth/edit", ip("192.0.2.26"), Refused(400)),
            ("ip_auth/remove", ip("192.0.2.25"), ok(&json!({}))),
            ("ip_auth/remove", ip("192.0.2.25"), Refused(400)),
            (
                "ip_auth/view",
                json!({}),
                ok(&json!({ "/data/results": [] })),
            ),
            // The allow lists.
            (
                "ip_allow_list/view",
                json!({}),
                ok(&json!({ "/data": { "enabled": false, "ip_addresses": [] } })),
            ),
            ("ip_allow_list/add", json!({}), Field("ip_address")),
            ("ip_allow_list/add", ip("office"), Field("ip_address")),
            (
                "ip_allow_list/add",
                json!({ "ip_address": "203.0.113.7", "type": "ftp" }),
                Field("type"),
            ),
            (
                "ip_allow_list/add",
                json!({ "ip_address": "203.0.113.7", "description": "Office" }),
                entry("203.0.113.7", "Office"),
            ),
            ("ip_allow_list/add", ip("203.0.113.7"), Refused(400)),
            (
                "ip_allow_list/add",
                ip("203.0.113.8"),
                entry("203.0.113.8", ""),
            ),
            (
                "ip_allow_list/edit",
                json!({ "ip_address": "203.0.113.7", "new_ip_address": "203.0.113.8" }),
                Refused(400),
            ),
            (
                "ip_allow_list/edit",
                json!({ "ip_address": "203.0.113.7", "new_ip_address": "2001:DB8::1" }),
                entry("2001:db8::1", "Office"),
            ),
            ("ip_allow_list/edit", ip("203.0.113.7"), Refused(400)),
            (
                "ip_allow_list/remove",
                ip("203.0.113.8"),
                entry("203.0.113.8", ""),
            ),
            ("ip_allow_list/remove", ip("203.0.113.8"), Refused(400)),
            // The list for SMTP does not affect calls of the API.
            (
                "ip_allow_list",
                json!({ "enabled": true }),
                ok(&json!({ "/data": { "enabled": true } })),
            ),
            (
                "ip_allow_list/view",
                json!({ "type": "smtp" }),
                ok(&json!({ "/data/enabled": true,
                            "/data/ip_addresses/0/ip_address": "2001:db8::1" })),
            ),
            // The list for the API does.
            (
                "ip_allow_list/add",
                json!({ "ip_address": "127.0.0.1", "type": "api" }),
                entry("127.0.0.1", ""),
            ),
            (
                "ip_allow_list",
                json!({ "enabled": true, "type": "api" }),
                ok(&json!({})),
            ),
            ("dedicated_ips/view", json!({}), ok(&json!({}))),
            (
                "ip_allow_list/remove",
                json!({ "ip_address": "127.0.0.1", "type": "api" }),
                ok(&json!({})),
            ),
            ("dedicated_ips/view", json!({}), Refused(403)),
            (
                "ip_allow_list",
                json!({ "enabled": false, "type": "api" }),
                Refused(403),
            ),
        ],
    );
    sandbox.reset();
    play(
        &sandbox,
        &[("dedicated_ips/view", json!({}), ok(&json!({})))],
    );
}

#[test]
fn subaccount_calls_change_accounts_with_separate_state() {
    let own = "api-SUBACCOUNT0SUBACCOUNT0SUBACCOUNT";
    let sandbox = sandbox(|builder| {
        let key = ApiKey::new(own).subaccount("with-key");
        builder.sender_domains(["example.com"]).api_key(key)
    });
    let first = call(
        &sandbox,
        "subaccount/add",
        &json!({ "fullname": "North", "subaccount_email": "owner@example.com" }),
    );
    let north = first["data"]["id"].as_str().unwrap().to_owned();
    assert_eq!(first["data"]["plan_size"], 10_000);
    let id = |fields: Value| {
        let mut body = json!({ "id": north });
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    let found = |count: usize| ok(&json!({ "/data/total_count": count }));
    let within = |fields: Value| {
        let mut body = json!({ "subaccount_id": north });
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    play(
        &sandbox,
        &[
            (
                "subaccount/add",
                json!({ "fullname": "South", "limit": 7 }),
                Field("limit"),
            ),
            (
                "subaccount/add",
                json!({ "fullname": "South", "dedicated_ip": true }),
                Refused(400),
            ),
            (
                "subaccount/add",
                json!({ "fullname": "South", "dedicated_ip": true, "limit": 250_000 }),
                ok(&json!({ "/data/dedicated_ip": true, "/data/state": "Active" })),
            ),
            (
                "subaccount/edit",
                id(json!({ "enable_sms": true, "sms_limit": 7 })),
                ok(&json!({ "/data/name": "North", "/data/sms_enabled": true,
                            "/data/sms_limit": 7, "/data/plan_size": 10_000 })),
            ),
            (
                "subaccount/edit",
                id(json!({ "limit": 10_001 })),
                Field("limit"),
            ),
            ("subaccount/edit", json!({ "id": "unknown" }), Refused(400)),
            (
                "subaccounts/search",
                json!({}),
                ok(&json!({ "/data/total_count": 3, "/data/continue_token": "",
                            "/data/subaccounts/0/name": "North",
                            "/data/subaccounts/0/email": "owner@example.com",
                            "/data/subaccounts/2/id": "with-key" })),
            ),
            (
                "subaccounts/search",
                json!({ "sort_direction": "desc", "page_size": 2 }),
                ok(&json!({ "/data/subaccounts/1/name": "South", "/data/subaccounts/2": null })),
            ),
            (
                "subaccounts/search",
                json!({ "search_terms": ["ORTH", "x"] }),
                found(1),
            ),
            (
                "subaccounts/search",
                json!({ "search_terms": ["North", "sout"], "fuzzy_search": false }),
                found(1),
            ),
            (
                "subaccounts/search",
                json!({ "states": "closed" }),
                found(0),
            ),
            (
                "subaccounts/search",
                json!({ "states": "open" }),
                Field("states"),
            ),
            // Each subaccount has its own state.
            (
                "suppression/add",
                within(json!({ "email_address": "kim@example.net" })),
                ok(&json!({ "/data/added": true })),
            ),
            (
                "suppression/view",
                json!({}),
                ok(&json!({ "/data/total_results": 0 })),
            ),
            (
                "suppression/view",
                within(json!({ "end_date": "2999-01-01" })),
                ok(&json!({ "/data/total_results": 1 })),
            ),
            (
                "suppression/view",
                json!({ "subaccount_id": "unknown" }),
                Refused(400),
            ),
            // Subaccounts can use the master account's domains.
            (
                "domain/view",
                within(json!({})),
                ok(&json!({ "/data/domains/0/domain/fulldomain": "example.com",
                            "/data/domains/0/from_master": true })),
            ),
            (
                "domain/subaccount_access",
                json!({ "domain": "example.com", "subaccounts": ["with-key"] }),
                ok(
                    &json!({ "/data": { "domain": "example.com", "subaccounts": ["with-key"],
                                       "future_subaccounts": false } }),
                ),
            ),
            (
                "domain/view",
                within(json!({})),
                ok(&json!({ "/data/domains": [] })),
            ),
            (
                "domain/subaccount_access",
                json!({ "domain": "example.com", "subaccounts": ["unknown"] }),
                Refused(400),
            ),
        ],
    );
    let send = || mail("a@example.com", "b@example.net");
    let key = call(&sandbox, "api_keys/add", &within(json!({})));
    let key = key["data"][0]["api_key"].as_str().unwrap();
    let main = sandbox.key();
    for (key, path, body, wanted) in [
        (own, "email/send", send(), ok(&json!({}))),
        (
            own,
            "domain/remove",
            json!({ "domain": "example.com" }),
            Refused(400),
        ),
        (
            own,
            "domain/subaccount_access",
            json!({ "domain": "example.com", "subaccounts": [] }),
            Refused(400),
        ),
        (own, "subaccounts/search", json!({}), Refused(400)),
        (own, "suppression/view", within(json!({})), Refused(400)),
        (key, "email/send", send(), Refused(400)),
        (
            key,
            "email/send",
            mail("a@example.org", "b@example.net"),
            Refused(400),
        ),
        (
            main,
            "domain/subaccount_access",
            json!({ "domain": "example.com", "subaccounts": [north] }),
            ok(&json!({})),
        ),
        (key, "email/send", send(), ok(&json!({}))),
        (
            main,
            "subaccounts/search",
            json!({ "search_terms": [north] }),
            ok(&json!({ "/data/subaccounts/0/plan_used": 1,
                        "/data/subaccounts/0/plan_remaining": 9_999 })),
        ),
        (main, "subaccount/reopen", id(json!({})), Refused(400)),
        (main, "subaccount/close", id(json!({})), ok(&json!({}))),
        (main, "subaccount/close", id(json!({})), Refused(400)),
        (key, "email/send", send(), Refused(401)),
        (main, "suppression/view", within(json!({})), Refused(400)),
        (
            main,
            "subaccounts/search",
            json!({ "states": "closed" }),
            found(1),
        ),
        (main, "subaccount/reopen", id(json!({})), ok(&json!({}))),
        (main, "suppression/view", within(json!({})), ok(&json!({}))),
        (key, "email/send", send(), ok(&json!({}))),
        (
            main,
            "subaccount/close",
            json!({ "id": "unknown" }),
            Refused(400),
        ),
    ] {
        check(&sandbox, key, path, &body, &wanted);
    }
}

/// Compares random calls with a simple model. Uses few names, so that calls affect each other.
#[test]
fn random_calls_give_the_same_state_as_a_simple_model() {
    for seed in 0..3 {
        let sandbox = sandbox(|builder| builder);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut templates: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
        let mut suppressed: Vec<String> = Vec::new();
        let mut allowed: Vec<String> = Vec::new();
        let mut enabled = false;
        for _ in 0..80 {
            let id = format!("template-{}", random.u8(0..4));
            let address = format!("{}@example.net", random.u8(0..4));
            let subject = random.u16(..).to_string();
            match random.u8(0..9) {
                0 => {
                    let body = json!({ "id": id, "template_name": id, "subject": subject,
                                       "html_body": "h", "text_body": "t", "tags": [address] });
                    let wanted = if templates.contains_key(&id) {
                        Refused(400)
                    } else {
                        ok(&json!({}))
                    };
                    check(&sandbox, sandbox.key(), "template/add", &body, &wanted);
                    templates.entry(id).or_insert((subject, vec![address]));
                }
                1 => {
                    let new_id = format!("template-{}", random.u8(0..4));
                    let body = json!({ "id": id, "new_id": new_id, "subject": subject });
                    let free = new_id == id || !templates.contains_key(&new_id);
                    let wanted = match templates.get(&id).cloned() {
                        Some((_, tags)) if free => {
                            templates.remove(&id);
                            templates.insert(new_id, (subject, tags));
                            ok(&json!({}))
                        }
                        _ => Refused(400),
                    };
                    check(&sandbox, sandbox.key(), "template/edit", &body, &wanted);
                }
                2 => {
                    let wanted = match templates.remove(&id) {
                        Some(_) => ok(&json!({})),
                        None => Refused(400),
                    };
                    check(
                        &sandbox,
                        sandbox.key(),
                        "template/delete",
                        &json!({ "id": id }),
                        &wanted,
                    );
                }
                3 => {
                    let new = !suppressed.contains(&address);
                    let body = json!({ "email_address": address });
                    let wanted = ok(&json!({ "/data/added": new }));
                    check(&sandbox, sandbox.key(), "suppression/add", &body, &wanted);
                    if new {
                        suppressed.push(address);
                    }
                }
                4 => {
                    let body = json!({ "email_address": address, "reasons": ["manual"] });
                    let there = suppressed.contains(&address);
                    let wanted = ok(&json!({ "/data/suppressions/0/removed": there }));
                    check(
                        &sandbox,
                        sandbox.key(),
                        "suppression/remove",
                        &body,
                        &wanted,
                    );
                    suppressed.retain(|present| *present != address);
                }
                5 => {
                    let body = json!({ "allowed_recipients": [address] });
                    call(&sandbox, "allowed_recipients/add", &body);
                    if !allowed.contains(&address) {
                        allowed.push(address);
                    }
                }
                6 => {
                    enabled = random.bool();
                    let body = json!({ "allowed_recipients": [address], "enabled": enabled });
                    call(&sandbox, "allowed_recipients/remove", &body);
                    allowed.retain(|present| *present != address);
                }
                7 => {
                    let wanted = match !enabled || allowed.contains(&address) {
                        true => ok(&json!({})),
                        false => Refused(400),
                    };
                    let body = mail("a@example.com", &address);
                    check(&sandbox, sandbox.key(), "email/send", &body, &wanted);
                }
                _ => {
                    let list = call(&sandbox, "allowed_recipients/view", &json!({}));
                    let wanted = json!({ "allowed_recipients": allowed, "enabled": enabled });
                    assert_eq!(list["data"], wanted, "seed {seed}");
                }
            }
            let found = call(&sandbox, "template/search", &json!({}));
            let found: Vec<_> = found["data"]["templates"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| {
                    (
                        row["id"].clone(),
                        row["subject"].clone(),
                        row["tags"].clone(),
                    )
                })
                .collect();
            let mut wanted: Vec<_> = templates
                .iter()
                .map(|(id, (subject, tags))| (json!(id), json!(subject), json!(tags)))
                .collect();
            let key = |row: &(Value, Value, Value)| row.0.to_string();
            let mut found = found;
            found.sort_by_key(key);
            wanted.sort_by_key(key);
            assert_eq!(found, wanted, "seed {seed}");
            let found = call(
                &sandbox,
                "suppression/view",
                &json!({ "end_date": "2999-01-01" }),
            );
            let rows = found["data"]["results"].as_array().unwrap().iter();
            let found: Vec<_> = rows
                .map(|row| row["email_address"].as_str().unwrap())
                .collect();
            assert_eq!(found, suppressed, "seed {seed}");
        }
    }
}
