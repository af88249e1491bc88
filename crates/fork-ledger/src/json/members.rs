//! How single members of account JSON are read.
//!
//! Each seed knows the member it reads, so that a type error says `` expected `balance` to be a
//! string `` and not just which line it is on. The seeds insist on JSON objects where serde's
//! derived code would take an array as well, and they take string members that are bytes rather
//! than text.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{self, Deserialize, DeserializeSeed, IgnoredAny, SeqAccess, Visitor};

use super::text::Text;

/// Most elements of a list inside an account. The longest that means anything has 32.
const LIST_LEN_MAX: usize = 1024;

/// Declares a JSON object whose members are all optional here (the conversions decide what may be
/// missing), with `Deserialize` that takes JSON objects only and refuses a repeated member.
macro_rules! json_object {
    (
        $(#[$meta:meta])*
        pub struct $name:ident<$life:lifetime> as $what:literal, other members are $unknown:ident {
            $(
                $(#[$field_meta:meta])*
                $field:ident: $kind:ty = $seed:expr,
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name<$life> {
            $( $(#[$field_meta])* pub $field: Option<$kind>, )*
        }

        const _: () = {
            #[allow(non_camel_case_types)]
            enum Key { $($field,)* Unknown }

            struct KeyVisitor;

            impl serde::de::Visitor<'_> for KeyVisitor {
                type Value = Key;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(concat!("a member name of ", $what))
                }

                fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Key, E> {
                    Ok(match name {
                        $(_ if name == stringify!($field) => Key::$field,)*
                        _ => {
                            $crate::json::members::unknown_member::$unknown::<E>($what, name)?;
                            Key::Unknown
                        }
                    })
                }
            }

            impl<'de> serde::de::DeserializeSeed<'de> for KeyVisitor {
                type Value = Key;

                fn deserialize<D: serde::Deserializer<'de>>(self, key: D) -> Result<Key, D::Error> {
                    key.deserialize_identifier(self)
                }
            }

            struct ObjectVisitor;

            impl<'de> serde::de::Visitor<'de> for ObjectVisitor {
                type Value = $name<'de>;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(concat!($what, " to be an object"))
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut members: A,
                ) -> Result<$name<'de>, A::Error> {
                    let mut object = $name::default();
                    while let Some(key) = members.next_key_seed(KeyVisitor)? {
                        match key {
                            $(Key::$field => {
                                if object.$field.is_some() {
                                    return Err(serde::de::Error::duplicate_field(
                                        stringify!($field),
                                    ));
                                }
                                object.$field = members.next_value_seed($seed)?;
                            })*
                            Key::Unknown => {
                                members.next_value::<serde::de::IgnoredAny>()?;
                            }
                        }
                    }
                    Ok(object)
                }
            }

            impl<'de: $life, $life> serde::Deserialize<'de> for $name<$life> {
                fn deserialize<D: serde::Deserializer<'de>>(
                    deserializer: D,
                ) -> Result<Self, D::Error> {
                    deserializer.deserialize_map(ObjectVisitor)
                }
            }
        };
    };
}
pub(super) use json_object;

/// What to do with a member nobody knows.
pub(super) mod unknown_member {
    use serde::de::Error;

    /// Upstream reduces almost every object to the names it knows before reading it.
    pub fn ignored<E: Error>(_what: &str, _name: &str) -> Result<(), E> {
        Ok(())
    }

    /// The few objects upstream reads as they are.
    pub fn refused<E: Error>(what: &str, name: &str) -> Result<(), E> {
        let name = super::super::text::shown(name);
        Err(E::custom(format_args!(
            "{what} has an unknown member `{name}`"
        )))
    }
}

/// Whether `null` stands for an absent member. Upstream's parser takes it for option types only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Null {
    Absent,
    Refused,
}

/// Wraps the visitor of a member so that `null` gives `None` where it may.
struct OrNull<V> {
    inner: V,
    null: Null,
}

