//! JSON that is only passed through: a command's result, the node and its ports as Ironic sent them, arguments before they are read.
//!
//! Rooms below `extensions` know no JSON but this (`tests/architecture.rs`). They do not take such a value apart: they ask a [`Field`]
//! for what they need, by name and kind, once, and go on with values of their own.

use crate::redact::mask_json;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;

/// A value as it came, or as it is to go out.
#[derive(Clone, Default, PartialEq)]
pub struct Json(Value);

/// An object as it came: parameters of a command, arguments of a step.
#[derive(Clone, Default, PartialEq)]
pub struct Object(Map<String, Value>);

/// A look at a value, or at a part of one.
#[derive(Clone, Copy)]
pub struct Field<'a>(&'a Value);

impl Json {
    /// The result of what has none.
    pub const NULL: Self = Self(Value::Null);

    /// Returns what a type is written as.
    pub fn of(value: &impl Serialize) -> Self {
        // Only maps by other keys than texts cannot be written, and nothing here has such.
        Self(serde_json::to_value(value).unwrap_or_default())
    }

    /// Parses a text.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().map(Self)
    }

    /// Looks at it.
    #[must_use]
    pub const fn field(&self) -> Field<'_> {
        Field(&self.0)
    }

    /// Masks its secrets. Tells whether there were some.
    pub fn mask_secrets(&mut self) -> bool {
        mask_json(&mut self.0)
    }

    /// Masks the secrets of one member, if it is there.
    pub fn mask_secrets_in(&mut self, member: &str) {
        if let Some(member) = self.0.get_mut(member) {
            mask_json(member);
        }
    }

    /// Lets an edge look at it.
    #[must_use]
    pub const fn as_value(&self) -> &Value {
        &self.0
    }

    /// Hands it to an edge.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.0
    }
}

impl Object {
    /// Looks at one of its members.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Field<'_>> {
        self.0.get(name).map(Field)
    }

    /// Takes the members of another one, in place of its own of the same names.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Lets an edge look at it.
    #[must_use]
    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Hands it to an edge.
    #[must_use]
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

impl<'a> Field<'a> {
    /// Returns a member of an object.
    #[must_use]
    pub fn member(self, name: &str) -> Option<Self> {
        self.0.get(name).map(Self)
    }

    /// Returns the members of an object.
    #[must_use]
    pub fn members(self) -> Option<impl Iterator<Item = (&'a str, Self)>> {
        let members = self.0.as_object()?.iter();
        Some(members.map(|(name, value)| (name.as_str(), Self(value))))
    }

    /// Returns the items of a list.
    #[must_use]
    pub fn items(self) -> Option<impl ExactSizeIterator<Item = Self>> {
        Some(self.0.as_array()?.iter().map(Self))
    }

    /// Returns a text.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        self.0.as_str()
    }

    /// Returns true or false.
    #[must_use]
    pub fn flag(self) -> Option<bool> {
        self.0.as_bool()
    }

    /// Returns a number's digits.
    #[must_use]
    pub fn number(self) -> Option<String> {
        self.0.as_number().map(ToString::to_string)
    }

    /// Returns a whole number that is not negative.
    #[must_use]
    pub fn unsigned(self) -> Option<u64> {
        self.0.as_u64()
    }

    /// Returns a whole number.
    #[must_use]
    pub fn signed(self) -> Option<i64> {
        self.0.as_i64()
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Whether Python takes it for false, numbers and truth values aside.
    #[must_use]
    pub fn is_empty(self) -> bool {
        match self.0 {
            Value::Null => true,
            Value::Object(object) => object.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// Returns a copy.
    #[must_use]
    pub fn json(self) -> Json {
        Json(self.0.clone())
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Self(Value::Object(object.0))
    }
}

impl From<Map<String, Value>> for Object {
    fn from(members: Map<String, Value>) -> Self {
        Self(members)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Map::deserialize(from).map(Self)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// As it goes over the wire.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Without its content: it may hold what no log may.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json")
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Object")
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Field")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_the_same_after_its_way_through_and_no_log_shows_it() {
        let value = json!({"a": [1, -1, 1.5, "x", null, true], "b": {"password": "hush"}});
        let json = Json::from(value.clone());
        assert_eq!(format!("{json:?} {:?}", json.field()), "Json Field");
        assert_eq!(json.to_string(), value.to_string());
        assert_eq!(
            Json::parse(value.to_string().as_bytes()),
            Some(json.clone())
        );
        assert_eq!(Json::of(&json), json);
        assert_eq!(json.into_value(), value);
    }

    #[test]
    fn secrets_are_masked_in_the_members_that_are_named() {
        let of = |first: &str| json!({"a": {"password": first}, "b": {"password": "hush"}});
        let mut json = Json::from(of("hush"));
        json.mask_secrets_in("a");
        json.mask_secrets_in("c");
        assert_eq!(json.into_value(), of("******"));
    }
}
