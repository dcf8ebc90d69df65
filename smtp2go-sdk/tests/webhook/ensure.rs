//! `Client::ensure_webhook` with the sandbox, and with a service that ignores settings.

use serde_json::{Map, Value, json};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::types::{EmailEventKind, SmsEventKind, WebhookFormat};
use smtp2go_sdk::webhook::{Auth, Change, EnsuredWebhook, Subscription};
use smtp2go_sdk::{Certainty, Client, RetryPolicy};

use crate::log_watch::watched;

const URL: &str = "https://example.com/webhook";

fn account() -> Sandbox {
    Sandbox::start_blocking().unwrap()
}

fn client(account: &Sandbox) -> Client {
    Client::builder(watched(account.key()))
        .base_url(account.base_url())
        .retry(RetryPolicy::none())
        .build()
        .unwrap()
}

/// Returns the requests to add and to edit, after the first `since` calls.
fn writes(account: &Sandbox, since: usize) -> Vec<Map<String, Value>> {
    let calls = account.calls().split_off(since);
    let writes = calls.iter().filter(|call| !call.path().ends_with("/view"));
    writes
        .map(|call| serde_json::from_slice(call.body()).unwrap())
        .collect()
}

/// Returns the account's webhooks as the last reply showed them.
fn webhooks(account: &Sandbox) -> Vec<Map<String, Value>> {
    let calls = account.calls();
    let mut views = calls
        .iter()
        .rev()
        .filter(|call| call.path().ends_with("/view"));
    let reply: Value = serde_json::from_slice(views.next().unwrap().reply()).unwrap();
    serde_json::from_value(reply["data"].clone()).unwrap()
}

/// Makes every further reply show these webhooks.
fn shows(account: &Sandbox, webhooks: &[Map<String, Value>]) {
    let reply = json!({ "request_id": "r", "data": webhooks });
    account
        .faults()
        .clear()
        .add(Fault::status(200).json(&reply).on("webhook_view"));
}

fn summary(ensured: &EnsuredWebhook) -> (Change, Vec<String>) {
    let differences = ensured.differences.iter().map(ToString::to_string);
    (ensured.change, differences.collect())
}

