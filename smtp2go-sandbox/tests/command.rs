//! The program: options, output, log and exit status.
#![cfg(unix)]
// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_smtp2go-sandbox"))
}

fn output(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The running program. Killed on drop.
struct Running {
    child: Child,
    base_url: String,
    key: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = program()
            .args(["--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut value = |name: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(name).unwrap().to_owned()
        };
        let base_url = value("SMTP2GO_BASE_URL=");
        let key = value("SMTP2GO_API_KEY=");
        assert_eq!(value("SMTP2GO_API_ROOT="), base_url);
        Self {
            child,
            base_url,
            key,
        }
    }

    /// Sends a request, and returns the whole reply.
    fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let host = self.base_url.strip_prefix("http://").unwrap();
        let host = host.strip_suffix("/v3").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn send(&self, body: &str) -> String {
        let key = format!("X-Smtp2go-Api-Key: {}\r\n", self.key);
        self.request("POST", "/v3/email/send", &key, body)
    }

    /// Ends the program with a signal, and returns its exit status and its log.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        let killed = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(killed.success());
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const MAIL: &str =
    r#"{"sender":"a@example.com","to":["b@example.net"],"subject":"Hi","text_body":"Hello"}"#;

#[test]
fn command_runs_with_the_sandbox_and_sets_the_exit_status() {
    let command = "echo $SMTP2GO_BASE_URL; echo $SMTP2GO_API_KEY; echo $SMTP2GO_API_ROOT; \
                   read line; exit $line";
    let mut child = program()
        .args(["--quiet", "--key", "k", "--", "sh", "-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (base_url, key) = (lines.next().unwrap().unwrap(), lines.next().unwrap());
    let host = base_url.strip_prefix("http://").unwrap();
    let host = host.strip_suffix("/v3").unwrap();
    assert_eq!(key.unwrap(), "k");
    assert_eq!(lines.next().unwrap().unwrap(), base_url);
    // The sandbox serves requests while the command runs.
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /_sandbox HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 OK"), "{answer}");
    child.stdin.take().unwrap().write_all(b"7\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert!(TcpStream::connect(host).is_err());

    let output = output(&["--", "/there/is/none", "-x"]);
    assert_eq!(output.status.code(), Some(1));
    let says = text(&output.stderr);
    assert!(says.starts_with("error: /there/is/none: "), "{says}");
    assert_eq!(says.lines().count(), 1, "{says}");
}

#[test]
fn command_with_smtp_has_host_port_and_login_in_its_environment() {
    let command = "for name in HOST PORT USERNAME PASSWORD; do eval echo \\$SMTP2GO_SMTP_$name; done; read line";
    let mut child = program()
        .args([
            "--quiet", "--key", "k", "--smtp", "0", "--", "sh", "-c", command,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let [host, port, username, password] = [(); 4].map(|()| lines.next().unwrap().unwrap());
    assert_eq!([&host, &username, &password], ["127.0.0.1", "sandbox", "k"]);
    let stream = TcpStream::connect(format!("{host}:{port}")).unwrap();
    let greeting = BufReader::new(stream).lines().next().unwrap().unwrap();
    assert_eq!(greeting, "220 localhost ESMTP smtp2go-sandbox");
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());

    let output = output(&["--smtp", "0", "--stateless"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn program_serves_and_logs_calls_until_a_signal() {
    for signal in ["-INT", "-TERM"] {
        let running = Running::start(&["--fault", "email_send:nth=3:status=503"]);
        assert!(running.send(MAIL).starts_with("HTTP/1.1 200"));
        assert!(running.send("{}").starts_with("HTTP/1.1 400"));
        assert!(running.send(MAIL).starts_with("HTTP/1.1 503"));
        let typo = MAIL.replace("{", r#"{"reply_to":"c@example.org","#);
        assert!(running.send(&typo).starts_with("HTTP/1.1 200"));
        let mails = running.request("GET", "/_sandbox/mails", "", "");
        assert!(mails.contains(r#""total":2"#), "{mails}");
        let inbox = format!(
            "inbox: {}/\n",
            running.base_url.strip_suffix("/v3").unwrap()
        );
        let (code, log) = running.end(signal);
        assert_eq!(code, Some(0), "{log}");
        let lines: Vec<_> = log
            .strip_prefix(&inbox)
            .unwrap()
            .lines()
            .map(|line| line.split_once(' ').unwrap().1)
            .collect();
        let expected = [
            "POST /v3/email/send 200",
            "POST /v3/email/send 400 refused: sender: The field is required.",
            "POST /v3/email/send 503 fault: status 503, not carried out",
            "POST /v3/email/send 200 ignored: reply_to",
        ];
        assert_eq!(lines, expected);
    }
}

#[test]
fn log_has_the_reason_of_a_failed_mail_with_quotes_unescaped() {
    let running = Running::start(&[]);
    let key = format!("X-Smtp2go-Api-Key: {}\r\n", running.key);
    let blocked = r#"{"email_address":"b@example.net"}"#;
    let added = running.request("POST", "/v3/suppression/add", &key, blocked);
    assert!(added.starts_with("HTTP/1.1 200"), "{added}");
    let mail = r#"{"sender":"a@example.com","to":["b@example.net"],"text_body":"x"}"#;
    assert!(running.send(mail).contains(r#""failed":1"#));
    running.send(&mail.replace(r#"["b@example.net"]"#, "1"));
    let (_, log) = running.end("-TERM");
    let failed = " 200 failed: Recipient <b@example.net> refused: the recipient is suppressed";
    assert!(log.contains(failed), "{log}");
    assert!(
        log.contains(r#" refused: to: The value is not of type "array""#),
        "{log}"
    );
}

#[test]
fn options_of_the_command_take_effect() {
    let running = Running::start(&[
        "--strict",
        "--quiet",
        "--key",
        "api-MINE0MINE0MINE0MINE0MINE0MINE0MI",
        "--sender-domain",
        "example.com",
    ]);
    assert_eq!(running.key, "api-MINE0MINE0MINE0MINE0MINE0MINE0MI");
    assert!(running.send(MAIL).starts_with("HTTP/1.1 200"));
    let typo = MAIL.replace("{", r#"{"reply_to":"c@example.org","#);
    let refused = running.send(&typo);
    assert!(refused.contains("NON_VALIDATING_IN_PAYLOAD"), "{refused}");
    let refused = running.send(&MAIL.replace("example.com", "example.org"));
    assert!(refused.contains("not verified"), "{refused}");
    let (code, log) = running.end("-TERM");
    assert_eq!((code, log.as_str()), (Some(0), ""));

    let running = Running::start(&["--stateless"]);
    let example = running.send(MAIL);
    assert!(example.starts_with("HTTP/1.1 200"), "{example}");
    let mails = running.request("GET", "/_sandbox/mails", "", "");
    assert!(mails.contains(r#""total":0"#), "{mails}");

    let running = Running::start(&["--max-connections", "0"]);
    let refused = running.send(MAIL);
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("--max-connections"), "{refused}");

    // The same seed makes the same calls fail.
    let pattern = |seed| {
        let running = Running::start(&["--seed", seed, "--fault", "chance=0.5:status=500"]);
        let statuses = (0..24).map(|_| running.send(MAIL)[9..12].to_owned());
        statuses.collect::<Vec<_>>()
    };
    assert_eq!(pattern("1"), pattern("1"));
    assert_ne!(pattern("1"), pattern("2"));
}

#[test]
fn address_beyond_loopback_needs_expose_and_a_key() {
    const KEY: &str = "api-MINE0MINE0MINE0MINE0MINE0MINE0MI";
    for (arguments, expected) in [
        (&["--host", "0.0.0.0"][..], "0.0.0.0 can be reached"),
        (&["--host", "0.0.0.0", "--key", KEY], "(--expose)"),
        (&["--host", "0.0.0.0", "--expose"], "--key"),
        (
            &["--host", "0.0.0.0", "--expose", "--key", "short"],
            "a key of your own",
        ),
        (
            &[
                "--host",
                "::",
                "--expose",
                "--key",
                "api-SANDBOX0SANDBOX0SANDBOX0SANDBOX0",
            ],
            "a key of your own",
        ),
        (
            &["--host", "0.0.0.0", "--expose", "--key", "                "],
            "API key: is empty",
        ),
        (&["--key", ""], "API key: is empty"),
        (&["--key", " "], "API key: is empty"),
        (&["--key", "api-a "], "API key: has white space around it"),
        (&["--key", "api-a\nb"], "API key: has a control character"),
        (&["--allowed-host", " "], "allowed host: is empty"),
        (&["--sender-domain", ""], "sender domain: is empty"),
    ] {
        let output = output(&[&["--port", "0"], arguments].concat());
        let error = text(&output.stderr);
        assert!(!output.status.success());
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let running = Running::start(&["--host", "0.0.0.0", "--expose", "--key", KEY]);
    assert!(running.base_url.starts_with("http://127.0.0.1:"));
    assert!(running.send(MAIL).starts_with("HTTP/1.1 200"));
    let mails = |headers: &str| running.request("GET", "/_sandbox/mails", headers, "");
    let refused = mails("");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    assert!(refused.contains("www-authenticate: Basic"), "{refused}");
    assert!(!refused.contains("example"), "{refused}");
    for (headers, status) in [
        (format!("X-Smtp2go-Api-Key: {KEY}\r\n"), "200"),
        (format!("Authorization: Bearer {KEY}\r\n"), "200"),
        // echo -n ":$KEY" | base64
        (
            "Authorization: Basic OmFwaS1NSU5FME1JTkUwTUlORTBNSU5FME1JTkUwTUlORTBNSQ==\r\n"
                .to_owned(),
            "200",
        ),
        ("X-Smtp2go-Api-Key: wrong\r\n".to_owned(), "401"),
        ("Authorization: Basic OndyY25n\r\n".to_owned(), "401"),
    ] {
        assert_eq!(mails(&headers)[9..12], *status, "{headers}");
    }
}

#[test]
fn health_exits_with_0_for_a_sandbox_and_otherwise_prints_a_line_and_exits_with_1() {
    const KEY: &str = "api-MINE0MINE0MINE0MINE0MINE0MINE0MI";
    let health = |host: &str, port: &str| output(&["health", "--host", host, "--port", port]);
    for options in [&[][..], &["--host", "0.0.0.0", "--expose", "--key", KEY]] {
        let running = Running::start(options);
        let (_, port) = running.base_url.rsplit_once(':').unwrap();
        let port = port.strip_suffix("/v3").unwrap();
        for host in ["127.0.0.1", "0.0.0.0"] {
            let output = health(host, port);
            let said = text(&[output.stdout, output.stderr].concat());
            assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
        }
    }

    let full = Running::start(&["--max-connections", "0"]);
    let (_, full) = full.base_url.rsplit_once(':').unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port().to_string();
    let closed = port(&nobody);
    drop(nobody);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let another = port(&other);
    std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nHello").unwrap();
    });
    for (port, expected) in [
        (full.strip_suffix("/v3").unwrap(), "503"),
        (&closed, "refused"),
        (&another, "200 OK"),
    ] {
        let output = health("127.0.0.1", port);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(&format!("127.0.0.1:{port}: ")), "{error}");
        assert!(error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn activity_lag_is_set_by_an_option() {
    let sandbox = Running::start(&["--activity-lag", "1.5"]);
    let activity = sandbox.request("GET", "/_sandbox/activity", "", "");
    assert!(activity.contains("{\"lag\":1.5}"), "{activity}");
}

#[test]
fn dropped_mail_is_logged_after_the_first_drop_and_each_tenfold_growth() {
    let mut sandbox = Running::start(&["--keep-mails", "2", "--keep-bytes", "8M"]);
    let mail = r#"{"sender":"a@example.com","to":["b@example.net"],"subject":"x","text_body":"x"}"#;
    for _ in 0..30 {
        assert_eq!(sandbox.send(mail)[9..12], *"200");
    }
    let about = sandbox.request("GET", "/_sandbox", "", "");
    assert!(about.contains("\"keep_bytes\":8388608"), "{about}");
    assert!(about.contains("\"keep_mails\":2"), "{about}");
    sandbox.child.kill().unwrap();
    let mut log = String::new();
    let mut error = sandbox.child.stderr.take().unwrap();
    error.read_to_string(&mut log).unwrap();
    let lines = log
        .lines()
        .filter(|line| line.starts_with("dropped the oldest data: "));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(
        lines[0].starts_with("dropped the oldest data: 1 mail, "),
        "{log}"
    );
}

#[test]
fn invalid_option_ends_with_an_error_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (arguments, code, expected) in [
        (
            &["--port", &port][..],
            1,
            format!("error: 127.0.0.1:{port}: "),
        ),
        (
            &["--fault", "email_send:nth=x:reset"],
            2,
            "column 12: \"nth=x\"".to_owned(),
        ),
        (&["--fault", "email_sent:reset"], 2, "column 1".to_owned()),
        (&["--port", "x"], 2, "--port".to_owned()),
        (&["--host", "nowhere"], 2, "--host".to_owned()),
        (&["--prot", "1"], 2, "--prot".to_owned()),
        (&["--keep-mails", "0"], 2, "must be at least 1".to_owned()),
        (
            &["--keep-mails", "x"],
            2,
            "expected a number of mails".to_owned(),
        ),
        (
            &["--activity-lag", "soon"],
            2,
            "expected a number of seconds".to_owned(),
        ),
        (&["--keep-bytes", "1 T"], 2, "--keep-bytes".to_owned()),
        (
            &["--keep-bytes", "99999999999G"],
            2,
            "expected a size such as 1048576, 512K, 64M or 2G".to_owned(),
        ),
        (
            &["--unknown-key-status", "200"],
            2,
            "200 is not in 400..=599".to_owned(),
        ),
        (&["more"], 2, "more".to_owned()),
        (&["--strict", "health"], 2, "'health'".to_owned()),
    ] {
        let output = output(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(&expected), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert_eq!(text(&output.stdout), "");
    }
    let help = output(&["--help"]);
    assert!(help.status.success());
    let help = text(&help.stdout);
    for word in [
        "Examples:",
        "--fault <RULE>",
        "--seed <N>",
        "--max-connections <N>",
        "--unknown-key-status <STATUS>",
        "--activity-lag <SECONDS>",
        "--keep-mails <N>",
        "--keep-bytes <SIZE>",
        "SMTP2GO_BASE_URL",
    ] {
        assert!(help.contains(word), "{help}");
    }
    assert!(text(&output(&["--version"]).stdout).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn log_has_a_bounded_number_of_lines_for_deliveries_that_were_given_up() {
    const MAILS: usize = 25;
    for (arguments, logged) in [(&[][..], MAILS), (&["--quiet"], 0)] {
        let running = Running::start(arguments);
        let key = format!("X-Smtp2go-Api-Key: {}\r\n", running.key);
        let hook =
            r#"{"url":"https://user:secret@example.com/hook?key=secret","events":["processed"]}"#;
        let added = running.request("POST", "/v3/webhook/add", &key, hook);
        assert!(added.contains(" 200 OK"), "{added}");
        for _ in 0..MAILS {
            assert!(running.send(MAIL).contains(" 200 OK"));
        }
        let all = running.request("GET", "/_sandbox/webhooks", "", "");
        assert_eq!(all.matches("given up").count(), MAILS, "{all}");
        let (status, log) = running.end("-TERM");
        assert_eq!(status, Some(0));
        assert!(!log.contains("secret"), "{log}");
        let line = "gave up a webhook delivery: example.com/hook processed after 1 attempt: the \
                    sandbox has no TLS: use a url with http://";
        let mut counted = 0;
        for said in log.lines().filter(|line| line.contains("gave up")) {
            counted += match said
                .strip_prefix("gave up ")
                .and_then(|rest| rest.split_once(' '))
            {
                Some(("a", _)) => {
                    assert_eq!(said, line);
                    1
                }
                Some((more, _)) => more.parse().unwrap(),
                None => 0,
            };
        }
        assert_eq!(counted, logged, "{log}");
    }
}
