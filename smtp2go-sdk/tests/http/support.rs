//! A server on the loopback interface that does as a test says, once per connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use smtp2go_sdk::{Client, ClientBuilder, RetryPolicy};

/// A made-up key.
pub(crate) const KEY: &str = "api-0123456789abcdefABCDEF0123456789";

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Request {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }
}

/// Makes a response.
pub(crate) type Answer = dyn Fn(&Request) -> Vec<u8> + Send;

/// What to do with a connection.
pub(crate) enum Act {
    /// Read the request, write these bytes, close.
    Reply(Vec<u8>),
    /// Read the request, write what this makes of it, close.
    Answer(Box<Answer>),
    /// Read all of the request but its last byte, then reset the connection.
    Reset,
    /// Read the request, write these bytes, then keep silent.
    Stall(Vec<u8>),
    /// Accept, and do nothing more.
    Ignore,
}

pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Does the same on each connection.
    pub(crate) fn new(act: Act) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                if matches!(act, Act::Ignore) {
                    silent.push(stream);
                    continue;
                }
                let leave = usize::from(matches!(act, Act::Reset));
                let Some(request) = read(&mut stream, leave) else {
                    continue;
                };
                seen.lock().unwrap().push(request.clone());
                let answer = match &act {
                    Act::Answer(answer) => answer(&request),
                    Act::Reply(bytes) => bytes.clone(),
                    _ => Vec::new(),
                };
                match &act {
                    Act::Reply(_) | Act::Answer(_) => {
                        let _ = stream.write_all(&answer);
                        let _ = stream.shutdown(Shutdown::Write);
                        // Read to the end: closing with unread bytes would reset.
                        let _ = stream.read_to_end(&mut Vec::new());
                    }
                    Act::Stall(bytes) => {
                        let _ = stream.write_all(bytes);
                        silent.push(stream);
                    }
                    Act::Reset => {
                        // Closing with unread bytes resets.
                        let _ = stream.peek(&mut [0]);
                        drop(stream);
                    }
                    Act::Ignore => {}
                }
            }
        });
        Self { address, requests }
    }

    /// Answers each request with a status, headers (each with its line end) and a body.
    pub(crate) fn reply(status: u16, headers: &str, body: &str) -> Self {
        Self::new(Act::Reply(response(status, headers, body)))
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v3", self.address)
    }

    /// A builder of clients for this server, which send once.
    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(KEY)
            .base_url(self.base_url())
            .retry(RetryPolicy::none())
            .timeout(Duration::from_secs(10))
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The one request so far.
    pub(crate) fn request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1);
        requests.remove(0)
    }
}

/// A URL where nobody listens.
pub(crate) fn nowhere() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("http://{}/v3", listener.local_addr().unwrap())
}

/// An HTTP client as a user would set up: with what reqwest does by default, but for the proxies of
/// the environment.
pub(crate) fn own_http() -> reqwest::ClientBuilder {
    let http = reqwest::Client::builder().no_proxy();
    // reqwest would look for a provider that the program has installed, and panic.
    #[cfg(feature = "rustls-ring")]
    let http = {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        http.tls_backend_preconfigured(tls)
    };
    http
}

/// The bytes of a response.
pub(crate) fn response(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

/// Reads one request, but for the last `leave` bytes of its body; `None` if the connection ends
/// first.
fn read(stream: &mut TcpStream, leave: usize) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend_from_slice(&byte);
    }
    let head = String::from_utf8(head).unwrap();
    let mut request = Request {
        head,
        body: String::new(),
    };
    // A GET, or what a proxy is asked, has no body.
    let length = request.header("content-length").unwrap_or("0");
    let length: usize = length.parse().unwrap();
    let mut body = vec![0; length.saturating_sub(leave)];
    stream.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}
