//! Retries, deadlines, rate limits and failover, against a server that fails on purpose and counts
//! what it received.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::log_watch::watched;
use crate::support::{KEY, nowhere};
use smtp2go_sandbox::{Fault, Sandbox, SandboxBuilder};
use smtp2go_sdk::types::{ApiKeysAddRequest, EmailSendRequest, TemplateSearchRequest};
use smtp2go_sdk::{
    Body, CallOptions, Certainty, Client, ClientBuilder, Email, Error, RetryPolicy, operations,
};

/// The default policy without its waits.
fn quick() -> RetryPolicy {
    RetryPolicy::new()
        .min_backoff(Duration::ZERO)
        .rate_limit_wait(Duration::ZERO, Duration::ZERO)
}

fn builder(sandbox: &Sandbox) -> ClientBuilder {
    Client::builder(watched(sandbox.key()))
        .base_url(sandbox.base_url())
        .retry(quick())
        .jitter_seed(7)
}

fn client(sandbox: &Sandbox) -> Client {
    builder(sandbox).build().unwrap()
}

fn sandbox(fault: Fault) -> Sandbox {
    strict().fault(fault).start_blocking().unwrap()
}

/// A sandbox that refuses requests that the spec does not allow.
fn strict() -> SandboxBuilder {
    Sandbox::builder().strict(true)
}

fn mail() -> EmailSendRequest {
    EmailSendRequest::new("Acme <noreply@example.com>", ["jane@example.net"])
        .subject("Hi")
        .text_body("Hello")
}

fn search() -> TemplateSearchRequest {
    TemplateSearchRequest::new()
}

/// Returns how many calls were received in full, and how many of them were accepted.
fn counts(sandbox: &Sandbox) -> (usize, usize) {
    let calls = sandbox.calls();
    (
        calls.iter().filter(|call| call.received()).count(),
        calls.iter().filter(|call| call.accepted()).count(),
    )
}

fn facts(error: &Error) -> (Certainty, u32) {
    (error.certainty(), error.attempts())
}

#[tokio::test]
async fn refused_connection_is_retried_for_every_operation() {
    let client = Client::builder(watched(KEY))
        .base_url(nowhere())
        .retry(quick())
        .build()
        .unwrap();
    let sent = client.email().send(mail()).await.unwrap_err();
    let searched = client.template().search(search()).await.unwrap_err();
    for error in [sent, searched] {
        assert_eq!(facts(&error), (Certainty::NotSent, 3));
        assert!(error.is_connect());
        assert!(error.to_string().ends_with("at attempt 3"), "{error}");
    }
}

/// The status is 401 by the documentation, and was 500 in live replies.
#[tokio::test]
async fn unknown_key_is_not_retried_with_any_status() {
    let text = "An API User matching the passed 'api_key' was not found";
    let body = serde_json::json!({"request_id": "r", "data": {"error": text}});
    for status in [400, 401, 403, 429, 500, 503] {
        let server = sandbox(Fault::status(status).json(&body));
        let client = client(&server);
        let sent = client.email().send(mail()).await.unwrap_err();
        let searched = client.template().search(search()).await.unwrap_err();
        for error in [sent, searched] {
            assert_eq!(facts(&error), (Certainty::Rejected, 1), "{status}");
            assert!(error.is_auth(), "{status}");
            assert!(error.to_string().contains("the region of its account"));
        }
        assert_eq!(server.calls().len(), 2, "{status}");
    }
}

/// The sandbox replies with the error that the spec lists.
#[tokio::test]
async fn key_unknown_to_the_sandbox_is_not_retried() {
    for status in [401, 500] {
        let server = strict()
            .unknown_key_status(status)
            .start_blocking()
            .unwrap();
        let client = Client::builder(watched(KEY))
            .base_url(server.base_url())
            .retry(quick())
            .build()
            .unwrap();
        let error = client.template().search(search()).await.unwrap_err();
        assert_eq!(facts(&error), (Certainty::Rejected, 1), "{status}");
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert!(error.is_auth(), "{status}");
    }
}

