//! HTTP/2: what a server promises not to have looked at was not sent.

use std::time::Duration;

use crate::log_watch::{heard, watched};
#[cfg(feature = "rustls-ring")]
use crate::peer::Tls;
use crate::peer::{Act, CANCEL, INTERNAL_ERROR, NO_ERROR, Peer, REFUSED_STREAM};
use crate::support::{KEY, own_http};
use smtp2go_sdk::types::EmailSendRequest;
use smtp2go_sdk::{Certainty, Client, Error, Reply, RetryPolicy, types::SendResult};

/// The peers that act so, each with an HTTP client for it, which has reqwest's own retries as they
/// are by default: they must not get to send anything.
fn peers(acts: &[Act]) -> Vec<(Peer, reqwest::ClientBuilder)> {
    let plain = (Peer::new(acts), own_http().http2_prior_knowledge());
    #[cfg(feature = "rustls-ring")]
    {
        let tls = Tls::new();
        let http = tls.http(&["h2", "http/1.1"]);
        vec![plain, (Peer::with_tls(acts, &tls), http)]
    }
    #[cfg(not(feature = "rustls-ring"))]
    vec![plain]
}

async fn send(
    server: &Peer,
    http: reqwest::ClientBuilder,
    policy: RetryPolicy,
) -> Result<Reply<SendResult>, Error> {
    let client = Client::builder(watched(KEY))
        .base_url(&server.url)
        .retry(policy)
        .timeout(Duration::from_secs(10))
        .http_client(http.build().unwrap())
        .build()
        .unwrap();
    client.email().send(mail()).await
}

fn mail() -> EmailSendRequest {
    EmailSendRequest::new("quiet@example.com", ["silent@example.net"])
        .subject("Hi")
        .text_body("Hello")
}

fn quick() -> RetryPolicy {
    RetryPolicy::new().min_backoff(Duration::ZERO)
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
        for (server, http) in peers(&[refusal]) {
            let url = &server.url;
            let error = send(&server, http, RetryPolicy::none()).await.unwrap_err();
            // Fails if h2 is not the copy that reqwest uses.
            let certainty = error.certainty();
            assert_eq!(
                certainty,
                Certainty::NotSent,
                "{url} {refusal:?}: {error:?}"
            );
            assert_eq!(error.kind(), "refused");
            assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
            assert_eq!(server.full(), 1, "sent by nobody but us: {url} {refusal:?}");
        }
        for (server, http) in peers(&[refusal, refusal, Act::Answer]) {
            let url = &server.url;
            let sent = send(&server, http, quick()).await.unwrap();
            let counts = (sent.attempts(), server.full());
            assert_eq!(counts, (3, 3), "{url} {refusal:?}");
            assert_eq!(sent.email_id.as_deref(), Some("1a"));
        }
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
        for (server, http) in peers(&[end, Act::Answer]) {
            let url = &server.url;
            let error = send(&server, http, quick()).await.unwrap_err();
            let certainty = error.certainty();
            assert_eq!(certainty, Certainty::Unknown, "{url} {end:?}: {error:?}");
            let counts = (error.attempts(), server.full());
            assert_eq!(counts, (1, 1), "{url} {end:?}");
        }
    }
}

#[cfg(feature = "rustls-ring")]
#[tokio::test]
async fn a_server_that_is_not_trusted_gets_nothing() {
    let server = Peer::with_tls(&[Act::Answer], &Tls::new());
    let http = Tls::new().http(&["h2"]);
    let error = send(&server, http, quick()).await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert_eq!(
        (error.certainty(), error.attempts()),
        (Certainty::NotSent, 3)
    );
    assert_eq!(server.full(), 0);
}

/// With TLS 1.3 the client learns it only after it has begun to send.
#[cfg(feature = "rustls-ring")]
#[tokio::test]
async fn a_client_whose_certificate_is_missed_late_cannot_tell() {
    let tls = Tls::of_clients_with_certificates();
    for protocol in ["http/1.1", "h2"] {
        let server = Peer::with_tls(&[Act::Answer], &tls);
        let error = send(&server, tls.http(&[protocol]), quick())
            .await
            .unwrap_err();
        assert_eq!(
            (error.certainty(), error.attempts()),
            (Certainty::Unknown, 1),
            "{protocol}: {error:?}"
        );
        assert!(!error.is_connect(), "{protocol}: {error:?}");
        assert_eq!(server.full(), 0);
    }
}

/// What the client sets up itself trusts the system's certificates: in a process of its own those
/// can be replaced.
#[cfg(all(feature = "rustls-ring", target_os = "linux"))]
#[tokio::test]
async fn the_client_s_own_tls_speaks_http2() {
    const PEER: &str = "SMTP2GO_TEST_PEER";
    if let Ok(url) = std::env::var(PEER) {
        let client = Client::builder(watched(KEY)).base_url(url).build().unwrap();
        client.email().send(mail()).await.unwrap();
        return;
    }
    let tls = Tls::new();
    let server = Peer::with_tls(&[Act::Answer], &tls);
    let folder = tempfile::tempdir().unwrap();
    let certificates = folder.path().join("certificates.pem");
    std::fs::write(&certificates, tls.pem()).unwrap();
    let again = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "http2::the_client_s_own_tls_speaks_http2"])
        .env(PEER, &server.url)
        .env("SSL_CERT_FILE", certificates)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    assert!(again.status.success(), "{again:?}");
    assert_eq!(server.full(), 1);
}

#[tokio::test]
async fn the_log_of_the_http2_layer_is_watched_too() {
    for (server, http) in peers(&[Act::Reset(REFUSED_STREAM), Act::Answer]) {
        send(&server, http, quick()).await.unwrap();
    }
    // Which always logs what it can.
    assert!(heard("h2::"));
}
