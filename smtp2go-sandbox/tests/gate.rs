//! Access control: programs may use any host name, and only the sandbox's own pages may call it.

// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};
use smtp2go_sandbox::{Sandbox, SandboxBuilder};
use support::{Reply, post, send_with_hosts};

const MAIL: &str =
    r#"{"sender":"a@example.com","to":["b@example.net"],"subject":"Hi","text_body":"Hello"}"#;

fn mail() -> Value {
    serde_json::from_str(MAIL).unwrap()
}

/// Requests to every kind of path: method, path, body, and the status of an allowed request.
const REQUESTS: &[(&str, &str, &str, u16)] = &[
    ("POST", "/v3/email/send", MAIL, 200),
    ("POST", "/email/send", MAIL, 404),
    ("POST", "/v3/activity/search", "{}", 200),
    ("POST", "/v3/webhook/view", "{}", 200),
    ("PATCH", "/v3/template/edit", "{}", 405),
    ("OPTIONS", "/v3/email/send", "", 405),
    ("GET", "/v3/email/send", "", 405),
    ("POST", "/v3/none", "{}", 404),
    ("POST", "/_sandbox/clock/resume", "", 200),
    (
        "POST",
        "/_sandbox/sms/receive",
        r#"{"from":"+1","to":"+2","content":"x"}"#,
        200,
    ),
    ("DELETE", "/_sandbox/faults", "", 200),
    ("OPTIONS", "/_sandbox/reset", "", 405),
    ("POST", "/_sandbox/none", "", 404),
    ("GET", "/_sandbox", "", 200),
    ("GET", "/_sandbox/mails", "", 200),
    ("HEAD", "/_sandbox/mails", "", 200),
    ("GET", "/", "", 200),
    ("GET", "/_inbox/calls", "", 200),
    ("GET", "/_inbox/inbox.js", "", 200),
    ("GET", "/_inbox/none", "", 404),
    // The form has no token.
    ("POST", "/_inbox/reset", "", 403),
];

fn request(
    sandbox: &Sandbox,
    (method, path, body): (&str, &str, &str),
    by: &[(&str, &str)],
) -> Reply {
    // A content type that a page can send without a CORS preflight.
    let kind = [
        ("Content-Type", "text/plain"),
        ("X-Smtp2go-Api-Key", sandbox.key()),
    ];
    send_with_hosts(
        sandbox,
        method,
        path,
        &[&kind, by].concat(),
        body.as_bytes(),
    )
}

/// Returns the numbers of mails, text messages, events and faults.
fn state(sandbox: &Sandbox) -> (usize, usize, usize, usize) {
    (
        sandbox.mails().len(),
        sandbox.sms().len(),
        sandbox.events().len(),
        sandbox.faults().list().len(),
    )
}

