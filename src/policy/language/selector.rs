//! The left side of a check: a literal, or the path of an attribute of the credentials.
//!
//! `GenericCheck` of oslo.policy 6.0.1 passes the left side to `ast.literal_eval`. A literal is
//! compared by its `str()`, and other Python expressions become a path. Only the simple forms of
//! both are accepted here. The parser refuses all others, so Python's grammar is not needed.

use super::python::float;

/// The left side of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selector {
    /// A literal by its `str()`.
    Literal(String),
    /// Names of the path through the credentials.
    Path(Vec<String>),
}

impl Selector {
    /// Parses a left side; `None` if it has none of the accepted forms.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if matches!(text, "True" | "False" | "None") || is_integer(text) {
            return Some(Self::Literal(text.to_owned()));
        }
        if let Some(content) = quoted(text) {
            return Some(Self::Literal(content.to_owned()));
        }
        if let Some(value) = decimal(text) {
            return Some(Self::Literal(float(value)));
        }
        let names = text.split('.');
        let is_path = names.clone().all(is_name);
        is_path.then(|| Self::Path(names.map(str::to_owned).collect()))
    }
}

/// Returns whether this is an integer in the form of `str()`. Python has more forms, for example
/// `+1`, `0x7` and `1_000`.
fn is_integer(text: &str) -> bool {
    let number: Option<i128> = text.parse().ok();
    number.is_some_and(|number| number.to_string() == text)
}

/// Parses a quoted string without escapes and returns its content.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|first| "'\"".contains(*first))?;
    let content = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let is_plain = |letter: char| letter != quote && letter != '\\' && !letter.is_control();
    content.chars().all(is_plain).then_some(content)
}

/// Parses a float with a point or an exponent. Rust and Python round it alike; Rust's other forms
/// (`inf`, `+1.5`) are excluded.
fn decimal(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let is_float = unsigned.starts_with(|letter: char| letter.is_ascii_digit())
        && unsigned.contains(['.', 'e', 'E']);
    let value: f64 = text.parse().ok().filter(|_| is_float)?;
    value.is_finite().then_some(value)
}

/// Returns whether this is an ASCII identifier of Python. oslo.policy raises an exception for a
/// keyword.
fn is_name(text: &str) -> bool {
    let is_word = |letter: char| letter == '_' || letter.is_ascii_alphanumeric();
    text.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic())
        && text.chars().all(is_word)
        && !KEYWORDS.contains(&text)
}

/// `keyword.kwlist` of Python 3.11.
const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_what_str_shows_of_it() {
        for (text, shown) in [
            ("True", "True"),
            ("False", "False"),
            ("None", "None"),
            ("'Member'", "Member"),
            ("\"it's\"", "it's"),
            ("'größe (1) % \u{2028}'", "größe (1) % \u{2028}"),
            ("''", ""),
            ("0", "0"),
            ("-12", "-12"),
            ("18446744073709551616", "18446744073709551616"),
            ("1.5", "1.5"),
            ("-1.50", "-1.5"),
            ("7.", "7.0"),
            ("007.5", "7.5"),
            ("-0.0", "-0.0"),
            ("1e3", "1000.0"),
            ("15E-1", "1.5"),
            ("1e+16", "1e+16"),
            ("0.00001", "1e-05"),
        ] {
            let literal = Selector::Literal(shown.to_owned());
            assert_eq!(Selector::parse(text), Some(literal), "{text}");
        }
    }

    #[test]
    fn names_joined_by_dots_are_a_path() {
        for text in [
            "user_id",
            "token.project.domain.id",
            "_x1",
            "true",
            "set",
            "match",
            "Role",
            "inf",
            "nan",
        ] {
            let names = text.split('.').map(str::to_owned).collect();
            assert_eq!(Selector::parse(text), Some(Selector::Path(names)), "{text}");
        }
    }

    #[test]
    fn every_other_form_is_refused() {
        for text in [
            // Not Python.
            "",
            "class",
            "a.class",
            "a b",
            "a.",
            ".a",
            "a..b",
            "1a",
            "a!",
            "'a",
            "'a'b'",
            "'",
            "01",
            // Literals of other types.
            "[]",
            "[1,2]",
            "{}",
            "{1}",
            "set()",
            "()",
            "(1,)",
            "1,",
            "b'x'",
            "1j",
            "1+2j",
            "...",
            // Other forms of the accepted types.
            "+1",
            "-0",
            "00",
            "0x7",
            "0o7",
            "0b1",
            "1_000",
            "--1",
            "(1)",
            ".5",
            "1e999",
            "-1e999",
            "1_0.5",
            "r'x'",
            "u'x'",
            "f'x'",
            "'a''b'",
            "'''a'''",
            "'\\x41'",
            "'a\\'b'",
            "'a\nb'",
            " 'a'",
            "'a'#b",
            &"9".repeat(40),
            // Python, but no literal.
            "user-id",
            "größe",
            "1+2",
            "2**3",
            "-True",
            "f(x)",
            "a[b]",
            "not(a)",
            "(a)if(b)else(c)",
            "True.x",
            " a",
        ] {
            assert_eq!(Selector::parse(text), None, "{text}");
        }
    }
}
