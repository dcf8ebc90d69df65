//! HTTP/2, in raw frames: what a server promises not to have looked at was not sent.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::{KEY, own_http};
use smtp2go_sdk::types::EmailSendRequest;
use smtp2go_sdk::{Certainty, Client, Error, Reply, RetryPolicy, types::SendResult};

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;

/// What to do when a request has arrived whole.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// 200, with a body.
    Answer,
    /// RST_STREAM with this reason.
    Reset(u32),
    /// GOAWAY with this reason, before the request's stream or after it, and then the end.
    GoAway { covers: bool, reason: u32 },
    /// Nothing but the end of the connection.
    Close,
}

struct Http2 {
    url: String,
    /// Requests that arrived whole.
    full: Arc<AtomicUsize>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

impl Http2 {
    /// Acts one by one, over all connections; the last one from then on.
    fn new(acts: &[Act]) -> Self {
        let acts = acts.to_vec();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/v3", listener.local_addr().unwrap());
        let full = Arc::new(AtomicUsize::new(0));
        let count = full.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (acts, count) = (acts.clone(), count.clone());
                // Ends with its connection.
                thread::spawn(move || serve(stream.unwrap(), &acts, &count));
            }
        });
        Self { url, full }
    }

    fn full(&self) -> usize {
        self.full.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, acts: &[Act], count: &AtomicUsize) -> Option<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).ok()?;
    assert!(preface.starts_with(b"PRI * HTTP/2.0"));
    stream.write_all(&frame(4, 0, 0, &[])).ok()?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).ok()?;
        let (kind, flags) = (head[3], head[4]);
        if kind == 4 && flags == 0 {
            stream.write_all(&frame(4, 1, 0, &[])).ok()?;
        }
        // HEADERS or DATA with END_STREAM.
        if kind > 1 || flags & 1 == 0 {
            continue;
        }
        let seen = count.fetch_add(1, Ordering::SeqCst);
        let bytes = match acts[seen.min(acts.len() - 1)] {
            Act::Answer => {
                // The whole of HPACK that is needed: 0x88 is `:status: 200`.
                let body = br#"{"data":{"email_id":"1a","failed":0}}"#;
                [frame(1, 4, id, &[0x88]), frame(0, 1, id, body)].concat()
            }
            Act::Reset(reason) => frame(3, 0, id, &reason.to_be_bytes()),
            Act::GoAway { covers, reason } => {
                let last = if covers { id } else { id.saturating_sub(2) };
                let payload = [last.to_be_bytes(), reason.to_be_bytes()].concat();
                stream.write_all(&frame(7, 0, 0, &payload)).ok()?;
                thread::sleep(Duration::from_millis(20));
                return None;
            }
            Act::Close => return None,
        };
        stream.write_all(&bytes).ok()?;
    }
}

async fn send(server: &Http2, policy: RetryPolicy) -> Result<Reply<SendResult>, Error> {
    // With reqwest's own retries as they are by default: they must not get to send anything.
    let http = own_http().http2_prior_knowledge().build().unwrap();
    let client = Client::builder(KEY)
        .base_url(&server.url)
        .retry(policy)
        .timeout(Duration::from_secs(10))
        .http_client(http)
        .build()
        .unwrap();
    let mail = EmailSendRequest::new("quiet@example.com", ["silent@example.net"])
        .subject("Hi")
        .text_body("Hello");
    client.email().send(mail).await
}

#[tokio::test]
async fn a_promise_not_to_have_looked_is_proof() {
    for refusal in [
        Act::Reset(REFUSED_STREAM),
        Act::GoAway {
            covers: false,
            reason: NO_ERROR,
        },
        Act::GoAway {
            covers: false,
            reason: INTERNAL_ERROR,
        },
    ] {
        let server = Http2::new(&[refusal]);
        let error = send(&server, RetryPolicy::none()).await.unwrap_err();
        // Fails if h2 is not the copy that reqwest uses.
        assert_eq!(
            error.certainty(),
            Certainty::NotSent,
            "{refusal:?}: {error:?}"
        );
        assert_eq!(error.kind(), "refused");
        assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
        assert_eq!(server.full(), 1, "sent by nobody but us: {refusal:?}");

        let server = Http2::new(&[refusal, refusal, Act::Answer]);
        let quick = RetryPolicy::new().min_backoff(Duration::ZERO);
        let sent = send(&server, quick).await.unwrap();
        assert_eq!((sent.attempts(), server.full()), (3, 3), "{refusal:?}");
        assert_eq!(sent.email_id.as_deref(), Some("1a"));
    }
}

#[tokio::test]
async fn any_other_end_leaves_doubt() {
    for end in [
        Act::Reset(CANCEL),
        Act::Reset(INTERNAL_ERROR),
        Act::Reset(NO_ERROR),
        Act::GoAway {
            covers: true,
            reason: NO_ERROR,
        },
        Act::GoAway {
            covers: true,
            reason: INTERNAL_ERROR,
        },
        Act::Close,
    ] {
        let server = Http2::new(&[end, Act::Answer]);
        let quick = RetryPolicy::new().min_backoff(Duration::ZERO);
        let error = send(&server, quick).await.unwrap_err();
        assert_eq!(error.certainty(), Certainty::Unknown, "{end:?}: {error:?}");
        assert_eq!((error.attempts(), server.full()), (1, 1), "{end:?}");
    }
}

/// Everything that is logged through tracing, h2 included, which always does.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl tracing::field::Visit for Lines {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0
            .lock()
            .unwrap()
            .push_str(&format!(" {field}={value:?}"));
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut self.clone());
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let target = event.metadata().target();
        self.0.lock().unwrap().push_str(&format!("\n{target}"));
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn the_log_of_the_http2_layer_holds_no_secrets() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let server = Http2::new(&[Act::Reset(REFUSED_STREAM), Act::Answer]);
    let quick = RetryPolicy::new().min_backoff(Duration::ZERO);
    send(&server, quick).await.unwrap();
    let logged = lines.0.lock().unwrap().clone();
    for there in [
        "\nh2::",
        "email_send",
        "refused",
        "http.response.status_code=200",
    ] {
        assert!(logged.contains(there), "{there}: {logged}");
    }
    for secret in [KEY, "0123456789abcdef", "quiet@", "silent@", "Hello"] {
        assert!(!logged.contains(secret), "{secret}: {logged}");
    }
}
