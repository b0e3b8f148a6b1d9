//! Values with names: `name=value`, `"name": "value"`, `name: value`, `('name', 'value')`, in queries, options, JSON, Python's
//! and Rust's ways of showing things.

use super::bounds::{byte, part};
use super::mask::{MASK, is_masked};
use super::names::{is_authorization, is_secret, is_secret_in_query};
use super::separators::{Form, Separator, count, is_encoded, separator};
use super::values::{bare, bracketed, credentials, is_harmless, line, quoted};
use std::str::from_utf8;

/// The text with the value of every secret name masked.
pub(super) fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut masked = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        let end = name_end(bytes, at);
        if end == at {
            at += if is_separating(bytes, at) { 3 } else { 1 };
            continue;
        }
        at = match value_of(text, at, end) {
            Some(value) => {
                masked.push_str(part(text, copied, value.from));
                masked.push_str(value.quote);
                masked.push_str(MASK);
                masked.push_str(value.quote);
                copied = value.to;
                value.to
            }
            None => end,
        };
    }
    masked.push_str(part(text, copied, text.len()));
    masked
}

/// A secret value's place. It gets quotes where its name has some and it has none, so that JSON stays JSON.
struct Value<'a> {
    from: usize,
    to: usize,
    quote: &'a str,
}

/// The secret that the name has, if it has one that can be seen.
fn value_of(text: &str, start: usize, end: usize) -> Option<Value<'_>> {
    let bytes = text.as_bytes();
    let name = part(text, start, end);
    let in_query = is_after_query_mark(bytes, start) && is_secret_in_query(name);
    if !in_query && !is_secret(name) {
        return None;
    }
    let separator = separator(bytes, end, is_in_tuple(bytes, start))?;
    let at = separator.value;
    let quote = separator.quote.and_then(|quote| from_utf8(quote).ok());
    let quote = quote.unwrap_or_default();
    if let Some((from, to)) = quoted(bytes, at) {
        let value = Value {
            from,
            to,
            quote: "",
        };
        return Some(value).filter(|_| !is_masked(part(text, from, to)));
    }
    if part(text, at, bytes.len()).starts_with("[redacted]") || separator.form == Form::Comma {
        return None;
    }
    let brackets = bracketed(bytes, at);
    let to = match brackets {
        Some(to) => to,
        None if is_authorization(name) => credentials(text, at, separator.form),
        None if is_option_line(bytes, start, &separator) => line(bytes, at),
        None => bare(bytes, at, separator.form),
    };
    let value = part(text, at, to);
    let brackets_only = value.len() == 2 && value.starts_with(['(', '[', '{']);
    let harmless = is_harmless(value) || brackets_only;
    let prose = brackets.is_none() && is_prose(bytes, start, name, &separator, to);
    if harmless || prose {
        return None;
    }
    Some(Value {
        from: at,
        to,
        quote,
    })
}

/// The end of a name that begins here; percent-encoded characters are part of it, but not those that separate.
fn name_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        at += match byte(bytes, at) {
            b'_' | b'-' | b'.' => 1,
            byte if byte.is_ascii_alphanumeric() => 1,
            b'%' if is_hex(bytes, at + 1) && !is_separating(bytes, at) => 3,
            _ => return at,
        };
    }
}

fn is_hex(bytes: &[u8], at: usize) -> bool {
    byte(bytes, at).is_ascii_hexdigit() && byte(bytes, at + 1).is_ascii_hexdigit()
}

/// Percent-encoded: space, quotes, `&`, comma, `/`, colon, `;`, `=`, `?`, `{`, `}`.
fn is_separating(bytes: &[u8], at: usize) -> bool {
    const DIGITS: &[&[u8; 2]] = &[
        b"20", b"22", b"26", b"27", b"2c", b"2f", b"3a", b"3b", b"3d", b"3f", b"7b", b"7d",
    ];
    byte(bytes, at) == b'%' && DIGITS.iter().any(|digits| is_encoded(bytes, at, digits))
}

/// `?name`, `&name`, `&amp;name`, also percent-encoded or with JSON's escape, which is then part of the name.
fn is_after_query_mark(bytes: &[u8], start: usize) -> bool {
    let before = bytes.get(..start).unwrap_or_default();
    let encoded = start
        .checked_sub(3)
        .is_some_and(|at| is_encoded(bytes, at, b"26") || is_encoded(bytes, at, b"3f"));
    encoded || before.ends_with(b"&amp;") || matches!(before.last(), Some(b'?' | b'&' | b'\\'))
}

/// `('name`: Python's way of showing headers.
fn is_in_tuple(bytes: &[u8], start: usize) -> bool {
    let before = bytes.get(..start).unwrap_or_default();
    before.ends_with(b"('") || before.ends_with(b"(\"")
}

/// The name begins its line, as in files of options: `name = value with spaces`.
fn is_option_line(bytes: &[u8], start: usize, separator: &Separator<'_>) -> bool {
    let before = bytes.get(..start).unwrap_or_default().iter().rev();
    let mut before = before.skip_while(|byte| matches!(**byte, b' ' | b'\t'));
    let begins = matches!(before.next(), None | Some(b'\n' | b'\r'));
    begins && separator.spaced && separator.quote.is_none()
}

/// `setting the password: permission denied` is a sentence; `the password: hush` is none.
fn is_prose(
    bytes: &[u8],
    start: usize,
    name: &str,
    separator: &Separator<'_>,
    value_end: usize,
) -> bool {
    let one_word = name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let before = start.checked_sub(2).and_then(|from| bytes.get(from..start));
    let after_word =
        before.is_some_and(|two| matches!(two, [word, b' '] if word.is_ascii_alphanumeric()));
    let colon = separator.form == Form::Colon && separator.spaced && separator.quote.is_none();
    let goes_on = byte(bytes, value_end) == b' ' && count(bytes, value_end, |b| b == b' ') == 1;
    one_word && after_word && colon && goes_on
}
