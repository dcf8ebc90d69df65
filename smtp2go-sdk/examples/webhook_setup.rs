//! Adds a webhook, lists all webhooks, changes the new one and removes it. Uses a local SMTP2GO unless
//! SMTP2GO_API_KEY is set.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example webhook_setup
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example webhook_setup
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use smtp2go_sdk::Client;
use smtp2go_sdk::types::{
    EmailEventKind, WebhookAddRequest, WebhookAuthType, WebhookEditRequest, WebhookFormat,
    WebhookRemoveRequest, WebhookViewRequest,
};
use support::Result;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run_with_client(example).await
}

async fn example(client: &Client) -> Result {
    // Webhooks are not signed. A token of your own in the `Authorization` header proves that a call
    // comes from SMTP2GO.
    let request = WebhookAddRequest::new("https://hooks.example.com/smtp2go")
        .events([EmailEventKind::Delivered, EmailEventKind::Bounce])
        .output_format(WebhookFormat::Json)
        .auth_header_type(WebhookAuthType::Bearer)
        .auth_header_value("EXAMPLE-hook-token");
    let webhook = client.webhook().add(request).await?;
    let id = webhook.id.ok_or("the reply names no webhook")?;
    println!("added {id}");

    let webhooks = client.webhook().view(WebhookViewRequest::new()).await?;
    let webhooks = webhooks.into_inner();
    for webhook in &webhooks {
        let events: Vec<_> = webhook.events.iter().map(EmailEventKind::as_str).collect();
        println!(
            "{} receives: {}",
            webhook.url.as_deref().unwrap_or("?"),
            events.join(", ")
        );
    }

    // What happens to a field that an edit omits is not documented. `based_on` sends all fields, except
    // a secret that the service masks.
    let mut webhooks = webhooks.into_iter();
    let current = webhooks.find(|webhook| webhook.id == Some(id));
    let request = WebhookEditRequest::new(id)
        .based_on(current.ok_or("the webhook is not listed")?)
        .events([EmailEventKind::Bounce, EmailEventKind::Spam])
        .auth_header_value("EXAMPLE-hook-token");
    client.webhook().edit(request).await?;
    println!("edited {id}");

    client
        .webhook()
        .remove(WebhookRemoveRequest::new(id))
        .await?;
    println!("removed {id}");
    Ok(())
}
