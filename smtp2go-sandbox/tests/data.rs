//! The data file: acknowledged changes survive SIGKILL.
#![cfg(unix)]
// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use smtp2go_sandbox::{EventKind, Outcome, Sandbox};

/// The default key, which some requests contain.
const KEY: &str = "api-SANDBOX0SANDBOX0SANDBOX0SANDBOX0";

/// A temporary folder, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("smtp2go-sandbox-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn program(file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smtp2go-sandbox"));
    command.args(["--port", "0", "--quiet", "--data"]).arg(file);
    command
}

/// A running program, killed by SIGKILL on drop.
struct Running {
    child: Child,
    host: String,
    key: String,
}

impl Running {
    fn start(file: &Path, arguments: &[&str]) -> Self {
        Self::spawn(program(file).args(arguments))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let Some(Ok(url)) = lines.next() else {
            let mut says = String::new();
            child.stderr.unwrap().read_to_string(&mut says).unwrap();
            panic!("it does not start: {says}");
        };
        let host = url.strip_prefix("SMTP2GO_BASE_URL=http://").unwrap();
        let key = lines.next().unwrap().unwrap();
        Self {
            host: host.strip_suffix("/v3").unwrap().to_owned(),
            key: key.strip_prefix("SMTP2GO_API_KEY=").unwrap().to_owned(),
            child,
        }
    }

