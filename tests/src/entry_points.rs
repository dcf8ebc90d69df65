//! Calls every operation through each entry point of the SDK: the group's method, the raw client
//! and the blocking client.

use std::error::Error;
use std::pin::Pin;

use serde::Serialize;
use smtp2go_sdk::{Client, Reply, blocking, raw};
use smtp2go_types as types;

/// The results of the two async entry points for the same request.
#[derive(Debug)]
pub struct Answers {
    /// The result of the group's method: the reply's `data`.
    pub data: serde_json::Value,
    /// The bytes of the reply to the group's method.
    pub body: Vec<u8>,
    /// The result of the raw method: the whole reply; null if its shape is not known.
    pub raw: serde_json::Value,
}

/// The results, or the first error.
pub type Outcome = Result<Answers, Box<dyn Error + Send + Sync>>;

/// A call in progress.
pub type Calling<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// The result of the blocking group's method, the reply's `data`, and the bytes of the reply.
pub type Blocked = Result<(serde_json::Value, Vec<u8>), Box<dyn Error + Send + Sync>>;

/// An operation, and functions that call it with a request as JSON.
#[derive(Debug)]
pub struct EntryPoints {
    /// The operationId.
    pub id: &'static str,
    /// Calls the group's method first, the raw one second.
    pub call: for<'a> fn(&'a Client, &'a raw::Client, &'a str) -> Calling<'a>,
    /// Calls the method of the blocking client's group.
    pub blocking: fn(&blocking::Client, &str) -> Blocked,
}

macro_rules! entry_points {
    ($(
        $id:ident $method:literal $path:literal $group:ident $action:ident
        [$($taken:ident)?] [$($request:ident)?] [$($reply:ident)?];
    )*) => {
        /// All operations.
        #[allow(deprecated, unused_variables, reason = "there are such, and some take nothing")]
        pub static ENTRY_POINTS: &[EntryPoints] = &[$(
            EntryPoints {
                id: stringify!($id),
                call: |client, raw, request| Box::pin(async move {
                    let taken = client
                        .$group()
                        .$action($(serde_json::from_str::<types::$taken>(request)?)?)
                        .await?;
                    let raw = raw
                        .$id($(&serde_json::from_str::<types::$request>(request)?)?)
                        .await
                        .map_err(smtp2go_sdk::Error::from)?;
                    let (data, body) = answer(taken)?;
                    let raw = serde_json::to_value(raw.into_inner())?;
                    Ok(Answers { data, body, raw })
                }),
                blocking: |client, request| answer(
                    client
                        .$group()
                        .$action($(serde_json::from_str::<types::$taken>(request)?)?)?,
                ),
            },
        )*];
    };
}
crate::generated::operations!(entry_points);

/// Splits a reply into its data and its bytes.
fn answer<T: Serialize>(reply: Reply<T>) -> Blocked {
    let body = reply.body().to_vec();
    Ok((serde_json::to_value(reply.into_inner())?, body))
}
