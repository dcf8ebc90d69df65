//! `ClientBuilder::proxy`, and errors that are the proxy's.

use crate::log_watch::watched;
use crate::support::{KEY, Tested, answer, own_http, sandbox};
use smtp2go_sdk::{Client, ClientBuilder, Email, RetryPolicy};

/// A client that must reach its host through this proxy.
fn through(proxy: &str) -> ClientBuilder {
    Client::builder(watched(KEY))
        .base_url("https://api.example.com/v3")
        .retry(RetryPolicy::none())
        .proxy(proxy)
}

#[test]
fn bad_proxy_is_a_config_error_without_the_url() {
    let both = through("http://proxy.example.com:3128").http_client(own_http().build().unwrap());
    for (builder, says) in [
        (through("hunter2"), "proxy: not an http or https URL"),
        (through("socks5://u:hunter2@proxy.example.com"), "proxy: "),
        (both, "proxy and http_client are both set"),
    ] {
        let shown = format!("{builder:?}");
        let error = builder.build().unwrap_err();
        assert!(error.is_config());
        assert!(error.to_string().starts_with(says), "{error}");
        let shown = format!("{shown} {error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn call_over_plain_http_uses_no_proxy() {
    let server = sandbox(answer(200, r#"{"data":{"email_id":"1"}}"#));
    let builder = server.builder().proxy("http://proxy.example.com:3128");
    let mail = Email::new("a@example.com", "Hi").to("b@example.net");
    builder
        .build()
        .unwrap()
        .send(mail.text("Hi"))
        .await
        .unwrap();
}

#[cfg(any(
    feature = "rustls-ring",
    feature = "rustls-aws-lc",
    feature = "native-tls"
))]
mod https {
    use std::error::Error as _;
    use std::time::Duration;

    use super::*;
    use crate::support::nowhere;
    use smtp2go_sandbox::{Fault, Sandbox};
    use smtp2go_sdk::{Certainty, Error};

    /// Host and port of a URL.
    fn address(url: &str) -> &str {
        url.split('/').nth(2).unwrap()
    }

    async fn send(builder: ClientBuilder) -> Error {
        let mail = Email::new("a@example.com", "Hi").to("b@example.net");
        let client = builder.build().unwrap();
        let error = client.send(mail.text("Hi")).await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        assert_eq!(error.certainty(), Certainty::NotSent);
        error
    }

    fn head(server: &Sandbox) -> String {
        String::from_utf8_lossy(server.call().head()).into_owned()
    }

    #[tokio::test]
    async fn error_of_a_failed_proxy_names_the_proxy() {
        for (fault, says) in [
            (
                Fault::status(407),
                "the proxy {} requires a user name and password; ",
            ),
            (
                Fault::status(403),
                "the proxy {} did not connect to api.example.com; ",
            ),
            (
                Fault::close(),
                "the proxy {} did not connect to api.example.com; ",
            ),
        ] {
            let server = sandbox(fault);
            let proxy = address(server.base_url()).to_owned();
            let error = send(through(&format!("http://{proxy}"))).await;
            assert_eq!(error.proxy(), Some(proxy.as_str()));
            let says = says.replace("{}", &proxy);
            assert!(error.to_string().contains(&says), "{error}");
            let head = head(&server);
            assert!(head.starts_with("CONNECT api.example.com:443 "), "{head}");
            assert!(!head.contains(KEY) && !head.contains("roxy-auth"), "{head}");
        }
    }

    #[tokio::test]
    async fn unreachable_proxy_is_named_without_its_password() {
        let proxy = nowhere();
        let proxy = address(&proxy);
        let password = watched("EXAMPLE-proxy-password");
        let error = send(through(&format!("http://user:{password}@{proxy}"))).await;
        assert_eq!(error.proxy(), Some(proxy));
        let says = format!("can't connect to the proxy {proxy}; nothing was sent");
        assert!(error.to_string().contains(&says), "{error}");
        let mut shown = format!("{error} {error:?}");
        let mut source = error.source();
        while let Some(error) = source {
            shown.push_str(&error.to_string());
            source = error.source();
        }
        assert!(!shown.contains(password), "{shown}");
    }

    #[tokio::test]
    async fn user_name_and_password_are_for_the_proxy() {
        let server = sandbox(Fault::status(407));
        let proxy = address(server.base_url());
        send(through(&format!("http://user:p%40ss@{proxy}"))).await;
        let head = head(&server).to_lowercase();
        // user:p@ss
        assert!(
            head.contains("proxy-authorization: basic dxnlcjpwqhnz"),
            "{head}"
        );
    }

    #[tokio::test]
    async fn proxy_that_does_not_reply_is_named_in_the_timeout() {
        let server = sandbox(Fault::stall());
        let proxy = address(server.base_url());
        let limit = Duration::from_millis(150);
        let error = send(through(&format!("http://{proxy}")).connect_timeout(limit)).await;
        assert!(error.is_timeout(), "{error:?}");
        let says = format!("connecting to api.example.com through the proxy {proxy} timed out");
        assert!(error.to_string().contains(&says), "{error}");
    }

    #[tokio::test]
    async fn error_behind_the_proxy_does_not_name_the_proxy() {
        // The tunnel is open, and what follows is not TLS.
        let server = sandbox(Fault::status(200).body("text/plain", ""));
        let error = send(through(&format!("http://{}", address(server.base_url())))).await;
        assert_eq!(error.proxy(), None);
        assert!(
            error
                .to_string()
                .contains("can't connect to api.example.com; "),
            "{error}"
        );
    }
}