    /// Returns the status and the body of the reply. Fails if the program has ended.
    fn try_call(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.host)?;
        let body = body.to_string();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             X-Smtp2go-Api-Key: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            self.key,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let cut = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(cut)?;
        let length = head.to_ascii_lowercase();
        let length = length.split_once("content-length: ").ok_or_else(cut)?.1;
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        match body.len() == length {
            true => Ok((head[9..12].parse().unwrap(), body.to_owned())),
            false => Err(cut()),
        }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, body) = self.try_call(method, path, body).unwrap();
        assert_eq!(status, 200, "{method} {path}: {body}");
        match body.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&body).unwrap(),
        }
    }

    fn post(&self, path: &str, body: impl Into<Value>) -> Value {
        self.call("POST", &format!("/v3{path}"), &body.into())
    }

    fn admin(&self, path: &str, body: impl Into<Value>) -> Value {
        self.call("POST", &format!("/_sandbox{path}"), &body.into())
    }

    fn look(&self, path: &str) -> Value {
        self.call("GET", &format!("/_sandbox{path}"), &Value::Null)
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mail(to: &str) -> Value {
    json!({ "sender": "a@example.com", "to": [to], "subject": format!("To {to}"),
            "text_body": "Hello" })
}

/// Paths of the API or below `/_sandbox`, each with a body.
type Calls = Vec<(&'static str, Value)>;

/// Returns, for each kind of state, its name, the calls that create it and the calls that show it.
fn kinds() -> Vec<(&'static str, Calls, Calls)> {
    let none = || json!({});
    let long = "QUJD".repeat(5_000);
    let file = json!({ "filename": "a.bin", "fileblob": long, "mimetype": "text/plain" });
    let with_file = |to: &str| {
        let mut mail = mail(to);
        mail["attachments"] = json!([file]);
        mail
    };
    let mime = "From: a@example.com\r\nTo: m@example.net\r\nSubject: M\r\n\r\nHi".repeat(40);
    let mime = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(mime)
    };
    let span = json!({ "start_date": "2000-01-01", "end_date": "2200-01-01" });
    vec![
        (
            "mails, with their events and contents",
            vec![
                (
                    "/webhook/add",
                    json!({ "url": "http://127.0.0.1:9/", "events": ["open"] }),
                ),
                ("/email/send", mail("b@example.net")),
                ("/email/send", with_file("click@example.net")),
                (
                    "/email/batch",
                    json!({ "emails": [with_file("bounce@example.net"),
                    with_file("spam@example.net"), mail("unsubscribe@example.net")] }),
                ),
                ("/email/mime", json!({ "mime_email": mime })),
                (
                    "/_sandbox/delivery",
                    json!({ "recipient": "held@", "outcome": "hold" }),
                ),
                ("/email/send", mail("held@example.net")),
                ("/_sandbox/clock/advance", json!({ "seconds": 1 })),
                ("/email/send", mail("bounce@example.net")),
            ],
            vec![
                ("/activity/search", span.clone()),
                ("/email/search", none()),
                ("/stats/email_summary", none()),
                ("/stats/email_history", none()),
                ("/archive/search", none()),
                ("/_sandbox/mails", Value::Null),
                ("/_sandbox/mails/1SaNdB-000002-00", Value::Null),
                ("/_sandbox/mails/1SaNdB-000004-00", Value::Null),
                ("/_sandbox/mails/1SaNdB-000006-00", Value::Null),
                ("/_sandbox/events", Value::Null),
            ],
        ),
        (
            "scheduled mails",
            vec![("/email/send", {
                let mut mail = mail("later@example.net");
                mail["schedule"] = "2099-01-02T00:00:00Z".into();
                mail
            })],
            vec![("/email/scheduled/search", none())],
        ),
        (
            "text messages",
            vec![
                (
                    "/sms/send",
                    json!({ "destination": ["+15550000004", "+15550000002"], "content": "Hi" }),
                ),
                (
                    "/_sandbox/sms/receive",
                    json!({ "from": "+15550001", "to": "+15550002", "content": "STOP" }),
                ),
                ("/_sandbox/clock/advance", json!({ "seconds": 1 })),
            ],
            vec![
                ("/sms/view-sent", none()),
                ("/sms/view-received", none()),
                ("/sms/summary", none()),
                ("/_sandbox/sms", Value::Null),
            ],
        ),
        (
            "templates",
            vec![
                (
                    "/template/add",
                    json!({ "id": "hello", "template_name": "Hello", "subject": "Hi {{name}}",
                    "html_body": "<p>{{name}}</p>", "text_body": "{{name}}", "tags": ["t"],
                    "template_variables": { "name": "you" } }),
                ),
                (
                    "/template/add",
                    json!({ "id": "gone1", "template_name": "Gone", "subject": "", "html_body": "x", "text_body": "" }),
                ),
                ("/template/delete", json!({ "id": "gone1" })),
            ],
            vec![
                ("/template/search", none()),
                ("/template/view", json!({ "id": "hello" })),
            ],
        ),
        (
            "suppressions",
            vec![
                (
                    "/suppression/add",
                    json!({ "email_address": "x@example.net", "block_description": "d" }),
                ),
                (
                    "/suppression/add",
                    json!({ "email_address": "y@example.net" }),
                ),
                (
                    "/suppression/remove",
                    json!({ "email_address": "y@example.net", "reasons": ["manual"] }),
                ),
            ],
            vec![("/suppression/view", span)],
        ),
        (
            "webhooks",
            vec![
                (
                    "/webhook/add",
                    json!({ "url": "http://127.0.0.1:9/2", "events": ["delivered"], "headers": ["X-A"] }),
                ),
                (
                    "/webhook/edit",
                    json!({ "id": 2, "auth_header_type": "bearer", "auth_header_value": "EXAMPLE-1" }),
                ),
            ],
            vec![("/webhook/view", none())],
        ),
        (
            "subaccounts and domains",
            vec![
                (
                    "/subaccount/add",
                    json!({ "fullname": "Sub", "subaccount_email": "s@example.com", "limit": 10_000 }),
                ),
                ("/domain/add", json!({ "domain": "example.com" })),
                ("/domain/add", json!({ "domain": "example.org" })),
                ("/domain/verify", json!({ "domain": "example.org" })),
                ("/domain/add", json!({ "domain": "example.net" })),
                ("/domain/remove", json!({ "domain": "example.net" })),
            ],
            vec![("/subaccounts/search", none()), ("/domain/view", none())],
        ),
        (
            "API keys, SMTP users and single senders",
            vec![
                (
                    "/api_keys/add",
                    json!({ "description": "k", "endpoints": ["/email/*"] }),
                ),
                (
                    "/users/smtp/add",
                    json!({ "username": "user1", "email_password": "EXAMPLE-4hX9-pQ2w" }),
                ),
                ("/users/smtp/add", json!({ "username": "user2" })),
                ("/users/smtp/remove", json!({ "username": "user2" })),
                (
                    "/single_sender_emails/add",
                    json!({ "email_address": "one@example.com" }),
                ),
                (
                    "/single_sender_emails/add",
                    json!({ "email_address": "unverified@example.com" }),
                ),
                ("/_sandbox/clock/advance", json!({ "seconds": 1 })),
            ],
            vec![
                ("/api_keys/view", none()),
                ("/users/smtp/view", none()),
                ("/single_sender_emails/view", none()),
            ],
        ),
        (
            "lists of senders, recipients and IP addresses",
            vec![
                (
                    "/allowed_senders/update",
                    json!({ "allowed_senders": ["example.com", "c@example.org"], "mode": "whitelist" }),
                ),
                (
                    "/allowed_senders/remove",
                    json!({ "allowed_senders": ["c@example.org"] }),
                ),
                (
                    "/allowed_recipients/add",
                    json!({ "allowed_recipients": ["example.net"], "enabled": true }),
                ),
                (
                    "/ip_allow_list/add",
                    json!({ "api_key": KEY, "ip_address": "127.0.0.1", "type": "api", "description": "here" }),
                ),
                (
                    "/ip_allow_list",
                    json!({ "api_key": KEY, "enabled": true, "type": "api" }),
                ),
                (
                    "/ip_allow_list/add",
                    json!({ "api_key": KEY, "ip_address": "192.0.2.1", "type": "smtp" }),
                ),
            ],
            vec![
                ("/allowed_senders/view", none()),
                ("/allowed_recipients/view", none()),
                (
                    "/ip_allow_list/view",
                    json!({ "api_key": KEY, "type": "api" }),
                ),
                (
                    "/ip_allow_list/view",
                    json!({ "api_key": KEY, "type": "smtp" }),
                ),
            ],
        ),
        ("the clock", vec![], vec![("/_sandbox/clock", Value::Null)]),
    ]
}

/// Returns the replies of all calls that show state, without request ids.
fn show(sandbox: &Running) -> Vec<(String, String)> {
    let views = kinds().into_iter().flat_map(|(kind, _, views)| {
        views
            .into_iter()
            .map(move |(path, body)| (format!("{kind}: {path} {body}"), path, body))
    });
    let shown = views.map(|(name, path, body)| {
        let mut reply = match path.strip_prefix("/_sandbox") {
            Some(path) => sandbox.look(path),
            None => sandbox.post(path, body),
        };
        for place in ["/request_id", "/data/request_id"] {
            if let Some(id) = reply.pointer_mut(place) {
                *id = Value::Null;
            }
        }
        (name, reply.to_string())
    });
    shown.collect()
}

#[test]
fn every_kind_of_state_survives_a_kill() {
    let folder = Folder::new("kinds");
    let first = Running::start(&folder.file(), &["--seed", "7"]);
    first.admin("/clock/freeze", Value::Null);
    let now = first.look("/clock")["now"].clone();
    // One day before the schedule of the mails in `kinds`.
    let wanted = smtp2go_types::Timestamp::new("2099-01-01T00:00:00Z")
        .to_system_time()
        .unwrap();
    let now = smtp2go_types::Timestamp::new(now.as_str().unwrap())
        .to_system_time()
        .unwrap();
    let ahead = wanted.duration_since(now).unwrap();
    first.admin("/clock/advance", json!({ "seconds": ahead.as_secs() }));
    for (kind, changes, _) in kinds() {
        for (path, body) in changes {
            let path = match path.starts_with("/_sandbox") {
                true => path.to_owned(),
                false => format!("/v3{path}"),
            };
            let (status, reply) = first.try_call("POST", &path, &body).unwrap();
            assert_eq!(status, 200, "{kind}: {path}: {reply}");
        }
    }
    let before = show(&first);
    first.kill();
    // The second start reads state that the first one loaded and did not write.
    for _ in 0..2 {
        let again = Running::start(&folder.file(), &["--seed", "7"]);
        for (before, after) in before.iter().zip(show(&again)) {
            assert_eq!(*before, after);
        }
        again.kill();
    }
}

#[test]
fn restored_state_takes_effect_and_no_id_repeats() {
    let folder = Folder::new("works");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = format!("http://{}/", listener.local_addr().unwrap());
    let first = Running::start(&folder.file(), &["--sender-domain", "example.com"]);
    let template = json!({ "id": "hello", "template_name": "Hello", "subject": "Hi {{name}}", "html_body": "x", "text_body": "" });
    first.post("/template/add", template);
    let added = first.post("/api_keys/add", json!({ "endpoints": ["/email/send"] }));
    first.post(
        "/suppression/add",
        json!({ "email_address": "x@example.net" }),
    );
    let webhook = first.post("/webhook/add", json!({ "url": hook, "events": ["open"] }));
    let one = first.post("/email/send", mail("b@example.net"));
    first.kill();

    let mut again = Running::start(&folder.file(), &["--sender-domain", "example.com"]);
    let mut filled = mail("open@example.net");
    filled["template_id"] = "hello".into();
    filled["template_data"] = json!({ "name": "Jane" });
    let two = again.post("/email/send", filled);
    let id = two["data"]["email_id"].as_str().unwrap();
    assert_ne!(one["data"]["email_id"], id);
    assert_ne!(one["request_id"], two["request_id"]);
    assert_eq!(again.look(&format!("/mails/{id}"))["subject"], "Hi Jane");
    let (mut posted, _) = listener.accept().unwrap();
    let mut head = [0; 4];
    posted.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"POST");
    let other = again.post(
        "/webhook/add",
        json!({ "url": "http://127.0.0.1:9/", "events": ["open"] }),
    );
    assert_ne!(webhook["data"]["id"], other["data"]["id"]);
    let refused = again.post("/email/send", mail("x@example.net"));
    assert_eq!(refused["data"]["failed"], 1);
    let (status, _) = again
        .try_call(
            "POST",
            "/v3/email/send",
            &json!({ "sender": "a@example.org",
        "to": ["b@example.net"], "text_body": "x" }),
        )
        .unwrap();
    assert_eq!(status, 400);
    again.key = added["data"][0]["api_key"].as_str().unwrap().to_owned();
    again.post("/email/send", mail("b@example.net"));
    let (status, _) = again
        .try_call("POST", "/v3/template/search", &json!({}))
        .unwrap();
    assert_ne!(status, 200);
}

