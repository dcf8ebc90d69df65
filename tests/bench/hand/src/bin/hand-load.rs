//! Sends mails for the driver to measure.

#[path = "../../../load.rs"]
mod load;

use std::error::Error;

use hand::{Attachment, Client, Mail};
use load::{HTML, IN_FLIGHT, KEY, Mode, RECIPIENT, SENDER, SUBJECT, TEXT};
use tokio::task::JoinSet;

fn mail(attachments: Vec<Attachment>) -> Mail {
    Mail {
        sender: SENDER.to_owned(),
        to: vec![RECIPIENT.to_owned()],
        subject: SUBJECT.to_owned(),
        html_body: HTML.to_owned(),
        text_body: TEXT.to_owned(),
        attachments,
    }
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
    let client = Client::new(base_url, KEY.to_owned())?;
    match mode {
        // This client has only one mode.
        Mode::Send | Mode::Group => {
            for _ in 0..count {
                client.send(&mail(Vec::new())).await?;
            }
        }
        Mode::Flight => {
            let mut tasks = JoinSet::new();
            for task in 0..IN_FLIGHT {
                let client = client.clone();
                tasks.spawn(async move {
                    for _ in (task..count).step_by(IN_FLIGHT) {
                        let sent = client.send(&mail(Vec::new())).await;
                        sent.map_err(|error| error.to_string())?;
                    }
                    Ok::<_, String>(())
                });
            }
            while let Some(done) = tasks.join_next().await {
                done??;
            }
        }
        Mode::Path(path) => {
            for _ in 0..count {
                let attachment = Attachment::from_path(&path)?;
                client.send(&mail(vec![attachment])).await?;
            }
        }
        Mode::Memory(path) => {
            let bytes = std::fs::read(path)?;
            for _ in 0..count {
                let attachment = Attachment::from_bytes(&bytes);
                client.send(&mail(vec![attachment])).await?;
            }
        }
    }
    Ok(())
}
