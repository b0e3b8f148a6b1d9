//! From a rule as it is written to the tree that is asked.
//!
//! Kept from `_parser.py` of oslo.policy 6.0.1: the words, the greedy reduction with its precedence (`a or b and c` is
//! `a or (b and c)` because the last alternative is taken back), the old lists of lists, and that a rule nobody can understand
//! allows nothing.

use super::check::{Check, MAX_DEPTH};
use super::python::is_space;
use serde_json::Value;

/// What became of a rule.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) check: Check,
    /// Parts that cannot be understood, and so are false.
    pub(super) doubts: Vec<String>,
}

/// A value that is no rule at all, where the real library raises an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRule;

/// Understands a rule: a text, or the old list of lists.
pub(super) fn parse_rule(rule: &Value) -> Result<Parsed, NoRule> {
    match rule {
        Value::String(text) => Ok(parse_text(text)),
        _ => parse_list(rule),
    }
}

/// Understands a text in the policy language.
pub(super) fn parse_text(text: &str) -> Parsed {
    if text.is_empty() {
        return Parsed {
            check: Check::Always,
            doubts: Vec::new(),
        };
    }
    let mut doubts = Vec::new();
    if text.len() > LONGEST {
        doubts.push(format!("it has {} bytes, more than {LONGEST}", text.len()));
        return Parsed {
            check: Check::Failing,
            doubts,
        };
    }
    let mut stack = Stack::default();
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        tokens(word, &mut doubts, &mut stack);
    }
    let check = stack.result().unwrap_or_else(|| {
        let shown: String = text.chars().take(SHOWN).collect();
        doubts.push(format!(
            "{shown:?} is not a sequence of checks, and, or, not and parentheses"
        ));
        Check::Never
    });
    Parsed { check, doubts }
}

/// The old syntax: the outer list is alternatives, an inner one is what must hold together. Python iterates a mapping by its
/// names.
fn parse_list(rule: &Value) -> Result<Parsed, NoRule> {
    let mut doubts = Vec::new();
    if !is_true(rule) {
        return Ok(Parsed {
            check: Check::Always,
            doubts,
        });
    }
    let mut alternatives = Vec::new();
    for inner in items(rule).ok_or(NoRule)? {
        if !is_true(&inner) {
            continue;
        }
        let inner = match inner {
            Value::String(_) => vec![inner],
            inner => items(&inner).ok_or(NoRule)?,
        };
        let mut together: Vec<Check> = inner
            .iter()
            .map(|check| match check {
                Value::String(text) => parse_check(text, &mut doubts),
                _ => {
                    doubts.push(format!("{check} is no text"));
                    Check::Never
                }
            })
            .collect();
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

/// Python's truth of a value.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_true) => *is_true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// One check: `kind:match`, split at the first colon.
fn parse_check(text: &str, doubts: &mut Vec<String>) -> Check {
    match text {
        "!" => return Check::Never,
        "@" => return Check::Always,
        _ => {}
    }
    match text.split_once(':') {
        Some((kind, wanted)) => Check::of_kind(kind, wanted),
        None => {
            let shown: String = text.chars().take(SHOWN).collect();
            doubts.push(format!("{shown:?} is no check, for it has no colon"));
            Check::Never
        }
    }
}

/// Cuts a word without spaces: parentheses stuck to its ends are words of their own.
fn tokens(word: &str, doubts: &mut Vec<String>, stack: &mut Stack) {
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
        stack.shift(Item::Check(parse_check(clean, doubts), 1));
    }
    for _ in clean.len()..unopened.len() {
        stack.shift(Item::Close);
    }
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
