//! Values, fields and operations that the API has added since this version.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::operation::{FailureIn200, Kind, Operation};
use smtp2go_sdk::types::{
    AllowedRecipients, AllowedRecipientsUpdateRequest, AllowedSenders, AllowedSendersUpdateRequest,
    ApiKey, ApiKeysAddRequest, ApiKeysEditRequest, ApiKeysViewRequest, DomainAccess,
    DomainSubaccountAccessRequest, EmailEventKind, EmailSendRequest, IpAllowListEditRequest,
    IpAllowListEntry, KeepUnknown, SmsEventKind, SmtpUser, SmtpUsersAddRequest,
    SmtpUsersEditRequest, Subaccount, SubaccountEditRequest, SuppressionType,
    SuppressionViewRequest, Template, TemplateEditRequest, TemplateResponse, TemplateViewRequest,
    Validate, Webhook, WebhookAddRequest, WebhookEditRequest, WebhookViewRequest,
};
use smtp2go_sdk::{Body, Certainty, Client, Email, Error, KeyLocation, Mime, RetryPolicy};

use crate::log_watch::watched;
use crate::support::{
    KEY, Tested, answer, answering, body, json as sent, nowhere, one_by_one, sandbox,
};

// Values

#[tokio::test]
async fn unlisted_value_is_sent_and_misspelt_one_refused() {
    let server = answering(r#"{"data":{"id":1}}"#);
    let client = server.client();
    let request = WebhookAddRequest::new("https://example.com/webhook");
    for (event, refused) in [
        (EmailEventKind::from("opn"), true),
        (EmailEventKind::from("read"), true),
        (EmailEventKind::unlisted("Open"), true),
        (EmailEventKind::unlisted("spam-complaint"), true),
        (EmailEventKind::unlisted("open"), false),
        (EmailEventKind::unlisted("read"), false),
    ] {
        let before = server.calls().len();
        let request = request.clone().events([event.clone()]);
        let result = client.webhook().add(request).await;
        assert_eq!(result.is_err_and(|error| error.is_validation()), refused);
        let calls = server.calls().split_off(before);
        let events: Vec<_> = calls
            .iter()
            .map(|call| sent(call)["events"].clone())
            .collect();
        let expected = if refused {
            vec![]
        } else {
            vec![json!([event])]
        };
        assert_eq!(events, expected, "{event:?}");
    }
    // A value made from text is refused too.
    let request = SuppressionViewRequest::new();
    let spelt = request.clone().suppression_types(["Bounce"]);
    client.suppression().view(spelt).await.unwrap();
    let spelt = request.suppression_types([SuppressionType::unlisted("Bounce")]);
    let error = client.suppression().view(spelt).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "POST /suppression/view: invalid request, nothing was sent: \
         suppression_types[0]: \"Bounce\" is not a new value: use \"bounce\""
    );
}

#[tokio::test]
async fn unlisted_value_of_a_reply_can_be_sent_back() {
    let shown = r#"{"data":[{"id":7,"events":["open","Read"],"sms_events":"opt-out"}]}"#;
    let server = one_by_one([answer(200, shown), answer(200, "{}")]);
    let client = server.client();
    let webhooks = client
        .webhook()
        .view(WebhookViewRequest::new())
        .await
        .unwrap();
    assert_eq!(webhooks[0].events, [EmailEventKind::Open, "Read".into()]);
    assert_eq!(webhooks[0].sms_events, [SmsEventKind::from("opt-out")]);

    let edit = WebhookEditRequest::new(7)
        .events(webhooks[0].events.clone())
        .sms_events(webhooks[0].sms_events.clone());
    client.webhook().edit(edit).await.unwrap();
    assert_eq!(
        sent(&server.calls()[1]),
        json!({"id": 7, "events": ["open", "Read"], "sms_events": ["opt-out"]})
    );
}

// Fields

