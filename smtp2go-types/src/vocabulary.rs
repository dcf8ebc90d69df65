//! Open enumerations.

use std::fmt;

/// A list of values that the API uses, and may add to.
///
/// Each open enum has a variant per listed value and [`Unknown`](UnknownValue) for the rest, so
/// that a reply with a new value still decodes and can be sent back. Values compare by variant.
///
/// | Made by | Of a value that is not listed |
/// | --- | --- |
/// | `From`, `parse`, serde, [`from_word`](Vocabulary::from_word) | taken for a misspelling: refused by `validate()` in fields that take listed values only |
/// | [`unlisted`](Vocabulary::unlisted) | sent, unless it is another spelling of a listed one |
/// | reading a reply | sent, since the API knows it |
pub trait Vocabulary: Sized {
    /// The listed values, as the API spells them.
    const WORDS: &'static [&'static str];

    /// The value, as the API spells it.
    fn as_str(&self) -> &str;

    /// Reads a value, matched exactly: `Unknown` if it is not listed. Besides the values of
    /// [`WORDS`](Vocabulary::WORDS), other spellings seen in the wild give the listed value.
    fn from_word(word: &str) -> Self;

    /// Makes a value that this version does not list, and that `validate()` lets pass: for what the
    /// API has added since. A listed value gives its variant. One that differs from a listed value
    /// only in case or separators, or that is blank, is refused by `validate()` in every field.
    fn unlisted(word: &str) -> Self;

    /// The value, if it is in the variant `Unknown`.
    fn unknown(&self) -> Option<&UnknownValue>;

    /// The listed value that `word` is equal to, apart from case and separators (everything that is
    /// neither a letter nor a digit). `None` if there is none.
    fn similar(word: &str) -> Option<&'static str>;

    /// Whether the value is in the variant `Unknown`.
    fn is_unknown(&self) -> bool {
        self.unknown().is_some()
    }
}

/// A value that an open enum does not list: see [`Vocabulary`].
///
/// It remembers how it was made, which decides whether `validate()` lets it pass; comparing and
/// hashing it goes by its text alone.
#[derive(Clone)]
pub struct UnknownValue {
    text: Box<str>,
    origin: Origin,
}

/// How an unknown value was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From text, so that it may be a misspelling.
    Text,
    /// By `unlisted`.
    Unlisted,
    /// By reading a reply.
    Reply,
}

impl UnknownValue {
    pub(crate) fn new(text: impl Into<Box<str>>, origin: Origin) -> Self {
        Self {
            text: text.into(),
            origin,
        }
    }

    /// The value, as it was written.
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

/// Finds the listed value, of pairs of a spelling and the value that it stands for, that `word` is
/// equal to apart from case and separators.
pub(crate) fn similar(
    word: &str,
    spellings: &[(&'static str, &'static str)],
) -> Option<&'static str> {
    let word = letters(word);
    let mut found = spellings
        .iter()
        .filter(|(spelling, _)| letters(spelling) == word);
    found.next().map(|(_, listed)| *listed)
}

