//! Open enumerations.

/// A list of words that the API uses, and may add to.
///
/// Each vocabulary is an enum with a variant per known word and `Unknown(String)` for the rest, so
/// that a reply with a new word still decodes and can be sent back. Make a value with `From` or
/// [`from_word`](Vocabulary::from_word) rather than with `Unknown`: they notice a known word, and
/// values compare by variant.
pub trait Vocabulary {
    /// The known words, as the API spells them.
    const WORDS: &'static [&'static str];

    /// The word, as the API spells it.
    fn as_str(&self) -> &str;

    /// The value of a word, matched exactly: `Unknown` if it is not known. Besides the words of
    /// [`WORDS`](Vocabulary::WORDS), other spellings seen in the wild give the known value.
    fn from_word(word: &str) -> Self;

    /// Whether the word is in the variant `Unknown`.
    fn is_unknown(&self) -> bool;
}

/// Makes an enum a vocabulary: everything but the enum itself, which stays in sight of whoever (or
/// whatever) reads the source.
///
/// The enum derives `Clone`, `Debug`, `PartialEq`, `Eq` and `Hash`, and has the variant
/// `Unknown(String)`; the macro is told its other variants, each with its word and, after `|`,
/// further spellings that decode to it.
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
                    Self::Unknown(word) => word,
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
                match word {
                    $($word $(| $alias)* => Self::$variant,)*
                    other => Self::Unknown(other.to_owned()),
                }
            }

            #[inline]
            fn is_unknown(&self) -> bool {
                matches!(self, Self::Unknown(_))
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
                Self::Unknown(::std::string::String::new())
            }
        }

        impl $crate::lenient::Lenient for $name {
            #[inline]
            fn from_scalar(
                scalar: $crate::lenient::Scalar<'_>,
            ) -> ::std::option::Option<Self> {
                Some(Self::from(scalar.into_text()))
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

    use super::Vocabulary;

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    enum BounceKind {
        Hard,
        Soft,
        None,
        Unknown(String),
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
            ("HARD", BounceKind::Unknown("HARD".to_owned()), "HARD"),
            ("tepid", BounceKind::Unknown("tepid".to_owned()), "tepid"),
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
