//! serde's traits for the generated structs, without serde's derive macros.
//!
//! Each generated struct is a JSON object on the wire. It lists its members once, in a call of
//! [`reply!`] or [`request!`], and gets `Serialize` and `Deserialize` from the generic functions below:
//!
//! ```text
//! pub struct Event {
//!     pub kind: Option<String>,
//!     pub times: Vec<Timestamp>,
//!     pub extra: BTreeMap<String, Value>,
//! }
//! object::reply!(Event { kind = "event" | "type", times }, list = times);
//!
//! {"type":"open","times":["2026-03-02"],"x":1}
//!     kind: Some("open"), times: ["2026-03-02"], extra: {"x": 1}
//! ["2026-03-02"]
//!     times: ["2026-03-02"]
//! ```
//!
//! A member is a field, with its name on the wire after `=` if that differs, and after `|` other
//! names that are also read. The two macros differ in how strict they are:
//!
//! | | [`request!`] | [`reply!`] |
//! | --- | --- | --- |
//! | unknown member | error; kept in `extra` by [`KeepUnknown`] | kept in `extra` |
//! | member that occurs twice | error | the last one counts |
//! | required member that is missing | error | nothing is required |
//! | value that the field can't hold | error | skipped, see [`lenient`] |
//! | list in place of the object | error | error, or the field named by `list =` |
//! | written | set fields, then `extra` | fields that aren't empty, then `extra` |
//!
//! Errors name the path of the member, such as `attachments[1].filename`.
//!
//! # Reading this file
//!
//! [`Object`] is what the macros implement: the table of members, and how to read and write one of
//! them. [`read`] is the loop over the members of an object and implements the rules of the table
//! above. [`Given`] is a field of a request, [`lenient::Field`] one of a reply. [`At`] is the path
//! for errors. [`serialize`] writes, through a [`Sink`].
//!
//! `docs/decisions/own-serde-objects.md` explains why serde's derive macros are not used.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;

use serde_core::de::value::MapDeserializer;
use serde_core::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde_core::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::lenient;
use crate::open_enum::letters;
use crate::validation::RESERVED;
use crate::{Date, Secret, SecretJson, SecretUrl, TextOrObject, Timestamp};

const EXPECTED: &str = "an object";

/// A struct that is a JSON object on the wire. Implemented by [`reply!`] and [`request!`].
pub(crate) trait Object: Sized {
    /// An enum with a variant for each field.
    type Member: 'static;

    /// Every name that is read, with its field.
    const MEMBERS: &'static [(&'static str, Self::Member)];

    /// Names whose absence is an error.
    const REQUIRED: &'static [&'static str] = &[];

    /// Whether the rules of [`request!`] apply; otherwise those of [`reply!`] do.
    const REQUEST: bool = false;

    /// Name of a member that the client fills in. Its value is skipped.
    const INJECTED: Option<&'static str> = None;

    /// Returns the struct with all fields empty.
    fn blank() -> Self;

    /// Reads the value of a member after its name was read. `at` is the path of the object.
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        member: &Self::Member,
        object: &mut A,
        at: At<'_>,
    ) -> Result<(), A::Error>;

    /// Writes the members in their order.
    fn write<S: Sink>(&self, out: &mut Writer<S>);

    /// Members without a field.
    fn extra(&self) -> &BTreeMap<String, Value>;

    /// Mutable access to the members without a field.
    fn extra_mut(&mut self) -> &mut BTreeMap<String, Value>;

    /// Reads a list in place of the object. Default: an error.
    fn from_list<'de, A: SeqAccess<'de>>(_: A) -> Result<Self, A::Error> {
        Err(A::Error::invalid_type(Unexpected::Seq, &EXPECTED))
    }
}

/// Path of a value in a request, such as `attachments[1].filename`, and whether members without a
/// field are kept. Lives on the stack: each level refers to the enclosing one.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    keeps_unknown: bool,
    /// The enclosing value and the step from it to this value. `None` for the whole document.
    inside: Option<(&'a At<'a>, Step)>,
}

