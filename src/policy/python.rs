//! What Python makes of a value where oslo.policy takes one as text: `str()`, `repr()`, `ascii()`, and what it calls a space.
//!
//! Texts are UTF-8, but for one thing: Python's may hold half a surrogate pair, which is kept here as three bytes in the manner
//! of UTF-8 and is therefore equal to nothing a credential can say. Keys of a mapping come in the order of `serde_json::Map`,
//! which is the alphabet's.

use serde_json::{Map, Number, Value};
use std::borrow::Cow;

/// `str(value)`.
pub(super) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Null => Cow::Borrowed("None"),
        Value::Bool(true) => Cow::Borrowed("True"),
        Value::Bool(false) => Cow::Borrowed("False"),
        value => {
            let mut shown = String::new();
            represent(value, Letters::All, &mut shown);
            Cow::Owned(shown)
        }
    }
}

/// `repr(value)`, or `ascii(value)`.
pub(super) fn represent(value: &Value, letters: Letters, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(value) => out.push_str(&number(value)),
        Value::String(text) => quote(text.chars().map(u32::from), letters, out),
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push_str(", ");
                }
                represent(item, letters, out);
            }
            out.push(']');
        }
        Value::Object(map) => represent_map(map, letters, out),
    }
}

/// `repr()` of a dict.
pub(super) fn represent_map(map: &Map<String, Value>, letters: Letters, out: &mut String) {
    out.push('{');
    for (place, (name, value)) in map.iter().enumerate() {
        if place > 0 {
            out.push_str(", ");
        }
        quote(name.chars().map(u32::from), letters, out);
        out.push_str(": ");
        represent(value, letters, out);
    }
    out.push('}');
}

/// Whether letters beyond ASCII are shown as they are, as `repr()` does, or escaped, as `ascii()` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    All,
    Ascii,
}

/// `repr()` of a text: Python prefers single quotes, and escapes what cannot be printed (`unicode_repr` of CPython).
pub(super) fn quote(text: impl Iterator<Item = u32> + Clone, letters: Letters, out: &mut String) {
    let (single, double) = text.clone().fold((false, false), |(single, double), code| {
        (
            single || code == u32::from('\''),
            double || code == u32::from('"'),
        )
    });
    let quote = if single && !double { '"' } else { '\'' };
    out.push(quote);
    for code in text {
        match char::from_u32(code) {
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(letter) if letter == quote => out.extend(['\\', letter]),
            Some(letter) if letter == ' ' || letter.is_ascii_graphic() => out.push(letter),
            Some(letter)
                if !letter.is_ascii() && letters == Letters::All && is_printable(letter) =>
            {
                out.push(letter);
            }
            _ if code <= 0xff => out.push_str(&format!("\\x{code:02x}")),
            _ if code <= 0xffff => out.push_str(&format!("\\u{code:04x}")),
            _ => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out.push(quote);
}

/// `str.isprintable()` of one letter. The standard library has the same table behind `escape_debug`, which escapes marks that
/// join the letter before them only at the start of a text.
fn is_printable(letter: char) -> bool {
    let mut buffer = [0; 5];
    let Some((first, rest)) = buffer.split_first_mut() else {
        return false;
    };
    *first = b'a';
    let length = letter.encode_utf8(rest).len();
    let text = buffer.get(..=length).unwrap_or_default();
    std::str::from_utf8(text).is_ok_and(|text| text.escape_debug().nth(1) == Some(letter))
}

/// `str()` of a number.
fn number(number: &Number) -> String {
    if number.is_i64() || number.is_u64() {
        number.to_string()
    } else {
        float(number.as_f64().unwrap_or(f64::NAN))
    }
}

/// `str()` of a float: the shortest digits that mean it, with an exponent below -4 and from 16 on.
pub(super) fn float(value: f64) -> String {
    let text = shortest(value);
    if value.is_finite() && !text.contains(['.', 'e']) {
        format!("{text}.0")
    } else {
        text
    }
}

/// The same without the `.0` of whole numbers, as the parts of a complex number are shown.
pub(super) fn shortest(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => format!("{value}"),
    }
}

/// `str.isspace()`, which is also what `\s` means: Unicode's spaces, and the four separators of ASCII.
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
    fn ascii_escapes_every_other_letter() {
        let mut shown = String::new();
        represent(&json!({"é": "\u{1f600}a"}), Letters::Ascii, &mut shown);
        assert_eq!(shown, r"{'\xe9': '\U0001f600a'}");
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
