//! The events that the service posts to a webhook.
//!
//! [`parse`] makes an [`Event`] of a request's body, whatever web framework received it:
//!
//! ```
//! use smtp2go_types::webhook::{Event, parse};
//!
//! let body = "event=bounce&bounce=hard&rcpt=jane%40example.net&time=2026-03-02T08%3A15%3A06Z";
//! match parse("application/x-www-form-urlencoded", body)? {
//!     Event::Email(event) => println!("{:?} for {:?}", event.event, event.rcpt),
//!     Event::Sms(event) => println!("{:?} for {:?}", event.event, event.destination_number),
//!     other => println!("not known to this version: {:?}", other.name()),
//! }
//! # Ok::<(), smtp2go_types::webhook::ParseError>(())
//! ```
//!
//! # What the service sends
//!
//! One event per request, as a form or as JSON, whichever the webhook's `output_format` says. The
//! body is not signed and carries no version. The service posts again what was not answered within
//! 10 seconds, so expect an event more than once, and events out of order:
//! [`Event::dedup_key`] tells a repetition from a new event.
//!
//! # What is made of it
//!
//! - The names of fields count in any letter case, and `link` and `click_url` are other names of `url`.
//!   Where a field comes in more than one spelling, one that is not empty is the field; of several the
//!   one with the field's own name, in small letters; or else the first in alphabetical order. Another
//!   with another value is kept in `extra`, as are the mail headers that the webhook copies, under their
//!   own names.
//! - A value of a kind that its field can't hold (a list for the subject) is kept in `extra` as well.
//! - `recipients` may be a list or one text. How a form joins several addresses is not documented:
//!   JSON in the text, commas, semicolons and white space are understood, and so is a repeated key.
//! - Words count in any letter case for `event`, with the aliases of [`EmailEventKind`] and
//!   [`SmsEventName`].
//! - An event with a word that is not known is [`Event::Email`] if it has an `email_id`,
//!   [`Event::Sms`] if it has a `message_id` or its word starts with `sms`, or else
//!   [`Event::Unknown`].
//!
//! [`EmailEventKind`]: crate::EmailEventKind
//! [`SmsEventName`]: crate::SmsEventName

// Functions in here are `#[inline]`, so that those programs compile them which receive webhooks, and
// the crate itself is quicker to build for all others.
mod event;
mod form;
mod key;
mod members;
mod parse;

pub use event::{Event, Reader, UnknownEvent};
pub use parse::{DEFAULT_LIMIT, MAX_MEMBERS, MAX_VALUES, ParseError, parse, parse_with_limit};

pub(crate) use members::{Payload, Shape, payload};