#[tokio::test]
async fn call_with_a_connect_timeout_is_not_sent() {
    // A full backlog: further connections are neither accepted nor refused. A sandbox can't do this.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut fillers = Vec::new();
    while let Ok(filler) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        fillers.push(filler);
        if fillers.len() > 64 {
            // The system does not limit the backlog.
            return;
        }
    }
    let limit = Duration::from_millis(50);
    let builder = Client::builder(watched(KEY))
        .base_url(format!("http://{address}/v3"))
        .retry(quick().max_attempts(2));
    // By the connect timeout, and by the timeout of the attempt, where only the seal is proof.
    for (builder, connect) in [
        (builder.clone().connect_timeout(limit), true),
        (builder.timeout(limit), false),
    ] {
        let client = builder.build().unwrap();
        let error = client.email().send(mail()).await.unwrap_err();
        assert_eq!(facts(&error), (Certainty::NotSent, 2));
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(error.is_connect(), connect, "{error:?}");
    }
    // Only the connections that fill the backlog arrived, and they sent nothing.
    drop(fillers);
    while let Ok(Ok((stream, _))) =
        tokio::time::timeout(Duration::from_millis(100), listener.accept()).await
    {
        let mut bytes = Vec::new();
        let mut stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        let _ = stream.read_to_end(&mut bytes);
        assert!(bytes.is_empty());
    }
}

#[tokio::test]
async fn call_with_unknown_outcome_is_retried_only_if_idempotent() {
    for (fault, received) in [
        (Fault::close_before_reading(), 0),
        (Fault::reset_before_reading(), 0),
        (Fault::close(), 1),
        (Fault::reset(), 1),
        (Fault::close().carried_out(false), 1),
        (Fault::stall(), 1),
        (Fault::truncated(), 1),
        (Fault::status(500), 1),
        (Fault::status(502).html("<html>Bad Gateway</html>"), 1),
        (Fault::status(502).carried_out(true), 1),
        (Fault::status(503).header("Retry-After", "0"), 1),
        (Fault::status(504), 1),
    ] {
        let shown = format!("{fault:?}");
        let timeout = if shown.contains("stall") {
            Duration::from_millis(400)
        } else {
            Duration::from_secs(20)
        };
        // Mail: one attempt.
        let server = sandbox(fault.clone().nth(1));
        let client = builder(&server).timeout(timeout).build().unwrap();
        let error = client.email().send(mail()).await.unwrap_err();
        assert_eq!(facts(&error), (Certainty::Unknown, 1), "{shown}");
        assert_eq!(server.calls().len(), 1, "{shown}");
        assert_eq!(counts(&server).0, received, "{shown}");
        assert_eq!(counts(&server).1, server.mails().len(), "{shown}");

        // A look-up is retried until it succeeds.
        let server = sandbox(fault.clone().first(2));
        let client = builder(&server).timeout(timeout).build().unwrap();
        let reply = client.template().search(search()).await.unwrap();
        assert_eq!(reply.attempts(), 3, "{shown}");
        assert_eq!(server.calls().len(), 3, "{shown}");
        assert_eq!(counts(&server).0, 2 * received + 1, "{shown}");

        // At most until the attempts are used up.
        let server = sandbox(fault);
        let client = builder(&server).timeout(timeout).build().unwrap();
        let error = client.template().search(search()).await.unwrap_err();
        assert_eq!(facts(&error), (Certainty::Unknown, 3), "{shown}");
        assert_eq!(server.calls().len(), 3, "{shown}");
    }
}

