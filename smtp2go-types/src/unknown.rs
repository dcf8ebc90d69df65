//! Lists the members of a document that this version has no field for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::{Date, Secret, SecretJson, SecretUrl, TextOrObject, Timestamp};

/// Lists the members of a request or a reply that this version has no field for: those in `extra`,
/// at every depth. They show what the API has added since.
///
/// ```
/// use smtp2go_types::{EmailSendResponse, UnknownMembers};
///
/// let reply = r#"{"request_id":"r","data":{"email_id":"1","lane":"fast"}}"#;
/// let reply: EmailSendResponse = serde_json::from_str(reply)?;
/// assert_eq!(reply.unknown_members(), ["data.lane"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub trait UnknownMembers {
    /// Returns their paths, sorted and without duplicates: `data.results[].lane` if any result has
    /// a `lane`.
    fn unknown_members(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        self.find(Place::default(), &mut found);
        found.into_iter().collect()
    }

    /// Adds the paths of unknown members below `place`.
    #[doc(hidden)]
    fn find(&self, place: Place<'_>, found: &mut BTreeSet<String>);
}

/// Path of a value.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a>(Option<(&'a Place<'a>, &'a str)>);

impl Place<'_> {
    /// The path of the member of this name.
    pub(crate) fn member<'a>(&'a self, name: &'a str) -> Place<'a> {
        Place(Some((self, name)))
    }

    /// Adds the members that have no field.
    pub(crate) fn extra(&self, extra: &BTreeMap<String, Value>, found: &mut BTreeSet<String>) {
        found.extend(extra.keys().map(|name| self.member(name).to_string()));
    }
}

/// Path segment for the items of a list.
const ITEMS: &str = "[]";

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((around, name)) = self.0 else {
            return Ok(());
        };
        around.fmt(f)?;
        if around.0.is_some() && name != ITEMS {
            f.write_str(".")?;
        }
        f.write_str(name)
    }
}

impl<T: UnknownMembers> UnknownMembers for Option<T> {
    fn find(&self, place: Place<'_>, found: &mut BTreeSet<String>) {
        if let Some(value) = self {
            value.find(place, found);
        }
    }
}

impl<T: UnknownMembers> UnknownMembers for Vec<T> {
    fn find(&self, place: Place<'_>, found: &mut BTreeSet<String>) {
        for value in self {
            value.find(place.member(ITEMS), found);
        }
    }
}

impl<T: UnknownMembers> UnknownMembers for BTreeMap<String, T> {
    fn find(&self, place: Place<'_>, found: &mut BTreeSet<String>) {
        for (name, value) in self {
            value.find(place.member(name), found);
        }
    }
}

/// Implements the trait for types that have no members.
macro_rules! without_members {
    ($($type:ty),*) => {
        $(
            impl $crate::UnknownMembers for $type {
                fn find(
                    &self,
                    _: $crate::unknown::Place<'_>,
                    _: &mut ::std::collections::BTreeSet<::std::string::String>,
                ) {
                }
            }
        )*
    };
}
pub(crate) use without_members;

without_members!(
    (),
    String,
    i64,
    f64,
    bool,
    Value,
    Date,
    Timestamp,
    Secret,
    SecretUrl,
    SecretJson,
    TextOrObject
);
