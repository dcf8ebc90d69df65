//! The types of the SMTP2GO v3 HTTP API: requests, replies and webhook events.
//!
//! The crate contains no HTTP client; `smtp2go-sdk` is the client built on it. Use this crate alone
//! to receive webhooks, to store replies, or to call the API with a client of your own.
//!
//! # What to expect of the types
//!
//! - **Replies decode leniently.** A scalar is an [`Option`], a list a [`Vec`], a map a
//!   [`BTreeMap`](std::collections::BTreeMap). A number may arrive as text, text as a number, and a
//!   list as its only item. Null is the same as absent. A value that its field can't hold leaves
//!   the field `None`, and the other fields are kept.
//! - **Enums are open** ([`OpenEnum`]): a value that this version does not list is kept in the
//!   variant `Unknown`. A value from a reply can be sent back, and [`unlisted`](OpenEnum::unlisted)
//!   makes an unlisted value to send.
//! - **Unknown members of a reply are kept** in `extra` of their object. [`UnknownMembers`] lists
//!   them.
//! - **Requests can be checked before they are sent** ([`Validate`]): one error lists all broken
//!   limits, each with its field path.
//! - **Requests take fields that this version does not list**, by `.extra("name", value)`. When a
//!   request is read from JSON, an unknown field is an error, because it may be a misspelling;
//!   [`KeepUnknown`] accepts unknown fields.
//! - **Secrets are serialised but not printed** ([`Secret`]). A URL may contain a secret, so
//!   `Debug` of a [`SecretUrl`] shows only scheme and host.
//! - **Times keep the text that the API wrote** ([`Timestamp`], [`Date`]).
//!
//! # Example
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use smtp2go_types::{Secret, Timestamp};
//!
//! // The API writes times in several layouts; text without a zone is UTC.
//! let time = Timestamp::from("2026-03-02 08:15:00.412907");
//! assert_eq!(time.as_str(), "2026-03-02 08:15:00.412907");
//! assert_eq!(time.unix_seconds(), Some(1_772_439_300));
//!
//! // A time from the system is written as RFC 3339.
//! let start = Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_439_300));
//! assert_eq!(start.as_str(), "2026-03-02T08:15:00Z");
//!
//! // A secret is serialised, but not printed.
//! let password = Secret::from("hunter2");
//! assert_eq!(serde_json::to_string(&password)?, r#""hunter2""#);
//! assert_eq!(password.to_string(), "…");
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # Generated code
//!
//! [progenitor](https://docs.rs/progenitor) generates the structs of requests, replies and events,
//! from a document made from the repository's `spec/openapi.yaml`. A closed list of changes moves
//! and completes the structs; the repository's CONTRIBUTING.md gives the reason for each change. A
//! test undoes the changes and compares the rest with progenitor's output, token for token.
//! Constructors, setters, `validate()`, serde's traits and the open enums are generated beside
//! them, from the same document.
//!
//! # Features
//!
//! All are off by default.
//!
//! - `schemars`: `schemars::JsonSchema` (1.x) for every type.
//! - `chrono`, `jiff`, `time`: [`Timestamp`] and [`Date`] from the times and dates of chrono 0.4, jiff 0.2
//!   and time 0.3.

#[cfg(any(feature = "chrono", feature = "jiff", feature = "time"))]
mod calendars;
mod civil;
mod date;
mod envelope;
#[rustfmt::skip]
mod generated;
mod lenient;
mod object;
mod one_line;
mod open_enum;
mod repair;
mod secret;
mod secret_json;
mod secret_url;
mod text_or_object;
mod timestamp;
mod unknown;
pub mod validation;
mod values;
pub mod webhook;

pub use date::Date;
pub use envelope::Envelope;
pub use generated::*;
pub use object::KeepUnknown;
pub use one_line::one_line;
pub use open_enum::{OpenEnum, UnknownValue};
pub use repair::readable;
pub use secret::Secret;
pub use secret_json::SecretJson;
pub use secret_url::SecretUrl;
pub use text_or_object::TextOrObject;
pub use timestamp::Timestamp;
pub use unknown::UnknownMembers;
pub use validation::{Problem, Validate, ValidationError};
pub use values::values_beyond;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