#[tokio::test]
async fn refusal_is_not_retried() {
    for fault in [
        Fault::status(400),
        Fault::status(401),
        Fault::status(403),
        Fault::status(404),
        Fault::status(501),
        Fault::status(307).header("Location", "http://192.0.2.1/"),
        Fault::failed("550 no"),
    ] {
        let server = sandbox(fault.nth(1));
        let error = client(&server).email().send(mail()).await.unwrap_err();
        assert_eq!(error.attempts(), 1, "{error}");
        assert_eq!(counts(&server), (1, 0), "{error}");
    }
    let server = sandbox(Fault::status(501));
    let error = client(&server)
        .template()
        .search(search())
        .await
        .unwrap_err();
    assert_eq!((error.attempts(), counts(&server).0), (1, 1));
}

#[tokio::test]
async fn connection_closed_before_use_never_sends_twice() {
    for _ in 0..20 {
        let server = sandbox(Fault::refuse().first(2));
        match client(&server).email().send(mail()).await {
            Ok(sent) => {
                assert!(sent.attempts() > 1);
                assert_eq!(counts(&server), (1, 1));
            }
            // The body may have been asked for before the close was noticed.
            Err(error) => {
                assert_eq!(error.certainty(), Certainty::Unknown);
                assert_eq!(counts(&server), (0, 0));
            }
        }
    }
}

