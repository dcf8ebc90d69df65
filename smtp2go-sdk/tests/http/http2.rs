//! HTTP/2: a stream that the server refused before processing it counts as not sent.

use std::time::Duration;

use crate::log_watch::{heard, watched};
#[cfg(feature = "rustls-ring")]
use crate::peer::Tls;
use crate::peer::{Act, CANCEL, INTERNAL_ERROR, NO_ERROR, Peer, REFUSED_STREAM};
use crate::support::{KEY, own_http};
use smtp2go_sdk::types::EmailSendRequest;
use smtp2go_sdk::{Certainty, Client, Error, Reply, RetryPolicy, types::SendResult};

/// Servers that perform these acts, each with an HTTP client for it. The clients have reqwest's
/// default retries, which must not send anything.
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
async fn call_on_a_stream_refused_before_processing_is_not_sent() {
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
            assert_eq!(server.full(), 1, "no retry by reqwest: {url} {refusal:?}");
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
async fn call_on_a_stream_that_ends_for_another_reason_is_unknown() {
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
async fn untrusted_server_receives_no_request() {
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

/// With TLS 1.3 the client is refused only after it has begun to send.
#[cfg(feature = "rustls-ring")]
#[tokio::test]
async fn call_without_the_required_client_certificate_is_unknown() {
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

/// The SDK's own HTTP client trusts the system's certificates. The test runs itself in a second process,
/// where an environment variable replaces these certificates.
#[cfg(all(feature = "rustls-ring", target_os = "linux"))]
#[tokio::test]
async fn own_tls_setup_negotiates_http2() {
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
        .args(["--exact", "http2::own_tls_setup_negotiates_http2"])
        .env(PEER, &server.url)
        .env("SSL_CERT_FILE", certificates)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    assert!(again.status.success(), "{again:?}");
    assert_eq!(server.full(), 1);
}

#[tokio::test]
async fn log_of_the_http2_layer_is_checked() {
    for (server, http) in peers(&[Act::Reset(REFUSED_STREAM), Act::Answer]) {
        send(&server, http, quick()).await.unwrap();
    }
    // h2 logs at TRACE, so its events must have been checked.
    assert!(heard("h2::"));
}
