//! Reduction of a rule's tokens to a tree.
//!
//! Ported from `_parser.py` of oslo.policy 6.0.1: the greedy reduction with its precedence.
//! `a or b and c` is `a or (b and c)`, because the last alternative is taken back.

use super::check::{Check, MAX_DEPTH};

/// Stack of tokens and checks that are not reduced yet.
#[derive(Default)]
pub(super) struct Stack {
    items: Vec<Item>,
}

/// A token, or the check that tokens were reduced to. Checks carry their depth.
pub(super) enum Item {
    And,
    /// Checks joined by `and`, open for more.
    AndExpression(Vec<Deep>),
    Check(Check, usize),
    Close,
    Not,
    Open,
    Or,
    OrExpression(Vec<Deep>),
    Text,
}

pub(super) type Deep = (Check, usize);

impl Stack {
    pub(super) fn shift(&mut self, item: Item) {
        self.items.push(item);
        while self.reduce() {}
    }

    /// Reduces the last three items, or else the last two.
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
            // The patterns above exclude all others.
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

    /// Returns the tree, if all tokens were reduced to one.
    pub(super) fn result(mut self) -> Option<Check> {
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
    /// Closes an expression in parentheses, which makes it a check like any other.
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
            // Takes the last alternative back, because `and` binds closer.
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

/// Joins an alternative and another check by `and`.
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

/// Replaces a tree that is too deep for evaluation: it fails, as in Python.
fn bounded(check: Check, depth: usize) -> Deep {
    if depth > MAX_DEPTH {
        (Check::Failing, 1)
    } else {
        (check, depth)
    }
}
