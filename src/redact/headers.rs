//! Masks HTTP credentials anywhere: `Bearer …`, `Basic …` (RFC 9110, section 11.4).

use super::bounds::{byte, part};
use super::mask::{MASK, is_masked};

const SCHEMES: &[&str] = &["Bearer ", "bearer ", "BEARER ", "Basic ", "BASIC "];

/// Returns the text with the credentials after these schemes masked, except for words of a sentence
/// (`Basic authentication`).
pub(super) fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut masked = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        let Some(from) = value_after_scheme(bytes, at) else {
            at += 1;
            continue;
        };
        let length = bytes.iter().skip(from).take_while(|b| is_credential(**b));
        let to = from + length.count();
        let value = part(text, from, to);
        if !is_word(value) && !is_masked(value) {
            masked.push_str(part(text, copied, from));
            masked.push_str(MASK);
            copied = to;
        }
        at = to;
    }
    masked.push_str(part(text, copied, text.len()));
    masked
}

/// Returns where the value begins, if a scheme is at this position and begins a word.
fn value_after_scheme(bytes: &[u8], at: usize) -> Option<usize> {
    if !matches!(byte(bytes, at), b'B' | b'b') {
        return None;
    }
    let begins = at
        .checked_sub(1)
        .is_none_or(|before| !byte(bytes, before).is_ascii_alphanumeric());
    let here = bytes.get(at..).unwrap_or_default();
    let scheme = SCHEMES
        .iter()
        .find(|scheme| begins && here.starts_with(scheme.as_bytes()))?;
    let spaces = here.iter().skip(scheme.len()).take_while(|b| **b == b' ');
    Some(at + scheme.len() + spaces.count())
}

/// Returns whether the byte is allowed in RFC 9110's `token68`, or is a mask's asterisk.
fn is_credential(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=*".contains(&byte)
}

/// Returns whether the value is a word of a sentence: letters, only the first of them a capital,
/// perhaps with a full stop.
fn is_word(value: &str) -> bool {
    let letters = value.trim_end_matches('.');
    let mut rest = letters.chars();
    let first = rest.next().is_none_or(|c| c.is_ascii_alphabetic());
    first && rest.all(|c| c.is_ascii_lowercase() || c == '-') && letters.len() <= MAX_WORD_LEN
}

const MAX_WORD_LEN: usize = 20;
