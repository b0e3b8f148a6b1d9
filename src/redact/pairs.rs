//! Finds a value beside its name: `{"name": "password", "value": "hush"}`,
//! `<x name="password" value="hush"/>`.

use super::bounds::byte;
use super::separators::count;
use super::values::quoted;

/// Returns whether a member of this name has a name as its value.
pub(super) fn is_name(member: &str) -> bool {
    member.eq_ignore_ascii_case("name") || member.eq_ignore_ascii_case("key")
}

/// Returns the inside of the value that follows its name, where the name is itself the value of a
/// `name` or `key`.
pub(super) fn named_value(bytes: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let slashes = count(bytes, end, |byte| byte == b'\\');
    let quote = byte(bytes, end + slashes);
    if !matches!(quote, b'"' | b'\'') || !is_of_name(bytes, start) {
        return None;
    }
    let at = end + slashes + 1;
    let at = at + count(bytes, at, |byte| byte == b',' || byte.is_ascii_whitespace());
    let at = at + count(bytes, at, is_quoting);
    let member = bytes.get(at..at + VALUE.len())?;
    if !member.eq_ignore_ascii_case(VALUE) {
        return None;
    }
    let at = at + VALUE.len();
    let at = at + count(bytes, at, is_quoting);
    let at = at + count(bytes, at, |byte| byte.is_ascii_whitespace());
    if !matches!(byte(bytes, at), b':' | b'=') {
        return None;
    }
    let at = at + 1;
    quoted(
        bytes,
        at + count(bytes, at, |byte| byte.is_ascii_whitespace()),
    )
}

/// Returns whether `"name": "` precedes this position.
fn is_of_name(bytes: &[u8], start: usize) -> bool {
    let before = bytes.get(..start).unwrap_or_default();
    let before = trimmed(before, is_quoting);
    let before = trimmed(before, |byte| byte.is_ascii_whitespace());
    let Some((b':' | b'=', before)) = before.split_last() else {
        return false;
    };
    let before = trimmed(before, |byte| {
        is_quoting(byte) || byte.is_ascii_whitespace()
    });
    let member = before.len().saturating_sub(MAX_LEN);
    let member = before.get(member..).unwrap_or_default();
    let letters = member
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_alphanumeric());
    let from = member.len() - letters.count();
    let member = member.get(from..).unwrap_or_default();
    std::str::from_utf8(member).is_ok_and(is_name)
}

fn trimmed(bytes: &[u8], such: impl Fn(u8) -> bool) -> &[u8] {
    let trailing = bytes.iter().rev().take_while(|byte| such(**byte)).count();
    bytes.get(..bytes.len() - trailing).unwrap_or_default()
}

fn is_quoting(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'\\')
}

const VALUE: &[u8] = b"value";
/// One more than the length of the longest member that has a name.
const MAX_LEN: usize = 5;
