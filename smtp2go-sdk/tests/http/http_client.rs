//! Clients with a user's `http_client`: the guarantees that hold and those that don't. Each case counts
//! the requests that arrived.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::log_watch::watched;
use crate::support::{KEY, Tested, answering, nowhere, own_http, sandbox};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::types::{EmailSendRequest, TemplateViewRequest};
use smtp2go_sdk::{Certainty, Client, ClientBuilder, Error, RetryPolicy};

fn with(server: &Sandbox, http: reqwest::ClientBuilder) -> Client {
    let http = http.build().unwrap();
    server.builder().http_client(http).build().unwrap()
}

fn to(url: impl Into<String>, http: reqwest::ClientBuilder) -> ClientBuilder {
    Client::builder(watched(KEY))
        .base_url(url)
        .retry(RetryPolicy::none())
        .http_client(http.build().unwrap())
}

async fn view(client: &Client) -> Error {
    let request = TemplateViewRequest::new("welcome");
    client.template().view(request).await.unwrap_err()
}

async fn send(client: &Client) -> Error {
    let mail = EmailSendRequest::new("a@example.com", ["b@example.net"])
        .subject("Hi")
        .text_body("Hello");
    client.email().send(mail).await.unwrap_err()
}

#[tokio::test]
async fn calls_are_made_with_own_client() {
    for (prefix, agent) in [(None, "own/1"), (Some("acme/2"), "acme/2 smtp2go-sdk/")] {
        let server = answering(r#"{"data":{"id":"welcome"}}"#);
        let http = own_http().user_agent("own/1").build().unwrap();
        let mut builder = server.builder().http_client(http);
        if let Some(prefix) = prefix {
            builder = builder.user_agent(prefix);
        }
        let client = builder.build().unwrap();
        let request = TemplateViewRequest::new("welcome");
        client.template().view(request).await.unwrap();
        let sent = server.call();
        assert!(sent.header("user-agent").unwrap().starts_with(agent));
        assert_eq!(sent.header("x-smtp2go-api-key"), Some(KEY));
        assert_eq!(sent.header("content-length"), Some("16"));
    }
}

#[tokio::test]
async fn allowed_host_is_called_over_http() {
    let server = answering(r#"{"data":{"id":"welcome"}}"#);
    let port = server
        .base_url()
        .rsplit([':', '/'])
        .nth(1)
        .unwrap()
        .to_owned();
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let builder = || {
        let url = format!("http://Sandbox:{port}/v3");
        to(url, own_http().resolve("sandbox", here))
    };
    assert!(builder().build().unwrap_err().is_config());
    let client = builder().allow_http("sandbox").build().unwrap();
    let request = TemplateViewRequest::new("welcome");
    client.template().view(request).await.unwrap();
    assert_eq!(server.call().header("x-smtp2go-api-key"), Some(KEY));
}

#[tokio::test]
async fn base_url_is_checked_with_own_client() {
    let builder = to("http://example.com/v3", own_http());
    assert!(builder.build().unwrap_err().is_config());
}

struct NoSuchHost;

impl reqwest::dns::Resolve for NoSuchHost {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async { Err("no such host".into()) })
    }
}

#[tokio::test]
async fn call_to_an_unknown_host_is_not_sent() {
    let http = own_http().dns_resolver(Arc::new(NoSuchHost));
    let client = to("http://localhost:1/v3", http).build().unwrap();
    let error = send(&client).await;
    assert!(error.is_connect() && !error.is_timeout(), "{error:?}");
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert!(error.to_string().contains("localhost:1"), "{error}");
}