#[tokio::test]
async fn unlisted_field_is_sent() {
    let server = answering(r#"{"data":{"succeeded":1,"email_id":"e","id":1}}"#);
    let client = server.client();
    let mail = || {
        Email::new("a@example.com", "Hi")
            .to("b@example.net")
            .text("Hi")
    };
    client.send(mail().extra("campaign", 7)).await.unwrap();
    let mails = [mail()
        .extra("campaign", "spring")
        .extra("campaign", json!([7]))];
    let _ = client.send_batch(mails).await;
    let mime = Mime::from_bytes("Subject: Hi\r\n\r\nHi\r\n").extra("campaign", true);
    client.send_mime(mime).await.unwrap();
    let webhook = WebhookAddRequest::new("https://example.com/webhook").extra("campaign", 7);
    client.webhook().add(webhook.clone()).await.unwrap();
    #[cfg(feature = "raw")]
    client.raw().webhook_add(&webhook).await.unwrap();
    let calls = server.calls();
    assert_eq!(sent(&calls[0])["campaign"], 7);
    assert_eq!(sent(&calls[1])["emails"][0]["campaign"], json!([7]));
    assert_eq!(sent(&calls[2])["campaign"], true);
    for call in &calls[3..] {
        assert_eq!(sent(call)["campaign"], 7);
    }
}

#[tokio::test]
async fn extra_field_with_a_listed_name_sends_nothing() {
    let server = answering("{}");
    let client = server.client();
    let mail = || {
        Email::new("a@example.com", "Hi")
            .to("b@example.net")
            .text("Hi")
    };
    let mime = || Mime::from_bytes("Subject: Hi\r\n\r\nHi\r\n");
    for name in ["sender", "Sender", "html-body", "api_key", "subaccount_id"] {
        let error = client.send(mail().extra(name, 7)).await.unwrap_err();
        assert!(error.is_validation(), "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
        let error = client.send_batch([mail().extra(name, 7)]).await;
        assert!(error.is_err_and(|error| error.is_validation()), "{name}");
    }
    for name in ["mime_email", "fastaccept", "api_key"] {
        let error = client.send_mime(mime().extra(name, 7)).await;
        assert!(error.is_err_and(|error| error.is_validation()), "{name}");
    }
    for name in ["url", "api_key", "subaccount_id"] {
        let webhook = WebhookAddRequest::new("https://example.com/webhook").extra(name, 7);
        let error = client.webhook().add(webhook).await;
        assert!(error.is_err_and(|error| error.is_validation()), "{name}");
    }
    assert_eq!(server.calls().len(), 0);
}

/// Settings of a reply are written back, including those that this version does not list.
#[test]
fn based_on_keeps_every_setting_of_a_reply() {
    fn check<R: DeserializeOwned, Q: Serialize + Validate>(
        edit: impl FnOnce(R) -> Q,
        mut reply: Value,
        mut request: Value,
    ) {
        let made_up = json!({"some": ["thing", null], "n": 1.5});
        reply["made_up"] = made_up.clone();
        request["made_up"] = made_up;
        let current = serde_json::from_value(reply).unwrap();
        let edit = edit(current);
        edit.validate().unwrap();
        assert_eq!(serde_json::to_value(&edit).unwrap(), request);
    }
    check(
        |webhook: Webhook| WebhookEditRequest::new(7).based_on(webhook),
        json!({
            "id": 7, "url": "https://example.com/hook", "events": ["open", "Read"],
            "sms_events": ["opt-out"], "headers": ["X-Order"], "usernames": [],
            "output_format": "cbor", "auth_header_type": "bearer", "auth_header_value": "abcd****",
            "subaccount_id": "4c1f",
        }),
        json!({
            "id": 7, "url": "https://example.com/hook", "events": ["open", "Read"],
            "sms_events": ["opt-out"], "headers": ["X-Order"], "output_format": "cbor",
            "auth_header_type": "bearer", "subaccount_id": "4c1f",
        }),
    );
    check(
        |key: ApiKey| ApiKeysEditRequest::new(KEY).based_on(key),
        json!({
            "api_key": "api-0123456789ab********************", "username": "api-0123456789ab",
            "description": "shop", "custom_ratelimit": true, "custom_ratelimit_value": 5,
            "custom_ratelimit_period": "1 hour", "default_ratelimit_value": 100, "ippool": 3,
            "feedback_enabled": false, "status": "paused", "endpoints": ["/email/send"],
        }),
        json!({
            "id": KEY, "description": "shop", "custom_ratelimit": true,
            "custom_ratelimit_value": 5, "custom_ratelimit_period": "1 hour", "ip_pool": 3,
            "feedback_enabled": false, "status": "paused", "endpoints": ["/email/send"],
        }),
    );
    check(
        |user: SmtpUser| SmtpUsersEditRequest::new("shop").based_on(user),
        json!({
            "username": "shop", "comments": "old", "email_password": "p4ssw0rd", "ippool": 3,
            "sending_allowed": true, "click_tracking_enabled": true, "status": "allowed",
        }),
        json!({
            "username": "shop", "description": "old", "email_password": "p4ssw0rd", "ip_pool": 3,
            "click_tracking_enabled": true, "status": "allowed",
        }),
    );
    check(
        |template: Template| TemplateEditRequest::new("welcome").based_on(template),
        json!({
            "id": "welcome", "name": "Welcome", "subject": "Hi", "tags": ["a"],
            "html_body": "<p>", "template_variables": {"name": "Jane"}, "last_updated": "2026-01-01",
        }),
        json!({
            "id": "welcome", "template_name": "Welcome", "subject": "Hi", "tags": ["a"],
            "html_body": "<p>", "template_variables": {"name": "Jane"},
        }),
    );
    check(
        |subaccount: Subaccount| SubaccountEditRequest::new("4c1f").based_on(subaccount),
        json!({
            "id": "4c1f", "name": "Shop", "state": "Active", "plan_size": 10000, "plan_used": 7,
            "dedicated_ip": false, "archiving": true, "enforce_2fa": true, "sms_enabled": true,
            "sms_limit": 50,
        }),
        json!({
            "id": "4c1f", "fullname": "Shop", "limit": 10000, "dedicated_ip": false,
            "archiving": true, "enforce_2fa": true, "enable_sms": true, "sms_limit": 50,
        }),
    );
    check(
        |entry: IpAllowListEntry| IpAllowListEditRequest::new().based_on(entry),
        json!({"ip_address": "192.0.2.1", "description": "office"}),
        json!({"ip_address": "192.0.2.1", "description": "office"}),
    );
    check(
        |access: DomainAccess| {
            DomainSubaccountAccessRequest::new("example.com", ["4c1f"]).based_on(access)
        },
        json!({"subaccounts": ["4c1f", "5d20"], "future_subaccounts": true}),
        json!({"domain": "example.com", "subaccounts": ["4c1f"], "future_subaccounts": true}),
    );
    check(
        |senders: AllowedSenders| {
            let mode = senders.mode.clone().unwrap();
            AllowedSendersUpdateRequest::new(senders.allowed_senders.clone(), mode)
                .based_on(senders)
        },
        json!({"allowed_senders": ["example.com"], "mode": "greylist"}),
        json!({"allowed_senders": ["example.com"], "mode": "greylist"}),
    );
    check(
        |recipients: AllowedRecipients| {
            let enabled = recipients.enabled.unwrap();
            let list = recipients.allowed_recipients.clone();
            AllowedRecipientsUpdateRequest::new(list, enabled).based_on(recipients)
        },
        json!({"allowed_recipients": ["example.net"], "enabled": true}),
        json!({"allowed_recipients": ["example.net"], "enabled": true}),
    );
}

#[tokio::test]
async fn webhook_read_changed_and_written_back_loses_nothing() {
    let shown = r#"{"data":[{"id":7,"url":"https://example.com/hook","events":["open"],
        "paused":false,"relay":{"X-A":"b"}}]}"#;
    let server = one_by_one([answer(200, shown), answer(200, "{}")]);
    let client = server.client();
    let webhooks = client
        .webhook()
        .view(WebhookViewRequest::new())
        .await
        .unwrap();
    let webhook = webhooks.into_inner().remove(0);
    let edit = WebhookEditRequest::new(7)
        .url("https://example.com/new")
        .based_on(webhook)
        .extra("paused", true);
    client.webhook().edit(edit).await.unwrap();
    assert_eq!(
        sent(&server.calls()[1]),
        json!({
            "id": 7, "url": "https://example.com/new", "events": ["open"], "paused": true,
            "relay": {"X-A": "b"},
        })
    );
}

