//! Sends mails for the driver to measure.

#[path = "../../../load.rs"]
mod load;

use std::error::Error;

use load::{HTML, IN_FLIGHT, KEY, Mode, RECIPIENT, SENDER, SUBJECT, TEXT};
use smtp2go_sdk::types::EmailSendRequest;
use smtp2go_sdk::{Attachment, Client, Email};
use tokio::task::JoinSet;

fn mail() -> Email {
    Email::new(SENDER, SUBJECT)
        .to(RECIPIENT)
        .html(HTML)
        .text(TEXT)
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(send())?;
    load::report()
}

async fn send() -> Result<(), Box<dyn Error>> {
    let (base_url, mode, count) = load::arguments()?;
    let client = Client::builder(KEY).base_url(base_url).build()?;
    match mode {
        Mode::Send => {
            for _ in 0..count {
                client.send(mail()).await?;
            }
        }
        Mode::Group => {
            for _ in 0..count {
                let request = EmailSendRequest::new(SENDER, [RECIPIENT])
                    .subject(SUBJECT)
                    .html_body(HTML)
                    .text_body(TEXT);
                client.email().send(request).await?;
            }
        }
        Mode::Flight => {
            let mut tasks = JoinSet::new();
            for task in 0..IN_FLIGHT {
                let client = client.clone();
                tasks.spawn(async move {
                    for _ in (task..count).step_by(IN_FLIGHT) {
                        client.send(mail()).await?;
                    }
                    Ok::<_, smtp2go_sdk::Error>(())
                });
            }
            while let Some(done) = tasks.join_next().await {
                done??;
            }
        }
        Mode::Path(path) => {
            for _ in 0..count {
                let file = Attachment::from_path(&path).filename("report.pdf");
                client.send(mail().attach(file)).await?;
            }
        }
        Mode::Memory(path) => {
            let file = Attachment::from_bytes("report.pdf", std::fs::read(path)?);
            for _ in 0..count {
                client.send(mail().attach(file.clone())).await?;
            }
        }
    }
    Ok(())
}
