//! Code that the examples share: the sandbox as a local SMTP2GO, and workers with short times.

#![allow(dead_code)] // each example uses a part

use std::error::Error;
use std::time::Duration;

use smtp2go_outbox::{Outbox, State, WorkerBuilder};
use smtp2go_sandbox::{Sandbox, SandboxBuilder};
use smtp2go_sdk::Client;

#[path = "../../../smtp2go-sdk/tests/support/log_watch.rs"]
mod log_watch;

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Starts a sandbox, and returns it with a client for it.
pub(crate) async fn local(
    change: impl FnOnce(SandboxBuilder) -> SandboxBuilder,
) -> Result<(Sandbox, Client)> {
    log_watch::if_asked();
    let sandbox = change(Sandbox::builder()).start().await?;
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .build()?;
    Ok((sandbox, client))
}

/// Returns a client that the environment variables configure. For a process that an example
/// started.
pub(crate) fn client_from_env() -> Result<Client> {
    log_watch::if_asked();
    Ok(Client::from_env()?)
}

/// Shortens the worker's times, because the sandbox shows each mail in its activity at once. For the real
/// service, keep the defaults.
pub(crate) fn with_short_times(worker: WorkerBuilder) -> WorkerBuilder {
    let ms = Duration::from_millis;
    worker
        .send_deadline(ms(1500))
        .lease_margin(ms(100))
        .lease(ms(2000))
        .poll(ms(20))
        .sweep_every(ms(100))
        .look_up_after(ms(100))
        .look_up_margin(ms(0))
        .look_up_handover(ms(300))
        .give_up_after(ms(1000))
        .backoff(ms(100), ms(1000))
        .outage_pause(ms(10), ms(100))
}

/// Waits until no mail is queued, being sent or unknown.
pub(crate) async fn all_settled(outbox: &Outbox) {
    let open = [State::Queued, State::Sending, State::Unknown];
    while outbox
        .counts()
        .await
        .is_ok_and(|counts| counts.iter().any(|(state, _)| open.contains(state)))
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
