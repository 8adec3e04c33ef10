//! Fields whose bad value is kept as a message, so that the object around them can still be decoded.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
        value::MapAccessDeserializer,
    },
    forward_to_deserialize_any,
};

/// A field that never fails the decoding of what holds it, whatever type of JSON stands there.
///
/// `T` must be a scalar, a sequence of soft items, or a struct of soft fields: then a value of the wrong type
/// is noticed before anything of it was consumed, and can be skipped as a whole. This needs no second copy of
/// the object, unlike decoding through a tree of JSON values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Soft<T> {
    /// Not there, or `null`.
    #[default]
    Absent,
    /// A value of the right type.
    Good(T),
    /// Something else, and what is wrong with it.
    Bad(Box<str>),
}

impl<T> Soft<T> {
    /// The value, or the path and what is wrong there.
    pub(super) fn take(self, path: impl fmt::Display) -> Result<Option<T>, String> {
        match self {
            Self::Absent => Ok(None),
            Self::Good(value) => Ok(Some(value)),
            Self::Bad(problem) => Err(format!("{path}: {problem}")),
        }
    }

    /// The value where it is good; for what may be read from an object that is otherwise refused.
    pub(super) fn good(&self) -> Option<&T> {
        match self {
            Self::Good(value) => Some(value),
            Self::Absent | Self::Bad(_) => None,
        }
    }

    /// The value, absent counting as its default.
    pub(super) fn or_default(self, path: impl fmt::Display) -> Result<T, String>
    where
        T: Default,
    {
        Ok(self.take(path)?.unwrap_or_default())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Soft<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SoftVisitor(PhantomData))
    }
}

struct SoftVisitor<T>(PhantomData<T>);

impl<T> SoftVisitor<T> {
    /// A scalar is consumed before it is looked at, so its error is ours to keep.
    fn scalar<'de, E: Error, V: IntoDeserializer<'de, E>>(value: V) -> Soft<T>
    where
        T: Deserialize<'de>,
    {
        match T::deserialize(value.into_deserializer()) {
            Ok(value) => Soft::Good(value),
            Err(problem) => Soft::Bad(problem.to_string().into_boxed_str()),
        }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for SoftVisitor<T> {
    type Value = Soft<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Self::scalar::<E, _>(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Self::scalar::<E, _>(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Self::scalar::<E, _>(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Self::scalar::<E, _>(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        // Not lent for 'de, so the deserializer of an owned copy is needed only by types that borrow: none here.
        match T::deserialize(value.to_owned().into_deserializer()) {
            Ok(value) => Ok(Soft::Good(value)),
            Err(problem) => Ok(bad::<T, E>(&problem)),
        }
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Self::Value, E> {
        Ok(Self::scalar::<E, _>(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Soft::Absent)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Soft::Absent)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        Soft::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        match T::deserialize(Items(&mut items)) {
            Ok(value) => Ok(Soft::Good(value)),
            Err(problem) => {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(bad::<T, A::Error>(&problem))
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        match T::deserialize(MapAccessDeserializer::new(&mut entries)) {
            Ok(value) => Ok(Soft::Good(value)),
            Err(problem) => {
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(bad::<T, A::Error>(&problem))
            }
        }
    }
}

/// A sequence that is none of a struct's forms: derived structs would take their fields from it in order.
struct Items<A>(A);

impl<'de, A: SeqAccess<'de>> Deserializer<'de> for Items<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_seq(self.0)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        Err(A::Error::invalid_type(Unexpected::Seq, &visitor))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn bad<T, E: Error>(problem: &E) -> Soft<T> {
    Soft::Bad(problem.to_string().into_boxed_str())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::Soft;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Outer {
        port: Soft<u16>,
        name: Soft<String>,
        list: Soft<Vec<Soft<bool>>>,
        inner: Soft<Inner>,
        last: Soft<u16>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        flag: Soft<bool>,
    }

    /// Every kind of JSON value at every field: the neighbours are always decoded.
    #[test]
    fn a_value_of_any_wrong_type_leaves_the_neighbours_decoded() {
        let values = [
            "null",
            "true",
            "-1",
            "1",
            "70000",
            "1.5",
            "\"NaN\"",
            "\"\\u0041\"",
            "[]",
            "[1,[2],{\"a\":{}}]",
            "{}",
            "{\"flag\":[{}],\"x\":1}",
            "{\"a\":{\"b\":[1]}}",
            "[true,null,\"x\"]",
        ];
        for field in ["port", "name", "list", "inner"] {
            for value in values {
                let text = format!("{{\"{field}\":{value},\"unknown\":[{{}}],\"last\":7}}");
                let outer: Outer =
                    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
                assert_eq!(outer.last, Soft::Good(7), "{text}");
                // The same through a buffered value, as an internally tagged enum would decode it.
                let tree: serde_json::Value = serde_json::from_str(&text).unwrap();
                let outer: Outer = serde_json::from_value(tree).unwrap();
                assert_eq!(outer.last, Soft::Good(7), "{text}");
            }
        }
    }

    #[test]
    fn a_bad_value_says_its_path_and_what_was_expected() {
        let outer: Outer = serde_json::from_str(r#"{"port":"NaN","inner":{"flag":3}}"#).unwrap();
        let problem = outer.port.take("spec.port").unwrap_err();
        assert_eq!(
            problem,
            "spec.port: invalid type: string \"NaN\", expected u16"
        );
        let flag = outer.inner.take("inner").unwrap().unwrap().flag;
        assert!(flag.take("inner.flag").is_err());
    }

    #[test]
    fn a_sequence_is_no_struct_even_an_empty_one() {
        let outer: Outer = serde_json::from_str(r#"{"inner":[],"list":[]}"#).unwrap();
        assert!(
            outer
                .inner
                .take("inner")
                .unwrap_err()
                .starts_with("inner: invalid type: sequence")
        );
        assert_eq!(outer.list.take("list").unwrap().unwrap(), []);
    }

    #[test]
    fn null_counts_as_absent() {
        let outer: Outer = serde_json::from_str(r#"{"port":null}"#).unwrap();
        assert_eq!(outer.port, Soft::Absent);
        assert_eq!(outer.port.or_default("port"), Ok(0));
    }
}
