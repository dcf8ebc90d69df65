//! Open enums.

use std::fmt;

/// An enum whose values the API may extend.
///
/// Each open enum has a variant per listed value and [`Unknown`](UnknownValue) for the rest, so
/// that a reply with a new value still decodes and can be sent back. Values compare by variant.
///
/// | Made by | A value that is not listed is |
/// | --- | --- |
/// | `From`, `parse`, serde, [`from_value`](OpenEnum::from_value) | treated as a misspelling: `validate()` refuses it in fields that accept only listed values |
/// | [`unlisted`](OpenEnum::unlisted) | sent, unless it is another spelling of a listed one |
/// | reading a reply | sent, because the API knows it |
pub trait OpenEnum: Sized {
    /// The listed values, in the API's spelling.
    const VALUES: &'static [&'static str];

    /// Returns the value, in the API's spelling.
    fn as_str(&self) -> &str;

    /// Reads a value, matched exactly; `Unknown` if it is not listed. Known alternative spellings
    /// give the listed value too.
    fn from_value(value: &str) -> Self;

    /// Makes a value that the API has added since this version, and that `validate()` accepts. A
    /// listed value gives its variant. `validate()` refuses a value that is blank, or that differs
    /// from a listed one only in case or separators.
    fn unlisted(value: &str) -> Self;

    /// Returns the value if it is in the variant `Unknown`.
    fn unknown(&self) -> Option<&UnknownValue>;

    /// Returns the listed value that equals `value` except for case and separators (all characters
    /// other than letters and digits). `None` if there is none.
    fn similar(value: &str) -> Option<&'static str>;

    /// Whether the value is in the variant `Unknown`.
    fn is_unknown(&self) -> bool {
        self.unknown().is_some()
    }
}

/// A value that an open enum does not list: see [`OpenEnum`].
///
/// It records how it was made, which decides whether `validate()` accepts it. Equality and hashing
/// use only the text.
#[derive(Clone)]
pub struct UnknownValue {
    text: Box<str>,
    origin: Origin,
}

/// The origin of an unknown value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The value comes from the user's text, so it may be misspelt.
    Text,
    /// The value was made with `unlisted`.
    Unlisted,
    /// The value was read from a reply.
    Reply,
}

impl UnknownValue {
    pub(crate) fn new(text: impl Into<Box<str>>, origin: Origin) -> Self {
        Self {
            text: text.into(),
            origin,
        }
    }

    /// Returns the value as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }
}

impl PartialEq for UnknownValue {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for UnknownValue {}

impl std::hash::Hash for UnknownValue {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialEq<str> for UnknownValue {
    fn eq(&self, other: &str) -> bool {
        *self.text == *other
    }
}

impl PartialEq<&str> for UnknownValue {
    fn eq(&self, other: &&str) -> bool {
        *self.text == **other
    }
}

impl AsRef<str> for UnknownValue {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for UnknownValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Shows the text, quoted.
impl fmt::Debug for UnknownValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(formatter)
    }
}

/// Finds the listed value that equals `value` except for case and separators. `spellings` are pairs
/// of a spelling and its listed value.
pub(crate) fn similar(
    value: &str,
    spellings: &[(&'static str, &'static str)],
) -> Option<&'static str> {
    let value = letters(value);
    let mut found = spellings
        .iter()
        .filter(|(spelling, _)| letters(spelling) == value);
    found.next().map(|(_, listed)| *listed)
}