#[test]
fn key_of_an_earlier_start_is_replaced_by_the_new_one() {
    let folder = Folder::new("keys");
    let first = Running::start(&folder.file(), &["--key", "one"]);
    first.post("/email/send", mail("b@example.net"));
    first.kill();
    let mut again = Running::start(&folder.file(), &["--key", "two"]);
    assert_eq!(again.look("/mails")["total"], 1);
    again.post("/email/send", mail("b@example.net"));
    again.key = "one".to_owned();
    let (status, _) = again
        .try_call("POST", "/v3/email/send", &mail("b@example.net"))
        .unwrap();
    assert_eq!(status, 401);
}

#[test]
fn pending_jobs_run_exactly_once_after_a_restart() {
    let folder = Folder::new("due");
    let first = Running::start(&folder.file(), &[]);
    first.admin("/clock/freeze", Value::Null);
    let now = first.look("/clock")["now"].as_str().unwrap().to_owned();
    let now = smtp2go_types::Timestamp::new(&now)
        .to_system_time()
        .unwrap();
    let schedule = smtp2go_types::Timestamp::from(now + Duration::from_secs(3_600)).to_string();
    let mut later = mail("later@example.net");
    later["schedule"] = schedule.into();
    first.post("/email/send", later.clone());
    let off = first.post("/email/send", later);
    let off = json!({ "schedule_id": off["data"]["schedule_id"] });
    first.post("/email/scheduled/remove", off);
    // In transit.
    first.post("/email/send", mail("click@example.net"));
    first.admin(
        "/delivery",
        json!({ "recipient": "held@", "outcome": "hold" }),
    );
    first.post("/email/send", mail("held@example.net"));
    first.post(
        "/sms/send",
        json!({ "destination": ["+15550000001"], "content": "Hi" }),
    );
    first.post("/domain/add", json!({ "domain": "example.org" }));
    first.post(
        "/single_sender_emails/add",
        json!({ "email_address": "one@example.com" }),
    );
    first.kill();

    let again = Running::start(&folder.file(), &[]);
    assert_eq!(again.look("/events")["total"], 3);
    again.admin("/clock/advance", json!({ "seconds": 7_200 }));
    let events = again.look("/events");
    let mut events: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let to = event["recipient"].as_str().unwrap_or("-");
            format!(
                "{} {}",
                to.split('@').next().unwrap(),
                event["event"].as_str().unwrap()
            )
        })
        .collect();
    events.sort();
    let expected = [
        "- processed",
        "- processed",
        "- processed",
        "- sms_delivered",
        "- sms_sending",
        "- sms_submitted",
        "click delivered",
        "click open",
        "later delivered",
    ];
    assert_eq!(events, expected);
    let domains = again.post("/domain/view", json!({}));
    assert_eq!(
        domains["data"]["domains"][0]["domain"]["dkim_verified"],
        true
    );
    let senders = again.post("/single_sender_emails/view", json!({}));
    assert_eq!(senders["data"]["senders"][0]["verified"], true);
    // A held mail can still get an event on demand.
    let id = again.look("/mails")["mails"][3]["email_id"]
        .as_str()
        .unwrap()
        .to_owned();
    again.admin(&format!("/mails/{id}/events"), json!({ "event": "bounce" }));
    again.kill();
    let last = Running::start(&folder.file(), &[]);
    last.admin("/clock/advance", json!({ "seconds": 7_200 }));
    assert_eq!(last.look("/events")["total"], 10);
}

