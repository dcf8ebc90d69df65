//! The shortest Worker that sends a mail.

use smtp2go_sdk::{Client, Email, Error};
use worker::{Context, Env, Request, Response, event};

#[event(fetch)]
async fn fetch(_: Request, env: Env, _: Context) -> worker::Result<Response> {
    match send(&env).await {
        Ok(()) => Response::ok("sent"),
        Err(error) => Response::error(error.to_string(), 502),
    }
}

async fn send(env: &Env) -> Result<(), Error> {
    // One client for each request: requests can't share connections or wake each other.
    let client = Client::from_lookup(|name| env.var(name).ok().map(|value| value.to_string()))?;
    let mail = Email::new("Acme <noreply@example.com>", "Welcome")
        .to("jane@example.net")
        .text("Hello Jane");
    client.send(mail).await.map(drop)
}
