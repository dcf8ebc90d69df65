//! An HTTP/2 server that fails on purpose, in raw frames, with or without TLS. It is not part of the
//! sandbox, because no library for HTTP/2 servers lets a test choose which streams a GOAWAY covers.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

#[cfg(feature = "rustls-ring")]
use crate::support::own_http;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const INTERNAL_ERROR: u32 = 2;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;

/// What the server does when it has received a whole request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Answers 200 with a body.
    Answer,
    /// Sends RST_STREAM with this reason.
    Reset(u32),
    /// Sends GOAWAY with this reason, and closes the connection. `covers`: the GOAWAY names the request's
    /// stream as processed.
    GoAway { covers: bool, reason: u32 },
    /// Closes the connection.
    Close,
}

/// Performs the TLS handshake, if any, and returns the stream.
type Handshake = dyn Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync;

pub(crate) trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

pub(crate) struct Peer {
    pub(crate) url: String,
    /// Number of requests that arrived whole.
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

impl Peer {
    /// Starts a server that performs these acts, one for each request over all connections. The last
    /// act repeats.
    pub(crate) fn new(acts: &[Act]) -> Self {
        Self::start("http", acts, Arc::new(|stream| Some(Box::new(stream))))
    }

    /// Like [`new`](Self::new), with TLS.
    #[cfg(feature = "rustls-ring")]
    pub(crate) fn with_tls(acts: &[Act], tls: &Tls) -> Self {
        let tls = tls.server.clone();
        let handshake = move |stream| Some(Box::new(begin(stream, &tls)?) as Box<dyn Stream>);
        Self::start("https", acts, Arc::new(handshake))
    }

    fn start(scheme: &str, acts: &[Act], handshake: Arc<Handshake>) -> Self {
        let acts = acts.to_vec();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("{scheme}://{}/v3", listener.local_addr().unwrap());
        let full = Arc::new(AtomicUsize::new(0));
        let count = full.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (acts, count) = (acts.clone(), count.clone());
                let handshake = handshake.clone();
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    let mut end = stream.try_clone().unwrap();
                    if let Some(mut stream) = handshake(stream) {
                        serve(&mut *stream, &acts, &count);
                        // Reads to the end: closing with unread bytes would reset the connection, and
                        // the client could lose what was sent.
                        let _ = end.shutdown(Shutdown::Write);
                        let _ = end.read_to_end(&mut Vec::new());
                    }
                });
            }
        });
        Self { url, full }
    }

    pub(crate) fn full(&self) -> usize {
        self.full.load(Ordering::SeqCst)
    }
}

fn serve(stream: &mut dyn Stream, acts: &[Act], count: &AtomicUsize) -> Option<()> {
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
                // In HPACK, 0x88 is `:status: 200`.
                let body = br#"{"data":{"email_id":"1a","failed":0}}"#;
                [frame(1, 4, id, &[0x88]), frame(0, 1, id, body)].concat()
            }
            Act::Reset(reason) => frame(3, 0, id, &reason.to_be_bytes()),
            Act::GoAway { covers, reason } => {
                let last = if covers { id } else { id.saturating_sub(2) };
                let payload = [last.to_be_bytes(), reason.to_be_bytes()].concat();
                stream.write_all(&frame(7, 0, 0, &payload)).ok()?;
                stream.flush().ok()?;
                thread::sleep(Duration::from_millis(20));
                return None;
            }
            Act::Close => return None,
        };
        stream.write_all(&bytes).ok()?;
        stream.flush().ok()?;
    }
}

/// A certificate for this machine from a new certificate authority.
#[cfg(feature = "rustls-ring")]
pub(crate) struct Tls {
    authority: rcgen::Certificate,
    server: Arc<rustls::ServerConfig>,
}

#[cfg(feature = "rustls-ring")]
impl Tls {
    pub(crate) fn new() -> Self {
        Self::made(false)
    }

    /// A new certificate, for a server that also requires a certificate of the client.
    pub(crate) fn of_clients_with_certificates() -> Self {
        Self::made(true)
    }

    fn made(asks: bool) -> Self {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        use rustls::pki_types::PrivatePkcs8KeyDer;
        use rustls::server::WebPkiClientVerifier;

        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &issuer).unwrap();

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(roots(&authority));
        let clients = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let server = match asks {
            true => server.with_client_cert_verifier(clients.build().unwrap()),
            false => server.with_no_client_auth(),
        };
        let chain = vec![certificate.der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let mut server = server.with_single_cert(chain, key.into()).unwrap();
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let server = Arc::new(server);
        Self { authority, server }
    }

    /// Returns the certificate of the authority.
    pub(crate) fn pem(&self) -> String {
        self.authority.pem()
    }

    /// Returns an HTTP client that trusts the authority and offers these protocols.
    pub(crate) fn http(&self, protocols: &[&str]) -> reqwest::ClientBuilder {
        let mut tls = crate::support::trusting(roots(&self.authority));
        tls.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        own_http().tls_backend_preconfigured(tls)
    }
}

#[cfg(feature = "rustls-ring")]
fn roots(authority: &rcgen::Certificate) -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    roots
}

/// Performs the handshake up to the server's last message, and waits for the client's data. With TLS
/// 1.3 the client sends its request before the server has checked the client's certificate.
#[cfg(feature = "rustls-ring")]
fn begin(
    mut stream: TcpStream,
    tls: &Arc<rustls::ServerConfig>,
) -> Option<rustls::StreamOwned<rustls::ServerConnection, TcpStream>> {
    let mut connection = rustls::ServerConnection::new(tls.clone()).unwrap();
    while connection.is_handshaking() && !connection.wants_write() {
        connection.read_tls(&mut stream).ok()?;
        connection.process_new_packets().ok()?;
    }
    while connection.wants_write() {
        connection.write_tls(&mut stream).ok()?;
    }
    // Waits until data has arrived and no more follows.
    let (mut space, mut last) = ([0; 16 * 1024], 0);
    loop {
        thread::sleep(Duration::from_millis(20));
        let seen = stream.peek(&mut space).ok()?;
        if seen == last {
            return Some(rustls::StreamOwned::new(connection, stream));
        }
        last = seen;
    }
}