/// Returns a name in lower case and without separators.
pub(crate) fn letters(value: &str) -> String {
    value
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Implements an open enum. The enum itself is defined in the source, where readers look for it.
///
/// The enum derives `Clone`, `Debug`, `PartialEq`, `Eq` and `Hash`, and has the variant
/// `Unknown(UnknownValue)`. The macro takes the other variants, each with its value and, after `|`,
/// alternative spellings. Inline functions are compiled only for programs that use them.
macro_rules! open_enum {
    (
        $name:ident {
            $($variant:ident = $value:literal $(| $alias:literal)*),* $(,)?
        }
    ) => {
        impl $name {
            /// Returns the value, in the API's spelling.
            #[inline]
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $value,)*
                    Self::Unknown(value) => value.as_str(),
                }
            }

            /// Makes a value that the API has added since this version, and that `validate()`
            /// accepts. A listed value gives its variant. `validate()` refuses a value that differs
            /// from a listed one only in case or separators.
            #[must_use]
            pub fn unlisted(value: impl ::std::convert::AsRef<str>) -> Self {
                $crate::OpenEnum::unlisted(value.as_ref())
            }

            fn read(text: &str, origin: $crate::open_enum::Origin) -> Self {
                match text {
                    $($value $(| $alias)* => Self::$variant,)*
                    other => Self::Unknown($crate::UnknownValue::new(other, origin)),
                }
            }
        }

        impl $crate::OpenEnum for $name {
            const VALUES: &'static [&'static str] = &[$($value),*];

            #[inline]
            fn as_str(&self) -> &str {
                Self::as_str(self)
            }

            #[inline]
            fn from_value(value: &str) -> Self {
                Self::read(value, $crate::open_enum::Origin::Text)
            }

            fn unlisted(value: &str) -> Self {
                Self::read(value, $crate::open_enum::Origin::Unlisted)
            }

            #[inline]
            fn unknown(&self) -> ::std::option::Option<&$crate::UnknownValue> {
                match self {
                    Self::Unknown(value) => Some(value),
                    _ => None,
                }
            }

            fn similar(value: &str) -> ::std::option::Option<&'static str> {
                $crate::open_enum::similar(value, &[$(($value, $value) $(, ($alias, $value))*),*])
            }
        }

        $crate::unknown::without_members!($name);

        impl ::std::fmt::Display for $name {
            #[inline]
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl ::std::convert::From<&str> for $name {
            #[inline]
            fn from(value: &str) -> Self {
                $crate::OpenEnum::from_value(value)
            }
        }

        impl ::std::convert::From<::std::string::String> for $name {
            #[inline]
            fn from(value: ::std::string::String) -> Self {
                $crate::OpenEnum::from_value(&value)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ::std::convert::Infallible;

            #[inline]
            fn from_str(value: &str) -> ::std::result::Result<Self, Self::Err> {
                Ok($crate::OpenEnum::from_value(value))
            }
        }

        impl ::serde_core::Serialize for $name {
            fn serialize<S: ::serde_core::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> ::serde_core::Deserialize<'de> for $name {
            fn deserialize<D: ::serde_core::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                <::std::string::String as ::serde_core::Deserialize>::deserialize(deserializer)
                    .map(Self::from)
            }
        }

        impl $crate::object::Given for $name {
            #[inline]
            fn blank() -> Self {
                Self::from("")
            }
        }

        impl $crate::lenient::Lenient for $name {
            #[inline]
            fn from_scalar(
                scalar: $crate::lenient::Scalar<'_>,
            ) -> ::std::option::Option<Self> {
                let text = scalar.into_text();
                Some(Self::read(&text, $crate::open_enum::Origin::Reply))
            }
        }

        #[cfg(feature = "schemars")]
        impl ::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_id() -> ::std::borrow::Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($name)).into()
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!({
                    "type": "string",
                    "x-extensible-enum": <Self as $crate::OpenEnum>::VALUES,
                })
            }
        }
    };
}
pub(crate) use open_enum;

#[cfg(test)]
#[allow(unreachable_pub, reason = "the macro is for public enums")]
mod tests {
    use std::collections::HashSet;

    use super::{OpenEnum, UnknownValue};
    use crate::lenient::{Lenient, Scalar};
    use crate::validation::{Check, Validate};

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    enum BounceKind {
        Hard,
        Soft,
        None,
        Unknown(UnknownValue),
    }
    open_enum!(BounceKind { Hard = "hard", Soft = "soft" | "soft-bounce" | "Soft", None = "" });

