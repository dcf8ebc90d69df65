//! A local SMTP2GO for tests: an HTTP server on a free loopback port that checks every request
//! against the API's specification, answers as the service does, and keeps the mail that it was
//! sent. Nothing leaves the machine.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//! use smtp2go_sandbox::Sandbox;
//!
//! # fn main() -> std::io::Result<()> {
//! let sandbox = Sandbox::start_blocking()?;
//!
//! // Any HTTP client will do: give it `base_url()` and `key()`.
//! let body = r#"{"sender":"a@example.com","to":["b@example.net"],"subject":"Hi","text_body":"Hello"}"#;
//! let address = sandbox.base_url().trim_start_matches("http://").trim_end_matches("/v3");
//! let mut stream = TcpStream::connect(address)?;
//! write!(
//!     stream,
//!     "POST /v3/email/send HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
//!      X-Smtp2go-Api-Key: {}\r\nContent-Length: {}\r\n\r\n{body}",
//!     sandbox.key(),
//!     body.len(),
//! )?;
//! let mut reply = String::new();
//! stream.read_to_string(&mut reply)?;
//!
//! assert!(reply.starts_with("HTTP/1.1 200"));
//! let mails = sandbox.mails();
//! assert_eq!(mails.len(), 1);
//! assert_eq!(mails[0].subject(), Some("Hi"));
//! assert_eq!(mails[0].to(), ["b@example.net"]);
//! # Ok(())
//! # }
//! ```
//!
//! # What is checked
//!
//! In the order of the service, as far as that is known: the path (404), the method (405), the key
//! (401), the size of the body, its JSON, what the key may do, the request's schema (all 400), and
//! documented rates (429). A refusal has the service's own envelope and names the field as
//! `attachments[0].filename`.
//!
//! Fields that the specification does not know are ignored, and null is as good as absent, as with
//! the service; [`Call::ignored`] names them. [`SandboxBuilder::strict`] refuses them.
//!
//! A key counts in the header `X-Smtp2go-Api-Key`, as `Authorization: Bearer …`, and as `api_key`
//! in the body. Every key of a request has to be right. There is one that may do everything;
//! [`SandboxBuilder::api_key`] adds others, for some endpoints only, for a subaccount, disabled, or
//! with the status `sandbox`.
//!
//! # What is answered
//!
//! The three sending operations answer from what they were sent, and their mail is kept (see
//! [`Sandbox::mails`]) and delivered for show: [`Sandbox::events`] lists what happened to it. Every
//! other operation answers with the example of the specification, with a `request_id` of its own;
//! it keeps no state. With [`SandboxBuilder::stateless`] all of them do. Ids are counted or drawn
//! from a seed, so that a test that makes the same calls gets the same ids.
//!
//! # Time
//!
//! [`Sandbox::freeze`] stops the sandbox's clock and [`Sandbox::advance`] moves it on: deliveries,
//! scheduled mail and the windows of rates go by it.
//!
//! # What can go wrong
//!
//! [`Sandbox::faults`] makes calls fail on purpose, by operation, count or seeded chance:
//! connections closed or reset before or after the request is read, silence, delay, any status
//! with any body, half an answer, a 200 that reports a failure. [`Call::received`] and
//! [`Call::accepted`] tell afterwards what really arrived and what was really done.
//!
//! # What went wrong
//!
//! [`Sandbox::assert_mail`], [`assert_mails`](Sandbox::assert_mails) and
//! [`assert_no_mail`](Sandbox::assert_no_mail) fail with a listing of the mail that was received and
//! of the calls that were refused; [`Sandbox::received`] is that listing.
//! [`SandboxBuilder::on_call`] is for a log.
//!
//! # Admin endpoints
//!
//! Below `/_sandbox`, for what is no Rust: `GET /_sandbox` lists them, and the README shows them with
//! `curl`. They are no calls of the API: [`Sandbox::calls`] does not list them and no fault strikes
//! them, but for [`Fault::refuse`], which happens before anything is known. They check the headers
//! `Host` and `Origin`, so that a page in a browser cannot get at them.
//!
//! # What is inferred
//!
//! The service does not document all of its refusals. Assumed here: the envelope of 401, 404 and
//! 405; that a body over the limit is answered with 400; that a batch with one bad item is refused
//! as a whole; that a scheduled send answers with `email_id` and `schedule_id`, a scheduled item
//! of a batch with `schedule_id` alone; that `fastaccept` leaves `schedule_id` in place; that a
//! `schedule` in the past is due at once; that `*` in the endpoint of a key stands for any text,
//! slashes included; and how a `subaccount_id` that cannot be honoured is refused.

mod account;
mod admin;
mod api;
mod assertions;
mod call;
mod clock;
mod connection;
mod delivery;
mod due;
mod event;
mod fault_rule;
mod faults;
mod headers;
mod ids;
mod inbox;
mod json;
mod mail;
mod operations;
mod paging;
mod refusal;
mod sandbox;
mod schema;
mod server;
mod sms;
mod webhooks;
mod world;

pub use account::{ApiKey, KeyStatus};
pub use call::{Call, KeyPlace};
pub use delivery::{Delivery, DeliveryError, Outcome};
pub use event::{Event, EventKind};
pub use fault_rule::FaultRuleError;
pub use faults::{ActiveFault, Fault, Faults};
pub use mail::{Attachment, Mail};
pub use sandbox::{Sandbox, SandboxBuilder};
pub use sms::Sms;
pub use webhooks::{WebhookAttempt, WebhookDelivery, WebhookState};