#[tokio::test]
async fn followed_redirect_is_an_error() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = answering(r#"{"data":{"email_id":"1"}}"#);
        let location = format!("{}/x", elsewhere.base_url());
        let server = sandbox(Fault::status(status).header("Location", location));
        let client = with(&server, own_http());
        let error = send(&client).await;
        assert_eq!(error.kind(), "redirect");
        assert_eq!(
            (error.certainty(), error.attempts()),
            (Certainty::Unknown, 1)
        );
        assert_eq!(server.calls().len(), 1);
        let carried = elsewhere.calls();
        if status < 304 {
            assert_eq!(error.status().unwrap(), 200);
            assert!(error.to_string().contains("followed a redirect"), "{error}");
            // As documented, the key is sent along, but not the body.
            assert_eq!(carried.len(), 1);
            assert_eq!(carried[0].header("x-smtp2go-api-key"), Some(KEY));
            assert!(carried[0].body().is_empty());
        } else {
            // The body can't be sent again, so it is not followed.
            assert_eq!(error.status().unwrap(), status);
            assert!(carried.is_empty());
        }

        let obedient = own_http().redirect(reqwest::redirect::Policy::none());
        let error = send(&with(&server, obedient)).await;
        assert_eq!(error.status().unwrap(), status);
        assert_eq!(elsewhere.calls().len(), carried.len());
    }
}

#[tokio::test]
async fn call_redirected_to_an_unreachable_host_is_unknown() {
    let location = format!("{}/x", nowhere());
    let server = sandbox(Fault::status(302).header("Location", location));
    let client = with(&server, own_http());
    let error = view(&client).await;
    assert!(!error.is_connect(), "{error:?}");
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn timeout_of_own_client_ends_an_attempt() {
    let limit = Duration::from_millis(150);
    for http in [own_http().timeout(limit), own_http().read_timeout(limit)] {
        let server = sandbox(Fault::stall());
        let error = view(&with(&server, http)).await;
        assert!(error.is_timeout() && !error.is_connect(), "{error:?}");
        assert_eq!(error.certainty(), Certainty::Unknown);
        assert_eq!(server.calls().len(), 1);
    }
}

#[cfg(any(
    feature = "rustls-ring",
    feature = "rustls-aws-lc",
    feature = "native-tls"
))]
mod https {
    use super::*;

    #[tokio::test]
    async fn call_with_a_connect_timeout_of_own_client_is_not_sent() {
        let limit = Duration::from_millis(150);
        for http in [own_http().timeout(limit), own_http().connect_timeout(limit)] {
            let server = sandbox(Fault::stall_before_reading());
            let url = server.base_url().replace("http:", "https:");
            let error = send(&to(url, http).build().unwrap()).await;
            assert!(error.is_timeout(), "{error:?}");
            assert_eq!(error.certainty(), Certainty::NotSent);
        }
    }

    #[tokio::test]
    async fn call_through_a_proxy_that_refuses_the_tunnel_is_not_sent() {
        for fault in [
            Fault::status(403),
            Fault::status(502).html("<html>"),
            Fault::close(),
        ] {
            let server = sandbox(fault);
            let proxy = reqwest::Proxy::all(server.base_url()).unwrap();
            let client = to("https://api.example.com/v3", own_http().proxy(proxy));
            let error = send(&client.build().unwrap()).await;
            assert!(error.is_connect(), "{error:?}");
            assert_eq!(error.certainty(), Certainty::NotSent);
            let asked = server.call();
            let head = String::from_utf8_lossy(asked.head());
            assert!(head.starts_with("CONNECT api.example.com:443 "), "{head}");
            assert!(!head.contains(KEY) && asked.body().is_empty());
        }
        let proxy = reqwest::Proxy::all(nowhere()).unwrap();
        let client = to("https://api.example.com/v3", own_http().proxy(proxy));
        let error = send(&client.build().unwrap()).await;
        assert!(error.is_connect(), "{error:?}");
        assert_eq!(error.certainty(), Certainty::NotSent);
    }
}

#[tokio::test]
async fn call_through_a_failing_proxy_for_plain_http_is_unknown() {
    for (fault, status) in [
        (Fault::reset_before_reading(), None),
        (Fault::reset(), None),
        (Fault::close(), None),
        (Fault::status(502).html("<html>"), Some(502)),
    ] {
        let server = sandbox(fault);
        let proxy = reqwest::Proxy::all(server.base_url()).unwrap();
        let client = to(nowhere(), own_http().proxy(proxy)).build().unwrap();
        let error = send(&client).await;
        assert_eq!(error.certainty(), Certainty::Unknown, "{error:?}");
        assert_eq!(error.status().map(|status| status.as_u16()), status);
        assert_eq!(server.calls().len(), 1);
    }
}
