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

/// Goes through the words.
pub(super) struct Parser<'a> {
    pub(super) words: &'a [Word<'a>],
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn is_next(&self, sign: &str) -> bool {
        matches!(self.words.first(), Some(Word::Sign(next)) if *next == sign)
    }

    pub(super) fn is_next_name(&self, name: &str) -> bool {
        matches!(self.words.first(), Some(Word::Name(next)) if *next == name)
    }

    pub(super) fn skip(&mut self) {
        self.words = self.words.get(1..).unwrap_or_default();
    }

    pub(super) fn take(&mut self, sign: &str) -> bool {
        let is_next = self.is_next(sign);
        if is_next {
            self.skip();
        }
        is_next
    }

    pub(super) fn take_name(&mut self, name: &str) -> bool {
        let is_next = self.is_next_name(name);
        if is_next {
            self.skip();
        }
        is_next
    }

    pub(super) fn expect(&mut self, sign: &str) -> Option<()> {
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
    pub(super) fn name(&mut self) -> Option<&'a str> {
        match self.words.first() {
            Some(Word::Name(name)) if !KEYWORDS.contains(name) => {
                self.skip();
                Some(name)
            }
            _ => None,
        }
    }

    /// `a if b else c`, or what has no choice.
    pub(super) fn expression(&mut self) -> Option<Node> {
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
    pub(super) fn disjunction(&mut self) -> Option<Node> {
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
    pub(super) fn operators(&mut self) -> Option<Node> {
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
