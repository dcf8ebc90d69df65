// docs.rs shows the feature that an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]

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
