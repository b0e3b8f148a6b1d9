//! Whether a text is a Python expression, and which literal it is if it is one.
//!
//! The grammar of Python 3.11 (`Grammar/python.gram`, the start rule `eval`) without all that needs a colon, for a kind has none. What
//! is no literal is not kept, only that it is Python.

use super::literal::{Brackets, Literal};
use super::words::{Word, cut};

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Constant(Literal),
    Items(Brackets, Vec<Self>),
    /// Whether it is `set`, which has no other way to be empty.
    Name(bool),
    /// Python, but nothing of a literal.
    Other,
    /// `a.b` and `a[b]`, which can be assigned to.
    Place,
    /// A sign, and whether it is a minus, before a number.
    Signed(bool, Literal),
    Starred(Box<Self>),
    /// Two operands, and whether the second is taken away.
    Sum(Box<Self>, bool, Box<Self>),
}

/// The expression that a text is; nothing if Python raises a `SyntaxError`.
pub(super) fn parse(text: &str) -> Option<Node> {
    // Python's lines end in one way.
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    let words = cut(&lines)?;
    let mut parser = Parser {
        words: &words,
        depth: 0,
    };
    let first = parser.expression()?;
    let node = if parser.is_next(",") {
        let mut items = vec![first];
        while parser.take(",") {
            if parser.begins_nothing() {
                break;
            }
            items.push(parser.expression()?);
        }
        Node::Items(Brackets::Tuple, items)
    } else {
        first
    };
    let is_done = parser.words.iter().all(|word| *word == Word::NewLine);
    is_done.then_some(node)
}

struct Parser<'a> {
    words: &'a [Word<'a>],
    depth: usize,
}

impl<'a> Parser<'a> {
    fn is_next(&self, sign: &str) -> bool {
        matches!(self.words.first(), Some(Word::Sign(next)) if *next == sign)
    }

    fn is_next_name(&self, name: &str) -> bool {
        matches!(self.words.first(), Some(Word::Name(next)) if *next == name)
    }

    fn skip(&mut self) {
        self.words = self.words.get(1..).unwrap_or_default();
    }

    fn take(&mut self, sign: &str) -> bool {
        let is_next = self.is_next(sign);
        if is_next {
            self.skip();
        }
        is_next
    }

    fn take_name(&mut self, name: &str) -> bool {
        let is_next = self.is_next_name(name);
        if is_next {
            self.skip();
        }
        is_next
    }

    fn expect(&mut self, sign: &str) -> Option<()> {
        self.take(sign).then_some(())
    }

    /// Whether a list with a comma at its end ends here.
    fn begins_nothing(&self) -> bool {
        matches!(
            self.words.first(),
            None | Some(Word::NewLine | Word::Sign(")" | "]" | "}" | "="))
        )
    }

