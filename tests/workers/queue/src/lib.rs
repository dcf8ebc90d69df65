//! Sends the mails of a Cloudflare Queue, each once.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use smtp2go_sdk::{Certainty, Client, Email, Error, FindSent, Found, SendOnce};
use worker::{Context, Date, Env, MessageBatch, MessageExt, Request, Response};
use worker::{console_error, event};

/// `retry_delay` in wrangler.toml. Must exceed the time after which `SendOnce` and `FindSent` report a
/// mail as absent.
const RETRY_DELAY: Duration = Duration::from_secs(20 * 60);

#[event(fetch)]
async fn fetch(request: Request, env: Env, _: Context) -> worker::Result<Response> {
    let order = request.path().trim_start_matches('/').to_owned();
    let mail = Email::new("Acme <noreply@example.com>", format!("Your order {order}"))
        .to("jane@example.net")
        .text("Thank you.")
        .idempotency_key(format!("order-{order}/confirmation"));
    env.queue("MAILS")?
        .send(serde_json::to_string(&mail)?)
        .await?;
    Response::ok("")
}

#[event(queue)]
async fn queue(batch: MessageBatch<String>, env: Env, _: Context) -> worker::Result<()> {
    let client = Client::from_lookup(|name| env.var(name).ok().map(|value| value.to_string()));
    let client = client.map_err(|error| error.to_string())?;
    for message in batch.messages()? {
        let mail: Email = serde_json::from_str(message.body())?;
        match deliver(&client, mail, time(&message.timestamp())).await {
            Ok(true) => message.ack(),
            Err(error) if error.certainty() == Certainty::Rejected && !error.is_rate_limited() => {
                console_error!("a mail was rejected: {error}");
                message.ack();
            }
            Ok(false) | Err(_) => message.retry(),
        }
    }
    Ok(())
}

/// Returns whether the mail was sent.
async fn deliver(client: &Client, mail: Email, queued: SystemTime) -> Result<bool, Error> {
    let last_attempt = time(&Date::now()) - RETRY_DELAY;
    // Earlier deliveries of this message ended before that, perhaps in the middle of a send.
    if last_attempt >= queued {
        let look = FindSent::of(&mail, queued)?.until(last_attempt);
        match client.find_sent(&look).await? {
            Found::Absent => {}
            found => return Ok(matches!(found, Found::Sent { .. })),
        }
    }
    // A consumer may run for 15 minutes.
    let settings = SendOnce::new().deadline(Duration::from_secs(10 * 60));
    client.send_once_with(mail, settings).await.map(|_| true)
}

fn time(date: &Date) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(date.as_millis())
}
