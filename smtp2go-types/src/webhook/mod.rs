//! The events that the service posts to a webhook.
//!
//! [`parse`] reads an [`Event`] from a request's body, independent of the web framework:
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
//! One event per request, as a form or as JSON, depending on the webhook's `output_format`. The
//! body is not signed and has no version. The service posts an event again if it gets no reply
//! within 10 seconds, so events can be delivered more than once and out of order.
//! [`Event::dedup_key`] identifies duplicate deliveries.
//!
//! # How it is parsed
//!
//! - Field names are read in any letter case, and `link` and `click_url` are other names of `url`. If a
//!   field comes in several spellings, a value that is not empty wins. Of several such values, one
//!   under the field's own name wins over other names, then lower case over capitals, then the first in
//!   byte order. Other values are kept in `extra`, as are copied mail headers under their own names.
//! - A value that its field can't hold, such as a list for the subject, is kept in `extra` as well.
//! - `recipients` may be a list or a text. How a form joins several addresses is not documented: JSON,
//!   commas, semicolons, white space and a repeated key are all read.
//! - Values of `event` are read in any letter case, with the aliases of [`EmailEventKind`] and
//!   [`SmsEventName`].
//! - An event with an unknown value of `event` is [`Event::Email`] if it has an `email_id`,
//!   [`Event::Sms`] if it has a `message_id` or its value starts with `sms`, and else
//!   [`Event::Unknown`].
//!
//! [`EmailEventKind`]: crate::EmailEventKind
//! [`SmsEventName`]: crate::SmsEventName

mod event;
mod form;
mod key;
mod members;
mod parse;

pub use event::{Event, Reader, UnknownEvent};
pub use parse::{DEFAULT_LIMIT, MAX_MEMBERS, MAX_VALUES, ParseError, parse, parse_with_limit};

pub(crate) use members::{Payload, Shape, payload};
