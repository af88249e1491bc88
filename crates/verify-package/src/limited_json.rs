//! JSON as a value, in bounded memory.
//!
//! `[0,0,0,…` as values takes sixteen times its size in memory, `[{"":0},…` eighty times. So values
//! are counted while they are read. Nesting is bounded by serde_json itself.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads a document of at most `values_max` values, texts as members' names included.
///
/// # Errors
///
/// Fails on what is not JSON and on more values.
pub(crate) fn limited_value(bytes: &[u8], values_max: usize) -> Result<Value, serde_json::Error> {
    let left = Cell::new(values_max);
    let seed = Seed {
        left: &left,
        values_max,
    };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = seed.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Seed<'c> {
    left: &'c Cell<usize>,
    values_max: usize,
}

impl Seed<'_> {
    fn count<E: de::Error>(self) -> Result<(), E> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| {
            E::custom(format_args!(
                "it has more than {} values, the limit",
                self.values_max
            ))
        })?;
        self.left.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Value, D::Error> {
        self.count()?;
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            self.count()?;
            let value = object.next_value_seed(self)?;
            values.insert(name, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_serde_json() {
        let text = r#"{"a": [1, -2, 3.5, 1e3, true, null, "x\n"], "b": {"a": {}}, "a": []}"#;
        let limited = limited_value(text.as_bytes(), 100).unwrap();
        assert_eq!(limited, serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        for (text, values) in [("0", 1), ("[0,0]", 3), (r#"{"a":0}"#, 3)] {
            limited_value(text.as_bytes(), values).unwrap();
            let error = limited_value(text.as_bytes(), values - 1).unwrap_err();
            assert!(error.to_string().contains("more than"), "{error}");
        }
        assert!(limited_value(b"1 2", 9).is_err());
        assert!(limited_value(b"1e999", 9).is_err());
        assert!(limited_value("[".repeat(1000).as_bytes(), 9999).is_err());
    }
}
