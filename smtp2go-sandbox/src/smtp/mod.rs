//! The SMTP server: from a connection to the mail, which is accepted as one of `/email/mime` is.
//!
//! A module per step: [`wire`] reads lines and messages, [`command`] reads commands, [`session`]
//! answers them, and [`user`] knows who sends.
//!
//! A web page may post to this port too. It cannot choose how its request begins, so whatever does
//! not begin as a client of SMTP does ends the connection.

mod command;
mod message;
mod reply;
mod session;
mod user;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::connection::{OpenConnection, Refusals, Slot, all_in_use};
use crate::world::Shared;
use reply::SmtpReply;
use session::Session;

/// The user that every sandbox with SMTP has. The password is the main API key, so that mail needs
/// as good a secret over SMTP as over HTTP where other machines can reach the sandbox.
pub(crate) const USERNAME: &str = "sandbox";

/// How many bytes a message may have: as many as a request of the API.
const MOST_BYTES: usize = 50 * 1024 * 1024;

/// How many recipients a message may have: as many as the `to` of `/email/send`.
const MOST_RECIPIENTS: usize = 100;

/// Serves connections until the sandbox stops.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let refusals = Arc::new(Refusals::new());
    let mut stopping = shared.stopping.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        let Ok((stream, client)) = accepted else {
            // Too many open files, or a client that was gone: it gets better with time.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Some(slot) = Slot::of(&shared) else {
            let reply = SmtpReply::new(421, "4.3.2", all_in_use(&shared));
            refusals.answer(stream, reply.to_string());
            continue;
        };
        let session = Session::new(stream, client.ip(), Arc::clone(&shared));
        let refusals = Arc::clone(&refusals);
        let open = OpenConnection::new(Arc::clone(&shared));
        let mut stopping = stopping.clone();
        tokio::spawn(async move {
            let _counted = (slot, open);
            tokio::select! {
                () = session.run(&refusals) => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
        });
    }
}
