//! Receives SMTP2GO's events in a Cloudflare Worker, and keeps a list of addresses that must get no more
//! mail.

use smtp2go_sdk::types::EmailEventKind;
use smtp2go_sdk::webhook::{Auth, Event, Receiver, RequestHead};
use worker::{Context, Env, KvStore, Request, Response, Result, console_error, event};

#[event(fetch)]
async fn fetch(mut request: Request, env: Env, context: Context) -> Result<Response> {
    let secret = env.secret("WEBHOOK_TOKEN")?.to_string();
    let auth = Auth::bearer(secret).map_err(|error| error.to_string())?;
    let header = |name| request.headers().get(name);
    let (authorization, content_type) = (header("authorization")?, header("content-type")?);
    let path = request.path();
    let head = RequestHead::new(&path)
        .authorization(authorization.as_deref().map(str::as_bytes))
        .content_type(content_type.as_deref());
    let receiver = Receiver::new(auth);
    // Before the body is read: strangers cost nothing.
    if let Err(refusal) = receiver.authenticate(&head) {
        return Response::error(refusal.to_string(), refusal.status().as_u16());
    }
    match receiver.receive(&head, &request.bytes().await?) {
        Ok(event) => {
            let list = env.kv("NO_MAIL")?;
            // Answers at once. The runtime keeps the Worker running for this.
            context.wait_until(async move { handle(&event, &list).await });
            Response::ok("")
        }
        Err(refusal) => Response::error(refusal.to_string(), refusal.status().as_u16()),
    }
}

async fn handle(event: &Event, list: &KvStore) {
    let Some(event) = event.as_email() else {
        return;
    };
    let reason = match event.event {
        // A soft bounce passes: the mailbox is full, for example.
        Some(EmailEventKind::Bounce) if event.is_hard_bounce() == Some(true) => "bounced",
        Some(EmailEventKind::Unsubscribe) => "unsubscribed",
        Some(EmailEventKind::Spam) => "complained",
        _ => return,
    };
    for address in event.concerns() {
        if let Err(error) = add(list, address, reason).await {
            console_error!("can't add an address to the list: {error}");
        }
    }
}

async fn add(list: &KvStore, address: &str, reason: &str) -> Result<()> {
    Ok(list.put(address, reason)?.execute().await?)
}
