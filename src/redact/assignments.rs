//! Masks values by their names: `name=value`, `"name": "value"`, `name: value`,
//! `('name', 'value')`. They appear in queries, options, JSON, XML and the debug formats of Python
//! and Rust.

use super::bounds::{byte, part};
use super::elements::element;
use super::escapes::{escape, escape_before};
use super::mask::{MASK, is_masked};
use super::names::{is_authorization, is_secret, is_secret_in_query};
use super::pairs::named_value;
use super::separators::{Form, Separator, count, separator};
use super::values::{bare, bracketed, credentials, is_harmless, line, quoted};
use super::yaml::indented;
use std::str::from_utf8;

/// Returns the text with the value of every secret name masked.
pub(super) fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut masked = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        let end = name_end(bytes, at);
        if end == at {
            at += separating(bytes, at).unwrap_or(1);
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

/// Span of a secret value. It gets quotes if its name has some and it has none, so that JSON stays
/// valid.
struct Value<'a> {
    from: usize,
    to: usize,
    quote: &'a str,
}

/// Returns the name's secret, if it is a secret name with a visible value.
fn value_of(text: &str, start: usize, end: usize) -> Option<Value<'_>> {
    let bytes = text.as_bytes();
    let name = part(text, start, end);
    let in_query = is_after_query_mark(bytes, start) && is_secret_in_query(name);
    if !in_query && !is_secret(name) {
        return None;
    }
    if let Some((from, to)) = named_value(bytes, start, end).or_else(|| element(text, start, end)) {
        return unquoted(text, from, to);
    }
    let separator = separator(bytes, end, is_in_tuple(bytes, start))?;
    let at = separator.value;
    let quote = separator.quote.and_then(|quote| from_utf8(quote).ok());
    let quote = quote.unwrap_or_default();
    if let Some((from, to)) = quoted(bytes, at) {
        return unquoted(text, from, to);
    }
    if separator.form == Form::Colon
        && let Some((from, to)) = indented(bytes, start, at)
    {
        let prose = is_after_word(bytes, start) && part(text, from, to).contains(' ');
        return unquoted(text, from, to).filter(|_| !prose);
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

/// Returns a value to which no quotes are added, unless it is masked already.
fn unquoted(text: &str, from: usize, to: usize) -> Option<Value<'_>> {
    let value = Value {
        from,
        to,
        quote: "",
    };
    Some(value).filter(|_| !is_masked(part(text, from, to)))
}

/// Returns the end of a name that begins here. Percent-encoded characters are part of it, except
/// for encoded separators.
fn name_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        at += match byte(bytes, at) {
            b'_' | b'-' | b'.' => 1,
            byte if byte.is_ascii_alphanumeric() => 1,
            b'%' if is_hex(bytes, at + 1) && separating(bytes, at).is_none() => 3,
            _ => return at,
        };
    }
}

fn is_hex(bytes: &[u8], at: usize) -> bool {
    byte(bytes, at).is_ascii_hexdigit() && byte(bytes, at + 1).is_ascii_hexdigit()
}

/// Returns the length of a percent-encoded separator, also of one that is encoded several times.
fn separating(bytes: &[u8], at: usize) -> Option<usize> {
    let found = escape(bytes, at).filter(|found| found.depth > 0)?;
    b" \"&',/:;=?{}"
        .contains(&found.byte)
        .then_some(found.length)
}

/// Returns whether `?` or `&` precedes the name, in any encoding. JSON's escape is part of the
/// name.
fn is_after_query_mark(bytes: &[u8], start: usize) -> bool {
    let before = bytes.get(..start).unwrap_or_default();
    matches!(before.last(), Some(b'?' | b'&' | b'\\'))
        || escape_before(bytes, start).is_some_and(|found| matches!(found.byte, b'&' | b'?'))
}

/// Returns whether the name is in a tuple, `('name`: Python's format of headers.
fn is_in_tuple(bytes: &[u8], start: usize) -> bool {
    let before = bytes.get(..start).unwrap_or_default();
    before.ends_with(b"('") || before.ends_with(b"(\"")
}

/// Returns whether the name begins its line, as in option files: `name = value with spaces`.
fn is_option_line(bytes: &[u8], start: usize, separator: &Separator<'_>) -> bool {
    let before = bytes.get(..start).unwrap_or_default().iter().rev();
    let mut before = before.skip_while(|byte| matches!(**byte, b' ' | b'\t'));
    let begins = matches!(before.next(), None | Some(b'\n' | b'\r'));
    begins && separator.spaced && separator.quote.is_none()
}

/// Returns whether the text is a sentence, such as `setting the password: permission denied`.
/// `the password: hush` is none.
fn is_prose(
    bytes: &[u8],
    start: usize,
    name: &str,
    separator: &Separator<'_>,
    value_end: usize,
) -> bool {
    let one_word = name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let colon = separator.form == Form::Colon && separator.spaced && separator.quote.is_none();
    let goes_on = byte(bytes, value_end) == b' ' && count(bytes, value_end, |b| b == b' ') == 1;
    one_word && is_after_word(bytes, start) && colon && goes_on
}

/// Returns whether a word precedes the name: `the name`.
fn is_after_word(bytes: &[u8], start: usize) -> bool {
    let before = start.checked_sub(2).and_then(|from| bytes.get(from..start));
    before.is_some_and(|two| matches!(two, [word, b' '] if word.is_ascii_alphanumeric()))
}