#[test]
fn mails_acknowledged_to_concurrent_senders_survive_kills() {
    let folder = Folder::new("kills");
    let mut random = fastrand::Rng::with_seed(20);
    let acknowledged = Mutex::new(BTreeSet::new());
    let sent = Mutex::new(0);
    for round in 0..8 {
        let mut sandbox = Running::start(&folder.file(), &[]);
        let enough = random.usize(1..60);
        let begun = acknowledged.lock().unwrap().len();
        let pause = Duration::from_micros(random.u64(..3_000));
        let killed = thread::scope(|scope| {
            let reading = &sandbox;
            for _ in 0..6 {
                scope.spawn(|| {
                    loop {
                        let number = {
                            let mut sent = sent.lock().unwrap();
                            *sent += 1;
                            *sent
                        };
                        let subject = format!("Mail {number}");
                        let mut mail = mail("b@example.net");
                        mail["subject"] = subject.as_str().into();
                        if number % 3 == 0 {
                            mail["attachments"] =
                                json!([{ "filename": "a", "fileblob": "QUJD".repeat(20_000) }]);
                        }
                        match reading.try_call("POST", "/v3/email/send", &mail) {
                            Ok((200, reply)) => {
                                let reply: Value = serde_json::from_str(&reply).unwrap();
                                let id = reply["data"]["email_id"].as_str().unwrap().to_owned();
                                assert!(acknowledged.lock().unwrap().insert((subject, id)));
                            }
                            Ok(other) => panic!("{other:?}"),
                            Err(_) => return,
                        }
                    }
                });
            }
            while acknowledged.lock().unwrap().len() < begun + enough {
                thread::yield_now();
            }
            thread::sleep(pause);
            let pid = sandbox.child.id().to_string();
            Command::new("kill").args(["-KILL", &pid]).status().unwrap()
        });
        assert!(killed.success());
        sandbox.child.wait().unwrap();
        let again = Running::start(&folder.file(), &[]);
        let kept = again.look("/mails?limit=100000");
        let kept: Vec<_> = kept["mails"]
            .as_array()
            .unwrap()
            .iter()
            .map(|mail| {
                (
                    mail["subject"].as_str().unwrap().to_owned(),
                    mail["email_id"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        let once: BTreeSet<_> = kept.iter().cloned().collect();
        assert_eq!(kept.len(), once.len(), "round {round}: one is there twice");
        let acknowledged = acknowledged.lock().unwrap();
        let lost: Vec<_> = acknowledged.difference(&once).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
        // Attachments are there too.
        let (_, id) = acknowledged
            .iter()
            .find(|(subject, _)| subject == "Mail 3")
            .unwrap();
        let whole = again.look(&format!("/mails/{id}"));
        assert_eq!(whole["attachments"][0]["content"], "QUJD".repeat(20_000));
        again.kill();
    }
}

#[test]
fn unusable_file_is_named_in_the_error_and_not_changed() {
    let folder = Folder::new("errors");
    let good = folder.file();
    let running = Running::start(&good, &[]);
    running.post("/email/send", mail("b@example.net"));
    running.kill();
    let bytes = fs::read(&good).unwrap();
    let running = Running::start(&good, &[]);
    let path = |name: &str| folder.0.join(name);
    for (name, content) in [
        ("text", b"This is somebody else's.".as_slice()),
        ("short", b"redb"),
        ("magic", &bytes[..9]),
        ("head", &bytes[..300]),
        ("page", &bytes[..4_096]),
        ("half", &bytes[..bytes.len() / 2]),
        ("almost", &bytes[..bytes.len() - 1]),
        ("zeros", &[0; 5_000]),
    ] {
        fs::write(path(name), content).unwrap();
    }
    fs::create_dir(path("folder")).unwrap();
    let made = Command::new("mkfifo").arg(path("pipe")).status().unwrap();
    assert!(made.success());
    let null = PathBuf::from("/dev/null");
    let missing = path("missing").join("data");
    for (file, arguments, expected) in [
        (&good, &[][..], "another sandbox has the file open"),
        (&path("text"), &[], "not a data file"),
        (&path("short"), &[], "not a data file"),
        (&path("magic"), &[], "cut short"),
        (&path("head"), &[], "cut short"),
        (&path("page"), &[], "cut short"),
        (&path("half"), &[], "cut short"),
        (&path("almost"), &[], "cut short"),
        (&path("zeros"), &[], "not a data file"),
        (&path("folder"), &[], "not a regular file"),
        (&path("pipe"), &[], "not a regular file"),
        (&null, &[], "not a regular file"),
        (&missing, &[], "No such file or directory"),
        (&path("new"), &["--stateless"], "--stateless"),
    ] {
        // Reading the pipe would wait for a writer.
        let content = || file.is_file().then(|| fs::read(file).unwrap());
        let before = content();
        let output = program(file).args(arguments).output().unwrap();
        let says = String::from_utf8(output.stderr).unwrap();
        let status = output.status.code();
        assert!(matches!(status, Some(1 | 2)), "{file:?}: {status:?} {says}");
        assert_eq!(says.lines().count(), 1, "{file:?}: {says}");
        assert!(says.contains(expected), "{file:?}: {says}");
        if arguments.is_empty() {
            assert!(says.contains(file.to_str().unwrap()), "{says}");
        }
        if file != &good {
            assert_eq!(content(), before, "{file:?}");
        }
    }
    // The sandbox that has the file open still works.
    running.post("/email/send", mail("b@example.net"));
    assert_eq!(running.look("/mails")["total"], 2);
}

#[test]
fn file_damaged_in_the_middle_is_refused_in_one_line_and_not_changed() {
    let folder = Folder::new("damaged");
    let file = folder.file();
    let running = Running::start(&file, &[]);
    // One change with many records, so that most pages are in use.
    let mails: Vec<_> = (0..30)
        .map(|number| {
            let mut mail = mail(&format!("b{number}@example.net"));
            mail["text_body"] = "Hello ".repeat(1_000).into();
            mail
        })
        .collect();
    running.post("/email/batch", json!({ "emails": mails }));
    // If the last change is damaged, redb goes back to the one before.
    for _ in 0..3 {
        running.post("/email/send", mail("b@example.net"));
    }
    running.kill();
    let good = fs::read(&file).unwrap();
    let pages: Vec<_> = (1..good.len() / 4_096)
        .map(|page| page * 4_096)
        .filter(|start| good[*start..start + 4_096].iter().any(|byte| *byte != 0))
        .collect();
    let mut refused = 0;
    for start in pages.iter().step_by(pages.len().div_ceil(24)) {
        let mut damaged = good.clone();
        for byte in &mut damaged[*start..start + 4_096] {
            *byte = byte.wrapping_mul(7).wrapping_add(3);
        }
        fs::write(&file, &damaged).unwrap();
        // Ends at once: the command exists.
        let output = program(&file).args(["--", "true"]).output().unwrap();
        let says = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            // The page was not in use.
            Some(0) => continue,
            status => assert_eq!(status, Some(1), "page at {start}: {says}"),
        }
        refused += 1;
        assert_eq!(says.lines().count(), 1, "page at {start}: {says}");
        assert!(says.contains(file.to_str().unwrap()), "{says}");
        assert!(
            fs::read(&file).unwrap() == damaged,
            "page at {start}: changed"
        );
    }
    assert!(refused > 2, "{refused} of {} pages", pages.len());
    fs::write(&file, good).unwrap();
    assert_eq!(Running::start(&file, &[]).look("/mails")["total"], 33);
}

#[test]
fn file_that_cannot_grow_ends_the_program_and_loses_no_acknowledged_mail() {
    let folder = Folder::new("full");
    let file = folder.file();
    let script = "trap '' XFSZ; ulimit -f 4000; exec \"$0\" --port 0 --quiet --data \"$1\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_smtp2go-sandbox")])
        .arg(&file);
    let mut running = Running::spawn(&mut command);
    let mut large = mail("b@example.net");
    large["attachments"] = json!([{ "filename": "a", "fileblob": "QUJD".repeat(25_000) }]);
    let mut sent = 0;
    let refused = loop {
        match running.try_call("POST", "/v3/email/send", &large) {
            Ok((200, _)) => sent += 1,
            other => break other,
        }
        assert!(sent < 1_000);
    };
    // The program may have ended before the reply.
    if let Ok((status, reply)) = refused {
        assert_eq!(status, 500, "{reply}");
        assert!(
            reply.contains(file.to_str().unwrap()) && reply.contains("cannot be written"),
            "{reply}"
        );
    }
    assert_eq!(running.child.wait().unwrap().code(), Some(1));
    let mut says = String::new();
    running
        .child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut says)
        .unwrap();
    assert_eq!(says.lines().count(), 1, "{says}");
    assert!(says.contains(file.to_str().unwrap()), "{says}");
    assert!(sent > 0);
    let again = Running::start(&file, &[]);
    assert_eq!(again.look("/mails")["total"], sent);
}