#[tokio::test]
async fn unlisted_field_of_a_reply_is_kept() {
    let server = answering(r#"{"trace":"t","data":{"id":"w","subject":"s","tone":{"a":[1]}}}"#);
    let client = server.client();
    let view = TemplateViewRequest::new("w");
    let template = client.template().view(view).await.unwrap();
    assert_eq!(template.extra["tone"], json!({"a": [1]}));
    let reply = client.execute(
        &smtp2go_sdk::operations::TEMPLATE_VIEW,
        r#"{"id":"w"}"#.into(),
    );
    let whole: TemplateResponse = reply.await.unwrap().json().unwrap();
    assert_eq!(whole.extra["trace"], "t");
}

/// The full edit of a key resets the settings that the request omits.
#[tokio::test]
async fn key_edited_based_on_its_state_keeps_its_settings() {
    let server = Sandbox::builder().strict(true).start_blocking().unwrap();
    let client = server.client();
    let add = ApiKeysAddRequest::new()
        .description("shop")
        .custom_ratelimit(true)
        .custom_ratelimit_value(5)
        .custom_ratelimit_period("1 hour")
        .feedback_enabled(true)
        .endpoints(["/email/send", "/sms/send"]);
    let added = client
        .api_keys()
        .add(add)
        .await
        .unwrap()
        .into_inner()
        .remove(0);
    let full = added.api_key.clone().unwrap();
    let view = async || {
        let search = ApiKeysViewRequest::new().search("shop");
        let keys = client.api_keys().view(search).await.unwrap();
        keys.into_inner().remove(0)
    };
    let before = view().await;

    let edit = ApiKeysEditRequest::new(full)
        .based_on(before.clone())
        .open_tracking_enabled(true);
    client.api_keys().edit(edit).await.unwrap();
    let mut after = view().await;
    assert_eq!(after.open_tracking_enabled.take(), Some(true));
    after.open_tracking_enabled = before.open_tracking_enabled;
    assert_eq!(after, before);
}

/// A key without a custom rate limit shows the period `0:00:00`, which can't be sent.
#[tokio::test]
async fn api_key_and_smtp_user_with_default_settings_are_read_changed_and_written_back() {
    for strict in [false, true] {
        let sandbox = Sandbox::builder().strict(strict).start().await.unwrap();
        let client = Client::builder(watched(sandbox.key()))
            .base_url(sandbox.base_url())
            .build()
            .unwrap();
        let keys = client.api_keys();
        let added = keys.add(ApiKeysAddRequest::new()).await.unwrap();
        let key = added.into_inner().remove(0);
        let edit = ApiKeysEditRequest::new(key.api_key.clone().unwrap());
        let edit = edit.based_on(key.clone()).description("shop");
        let edited = keys.edit(edit).await.unwrap().into_inner().remove(0);
        assert_eq!(edited.description.as_deref(), Some("shop"));
        assert_eq!(edited.custom_rate_limit, key.custom_rate_limit);
        assert_eq!(edited.endpoints, key.endpoints);

        let users = client.smtp_users();
        let added = users
            .add(SmtpUsersAddRequest::new("shop-user"))
            .await
            .unwrap();
        let user = added.into_inner().results.remove(0);
        let edit = SmtpUsersEditRequest::new("shop-user").based_on(user.clone());
        let edited = users.edit(edit.feedback_enabled(true)).await.unwrap();
        let edited = edited.into_inner().results.remove(0);
        assert_eq!(edited.feedback_enabled, Some(true));
        assert_eq!(edited.email_password, user.email_password);
    }
}

#[test]
fn json_request_is_strict_at_every_depth_without_keep_unknown() {
    let json = r#"{"sender":"a@example.com","to":["b@example.net"],"attachments":[
        {"filename":"a.txt","fileblob":"YQ==","mimetype":"text/plain","shade":1}],"fastaccept":false}"#;
    let misspelt = r#"{"sender":"a@example.com","to":[],"shedule":"now"}"#;
    let read = |json| {
        serde_json::from_str::<EmailSendRequest>(json)
            .unwrap_err()
            .to_string()
    };
    assert!(
        read(json).starts_with("unknown field `attachments[0].shade`"),
        "{}",
        read(json)
    );
    let says = "unknown field `shedule`, did you mean `schedule`?";
    assert!(read(misspelt).starts_with(says), "{}", read(misspelt));
    let KeepUnknown(request) = serde_json::from_str::<KeepUnknown<EmailSendRequest>>(json).unwrap();
    let written = serde_json::to_value(&request).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(json).unwrap());
}

