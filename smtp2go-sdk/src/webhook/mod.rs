//! Webhooks: receiving the events that the service posts, and having it post them.
//!
//! A [`Receiver`] knows who may post and how much. Give it to
#![cfg_attr(
    feature = "axum",
    doc = "- an axum application, with [`axum::router`] or the extractor [`axum::WebhookEvent`];"
)]
#![cfg_attr(
    not(feature = "axum"),
    doc = "- an axum application, with `axum::router` or the extractor `axum::WebhookEvent` (feature `axum`);"
)]
#![cfg_attr(
    feature = "tower",
    doc = "- anything on hyper or tower, as a [`WebhookService`];"
)]
#![cfg_attr(
    not(feature = "tower"),
    doc = "- anything on hyper or tower, as a `WebhookService` (feature `tower`);"
)]
//! - any other framework: [`Receiver::handle`] takes the request in parts, and [`parse`] is at the
//!   bottom of it all.
//!
//! ```
//! use smtp2go_sdk::webhook::{Auth, Event, Receiver, RequestHead};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), smtp2go_sdk::Error> {
//! let receiver = Receiver::new(Auth::bearer("a-long-random-token")?);
//!
//! let head = RequestHead::new("/webhook")
//!     .authorization(b"Bearer a-long-random-token".as_slice())
//!     .content_type("application/json");
//! let body = br#"{"event":"bounce","bounce":"hard","rcpt":"jane@example.net"}"#;
//! let answer = receiver
//!     .handle(&head, body, |event: Event| async move {
//!         println!("{:?}", event.name());
//!     })
//!     .await;
//! assert_eq!(answer.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! # What the service does, and what that asks of a receiver
//!
//! - **It waits 10 seconds** for the head of the answer. Put the event into a queue or a table, and
//!   answer; work on it afterwards.
//! - **It posts again** what was not answered with success: up to 35 times in 48 hours by one
//!   statement of its documentation, for four days by another. 200 is success and 500 is not; of
//!   other statuses nothing is known. So an event can come more than once, and late: see
//!   [`Receiver::deduplicate`].
//! - **It does not sign** what it posts. Who knows the address can post, unless the receiver insists
//!   on [`Auth`].
//!
//! # Having it post
//!
//! [`Client::ensure_webhook`](crate::Client::ensure_webhook) makes the account's webhook what the
//! program wants it to be, with the same [`Auth`].

// Functions in here are `#[inline]`, so that those programs compile them which receive webhooks, and
// the crate itself is quicker to build for all others. So are those of batches, MIME messages and
// streams of mail in `mail`, and the generated operations.
mod auth;
mod dedup;
mod ensure;
mod memory;
mod outcome;
mod receiver;

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "tower")]
mod service;

pub use auth::Auth;
pub use dedup::{Claim, Deduplicator, StoreError, Token};
pub use ensure::{Change, Difference, EnsuredWebhook, Subscription};
pub use memory::MemoryDeduplicator;
pub use outcome::IntoStatus;
pub use receiver::{Answer, Receiver, Refusal, RequestHead};
#[cfg(feature = "tower")]
pub use service::{Peer, WebhookService};
pub use smtp2go_types::webhook::{
    DEFAULT_LIMIT, Event, MAX_MEMBERS, MAX_VALUES, ParseError, Reader, UnknownEvent, parse,
    parse_with_limit,
};