/// Reads one member's value once it is known not to be null.
trait Member<'de>: fmt::Display + Sized {
    type Value;

    fn read<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error>;
}

impl<'de, V: Member<'de>> DeserializeSeed<'de> for OrNull<V> {
    type Value = Option<V::Value>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_option(self)
    }
}

impl<'de, V: Member<'de>> Visitor<'de> for OrNull<V> {
    type Value = Option<V::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        match self.null {
            Null::Absent => Ok(None),
            Null::Refused => Err(E::invalid_type(de::Unexpected::Other("null"), &self)),
        }
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        self.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        self.inner.read(value).map(Some)
    }
}

/// A string member; `null` is the same as absent.
pub(super) fn text<'de>(
    path: &'static str,
) -> impl DeserializeSeed<'de, Value = Option<Text<'de>>> {
    OrNull {
        inner: TextMember(path),
        null: Null::Absent,
    }
}

/// A string member that has a default and is therefore no option upstream: `null` is refused.
pub(super) fn text_not_null<'de>(
    path: &'static str,
) -> impl DeserializeSeed<'de, Value = Option<Text<'de>>> {
    OrNull {
        inner: TextMember(path),
        null: Null::Refused,
    }
}

/// A string member that need not be UTF-8: daemons write raw bytes.
pub(super) fn bytes<'de>(
    path: &'static str,
) -> impl DeserializeSeed<'de, Value = Option<Cow<'de, [u8]>>> {
    OrNull {
        inner: BytesMember(path),
        null: Null::Absent,
    }
}

/// A list of strings.
pub(super) fn texts<'de>(
    path: &'static str,
) -> impl DeserializeSeed<'de, Value = Option<Vec<Text<'de>>>> {
    OrNull {
        inner: TextsMember(path),
        null: Null::Absent,
    }
}

/// A boolean.
pub(super) fn flag<'de>(path: &'static str) -> impl DeserializeSeed<'de, Value = Option<bool>> {
    OrNull {
        inner: FlagMember(path),
        null: Null::Absent,
    }
}

/// A JSON integer of 32 bits.
pub(super) fn integer<'de>(path: &'static str) -> impl DeserializeSeed<'de, Value = Option<u32>> {
    OrNull {
        inner: IntegerMember(path),
        null: Null::Absent,
    }
}

/// A nested value that knows how to read itself.
pub(super) fn nested<'de, T: Deserialize<'de>>(
    path: &'static str,
) -> impl DeserializeSeed<'de, Value = Option<T>> {
    OrNull {
        inner: NestedMember(path, PhantomData),
        null: Null::Absent,
    }
}

/// A nested value that is no option upstream.
pub(super) fn nested_not_null<'de, T: Deserialize<'de>>(
    path: &'static str,
) -> impl DeserializeSeed<'de, Value = Option<T>> {
    OrNull {
        inner: NestedMember(path, PhantomData),
        null: Null::Refused,
    }
}

macro_rules! member_display {
    ($name:ident$(<$generic:ident>)?, $format:literal) => {
        impl$(<$generic>)? fmt::Display for $name$(<$generic>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }
    };
}

struct TextMember(&'static str);
struct BytesMember(&'static str);
struct TextsMember(&'static str);
struct FlagMember(&'static str);
struct IntegerMember(&'static str);
struct NestedMember<T>(&'static str, PhantomData<T>);

member_display!(TextMember, "`{}` to be a string");
member_display!(BytesMember, "`{}` to be a string");
member_display!(TextsMember, "`{}` to be a list of strings");
member_display!(FlagMember, "`{}` to be true or false");
member_display!(IntegerMember, "`{}` to be an integer below 2^32");
member_display!(NestedMember<T>, "`{}` to be an object");

impl<'de> Member<'de> for TextMember {
    type Value = Text<'de>;

    fn read<D: Deserializer<'de>>(self, value: D) -> Result<Text<'de>, D::Error> {
        value.deserialize_str(TextVisitor(self))
    }
}

/// Visitor of a string that is text; `W` says what was expected.
pub(super) struct TextVisitor<W>(pub(super) W);

impl<'de, W: fmt::Display> Visitor<'de> for TextVisitor<W> {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text::borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text::copied(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Text<'de>, E> {
        Ok(Text::from(text))
    }
}

impl<'de> Member<'de> for BytesMember {
    type Value = Cow<'de, [u8]>;

    fn read<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_bytes(BytesVisitor(self))
    }
}

struct BytesVisitor(BytesMember);

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }

    fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(bytes))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(bytes.to_vec()))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        self.visit_borrowed_bytes(text.as_bytes())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        self.visit_bytes(text.as_bytes())
    }
}

