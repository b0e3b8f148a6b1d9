//! The part of Python's expressions that stands in brackets: what a call is given, elements, comprehensions.

use super::expression::{Node, Parser};
use super::literal::Brackets;
use super::words::Word;

impl Parser<'_> {
    pub(super) fn group(&mut self) -> Option<Node> {
        self.expect("(")?;
        if self.take(")") {
            return Some(Node::Items(Brackets::Tuple, Vec::new()));
        }
        if self.take_name("yield") {
            if self.take_name("from") {
                self.expression()?;
            } else if !self.is_next(")") {
                self.items(")")?;
            }
            self.expect(")")?;
            return Some(Node::Other);
        }
        let (mut items, has_comma) = self.items(")")?;
        let only = match items.pop() {
            Some(only) if items.is_empty() && !has_comma => only,
            last => {
                items.extend(last);
                self.expect(")")?;
                return Some(Node::Items(Brackets::Tuple, items));
            }
        };
        if matches!(only, Node::Starred(_)) {
            return None;
        }
        let is_comprehension = self.comprehension()?;
        self.expect(")")?;
        Some(if is_comprehension { Node::Other } else { only })
    }

    pub(super) fn list(&mut self) -> Option<Node> {
        self.expect("[")?;
        if self.take("]") {
            return Some(Node::Items(Brackets::List, Vec::new()));
        }
        self.bracketed(Brackets::List, "]")
    }

    pub(super) fn set(&mut self) -> Option<Node> {
        self.expect("{")?;
        if self.take("}") {
            return Some(Node::Items(Brackets::Dict, Vec::new()));
        }
        if !self.is_next("**") {
            return self.bracketed(Brackets::Set, "}");
        }
        loop {
            self.expect("**")?;
            self.operators()?;
            if !self.take(",") || self.is_next("}") {
                break;
            }
        }
        self.expect("}")?;
        Some(Node::Other)
    }

    /// Elements, or a comprehension, up to the bracket.
    fn bracketed(&mut self, brackets: Brackets, end: &str) -> Option<Node> {
        let (items, has_comma) = self.items(end)?;
        if !has_comma && !matches!(items.as_slice(), [Node::Starred(_)]) && self.comprehension()? {
            self.expect(end)?;
            return Some(Node::Other);
        }
        self.expect(end)?;
        Some(Node::Items(brackets, items))
    }

    /// Elements with commas between them, and whether there is any comma.
    fn items(&mut self, end: &str) -> Option<(Vec<Node>, bool)> {
        let mut items = Vec::new();
        let mut has_comma = false;
        loop {
            items.push(if self.take("*") {
                Node::Starred(Box::new(self.operators()?))
            } else {
                self.expression()?
            });
            if !self.take(",") {
                return Some((items, has_comma));
            }
            has_comma = true;
            if self.is_next(end) {
                return Some((items, has_comma));
            }
        }
    }

    /// Takes `for … in … if …`, if they are next.
    fn comprehension(&mut self) -> Option<bool> {
        let mut is_one = false;
        loop {
            let is_async = self.take_name("async");
            if !self.take_name("for") {
                return (!is_async).then_some(is_one);
            }
            is_one = true;
            self.targets()?;
            if !self.take_name("in") {
                return None;
            }
            self.disjunction()?;
            while self.take_name("if") {
                self.disjunction()?;
            }
        }
    }

    /// What a `for` assigns to.
    fn targets(&mut self) -> Option<()> {
        loop {
            self.take("*");
            let target = self.operators()?;
            if !is_target(&target) {
                return None;
            }
            if !self.take(",") || self.is_next_name("in") {
                return Some(());
            }
        }
    }

    /// What a call is given, up to its end; whether it is nothing.
    pub(super) fn arguments(&mut self) -> Option<bool> {
        let mut count = 0;
        let (mut has_named, mut has_mapping) = (false, false);
        while !self.take(")") {
            let is_first = count == 0;
            count += 1;
            if self.take("**") {
                self.expression()?;
                has_mapping = true;
            } else if self.take("*") {
                self.expression()?;
                if has_mapping {
                    return None;
                }
            } else if matches!(self.words, [Word::Name(_), Word::Sign("="), ..]) {
                self.name()?;
                self.skip();
                self.expression()?;
                has_named = true;
            } else {
                self.expression()?;
                if has_named || has_mapping {
                    return None;
                }
                // One without brackets of its own is alone.
                if self.comprehension()? {
                    self.expect(")")?;
                    return is_first.then_some(false);
                }
            }
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Some(count == 0)
    }

    /// What something is indexed with, up to its end.
    pub(super) fn slices(&mut self) -> Option<()> {
        loop {
            self.take("*");
            self.expression()?;
            if !self.take(",") || self.is_next("]") {
                return self.expect("]");
            }
        }
    }
}

fn is_target(node: &Node) -> bool {
    match node {
        Node::Name(_) | Node::Place => true,
        Node::Items(Brackets::List | Brackets::Tuple, items) => items.iter().all(is_target),
        Node::Starred(node) => is_target(node),
        _ => false,
    }
}
