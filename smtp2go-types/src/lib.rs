//! The types of the SMTP2GO v3 HTTP API: requests, replies and webhook events.
//!
//! This crate knows nothing of HTTP. The client built on it is `smtp2go-sdk`; use this crate alone
//! to receive webhooks, to store replies, or to speak to the API with a client of your own.
//!
//! # What to expect of the types
//!
//! - **Replies decode leniently.** A scalar is an [`Option`], a list a [`Vec`], a map a
//!   [`BTreeMap`](std::collections::BTreeMap). A number may arrive as text and text as a number, a
//!   single item may stand for a list, null is the same as absent, and a field of a kind that makes
//!   no sense is `None`: one odd field never costs the rest of the reply.
//! - **Vocabularies are open enums** ([`Vocabulary`]): a value that this version does not list
//!   is kept in the variant `Unknown`. What is read from a reply can be sent back, and
//!   [`unlisted`](Vocabulary::unlisted) makes one to send.
//! - **Nothing of a reply is lost.** A member that this version has no field for is kept in `extra` of
//!   its object, and [`UnknownMembers`] names them all.
//! - **Requests can be checked before they are sent** ([`Validate`]): every broken limit is
//!   reported at once, with its field path.
//! - **Requests take fields that this version does not list**, by `.extra("name", value)`. Read from
//!   JSON, they are strict, so that a misspelling is an error, unless read as [`KeepUnknown`].
//! - **Secrets serialise but do not print** ([`Secret`]); of a URL, which may hold one, `Debug` shows
//!   scheme and host ([`SecretUrl`]).
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
//! // Going out it is RFC 3339.
//! let start = Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_439_300));
//! assert_eq!(start.as_str(), "2026-03-02T08:15:00Z");
//!
//! // A secret is sent, and never shown.
//! let password = Secret::from("hunter2");
//! assert_eq!(serde_json::to_string(&password)?, r#""hunter2""#);
//! assert_eq!(password.to_string(), "…");
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # Generated code
//!
//! The structs of requests, replies and events are what [progenitor](https://docs.rs/progenitor) generates
//! from a document that is made of the repository's `spec/openapi.yaml`. They are moved and completed by a closed
//! list of changes, which the repository's CONTRIBUTING.md has with the reason of each; a test takes the
//! changes back and compares the rest with progenitor's output, token for token. Constructors, setters,
//! `validate()`, serde's traits and the open enums are generated beside them, from the same document.
//!
//! # Features
//!
//! - `schemars`: `schemars::JsonSchema` (1.x) for every type. Off by default.

mod civil;
mod date;
mod envelope;
#[rustfmt::skip]
mod generated;
mod lenient;
mod object;
mod one_line;
mod repair;
mod secret;
mod secret_json;
mod secret_url;
mod text_or_object;
mod timestamp;
mod unknown;
pub mod validation;
mod values;
mod vocabulary;
pub mod webhook;

pub use date::Date;
pub use envelope::Envelope;
pub use generated::*;
pub use object::KeepUnknown;
pub use one_line::one_line;
pub use repair::readable;
pub use secret::Secret;
pub use secret_json::SecretJson;
pub use secret_url::SecretUrl;
pub use text_or_object::TextOrObject;
pub use timestamp::Timestamp;
pub use unknown::UnknownMembers;
pub use validation::{Problem, Validate, ValidationError};
pub use values::values_beyond;
pub use vocabulary::{UnknownValue, Vocabulary};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