// Operations

static READS: Operation = Operation::post("/stats/email_reads");

#[tokio::test]
async fn operation_defined_by_the_user_is_called() {
    let server = answering(r#"{"request_id":"r-1","data":{"reads":3}}"#);
    let client = server.client();
    let reply = client.execute(&READS, Body::from(r#"{"days":7}"#)).await;
    let reply = reply.unwrap();
    assert_eq!(reply.request_id(), Some("r-1"));
    assert_eq!(reply.json::<Value>().unwrap()["data"]["reads"], 3);
    assert!(reply.json::<Vec<u8>>().unwrap_err().is_decode());
    let call = server.call();
    assert_eq!(
        (call.method(), call.path()),
        ("POST", "/v3/stats/email_reads")
    );
    assert_eq!(call.header("x-smtp2go-api-key"), Some(KEY));
    assert_eq!(body(&call), r#"{"days":7}"#);

    // An operation made in a const block, with another method.
    let patch = const { &Operation::new(http::Method::PATCH, "/thing") };
    client.execute(patch, Body::empty()).await.unwrap();
    assert_eq!(server.calls()[1].method(), "PATCH");
}

#[tokio::test]
async fn error_of_own_operation_names_the_operation() {
    let server = Sandbox::builder().key(KEY).start_blocking().unwrap();
    let error = server.client().execute(&READS, Body::empty()).await;
    let error = error.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(404));
    assert_eq!(error.operation().unwrap().id, "/stats/email_reads");
    let line = error.to_string();
    assert!(line.starts_with("POST /stats/email_reads: "), "{line}");

    static NAMED: Operation = Operation::post("/stats/email_reads").named("stats_email_reads");
    let error = server.client().execute(&NAMED, Body::empty()).await;
    assert_eq!(
        error.unwrap_err().operation().unwrap().id,
        "stats_email_reads"
    );
}

#[tokio::test]
async fn own_operation_is_retried_only_if_marked_idempotent() {
    static SAFE: Operation = Operation::post("/stats/email_reads")
        .kind(Kind::Read)
        .repeat_safe(true);
    let retry = RetryPolicy::new().min_backoff(Duration::ZERO);
    for (operation, fault, attempts) in [
        (&READS, Fault::status(503), 1),
        (&READS, Fault::reset(), 1),
        (&SAFE, Fault::status(503), 3),
        (&SAFE, Fault::reset(), 3),
    ] {
        let shown = format!("{operation:?} {fault:?}");
        let server = sandbox(fault);
        let client = server.builder().retry(retry).build().unwrap();
        let error = client.execute(operation, Body::empty()).await.unwrap_err();
        assert_eq!(error.attempts(), attempts, "{shown}: {error}");
    }
    // Nothing was sent, so the call is retried.
    let client = Client::builder(watched(KEY)).base_url(nowhere());
    let client = client.retry(retry).build().unwrap();
    let error = client.execute(&READS, Body::empty()).await.unwrap_err();
    assert_eq!(error.attempts(), 3, "{error}");
}

#[tokio::test]
async fn own_operation_keeps_its_limits() {
    static LIMITED: Operation = Operation::post("/thing/add")
        .rate_limit(2, Duration::from_secs(3600))
        .max_body_bytes(20)
        .subaccount("subaccount_id")
        .key_in_body("api_key");
    let server = answering("{}");
    let client = server
        .builder()
        .key_location(KeyLocation::Bearer)
        .build()
        .unwrap();
    let refused = |error: &Error| error.certainty() == Certainty::NotSent;

    let error = client.execute(&LIMITED, Body::empty()).await.unwrap_err();
    assert!(refused(&error), "{error}");
    let large = Body::from(vec![b' '; 1024 * 1024 + 1]);
    let error = client.execute(&READS, large).await.unwrap_err();
    assert!(refused(&error), "{error}");
    let error = client
        .for_subaccount("4c1f")
        .execute(&READS, Body::empty())
        .await;
    assert!(refused(&error.unwrap_err()));
    assert_eq!(server.calls().len(), 0);

    static RATED: Operation = Operation::post("/thing/add")
        .rate_limit(2, Duration::from_secs(3600))
        .subaccount("subaccount_id")
        .key_in_body("api_key");
    let theirs = client.for_subaccount("4c1f");
    for _ in 0..2 {
        theirs.execute(&RATED, Body::empty()).await.unwrap();
    }
    let started = Instant::now();
    let error = theirs.execute(&RATED, Body::empty()).await.unwrap_err();
    assert!(error.is_rate_limited() && refused(&error), "{error}");
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(server.calls().len(), 2);
    assert_eq!(
        sent(&server.calls()[0]),
        json!({"api_key": KEY, "subaccount_id": "4c1f"})
    );
}

#[tokio::test]
async fn failure_in_200_of_own_operation_is_an_error() {
    static SEND: Operation = Operation::post("/email/send_later")
        .kind(Kind::Send)
        .failure_in_200(FailureIn200::MAIL);
    let failed = r#"{"data":{"succeeded":0,"failed":1,"failures":["no such sender"]}}"#;
    let server = answering(failed);
    let error = server
        .client()
        .execute(&SEND, Body::empty())
        .await
        .unwrap_err();
    assert_eq!(error.failures(), ["no such sender"]);
    assert_eq!(error.certainty(), Certainty::Rejected);
    let server = answering(r#"{"data":{"error":"no","error_code":"E_X"}}"#);
    let error = server
        .client()
        .execute(&READS, Body::empty())
        .await
        .unwrap_err();
    assert_eq!(error.certainty(), Certainty::Rejected);
}

#[tokio::test]
async fn path_outside_of_the_base_url_sends_nothing() {
    static ELSEWHERE: [Operation; 5] = [
        Operation::post("//127.0.0.1/thing"),
        Operation::post("http://127.0.0.1/thing"),
        Operation::post(":9/thing"),
        Operation::post("/../thing"),
        Operation::post("/thing?key=1"),
    ];
    let server = answering("{}");
    for operation in &ELSEWHERE {
        let error = server.client().execute(operation, Body::empty()).await;
        let error = error.unwrap_err();
        assert!(error.is_config() && error.certainty() == Certainty::NotSent);
        assert!(error.to_string().contains(operation.path), "{error}");
    }
    assert_eq!(server.calls().len(), 0);
}

#[cfg(feature = "blocking")]
#[test]
fn blocking_client_calls_own_operation() {
    let server = answering(r#"{"data":{"reads":3}}"#);
    let client = smtp2go_sdk::blocking::Client::builder(watched(KEY))
        .base_url(server.base_url())
        .build()
        .unwrap();
    let reply = client.execute(&READS, Body::empty()).unwrap();
    assert_eq!(reply.json::<Value>().unwrap()["data"]["reads"], 3);
    assert_eq!(server.call().path(), "/v3/stats/email_reads");
}
