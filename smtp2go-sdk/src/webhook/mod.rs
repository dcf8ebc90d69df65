//! Webhooks: receive the events that the service posts, and register the address for them.
//!
//! A [`Receiver`] authenticates requests and parses events. Use it with
#![cfg_attr(
    feature = "axum",
    doc = "- an axum application, with [`axum::router`], [`axum::router_with_state`] or the extractor [`axum::WebhookEvent`];"
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
//! - any other framework: [`Receiver::handle`] takes the parts of the request. To parse a body alone,
//!   use [`parse`].
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
//! # How the service posts
//!
//! - **Timeout**: it waits 10 seconds for the head of the answer. Put the event into a queue or a table
//!   and answer; process it afterwards.
//! - **Retries**: it posts an event again until the answer is a success: up to 35 times in 48 hours by
//!   one statement of its documentation, for four days by another. 200 is a success and 500 is not;
//!   other statuses are not documented. So an event can be delivered late and more than once: see
//!   [`Receiver::deduplicate`].
//! - **No signature**: anybody who knows the address can post, unless the receiver requires an
//!   [`Auth`].
//!
//! # Registration
//!
//! [`Client::ensure_webhook`](crate::Client::ensure_webhook) creates or changes the account's webhook,
//! with the same [`Auth`].

mod auth;
mod dedup;
mod difference;
mod ensure;
mod memory;
mod outcome;
mod receiver;
mod refusal;
mod request_head;
mod subscription;
mod wanted;

#[cfg(all(feature = "axum", not(target_family = "wasm")))]
pub mod axum;
#[cfg(feature = "tower")]
mod service;

pub use auth::Auth;
pub use dedup::{Claim, Deduplicator, StoreError, Token};
pub use difference::Difference;
pub use ensure::{Change, EnsuredWebhook};
pub use memory::MemoryDeduplicator;
pub use outcome::IntoStatus;
pub use receiver::Receiver;
pub use refusal::{Answer, Refusal};
pub use request_head::RequestHead;
#[cfg(feature = "tower")]
pub use service::{Peer, WebhookService};
pub use smtp2go_types::webhook::{
    DEFAULT_LIMIT, Event, MAX_MEMBERS, MAX_VALUES, ParseError, Reader, UnknownEvent, parse,
    parse_with_limit,
};
pub use subscription::Subscription;