#[tokio::test]
async fn webhook_is_created_once_and_updated_on_differences() {
    let account = account();
    let client = client(&account);
    // `ensure_webhook` does not trust the reply to an edit: it reads the webhook back.
    account.faults().add(
        Fault::status(200)
            .json(&json!({ "request_id": "r", "data": { "url": "https://example.com/" } }))
            .carried_out(true)
            .on("webhook_edit"),
    );
    let mut id = None;
    let events = [EmailEventKind::Bounce, EmailEventKind::Spam];
    for (auth, url, kind, value) in [
        (None, URL, Value::Null, Value::Null),
        (
            Some(Auth::bearer(watched("t0ken")).unwrap()),
            URL,
            json!("bearer"),
            json!("t0ken"),
        ),
        (
            Some(Auth::bearer(watched("0ther")).unwrap()),
            URL,
            json!("bearer"),
            json!("0ther"),
        ),
        (
            Some(Auth::basic("user", watched("passw0rd")).unwrap()),
            URL,
            json!("basic"),
            json!("dXNlcjpwYXNzdzByZA=="),
        ),
        (
            Some(Auth::basic_in_url("user", watched("p/ass")).unwrap()),
            "https://user:p%2Fass@example.com/webhook",
            json!(""),
            json!(""),
        ),
        (
            Some(Auth::secret_query("token", "a b").unwrap()),
            "https://example.com/webhook?token=a+b",
            json!(""),
            json!(""),
        ),
        (
            Some(Auth::secret_query("token", "c").unwrap()),
            "https://example.com/webhook?token=c",
            json!(""),
            json!(""),
        ),
    ] {
        let before = account.calls().len();
        let ensured = client
            .ensure_webhook(URL, events.clone(), auth.as_ref())
            .await
            .unwrap();
        let change = match id {
            None => Change::Created,
            Some(_) => Change::Updated,
        };
        id.get_or_insert(ensured.webhook.id);
        assert_eq!(summary(&ensured), (change, vec![]), "{auth:?}");
        assert!(ensured.is_as_asked() && !ensured.secret_unseen);
        assert_eq!(
            (Some(ensured.webhook.id), ensured.webhook.url.as_deref()),
            (id, Some(url))
        );
        assert_eq!(ensured.webhook.output_format, Some(WebhookFormat::Json));
        let written = writes(&account, before);
        assert_eq!(written.len(), 1, "{auth:?}");
        let written = &written[0];
        assert_eq!(
            written.get("auth_header_type").unwrap_or(&Value::Null),
            &kind
        );
        assert_eq!(
            written.get("auth_header_value").unwrap_or(&Value::Null),
            &value
        );

        let before = account.calls().len();
        let again = client
            .ensure_webhook(URL, events.clone(), auth.as_ref())
            .await
            .unwrap();
        assert_eq!(summary(&again), (Change::Unchanged, vec![]));
        assert_eq!(again.webhook, ensured.webhook);
        assert_eq!(writes(&account, before).len(), 0);
    }
    // Another secret path is another webhook, and so is another address.
    for (url, auth, registered) in [
        (
            URL,
            Auth::secret_path("a/b").unwrap(),
            "https://example.com/webhook/a%2Fb",
        ),
        (
            "https://example.com/other/",
            Auth::secret_path("c").unwrap(),
            "https://example.com/other/c",
        ),
        (
            "https://example.com/other",
            Auth::secret_path("d").unwrap(),
            "https://example.com/other/d",
        ),
    ] {
        for change in [Change::Created, Change::Unchanged] {
            let ensured = client
                .ensure_webhook(url, events.clone(), &auth)
                .await
                .unwrap();
            assert_eq!(summary(&ensured), (change, vec![]));
            assert_eq!(ensured.webhook.url.as_deref(), Some(registered));
        }
    }
    assert_eq!(webhooks(&account).len(), 4);
}

#[tokio::test]
async fn unspecified_settings_are_kept() {
    let account = account();
    let client = client(&account);
    let all = Subscription::email([EmailEventKind::Open])
        .and_sms([SmsEventKind::Failed])
        .headers(["X-Order"])
        .usernames(["acme"])
        .format(WebhookFormat::Form);
    let ensured = client.ensure_webhook(URL, all, None).await.unwrap();
    assert_eq!(summary(&ensured), (Change::Created, vec![]));
    let (id, before) = (ensured.webhook.id, account.calls().len());

    let ensured = client
        .ensure_webhook(URL, [SmsEventKind::Rejected], None)
        .await
        .unwrap();
    assert_eq!(summary(&ensured), (Change::Updated, vec![]));
    // The edit has every field: what happens to omitted ones is not documented.
    assert_eq!(
        Value::from(writes(&account, before).remove(0)),
        json!({
            "id": id, "url": URL, "events": ["open"], "sms_events": ["rejected"],
            "headers": ["X-Order"], "usernames": ["acme"], "output_format": "json",
            "disabled": false, "auth_header_type": "", "auth_header_value": "",
        })
    );
    let none = Subscription::email([EmailEventKind::Open]).usernames([] as [&str; 0]);
    let ensured = client.ensure_webhook(URL, none, None).await.unwrap();
    assert_eq!(ensured.webhook.usernames, [] as [&str; 0]);
    assert_eq!(ensured.webhook.headers, ["X-Order"]);
}