#[derive(Clone, Copy)]
enum Step {
    Member(&'static str),
    Item(usize),
}

impl At<'static> {
    /// The whole document, in which a member without a field is an error.
    pub(crate) const STRICT: Self = Self {
        keeps_unknown: false,
        inside: None,
    };

    /// The whole document, in which a member without a field is kept in `extra`.
    pub(crate) const KEEPING: Self = Self {
        keeps_unknown: true,
        inside: None,
    };
}

impl At<'_> {
    fn step(&self, step: Step) -> At<'_> {
        At {
            keeps_unknown: self.keeps_unknown,
            inside: Some((self, step)),
        }
    }

    /// The path of a member, for errors.
    fn path(&self, member: &str) -> String {
        match self.inside {
            None => member.to_owned(),
            Some(_) => format!("{self}.{member}"),
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.inside {
            None => Ok(()),
            Some((outer, Step::Member(name))) => formatter.write_str(&outer.path(name)),
            Some((outer, Step::Item(index))) => write!(formatter, "{outer}[{index}]"),
        }
    }
}

/// Type of a field of a request.
pub(crate) trait Given: Serialize + for<'de> Deserialize<'de> {
    /// Returns the value of a field that isn't set.
    fn blank() -> Self;

    /// Whether the member is left out when the request is written.
    fn is_absent(&self) -> bool {
        false
    }

    /// Reads the value at `at`. Types that contain objects pass `at` to them.
    fn read_at<'de, D: Deserializer<'de>>(deserializer: D, _: At<'_>) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

impl<T: Given> Given for Option<T> {
    fn blank() -> Self {
        None
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn read_at<'de, D: Deserializer<'de>>(deserializer: D, at: At<'_>) -> Result<Self, D::Error> {
        deserializer.deserialize_option(GivenVisitor::<Self>(at, PhantomData))
    }
}

impl<T: Given> Given for Vec<T> {
    fn blank() -> Self {
        Self::new()
    }

    fn read_at<'de, D: Deserializer<'de>>(deserializer: D, at: At<'_>) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(GivenVisitor::<Self>(at, PhantomData))
    }
}

impl<T: Serialize + for<'de> Deserialize<'de>> Given for BTreeMap<String, T> {
    fn blank() -> Self {
        Self::new()
    }
}

/// Calls [`Given::read_at`] with the path.
struct GivenSeed<'a, T>(At<'a>, PhantomData<T>);

impl<'de, T: Given> DeserializeSeed<'de> for GivenSeed<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read_at(deserializer, self.0)
    }
}

/// Reads an optional field or a list, and passes the path to its content.
struct GivenVisitor<'a, T>(At<'a>, PhantomData<T>);

impl<'de, T: Given> Visitor<'de> for GivenVisitor<'_, Option<T>> {
    type Value = Option<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("option")
    }

    fn visit_none<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        T::read_at(deserializer, self.0).map(Some)
    }
}

impl<'de, T: Given> Visitor<'de> for GivenVisitor<'_, Vec<T>> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        loop {
            let at = self.0.step(Step::Item(items.len()));
            match list.next_element_seed(GivenSeed(at, PhantomData))? {
                Some(item) => items.push(item),
                None => return Ok(items),
            }
        }
    }
}

/// Reads a request, or a list of requests, from JSON and keeps members that this version has no
/// field for: they are stored in `extra`, at every depth, and are sent.
///
/// Without `KeepUnknown` such a member is an error, because it may be a misspelling. Enum values
/// are checked in both cases.
///
/// ```
/// use smtp2go_types::{KeepUnknown, SmsSendRequest};
///
/// let json = r#"{"destination":["+15555550100"],"content":"Hello","campaign":7}"#;
/// let error = serde_json::from_str::<SmsSendRequest>(json).unwrap_err();
/// assert!(error.to_string().starts_with("unknown field `campaign`"));
///
/// let KeepUnknown(request) = serde_json::from_str::<KeepUnknown<SmsSendRequest>>(json)?;
/// assert_eq!(request.extra["campaign"], 7);
/// assert_eq!(serde_json::to_string(&request)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KeepUnknown<T>(
    /// The request.
    pub T,
);

