//! The account's webhook, at a service that behaves as the real one is known to.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Map, Value, json};
use smtp2go_sdk::types::{EmailEventKind, SmsEventKind, WebhookFormat};
use smtp2go_sdk::webhook::{Auth, Change, EnsuredWebhook, Subscription};
use smtp2go_sdk::{Certainty, Client, RetryPolicy};

const KEY: &str = "api-0123456789abcdefABCDEF0123456789";
const URL: &str = "https://example.com/webhook";

/// An account with webhooks. It drops events that it does not know, without an error.
#[derive(Clone)]
struct Account(Arc<Mutex<Inner>>);

struct Inner {
    webhooks: Vec<Map<String, Value>>,
    limit: usize,
    shows_secrets: bool,
    writes: Vec<(&'static str, Map<String, Value>)>,
}

const KNOWN: [&str; 8] = [
    "processed",
    "delivered",
    "open",
    "click",
    "bounce",
    "spam",
    "unsubscribe",
    "reject",
];

type Answer = (StatusCode, String);

fn ok(data: &Value) -> Answer {
    (
        StatusCode::OK,
        json!({"request_id": "r", "data": data}).to_string(),
    )
}

fn keep(request: Map<String, Value>, id: i64) -> Map<String, Value> {
    let mut webhook = request;
    webhook.insert("id".to_owned(), id.into());
    if let Some(Value::Array(events)) = webhook.get_mut("events") {
        events.retain(|event| KNOWN.iter().any(|known| event == known));
        // Nor does it keep the order.
        events.reverse();
    }
    webhook
}

async fn add(State(account): State<Account>, body: String) -> Answer {
    let mut inner = account.0.lock().unwrap();
    let body: Map<String, Value> = serde_json::from_str(&body).unwrap();
    inner.writes.push(("add", body.clone()));
    if inner.webhooks.len() >= inner.limit {
        let data = json!({"error": "no more", "error_code": "E_ApiResponseCodes.API_EXCEPTION"});
        return (
            StatusCode::BAD_REQUEST,
            json!({"request_id": "r", "data": data}).to_string(),
        );
    }
    let id = 100 + i64::try_from(inner.webhooks.len()).unwrap();
    let webhook = keep(body, id);
    inner.webhooks.push(webhook.clone());
    ok(&webhook.into())
}

async fn edit(State(account): State<Account>, body: String) -> Answer {
    let mut inner = account.0.lock().unwrap();
    let body: Map<String, Value> = serde_json::from_str(&body).unwrap();
    inner.writes.push(("edit", body.clone()));
    let id = body["id"].as_i64().unwrap();
    let found = inner
        .webhooks
        .iter_mut()
        .find(|webhook| webhook["id"] == id);
    *found.unwrap() = keep(body, id);
    ok(&json!({"url": "https://example.com/"}))
}

async fn view(State(account): State<Account>) -> Answer {
    let inner = account.0.lock().unwrap();
    let mut webhooks = inner.webhooks.clone();
    if !inner.shows_secrets {
        for webhook in &mut webhooks {
            webhook.remove("auth_header_value");
        }
    }
    ok(&json!(webhooks))
}

impl Account {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            webhooks: Vec::new(),
            limit: 10,
            shows_secrets: true,
            writes: Vec::new(),
        })))
    }

    async fn client(&self) -> Client {
        let app = Router::new()
            .route("/v3/webhook/add", post(add))
            .route("/v3/webhook/edit", post(edit))
            .route("/v3/webhook/view", post(view))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v3", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Client::builder(KEY)
            .base_url(base)
            .retry(RetryPolicy::none())
            .build()
            .unwrap()
    }

    /// What was written since the last time.
    fn writes(&self) -> Vec<(&'static str, Map<String, Value>)> {
        std::mem::take(&mut self.0.lock().unwrap().writes)
    }
}

fn summary(ensured: &EnsuredWebhook) -> (Change, Vec<String>) {
    let differences = ensured.differences.iter().map(ToString::to_string);
    (ensured.change, differences.collect())
}