#[tokio::test]
async fn adding_a_header_keeps_the_existing_headers() {
    let account = account();
    let client = client(&account);
    let events = || Subscription::email([EmailEventKind::Open]);
    let header = client.idempotency_header();
    for (events, change, headers) in [
        (
            events().headers(["X-Order"]),
            Change::Created,
            &["X-Order"][..],
        ),
        (
            events().and_header(header),
            Change::Updated,
            &["X-Order", "X-Idempotency-Key"],
        ),
        (
            events().and_header("x-idempotency-KEY"),
            Change::Unchanged,
            &["X-Order", "X-Idempotency-Key"],
        ),
        (
            events().headers(["X-B"]).and_header("X-A"),
            Change::Updated,
            &["X-B", "X-A"],
        ),
    ] {
        let ensured = client.ensure_webhook(URL, events, None).await.unwrap();
        assert_eq!(summary(&ensured), (change, vec![]));
        assert_eq!(ensured.webhook.headers, headers);
    }
    let other = "https://example.com/other";
    let ensured = client
        .ensure_webhook(other, events().and_header(header), None)
        .await
        .unwrap();
    assert_eq!(ensured.webhook.headers, [header]);
}

#[tokio::test]
async fn disabled_webhook_is_enabled_and_its_custom_headers_are_kept() {
    let account = account();
    let client = client(&account);
    let open = || client.ensure_webhook(URL, [EmailEventKind::Open], None);
    let _ = open().await.unwrap();
    let mut shown = webhooks(&account);
    shown[0].insert("disabled".to_owned(), json!(true));
    shown[0].insert("custom_headers".to_owned(), json!([{"X-Env": "test"}]));
    shows(&account, &shown);

    let before = account.calls().len();
    let ensured = open().await.unwrap();
    assert_eq!(ensured.change, Change::Updated);
    let [sent] = writes(&account, before).try_into().unwrap();
    assert_eq!(sent["disabled"], json!(false));
    assert_eq!(sent["custom_headers"], json!([{"X-Env": "test"}]));
    // The account still shows the webhook as disabled.
    let [difference] = ensured.differences.try_into().unwrap();
    assert_eq!(difference.to_string(), "disabled: wanted false, found true");

    shown[0].insert("disabled".to_owned(), json!(false));
    shows(&account, &shown);
    assert_eq!(open().await.unwrap().change, Change::Unchanged);
}

#[tokio::test]
async fn unlisted_events_of_the_account_are_kept() {
    let account = account();
    let client = client(&account);
    let created = client.ensure_webhook(URL, [EmailEventKind::Open], None);
    let _ = created.await.unwrap();
    let mut shown = webhooks(&account);
    shown[0].insert("events".to_owned(), json!(["open", "read"]));
    shown[0].insert("sms_events".to_owned(), json!(["Sending", "expired"]));
    shows(&account, &shown);

    let before = account.calls().len();
    let sms = Subscription::sms([SmsEventKind::Failed]);
    let _ = client.ensure_webhook(URL, sms, None).await.unwrap();
    let email = Subscription::email([EmailEventKind::unlisted("read")]);
    let _ = client.ensure_webhook(URL, email, None).await.unwrap();
    let sent = writes(&account, before);
    assert_eq!(sent[0]["events"], json!(["open", "read"]));
    assert_eq!(sent[0]["sms_events"], json!(["failed"]));
    assert_eq!(sent[1]["events"], json!(["read"]));
    assert_eq!(sent[1]["sms_events"], json!(["Sending", "expired"]));
}