#[test]
fn request_from_a_page_of_another_site_is_refused_at_every_path() {
    let sandbox = Sandbox::builder()
        .allowed_host("mail.test")
        .start_blocking()
        .unwrap();
    sandbox.freeze();
    sandbox
        .faults()
        .add(smtp2go_sandbox::Fault::status(503).nth(9_999));
    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
    let before = state(&sandbox);
    for (method, path, body, _) in REQUESTS {
        for by in [
            // A page of another site.
            &[("Host", "localhost"), ("Origin", "http://evil.example")][..],
            &[("Host", "localhost"), ("Origin", "null")],
            &[("Host", "localhost"), ("Sec-Fetch-Site", "cross-site")],
            &[("Host", "localhost"), ("Sec-Fetch-Site", "same-site")],
            &[("Host", "mail.test"), ("Origin", "http://localhost")],
            &[("Host", "localhost:1"), ("Origin", "http://localhost:2")],
            &[
                ("Host", "localhost"),
                ("Origin", "http://localhost"),
                ("Sec-Fetch-Site", "cross-site"),
            ],
            // A page whose host name was rebound to this machine.
            &[("Host", "evil.example"), ("Origin", "http://evil.example")],
            &[
                ("Host", "EVIL.example.:80"),
                ("Origin", "http://evil.example.:80"),
            ],
            &[("Host", "evil.example"), ("Sec-Fetch-Site", "same-origin")],
            &[("Host", "sandbox:4020"), ("Origin", "http://sandbox:4020")],
            &[("Host", "192.0.2.1"), ("Origin", "http://192.0.2.1")],
        ] {
            let reply = request(&sandbox, (method, path, body), by);
            assert_eq!(reply.status, 403, "{method} {path} {by:?}");
            assert!(!reply.head.contains("access-control"), "{}", reply.head);
            assert!(
                reply.head.contains("cache-control: no-store"),
                "{}",
                reply.head
            );
            if *method != "HEAD" {
                assert!(reply.json()["error"].is_string(), "{}", reply.body);
            }
        }
        // GET requests without both headers, which browsers send from plain-http names.
        if ["GET", "HEAD"].contains(method) && !path.starts_with("/v3") {
            let browser = [("Host", "evil.example"), ("User-Agent", "Mozilla/5.0")];
            for by in [
                &browser[..],
                &browser[..1],
                &[("Host", "evil.example.:4020")],
            ] {
                let reply = request(&sandbox, (method, path, body), by);
                assert_eq!(reply.status, 403, "{method} {path} {by:?}");
                assert!(!reply.body.contains("b@example.net"), "{}", reply.body);
                if *method != "HEAD" {
                    let error = reply.json()["error"].as_str().unwrap().to_owned();
                    assert!(error.contains("--allowed-host"), "{error}");
                }
            }
        }
    }
    assert_eq!(state(&sandbox), before);
    // The call is recorded with the reason, but without the head and body.
    let calls = sandbox.calls();
    let refused = calls.iter().filter(|call| call.status() == 403);
    assert!(refused.clone().count() > 0);
    for call in refused {
        assert!(call.refused().is_some() && !call.accepted(), "{call}");
        assert!(call.body().is_empty() && call.head().is_empty());
    }
}

#[test]
fn request_from_a_program_or_from_the_inbox_passes_at_every_path() {
    for (method, path, body, status) in REQUESTS {
        let sandbox = Sandbox::builder()
            .allowed_host("Mail.example.com")
            .start_blocking()
            .unwrap();
        for by in [
            // Programs, also in container networks.
            &[("Host", "localhost:4020")][..],
            &[("Host", "sandbox:4020")],
            &[("Host", "192.0.2.1:4020")],
            &[("Host", "mail.example.com:4020")],
            &[("Host", "sandbox:4020"), ("User-Agent", "curl/8.5.0")],
            &[("Host", "mail.example.com"), ("User-Agent", "Mozilla/5.0")],
            &[("Host", "host.docker.internal:4020")],
            &[("Host", "sandbox.default.svc.cluster.local:4020")],
            &[
                ("Host", "sandbox:4020"),
                ("User-Agent", "node"),
                ("Accept-Language", "*"),
                ("Sec-Fetch-Mode", "cors"),
            ],
            // PowerShell.
            &[
                ("Host", "sandbox:4020"),
                (
                    "User-Agent",
                    "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1",
                ),
            ],
            // The sandbox's own pages.
            &[
                ("Host", "localhost:4020"),
                ("Origin", "http://localhost:4020"),
            ],
            &[
                ("Host", "mail.example.com"),
                ("Origin", "https://mail.example.com"),
            ],
            &[("Host", "127.0.0.1:1"), ("Sec-Fetch-Site", "same-origin")],
            &[("Host", "[::1]:1"), ("Sec-Fetch-Site", "none")],
        ] {
            let reply = request(&sandbox, (method, path, body), by);
            assert_eq!(reply.status, *status, "{method} {path} {by:?}: {reply:?}");
        }
        // Requests other than GET and HEAD pass with any host name.
        if !["GET", "HEAD"].contains(method) {
            let by = [("Host", "sandbox.default.svc:4020")];
            let reply = request(&sandbox, (method, path, body), &by);
            assert_eq!(reply.status, *status, "{method} {path}: {reply:?}");
        }
    }
}

