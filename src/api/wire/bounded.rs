//! Parses JSON with a maximum number of values. A value takes many times the memory of its text,
//! `0,` 16 times as much.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Parses a document of at most `max_values` values, nested ones included.
///
/// # Errors
/// The text is not JSON, is nested too deep, or holds more values.
pub(super) fn parse(text: &[u8], max_values: usize) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let mut left = max_values;
    let value = Bounded {
        left: &mut left,
        max: max_values,
    }
    .deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Parses one value and counts it.
struct Bounded<'a> {
    left: &'a mut usize,
    max: usize,
}

impl Bounded<'_> {
    fn inner(&mut self) -> Bounded<'_> {
        Bounded {
            left: self.left,
            max: self.max,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| {
            let max = self.max;
            D::Error::custom(format_args!("it holds more than {max} values"))
        })?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self.inner())? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let value = object.next_value_seed(self.inner())?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_value_counts_and_one_too_many_is_an_error() {
        for (text, values) in [
            ("7", 1),
            ("\"text\"", 1),
            ("[]", 1),
            ("[0,0,0]", 4),
            (r#"{"a": [null, {"b": true}], "a": -1.5}"#, 6),
        ] {
            let whole = parse(text.as_bytes(), values).unwrap();
            assert_eq!(
                whole,
                serde_json::from_str::<Value>(text).unwrap(),
                "{text}"
            );
            let error = parse(text.as_bytes(), values - 1).unwrap_err().to_string();
            let told = format!("it holds more than {} values", values - 1);
            assert!(error.starts_with(&told), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_fits_is_read_as_without_a_bound(text in "[\\[\\]{}:,\" a0-9.eE+\\-\\\\u]{0,40}|[ -~]{0,20}") {
            let bounded = parse(text.as_bytes(), 100).map_err(|error| error.to_string());
            let plain = serde_json::from_str::<Value>(&text).map_err(|error| error.to_string());
            prop_assert_eq!(bounded, plain);
        }
    }
}
