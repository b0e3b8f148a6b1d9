//! Parser of rules.
//!
//! Ported from `_parser.py` of oslo.policy 6.0.1: the tokens, the old list syntax, and that a
//! malformed rule denies.

use super::check::{Attribute, Check, Role};
use super::python::{is_space, is_true};
use super::reduction::{Item, Stack};
use super::rules::Rules;
use super::selector::Selector;
use super::template::Template;
use serde_json::{Map, Value};

/// Result of parsing a rule.
#[derive(Debug)]
pub(in crate::policy) struct Parsed {
    pub(in crate::policy) check: Check,
    /// Parts that cannot be parsed, and so are false.
    pub(in crate::policy) doubts: Vec<String>,
}

/// Reason for refusing a rule when it is loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The rule is neither a text nor a list; oslo.policy raises an exception.
    #[error("a rule is a text, or a list of lists of texts")]
    NotARule,
    /// A construct of oslo.policy that is not supported before the colon of a check.
    #[error(
        "cannot accept {0:?} before the colon of a check: write a text in quotes without a backslash ('sync'), an integer (7), a float \
         (1.5), True, False, None, or the name of an attribute in ASCII letters, digits, _ and dots (project.domain_id)"
    )]
    Left(String),
    /// A construct of oslo.policy that is not supported after the colon of a check.
    #[error(
        "cannot accept {0:?} after the colon of a check: of formats with % write %(name)s alone, as in %(node.owner)s"
    )]
    Right(String),
}

impl Rules {
    /// Parses the rules of a policy file, each a text or an old list of lists.
    ///
    /// # Errors
    ///
    /// [`RuleError`] if one of them is refused.
    pub fn from_json(
        rules: &Map<String, Value>,
        default_rule: Option<&str>,
    ) -> Result<Self, RuleError> {
        let mut parsed = Self::new(default_rule);
        for (name, rule) in rules {
            parsed.insert(name.clone(), parse_rule(rule)?.check);
        }
        Ok(parsed)
    }
}

/// Parses a rule: a text, or the old list of lists.
pub(in crate::policy) fn parse_rule(rule: &Value) -> Result<Parsed, RuleError> {
    match rule {
        Value::String(text) => parse_text(text),
        _ => parse_list(rule),
    }
}

/// Parses a built-in rule; a test checks that all of them are accepted.
pub(in crate::policy) fn built_in(text: &str) -> Check {
    parse_text(text).map_or(Check::Failing, |parsed| parsed.check)
}

/// Parses a text in the policy language.
fn parse_text(text: &str) -> Result<Parsed, RuleError> {
    let mut doubts = Vec::new();
    if text.is_empty() {
        let check = Check::Always;
        return Ok(Parsed { check, doubts });
    }
    if text.len() > MAX_LEN {
        doubts.push(format!("it has {} bytes, more than {MAX_LEN}", text.len()));
        let check = Check::Failing;
        return Ok(Parsed { check, doubts });
    }
    let mut stack = Stack::default();
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        tokens(word, &mut doubts, &mut stack)?;
    }
    let check = stack.result().unwrap_or_else(|| {
        doubts.push(format!(
            "{:?} is not a sequence of checks, and, or, not and parentheses",
            shown(text)
        ));
        Check::Never
    });
    Ok(Parsed { check, doubts })
}

/// Parses the old list syntax: the outer list is an `or`, an inner one an `and`. Python iterates a
/// mapping by its keys.
fn parse_list(rule: &Value) -> Result<Parsed, RuleError> {
    let mut doubts = Vec::new();
    if !is_true(rule) {
        return Ok(Parsed {
            check: Check::Always,
            doubts,
        });
    }
    let mut alternatives = Vec::new();
    for inner in items(rule).ok_or(RuleError::NotARule)? {
        if !is_true(&inner) {
            continue;
        }
        let inner = match inner {
            Value::String(_) => vec![inner],
            inner => items(&inner).ok_or(RuleError::NotARule)?,
        };
        let checks = inner.iter().map(|check| match check {
            Value::String(text) => parse_check(text, &mut doubts),
            _ => {
                doubts.push(format!("{check} is no text"));
                Ok(Check::Never)
            }
        });
        let mut together = checks.collect::<Result<Vec<Check>, _>>()?;
        alternatives.push(match together.pop() {
            Some(only) if together.is_empty() => only,
            last => {
                together.extend(last);
                Check::And(together)
            }
        });
    }
    let check = match alternatives.pop() {
        None => Check::Never,
        Some(only) if alternatives.is_empty() => only,
        Some(last) => {
            alternatives.push(last);
            Check::Or(alternatives)
        }
    };
    Ok(Parsed { check, doubts })
}

/// Returns the items that Python's `for` iterates.
fn items(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items.clone()),
        Value::Object(map) => Some(map.keys().cloned().map(Value::String).collect()),
        _ => None,
    }
}

/// Parses one check: `kind:match`, split at the first colon.
fn parse_check(text: &str, doubts: &mut Vec<String>) -> Result<Check, RuleError> {
    match text {
        "!" => return Ok(Check::Never),
        "@" => return Ok(Check::Always),
        _ => {}
    }
    let Some((kind, wanted)) = text.split_once(':') else {
        doubts.push(format!(
            "{:?} is no check, for it has no colon",
            shown(text)
        ));
        return Ok(Check::Never);
    };
    let template = || Template::parse(wanted).ok_or_else(|| RuleError::Right(shown(wanted)));
    Ok(match kind {
        "http" | "https" => Check::Remote(text.to_owned()),
        "role" => Check::Role(Role::new(template()?)),
        "rule" => Check::Rule(wanted.to_owned()),
        kind => Check::Attribute(Attribute {
            selector: Selector::parse(kind).ok_or_else(|| RuleError::Left(shown(kind)))?,
            wanted: template()?,
        }),
    })
}

/// Returns the excerpt of a rule for messages.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// Splits a word without spaces into tokens: parentheses at its ends are tokens of their own.
fn tokens(word: &str, doubts: &mut Vec<String>, stack: &mut Stack) -> Result<(), RuleError> {
    let unopened = word.trim_start_matches('(');
    for _ in unopened.len()..word.len() {
        stack.shift(Item::Open);
    }
    let clean = unopened.trim_end_matches(')');
    if clean.eq_ignore_ascii_case("and") {
        stack.shift(Item::And);
    } else if clean.eq_ignore_ascii_case("or") {
        stack.shift(Item::Or);
    } else if clean.eq_ignore_ascii_case("not") {
        stack.shift(Item::Not);
    } else if is_quoted(unopened) {
        doubts.push(format!("{unopened} is a text, and no check takes one"));
        stack.shift(Item::Text);
    } else if !clean.is_empty() {
        stack.shift(Item::Check(parse_check(clean, doubts)?, 1));
    }
    for _ in clean.len()..unopened.len() {
        stack.shift(Item::Close);
    }
    Ok(())
}

fn is_quoted(word: &str) -> bool {
    word.len() >= 2
        && ['"', '\'']
            .iter()
            .any(|quote| word.starts_with(*quote) && word.ends_with(*quote))
}

/// Maximum length of a rule, in bytes.
const MAX_LEN: usize = 64 << 10;
/// Characters of a rule in messages.
const SHOWN: usize = 80;
