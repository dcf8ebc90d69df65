//! Receivers in each framework: every kind of event, both formats, each kind of secret.

use std::sync::Arc;
use std::time::Duration;

use crate::log_watch::watched;
use crate::payloads::{Format, payloads};
use crate::posting::{Framework, Inbox, post_to, send};
use smtp2go_sdk::types::{BounceKind, EmailEventKind};
use smtp2go_sdk::webhook::{
    Auth, Claim, Deduplicator, Event, IntoStatus, MemoryDeduplicator, Receiver, RequestHead,
    StoreError, Token, axum::router, parse,
};
use tokio::sync::Notify;

const SECRET: &str = "s3cret/ +%\u{e9}";
const EVENT: &str = r#"{"event":"open","email_id":"1a","id":"1","rcpt":"jane@example.net"}"#;

type Headers = Vec<(&'static str, &'static str)>;

/// Each kind of secret, with the suffix of the URL and the headers of a request that is accepted.
fn accepted_requests() -> Vec<(Auth, &'static str, Headers)> {
    // Base64 of "user:pa:ss".
    let basic = ("authorization", "Basic dXNlcjpwYTpzcw==");
    vec![
        (
            Auth::bearer(watched("t0ken")).unwrap(),
            "",
            vec![("authorization", "Bearer t0ken")],
        ),
        (
            Auth::basic("user", watched("pa:ss")).unwrap(),
            "",
            vec![basic],
        ),
        (
            Auth::basic_in_url("user", watched("pa:ss")).unwrap(),
            "",
            vec![basic],
        ),
        (
            Auth::secret_path(watched(SECRET)).unwrap(),
            "/s3cret%2F%20%2B%25%C3%A9",
            vec![],
        ),
        (
            Auth::secret_query("token", watched(SECRET)).unwrap(),
            "?a=b&token=s3cret/+%2B%25%c3%a9",
            vec![],
        ),
    ]
}