    #[test]
    fn listed_values_and_aliases_are_read_and_others_are_unknown() {
        assert_eq!(BounceKind::VALUES, ["hard", "soft", ""]);
        for (value, kind, spelt) in [
            ("hard", BounceKind::Hard, "hard"),
            ("soft", BounceKind::Soft, "soft"),
            ("soft-bounce", BounceKind::Soft, "soft"),
            ("Soft", BounceKind::Soft, "soft"),
            ("", BounceKind::None, ""),
            ("HARD", BounceKind::from("HARD"), "HARD"),
            ("tepid", BounceKind::from("tepid"), "tepid"),
        ] {
            assert_eq!(BounceKind::from_value(value), kind);
            assert_eq!(BounceKind::from(value), kind);
            assert_eq!(BounceKind::from(value.to_owned()), kind);
            assert_eq!(value.parse::<BounceKind>(), Ok(kind.clone()));
            assert_eq!(kind.as_str(), spelt);
            assert_eq!(OpenEnum::as_str(&kind), spelt);
            assert_eq!(kind.to_string(), spelt);
            assert_eq!(kind.is_unknown(), matches!(kind, BounceKind::Unknown(_)));
            assert_eq!(serde_json::to_value(&kind).unwrap(), spelt);
            assert_eq!(
                serde_json::from_value::<BounceKind>(value.into()).unwrap(),
                kind
            );
        }
        assert!(serde_json::from_str::<BounceKind>("null").is_err());
        let set: HashSet<_> = ["soft", "Soft", "hard"].map(BounceKind::from).into();
        assert_eq!(set.len(), 2);
    }

    /// A field of a request that accepts only listed values, or any value.
    struct Field {
        kind: BounceKind,
        listed_only: bool,
    }

    impl Validate for Field {
        fn check(&self, check: &mut Check) {
            check.at("kind", |check| {
                if self.listed_only {
                    check.known(&self.kind);
                } else {
                    check.spelling(&self.kind);
                }
            });
        }
    }

    fn problem(kind: &BounceKind, listed_only: bool) -> Option<String> {
        let kind = kind.clone();
        let checked = Field { kind, listed_only }.validate();
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn unlisted_value_passes_but_other_spelling_is_refused() {
        for (value, similar) in [
            ("tepid", None),
            ("hardly", None),
            ("", Some("")),
            ("hard", Some("hard")),
            ("soft-bounce", Some("soft")),
            ("HARD", Some("hard")),
            ("h_a r-d", Some("hard")),
            ("Soft Bounce", Some("soft")),
            ("soft\n", Some("soft")),
            (" ", Some("")),
        ] {
            assert_eq!(BounceKind::similar(value), similar, "{value:?}");
            let from_text = BounceKind::from(value);
            let unlisted = BounceKind::unlisted(value);
            let scalar = Scalar::Text(value.into());
            let from_reply = <BounceKind as Lenient>::from_scalar(scalar).unwrap();
            assert_eq!(unlisted, from_text);
            assert_eq!(from_reply, from_text);
            assert_eq!(unlisted.as_str(), from_text.as_str());
            let listed = !from_text.is_unknown();

            assert_eq!(problem(&from_text, true).is_none(), listed, "{value:?}");
            assert_eq!(problem(&from_text, false), None, "{value:?}");
            assert_eq!(problem(&from_reply, true), None, "{value:?}");
            assert_eq!(problem(&from_reply, false), None, "{value:?}");
            for listed_only in [true, false] {
                let passes = problem(&unlisted, listed_only).is_none();
                assert_eq!(passes, listed || similar.is_none(), "{value:?}");
            }
        }
        assert_eq!(
            problem(&BounceKind::from("HARD"), true).unwrap(),
            r#"kind: "HARD" is not one of hard, soft, ""; did you mean "hard"?"#
        );
        assert_eq!(
            problem(&BounceKind::unlisted("HARD"), false).unwrap(),
            r#"kind: "HARD" is not a new value: use "hard""#
        );
    }

    #[test]
    fn blank_value_is_refused_unless_it_is_listed() {
        assert_eq!(Colour::unlisted("red"), Colour::Red);
        for value in ["", " ", "-"] {
            let mut check = Check::default();
            check.spelling(&Colour::unlisted(value));
            let error = check.finish().unwrap_err().to_string();
            assert_eq!(error, format!("{value:?} is blank"));
        }
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    enum Colour {
        Red,
        Unknown(UnknownValue),
    }
    open_enum!(Colour { Red = "red" });

    #[cfg(feature = "schemars")]
    #[test]
    fn schema_lists_the_values_without_closing_the_enum() {
        assert_eq!(
            serde_json::to_value(schemars::schema_for!(BounceKind)).unwrap(),
            serde_json::json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": "BounceKind",
                "type": "string",
                "x-extensible-enum": ["hard", "soft", ""],
            })
        );
    }
}
