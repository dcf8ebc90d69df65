//! A program that sends one mail, to measure the cost of building it.

use smtp2go_sdk::{Client, Email};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(send())
}

async fn send() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    let mail = Email::new("Acme <noreply@example.com>", "Welcome")
        .to("Jane <jane@example.net>")
        .html("<h1>Hello Jane</h1>")
        .text("Hello Jane");
    println!("{:?}", client.send(mail).await?.email_id);
    Ok(())
}