#[tokio::test]
async fn created_once_and_changed_when_it_has_to_be() {
    let account = Account::new();
    let client = account.client().await;
    let events = [EmailEventKind::Bounce, EmailEventKind::Spam];
    for (auth, url, kind, value) in [
        (None, URL, Value::Null, Value::Null),
        (
            Some(Auth::bearer("t0ken")),
            URL,
            json!("bearer"),
            json!("t0ken"),
        ),
        (
            Some(Auth::bearer("0ther")),
            URL,
            json!("bearer"),
            json!("0ther"),
        ),
        (
            Some(Auth::basic("user", "pass")),
            URL,
            json!("basic"),
            json!("dXNlcjpwYXNz"),
        ),
        (
            Some(Auth::basic_in_url("user", "p/ss")),
            "https://user:p%2Fss@example.com/webhook",
            json!(""),
            json!(""),
        ),
        (
            Some(Auth::secret_query("token", "a b")),
            "https://example.com/webhook?token=a+b",
            json!(""),
            json!(""),
        ),
        (
            Some(Auth::secret_query("token", "c")),
            "https://example.com/webhook?token=c",
            json!(""),
            json!(""),
        ),
    ] {
        let ensured = client
            .ensure_webhook(URL, events.clone(), auth.as_ref())
            .await
            .unwrap();
        let first = account.0.lock().unwrap().webhooks.len() == 1 && kind.is_null();
        let change = if first {
            Change::Created
        } else {
            Change::Updated
        };
        assert_eq!(summary(&ensured), (change, vec![]), "{auth:?}");
        assert!(ensured.is_as_asked() && !ensured.secret_unseen);
        assert_eq!(
            (ensured.webhook.id, ensured.webhook.url.as_deref()),
            (Some(100), Some(url))
        );
        assert_eq!(ensured.webhook.output_format, Some(WebhookFormat::Json));
        let writes = account.writes();
        assert_eq!(writes.len(), 1, "{auth:?}");
        let written = &writes[0].1;
        assert_eq!(
            written.get("auth_header_type").unwrap_or(&Value::Null),
            &kind
        );
        assert_eq!(
            written.get("auth_header_value").unwrap_or(&Value::Null),
            &value
        );

        let again = client
            .ensure_webhook(URL, events.clone(), auth.as_ref())
            .await
            .unwrap();
        assert_eq!(summary(&again), (Change::Unchanged, vec![]));
        assert_eq!(again.webhook, ensured.webhook);
        assert_eq!(account.writes(), []);
    }
    // Another secret path is another webhook, and so is another address.
    for (url, auth, registered) in [
        (
            URL,
            Auth::secret_path("a/b"),
            "https://example.com/webhook/a%2Fb",
        ),
        (
            "https://example.com/other/",
            Auth::secret_path("c"),
            "https://example.com/other/c",
        ),
        (
            "https://example.com/other",
            Auth::secret_path("d"),
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
    assert_eq!(account.0.lock().unwrap().webhooks.len(), 4);
}

#[tokio::test]
async fn what_is_not_asked_for_stays() {
    let account = Account::new();
    let client = account.client().await;
    let all = Subscription::email([EmailEventKind::Open])
        .and_sms([SmsEventKind::Failed])
        .headers(["X-Order"])
        .usernames(["acme"])
        .format(WebhookFormat::Form);
    let ensured = client.ensure_webhook(URL, all, None).await.unwrap();
    assert_eq!(summary(&ensured), (Change::Created, vec![]));
    account.writes();

    let ensured = client
        .ensure_webhook(URL, [SmsEventKind::Rejected], None)
        .await
        .unwrap();
    assert_eq!(summary(&ensured), (Change::Updated, vec![]));
    // The whole state, since nobody says what becomes of the rest.
    assert_eq!(
        Value::from(account.writes().remove(0).1),
        json!({
            "id": 100, "url": URL, "events": ["open"], "sms_events": ["rejected"],
            "headers": ["X-Order"], "usernames": ["acme"], "output_format": "json",
            "auth_header_type": "", "auth_header_value": "",
        })
    );
    let none = Subscription::email([EmailEventKind::Open]).usernames([] as [&str; 0]);
    let ensured = client.ensure_webhook(URL, none, None).await.unwrap();
    assert_eq!(ensured.webhook.usernames, [] as [&str; 0]);
    assert_eq!(ensured.webhook.headers, ["X-Order"]);
}

#[tokio::test]
async fn what_the_service_drops_is_reported() {
    let account = Account::new();
    let client = account.client().await;
    let events = vec![
        EmailEventKind::Resubscribe,
        EmailEventKind::Open,
        EmailEventKind::Open,
    ];
    for change in [Change::Created, Change::Updated] {
        let ensured = client
            .ensure_webhook(URL, events.clone(), None)
            .await
            .unwrap();
        let says = "events: wanted open, resubscribe, found open".to_owned();
        assert_eq!(summary(&ensured), (change, vec![says]));
        assert!(!ensured.is_as_asked());
    }
    // A secret that is not shown is written, since it may have changed.
    account.0.lock().unwrap().shows_secrets = false;
    let auth = Auth::bearer("t0ken");
    for _ in 0..2 {
        let ensured = client
            .ensure_webhook(URL, [EmailEventKind::Open], &auth)
            .await
            .unwrap();
        assert_eq!(summary(&ensured), (Change::Updated, vec![]));
        assert!(ensured.secret_unseen);
    }
    // A second one for the same place is named, and the better one kept.
    {
        let webhooks = &mut account.0.lock().unwrap().webhooks;
        let mut other = webhooks[0].clone();
        other.insert("id".to_owned(), json!(7));
        other.insert("events".to_owned(), json!(["spam"]));
        webhooks.insert(0, other);
    }
    let ensured = client
        .ensure_webhook(URL, [EmailEventKind::Open], &auth)
        .await
        .unwrap();
    assert_eq!(
        (ensured.webhook.id, ensured.duplicates),
        (Some(100), vec![7])
    );
}

#[tokio::test]
async fn the_plans_limit_is_a_clear_error() {
    for (limit, says) in [
        (
            1,
            "the account has 1 webhook already; a free plan has 1 and a paid one 10",
        ),
        (10, "the account has 10 webhooks already; a free plan has 1"),
    ] {
        let account = Account::new();
        account.0.lock().unwrap().limit = limit;
        let client = account.client().await;
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
async fn what_is_refused_before_anything_is_sent() {
    let account = Account::new();
    let client = account.client().await;
    let open = || Subscription::email([EmailEventKind::Open]);
    for (url, events, auth, says) in [
        ("nonsense", open(), None, "url: "),
        ("ftp://example.com/", open(), None, "neither http nor https"),
        (
            URL,
            Subscription::email([] as [&str; 0]),
            None,
            "there are none to post",
        ),
        (URL, open(), Some(Auth::bearer("")), "the token is empty"),
        (
            URL,
            open(),
            Some(Auth::bearer("a b")),
            "a header can't hold",
        ),
        (
            URL,
            open(),
            Some(Auth::basic("a:b", "c")),
            "the user has a colon",
        ),
        (URL, open(), Some(Auth::basic("a", "")), "is empty"),
        (URL, open(), Some(Auth::secret_path("..")), "dot segment"),
        (URL, open(), Some(Auth::secret_query("", "a")), "is empty"),
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
    assert_eq!(account.writes(), []);
}
