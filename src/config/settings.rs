//! Effective settings: every option with its value and origin, without secrets.

use super::merge::{Merged, Origin};
use super::registry::by_group;
use super::spec::{Effect, Kind, Spec, full_name};
use super::values::{boolean, list};
use std::fmt;

/// Every option, grouped.
#[derive(Debug)]
pub struct Settings(Vec<Setting>);

/// Setting of one option.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The group in a file.
    pub group: &'static str,
    /// The name in a file.
    pub name: &'static str,
    /// The value; secrets are left out.
    pub value: Value,
    /// Whether the option has an effect.
    pub has_effect: bool,
    /// Where the value was found; `None` for the default.
    origin: Option<Origin>,
}

/// A printable value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A boolean.
    Flag(bool),
    /// A list of words.
    List(Vec<String>),
    /// An integer.
    Number(i64),
    /// A secret is set; its value is left out.
    Secret,
    /// Any other value.
    Text(String),
    /// No value.
    Unset,
}

impl Settings {
    pub(super) fn of(merged: &Merged) -> Self {
        let specs = by_group().into_iter().flat_map(|(_, specs)| specs);
        Self(specs.map(|spec| setting(spec, merged)).collect())
    }

    /// Returns the settings, grouped.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }
}

fn setting(spec: &Spec, merged: &Merged) -> Setting {
    let winner = merged.get(spec.group, spec.name);
    let text = winner.map_or(spec.default, |raw| raw.text.as_str());
    Setting {
        group: spec.group,
        name: spec.name,
        value: value(spec, text),
        has_effect: spec.effect == Effect::Used,
        origin: winner.map(|raw| raw.origin.clone()),
    }
}

fn value(spec: &Spec, text: &str) -> Value {
    if text.is_empty() && !spec.may_be_emptied() {
        return Value::Unset;
    }
    let Some(shown) = spec.shown(text) else {
        return Value::Secret;
    };
    match spec.kind {
        Kind::Secret(_) => Value::Secret,
        Kind::Flag | Kind::Switch => boolean(text).map_or_else(|_| Value::Text(shown), Value::Flag),
        Kind::List(_) => list(&shown).map_or_else(|_| Value::Unset, Value::List),
        Kind::Number(_) => text
            .trim()
            .parse()
            .map_or_else(|_| Value::Text(shown), Value::Number),
        Kind::Value(_) => Value::Text(shown),
    }
}

impl Setting {
    /// Returns whether any source has set it.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.origin.is_some()
    }

    /// Returns whether virtual media's `parameters.txt` has set it.
    #[must_use]
    pub fn is_of_media(&self) -> bool {
        matches!(self.origin, Some(Origin::MediaParameter(_)))
    }

    /// Returns `name`, or `[group] name` outside `[DEFAULT]`.
    #[must_use]
    pub fn full_name(&self) -> String {
        full_name(self.group, self.name)
    }

    /// Returns a description of the value's origin.
    #[must_use]
    pub fn origin(&self) -> String {
        match &self.origin {
            Some(origin) => origin.to_string(),
            None => "default".to_owned(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::List(words) if words.is_empty() => f.write_str("(none)"),
            Self::List(words) => f.write_str(&words.join(",")),
            Self::Number(number) => number.fmt(f),
            Self::Secret => f.write_str("******"),
            Self::Text(text) => f.write_str(text),
            Self::Unset => f.write_str("-"),
        }
    }
}
