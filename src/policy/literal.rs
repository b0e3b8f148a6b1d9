//! What stands before the colon of a check: a Python literal, or a path through the credentials.
//!
//! `GenericCheck` of oslo.policy 6.0.1 asks `ast.literal_eval` and goes by three outcomes: a value is compared as `str()` shows it,
//! a `ValueError` makes the kind a path, and any other exception leaves the check. So `user.id` is a path because it is Python that
//! is no literal, and `user id` fails because it is no Python.
//!
//! Not kept: texts with `\N{…}` or a prefix `f`, and sets of several elements, whose order Python does not promise; they fail.

use super::convert::push;
use super::expression::{Node, parse};
use super::python::{Letters, float, quote, shortest};

/// How a kind is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Python raises an exception.
    Failing,
    /// A literal, as `str()` shows it.
    Literal(Vec<u8>),
    /// Names to go by through the credentials.
    Path(Vec<String>),
}

/// Reads a kind.
pub(super) fn read(kind: &str) -> Reading {
    let value = match parse(kind.trim_start_matches([' ', '\t'])) {
        Some(node) => value(node).and_then(|value| value.text()),
        None => Err(No::Exception),
    };
    match value {
        Ok(text) => Reading::Literal(text),
        Err(No::Exception) => Reading::Failing,
        Err(No::Literal) => Reading::Path(kind.split('.').map(str::to_owned).collect()),
    }
}

/// A value of Python's that can be written as a literal.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Bool(bool),
    Bytes(Vec<u8>),
    Complex(f64, f64),
    Ellipsis,
    Float(f64),
    /// Sign and decimal digits, however many.
    Int(bool, String),
    /// Between brackets of a kind, in their order.
    Items(Brackets, Vec<Self>),
    None,
    /// Code points, which may be half a surrogate pair.
    Text(Vec<u32>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Brackets {
    /// Always empty: a colon would end the kind.
    Dict,
    List,
    Set,
    Tuple,
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum No {
    /// Any exception but the next.
    Exception,
    /// `ValueError`: it is Python, but no literal.
    Literal,
}

/// What `literal_eval` makes of an expression.
fn value(node: Node) -> Result<Literal, No> {
    match node {
        Node::Constant(value) => Ok(value),
        Node::Items(brackets, nodes) => {
            let mut items = Vec::new();
            for node in nodes {
                let item = value(node)?;
                if brackets == Brackets::Set {
                    if !item.is_hashable() {
                        return Err(No::Exception);
                    }
                    if items.contains(&item) {
                        continue;
                    }
                }
                items.push(item);
            }
            Ok(Literal::Items(brackets, items))
        }
        Node::Signed(is_negative, number) => Ok(if is_negative {
            number.negated()
        } else {
            number
        }),
        Node::Sum(left, is_negative, right) => sum(*left, is_negative, *right),
        Node::Name(_) | Node::Other | Node::Place | Node::Starred(_) => Err(No::Literal),
    }
}

/// A number and an imaginary one make a complex one; nothing else is added up.
fn sum(left: Node, is_negative: bool, right: Node) -> Result<Literal, No> {
    let left = match left {
        Node::Constant(number) => number,
        Node::Signed(true, number) => number.negated(),
        Node::Signed(false, number) => number,
        _ => return Err(No::Literal),
    };
    let real = match left {
        Literal::Float(value) => value,
        Literal::Int(is_negative, digits) => {
            let magnitude: f64 = digits.parse().map_err(|_| No::Exception)?;
            if magnitude.is_infinite() && matches!(right, Node::Constant(Literal::Complex(..))) {
                return Err(No::Exception);
            }
            if is_negative { -magnitude } else { magnitude }
        }
        _ => return Err(No::Literal),
    };
    match right {
        Node::Constant(Literal::Complex(zero, imaginary)) if is_negative => {
            Ok(Literal::Complex(real - zero, 0.0 - imaginary))
        }
        Node::Constant(Literal::Complex(zero, imaginary)) => {
            Ok(Literal::Complex(real + zero, 0.0 + imaginary))
        }
        _ => Err(No::Literal),
    }
}

impl Literal {
    /// Whether it takes a sign.
    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Complex(..) | Self::Float(_) | Self::Int(..))
    }

    fn negated(self) -> Self {
        match self {
            Self::Complex(real, imaginary) => Self::Complex(-real, -imaginary),
            Self::Float(value) => Self::Float(-value),
            Self::Int(is_negative, digits) => Self::Int(!is_negative && digits != "0", digits),
            other => other,
        }
    }

    fn is_hashable(&self) -> bool {
        match self {
            Self::Items(Brackets::Tuple, items) => items.iter().all(Self::is_hashable),
            Self::Items(..) => false,
            _ => true,
        }
    }

    /// `str()`.
    fn text(&self) -> Result<Vec<u8>, No> {
        if let Self::Text(codes) = self {
            let mut text = Vec::new();
            for code in codes {
                push(*code, &mut text).ok_or(No::Exception)?;
            }
            return Ok(text);
        }
        let mut text = String::new();
        self.represent(&mut text)?;
        Ok(text.into_bytes())
    }

    /// `repr()`.
    fn represent(&self, out: &mut String) -> Result<(), No> {
        match self {
            Self::Bool(is_true) => out.push_str(if *is_true { "True" } else { "False" }),
            Self::Bytes(bytes) => represent_bytes(bytes, out),
            Self::Complex(real, imaginary) if *real == 0.0 && real.is_sign_positive() => {
                out.push_str(&shortest(*imaginary));
                out.push('j');
            }
            Self::Complex(real, imaginary) => {
                let plus = if imaginary.is_sign_negative() {
                    ""
                } else {
                    "+"
                };
                let (real, imaginary) = (shortest(*real), shortest(*imaginary));
                out.push_str(&format!("({real}{plus}{imaginary}j)"));
            }
            Self::Ellipsis => out.push_str("Ellipsis"),
            Self::Float(value) => out.push_str(&float(*value)),
            // Python refuses to show more digits, with a `ValueError`.
            Self::Int(_, digits) if digits.len() > MOST_DIGITS => return Err(No::Literal),
            Self::Int(is_negative, digits) => {
                out.push_str(if *is_negative { "-" } else { "" });
                out.push_str(digits);
            }
            Self::Items(brackets, items) => represent_items(*brackets, items, out)?,
            Self::None => out.push_str("None"),
            Self::Text(codes) => quote(codes.iter().copied(), Letters::All, out),
        }
        Ok(())
    }
}

