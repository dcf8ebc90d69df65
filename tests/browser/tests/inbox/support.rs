//! A browser, a server that records its requests, and a sandbox.

use std::future::Future;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client as Window, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::types::{EmailEventKind, WebhookAddRequest};
use smtp2go_sdk::{Client, Email};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// Time limit for everything; longer waits are failures.
const PATIENCE: Duration = Duration::from_secs(120);

/// A window of a separate browser that can't reach external hosts: names that end with `.example`
/// resolve to an [`Outside`], and other names fail, because browsers call home.
pub(crate) struct Browser {
    pub(crate) window: Window,
    pub(crate) outside: Outside,
    /// Ends together with the browser.
    _driver: Child,
    profile: TempDir,
}

/// Size and settings of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) dark: bool,
    pub(crate) phone: bool,
}

impl Look {
    pub(crate) const ALL: [Self; 4] = [
        Self {
            dark: false,
            phone: false,
        },
        Self {
            dark: true,
            phone: false,
        },
        Self {
            dark: false,
            phone: true,
        },
        Self {
            dark: true,
            phone: true,
        },
    ];

    pub(crate) fn name(self) -> String {
        let width = if self.phone { "phone" } else { "desktop" };
        format!("{width}-{}", if self.dark { "dark" } else { "light" })
    }
}

impl Browser {
    pub(crate) async fn open() -> Self {
        Self::open_with_own_name("localhost").await
    }

    /// Opens a browser for which this name resolves to this machine, on any port.
    pub(crate) async fn open_with_own_name(name: &str) -> Self {
        let outside = Outside::open().await;
        let (driver, port) = driver().await;
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--no-default-browser-check".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--disable-extensions".to_owned(),
            "--lang=en-GB".to_owned(),
            "--window-size=1280,860".to_owned(),
            format!(
                "--host-resolver-rules=MAP *.example 127.0.0.1:{}, MAP {name} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                outside.port
            ),
            format!("--user-data-dir={}", profile.path().display()),
            format!("--log-net-log={}", net_log(&profile).display()),
        ];
        let mut wanted = Capabilities::new();
        wanted.insert(
            "goog:chromeOptions".to_owned(),
            json!({ "args": arguments }),
        );
        // An alert must be visible as a failure. `goto` waits itself, because the driver would wait
        // forever for links that a policy blocks.
        wanted.insert("pageLoadStrategy".to_owned(), json!("none"));
        wanted.insert("unhandledPromptBehavior".to_owned(), json!("ignore"));
        let window = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("chromium starts");
        Self {
            window,
            outside,
            _driver: driver,
            profile,
        }
    }

    pub(crate) async fn close(self) {
        self.window.close().await.unwrap();
    }

    /// Closes the window, and returns how often an external name was looked up. This includes
    /// lookups without a connection, which [`Outside`] can't record.
    pub(crate) async fn close_and_count_lookups(self) -> usize {
        self.window.close().await.unwrap();
        let log = eventually(|| {
            let log = std::fs::read_to_string(net_log(&self.profile)).ok()?;
            // Chromium completes the log when it quits.
            serde_json::from_str::<Value>(&log).is_ok().then_some(log)
        });
        let log = log.await.expect("Chromium ends its log");
        ["http", "https"]
            .iter()
            .map(|scheme| format!("\"host\":\"{scheme}://127.0.0.1:{}\"", self.outside.port))
            .map(|host| log.matches(&host).count())
            .sum()
    }

    /// Runs a command that only Chromium has.
    pub(crate) async fn command(&self, name: &str, parameters: Value) -> Value {
        let command = Own(json!({ "cmd": name, "params": parameters }));
        self.window.issue_cmd(command).await.unwrap()
    }

    pub(crate) async fn look(&self, look: Look) {
        let (width, height) = if look.phone { (390, 844) } else { (1280, 800) };
        self.size(width, height).await;
        let scheme = if look.dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.command("Emulation.setEmulatedMedia", media).await;
    }

    /// Sets the size of the window's content. Narrow windows are those of phones.
    pub(crate) async fn size(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1,
                           "mobile": width < 500 });
        self.command("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    /// Presses a key in the page, wherever the focus is.
    pub(crate) async fn press(&self, key: &str) {
        let element = self.window.active_element().await.unwrap();
        element.send_keys(key).await.unwrap();
    }

    /// Opens a page, and waits until it and its frames are loaded.
    pub(crate) async fn goto(&self, address: &str) {
        self.run("window.leaving = true").await;
        self.window.goto(address).await.unwrap();
        self.until("return !window.leaving && document.readyState === 'complete'")
            .await;
    }

    /// Returns the result of a script in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.window.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until a script in the page returns true.
    pub(crate) async fn until(&self, script: &str) {
        let seen = async {
            // While the page changes, there is no result.
            while self.window.execute(script, Vec::new()).await.ok() != Some(Value::Bool(true)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, seen).await.is_err() {
            let text = self.run("return document.body.innerText").await;
            panic!("{script} did not come true on a page that reads {text}");
        }
    }

    pub(crate) async fn click(&self, selector: &str) {
        let element = self.window.find(Locator::Css(selector)).await.unwrap();
        element.click().await.unwrap();
    }
}

/// Returns the path of Chromium's network log.
fn net_log(profile: &TempDir) -> PathBuf {
    profile.path().join("net-log.json")
}

/// Starts a driver. Returns it and its port.
async fn driver() -> (Child, u16) {
    // It takes any free IPv6 port, and ends if the same IPv4 port is in use.
    for _ in 0..20 {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver is installed (Debian: apt-get install chromium chromium-driver)");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, port)) = line.split_once("successfully on port ") {
                let port = port.trim_end_matches('.').parse().unwrap();
                // Further output must not fill the pipe.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return (driver, port);
            }
            said.push(line);
        }
        let taken = said.iter().any(|line| line.contains("port not available"));
        assert!(taken, "chromedriver does not start: {said:?}");
    }
    panic!("chromedriver finds no port that is free");
}