#[test]
fn exposed_sandbox_needs_the_key_and_accepts_any_host_name() {
    let sandbox = everywhere().start_blocking().unwrap();
    for host in ["sandbox.default.svc:4020", "sandbox.example.com", "sandbox"] {
        for path in ["/_sandbox/mails", "/"] {
            let host = [("Host", host)];
            let key = ("X-Smtp2go-Api-Key", KEY);
            for (headers, status) in [(&host[..], 401), (&[host[0], key], 200)] {
                let reply = send_with_hosts(&sandbox, "GET", path, headers, b"");
                assert_eq!(reply.status, status, "{path} {headers:?}");
            }
        }
    }
}

#[test]
fn refused_page_leaves_the_connection_usable() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let mut stream = support::connect(&sandbox);
    for (origin, status) in [("Origin: http://evil.example\r\n", 403), ("", 200)] {
        let request = format!(
            "POST /v3/email/send HTTP/1.1\r\nHost: localhost\r\nX-Smtp2go-Api-Key: {}\r\n{origin}\
             Content-Length: {}\r\n\r\n{MAIL}",
            sandbox.key(),
            MAIL.len(),
        );
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(support::read(&mut stream, true).status, status);
    }
    assert_eq!(sandbox.mails().len(), 1);
}

const KEY: &str = "api-MINE0MINE0MINE0MINE0MINE0MINE0MI";

/// Builds a sandbox that listens on all addresses of the machine.
fn everywhere() -> SandboxBuilder {
    Sandbox::builder()
        .host("0.0.0.0".parse().unwrap())
        .expose(true)
        .key(KEY)
        .remote_webhooks(true)
        .webhook_speed(1)
}

/// Waits for the first attempt of the first delivery, and returns its status or its error.
fn first_attempt(sandbox: &Sandbox) -> Result<u16, String> {
    let begun = std::time::Instant::now();
    loop {
        let deliveries = sandbox.webhook_deliveries();
        if let Some(attempt) = deliveries
            .first()
            .and_then(|first| first.attempts().first())
        {
            return attempt
                .status()
                .ok_or_else(|| attempt.error().unwrap_or_default().to_owned());
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "no attempt within 20 s"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn webhook_to_a_sandbox_is_refused_in_every_spelling_of_its_host() {
    let other = everywhere().start_blocking().unwrap();
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "app.localhost",
        "127.0.0.2",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "a:b@127.0.0.1",
    ] {
        for (path, to_itself) in [
            ("/_sandbox/reset", true),
            ("/_sandbox/clock/resume", true),
            ("/v3/email/send", true),
            ("/", true),
            ("/_sandbox/reset", false),
        ] {
            let sandbox = everywhere().start_blocking().unwrap();
            sandbox.freeze();
            let target = if to_itself { &sandbox } else { &other };
            let address = support::address(target);
            let port = address.rsplit(':').next().unwrap();
            let hook = json!({
                "url": format!("http://{host}:{port}{path}"), "events": ["processed"],
                "auth_header_type": "bearer", "auth_header_value": KEY,
            });
            assert_eq!(post(&sandbox, "/webhook/add", &hook).status, 200, "{hook}");
            assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
            let attempt = first_attempt(&sandbox);
            assert_eq!(attempt, Ok(403), "{hook}");
            assert_eq!(sandbox.mails().len(), 1, "{hook}");
        }
    }
    let calls = other.calls();
    assert!(calls.iter().all(|call| !call.accepted()));
}

#[test]
fn webhook_does_not_follow_a_redirect_to_the_sandbox() {
    let sandbox = Sandbox::start_blocking().unwrap();
    sandbox.freeze();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let target = format!("http://{}/_sandbox/reset", support::address(&sandbox));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let answer = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let hook = json!({ "url": url, "events": ["processed"] });
    assert_eq!(post(&sandbox, "/webhook/add", &hook).status, 200);
    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
    assert_eq!(first_attempt(&sandbox), Ok(307));
    server.join().unwrap();
    assert_eq!(sandbox.mails().len(), 1);
}
