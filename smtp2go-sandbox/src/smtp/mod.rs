//! The SMTP server. Its mail has the same effects as mail sent to `/email/mime`.
//!
//! [`wire`] reads lines and messages, [`message`] finds the end of a message, [`command`] parses
//! commands, [`session`] carries them out, [`user`] authenticates clients, and [`reply`] formats
//! replies.
//!
//! A web page can post to this port, and its body may contain SMTP commands. The page cannot choose the
//! first line of its request, so the server closes the connection if the first line is not an SMTP
//! command.

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

/// The user that every sandbox with SMTP has. Its password is the main API key: if other machines can
/// reach the sandbox, mail over SMTP needs the same secret as mail over HTTP.
pub(crate) const USERNAME: &str = "sandbox";

/// Maximum size of a message in bytes. Equals the limit of the API's requests.
const MOST_BYTES: usize = 50 * 1024 * 1024;

/// Maximum number of recipients of a message. Equals the limit of `to` in `/email/send`.
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
            // Too many open files, or a client that is gone: retry after a pause.
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