/// A command of chromedriver that the WebDriver standard does not have.
#[derive(Debug)]
struct Own(Value);

impl WebDriverCompatibleCommand for Own {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.0.to_string()))
    }
}

/// The server for all external names: counts connections and records requests.
pub(crate) struct Outside {
    port: u16,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Outside {
    async fn open() -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let port = serve(
            move || {
                counted.fetch_add(1, Ordering::SeqCst);
            },
            move |head, _| noted.lock().unwrap().push(head.to_owned()),
        )
        .await;
        Self {
            port,
            connections,
            seen,
        }
    }

    /// Returns the number of connections, with and without a request.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Returns the heads of all requests; empty for a connection without a request.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// An endpoint for webhooks, which records the bodies.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    pub(crate) async fn open() -> Self {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        let keep = move |_: &str, body: &[u8]| {
            if let Ok(body) = serde_json::from_slice(body) {
                kept.lock().unwrap().push(body);
            }
        };
        let port = serve(|| (), keep).await;
        let url = format!("http://127.0.0.1:{port}/hook");
        Self { url, bodies }
    }

    /// Returns a webhook that posts all email events to this endpoint.
    pub(crate) fn webhook(&self) -> WebhookAddRequest {
        let events = [
            "processed",
            "delivered",
            "bounce",
            "open",
            "click",
            "spam",
            "unsubscribe",
            "resubscribe",
            "reject",
        ];
        WebhookAddRequest::new(self.url.as_str())
            .output_format("json")
            .events(events.map(EmailEventKind::from))
    }

    /// Waits for an event of this kind for this recipient.
    pub(crate) async fn wait_for(&self, event: &str, recipient: &str) -> Value {
        eventually(|| {
            let bodies = self.bodies.lock().unwrap();
            let mut bodies = bodies.iter();
            let found = bodies.find(|body| body["event"] == event && body["rcpt"] == recipient);
            found.cloned()
        })
        .await
        .unwrap_or_else(|| panic!("no {event} for {recipient} was posted"))
    }
}

pub(crate) async fn eventually<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    let found = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.ok()
}

/// Replies to every request with 200 and a small image, after reporting the connection and the
/// request's head and body. Returns the port.
async fn serve(
    connected: impl Fn() + Send + 'static,
    tell: impl Fn(&str, &[u8]) + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tell = Arc::new(tell);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connected();
            tokio::spawn(answer(stream, Arc::clone(&tell)));
        }
    });
    port
}

async fn answer(mut stream: TcpStream, tell: Arc<impl Fn(&str, &[u8])>) {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        let read = stream.read_buf(&mut bytes).await.unwrap_or(0);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        match end {
            Some(end) => {
                let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length")
                        .then(|| value.trim().parse().ok())?
                });
                bytes.drain(..end + 4);
                break (head, length.unwrap_or(0_usize));
            }
            // A connection without a request.
            None if read == 0 => return tell("", b""),
            None => {}
        }
    };
    while bytes.len() < length {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            break;
        }
    }
    tell(&head, &bytes);
    const IMAGE: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" height=\"1\"/>";
    let reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: image/svg+xml\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{IMAGE}",
        IMAGE.len()
    );
    let _ = stream.write_all(reply.as_bytes()).await;
}

/// A sandbox, and a client of the SDK for it.
pub(crate) async fn sandbox() -> (Sandbox, Client) {
    let sandbox = Sandbox::start().await.unwrap();
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .build()
        .unwrap();
    (sandbox, client)
}

pub(crate) fn email(subject: &str) -> Email {
    Email::new("Acme <noreply@example.com>", subject)
        .to("Jane <jane@example.net>")
        .text("Hello Jane")
}

/// The folder of the package.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a test on a multi-threaded runtime, so that the sandbox can reply while the test waits for
/// the browser.
pub(crate) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}