/// The sandbox runs as long as the command after `--`, which waits for the end of its standard input.
/// Otherwise the sandbox could end before a slow test reads the replies.
#[test]
fn every_request_gets_500_after_the_file_could_not_be_written() {
    const SENDERS: usize = 4;
    let folder = Folder::new("full-replies");
    let script = "trap '' XFSZ; ulimit -f 4000; exec \"$0\" --port 0 --quiet --data \"$1\" -- sh -c \
        'echo SMTP2GO_BASE_URL=$SMTP2GO_BASE_URL; echo SMTP2GO_API_KEY=$SMTP2GO_API_KEY; exec cat >/dev/null'";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_smtp2go-sandbox")])
        .arg(folder.file())
        .stdin(Stdio::piped());
    let mut running = Running::spawn(&mut command);
    let mut large = mail("b@example.net");
    large["attachments"] = json!([{ "filename": "a", "fileblob": "QUJD".repeat(25_000) }]);
    thread::scope(|scope| {
        let send = || {
            for _ in 0..1_000 {
                match running.try_call("POST", "/v3/email/send", &large).unwrap() {
                    (200, _) => {}
                    refused => return refused,
                }
            }
            panic!("the file was never full");
        };
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(send)).collect();
        for sender in senders {
            let (status, reply) = sender.join().unwrap();
            assert_eq!(status, 500, "{reply}");
            assert!(reply.contains("cannot be written"), "{reply}");
        }
    });
    drop(running.child.stdin.take());
    running.child.wait().unwrap();
}