impl<'de, T: Given> Deserialize<'de> for KeepUnknown<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read_at(deserializer, At::KEEPING).map(Self)
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
    SecretJson = Self::default();
    TextOrObject = Self::default();
}

/// Reads the member `name` of the object at `at` into a field of a request.
pub(crate) fn fill_given<'de, T: Given, A: MapAccess<'de>>(
    field: &mut T,
    object: &mut A,
    at: At<'_>,
    name: &'static str,
) -> Result<(), A::Error> {
    let at = at.step(Step::Member(name));
    *field = object.next_value_seed(GivenSeed(at, PhantomData))?;
    Ok(())
}

/// Copies unknown members of a reply into a request, so that they can be sent back. If the request has
/// a field of the same name, ignoring case and separators, the value is stored there unless the field
/// is set. The API key is left out, and so is a subaccount that the request has no field for: the
/// client adds both.
///
/// A value that does not fit its field is stored in `extra`, and the request's check reports it. If
/// it were dropped, an edit that sets the whole state would reset the setting.
pub(crate) fn carry<T: Object>(request: &mut T, extra: BTreeMap<String, Value>) {
    let Ok(Names(mut set)) = write(request, Names(Vec::new()));
    for (name, value) in extra {
        let is = |other: &str| other == name || letters(other) == letters(&name);
        let mut members = T::MEMBERS.iter();
        let Some((field, member)) = members.find(|(other, _)| is(other)) else {
            if !RESERVED.into_iter().any(is) {
                request.extra_mut().entry(name).or_insert(value);
            }
            continue;
        };
        if set.contains(field) || value.is_null() {
            continue;
        }
        let is_read = readings(&value).into_iter().any(|value| {
            let mut object = MapDeserializer::new(std::iter::once((*field, value)));
            let read: Result<_, serde_json::Error> = object
                .next_key::<IgnoredAny>()
                .and_then(|_| request.read(member, &mut object, At::KEEPING));
            read.is_ok()
        });
        if is_read {
            set.push(field);
        } else {
            request.extra_mut().entry(name).or_insert(value);
        }
    }
}

/// Returns the value and its alternative readings, as a reply's field accepts them: text as a
/// number or boolean, a number or boolean as text, and a single value as a list of one.
fn readings(value: &Value) -> Vec<Value> {
    let mut readings = vec![value.clone()];
    match value {
        Value::String(text) => {
            let spelt = serde_json::from_str(&text.trim().to_ascii_lowercase());
            readings.extend(
                spelt
                    .ok()
                    .filter(|spelt: &Value| spelt.is_number() || spelt.is_boolean()),
            );
        }
        Value::Number(number) => {
            readings.push(number.to_string().into());
            readings.extend(
                number
                    .as_u64()
                    .filter(|number| *number < 2)
                    .map(|number| (number == 1).into()),
            );
        }
        Value::Bool(value) => readings.push(value.to_string().into()),
        _ => {}
    }
    if !value.is_array() {
        readings.push(vec![value.clone()].into());
    }
    readings
}

/// Collects the names of the members that are set.
struct Names(Vec<&'static str>);

impl Sink for Names {
    type Error = Infallible;

    fn member<T: Serialize>(&mut self, name: &'static str, _: &T) -> Result<(), Infallible> {
        self.0.push(name);
        Ok(())
    }
}

/// Returns a list or map unless it is empty.
pub(crate) fn filled<T: lenient::Field>(value: T) -> Option<T> {
    (!value.is_absent()).then_some(value)
}

/// Returns a secret unless it is empty or masked. The API masks keys in replies.
pub(crate) fn unmasked(secret: Option<Secret>) -> Option<Secret> {
    secret.filter(|secret| {
        let text = secret.expose();
        !text.is_empty() && !text.contains("***") && !text.contains('…')
    })
}

/// Receives the members of an object while it is written.
pub(crate) trait Sink {
    type Error;

    fn member<T: Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), Self::Error>;
}

