//! A user's program, with only the SDK's default features, or also with `raw`. Its environment
//! names the server, with the variables that `smtp2go-sandbox` prints.

use smtp2go_sdk::types::EmailSendRequest;
use smtp2go_sdk::{Certainty, Client, RetryPolicy};

const KEY: &str = "api-00000000000000000000000000000000";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mail = EmailSendRequest::new("a@example.com", ["b@example.net"])
        .subject("Hello")
        .text_body("Hello");

    // Plain HTTP on loopback: a reply is read.
    let client = Client::from_env()?;
    let sent = client.email().send(mail.clone()).await?;
    assert!(sent.email_id.is_some());
    #[cfg(feature = "raw")]
    {
        let sent = client.raw().email_send(&mail).await?;
        assert!(
            sent.data
                .as_ref()
                .is_some_and(|data| data.email_id.is_some())
        );
    }

    // HTTPS: there is a TLS provider, so the error of a closed port is "connection refused".
    let free = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = free.local_addr()?;
    drop(free);
    let client = Client::builder(KEY)
        .base_url(format!("https://{address}/v3"))
        .retry(RetryPolicy::none())
        .build()?;
    let error = client.email().send(mail.clone()).await.unwrap_err();
    assert!(error.is_connect(), "{error}");
    assert_eq!(error.certainty(), Certainty::NotSent);
    #[cfg(feature = "raw")]
    {
        let error = client.raw().email_send(&mail).await.unwrap_err();
        let error = smtp2go_sdk::Error::from(error);
        assert!(error.is_connect(), "{error}");
    }
    println!("the SDK works");
    Ok(())
}
