//! Python semantics that oslo.policy relies on: `str()` of a value, truth values, and white space.
//!
//! A value of credentials or of a target may be a list or a mapping, whose `str()` shows the
//! `repr()` of its items. The keys of a mapping have the order of `serde_json::Map`, which is
//! alphabetical.

use serde_json::{Number, Value};
use std::borrow::Cow;

/// Returns `str(value)`.
pub(super) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Null => Cow::Borrowed("None"),
        Value::Bool(true) => Cow::Borrowed("True"),
        Value::Bool(false) => Cow::Borrowed("False"),
        value => {
            let mut shown = String::new();
            represent(value, &mut shown);
            Cow::Owned(shown)
        }
    }
}

/// Appends `repr(value)`.
fn represent(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) => out.push_str(&text(value)),
        Value::Number(value) => out.push_str(&number(value)),
        Value::String(text) => quote(text, out),
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push_str(", ");
                }
                represent(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (place, (name, value)) in map.iter().enumerate() {
                if place > 0 {
                    out.push_str(", ");
                }
                quote(name, out);
                out.push_str(": ");
                represent(value, out);
            }
            out.push('}');
        }
    }
}

/// Appends `repr()` of a string: Python prefers single quotes and escapes unprintable characters
/// (`unicode_repr` of CPython).
fn quote(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for letter in text.chars() {
        let code = u32::from(letter);
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter == quote => out.extend(['\\', letter]),
            letter if is_printable(letter) => out.push(letter),
            _ if code <= 0xff => out.push_str(&format!("\\x{code:02x}")),
            _ if code <= 0xffff => out.push_str(&format!("\\u{code:04x}")),
            _ => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out.push(quote);
}

/// Returns `str.isprintable()` of one character. `escape_debug` uses the same table, but escapes
/// combining marks only at the start of a text.
fn is_printable(letter: char) -> bool {
    if letter.is_ascii() {
        return letter == ' ' || letter.is_ascii_graphic();
    }
    let mut buffer = [0; 5];
    let Some((first, rest)) = buffer.split_first_mut() else {
        return false;
    };
    *first = b'a';
    let length = letter.encode_utf8(rest).len();
    let text = buffer.get(..=length).unwrap_or_default();
    std::str::from_utf8(text).is_ok_and(|text| text.escape_debug().nth(1) == Some(letter))
}

/// Returns `str()` of a number.
fn number(number: &Number) -> String {
    if number.is_i64() || number.is_u64() {
        number.to_string()
    } else {
        float(number.as_f64().unwrap_or(f64::NAN))
    }
}

/// Returns `str()` of a finite float: the shortest digits that round-trip, with an exponent below
/// -4 and from 16 on.
pub(super) fn float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        // Whole numbers end in `.0` in Rust, too.
        _ => format!("{value:?}"),
    }
}

/// Returns the truth value of a value in Python.
pub(in crate::policy) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_true) => *is_true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Returns `str.isspace()`, which is also what `\s` matches: Unicode's white space, and the four
/// ASCII separators.
pub(super) fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_read_as_python_prints_them() {
        for (value, shown) in [
            (json!(null), "None"),
            (json!(true), "True"),
            (json!(-3), "-3"),
            (
                json!(18_446_744_073_709_551_615_u64),
                "18446744073709551615",
            ),
            (json!(1.0), "1.0"),
            (json!(-0.0), "-0.0"),
            (json!(0.0001), "0.0001"),
            (json!(0.00001), "1e-05"),
            (json!(1.5e15), "1500000000000000.0"),
            (json!(1e16), "1e+16"),
            (json!(1.25e100), "1.25e+100"),
            (json!("it's"), "it's"),
            (json!([1, "a", null, [true]]), "[1, 'a', None, [True]]"),
            (
                json!({"b": {"c": []}, "a": "x"}),
                "{'a': 'x', 'b': {'c': []}}",
            ),
            (json!(["it's", "\"", "'\""]), r#"["it's", '"', '\'"']"#),
            (
                json!(["\n\t\r\\\u{7f}\u{80}\u{ad}é\u{301}\u{2028}\u{e000}\u{1f600}"]),
                "['\\n\\t\\r\\\\\\x7f\\x80\\xadé\u{301}\\u2028\\ue000\u{1f600}']",
            ),
        ] {
            assert_eq!(text(&value), shown);
        }
    }

    #[test]
    fn spaces_are_those_of_python() {
        for letter in ['\t', '\u{1c}', '\u{1f}', '\u{85}', '\u{a0}', '\u{3000}'] {
            assert!(is_space(letter), "{letter:?}");
        }
        for letter in ['\u{1b}', '\u{200b}', '\u{180e}'] {
            assert!(!is_space(letter), "{letter:?}");
        }
    }
}
