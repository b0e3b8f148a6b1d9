//! Finds YAML values in the lines after their names.

use super::bounds::byte;
use super::separators::count;

/// Returns the value in the next line; after `|` or `>`, all lines further to the right than the
/// name. `at` is the position of a value in the name's line, where none is.
pub(super) fn indented(bytes: &[u8], name: usize, at: usize) -> Option<(usize, usize)> {
    let indicator = usize::from(matches!(byte(bytes, at), b'|' | b'>'));
    let after = at + indicator;
    let after = match indicator {
        0 => after,
        _ => after + count(bytes, after, |b| matches!(b, b'+' | b'-' | b'1'..=b'9')),
    };
    let after = after + count(bytes, after, is_blank);
    let mut line = after + line_break(bytes, after)?;
    let least = indentation_of_line(bytes, name);
    let mut value: Option<(usize, usize)> = None;
    for _ in 0..MAX_LINES {
        let indentation = count(bytes, line, is_blank);
        let from = line + indentation;
        let to = end_of_line(bytes, from);
        if to > from && indentation <= least {
            break;
        }
        if to > from {
            value = Some((value.map_or(from, |(first, _)| first), to));
        }
        let next = line_break(bytes, to);
        let Some(length) = next.filter(|_| indicator == 1) else {
            break;
        };
        line = to + length;
    }
    value
}

/// Returns the indentation of the line with this position, including the dashes of lists.
fn indentation_of_line(bytes: &[u8], at: usize) -> usize {
    let begins = |from: &usize| {
        let before = bytes.get(..*from).unwrap_or_default();
        matches!(before.last(), None | Some(b'\n' | b'\r')) || before.ends_with(b"\\n")
    };
    // The `n` of an escape is part of the name.
    let line = (0..=at + 1).rev().find(begins).unwrap_or_default();
    count(bytes, line, |byte| is_blank(byte) || byte == b'-')
}

/// Returns the length of a line break, also of an escaped one in a nested text.
fn line_break(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let ends: [&[u8]; 4] = [b"\r\n", b"\n", b"\\r\\n", b"\\n"];
    let end = ends.iter().find(|end| rest.starts_with(end))?;
    Some(end.len())
}

fn end_of_line(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() && !matches!(byte(bytes, at), b'\n' | b'\r' | b'"') {
        if byte(bytes, at) == b'\\' && matches!(byte(bytes, at + 1), b'n' | b'r') {
            break;
        }
        at += 1;
    }
    at
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Maximum number of lines in a block: a longer one is no password.
const MAX_LINES: usize = 64;

#[cfg(test)]
mod tests {
    use crate::redact::redact;

    #[test]
    fn what_is_below_a_secrets_name_and_further_to_the_right_is_masked() {
        for (text, masked) in [
            ("password:\n  P W\nx: y", "password:\n  ******\nx: y"),
            (
                "password: |\n  P\n\n  W\nx: y\n  z",
                "password: |\n  ******\nx: y\n  z",
            ),
            (
                "  - token: >-\r\n      PW\r\n    x: y",
                "  - token: >-\r\n      ******\r\n    x: y",
            ),
            (
                r#"{"a": "x: 1\n  password:\n    PW\n  y: z"}"#,
                r#"{"a": "x: 1\n  password:\n    ******\n  y: z"}"#,
            ),
            ("500: password:\n PW", "500: password:\n ******"),
        ] {
            assert_eq!(redact(text), masked);
        }
        for text in [
            "password:\nx: y",
            "- password:\n  x: y",
            "the password:\n  it was refused",
            "password:\n",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
