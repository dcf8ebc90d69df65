//! Every operation, called through each door of the SDK.

use std::error::Error;
use std::pin::Pin;

use serde::Serialize;
use smtp2go_sdk::{Client, Reply, blocking, raw};
use smtp2go_types as types;

/// What the two async doors answered to the same request.
#[derive(Debug)]
pub struct Answers {
    /// What the group's method returned: the reply's `data`.
    pub data: serde_json::Value,
    /// The bytes that the group's method got.
    pub body: Vec<u8>,
    /// What the raw method returned: the whole reply; null where its shape is not known.
    pub raw: serde_json::Value,
}

/// The answers, or the first error of either door.
pub type Outcome = Result<Answers, Box<dyn Error + Send + Sync>>;

/// A call in progress.
pub type Calling<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// What the blocking group's method returned, the reply's `data`, and the bytes that it got.
pub type Blocked = Result<(serde_json::Value, Vec<u8>), Box<dyn Error + Send + Sync>>;

/// An operation and how to call it, with a request as JSON.
#[derive(Debug)]
pub struct Door {
    /// The operationId.
    pub id: &'static str,
    /// Calls the group's method first, the raw one second.
    pub call: for<'a> fn(&'a Client, &'a raw::Client, &'a str) -> Calling<'a>,
    /// Calls the method of the blocking client's group.
    pub blocking: fn(&blocking::Client, &str) -> Blocked,
}

macro_rules! doors {
    ($(
        $id:ident $method:literal $path:literal $group:ident $action:ident
        [$($taken:ident)?] [$($request:ident)?] [$($reply:ident)?];
    )*) => {
        /// Every operation.
        #[allow(deprecated, unused_variables, reason = "there are such, and some take nothing")]
        pub static DOORS: &[Door] = &[$(
            Door {
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
crate::generated::operations!(doors);

/// Takes a reply apart.
fn answer<T: Serialize>(reply: Reply<T>) -> Blocked {
    let body = reply.body().to_vec();
    Ok((serde_json::to_value(reply.into_inner())?, body))
}
