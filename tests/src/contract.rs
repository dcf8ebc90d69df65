//! Checks values against the generated types, for comparison with the spec.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use smtp2go_types::Validate;

macro_rules! tables {
    ([$($request:ident)*] [$($reply:ident)*]) => {
        /// All objects that are sent.
        pub static REQUESTS: &[Request] = &[$(
            Request {
                name: stringify!($request),
                check: check::<smtp2go_types::$request>,
            },
        )*];

        /// All objects, with the schema of their type.
        #[cfg(feature = "schemars")]
        pub static SCHEMAS: &[(&str, Schema)] = &[
            $((stringify!($request), schema::<smtp2go_types::$request>),)*
            $((stringify!($reply), schema::<smtp2go_types::$reply>),)*
        ];
    };
}
crate::generated::objects!(tables);

/// An object that is sent.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The component.
    pub name: &'static str,
    /// Reads a JSON value into the type, checks it, and returns the JSON to send.
    pub check: fn(&Value) -> Result<Value, String>,
}

/// [`Request::check`] of `T`.
///
/// # Errors
///
/// If the type can't hold the value, or `validate()` refuses it.
pub fn check<T: DeserializeOwned + Serialize + Validate>(value: &Value) -> Result<Value, String> {
    let request: T = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    request.validate().map_err(|error| error.to_string())?;
    serde_json::to_value(&request).map_err(|error| error.to_string())
}

/// The JSON Schema of a type.
#[cfg(feature = "schemars")]
pub type Schema = fn() -> Value;

/// [`Schema`] of `T`.
#[cfg(feature = "schemars")]
pub fn schema<T: schemars::JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}
