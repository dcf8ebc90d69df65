//! How the generated structs become JSON objects, and objects structs: serde's traits, without its
//! derive.
//!
//! What serde derives for some two hundred structs would be most of what compiling this crate
//! takes. Here a struct states its members once, in [`reply!`] or [`request!`], and one generic
//! function does what is the same for all.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;

use serde_core::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde_core::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::lenient;
use crate::{Date, Secret, SecretUrl, TextOrObject, Timestamp};

const EXPECTED: &str = "an object";

/// A struct that is a JSON object on the wire.
pub(crate) trait Object: Sized {
    /// One of its members.
    type Member: 'static;

    /// The members by the names that they may come with.
    const MEMBERS: &'static [(&'static str, Self::Member)];

    /// The names without which there is no reading it.
    const REQUIRED: &'static [&'static str] = &[];

    /// Whether it is a request: a member that comes twice is an error, and members that are none of
    /// these are not kept. In a reply the last of two counts, and unknown members are kept.
    const REQUEST: bool = false;

    /// The struct before any of its members is read.
    fn blank() -> Self;

    /// Reads the value of a member, whose key has been read.
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        member: &Self::Member,
        object: &mut A,
    ) -> Result<(), A::Error>;

    /// Writes the members in their order.
    fn write<S: Sink>(&self, out: &mut Writer<S>);

    /// Members that are none of these.
    fn extra(&self) -> &BTreeMap<String, Value>;

    /// Where these go.
    fn extra_mut(&mut self) -> &mut BTreeMap<String, Value>;

    /// What a list in place of the object is.
    fn from_list<'de, A: SeqAccess<'de>>(_: A) -> Result<Self, A::Error> {
        Err(A::Error::invalid_type(Unexpected::Seq, &EXPECTED))
    }
}

/// What a field of a request can hold.
pub(crate) trait Given: Serialize + for<'de> Deserialize<'de> {
    /// Before it is read.
    fn blank() -> Self;

    /// Whether it is left out.
    fn is_absent(&self) -> bool {
        false
    }
}

impl<T: Serialize + for<'de> Deserialize<'de>> Given for Option<T> {
    fn blank() -> Self {
        None
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Serialize + for<'de> Deserialize<'de>> Given for Vec<T> {
    fn blank() -> Self {
        Self::new()
    }
}

impl<T: Serialize + for<'de> Deserialize<'de>> Given for BTreeMap<String, T> {
    fn blank() -> Self {
        Self::new()
    }
}

macro_rules! given {
    ($($type:ty = $blank:expr;)*) => {
        $(
            impl Given for $type {
                fn blank() -> Self {
                    $blank
                }
            }
        )*
    };
}
given! {
    String = Self::new();
    i64 = 0;
    f64 = 0.0;
    bool = false;
    Value = Self::Null;
    Date = Self::from("");
    Timestamp = Self::from("");
    Secret = Self::from("");
    SecretUrl = Self::from("");
    TextOrObject = Self::default();
}

/// Reads a field of a request.
pub(crate) fn fill_given<'de, T: Given, A: MapAccess<'de>>(
    field: &mut T,
    object: &mut A,
) -> Result<(), A::Error> {
    *field = object.next_value()?;
    Ok(())
}

/// Where the members of an object are written to.
pub(crate) trait Sink {
    type Error;

    fn member<T: Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), Self::Error>;
}

/// Takes the members of an object that is written. After an error it takes no more.
pub(crate) struct Writer<S: Sink> {
    sink: S,
    done: Result<(), S::Error>,
}

impl<S: Sink> Writer<S> {
    fn member<T: Serialize>(&mut self, name: &'static str, value: &T) {
        if self.done.is_ok() {
            self.done = self.sink.member(name, value);
        }
    }

    /// A field of a request.
    pub(crate) fn given<T: Given>(&mut self, name: &'static str, value: &T) {
        if !value.is_absent() {
            self.member(name, value);
        }
    }

