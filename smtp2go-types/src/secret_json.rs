//! JSON of unknown shape that may contain a secret.

use std::fmt;
use std::ops::Deref;

use serde_core::de::{MapAccess, SeqAccess};
use serde_core::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::lenient::{Lenient, Scalar};

/// Any JSON that may contain a secret, such as headers with a token.
///
/// Derefs to [`Value`]. `Debug`, which ends up in logs, shows nothing of it.
///
/// ```
/// use smtp2go_types::SecretJson;
///
/// let headers = SecretJson::from(serde_json::json!({"Authorization": "Bearer hunter2"}));
/// assert_eq!(format!("{headers:?}"), "SecretJson(…)");
/// assert_eq!(headers["Authorization"], "Bearer hunter2");
/// ```
#[derive(Clone, Default, PartialEq)]
#[cfg_attr(
    feature = "schemars",
    derive(schemars::JsonSchema),
    schemars(transparent)
)]
pub struct SecretJson(Value);

impl fmt::Debug for SecretJson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretJson(…)")
    }
}

impl Deref for SecretJson {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl<T: Into<Value>> From<T> for SecretJson {
    fn from(value: T) -> Self {
        Self(value.into())
    }
}

impl Serialize for SecretJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SecretJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}

impl Lenient for SecretJson {
    fn from_scalar(scalar: Scalar<'_>) -> Option<Self> {
        Value::from_scalar(scalar).map(Self)
    }

    fn from_null() -> Option<Self> {
        Value::from_null().map(Self)
    }

    fn from_list<'de, A: SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        Ok(Value::from_list(list)?.map(Self))
    }

    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Ok(Value::from_object(object)?.map(Self))
    }
}