/// What is left of a name without case and separators.
pub(crate) fn letters(word: &str) -> String {
    word.chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Implements an open enum, except for the enum itself, which stands in the source where a reader looks
/// for it.
///
/// The enum derives `Clone`, `Debug`, `PartialEq`, `Eq` and `Hash`, and has the variant
/// `Unknown(UnknownValue)`. The macro takes its other variants, each with its value and, after `|`,
/// further spellings that decode to it. What is inline is compiled only for programs that use it.
macro_rules! words {
    (
        $name:ident {
            $($variant:ident = $word:literal $(| $alias:literal)*),* $(,)?
        }
    ) => {
        impl $name {
            /// The word, as the API spells it.
            #[inline]
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Unknown(value) => value.as_str(),
                }
            }

            /// Makes a value that this version does not list, and that `validate()` lets pass: for
            /// what the API has added since. A listed value gives its variant. One that differs from a
            /// listed value only in case or separators is refused by `validate()`.
            #[must_use]
            pub fn unlisted(value: impl ::std::convert::AsRef<str>) -> Self {
                $crate::Vocabulary::unlisted(value.as_ref())
            }

            fn read(text: &str, origin: $crate::vocabulary::Origin) -> Self {
                match text {
                    $($word $(| $alias)* => Self::$variant,)*
                    other => Self::Unknown($crate::UnknownValue::new(other, origin)),
                }
            }
        }

        impl $crate::Vocabulary for $name {
            const WORDS: &'static [&'static str] = &[$($word),*];

            #[inline]
            fn as_str(&self) -> &str {
                Self::as_str(self)
            }

            #[inline]
            fn from_word(word: &str) -> Self {
                Self::read(word, $crate::vocabulary::Origin::Text)
            }

            fn unlisted(word: &str) -> Self {
                Self::read(word, $crate::vocabulary::Origin::Unlisted)
            }

            #[inline]
            fn unknown(&self) -> ::std::option::Option<&$crate::UnknownValue> {
                match self {
                    Self::Unknown(value) => Some(value),
                    _ => None,
                }
            }

            fn similar(word: &str) -> ::std::option::Option<&'static str> {
                $crate::vocabulary::similar(word, &[$(($word, $word) $(, ($alias, $word))*),*])
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
            fn from(word: &str) -> Self {
                $crate::Vocabulary::from_word(word)
            }
        }

        impl ::std::convert::From<::std::string::String> for $name {
            #[inline]
            fn from(word: ::std::string::String) -> Self {
                $crate::Vocabulary::from_word(&word)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ::std::convert::Infallible;

            #[inline]
            fn from_str(word: &str) -> ::std::result::Result<Self, Self::Err> {
                Ok($crate::Vocabulary::from_word(word))
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
                Some(Self::read(&text, $crate::vocabulary::Origin::Reply))
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
                    "x-extensible-enum": <Self as $crate::Vocabulary>::WORDS,
                })
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
#[allow(unreachable_pub, reason = "the macro is for public enums")]
mod tests {
    use std::collections::HashSet;

    use super::{UnknownValue, Vocabulary};
    use crate::lenient::{Lenient, Scalar};
    use crate::validation::{Check, Validate};

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    enum BounceKind {
        Hard,
        Soft,
        None,
        Unknown(UnknownValue),
    }
    words!(BounceKind { Hard = "hard", Soft = "soft" | "soft-bounce" | "Soft", None = "" });

    #[test]
    fn words() {
        assert_eq!(BounceKind::WORDS, ["hard", "soft", ""]);
        for (word, kind, spelt) in [
            ("hard", BounceKind::Hard, "hard"),
            ("soft", BounceKind::Soft, "soft"),
            ("soft-bounce", BounceKind::Soft, "soft"),
            ("Soft", BounceKind::Soft, "soft"),
            ("", BounceKind::None, ""),
            ("HARD", BounceKind::from("HARD"), "HARD"),
            ("tepid", BounceKind::from("tepid"), "tepid"),
        ] {
            assert_eq!(BounceKind::from_word(word), kind);
            assert_eq!(BounceKind::from(word), kind);
            assert_eq!(BounceKind::from(word.to_owned()), kind);
            assert_eq!(word.parse::<BounceKind>(), Ok(kind.clone()));
            assert_eq!(kind.as_str(), spelt);
            assert_eq!(Vocabulary::as_str(&kind), spelt);
            assert_eq!(kind.to_string(), spelt);
            assert_eq!(kind.is_unknown(), matches!(kind, BounceKind::Unknown(_)));
            assert_eq!(serde_json::to_value(&kind).unwrap(), spelt);
            assert_eq!(
                serde_json::from_value::<BounceKind>(word.into()).unwrap(),
                kind
            );
        }
        assert!(serde_json::from_str::<BounceKind>("null").is_err());
        let set: HashSet<_> = ["soft", "Soft", "hard"].map(BounceKind::from).into();
        assert_eq!(set.len(), 2);
    }

    /// A field of a request: one that takes listed values only, or one that takes any.
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
        for (word, similar) in [
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
            assert_eq!(BounceKind::similar(word), similar, "{word:?}");
            let from_text = BounceKind::from(word);
            let unlisted = BounceKind::unlisted(word);
            let scalar = Scalar::Text(word.into());
            let from_reply = <BounceKind as Lenient>::from_scalar(scalar).unwrap();
            assert_eq!(unlisted, from_text);
            assert_eq!(from_reply, from_text);
            assert_eq!(unlisted.as_str(), from_text.as_str());
            let listed = !from_text.is_unknown();

            assert_eq!(problem(&from_text, true).is_none(), listed, "{word:?}");
            assert_eq!(problem(&from_text, false), None, "{word:?}");
            assert_eq!(problem(&from_reply, true), None, "{word:?}");
            assert_eq!(problem(&from_reply, false), None, "{word:?}");
            for listed_only in [true, false] {
                let passes = problem(&unlisted, listed_only).is_none();
                assert_eq!(passes, listed || similar.is_none(), "{word:?}");
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
    fn blank_value_is_refused_where_none_is_listed() {
        assert_eq!(Colour::unlisted("red"), Colour::Red);
        for word in ["", " ", "-"] {
            let mut check = Check::default();
            check.spelling(&Colour::unlisted(word));
            let error = check.finish().unwrap_err().to_string();
            assert_eq!(error, format!("{word:?} is blank"));
        }
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    enum Colour {
        Red,
        Unknown(UnknownValue),
    }
    words!(Colour { Red = "red" });

    #[cfg(feature = "schemars")]
    #[test]
    fn schema() {
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