#[tokio::test]
async fn every_event_kind_arrives_typed() {
    for framework in Framework::ALL {
        for (auth, suffix, mut headers) in accepted_requests() {
            let inbox = Inbox::new();
            let url = framework.serve(Receiver::new(auth), &inbox).await + suffix;
            for format in Format::ALL {
                headers.retain(|(name, _)| *name != "content-type");
                headers.push(("content-type", format.content_type()));
                for payload in payloads() {
                    let answer = post_to(&url, &headers, format.body(&payload)).await;
                    assert_eq!(answer.status, 200, "{framework:?} {format:?}: {answer:?}");
                    assert_eq!(answer.body, "");
                    let event = inbox.take().pop().unwrap();
                    assert_eq!(event, parse(None, payload.to_string()).unwrap());
                    assert_eq!(event.name(), payload["event"].as_str());
                    match &event {
                        Event::Email(event) if event.bounce.is_some() => {
                            assert_eq!(event.event, Some(EmailEventKind::Bounce));
                            assert!(matches!(
                                event.bounce,
                                Some(BounceKind::Hard | BounceKind::Soft)
                            ));
                        }
                        Event::Email(event) => {
                            assert_eq!(event.recipients.len(), 2);
                            assert_eq!(event.read_secs, Some(15));
                            assert_eq!(event.extra["X-Order"], "88");
                        }
                        Event::Sms(event) => assert_eq!(event.retry_count, Some(2)),
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn wrong_secrets_are_refused() {
    let bearer = |value: &'static str| vec![("authorization", value)];
    for framework in Framework::ALL {
        for (auth, suffix, _) in accepted_requests() {
            let inbox = Inbox::new();
            let base = framework.serve(Receiver::new(auth.clone()), &inbox).await;
            for (suffix, headers) in [
                ("", vec![]),
                ("", bearer("")),
                ("", bearer("Bearer")),
                ("", bearer("Bearer ")),
                ("", bearer("Bearer t0ke")),
                ("", bearer("Bearer t0kenn")),
                ("", bearer("Bearer T0KEN")),
                ("", bearer("Basic t0ken")),
                ("", bearer("Bearer user:pa:ss")),
                ("", bearer("Basic dXNlcjpwYXNz")),
                ("", bearer("Basic ===")),
                ("?token=", vec![]),
                ("?token=s3cret", vec![]),
                ("?Token=s3cret/+%2B%25%c3%a9", vec![]),
                ("?s3cret/+%2B%25%c3%a9", vec![]),
            ] {
                let url = format!("{base}{suffix}");
                let answer = post_to(&url, &headers, EVENT).await;
                assert_eq!(
                    answer.status, 401,
                    "{framework:?} {auth:?} {url} {headers:?}"
                );
                assert_eq!(
                    answer.headers.contains_key("www-authenticate"),
                    matches!(
                        format!("{auth:?}").as_str(),
                        "Auth::bearer(…)" | "Auth::basic(…)" | "Auth::basic_in_url(…)"
                    ),
                    "{auth:?}"
                );
                assert!(!answer.body.contains("t0k") && !answer.body.contains("s3c"));
            }
            if suffix.starts_with('/') {
                for wrong in ["/s3cret", "/other"] {
                    let answer = post_to(&format!("{base}{wrong}"), &[], EVENT).await;
                    assert_eq!(answer.status, 401, "{framework:?}");
                }
            }
            assert_eq!(inbox.take(), []);
        }
    }
}

#[tokio::test]
async fn invalid_requests_get_their_status_and_reason() {
    for framework in Framework::ALL {
        let inbox = Inbox::new();
        let receiver = Receiver::without_authentication().body_limit(1_000);
        let url = framework.serve(receiver, &inbox).await;
        let long = format!("event=open&x={}", "y".repeat(2_000));
        for (body, status, says) in [
            ("event=open".to_owned(), 200, ""),
            (String::new(), 400, "the body is empty at line 1, column 1"),
            ("{\n}".to_owned(), 400, "not an event"),
            (r#"{"event":}"#.to_owned(), 400, "at line 1, column 10"),
            (long.clone(), 413, "exceeds the limit of 1000 bytes"),
        ] {
            let answer = post_to(&url, &[], body.clone()).await;
            assert_eq!(answer.status, status, "{framework:?} {body}: {answer:?}");
            assert!(answer.body.contains(says), "{answer:?}");
        }
        assert_eq!(inbox.take().len(), 1);
        // The handler's status.
        for status in [500, 503, 202, 410] {
            inbox.answer_with(status);
            assert_eq!(post_to(&url, &[], EVENT).await.status, status);
        }
        if framework != Framework::Parts {
            let answer = send(http::Method::GET, &url, &[], EVENT).await;
            assert_eq!((answer.status, &*answer.headers["allow"]), (405, "POST"));
            // For a route with an extractor, axum itself answers 405.
            if framework != Framework::AxumExtractor {
                assert_eq!(answer.body, "method not allowed: use POST");
            }
        }
    }
}

#[tokio::test]
async fn long_body_without_content_length_is_not_read_to_its_end() {
    use std::io::{Read, Write};
    for framework in [
        Framework::AxumRouter,
        Framework::AxumExtractor,
        Framework::Hyper,
    ] {
        let inbox = Inbox::new();
        let receiver = Receiver::without_authentication().body_limit(1_000);
        let url = framework.serve(receiver, &inbox).await;
        let address = url.split('/').nth(2).unwrap().to_owned();
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            write!(
                stream,
                "POST /hooks/smtp2go HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            .unwrap();
            // Never ends.
            for _ in 0..20 {
                let _ = write!(stream, "64\r\n{}\r\n", "y".repeat(100));
            }
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).unwrap();
            String::from_utf8(answer.to_vec()).unwrap()
        });
        assert_eq!(answer.await.unwrap(), "HTTP/1.1 413", "{framework:?}");
        assert_eq!(inbox.take(), []);
    }
}

#[tokio::test]
async fn only_allowed_source_addresses_are_accepted() {
    let local = "127.0.0.1".parse().unwrap();
    let service = "203.0.113.9".parse().unwrap();
    for framework in Framework::ALL {
        for (receiver, forwarded, status) in [
            (
                Receiver::without_authentication().sources([local]),
                None,
                200,
            ),
            (
                Receiver::without_authentication().sources([service]),
                None,
                403,
            ),
            // Without proxies the header is ignored, because any sender can write it.
            (
                Receiver::without_authentication().sources([service]),
                Some("203.0.113.9"),
                403,
            ),
            (
                Receiver::without_authentication()
                    .sources([service])
                    .behind_proxies(1),
                Some("198.51.100.1, 203.0.113.9"),
                200,
            ),
            (
                Receiver::without_authentication()
                    .sources([service])
                    .behind_proxies(1),
                Some("203.0.113.9, 198.51.100.1"),
                403,
            ),
            (
                Receiver::without_authentication()
                    .sources([service])
                    .behind_proxies(2),
                Some("203.0.113.9:1234,10.0.0.1"),
                200,
            ),
            (
                Receiver::without_authentication()
                    .sources([service])
                    .behind_proxies(1),
                None,
                403,
            ),
            (
                Receiver::new(Auth::bearer("t").unwrap()).sources([local]),
                None,
                401,
            ),
        ] {
            let inbox = Inbox::new();
            let url = framework.serve(receiver.clone(), &inbox).await;
            let headers: Vec<_> = forwarded
                .map(|value| ("x-forwarded-for", value))
                .into_iter()
                .collect();
            let answer = post_to(&url, &headers, EVENT).await;
            assert_eq!(
                answer.status, status,
                "{framework:?} {receiver:?} {forwarded:?}"
            );
        }
    }
    // The IPv4 address in its IPv6-mapped form.
    let receiver = Receiver::without_authentication().sources([local]);
    let mapped = RequestHead::new("/").peer(Some("::ffff:127.0.0.1".parse().unwrap()));
    assert!(receiver.authenticate(&mapped).is_ok());
    let error = receiver.authenticate(&RequestHead::new("/")).unwrap_err();
    assert!(error.to_string().contains("address of the peer"), "{error}");
}

#[test]
fn old_and_new_secret_are_accepted_and_not_shown() {
    let receiver =
        Receiver::new(Auth::bearer("n3w").unwrap()).also_accept(Auth::basic("old", "0ld").unwrap());
    for (header, accepted) in [
        ("Bearer n3w", true),
        ("bearer  n3w ", true),
        ("Basic b2xkOjBsZA==", true),
        ("Basic b2xkOjBsZA", true),
        ("Bearer 0ld", false),
    ] {
        let head = RequestHead::new("/").authorization(header.as_bytes());
        assert_eq!(receiver.authenticate(&head).is_ok(), accepted, "{header}");
        assert!(!format!("{head:?}").contains("n3w"));
    }
    let shown = format!("{receiver:?}");
    assert!(!shown.contains("n3w") && !shown.contains("0ld"), "{shown}");
}

#[test]
fn empty_secrets_are_refused() {
    for (auth, says) in [
        (Auth::bearer(""), "the token is empty"),
        (Auth::bearer(" "), "the token is all white space"),
        (Auth::bearer("a b"), "a header can't hold"),
        (Auth::bearer("é"), "a header can't hold"),
        (Auth::basic("", "a"), "the user is empty"),
        (Auth::basic(" ", "a"), "the user is all white space"),
        (Auth::basic("a:b", "c"), "the user name has a colon"),
        (Auth::basic("a", ""), "the password is empty"),
        (Auth::basic("a", " \t"), "the password is all white space"),
        (Auth::basic("a", "b\n"), "the password has a line break"),
        (Auth::basic_in_url("", "a"), "the user is empty"),
        (Auth::basic_in_url("a:b", "c"), "the user name has a colon"),
        (Auth::basic_in_url("a", ""), "the password is empty"),
        (Auth::secret_path(""), "the secret of the path is empty"),
        (Auth::secret_path("　"), "all white space"),
        (Auth::secret_path("\t"), "all white space"),
        (Auth::secret_path(".."), "which URLs remove"),
        (Auth::secret_path(".\n."), "has a line break"),
        (
            Auth::secret_query("token", ""),
            "the secret of the query is empty",
        ),
        (Auth::secret_query("token", " "), "all white space"),
        (
            Auth::secret_query("", "a"),
            "the name of the query parameter is empty",
        ),
        (Auth::secret_query("", ""), "is empty"),
    ] {
        let error = auth.expect_err(says);
        assert!(error.is_config(), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("webhook auth: the "), "{text}");
        assert!(text.contains(says), "{text}: {says}");
    }
}

/// Requests with only a part of the secret, for each kind of secret.
#[test]
fn requests_with_a_part_of_the_secret_are_refused() {
    let auths = [
        Auth::bearer("hush").unwrap(),
        Auth::basic("user", "hush").unwrap(),
        Auth::basic_in_url("user", "hush").unwrap(),
        Auth::secret_path("hush").unwrap(),
        Auth::secret_query("token", "hush").unwrap(),
    ];
    // Base64 of: nothing, `:`, `user`, `user:`, `:hush`, `user:hus`, `use:hush`, `userhush`,
    // `user::hush`, `user:hush:`.
    let headers = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer user",
        "Bearer user:hush",
        "Basic",
        "Basic ",
        "Basic Og==",
        "Basic dXNlcg==",
        "Basic dXNlcjo=",
        "Basic Omh1c2g=",
        "Basic dXNlcjpodXM=",
        "Basic dXNlOmh1c2g=",
        "Basic dXNlcmh1c2g=",
        "Basic dXNlcjo6aHVzaA==",
        "Basic dXNlcjpodXNoOg==",
        "Basic hush",
        "hush",
    ];
    let targets = [
        "",
        "/",
        "/webhook",
        "/webhook/",
        "/webhook//",
        "/webhook/hus",
        "/webhook/hush/",
        "/hush/webhook",
        "/?",
        "/?=",
        "/?token",
        "/?token=",
        "/?=hush",
        "/?hush",
        "/?Token=hush",
        "/?token=hus",
        "/?tokenhush",
        "/#hush",
        "/#?token=hush",
    ];
    for auth in auths {
        let receiver = Receiver::new(auth.clone());
        for header in headers {
            for target in targets {
                let head = RequestHead::new(target).authorization(header.as_bytes());
                let refused = receiver.authenticate(&head).is_err();
                assert!(refused, "{auth:?} {target:?} {header:?}");
            }
        }
    }
}

const DEDUPLICATING: [Framework; 3] = [Framework::AxumRouter, Framework::Parts, Framework::Hyper];

#[tokio::test]
async fn duplicates_are_skipped_and_failed_events_are_handled_again() {
    for framework in DEDUPLICATING {
        let inbox = Inbox::new();
        let receiver = Receiver::without_authentication().deduplicate(MemoryDeduplicator::new());
        let url = framework.serve(receiver, &inbox).await;
        for payload in payloads() {
            let (json, form) = (Format::Json.body(&payload), Format::Form.body(&payload));
            inbox.answer_with(500);
            assert_eq!(post_to(&url, &[], json.clone()).await.status, 500);
            assert_eq!(post_to(&url, &[], form.clone()).await.status, 500);
            inbox.answer_with(200);
            assert_eq!(
                inbox.take().len(),
                2,
                "the event is handled again after the handler failed"
            );
            assert_eq!(post_to(&url, &[], json.clone()).await.status, 200);
            assert_eq!(inbox.take().len(), 1);
            for replay in [json, form] {
                assert_eq!(post_to(&url, &[], replay).await.status, 200);
            }
            assert_eq!(inbox.take(), [], "a duplicate is skipped");
        }
    }
}

/// A receiver with notifications of a slow handler: the handler has started, and it may continue.
fn slow() -> (Arc<Notify>, Arc<Notify>, Receiver) {
    let receiver = Receiver::without_authentication().deduplicate(MemoryDeduplicator::new());
    (Arc::new(Notify::new()), Arc::new(Notify::new()), receiver)
}

#[tokio::test]
async fn concurrent_duplicate_gets_503() {
    let (entered, go, receiver) = slow();
    let (in_handler, gate) = (entered.clone(), go.clone());
    let app = router("/", receiver, move |_: Event| {
        let (entered, go) = (in_handler.clone(), gate.clone());
        async move {
            entered.notify_one();
            go.notified().await;
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let first = tokio::spawn({
        let url = url.clone();
        async move { post_to(&url, &[], EVENT).await.status }
    });
    entered.notified().await;
    assert_eq!(post_to(&url, &[], EVENT).await.status, 503);
    go.notify_one();
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(post_to(&url, &[], EVENT).await.status, 200);

    // The service closes the connection, so the handler is cancelled. The event is handled again.
    let other = EVENT.replace("1a", "2b");
    let broken = tokio::spawn({
        let (url, other) = (url.clone(), other.clone());
        async move { post_to(&url, &[], other).await.status }
    });
    entered.notified().await;
    broken.abort();
    // Until the server has noticed that, the event counts as being handled.
    go.notify_waiters();
    let again = async {
        loop {
            let (url, other) = (url.clone(), other.clone());
            let go = go.clone();
            let next = tokio::spawn(async move { post_to(&url, &[], other).await.status });
            tokio::select! {
                () = entered.notified() => go.notify_one(),
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
            if next.await.unwrap() == 200 {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), again)
        .await
        .unwrap();
}

#[tokio::test]
async fn panic_of_the_handler_releases_the_claim() {
    let receiver = Receiver::without_authentication().deduplicate(MemoryDeduplicator::new());
    let event = parse(None, EVENT).unwrap();
    let panicking = tokio::spawn({
        let (receiver, event) = (receiver.clone(), event.clone());
        async move {
            receiver
                .process(event, |_| async { panic!("on purpose") as () })
                .await
        }
    });
    assert!(panicking.await.unwrap_err().is_panic());
    tokio::task::yield_now().await;
    let status = receiver.process(event, |_| async {}).await;
    assert_eq!(status, 200);
}

/// A store whose calls fail.
struct Failing {
    claim: bool,
}

impl Deduplicator for Failing {
    async fn claim(&self, _: &str) -> Result<Claim, StoreError> {
        if self.claim {
            return Err("no connection".into());
        }
        Ok(Claim::Claimed(Token::from_value(7)))
    }

    async fn commit(&self, _: &str, token: Token) -> Result<(), StoreError> {
        assert_eq!(token.value(), 7);
        Err("no connection".into())
    }

    async fn release(&self, _: &str, _: Token) -> Result<(), StoreError> {
        Err("no connection".into())
    }
}

#[tokio::test]
async fn store_error_is_503_before_the_handler_and_ignored_after_it() {
    let event = parse(None, EVENT).unwrap();
    for (claim, handled, status) in [(true, 200, 503), (false, 200, 200), (false, 500, 500)] {
        let receiver = Receiver::without_authentication().deduplicate(Failing { claim });
        let handled = http::StatusCode::from_u16(handled).unwrap();
        let answer = receiver
            .process(event.clone(), |_| async move { handled })
            .await;
        assert_eq!(answer, status);
    }
}

#[test]
fn results_of_handlers_become_statuses() {
    let failed: Result<(), StoreError> = Err("no disk".into());
    for (status, expected) in [
        (().into_status(), 200),
        (http::StatusCode::ACCEPTED.into_status(), 202),
        (failed.into_status(), 500),
        (Ok::<(), StoreError>(()).into_status(), 200),
        (
            Err::<(), _>(http::StatusCode::BAD_GATEWAY).into_status(),
            502,
        ),
    ] {
        assert_eq!(status, expected);
    }
}