#[tokio::test]
async fn closed_idle_connection_is_replaced() {
    for fault in [Fault::close_when_idle(), Fault::reset_when_idle()] {
        let server = sandbox(fault);
        let client = client(&server);
        for expected in [1, 2] {
            let sent = client.email().send(mail()).await.unwrap();
            assert_eq!(sent.attempts(), 1);
            assert_eq!(counts(&server), (expected, expected));
            while server.open_connections() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }
}

#[tokio::test]
async fn connection_closed_during_reuse_never_sends_twice() {
    for round in 0..20 {
        let server = sandbox(match round % 2 {
            0 => Fault::reset_when_idle(),
            _ => Fault::close_when_idle(),
        });
        let client = client(&server);
        client.email().send(mail()).await.unwrap();
        // The server closes while the client's only thread is blocked and can't notice.
        while server.open_connections() > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let result = client.email().send(mail()).await;
        let received = counts(&server).0 - 1;
        match result {
            Ok(_) => assert_eq!(received, 1),
            Err(error) if error.certainty() == Certainty::NotSent => assert_eq!(received, 0),
            Err(error) => assert!(received <= 1 && error.attempts() == 1, "{error:?}"),
        }
    }
}

#[tokio::test]
async fn retried_request_has_the_same_bytes() {
    let server = sandbox(Fault::status(503));
    let client = client(&server);
    let error = client
        .execute(&operations::IP_ALLOW_LIST_VIEW, Body::empty())
        .await
        .unwrap_err();
    assert_eq!(error.attempts(), 3);
    let calls = server.calls();
    assert_eq!(calls.len(), 3);
    for call in &calls {
        assert_eq!(call.head(), calls[0].head());
        assert_eq!(call.body(), calls[0].body());
    }
    let key = server.key().as_bytes();
    assert!(calls[0].head().starts_with(b"POST ") && calls[0].head().ends_with(b"\r\n\r\n"));
    assert!(calls[0].body().windows(key.len()).any(|part| part == key));
}

#[tokio::test]
async fn rate_limited_call_is_retried_for_every_operation() {
    for fault in [
        Fault::status(429),
        Fault::status(429).header("Retry-After", "0"),
    ] {
        let server = sandbox(fault.first(2));
        let sent = client(&server).email().send(mail()).await.unwrap();
        assert_eq!(sent.attempts(), 3);
        assert_eq!(counts(&server), (3, 1));
    }
    let server = sandbox(Fault::status(429));
    let error = client(&server).email().send(mail()).await.unwrap_err();
    assert_eq!(facts(&error), (Certainty::Rejected, 3));
    assert!(error.is_rate_limited());
    assert_eq!(counts(&server), (3, 0));
}

#[tokio::test]
async fn pause_beyond_the_deadline_ends_the_call_and_pauses_the_client() {
    for (fault, from, to) in [
        (Fault::status(429), 60, 75),
        (Fault::status(429).header("Retry-After", "600"), 600, 600),
    ] {
        let server = sandbox(fault.nth(1));
        let client = Client::builder(watched(server.key()))
            .base_url(server.base_url())
            .deadline(Duration::from_secs(20))
            .build()
            .unwrap();
        let within = |error: &Error| {
            assert!(error.is_rate_limited());
            let wait = error.retry_after().unwrap();
            // The delayed call ends a little later than the 429.
            assert!(wait > Duration::from_secs(from - 20), "{wait:?}");
            assert!(wait <= Duration::from_secs(to), "{wait:?}");
        };
        let error = client.email().send(mail()).await.unwrap_err();
        assert_eq!(facts(&error), (Certainty::Rejected, 1));
        within(&error);
        assert!(error.retry_after().unwrap() >= Duration::from_secs(from));

        let other = client.clone();
        let held = other.template().search(search()).await.unwrap_err();
        assert_eq!(facts(&held), (Certainty::NotSent, 0));
        within(&held);
        assert!(held.to_string().contains("429"), "{held}");
        assert_eq!(server.calls().len(), 1);
    }
}

#[tokio::test]
async fn call_options_replace_the_settings_of_the_client() {
    let server = sandbox(Fault::status(503));
    let client = client(&server);
    let twice = CallOptions::new().retry(quick().max_attempts(2));
    let error = client.with_options(twice).template().search(search()).await;
    assert_eq!(error.unwrap_err().attempts(), 2);
    let once = client.with_options(CallOptions::new().retry(RetryPolicy::none()));
    let error = once
        .execute(&operations::TEMPLATE_SEARCH, Body::empty())
        .await;
    assert_eq!(error.unwrap_err().attempts(), 1);
    #[cfg(feature = "raw")]
    {
        let error = once.raw().template_search(&search()).await.unwrap_err();
        assert_eq!(Error::of(&error).attempts(), 1);
        let error = client.raw().template_search(&search()).await.unwrap_err();
        assert_eq!(Error::of(&error).attempts(), 3);
    }
    let before = server.calls().len();
    let hopeless = client.with_options(CallOptions::new().deadline(Duration::ZERO));
    let error = hopeless
        .execute(&operations::TEMPLATE_SEARCH, Body::empty())
        .await
        .unwrap_err();
    assert_eq!(facts(&error), (Certainty::NotSent, 0));
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(server.calls().len(), before);
}

#[tokio::test]
async fn deadline_ends_a_running_attempt() {
    let server = sandbox(Fault::stall());
    let client = builder(&server)
        .deadline(Duration::from_millis(400))
        .build()
        .unwrap();
    let error = client.template().search(search()).await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(facts(&error), (Certainty::Unknown, 1));
    assert!(server.calls().len() <= 1);
}

#[tokio::test]
async fn retry_budget_limits_retries() {
    let server = sandbox(Fault::status(503));
    let client = builder(&server).retry_budget(3).build().unwrap();
    let mut attempts = Vec::new();
    for _ in 0..3 {
        let error = client
            .clone()
            .template()
            .search(search())
            .await
            .unwrap_err();
        attempts.push(error.attempts());
    }
    assert_eq!(attempts, [3, 2, 1]);
    assert_eq!(server.calls().len(), 6);
}

#[tokio::test]
async fn certainty_covers_all_attempts() {
    // The outcome of the first attempt is unknown, whatever the second returns.
    for fault in [
        Fault::status(400).json(&serde_json::json!({ "data": { "error": "no" } })),
        Fault::status(429),
        Fault::reset(),
    ] {
        let server = sandbox(Fault::close().nth(1));
        server.faults().add(fault.nth(2));
        let twice = builder(&server).retry(quick().max_attempts(2));
        let error = twice.build().unwrap().template().search(search()).await;
        let error = error.unwrap_err();
        assert_eq!(facts(&error), (Certainty::Unknown, 2));
        let shown = error.to_string();
        assert!(
            error.status().is_none() || shown.contains("earlier attempt may have been"),
            "{shown}"
        );
    }
    let server = sandbox(Fault::status(429).nth(1));
    server.faults().add(Fault::reset().nth(2));
    let error = client(&server).email().send(mail()).await.unwrap_err();
    assert_eq!(facts(&error), (Certainty::Unknown, 2));
    assert_eq!(counts(&server), (2, 1));
}

#[tokio::test]
async fn clones_share_a_documented_rate_limit() {
    let server = strict().start_blocking().unwrap();
    let client = builder(&server)
        .deadline(Duration::from_secs(10))
        .build()
        .unwrap();
    let limit = operations::API_KEYS_ADD.rate_limit.unwrap();
    let add = ApiKeysAddRequest::new();
    for _ in 0..limit.requests {
        client.clone().api_keys().add(add.clone()).await.unwrap();
    }
    let error = client.api_keys().add(add.clone()).await.unwrap_err();
    assert_eq!(facts(&error), (Certainty::NotSent, 0));
    assert!(error.is_rate_limited());
    assert!(error.retry_after().unwrap() <= limit.per);
    assert_eq!(server.calls().len(), limit.requests as usize);
    // Other operations don't wait, nor does a call with `rate_limits` off.
    client.template().search(search()).await.unwrap();
    let unlimited = client.with_options(CallOptions::new().rate_limits(false));
    let error = unlimited.api_keys().add(add.clone()).await.unwrap_err();
    assert!(error.is_rate_limited() && error.certainty() == Certainty::Rejected);
    // Now the server's window has passed, but not the client's.
    server.advance(limit.per);
    unlimited.api_keys().add(add).await.unwrap();
}

#[tokio::test]
async fn unsent_call_fails_over_to_other_hosts() {
    let server = strict().start_blocking().unwrap();
    let client = Client::builder(watched(server.key()))
        .base_url(nowhere())
        .failover_urls([nowhere(), server.base_url().to_owned()])
        .build()
        .unwrap();
    let sent = client.email().send(mail()).await.unwrap();
    assert_eq!(sent.attempts(), 3);
    // A host in cooldown is not tried first.
    let sent = client.clone().email().send(mail()).await.unwrap();
    assert_eq!(sent.attempts(), 1);
    assert_eq!(counts(&server), (2, 2));

    // A call that may have been sent is not sent to another host, not even a look-up.
    let first = sandbox(Fault::reset());
    let second = strict().start_blocking().unwrap();
    let client = builder(&first)
        .failover_urls([second.base_url()])
        .build()
        .unwrap();
    let error = client.email().send(mail()).await.unwrap_err();
    assert_eq!(facts(&error), (Certainty::Unknown, 1));
    client.template().search(search()).await.unwrap_err();
    assert_eq!((first.calls().len(), second.calls().len()), (4, 0));
}

/// Sends 2,000 mails through a server with every fault. Each mail is accepted at most once and has one
/// outcome, whose certainty agrees with what the server did.
///
/// The faults depend on the seed and on the order in which the calls arrive. The message of a failed run
/// has its seed, and `SMTP2GO_TEST_SEED` sets it.
#[tokio::test]
async fn no_mail_is_accepted_twice_under_any_fault() {
    const MAILS: usize = 2_000;
    const AT_ONCE: usize = 16;
    let seed = std::env::var("SMTP2GO_TEST_SEED").map_or(7, |seed| seed.parse().unwrap());
    let server = strict().start_blocking().unwrap();
    let cut = r#"{"request_id":"r-1","data":{"email_id":"1aB"#;
    let rules = [
        (0.05, Fault::refuse()),
        (0.02, Fault::close_before_reading()),
        (0.02, Fault::reset_before_reading()),
        (0.02, Fault::close()),
        (0.02, Fault::reset()),
        (0.02, Fault::reset().carried_out(false)),
        (0.003, Fault::stall()),
        (0.02, Fault::truncated()),
        (0.05, Fault::status(429).header("Retry-After", "0")),
        (0.03, Fault::status(429).html("<html>slow down")),
        (0.02, Fault::status(500)),
        (0.02, Fault::status(500).carried_out(true)),
        (0.02, Fault::status(502).html("<html>Bad Gateway")),
        (0.02, Fault::status(502).html("<html>").carried_out(true)),
        (0.02, Fault::status(200).body("application/json", cut)),
        (
            0.02,
            Fault::status(200)
                .body("application/json", cut)
                .carried_out(true),
        ),
        (0.01, Fault::status(400).body("application/json", cut)),
        (0.02, Fault::failed("550 no")),
    ];
    for (n, (chance, fault)) in (0..).zip(rules) {
        server.faults().add(fault.chance(chance, seed * 100 + n));
    }
    let client = builder(&server)
        .timeout(Duration::from_secs(1))
        .jitter_seed(seed)
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut told = Vec::new();
                for n in (task..MAILS).step_by(AT_ONCE) {
                    let subject = format!("mail {n}");
                    // Alternately with `Client::send` and the group's method.
                    let result = if (n / AT_ONCE).is_multiple_of(2) {
                        let mail = Email::new("Acme <noreply@example.com>", &*subject);
                        let mail = mail.to("jane@example.net").text("Hello");
                        client.send(mail).await.map(drop)
                    } else {
                        client
                            .email()
                            .send(mail().subject(&*subject))
                            .await
                            .map(drop)
                    };
                    told.push((subject, result.map_err(|error| facts(&error))));
                }
                told
            })
        })
        .collect();
    let mut told = BTreeMap::new();
    for task in tasks {
        for (subject, outcome) in task.await.unwrap() {
            assert!(told.insert(subject, outcome).is_none());
        }
    }
    assert_eq!(told.len(), MAILS);

    // How often the server received each mail whole, refused it, and accepted it.
    let mut known: BTreeMap<String, (u32, u32, u32)> = BTreeMap::new();
    for call in server.calls().iter().filter(|call| call.received()) {
        let body: serde_json::Value = serde_json::from_slice(call.body()).unwrap();
        let subject = body["subject"].as_str().unwrap().to_owned();
        let (received, refused, accepted) = known.entry(subject).or_default();
        *received += 1;
        let by_status = (400..500).contains(&call.status());
        *refused += u32::from(by_status || call.fault() == Some("failed"));
        *accepted += u32::from(call.accepted());
    }
    let mails: usize = known
        .values()
        .map(|(_, _, accepted)| *accepted as usize)
        .sum();
    assert_eq!(mails, server.mails().len(), "seed {seed}");
    let mut tally = BTreeMap::new();
    for (subject, outcome) in &told {
        let facts = known.get(subject).copied().unwrap_or_default();
        let (received, refused, accepted) = facts;
        let line = format!("{subject}: {outcome:?}, {facts:?}, seed {seed}");
        let kind = match outcome {
            Ok(()) => {
                assert_eq!(accepted, 1, "{line}");
                assert_eq!(received, refused + 1, "{line}");
                "sent"
            }
            Err((Certainty::NotSent, _)) => {
                assert_eq!(received, 0, "{line}");
                "not sent"
            }
            Err((Certainty::Rejected, _)) => {
                assert!(
                    accepted == 0 && refused > 0 && received == refused,
                    "{line}"
                );
                "rejected"
            }
            Err((Certainty::Unknown, _)) => {
                assert!(accepted <= 1 && received <= refused + 1, "{line}");
                "unknown"
            }
        };
        *tally.entry(kind).or_insert(0) += 1;
    }
    // The test is meaningful only if most mails are accepted and every outcome occurs.
    assert!(tally["sent"] > MAILS / 2, "{tally:?}, seed {seed}");
    assert!(
        tally["rejected"] > 10 && tally["unknown"] > 10,
        "{tally:?}, seed {seed}"
    );
}
