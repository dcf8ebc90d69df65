//! Makes the calls that `smtp2go-sdk/tests/workers.rs` requests, and replies with their results.

use std::future::{Future, pending, poll_fn, ready};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use smtp2go_sdk::types::TemplateViewRequest;
use smtp2go_sdk::webhook::{MemoryDeduplicator, Receiver, Token, parse};
use smtp2go_sdk::{CallOptions, Client, Email, Error, RetryPolicy, SendOnce};
use worker::{Context, Date, Delay, Env, Request, Response, Result, event};

const HOUR: Duration = Duration::from_secs(60 * 60);

#[event(fetch)]
async fn fetch(request: Request, env: Env, _: Context) -> Result<Response> {
    let url = request.url()?;
    let argument = |name: &str| {
        let mut pairs = url.query_pairs();
        pairs
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    };
    let number = |name| {
        argument(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(1u32)
    };
    let client = Client::from_lookup(|name| match name {
        "SMTP2GO_BASE_URL" => argument("base"),
        _ => env.var(name).ok().map(|value| value.to_string()),
    });
    let client = client.map_err(|error| error.to_string())?.with_options(
        CallOptions::new()
            .timeout(Duration::from_millis(number("timeout").into()))
            .deadline(Duration::from_millis(number("deadline").into()))
            .retry(RetryPolicy::new().max_attempts(number("attempts"))),
    );
    let mail = || {
        Email::new("a@example.com", "Hello")
            .to("b@example.net")
            .text("x".repeat(number("size").try_into().unwrap_or_default()))
    };
    let answer = match url.path() {
        "/send" => ended(client.send(mail()).await.map(|sent| sent.email_id.clone())),
        "/view" => {
            let viewed = client
                .template()
                .view(TemplateViewRequest::new("welcome"))
                .await;
            ended(viewed.map(|reply| reply.subject.clone()))
        }
        "/send_all" => {
            let mails = vec![mail(); number("mails").try_into().unwrap_or_default()];
            let mut sending = client.send_all(mails, 3);
            let mut results = Vec::new();
            while let Some(outcome) = sending.next().await {
                results.push(ended(outcome.result.map(|sent| sent.email_id.clone())));
            }
            Value::from(results)
        }
        "/send_once" => {
            let settings = SendOnce::new().lag(Duration::from_millis(100));
            let sent = client
                .send_once_with(mail().idempotency_key("probe"), settings)
                .await;
            ended(sent.map(|sent| sent.looked_up.then(|| "looked up".to_owned())))
        }
        "/scheduled" => {
            let now = UNIX_EPOCH + Duration::from_millis(Date::now().as_millis());
            let past = client.send(mail().schedule(now - HOUR)).await;
            let future = client.send(mail().schedule(now + HOUR)).await;
            json!([ended(past.map(|_| None)), ended(future.map(|_| None))])
        }
        "/set_key" => {
            let key = env.var("SMTP2GO_API_KEY")?.to_string();
            let client = Client::builder("api-00000000000000000000000000000000");
            let client = client
                .base_url(argument("base").unwrap_or_default())
                .build();
            let client = client.map_err(|error| error.to_string())?;
            let before = client.send(mail()).await;
            client.set_key(key).map_err(|error| error.to_string())?;
            json!([
                ended(before.map(|_| None)),
                ended(client.send(mail()).await.map(|_| None))
            ])
        }
        "/dropped" => {
            {
                let mut send = pin!(client.send(mail()));
                let mut delay = pin!(Delay::from(Duration::from_secs(5)));
                poll_fn(
                    |cx| match (send.as_mut().poll(cx), delay.as_mut().poll(cx)) {
                        (Poll::Pending, Poll::Pending) => Poll::Pending,
                        _ => Poll::Ready(()),
                    },
                )
                .await;
            }
            // The end of the request would end the call too.
            Delay::from(Duration::from_secs(60)).await;
            Value::Null
        }
        "/token" => json!(Token::random().value().to_string()),
        "/claim" => claim().await?,
        path => json!({"error": format!("no such call: {path}")}),
    };
    Response::from_json(&answer)
}

/// Drops the future that handles an event before it completes. Returns the status of the event's next
/// delivery.
async fn claim() -> Result<Value> {
    let receiver = Receiver::without_authentication().deduplicate(MemoryDeduplicator::new());
    let event = br#"{"event":"spam","rcpt":"a@example.net","email_id":"1"}"#;
    let event = parse(Some("application/json"), event).map_err(|error| error.to_string())?;
    {
        let mut handling = pin!(receiver.process(event.clone(), |_| pending::<()>()));
        poll_fn(|cx| Poll::Ready(handling.as_mut().poll(cx).is_pending())).await;
        let during = receiver.process(event.clone(), |_| ready(())).await;
        if during != 503 {
            return Ok(json!(format!("the second delivery got {during}, not 503")));
        }
    }
    Delay::from(Duration::from_millis(10)).await;
    Ok(json!(receiver.process(event, |_| ready(())).await.as_u16()))
}

fn ended(result: std::result::Result<Option<String>, Error>) -> Value {
    match result {
        Ok(found) => json!({"verdict": "ok", "found": found}),
        Err(error) => json!({
            "verdict": format!("{:?}, {}", error.certainty(), error.kind()),
            "attempts": error.attempts(),
            "retry_after": error.retry_after().map(|wait| wait.as_secs()),
            "text": error.to_string(),
        }),
    }
}
