// docs.rs shows the feature that an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// The doc tests of the README need these features.
#![cfg_attr(
    any(not(doctest), all(feature = "axum", feature = "blocking")),
    doc = include_str!("../README.md")
)]
//!
//! ## When to use which
//!
//! | To | Use |
//! | --- | --- |
//! | send a mail | [`Client::send`] |
//! | send many mails, a few at a time | [`Client::send_all`] |
//! | send many mails in one request | [`Client::send_batch`] |
//! | send a message that another library composed | [`Client::send_mime`] |
//! | send a mail once although its reply may be lost | [`Client::send_once`] |
//! | send a mail once although the program may crash | the crate [smtp2go-outbox](https://docs.rs/smtp2go-outbox) |
//! | ask whether a mail was sent | [`Client::find_sent`] |
//! | receive deliveries and bounces | [`webhook`] |
//! | stop or allow mail to an address | `client.suppression()` |
//! | call any other operation | its group, such as `client.template()` |
//! | call an operation that this version does not list | [`Client::execute`] |
//! | test a program | the crate [smtp2go-sandbox](https://docs.rs/smtp2go-sandbox), or without a server `test_util` |
//!
//! ## API surface
//!
//! - Mail: [`Client::send`], [`send_all`](Client::send_all), [`send_batch`](Client::send_batch) and
//!   [`send_mime`](Client::send_mime). They check a whole [`Email`] before anything is sent, and read
//!   attachments while they are sent. [`send_once`](Client::send_once) looks up a mail whose reply was
//!   lost, and [`find_sent`](Client::find_sent) answers whether a mail was sent.
//! - Groups: each group of operations is a method of the [`Client`], such as `client.template()`, with a
//!   method for each operation. Requests are checked before they are sent. A [`Reply`] is the data, with
//!   request id and raw body.
//! - A search with pages has a second method, `…_all`, which returns a stream of all results: [`Items`].
//! - [`Client::execute`] sends your own JSON body to an [`Operation`](operation::Operation): one of
//!   [`operations`], or one that is newer than this version.
//! - `Client::raw`, with the feature `raw`: the client that progenitor generates, with a method for
//!   each operation. See the module `raw`. Groups and raw client share progenitor's structs: see
//!   [`types`](types#generated-code).
//! - `blocking::Client`, with the feature `blocking`: all of this except `raw`, for programs that are
//!   not async.
//!
//! [`Client::for_subaccount`] returns a client for one subaccount of the key's account.
//!
//! [`webhook`] receives the events that the service posts: typed, authenticated and deduplicated, in any
//! web framework.
//!
//! [`unsubscribe`] receives one-click unsubscribes (RFC 8058).
//!
//! All calls go through the same core and fail with the same [`Error`]. (`?` or `Error::of` converts the
//! raw client's errors.) An error has what the API said, in whatever shape it arrived, and
//! [`Error::certainty`] says whether the call may have been processed. A reply with status 200 that
//! reports a failure is an error too.
//!
//! ## Retries, deadlines, rate limits
//!
//! A failed call is retried only where that is safe. Every operation is retried after a 429, and if the
//! server provably did not get the whole request. Idempotent operations are retried after any temporary
//! failure. So a retry never sends a mail twice. [`RetryPolicy`] has the rules, the number of attempts
//! and the waits. [`ClientBuilder::deadline`] limits the whole call. [`Client::with_options`] changes
//! both for some calls. A retried call returns the error of its last attempt, with a
//! [`certainty`](Error::certainty) that covers all attempts.
//!
//! A 429 pauses all calls of the client and its clones. Calls of operations with a documented rate
//! ([`Operation::rate_limit`](operation::Operation)) wait for a permit. A call that would get its permit
//! only after its deadline ends at once.
//!
//! ## Telemetry
//!
//! Each call is a span `smtp2go` with the target `smtp2go_sdk` and the level INFO.
//!
//! - Fields with OpenTelemetry's names: `http.request.method`, `url.template`, `server.address`,
//!   `server.port`, `http.response.status_code`, `error.type`, `http.request.resend_count`, `otel.kind`
//!   and `otel.status_code`. `error.type` is the status if that is the error, else [`Error::kind`], or
//!   `cancelled` if the call was dropped.
//! - Other fields: `operation`, `region` (if the host is a region's), `attempt` (the number of attempts),
//!   `code`, `certainty`, `request_id` and `elapsed_ms`.
//! - Each decision whether to retry is an event in the span: `decision` is `retry` (INFO) or `stop`
//!   (DEBUG), with `reason` (the values of [`Next`]), `wait_ms` and `attempt`.
//! - When a rate limit pauses [`send_all`](Client::send_all), that is an event at WARN, with `wait_ms` and
//!   `asked_ms` (what the API asked for).
//!
//! No key, body, address or error text is logged.
//!
//! An [`Observer`], set with [`ClientBuilder::observer`], receives the same values, for metrics.
//!
//! ## Features in detail
//!
//! - Of the features for TLS, `rustls-ring` takes precedence over `rustls-aws-lc`, and both over `native-tls`.
//!   `rustls-aws-lc` uses the provider that the program installed, or else aws-lc. Without any of them, only plain
//!   http works: to this machine, and to hosts named by [`ClientBuilder::allow_http`].
//! - The TLS features, `http2`, `raw`, `lettre`, `blocking` and `axum` change nothing on wasm32.
//! - `http2`: a request whose HTTP/2 stream the server refused counts as not sent.
//! - `raw` adds progenitor-client, which is under MPL-2.0, and six more crates.
//! - `lettre`: `lettre::Message` for [`Client::send_mime`], and `LettreTransport`; with `blocking` also
//!   `blocking::LettreTransport`.
//!
//! ## In Cloudflare Workers
//!
//! On `wasm32-unknown-unknown`, requests go through the runtime's `fetch`, which has TLS and connections of
//! its own. The SDK is tested in workerd, the runtime of Cloudflare Workers. Build a client for
//! each request, with [`Client::from_lookup`], since Workers don't let requests share connections
//! or wake each other.
//!
//! The following is not available, and code that uses it does not compile, except as noted:
//! - `Client::from_env`, `CallOptions::end_by`;
//! - settings of connections: `ClientBuilder::connect_timeout`, `proxy` and `http_client`;
//! - files and blocking readers: `Attachment::from_path`, `Mime::from_path` and their
//!   `from_blocking_reader`. The file of a [stored mail](Email#stored-mail) is an error when it is sent;
//! - what the features `raw`, `lettre`, `blocking` and `axum` add.
//!
//! The runtime reports neither refused HTTP/2 streams nor how much of a request was sent. So a send
//! that fails without a reply is mostly [`Certainty::Unknown`], even if the host could not be reached.