#[tokio::test]
async fn ignored_settings_are_reported_as_differences() {
    let account = account();
    let client = client(&account);
    let plain = Subscription::email([EmailEventKind::Open, EmailEventKind::Spam]);
    let ensured = client.ensure_webhook(URL, plain.clone(), None).await;
    let id = ensured.unwrap().webhook.id;
    let mut shown = webhooks(&account);
    // The service need not keep the order either.
    shown[0].insert("events".to_owned(), json!(["spam", "open"]));
    shows(&account, &shown);
    let ensured = client.ensure_webhook(URL, plain, None).await.unwrap();
    assert_eq!(summary(&ensured), (Change::Unchanged, vec![]));

    let events = vec![
        EmailEventKind::Resubscribe,
        EmailEventKind::Open,
        EmailEventKind::Open,
    ];
    shown[0].insert("events".to_owned(), json!(["open"]));
    shows(&account, &shown);
    let ensured = client.ensure_webhook(URL, events, None).await.unwrap();
    let says = "events: wanted open, resubscribe, found open".to_owned();
    assert_eq!(summary(&ensured), (Change::Updated, vec![says]));
    assert!(!ensured.is_as_asked());

    // A secret that is not shown may have changed, so it is written.
    shown[0].remove("auth_header_value");
    shown[0].insert("auth_header_type".to_owned(), json!("bearer"));
    shows(&account, &shown);
    let auth = Auth::bearer(watched("t0ken")).unwrap();
    for _ in 0..2 {
        let ensured = client
            .ensure_webhook(URL, [EmailEventKind::Open], &auth)
            .await
            .unwrap();
        assert_eq!(summary(&ensured), (Change::Updated, vec![]));
        assert!(ensured.secret_unseen);
    }
    // A second webhook with the same address is reported, and the one with fewer differences kept.
    let mut other = shown[0].clone();
    other.insert("id".to_owned(), json!(7));
    other.insert("events".to_owned(), json!(["spam"]));
    shown.insert(0, other);
    shows(&account, &shown);
    let ensured = client
        .ensure_webhook(URL, [EmailEventKind::Open], &auth)
        .await
        .unwrap();
    assert_eq!((ensured.webhook.id, ensured.duplicates), (id, vec![7]));
}

#[tokio::test]
async fn refused_addition_names_the_plan_limits() {
    for (limit, says) in [
        (
            1,
            "the account already has 1 webhook; a free plan allows 1 and a paid plan 10",
        ),
        (
            10,
            "the account already has 10 webhooks; a free plan allows 1",
        ),
    ] {
        let account = account();
        let client = client(&account);
        // The sandbox itself has the limit of a paid plan.
        let refused = json!({ "data": {
            "error": "no more", "error_code": "E_ApiResponseCodes.API_EXCEPTION",
        } });
        if limit == 1 {
            let refusal = Fault::status(400).json(&refused).on("webhook_add");
            account.faults().add(refusal.nth(2));
        }
        for count in 0..limit {
            let url = format!("https://example.com/{count}");
            let ensured = client
                .ensure_webhook(url, [EmailEventKind::Open], None)
                .await
                .unwrap();
            assert_eq!(ensured.change, Change::Created);
        }
        let error = client
            .ensure_webhook(URL, [EmailEventKind::Open], None)
            .await
            .unwrap_err();
        assert_eq!(error.certainty(), Certainty::Rejected);
        assert_eq!(error.status().unwrap(), 400);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn invalid_settings_are_refused_before_sending() {
    let account = account();
    let client = client(&account);
    let open = || Subscription::email([EmailEventKind::Open]);
    for (url, events, auth, says) in [
        ("nonsense", open(), None, "url: "),
        ("ftp://example.com/", open(), None, "must be http or https"),
        (
            URL,
            Subscription::email([] as [&str; 0]),
            None,
            "list at least one event",
        ),
        (
            URL,
            open().usernames(["a", ""]),
            None,
            "usernames[1]: is empty",
        ),
        (URL, open().headers([" "]), None, "headers[0]: is empty"),
        (
            URL,
            open().headers(["X-A"]).and_header(""),
            None,
            "headers[1]: is empty",
        ),
    ] {
        let error = client
            .ensure_webhook(url, events, auth.as_ref())
            .await
            .unwrap_err();
        assert!(error.is_config(), "{error}");
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert!(error.to_string().contains(says), "{error}");
    }
    let error = client
        .ensure_webhook(URL, vec![EmailEventKind::from("opne")], None)
        .await
        .unwrap_err();
    assert!(error.is_validation(), "{error}");
    assert_eq!(error.field_errors()[0].field, "events[0]");
    assert_eq!(writes(&account, 0).len(), 0);
}