    /// A field of a reply.
    pub(crate) fn field<T: lenient::Field + Serialize>(&mut self, name: &'static str, value: &T) {
        if !value.is_absent() {
            self.member(name, value);
        }
    }
}

fn write<T: Object, S: Sink>(value: &T, sink: S) -> Result<S, S::Error> {
    let mut out = Writer { sink, done: Ok(()) };
    value.write(&mut out);
    out.done.map(|()| out.sink)
}

/// Counts the members: some formats write that first.
struct Count(usize);

impl Sink for Count {
    type Error = Infallible;

    fn member<T: Serialize>(&mut self, _: &'static str, _: &T) -> Result<(), Infallible> {
        self.0 += 1;
        Ok(())
    }
}

/// Writes them.
struct Map<M>(M);

impl<M: SerializeMap> Sink for Map<M> {
    type Error = M::Error;

    fn member<T: Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), M::Error> {
        self.0.serialize_entry(name, value)
    }
}

/// A map to every format, since `extra` has names of its own, which no struct has.
pub(crate) fn serialize<T: Object, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let Ok(Count(count)) = write(value, Count(0));
    let extra = value.extra();
    let out = Map(serializer.serialize_map(Some(count + extra.len()))?);
    let mut map = write(value, out)?.0;
    for (name, value) in extra {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

pub(crate) fn deserialize<'de, T: Object, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(ObjectVisitor(PhantomData))
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Object> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
        let number = Unexpected::Other("number");
        read(object)?.ok_or_else(|| A::Error::invalid_type(number, &EXPECTED))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::from_list(list)
    }
}

/// Reads an object; `None` if it is a number in disguise.
pub(crate) fn read<'de, T: Object, A: MapAccess<'de>>(
    mut object: A,
) -> Result<Option<T>, A::Error> {
    let mut value = T::blank();
    let mut found = 0_u64;
    let mut first = true;
    while let Some(key) = object.next_key_seed(KeySeed::<T>(PhantomData))? {
        match key {
            Key::Member(index, member) => {
                let bit = 1_u64.checked_shl(index).unwrap_or(0);
                if T::REQUEST && found & bit != 0 {
                    let name = T::MEMBERS.get(index as usize).map_or("", |(name, _)| name);
                    return Err(A::Error::duplicate_field(name));
                }
                found |= bit;
                value.read(member, &mut object)?;
            }
            Key::Number if first => {
                object.next_value::<IgnoredAny>()?;
                lenient::drain_object(object)?;
                return Ok(None);
            }
            Key::Number => {
                object.next_value::<IgnoredAny>()?;
            }
            Key::Unknown(_) if T::REQUEST => {
                object.next_value::<IgnoredAny>()?;
            }
            Key::Unknown(name) => {
                value.extra_mut().insert(name, object.next_value()?);
            }
        }
        first = false;
    }
    let is_found = |(index, _)| found.checked_shr(index).unwrap_or(0) & 1 == 1;
    match T::REQUIRED
        .iter()
        .find(|name| !member::<T>(name).is_some_and(is_found))
    {
        Some(missing) => Err(A::Error::missing_field(missing)),
        None => Ok(Some(value)),
    }
}

/// The member of a name, and its index.
fn member<T: Object>(name: &str) -> Option<(u32, &'static T::Member)> {
    let mut members = (0..).zip(T::MEMBERS);
    members.find_map(|(index, (other, member))| (*other == name).then_some((index, member)))
}

enum Key<T: Object> {
    Member(u32, &'static T::Member),
    Number,
    /// The name.
    Unknown(String),
}

struct KeySeed<T>(PhantomData<T>);

impl<'de, T: Object> DeserializeSeed<'de> for KeySeed<T> {
    type Value = Key<T>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Key<T>, D::Error> {
        key.deserialize_identifier(self)
    }
}

impl<T: Object> Visitor<'_> for KeySeed<T> {
    type Value = Key<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Key<T>, E> {
        Ok(match member::<T>(name) {
            Some((index, member)) => Key::Member(index, member),
            None if name == lenient::NUMBER => Key::Number,
            None => Key::Unknown(name.to_owned()),
        })
    }
}

