//! Async client for the [SMTP2GO](https://www.smtp2go.com) v3 HTTP API: transactional email, SMS,
//! and everything of an account that the API lets a program look at and change.
//!
//! ```no_run
//! use smtp2go_sdk::types::TemplateViewRequest;
//! use smtp2go_sdk::{Attachment, Client, Email};
//!
//! # async fn example() -> Result<(), smtp2go_sdk::Error> {
//! let client = Client::from_env()?; // SMTP2GO_API_KEY, SMTP2GO_REGION, SMTP2GO_BASE_URL
//!
//! let mail = Email::new("Acme <noreply@example.com>", "Your report")
//!     .to("Jane <jane@example.net>")
//!     .html("<h1>Hi</h1>")
//!     .text("Hi")
//!     .attach(Attachment::from_path("report.pdf"));
//! let sent = client.send(mail).await?;
//! println!("{:?}, request {:?}", sent.email_id, sent.request_id());
//!
//! let template = client.template().view(TemplateViewRequest::new("welcome")).await?;
//! println!("{:?}, request {:?}", template.subject, template.request_id());
//! # Ok(())
//! # }
//! ```
//!
//! # Ways in
//!
//! - Mail: [`Client::send`], [`send_all`](Client::send_all), [`send_batch`](Client::send_batch) and
//!   [`send_mime`](Client::send_mime), which check an [`Email`] whole before a byte of it is sent,
//!   and read attachments while they are sent.
//! - Typed: a group of operations on the [`Client`], a method per operation. Requests are checked
//!   before they are sent; a [`Reply`] is its data, with the request id and the raw body at hand.
//! - Searches that come in pages have a second method, `…_all`: a stream of their results, [`Items`].
//! - [`Client::execute`]: an [`Operation`](operation::Operation) of the table in [`operations`],
//!   or one that is newer than this version, and a JSON body of your own.
//! - `Client::raw`, with the feature `raw`: progenitor's own code, with a method for each operation.
//!   See the module `raw`. The types of all ways are progenitor's structs, see
//!   [`types`](types#generated-code).
//! - `blocking::Client`, with the feature `blocking`: all but the last, for programs that are not
//!   async.
//!
//! [`Client::for_subaccount`] is the same client for one subaccount of the key's account.
//!
//! The other direction is in [`webhook`]: the events that the service posts, typed, authenticated
//! and deduplicated, in any web framework.
//!
//! All go through the same core, and fail with the same [`Error`] (the raw client's error becomes one by `?`
//! or `Error::of`), which knows what the API
//! said in whatever shape it came, and whether the call may have had its effect all the same
//! ([`Error::certainty`]). A reply with status 200 that reports a failure is an error too.
//!
//! # Time, retries, pacing
//!
//! A call that fails is tried again if that can do no harm: after a failure before which provably
//! nothing was sent and after a 429, for every operation; after any passing failure, for operations
//! whose repetition has no effect. So mail is never sent twice by a retry. [`RetryPolicy`] says how
//! often and when, [`ClientBuilder::deadline`] bounds the whole, and
//! [`Client::with_options`] changes either for some calls. The error of a retried call is that of
//! its last attempt; its [`certainty`](Error::certainty) holds for all of them.
//!
//! A 429 holds back all calls of the client and of its clones until the API will have them again,
//! and operations with a documented rate ([`Operation::rate_limit`](operation::Operation)) wait for
//! their turn. A call whose turn would come after its deadline ends at once, and was not sent.
//!
//! # Seen from outside
//!
//! Each call is a span `smtp2go` (target `smtp2go_sdk`, level INFO) with OpenTelemetry's names for HTTP
//! clients: `http.request.method`, `url.template`, `server.address`, `server.port`,
//! `http.response.status_code`, `error.type`, `http.request.resend_count`, `otel.kind`,
//! `otel.status_code`; and with `operation`, `region` (where the host is a region's), `attempt` (how
//! many there were), `code`, `certainty`, `request_id` and `elapsed_ms`. What is known only at the end is
//! recorded then, also of a call that is dropped (`error.type` is `cancelled`). `error.type` is the
//! status, or the word of [`Error::kind`]. Each decision whether to try again is an event in that
//! span: `decision` is `retry` (INFO) or `stop` (DEBUG), with `reason`, `wait_ms` and `attempt`; the
//! words are those of [`Next`]. When a rate limit pauses [`send_all`](Client::send_all), that is an
//! event at WARN, with `wait_ms` and `asked_ms` (what the API asked for). Never in it: keys, bodies, addresses, texts of errors.
//!
//! [`ClientBuilder::observer`] is told the same as values, for metrics.
//!
//! # Features
//!
//! | Feature | Default | What it adds |
//! |---|---|---|
//! | `rustls-ring` | yes | TLS by rustls with ring and the platform's certificates; takes precedence over the other two; [see below](#rustls-ring-and-reqwest) |
//! | `rustls-aws-lc` | | TLS by rustls with the provider that the program installed, else aws-lc, which is slow to build; takes precedence over `native-tls` |
//! | `native-tls` | | TLS by the system's library |
//! | `http2` | | HTTP/2 where the server offers it; its refusals count as not sent |
//! | `raw` | | `Client::raw`; brings progenitor-client, which is under MPL-2.0, and six crates more |
//! | `lettre` | | `lettre::Message` for [`Client::send_mime`], and the client as a transport of lettre: `LettreTransport` |
//! | `blocking` | | `blocking::Client`, for programs that are not async |
//! | `schemars` | | JSON Schemas of the types |
//! | `tower` | | webhooks as a tower service: `webhook::WebhookService` |
//! | `axum` | | webhooks in axum: `webhook::axum`; includes `tower` |
//!
//! Without any of the TLS features only plain http can be called: this machine, and hosts named by
//! [`ClientBuilder::allow_http`].
//!
//! ## `rustls-ring` and reqwest
//!
//! The default feature `rustls-ring` enables reqwest's feature `rustls-no-provider`, for the whole
//! build. If your program uses reqwest too, and nothing enables one of reqwest's features
//! `default-tls`, `rustls` or `native-tls`, then your own `reqwest::Client::new()` panics with "No rustls
//! crypto provider is configured", even for plain http. Install a provider at the start of `main`,
//! with the crate `rustls` and its feature `ring`:
//!
//! ```no_run
//! # #[cfg(feature = "rustls-ring")]
//! rustls::crypto::ring::default_provider().install_default().ok();
//! ```
//!
//! This crate's own client needs no installed provider.

#[cfg(feature = "blocking")]
pub mod blocking;
mod body;
mod call;
mod client;
mod error;
// Generated code is `pub` throughout; what leaves the crate is chosen here and in `raw`. Blocking
// methods take what the async ones take.
#[allow(unreachable_pub, clippy::needless_pass_by_value)]
#[rustfmt::skip]
mod generated;
#[cfg(test)]
#[path = "../tests/support/log_watch.rs"]
mod log_watch;
mod mail;
pub mod operation;
#[cfg(feature = "raw")]
pub mod raw;
mod region;
pub mod webhook;

pub use body::Body;
pub use call::{AttemptReport, CallReport, Next, Observer, RawReply, Reply, RetryPolicy};
pub use client::{CallOptions, Client, ClientBuilder, Items, KeyLocation, Pages};
pub use error::{Certainty, Error, ErrorCode, FieldError};
pub use generated::{groups, operations};
#[cfg(feature = "lettre")]
pub use mail::LettreTransport;
pub use mail::{Attachment, Batch, Email, Mailbox, MailboxError, Mime, Sent};
pub use mail::{IntoMail, Mails, SendAll, SendHandle, SendOutcome, SendReport, SendState};
pub use region::Region;

/// The request and reply types.
pub use smtp2go_types as types;