impl<'de> Member<'de> for TextsMember {
    type Value = Vec<Text<'de>>;

    fn read<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for TextsMember {
    type Value = Vec<Text<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element_seed(ElementSeed(&self))? {
            if texts.len() == LIST_LEN_MAX {
                return Err(de::Error::custom(format_args!(
                    "`{}` has more than {LIST_LEN_MAX} elements",
                    self.0
                )));
            }
            texts.push(text);
        }
        Ok(texts)
    }
}

struct ElementSeed<'s>(&'s TextsMember);

impl<'de> DeserializeSeed<'de> for ElementSeed<'_> {
    type Value = Text<'de>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Text<'de>, D::Error> {
        value.deserialize_str(TextVisitor(self.0))
    }
}

impl<'de> Member<'de> for FlagMember {
    type Value = bool;

    fn read<D: Deserializer<'de>>(self, value: D) -> Result<bool, D::Error> {
        value.deserialize_bool(self)
    }
}

impl Visitor<'_> for FlagMember {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }
}

impl<'de> Member<'de> for IntegerMember {
    type Value = u32;

    fn read<D: Deserializer<'de>>(self, value: D) -> Result<u32, D::Error> {
        value.deserialize_u32(self)
    }
}

impl Visitor<'_> for IntegerMember {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<u32, E> {
        u32::try_from(value).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
    }
}

impl<'de, T: Deserialize<'de>> Member<'de> for NestedMember<T> {
    type Value = T;

    fn read<D: Deserializer<'de>>(self, value: D) -> Result<T, D::Error> {
        T::deserialize(value)
    }
}

/// A slot: `"12000"` or `["Since_genesis", "12000"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotJson<'a> {
    /// The number.
    pub number: Text<'a>,
    /// Whether it came in the list form, with the constructor's name in front.
    pub with_constructor: bool,
}

/// A slot member; `constructor` is the name the list form carries.
pub(super) fn slot<'de>(
    path: &'static str,
    constructor: &'static str,
) -> impl DeserializeSeed<'de, Value = Option<SlotJson<'de>>> {
    OrNull {
        inner: SlotMember(path, constructor),
        null: Null::Absent,
    }
}

#[derive(Clone, Copy)]
struct SlotMember(&'static str, &'static str);

impl fmt::Display for SlotMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` to be a string or [\"{}\", string]", self.0, self.1)
    }
}

impl<'de> Member<'de> for SlotMember {
    type Value = SlotJson<'de>;

    fn read<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for SlotMember {
    type Value = SlotJson<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(SlotJson {
            number: Text::borrowed(text),
            with_constructor: false,
        })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(SlotJson {
            number: Text::copied(text),
            with_constructor: false,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let path = TextsMember(self.0);
        let constructor = list.next_element_seed(ElementSeed(&path))?;
        let number = list.next_element_seed(ElementSeed(&path))?;
        let end = list.next_element::<IgnoredAny>()?;
        match (constructor, number, end) {
            (Some(name), Some(number), None) if name.as_str() == self.1 => Ok(SlotJson {
                number,
                with_constructor: true,
            }),
            _ => Err(de::Error::invalid_value(de::Unexpected::Seq, &self)),
        }
    }
}