#[test]
fn dropped_mail_is_removed_from_the_file() {
    let folder = Folder::new("drop");
    let file = folder.file();
    let arguments = ["--keep-bytes", "2M"];
    let running = Running::start(&file, &arguments);
    let mut large = mail("b@example.net");
    let mut most = 0;
    for number in 0..60_usize {
        large["subject"] = format!("Mail {number}").into();
        let content = "QUJD".repeat(50_000 + number);
        large["attachments"] = json!([{ "filename": "a", "fileblob": content }]);
        running.post("/email/send", large.clone());
        most = most.max(fs::metadata(&file).unwrap().len());
    }
    // 12 MB were sent.
    assert!(most < 8_000_000, "{most}");
    let shown = |sandbox: &Running| {
        let mails = sandbox.look("/mails");
        (
            mails,
            sandbox.post("/stats/email_summary", json!({}))["data"].clone(),
        )
    };
    let before = shown(&running);
    assert_eq!(before.0["total"], 60);
    let kept = before.0["mails"].as_array().unwrap().len();
    assert!((2..12).contains(&kept), "{kept}");
    running.kill();
    let again = Running::start(&file, &arguments);
    assert_eq!(shown(&again), before);
    again.kill();
    // A lower limit drops the oldest mails at the start.
    let smaller = Running::start(&file, &["--keep-mails", "1"]);
    let mails = smaller.look("/mails");
    assert_eq!(mails["mails"][0]["subject"], "Mail 59");
    assert_eq!(
        (&mails["total"], &mails["dropped"]),
        (&json!(60), &json!(59))
    );
}