    /// A name that is no keyword.
    fn name(&mut self) -> Option<&'a str> {
        match self.words.first() {
            Some(Word::Name(name)) if !KEYWORDS.contains(name) => {
                self.skip();
                Some(name)
            }
            _ => None,
        }
    }

    /// `a if b else c`, or what has no choice.
    fn expression(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut node = self.disjunction()?;
        while self.take_name("if") {
            self.disjunction()?;
            if !self.take_name("else") {
                return None;
            }
            self.disjunction()?;
            node = Node::Other;
        }
        self.depth -= 1;
        Some(node)
    }

    /// Operands with any operators between them. Which binds closer changes nothing, for at most two operands are a literal.
    fn disjunction(&mut self) -> Option<Node> {
        let mut is_negated = false;
        while self.take_name("not") {
            is_negated = true;
        }
        let mut node = self.operators()?;
        if is_negated {
            node = Node::Other;
        }
        loop {
            if self.take_name("and") || self.take_name("or") {
                while self.take_name("not") {}
            } else if !self.comparison()? {
                return Some(node);
            }
            self.operators()?;
            node = Node::Other;
        }
    }

    /// Takes an operator of comparison, if one is next.
    fn comparison(&mut self) -> Option<bool> {
        if self.take_name("not") {
            return self.take_name("in").then_some(true);
        }
        if self.take_name("is") {
            self.take_name("not");
            return Some(true);
        }
        Some(self.take_name("in") || COMPARISONS.iter().any(|sign| self.take(sign)))
    }

    /// Operands with operators of arithmetic between them: a `bitwise_or`.
    fn operators(&mut self) -> Option<Node> {
        let mut node = self.operand()?;
        let mut count = 0;
        while let Some(sign) = OPERATORS.iter().find(|sign| self.take(sign)) {
            let right = self.operand()?;
            count += 1;
            node = if count == 1 && matches!(*sign, "+" | "-") {
                Node::Sum(Box::new(node), *sign == "-", Box::new(right))
            } else {
                Node::Other
            };
        }
        Some(node)
    }

    /// Signs, and a power.
    fn operand(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut signs = 0;
        let mut last = "";
        while let Some(sign) = ["+", "-", "~"].iter().find(|sign| self.take(sign)) {
            signs += 1;
            last = sign;
        }
        let is_awaited = self.take_name("await");
        let mut node = self.primary()?;
        if self.take("**") {
            self.operand()?;
            node = Node::Other;
        }
        self.depth -= 1;
        Some(match (signs, node) {
            (_, _) if is_awaited => Node::Other,
            (0, node) => node,
            (1, Node::Constant(number)) if last != "~" && number.is_number() => {
                Node::Signed(last == "-", number)
            }
            _ => Node::Other,
        })
    }

    /// An atom with what is called, indexed and named of it.
    fn primary(&mut self) -> Option<Node> {
        let mut node = self.atom()?;
        loop {
            if self.take(".") {
                self.name()?;
                node = Node::Place;
            } else if self.take("(") {
                let is_empty = self.arguments()?;
                node = if is_empty && node == Node::Name(true) {
                    Node::Items(Brackets::Set, Vec::new())
                } else {
                    Node::Other
                };
            } else if self.take("[") {
                self.slices()?;
                node = Node::Place;
            } else {
                return Some(node);
            }
        }
    }

    fn atom(&mut self) -> Option<Node> {
        match self.words.first()? {
            Word::Number(number) => {
                self.skip();
                Some(Node::Constant(number.clone()))
            }
            Word::Text(_) => self.texts(),
            Word::Name(name) => {
                let constant = match *name {
                    "True" => Literal::Bool(true),
                    "False" => Literal::Bool(false),
                    "None" => Literal::None,
                    _ => return Some(Node::Name(self.name()? == "set")),
                };
                self.skip();
                Some(Node::Constant(constant))
            }
            Word::Sign("...") => {
                self.skip();
                Some(Node::Constant(Literal::Ellipsis))
            }
            Word::Sign("(") => self.group(),
            Word::Sign("[") => self.list(),
            Word::Sign("{") => self.set(),
            _ => None,
        }
    }

    /// Texts that follow one another are one.
    fn texts(&mut self) -> Option<Node> {
        let mut joined: Option<Literal> = None;
        while let Some(Word::Text(text)) = self.words.first() {
            joined = Some(match (joined, text) {
                (None, text) => text.clone(),
                (Some(Literal::Text(mut all)), Literal::Text(text)) => {
                    all.extend(text);
                    Literal::Text(all)
                }
                (Some(Literal::Bytes(mut all)), Literal::Bytes(bytes)) => {
                    all.extend(bytes);
                    Literal::Bytes(all)
                }
                _ => return None,
            });
            self.skip();
        }
        joined.map(Node::Constant)
    }

    fn group(&mut self) -> Option<Node> {
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

    fn list(&mut self) -> Option<Node> {
        self.expect("[")?;
        if self.take("]") {
            return Some(Node::Items(Brackets::List, Vec::new()));
        }
        self.bracketed(Brackets::List, "]")
    }

    fn set(&mut self) -> Option<Node> {
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
    fn arguments(&mut self) -> Option<bool> {
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
    fn slices(&mut self) -> Option<()> {
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

/// Brackets, signs and powers within one another; Python's parser goes about as deep.
const DEEPEST: usize = 450;
const COMPARISONS: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
const OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "//", "%", "@", "<<", ">>", "&", "|", "^",
];
const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];