/// Makes a struct of a reply what it is on the wire: an object of these members, each with its name,
/// if that is not the field's own, and, after `|`, others that it may come with. Empty fields are left
/// out. All other members go into `extra`, under their own names.
///
/// With `list = field`, a list in place of the object is that field.
macro_rules! reply {
    (
        $name:ident {
            $($member:ident $(= $wire:literal)? $(| $alias:literal)*),* $(,)?
        }
        $(, list = $list:ident)?
    ) => {
        const _: () = {
            #[allow(non_camel_case_types)]
            pub(crate) enum Member {
                $($member),*
            }

            #[allow(unused_variables, reason = "there may be no members")]
            impl $crate::object::Object for $name {
                type Member = Member;

                const MEMBERS: &'static [(&'static str, Member)] = &[
                    $(
                        ($crate::object::name!($member $($wire)?), Member::$member),
                        $(($alias, Member::$member),)*
                    )*
                ];

                fn blank() -> Self {
                    Self::default()
                }

                fn read<'de, A: ::serde_core::de::MapAccess<'de>>(
                    &mut self,
                    member: &Member,
                    object: &mut A,
                ) -> ::std::result::Result<(), A::Error> {
                    match *member {
                        $(
                            Member::$member => {
                                $crate::object::fill!(&mut self.$member, object $(, $alias)*)
                            }
                        )*
                    }
                }

                fn write<S: $crate::object::Sink>(&self, out: &mut $crate::object::Writer<S>) {
                    $(out.field($crate::object::name!($member $($wire)?), &self.$member);)*
                }

                $(
                    fn from_list<'de, A: ::serde_core::de::SeqAccess<'de>>(
                        list: A,
                    ) -> ::std::result::Result<Self, A::Error> {
                        Ok(Self {
                            $list: $crate::lenient::Field::list(list)?,
                            ..Self::default()
                        })
                    }
                )?

                $crate::object::extra!();
            }

            $crate::object::unknown!($name { $($member $($wire)?),* });

            impl $crate::lenient::Lenient for $name {
                fn from_scalar(_: $crate::lenient::Scalar<'_>) -> ::std::option::Option<Self> {
                    None
                }

                fn from_object<'de, A: ::serde_core::de::MapAccess<'de>>(
                    object: A,
                ) -> ::std::result::Result<::std::option::Option<Self>, A::Error> {
                    $crate::object::read(object)
                }
            }

            $crate::object::serde!($name);
        };
    };
}
pub(crate) use reply;

/// Makes a struct of a request what it is on the wire: an object of these members, of which some are
/// required. What is not set is left out, and what it holds is read as it should be or not at all.
/// What is in `extra` is written after them.
/// It gets a `validate` that does not need the trait.
macro_rules! request {
    (
        $name:ident { $($member:ident $(= $wire:literal)?),* $(,)? }
        $(, required = [$($required:literal),* $(,)?])?
    ) => {
        const _: () = {
            #[allow(non_camel_case_types)]
            pub(crate) enum Member {
                $($member),*
            }

            #[allow(unused_variables, reason = "there may be no members")]
            impl $crate::object::Object for $name {
                type Member = Member;

                const MEMBERS: &'static [(&'static str, Member)] =
                    &[$(($crate::object::name!($member $($wire)?), Member::$member)),*];

                const REQUEST: bool = true;

                $(const REQUIRED: &'static [&'static str] = &[$($required),*];)?

                fn blank() -> Self {
                    Self {
                        $($member: $crate::object::Given::blank(),)*
                        extra: ::std::collections::BTreeMap::new(),
                    }
                }

                fn read<'de, A: ::serde_core::de::MapAccess<'de>>(
                    &mut self,
                    member: &Member,
                    object: &mut A,
                ) -> ::std::result::Result<(), A::Error> {
                    match *member {
                        $(Member::$member => $crate::object::fill_given(&mut self.$member, object),)*
                    }
                }

                fn write<S: $crate::object::Sink>(&self, out: &mut $crate::object::Writer<S>) {
                    $(out.given($crate::object::name!($member $($wire)?), &self.$member);)*
                }

                $crate::object::extra!();
            }

            $crate::object::unknown!($name { $($member $($wire)?),* });

            impl $name {
                /// Checks the limits that the API documents, all of them at once. Nothing is sent.
                ///
                /// # Errors
                ///
                /// Every field that breaks a limit, by its path.
                #[inline]
                pub fn validate(
                    &self,
                ) -> ::std::result::Result<(), $crate::validation::ValidationError> {
                    $crate::validation::Validate::validate(self)
                }
            }

            impl $crate::object::Given for $name {
                fn blank() -> Self {
                    $crate::object::Object::blank()
                }
            }

            const _: () = assert!(
                <$name as $crate::object::Object>::MEMBERS.len() <= 64,
                "which members of a request have come is kept in 64 bits"
            );

            $crate::object::serde!($name);
        };
    };
}
pub(crate) use request;