#[test]
fn deleted_mail_is_removed_from_the_file() {
    let folder = Folder::new("delete");
    let running = Running::start(&folder.file(), &[]);
    let ids = ["a", "b"].map(|to| {
        let sent = running.post("/email/send", mail(&format!("{to}@example.net")));
        sent["data"]["email_id"].as_str().unwrap().to_owned()
    });
    let path = format!("/_sandbox/mails/{}", ids[0]);
    running.call("DELETE", &path, &Value::Null);
    running.kill();
    let again = Running::start(&folder.file(), &[]);
    let mails = again.look("/mails");
    assert_eq!(mails["mails"].as_array().unwrap().len(), 1);
    assert_eq!(mails["mails"][0]["email_id"], ids[1].as_str());
    let events = again.look("/events").to_string();
    assert!(
        events.contains(&ids[1]) && !events.contains(&ids[0]),
        "{events}"
    );
    let dropped = &again.look("")["dropped"];
    assert_eq!(
        (&dropped["mails"], &dropped["events"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn reset_empties_the_file() {
    let folder = Folder::new("reset");
    let running = Running::start(&folder.file(), &[]);
    for _ in 0..20 {
        running.post("/email/send", mail("bounce@example.net"));
    }
    running.post(
        "/template/add",
        json!({ "id": "hello", "template_name": "H", "subject": "", "html_body": "x", "text_body": "" }),
    );
    running.admin("/delivery", json!({ "recipient": "b@", "outcome": "hold" }));
    running.admin("/reset", Value::Null);
    let one = running.post("/email/send", mail("b@example.net"));
    running.kill();
    let again = Running::start(&folder.file(), &[]);
    let mails = again.look("/mails");
    assert_eq!(
        (&mails["total"], &mails["mails"][0]["email_id"]),
        (&json!(1), &one["data"]["email_id"])
    );
    assert_eq!(
        again.post("/template/search", json!({}))["data"]["total_count"],
        0
    );
    let span = json!({ "start_date": "2000-01-01", "end_date": "2200-01-01" });
    assert_eq!(
        again.post("/suppression/view", span)["data"]["total_results"],
        0
    );
    // A reset keeps delivery rules, so the mail is still held.
    thread::sleep(Duration::from_millis(60));
    assert_eq!(again.look("/events")["total"], 1);
}

#[test]
fn library_sandbox_restores_mails_events_and_clock() {
    let folder = Folder::new("library");
    let sandbox = Sandbox::builder()
        .data(folder.file())
        .start_blocking()
        .unwrap();
    let mode = fs::metadata(folder.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    sandbox.freeze();
    sandbox.delivery().on("b@example.net", Outcome::Hold);
    let host = sandbox.base_url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host.strip_suffix("/v3").unwrap()).unwrap();
    let body = mail("b@example.net").to_string();
    write!(
        stream,
        "POST /v3/email/send HTTP/1.1\r\nHost: localhost\r\nX-Smtp2go-Api-Key: {}\r\n\
        Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        sandbox.key(),
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let now = sandbox.now();
    sandbox.advance(Duration::from_secs(60));
    let first = sandbox.mails().remove(0);
    sandbox
        .delivery()
        .hard_bounce(&first, "b@example.net")
        .unwrap();
    drop(sandbox);

    let sandbox = Sandbox::builder()
        .data(folder.file())
        .start_blocking()
        .unwrap();
    assert_eq!(sandbox.now(), now + Duration::from_secs(60));
    let mails = sandbox.mails();
    assert_eq!(mails[0].email_id(), first.email_id());
    let kinds: Vec<_> = sandbox.events().iter().map(|event| event.kind()).collect();
    assert_eq!(kinds, [EventKind::Processed, EventKind::HardBounce]);
    // The mail has already bounced.
    assert!(
        sandbox
            .delivery()
            .soft_bounce(&mails[0], "b@example.net")
            .is_err()
    );
}

/// Measures bytes written, not time.
#[test]
fn bytes_written_by_a_change_do_not_grow_with_the_state() {
    let folder = Folder::new("size");
    let running = Running::start(&folder.file(), &[]);
    let written = || {
        let io = fs::read_to_string(format!("/proc/{}/io", running.child.id())).unwrap();
        let line = io
            .lines()
            .find_map(|line| line.strip_prefix("wchar: "))
            .unwrap();
        line.parse::<u64>().unwrap()
    };
    let add = |number: usize| {
        let body = "x".repeat(5_000);
        let template = json!({ "id": format!("template-{number}"), "template_name": "T", "subject": "", "text_body": body,
            "html_body": "" });
        let before = written();
        running.post("/template/add", template);
        written() - before
    };
    let first = add(0);
    for number in 1..200 {
        add(number);
    }
    let last = add(200);
    assert!(last < 5 * first + 100_000, "{first} {last}");
}