#[cfg(all(feature = "blocking", not(target_family = "wasm")))]
pub mod blocking;
mod body;
mod call;
mod client;
mod error;
// All generated items are `pub`; this file and `raw` choose what the crate exports. Blocking methods take
// the same arguments as the async ones.
#[allow(unreachable_pub, clippy::needless_pass_by_value)]
#[rustfmt::skip]
mod generated;
#[cfg(test)]
#[path = "../tests/support/log_watch.rs"]
mod log_watch;
mod mail;
pub mod operation;
mod platform;
#[cfg(all(feature = "raw", not(target_family = "wasm")))]
pub mod raw;
mod region;
mod suppression;
#[cfg(feature = "test-util")]
pub mod test_util;
pub mod unsubscribe;
pub mod webhook;

pub use body::Body;
pub use call::{AttemptReport, CallReport, Next, Observer, RawReply, Reply, RetryPolicy};
pub use client::{
    CallOptions, Client, ClientBuilder, IDEMPOTENCY_HEADER, Items, KeyLocation, Pages,
};
pub use error::{Certainty, Error, ErrorCode, FieldError};
pub use generated::{groups, operations};
pub use mail::{Attachment, AttachmentKind, Batch, Email, EmailParts, Mailbox, MailboxError, Mime};
pub use mail::{BulkMail, IntoMail, Mails};
pub use mail::{FindSent, Found, SendOnce};
#[cfg(all(feature = "lettre", not(target_family = "wasm")))]
pub use mail::{IdempotencyKey, LettreTransport};
pub use mail::{SendAll, SendHandle, SendOutcome, SendReport, SendState, Sent};
pub use region::Region;

/// The request and reply types.
pub use smtp2go_types as types;
