//! From a rule as it is written to the tree that is asked.
//!
//! Kept from `_parser.py` of oslo.policy 6.0.1: the words, the greedy reduction with its precedence (`a or b and c` is
//! `a or (b and c)` because the last alternative is taken back), the old lists of lists, and that a rule nobody can understand
//! allows nothing.

use super::check::{Attribute, Check, MAX_DEPTH, Role, Rules};
use super::python::{is_space, is_true};
use super::selector::Selector;
use super::template::Template;
use serde_json::{Map, Value};

/// What became of a rule.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) check: Check,
    /// Parts that cannot be understood, and so are false.
    pub(super) doubts: Vec<String>,
}

/// Why a rule is refused when it is loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It is neither a text nor a list; the real library raises an exception.
    #[error("a rule is a text, or a list of lists of texts")]
    NotARule,
    /// A construction of oslo.policy's that is not accepted before the colon of a check.
    #[error(
        "cannot accept {0:?} before the colon of a check: write a text in quotes without a backslash ('sync'), an integer (7), a float \
         (1.5), True, False, None, or the name of an attribute in ASCII letters, digits, _ and dots (project.domain_id)"
    )]
    Left(String),
    /// A construction of oslo.policy's that is not accepted after the colon of a check.
    #[error(
        "cannot accept {0:?} after the colon of a check: of formats with % write %(name)s alone, as in %(node.owner)s"
    )]
    Right(String),
}

impl Rules {
    /// Parses rules as a policy file has them, each a text or an old list of lists.
    ///
    /// # Errors
    ///
    /// One of them is refused.
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
pub(super) fn parse_rule(rule: &Value) -> Result<Parsed, RuleError> {
    match rule {
        Value::String(text) => parse_text(text),
        _ => parse_list(rule),
    }
}

/// Parses a rule of the program's own, which a test holds to be accepted.
pub(super) fn built_in(text: &str) -> Check {
    parse_text(text).map_or(Check::Failing, |parsed| parsed.check)
}

/// Parses a text in the policy language.
fn parse_text(text: &str) -> Result<Parsed, RuleError> {
    let mut doubts = Vec::new();
    if text.is_empty() {
        let check = Check::Always;
        return Ok(Parsed { check, doubts });
    }
    if text.len() > LONGEST {
        doubts.push(format!("it has {} bytes, more than {LONGEST}", text.len()));
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

/// The old syntax: the outer list is alternatives, an inner one is what must hold together. Python iterates a mapping by its
/// names.
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

/// What Python's `for` goes through.
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

/// Returns what a message shows of a rule.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// Cuts a word without spaces: parentheses stuck to its ends are words of their own.
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

/// What is not yet reduced.
#[derive(Default)]
struct Stack {
    items: Vec<Item>,
}

/// A word, or what words were reduced to. Checks know how deep they are.
enum Item {
    And,
    /// What `and` joined, open for more.
    AndExpression(Vec<Deep>),
    Check(Check, usize),
    Close,
    Not,
    Open,
    Or,
    OrExpression(Vec<Deep>),
    Text,
}

type Deep = (Check, usize);

impl Stack {
    fn shift(&mut self, item: Item) {
        self.items.push(item);
        while self.reduce() {}
    }

    /// One reduction, of three items or else of two.
    fn reduce(&mut self) -> bool {
        let Some(at) = self.items.len().checked_sub(3) else {
            return self.negate();
        };
        let tail = self.items.get(at..).unwrap_or_default();
        let reducible = matches!(
            tail,
            [
                Item::Open,
                Item::Check(..) | Item::AndExpression(_) | Item::OrExpression(_),
                Item::Close
            ] | [
                Item::Check(..) | Item::AndExpression(_) | Item::OrExpression(_),
                Item::And | Item::Or,
                Item::Check(..)
            ]
        );
        if !reducible {
            return self.negate();
        }
        let (last, operator, first) = (self.items.pop(), self.items.pop(), self.items.pop());
        let reduced = match (first, operator, last) {
            (Some(Item::Open), Some(inner), _) => inner.closed(),
            (Some(first), Some(Item::And), Some(Item::Check(check, depth))) => {
                first.and((check, depth))
            }
            (Some(first), _, Some(Item::Check(check, depth))) => first.or((check, depth)),
            // What was matched above is one of these.
            _ => return false,
        };
        self.items.push(reduced);
        true
    }

    fn negate(&mut self) -> bool {
        if !matches!(self.items.as_slice(), [.., Item::Not, Item::Check(..)]) {
            return false;
        }
        if let (Some(Item::Check(check, depth)), Some(_)) = (self.items.pop(), self.items.pop()) {
            let (check, depth) = nested(|inner| Check::Not(Box::new(inner)), check, depth);
            self.items.push(Item::Check(check, depth));
        }
        true
    }

    /// The tree, if everything came to one.
    fn result(mut self) -> Option<Check> {
        let last = self.items.pop()?;
        if !self.items.is_empty() {
            return None;
        }
        match last.closed() {
            Item::Check(check, _) => Some(check),
            _ => None,
        }
    }
}

impl Item {
    /// What stands in parentheses is a check like any other.
    fn closed(self) -> Self {
        let (joined, items): (fn(Vec<Check>) -> Check, _) = match self {
            Self::AndExpression(items) => (Check::And, items),
            Self::OrExpression(items) => (Check::Or, items),
            other => return other,
        };
        let (check, depth) = join(joined, items);
        Self::Check(check, depth)
    }

    fn and(self, check: Deep) -> Self {
        match self {
            Self::AndExpression(mut items) => {
                items.push(check);
                Self::AndExpression(items)
            }
            // The last alternative is taken back: `and` binds closer.
            Self::OrExpression(mut items) => {
                if let Some((last, depth)) = items.pop() {
                    items.push(extended(last, depth, check));
                }
                Self::OrExpression(items)
            }
            Self::Check(first, depth) => Self::AndExpression(vec![(first, depth), check]),
            other => other,
        }
    }

    fn or(self, check: Deep) -> Self {
        match self {
            Self::OrExpression(mut items) => {
                items.push(check);
                Self::OrExpression(items)
            }
            Self::AndExpression(items) => Self::OrExpression(vec![join(Check::And, items), check]),
            Self::Check(first, depth) => Self::OrExpression(vec![(first, depth), check]),
            other => other,
        }
    }
}

/// An alternative that another check must hold together with.
fn extended(last: Check, depth: usize, (check, other): Deep) -> Deep {
    match last {
        Check::And(mut checks) => {
            checks.push(check);
            bounded(Check::And(checks), depth.max(other + 1))
        }
        last => join(Check::And, vec![(last, depth), (check, other)]),
    }
}

fn join(joined: fn(Vec<Check>) -> Check, items: Vec<Deep>) -> Deep {
    let depth = items.iter().map(|(_, depth)| *depth).max();
    let checks = items.into_iter().map(|(check, _)| check).collect();
    bounded(joined(checks), depth.unwrap_or(0) + 1)
}

fn nested(wrap: impl Fn(Check) -> Check, check: Check, depth: usize) -> Deep {
    bounded(wrap(check), depth + 1)
}

/// A tree that is too deep to be asked is not kept: whoever asks it fails, as in Python.
fn bounded(check: Check, depth: usize) -> Deep {
    if depth > MAX_DEPTH {
        (Check::Failing, 1)
    } else {
        (check, depth)
    }
}

/// Bytes of a rule.
pub(super) const LONGEST: usize = 64 << 10;
/// Letters of a rule that a message shows.
const SHOWN: usize = 80;