/// The two methods of [`Object`] for the field `extra`.
macro_rules! extra {
    () => {
        fn extra(
            &self,
        ) -> &::std::collections::BTreeMap<::std::string::String, ::serde_json::Value> {
            &self.extra
        }

        fn extra_mut(
            &mut self,
        ) -> &mut ::std::collections::BTreeMap<::std::string::String, ::serde_json::Value> {
            &mut self.extra
        }
    };
}
pub(crate) use extra;

/// Implements [`UnknownMembers`](crate::UnknownMembers) for a struct with these fields and `extra`.
macro_rules! unknown {
    ($name:ident { $($member:ident $($wire:literal)?),* }) => {
        impl $crate::UnknownMembers for $name {
            fn find(
                &self,
                place: $crate::unknown::Place<'_>,
                found: &mut ::std::collections::BTreeSet<::std::string::String>,
            ) {
                $(
                    let name = $crate::object::name!($member $($wire)?);
                    $crate::UnknownMembers::find(&self.$member, place.member(name), found);
                )*
                place.extra(&self.extra, found);
            }
        }
    };
}
pub(crate) use unknown;

/// Reads a field of a reply.
macro_rules! fill {
    ($field:expr, $object:ident) => {
        $crate::lenient::fill($field, $object)
    };
    ($field:expr, $object:ident, $($alias:literal),+) => {
        $crate::lenient::fill_unless_null($field, $object)
    };
}
pub(crate) use fill;

/// The name of a member: its field's, or another.
macro_rules! name {
    ($member:ident) => {
        stringify!($member)
    };
    ($member:ident $wire:literal) => {
        $wire
    };
}
pub(crate) use name;

/// serde's traits, for a struct that is an [`Object`].
macro_rules! serde {
    ($name:ident) => {
        impl ::serde_core::Serialize for $name {
            fn serialize<S: ::serde_core::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                $crate::object::serialize(self, serializer)
            }
        }

        impl<'de> ::serde_core::Deserialize<'de> for $name {
            fn deserialize<D: ::serde_core::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                $crate::object::deserialize(deserializer)
            }
        }
    };
}
pub(crate) use serde;

