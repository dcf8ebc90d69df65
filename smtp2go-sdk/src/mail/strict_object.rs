//! Reads JSON objects strictly: each member is known, and errors name it.

use std::collections::HashSet;
use std::fmt;

use serde_core::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON object whose members are taken one by one.
pub(super) struct StrictObject<'a> {
    /// The object's place in the document. Empty for the document itself.
    path: String,
    /// The members that were not taken yet.
    rest: Vec<(String, &'a RawValue)>,
}

impl<'a> StrictObject<'a> {
    /// Reads an object. A member with null counts as missing.
    pub(super) fn read(json: &'a RawValue, path: &str) -> Result<Self, String> {
        let mut reader = serde_json::Deserializer::from_str(json.get());
        let object = Self {
            path: path.to_owned(),
            rest: reader.deserialize_any(ObjectVisitor).map_err(|_| {
                let at = if path.is_empty() { "a mail" } else { path };
                format!("{at}: expected an object")
            })?,
        };
        let mut names = HashSet::new();
        for (name, _) in &object.rest {
            if !names.insert(name) {
                return Err(object.fault(name, "duplicate member"));
            }
        }
        Ok(object)
    }

    /// Makes the error of a member, or of the object if the name is empty.
    pub(super) fn fault(&self, name: &str, fault: &str) -> String {
        let dot = if self.path.is_empty() || name.is_empty() {
            ""
        } else {
            "."
        };
        let path = &self.path;
        let shown = name.escape_debug();
        format!("{path}{dot}{shown}: {fault}")
    }

    fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let index = self.rest.iter().position(|(other, _)| other == name)?;
        let (_, json) = self.rest.swap_remove(index);
        (json.get() != "null").then_some(json)
    }

    /// Reads a member. `expected` describes its type in errors.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, String> {
        let Some(json) = self.take(name) else {
            return Ok(None);
        };
        serde_json::from_str(json.get())
            .map(Some)
            .map_err(|_| self.fault(name, &format!("expected {expected}")))
    }

    /// Reads a required member.
    pub(super) fn required<T: DeserializeOwned>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<T, String> {
        let value = self.optional(name, expected)?;
        value.ok_or_else(|| self.fault(name, "missing"))
    }

    /// Returns a member that is an object.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<&'a RawValue>, String> {
        match self.take(name) {
            Some(json) if !json.get().starts_with('{') => {
                Err(self.fault(name, "expected an object"))
            }
            found => Ok(found),
        }
    }

    /// Reads a member that is a list of objects. Empty if it is missing.
    pub(super) fn objects(&mut self, name: &str) -> Result<Vec<StrictObject<'a>>, String> {
        let Some(json) = self.take(name) else {
            return Ok(Vec::new());
        };
        let items: Vec<&RawValue> = serde_json::from_str(json.get())
            .map_err(|_| self.fault(name, "expected a list of objects"))?;
        let items = items.into_iter().enumerate();
        items
            .map(|(index, item)| StrictObject::read(item, &format!("{name}[{index}]")))
            .collect()
    }

    /// Returns the members that were not read.
    pub(super) fn into_rest(self) -> Vec<(String, &'a RawValue)> {
        self.rest
    }

    /// Refuses members that were not read.
    pub(super) fn finish(self) -> Result<(), String> {
        match self.rest.first() {
            Some((name, _)) => Err(self.fault(name, "unknown member")),
            None => Ok(()),
        }
    }
}

/// Collects the members of an object.
struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}
