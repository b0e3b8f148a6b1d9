//! Finds the end of a value: quoted at any depth, in brackets, or bare.

use super::bounds::{byte, part};
use super::escapes::{Character, escape};
use super::mask::is_masked;
use super::separators::{Form, count};

/// Returns the inside of a quoted value, from after its quote, if one begins here. Forms are `"…"`,
/// `\"…\"` (a nested text) and `b'…'`.
///
/// It ends at the matching quote, or at the end of a text that was cut off.
pub(super) fn quoted(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let prefix = usize::from(
        matches!(byte(bytes, at), b'b' | b'u' | b'B' | b'U')
            && matches!(byte(bytes, at + 1), b'"' | b'\''),
    );
    let depth = count(bytes, at + prefix, |byte| byte == b'\\');
    let from = at + prefix + depth;
    let quote = byte(bytes, from);
    if !matches!(quote, b'"' | b'\'') {
        return None;
    }
    let from = from + 1;
    Some((from, closing(bytes, from, quote, depth)))
}

/// Returns where the closing quote begins, with its backslashes.
fn closing(bytes: &[u8], from: usize, quote: u8, depth: usize) -> usize {
    let mut slashes = 0;
    for (at, found) in bytes.iter().enumerate().skip(from) {
        match *found {
            b'\\' => slashes += 1,
            found if found == quote && closes(slashes, depth) => {
                return at - slashes.min(depth);
            }
            _ => slashes = 0,
        }
    }
    bytes.len()
}

/// Returns whether a quote with these backslashes closes the value. Each level of quoting doubles
/// the backslashes before a quote and adds one.
fn closes(slashes: usize, depth: usize) -> bool {
    let outer = depth > 0 && slashes.is_multiple_of(2);
    let alike = slashes
        .checked_sub(depth)
        .is_some_and(|more| more.is_multiple_of(2 * (depth + 1)));
    outer || slashes < depth || alike
}

/// Returns the end of a bracketed value, if a bracket opens here; quotes inside are respected.
/// `Some(…)` is bracketed, too.
pub(super) fn bracketed(bytes: &[u8], at: usize) -> Option<usize> {
    let word = match byte(bytes, at) {
        b'A'..=b'Z' => count(bytes, at, |byte| byte.is_ascii_alphanumeric()),
        _ => 0,
    };
    let open = byte(bytes, at + word);
    if !(matches!(open, b'(' | b'{') || open == b'[' && word == 0) {
        return None;
    }
    let mut depth = 0_usize;
    let mut here = at + word;
    while here < bytes.len() {
        match byte(bytes, here) {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' | b'\'' => here = closing(bytes, here + 1, byte(bytes, here), 0),
            _ => {}
        }
        here += 1;
        if depth == 0 {
            break;
        }
    }
    Some(here.min(bytes.len()))
}

/// Returns the end of a bare value.
pub(super) fn bare(bytes: &[u8], at: usize, form: Form) -> usize {
    let mut end = at;
    while end < bytes.len() && !ends_bare(bytes, end, form) {
        end += 1;
    }
    trimmed(bytes, at, end)
}

fn ends_bare(bytes: &[u8], at: usize, form: Form) -> bool {
    match byte(bytes, at) {
        b'"' | b'\'' | b'`' => true,
        // An escape of another character is part of the value.
        b'&' => escape(bytes, at).is_none_or(Character::ends_parameter),
        b',' | b';' | b')' | b']' | b'}' => form == Form::Colon,
        b'\\' => match byte(bytes, at + 1) {
            b'u' => escape(bytes, at).is_none_or(Character::ends_parameter),
            next => matches!(next, b'"' | b'\'' | b'n' | b'r'),
        },
        b'%' => escape(bytes, at).is_some_and(|found| {
            found.byte == b'&' && matches!(form, Form::Encoded(depth) if found.depth <= depth)
        }),
        byte => byte.is_ascii_whitespace(),
    }
}

/// Returns the end of a bare value that is the rest of its line, as in option files.
pub(super) fn line(bytes: &[u8], at: usize) -> usize {
    let end = at + count(bytes, at, |byte| !matches!(byte, b'\n' | b'\r'));
    let blank = bytes.get(at..end).unwrap_or_default().iter().rev();
    end - blank.take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Returns the end of an unquoted `Authorization` value: the scheme's word is followed by another.
pub(super) fn credentials(text: &str, at: usize, form: Form) -> usize {
    let bytes = text.as_bytes();
    let end = bare(bytes, at, form);
    let scheme = part(text, at, end).to_ascii_lowercase();
    let next = end + count(bytes, end, |byte| byte == b' ');
    if scheme == "digest" || scheme.starts_with("aws4-") {
        let rest = count(bytes, at, |byte| !matches!(byte, b'\n' | b'\r'));
        at + rest
    } else if SCHEMES.contains(&scheme.as_str()) && next > end {
        bare(bytes, next, form)
    } else {
        end
    }
}

const SCHEMES: &[&str] = &["basic", "bearer", "negotiate", "ntlm", "token"];

/// Returns whether the value is safe to show.
pub(super) fn is_harmless(value: &str) -> bool {
    is_masked(value) || HARMLESS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Words that are never a secret; `show` ends the name of a rule (`baremetal:agent:secrets:show`).
const HARMLESS: &[&str] = &["false", "no", "none", "null", "show", "true", "yes"];

/// Returns the end without a sentence's punctuation, which is not part of the value.
fn trimmed(bytes: &[u8], from: usize, to: usize) -> usize {
    let value = bytes.get(from..to).unwrap_or_default().iter().rev();
    to - value.take_while(|byte| b",;)]}.:".contains(byte)).count()
}