#[cfg(test)]
#[allow(unreachable_pub, reason = "the macros are for public structs")]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};
    use serde_test::{Token, assert_ser_tokens};

    use crate::validation::{Check, Validate};
    use crate::{Secret, Timestamp};

    #[derive(Clone, Debug, PartialEq)]
    pub struct Order {
        pub to: Vec<String>,
        pub kind: Option<String>,
        pub password: Secret,
        pub fast: bool,
        pub parts: Option<Vec<Part>>,
        pub extra: BTreeMap<String, Value>,
    }
    crate::object::request!(
        Order { to, kind = "type", password, fast, parts }, required = ["to", "password"]
    );

    #[derive(Clone, Debug, PartialEq)]
    pub struct Part {
        pub size: i64,
        pub extra: BTreeMap<String, Value>,
    }
    crate::object::request!(Part { size }, required = ["size"]);

    impl Validate for Order {
        fn check(&self, _: &mut Check) {}
    }

    impl Validate for Part {
        fn check(&self, check: &mut Check) {
            check.range(self.size, Some(1), None);
        }
    }

    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Event {
        pub kind: Option<String>,
        pub times: Vec<Timestamp>,
        pub extra: BTreeMap<String, Value>,
    }
    crate::object::reply!(
        Event { kind = "event" | "Event" | "type", times }, list = times
    );

    #[test]
    fn requests() {
        for (json, written) in [
            (
                r#"{"password":"b","to":["a"]}"#,
                r#"{"to":["a"],"password":"b","fast":false}"#,
            ),
            (
                r#"{"parts":[{"size":1}],"fast":true,"password":"","to":[],"type":"c"}"#,
                r#"{"to":[],"type":"c","password":"","fast":true,"parts":[{"size":1}]}"#,
            ),
            (
                r#"{"to":[],"password":"b","type":null,"kind":1,"more":{"a":[2]}}"#,
                r#"{"to":[],"password":"b","fast":false}"#,
            ),
        ] {
            let order: Order = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&order).unwrap(), written, "{json}");
            assert_eq!(serde_json::from_str::<Order>(written).unwrap(), order);
            assert_eq!(order.validate(), Ok(()));
        }
        let part = Part {
            size: 0,
            extra: BTreeMap::new(),
        };
        assert!(part.validate().is_err());
    }

    #[test]
    fn extra_members_of_a_request_are_written_last() {
        let mut order: Order =
            serde_json::from_str(r#"{"to":[],"password":"b","parts":[{"size":1}]}"#).unwrap();
        order.extra.insert("new".to_owned(), json!({"a": [2]}));
        if let Some(parts) = &mut order.parts {
            parts[0].extra.insert("colour".to_owned(), json!("red"));
        }
        assert_eq!(
            serde_json::to_string(&order).unwrap(),
            concat!(
                r#"{"to":[],"password":"b","fast":false,"parts":[{"size":1,"colour":"red"}],"#,
                r#""new":{"a":[2]}}"#
            )
        );
    }

    /// To formats that tell a struct from a map, it is a map.
    #[test]
    fn objects_are_maps_of_known_length() {
        let event: Event = serde_json::from_str(r#"{"event":"a","x":"b"}"#).unwrap();
        assert_ser_tokens(
            &event,
            &[
                Token::Map { len: Some(2) },
                Token::Str("event"),
                Token::Some,
                Token::Str("a"),
                Token::Str("x"),
                Token::Str("b"),
                Token::MapEnd,
            ],
        );
    }

    #[test]
    fn what_is_no_request() {
        for (json, expected) in [
            (
                r#"{"to":["a"],"password":"b","to":["a"]}"#,
                "duplicate field `to`",
            ),
            (r#"{"to":["a"]}"#, "missing field `password`"),
            (r#"{"password":"b","fast":true}"#, "missing field `to`"),
            (r#"{"to":"a","password":"b"}"#, "expected a sequence"),
            (
                r#"{"to":[],"password":"b","fast":null}"#,
                "expected a boolean",
            ),
            (
                r#"{"to":[],"password":"b","parts":[{}]}"#,
                "missing field `size`",
            ),
            (r#"[["a"],null,"b",true,null]"#, "expected an object"),
            (r#""a""#, "expected an object"),
            (
                r#"{"$serde_json::private::Number":"1"}"#,
                "expected an object",
            ),
            (r#"{"to":[],"password":"b""#, "EOF"),
        ] {
            let error = serde_json::from_str::<Order>(json).unwrap_err().to_string();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }

    #[test]
    fn replies() {
        for (json, expected) in [
            (
                r#"{"event":"a","times":["b"]}"#,
                json!({"event": "a", "times": ["b"]}),
            ),
            // Of two the last.
            (r#"{"times":["a"],"times":["b"]}"#, json!({"times": ["b"]})),
            (r#"{"times":["a"],"times":null}"#, json!({})),
            // Other names, and of two the last that has something.
            (r#"{"Event":"a"}"#, json!({"event": "a"})),
            (r#"{"type":"a","event":"b"}"#, json!({"event": "b"})),
            (r#"{"type":"a","event":null}"#, json!({"event": "a"})),
            (r#"{"event":"a","type":null}"#, json!({"event": "a"})),
            // The rest, of which two of a name as well.
            (
                r#"{"kind":1,"x":[null],"x":{"y":2}}"#,
                json!({"kind": 1, "x": {"y": 2}}),
            ),
            (
                r#"{"x":1,"$serde_json::private::Number":2}"#,
                json!({"x": 1}),
            ),
            (r#"["a","b"]"#, json!({"times": ["a", "b"]})),
        ] {
            let event: Event = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_value(&event).unwrap(), expected, "{json}");
        }
    }
}
