//! A program that sends one mail, to measure the cost of building it.

use hand::{Client, Mail};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(send())
}

async fn send() -> Result<(), Box<dyn std::error::Error>> {
    let base_url = std::env::var("SMTP2GO_BASE_URL")?;
    let client = Client::new(base_url, std::env::var("SMTP2GO_API_KEY")?)?;
    let mail = Mail {
        sender: "Acme <noreply@example.com>".to_owned(),
        to: vec!["Jane <jane@example.net>".to_owned()],
        subject: "Welcome".to_owned(),
        html_body: "<h1>Hello Jane</h1>".to_owned(),
        text_body: "Hello Jane".to_owned(),
        attachments: Vec::new(),
    };
    println!("{}", client.send(&mail).await?);
    Ok(())
}