/// Passes the members that aren't absent to a [`Sink`], until the sink returns an error.
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

    /// Writes a field of a request.
    pub(crate) fn given<T: Given>(&mut self, name: &'static str, value: &T) {
        if !value.is_absent() {
            self.member(name, value);
        }
    }

    /// Writes a field of a reply.
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

/// Counts the members, because some formats write the number first.
struct Count(usize);

impl Sink for Count {
    type Error = Infallible;

    fn member<T: Serialize>(&mut self, _: &'static str, _: &T) -> Result<(), Infallible> {
        self.0 += 1;
        Ok(())
    }
}

/// Writes the members to a serializer's map.
struct Map<M>(M);

impl<M: SerializeMap> Sink for Map<M> {
    type Error = M::Error;

    fn member<T: Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), M::Error> {
        self.0.serialize_entry(name, value)
    }
}

/// Writes an object as a map and not as a struct, because the names in `extra` aren't known in advance.
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
    deserialize_at(deserializer, At::STRICT)
}

pub(crate) fn deserialize_at<'de, T: Object, D: Deserializer<'de>>(
    deserializer: D,
    at: At<'_>,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(ObjectVisitor(at, PhantomData))
}

struct ObjectVisitor<'a, T>(At<'a>, PhantomData<T>);

impl<'de, T: Object> Visitor<'de> for ObjectVisitor<'_, T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
        let number = Unexpected::Other("number");
        read(object, self.0)?.ok_or_else(|| A::Error::invalid_type(number, &EXPECTED))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::from_list(list)
    }
}

/// Reads an object, by the rules in the table at the top of this file.
///
/// Returns `None` if the value is a number: with serde_json's feature `arbitrary_precision`, which
/// any crate of a build can turn on, a number arrives as an object whose only member is
/// [`lenient::NUMBER`].
pub(crate) fn read<'de, T: Object, A: MapAccess<'de>>(
    mut object: A,
    at: At<'_>,
) -> Result<Option<T>, A::Error> {
    let mut value = T::blank();
    let mut found = 0_u64;
    let mut first = true;
    while let Some(key) = object.next_key_seed(KeySeed::<T>(PhantomData))? {
        match key {
            MemberKey::Member(index, member) => {
                let bit = 1_u64.checked_shl(index).unwrap_or(0);
                if T::REQUEST && found & bit != 0 {
                    let name = T::MEMBERS.get(index as usize).map_or("", |(name, _)| name);
                    let path = at.path(name);
                    return Err(A::Error::custom(format_args!("duplicate field `{path}`")));
                }
                found |= bit;
                value.read(member, &mut object, at)?;
            }
            MemberKey::Number if first => {
                object.next_value::<IgnoredAny>()?;
                lenient::drain_object(object)?;
                return Ok(None);
            }
            MemberKey::Number => {
                object.next_value::<IgnoredAny>()?;
            }
            MemberKey::Unknown(name) if T::INJECTED == Some(name.as_str()) => {
                object.next_value::<IgnoredAny>()?;
            }
            MemberKey::Unknown(name) if T::REQUEST && !at.keeps_unknown => {
                return Err(A::Error::custom(unknown_field::<T>(&name, at)));
            }
            MemberKey::Unknown(name) => {
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
        Some(missing) => {
            let path = at.path(missing);
            Err(A::Error::custom(format_args!("missing field `{path}`")))
        }
        None => Ok(Some(value)),
    }
}

/// Returns the error for a request's unknown member, with the known name nearest to it.
#[cold]
fn unknown_field<T: Object>(name: &str, at: At<'_>) -> String {
    let names = T::MEMBERS.iter().map(|(other, _)| *other);
    // In a short name, two changed letters are too many for a suggestion.
    let most = if name.chars().count() < 4 { 1 } else { 2 };
    let nearest = names
        .map(|other| (distance(&name.to_lowercase(), other), other))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= most);
    let advice = match nearest {
        Some((_, nearest)) => format!(", did you mean `{nearest}`?"),
        None if RESERVED.contains(&name) => {
            "; not allowed here: the client sends the key, and `for_subaccount` sets the subaccount"
                .to_owned()
        }
        None => "; `KeepUnknown` reads fields that this version does not list".to_owned(),
    };
    format!("unknown field `{}`{advice}", at.path(name))
}

/// Levenshtein distance: how many letters to change, add or remove to turn one name into the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, letter) in from.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&to) {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = *cell;
            left = changed.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Finds a member by its name. Returns its index in `MEMBERS` too.
fn member<T: Object>(name: &str) -> Option<(u32, &'static T::Member)> {
    let mut members = (0..).zip(T::MEMBERS);
    members.find_map(|(index, (other, member))| (*other == name).then_some((index, member)))
}

/// The result of looking a member's name up.
enum MemberKey<T: Object> {
    /// Index in `MEMBERS`, and the field.
    Member(u32, &'static T::Member),
    /// [`lenient::NUMBER`].
    Number,
    Unknown(String),
}

struct KeySeed<T>(PhantomData<T>);

impl<'de, T: Object> DeserializeSeed<'de> for KeySeed<T> {
    type Value = MemberKey<T>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<MemberKey<T>, D::Error> {
        key.deserialize_identifier(self)
    }
}

impl<T: Object> Visitor<'_> for KeySeed<T> {
    type Value = MemberKey<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<MemberKey<T>, E> {
        Ok(match member::<T>(name) {
            Some((index, member)) => MemberKey::Member(index, member),
            None if name == lenient::NUMBER => MemberKey::Number,
            None => MemberKey::Unknown(name.to_owned()),
        })
    }
}

/// Implements serde's traits for a struct that is received. The top of this file has an example and the
/// rules.
///
/// `field = "name"` sets a name on the wire that differs from the field's name, and `| "name"` adds
/// another name that is read. With `list = field`, a list in place of the object is stored in that
/// field.
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
                    _: $crate::object::At<'_>,
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
                    $crate::object::read(object, $crate::object::At::KEEPING)
                }
            }

            $crate::object::serde!($name);
        };
    };
}
pub(crate) use reply;