fn represent_items(brackets: Brackets, items: &[Literal], out: &mut String) -> Result<(), No> {
    let (open, close) = match brackets {
        Brackets::Set if items.is_empty() => ("set(", ")"),
        Brackets::Set if items.len() > 1 => return Err(No::Exception),
        Brackets::Dict | Brackets::Set => ("{", "}"),
        Brackets::List => ("[", "]"),
        Brackets::Tuple if items.len() == 1 => ("(", ",)"),
        Brackets::Tuple => ("(", ")"),
    };
    out.push_str(open);
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push_str(", ");
        }
        item.represent(out)?;
    }
    out.push_str(close);
    Ok(())
}

fn represent_bytes(bytes: &[u8], out: &mut String) {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') {
        b'"'
    } else {
        b'\''
    };
    out.extend(['b', char::from(quote)]);
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte if *byte == quote => out.extend(['\\', char::from(quote)]),
            b' '..=b'~' => out.push(char::from(*byte)),
            byte => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push(char::from(quote));
}

/// `sys.get_int_max_str_digits()`.
pub(super) const MOST_DIGITS: usize = 4300;

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(kind: &str) -> Option<String> {
        match read(kind) {
            Reading::Literal(text) => Some(String::from_utf8(text).unwrap()),
            _ => None,
        }
    }

    #[test]
    fn literals_are_shown_as_python_shows_their_values() {
        for (kind, shown) in [
            ("True", "True"),
            ("None", "None"),
            ("...", "Ellipsis"),
            ("'Member'", "Member"),
            ("\"it's\"", "it's"),
            ("'a''b'", "ab"),
            (r"'\x41\u00e9\101\n\q'", "Aé\u{41}\n\\q"),
            (r"r'\x41'", r"\x41"),
            ("u'x'", "x"),
            (r"b'a\xff\''", r#"b"a\xff'""#),
            ("'''a'b'''", "a'b"),
            ("0x_ff", "255"),
            ("1_000", "1000"),
            ("00", "0"),
            ("-0", "0"),
            ("+5", "5"),
            ("0o17", "15"),
            ("0b11", "3"),
            (
                "0xffffffffffffffffffffffff",
                "79228162514264337593543950335",
            ),
            ("1e3", "1000.0"),
            (".5", "0.5"),
            ("1_0.2_5e-1_0", "1.025e-09"),
            ("1e999", "inf"),
            ("1j", "1j"),
            ("-1j", "(-0-1j)"),
            ("1-2.5j", "(1-2.5j)"),
            ("-1+2J", "(-1+2j)"),
            ("()", "()"),
            ("1,", "(1,)"),
            ("('a',[1,{}],{2},set())", "('a', [1, {}], {2}, set())"),
            ("{1,1}", "{1}"),
            ("[ '\\ud800' ]#c", r"['\ud800']"),
            ("  'x'", "x"),
            ("1\n \n", "1"),
            ("1\n #c", "1"),
            ("1\\\n ", "1"),
        ] {
            assert_eq!(literal(kind).as_deref(), Some(shown), "{kind}");
        }
    }

    #[test]
    fn python_that_is_no_literal_is_a_path() {
        for kind in [
            "user_id",
            "user.domain.id",
            "a-b",
            "a/b@c",
            "f(x)",
            "f(*a,b=1,**c)",
            "a[b]",
            "a[*b,c]",
            "not(a)",
            "a<b<=c",
            "(a)if(b)else(c)",
            "[x for x in y]",
            "(x for(x,*y)in(z)if(x))",
            "{x for x in y}",
            "{**a}",
            "(yield)",
            "(yield from a)",
            "await a",
            "--1",
            "1+2",
            "1j+1",
            "-True",
            "a is not b",
            "x not in y",
            "größe",
            "1if x else 2",
            "2**-1",
            "a#b",
            "set(1)",
            "[a]",
            "-'x'",
        ] {
            assert_eq!(
                read(kind),
                Reading::Path(kind.split('.').map(str::to_owned).collect()),
                "{kind}"
            );
        }
    }

    #[test]
    fn what_is_no_python_fails() {
        for kind in [
            "",
            " ",
            "class",
            "a b",
            "a.class",
            "1a",
            "a.0",
            "a!",
            "a?",
            "$a",
            "'a",
            "a'b'",
            "01",
            "0x",
            "1__0",
            "1_",
            "1.real",
            "a=b",
            "(",
            ")",
            "(*a)",
            "*a,b",
            "f(a for a in b,c)",
            "f(a=1,b)",
            "f(**a,*b)",
            "a if b",
            "[*a for a in b]",
            "x for x in y",
            "a..b",
            "a.",
            "not",
            "a and",
            "a+not b",
            "lambda",
            "yield a",
            "'\\x4'",
            "'\\U00110000'",
            "b'é'",
            "'a'b'c'",
            "(a for 1 in b)",
            "{a,**b}",
            "{[1]}",
            "{1,2}",
            "f'x'",
            "a\\b",
            "`a`",
            "a;b",
            "a\nb",
            "1\n ",
            "\n 1",
            "\u{a0}a",
            "a<>b",
            "a[]",
            "()for",
            "True.1",
            "f(True=1)",
            "f(a.b=1)",
        ] {
            assert_eq!(read(kind), Reading::Failing, "{kind:?}");
        }
        let deep = format!("{}{}", "(".repeat(300), ")".repeat(300));
        assert_eq!(read(&deep), Reading::Failing);
        assert_eq!(read(&"9".repeat(4301)), Reading::Failing);
    }

    #[test]
    fn a_number_too_long_to_be_shown_is_a_path() {
        let kind = format!("0x{}", "f".repeat(4000));
        assert_eq!(read(&kind), Reading::Path(vec![kind]));
    }
}
