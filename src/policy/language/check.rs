//! The tree of checks, and the evaluation of its leaves.
//!
//! Ported from `_checks.py` of oslo.policy 6.0.1. `http:` and `https:` checks are parsed but never
//! executed.

use super::answer::{Failure, Outcomes};
use super::python::{is_true, text};
use super::selector::Selector;
use super::template::{Template, Unfilled};
use crate::policy::attributes::Attributes;
use serde_json::Value;
use std::borrow::Cow;

/// Tree of checks.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::policy) enum Check {
    Always,
    And(Vec<Self>),
    Attribute(Attribute),
    /// Python would raise an exception: every request is denied.
    Failing,
    Never,
    Not(Box<Self>),
    Or(Vec<Self>),
    /// Whole text of an `http:` or `https:` check.
    Remote(String),
    Role(Role),
    Rule(String),
}

/// `kind:match` of any other kind: an attribute of the credentials, or a literal, equals a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Attribute {
    pub(super) selector: Selector,
    pub(super) wanted: Template,
}

/// `role:name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Role {
    wanted: Template,
    /// Role name in lower case, if the template has no variables.
    lowered: Option<String>,
}

impl Attribute {
    /// Returns the result if it is the same for every caller and target.
    pub(super) fn constant(&self) -> Option<bool> {
        match (&self.selector, &self.wanted) {
            (Selector::Literal(value), Template::Text(wanted)) => Some(value == wanted),
            _ => None,
        }
    }

    /// Returns the possible results if only this part of the target is known.
    pub(super) fn outcomes(&self, credentials: &Attributes, known: &Attributes) -> Outcomes {
        if self.wanted.is_known(known) {
            return self.holds(credentials, known).into();
        }
        let Selector::Path(path) = &self.selector else {
            return Outcomes::UNKNOWN;
        };
        match find(credentials, path, NO_TEXT) {
            None => Outcomes::DENIES,
            Some(Ok(_)) => Outcomes::UNKNOWN,
            Some(Err(Failure)) => Outcomes::ANY,
        }
    }

    pub(super) fn holds(
        &self,
        credentials: &Attributes,
        target: &Attributes,
    ) -> Result<bool, Failure> {
        let Some(wanted) = filled(&self.wanted, target)? else {
            return Ok(false);
        };
        match &self.selector {
            Selector::Literal(value) => Ok(*value == wanted),
            Selector::Path(path) => find(credentials, path, wanted.as_bytes()).unwrap_or(Ok(false)),
        }
    }
}

/// Fills in a template with the target's values; `None` if one of them is missing.
fn filled<'a>(
    wanted: &'a Template,
    target: &'a Attributes,
) -> Result<Option<Cow<'a, str>>, Failure> {
    match wanted.fill(target) {
        Ok(text) => Ok(Some(text)),
        Err(Unfilled::Missing) => Ok(None),
        Err(Unfilled::TooLong) => Err(Failure),
    }
}

/// Returns whether the value at a path equals the wanted one; `None` if the credentials lack the
/// first name of the path.
fn find(credentials: &Attributes, path: &[String], wanted: &[u8]) -> Option<Result<bool, Failure>> {
    let (first, rest) = path.split_first()?;
    top(credentials, first).map(|value| below(value, rest, wanted))
}

/// Returns an attribute of the credentials. `system` stands for a `system_scope` that is true in
/// Python.
fn top<'a>(credentials: &'a Attributes, name: &str) -> Option<&'a Value> {
    if name == "system"
        && let Some(scope) = credentials.get("system_scope")
        && is_true(scope)
    {
        return Some(scope);
    }
    credentials.get(name)
}

/// Returns whether the value at a path below this one equals the wanted one; any element of a list
/// may match.
fn below(mut value: &Value, mut path: &[String], wanted: &[u8]) -> Result<bool, Failure> {
    // A list reached by a name is searched. A list within a list is compared as text, and fails if
    // the path goes on.
    loop {
        if let Value::Array(items) = value {
            for item in items {
                if element(item, path, wanted)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let Some((name, rest)) = path.split_first() else {
            return Ok(text(value).as_bytes() == wanted);
        };
        let Value::Object(map) = value else {
            return Err(Failure);
        };
        let Some(found) = map.get(name) else {
            return Ok(false);
        };
        (value, path) = (found, rest);
    }
}

fn element(item: &Value, path: &[String], wanted: &[u8]) -> Result<bool, Failure> {
    match (path.split_first(), item) {
        (None, item) => Ok(text(item).as_bytes() == wanted),
        (Some((name, rest)), Value::Object(map)) => map
            .get(name)
            .map_or(Ok(false), |value| below(value, rest, wanted)),
        (Some(_), _) => Err(Failure),
    }
}

impl Role {
    pub(super) fn new(wanted: Template) -> Self {
        let lowered = match &wanted {
            Template::Text(text) => Some(text.to_lowercase()),
            Template::Pieces(_) => None,
        };
        Self { wanted, lowered }
    }

    /// Returns the possible results if only this part of the target is known.
    pub(super) fn outcomes(&self, credentials: &Attributes, known: &Attributes) -> Outcomes {
        if self.wanted.is_known(known) {
            return self.holds(credentials, known).into();
        }
        match credentials.get("roles") {
            None => Outcomes::DENIES,
            Some(Value::Array(roles)) if roles.iter().all(Value::is_string) => Outcomes::UNKNOWN,
            Some(_) => Outcomes::ANY,
        }
    }

    pub(super) fn holds(
        &self,
        credentials: &Attributes,
        target: &Attributes,
    ) -> Result<bool, Failure> {
        let lowered = match &self.lowered {
            Some(lowered) => Cow::Borrowed(lowered),
            None => match filled(&self.wanted, target)? {
                Some(wanted) => Cow::Owned(wanted.to_lowercase()),
                None => return Ok(false),
            },
        };
        match credentials.get("roles") {
            None => Ok(false),
            Some(Value::Array(roles)) => {
                let mut found = false;
                for role in roles {
                    let role = role.as_str().ok_or(Failure)?;
                    found |= is_lowered(role, &lowered);
                }
                Ok(found)
            }
            // Python iterates the characters of a string and the keys of a dictionary.
            Some(Value::String(role)) => Ok(role
                .chars()
                .any(|letter| is_lowered(letter.encode_utf8(&mut [0; 4]), &lowered))),
            Some(Value::Object(roles)) => Ok(roles.keys().any(|role| is_lowered(role, &lowered))),
            Some(_) => Err(Failure),
        }
    }
}

/// Returns whether a role in lower case equals the wanted one.
fn is_lowered(role: &str, lowered: &str) -> bool {
    if role.is_ascii() {
        role.len() == lowered.len()
            && role
                .bytes()
                .map(|byte| byte.to_ascii_lowercase())
                .eq(lowered.bytes())
    } else {
        role.to_lowercase() == lowered
    }
}

/// Value that equals no JSON value, because it is not UTF-8.
const NO_TEXT: &[u8] = &[0xff];
/// Maximum depth of a tree, including referenced rules: about where Python's own stack ends.
pub(super) const MAX_DEPTH: usize = 320;