/// Implements serde's traits for a struct that is sent. The top of this file has an example and the
/// rules.
///
/// `required = ["name"]` lists members whose absence is an error. `injected = "name"` names a
/// member that the client fills in; it is skipped when read. The struct also gets the setter
/// `extra` and the method `validate`.
macro_rules! request {
    (
        $name:ident { $($member:ident $(= $wire:literal)?),* $(,)? }
        $(, required = [$($required:literal),* $(,)?])?
        $(, injected = $injected:literal)?
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

                $(
                    const INJECTED: ::std::option::Option<&'static str> = Some($injected);
                )?

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
                    at: $crate::object::At<'_>,
                ) -> ::std::result::Result<(), A::Error> {
                    match *member {
                        $(
                            Member::$member => $crate::object::fill_given(
                                &mut self.$member,
                                object,
                                at,
                                $crate::object::name!($member $($wire)?),
                            ),
                        )*
                    }
                }

                fn write<S: $crate::object::Sink>(&self, out: &mut $crate::object::Writer<S>) {
                    $(out.given($crate::object::name!($member $($wire)?), &self.$member);)*
                }

                $crate::object::extra!();
            }

            $crate::object::unknown!($name { $($member $($wire)?),* });

            impl $name {
                /// The names of the fields, as they are sent.
                pub const FIELDS: &'static [&'static str] =
                    &[$($crate::object::name!($member $($wire)?)),*];

                /// Adds a field that this version does not list, or replaces it.
                /// [`validate`](Self::validate) refuses the names of listed fields, `api_key` and
                /// `subaccount_id`, ignoring case and separators.
                #[must_use]
                pub fn extra(
                    mut self,
                    name: impl ::std::convert::Into<::std::string::String>,
                    value: impl ::std::convert::Into<::serde_json::Value>,
                ) -> Self {
                    self.extra.insert(name.into(), value.into());
                    self
                }

                /// Checks the request against the limits that the API documents. Nothing is sent.
                ///
                /// # Errors
                ///
                /// All fields that break a limit, each by its path.
                // Inline, so that it is compiled only for programs that use it.
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

                fn read_at<'de, D: ::serde_core::Deserializer<'de>>(
                    deserializer: D,
                    at: $crate::object::At<'_>,
                ) -> ::std::result::Result<Self, D::Error> {
                    $crate::object::deserialize_at(deserializer, at)
                }
            }

            const _: () = assert!(
                <$name as $crate::object::Object>::MEMBERS.len() <= 64,
                "the members that were read are recorded in 64 bits"
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

/// The name of a member: the literal if there is one, else the field's name.
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

    use super::{KeepUnknown, carry, distance, readings};
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
    crate::object::request!(Part { size }, required = ["size"], injected = "key");

    impl Validate for Order {
        fn check(&self, check: &mut Check) {
            for (index, part) in self.parts.iter().flatten().enumerate() {
                check.at_index("parts", index, |check| part.check(check));
            }
            check.extra(Self::FIELDS, self.extra.keys());
        }
    }

    impl Validate for Part {
        fn check(&self, check: &mut Check) {
            check.range(self.size, Some(1), None);
            check.extra(Self::FIELDS, self.extra.keys());
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
    fn request_is_read_and_written_in_field_order() {
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
                r#"{"to":[],"password":"b","type":null}"#,
                r#"{"to":[],"password":"b","fast":false}"#,
            ),
            (
                r#"{"to":[],"password":"b","parts":[{"key":"k","size":1}]}"#,
                r#"{"to":[],"password":"b","fast":false,"parts":[{"size":1}]}"#,
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

    #[test]
    fn unknown_members_are_kept_at_every_depth_on_request() {
        let json = concat!(
            r#"{"to":[],"password":"b","fast":false,"parts":[{"size":1,"colour":"red"}],"#,
            r#""new":{"a":[2]}}"#
        );
        let KeepUnknown(order) = serde_json::from_str::<KeepUnknown<Order>>(json).unwrap();
        assert_eq!(serde_json::to_string(&order).unwrap(), json);
        assert_eq!(order.validate(), Ok(()));
        let list = format!("[{json}]");
        let KeepUnknown(orders) = serde_json::from_str::<KeepUnknown<Vec<Order>>>(&list).unwrap();
        assert_eq!(orders, [order]);
        // The types of known members are still checked.
        let wrong = r#"{"to":1,"new":2}"#;
        assert!(serde_json::from_str::<KeepUnknown<Order>>(wrong).is_err());
    }

    #[test]
    fn extra_field_with_a_known_name_is_refused_by_path() {
        let base: Order =
            serde_json::from_str(r#"{"to":[],"password":"b","parts":[{"size":1}]}"#).unwrap();
        for (name, problem) in [
            ("campaign", None),
            ("kind", None),
            ("to", Some("not a new field: use `to`")),
            ("To", Some("not a new field: use `to`")),
            ("type", Some("not a new field: use `type`")),
            ("pass_word", Some("not a new field: use `password`")),
            (" _", Some("the field name is blank")),
            (
                "api_key",
                Some(
                    "not allowed here: the client sends the key, and `for_subaccount` sets the subaccount",
                ),
            ),
            (
                "apiKey",
                Some(
                    "not allowed here: the client sends the key, and `for_subaccount` sets the subaccount",
                ),
            ),
            (
                "subaccount_id",
                Some(
                    "not allowed here: the client sends the key, and `for_subaccount` sets the subaccount",
                ),
            ),
        ] {
            let order = base.clone().extra(name, 7);
            let found = order.validate().err().map(|error| error.to_string());
            let expected = problem.map(|problem| format!("{name}: {problem}"));
            assert_eq!(found, expected, "{name}");
        }
        let mut order = base;
        let part = Part {
            size: 1,
            extra: BTreeMap::new(),
        };
        order.parts = Some(vec![part.extra("size", 2)]);
        let error = order.validate().unwrap_err();
        let [problem] = error.problems() else {
            panic!("{error}");
        };
        assert_eq!(problem.field(), "parts[0].size");
    }

    #[test]
    fn extra_of_a_reply_is_stored_in_the_request_field_of_that_name() {
        let base = json!({"to": ["a"], "password": "b", "fast": false});
        for (extra, added, problem) in [
            (json!({"to": ["c"], "new": [1]}), json!({"new": [1]}), None),
            (json!({"type": "d"}), json!({"type": "d"}), None),
            // In another case, with other separators, and converted as in replies.
            (json!({"TYPE": 5}), json!({"type": "5"}), None),
            (json!({"pass-word": "c", "To": "d"}), json!({}), None),
            (
                json!({"parts": {"size": 1}}),
                json!({"parts": [{"size": 1}]}),
                None,
            ),
            (json!({"type": null}), json!({}), None),
            (
                json!({"api_key": "k", "apikey": "k", "SubaccountId": "s"}),
                json!({}),
                None,
            ),
            // A value that does not fit is reported, not dropped.
            (
                json!({"parts": 5}),
                json!({"parts": 5}),
                Some("parts: not a new field: use `parts`"),
            ),
        ] {
            let mut order: Order = serde_json::from_value(base.clone()).unwrap();
            carry(&mut order, serde_json::from_value(extra.clone()).unwrap());
            let mut expected = base.clone();
            for (name, value) in added.as_object().unwrap() {
                expected[name] = value.clone();
            }
            assert_eq!(serde_json::to_value(&order).unwrap(), expected, "{extra}");
            let found = order.validate().err();
            let found = found.map(|error| error.problems()[0].to_string());
            assert_eq!(found.as_deref(), problem, "{extra}");
        }
        for (value, read) in [
            (json!("true"), json!(true)),
            (json!(" True "), json!(true)),
            (json!(1), json!(true)),
            (json!("7"), json!(7)),
            (json!(7), json!("7")),
            (json!(false), json!("false")),
            (json!("a"), json!(["a"])),
        ] {
            assert!(readings(&value).contains(&read), "{value} {read}");
        }
    }

    #[test]
    fn distance_counts_changed_letters() {
        for (from, to, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("shedule", "schedule", 1),
            ("siez", "size", 2),
            ("colour", "size", 6),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    /// Formats that distinguish structs from maps get a map.
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
    fn invalid_request_is_an_error_that_names_the_member() {
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
                "missing field `parts[0].size`",
            ),
            (
                r#"{"to":[],"password":"b","parts":[{"size":1},{"size":1,"size":1}]}"#,
                "duplicate field `parts[1].size`",
            ),
            (
                r#"{"to":[],"pasword":"b"}"#,
                "unknown field `pasword`, did you mean `password`? at line 1",
            ),
            (
                r#"{"TO":[],"password":"b"}"#,
                "unknown field `TO`, did you mean `to`?",
            ),
            (
                r#"{"id":[],"password":"b"}"#,
                "unknown field `id`; `KeepUnknown`",
            ),
            (
                r#"{"parts":[{"size":1},{"siez":1}]}"#,
                "unknown field `parts[1].siez`, did you mean `size`?",
            ),
            (
                r#"{"parts":[{"colour":"red"}]}"#,
                "unknown field `parts[0].colour`; `KeepUnknown`",
            ),
            (
                r#"{"api_key":"c"}"#,
                "unknown field `api_key`; not allowed here: the client sends the key, and `for_subaccount` sets the subaccount",
            ),
            (r#"{"kind":"c"}"#, "unknown field `kind`; `KeepUnknown`"),
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
    fn reply_is_read_leniently() {
        for (json, expected) in [
            (
                r#"{"event":"a","times":["b"]}"#,
                json!({"event": "a", "times": ["b"]}),
            ),
            // The last of two wins.
            (r#"{"times":["a"],"times":["b"]}"#, json!({"times": ["b"]})),
            (r#"{"times":["a"],"times":null}"#, json!({})),
            // Other names; the last value that is not null wins.
            (r#"{"Event":"a"}"#, json!({"event": "a"})),
            (r#"{"type":"a","event":"b"}"#, json!({"event": "b"})),
            (r#"{"type":"a","event":null}"#, json!({"event": "a"})),
            (r#"{"event":"a","type":null}"#, json!({"event": "a"})),
            // Unknown members, also with a repeated name.
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
