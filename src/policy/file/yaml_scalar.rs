//! Types of plain scalars in `yaml.safe_load`: YAML 1.1 takes some for numbers, dates and booleans.

use saphyr_parser::ScalarStyle;

/// Returns whether a scalar is null.
pub(super) fn is_null(text: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Returns the type of a plain scalar in YAML 1.1; `None` for a text.
pub(super) fn type_of(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    match lower.as_str() {
        "" | "~" | "null" => return Some("nothing"),
        "yes" | "no" | "true" | "false" | "on" | "off" => return Some("a truth value"),
        "=" | "<<" => return Some("a sign of YAML's own"),
        ".inf" | "+.inf" | "-.inf" | ".nan" => return Some("a number"),
        _ => {}
    }
    let unsigned = lower.strip_prefix(['-', '+']).unwrap_or(&lower);
    let starts_as_number = unsigned
        .trim_start_matches('.')
        .starts_with(|letter: char| letter.is_ascii_digit());
    if !starts_as_number {
        return None;
    }
    let only = |letters: &str| unsigned.chars().all(|letter| letters.contains(letter));
    let is_radix = ["0x", "0b", "0o"].iter().any(|prefix| {
        unsigned.strip_prefix(prefix).is_some_and(|digits| {
            digits
                .chars()
                .all(|digit| digit == '_' || digit.is_ascii_hexdigit())
        })
    });
    let date = unsigned.get(..10).filter(|_| only("0123456789_-:.tz +"));
    if date.is_some_and(|date| date.split('-').map(str::len).eq([4, 2, 2])) {
        return Some("a date");
    }
    (is_radix || only("0123456789_.:e+-")).then_some("a number")
}
