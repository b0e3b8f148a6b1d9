//! Decodes escaped characters: percent-encoding, also several times, JSON's `\u003d` and `\/`,
//! HTML's `&#61;`.

use super::bounds::byte;

/// An ASCII character, or one byte of another character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Character {
    pub(super) byte: u8,
    /// Length of its encoded form in bytes.
    pub(super) length: usize,
    /// Number of times it is percent-encoded.
    pub(super) depth: usize,
}

impl Character {
    /// Returns whether it ends a query parameter and a quoted text.
    pub(super) fn ends_parameter(self) -> bool {
        matches!(
            self.byte,
            b'&' | b'"' | b'\'' | b'`' | b'<' | b'>' | ..=b' '
        )
    }
}

/// Returns the character that begins here, in any encoding.
pub(super) fn character(bytes: &[u8], at: usize) -> Character {
    escape(bytes, at).unwrap_or_else(|| Character {
        byte: byte(bytes, at),
        length: 1,
        depth: 0,
    })
}

/// Returns the character that begins here, if it is escaped.
pub(super) fn escape(bytes: &[u8], at: usize) -> Option<Character> {
    match byte(bytes, at) {
        b'%' => percent(bytes, at),
        b'\\' => backslashes(bytes, at),
        b'&' => entity(bytes.get(at..)?),
        _ => None,
    }
}

/// Returns the escaped character that ends here.
pub(super) fn escape_before(bytes: &[u8], end: usize) -> Option<Character> {
    (2..=MAX_LEN).find_map(|length| {
        let at = end.checked_sub(length)?;
        escape(bytes, at).filter(|found| found.length == length)
    })
}

/// Decodes `%3d`, `%253d`, `%25253d`.
fn percent(bytes: &[u8], at: usize) -> Option<Character> {
    let (mut digits, mut depth) = (at + 1, 1);
    while depth < MAX_DEPTH
        && bytes.get(digits..digits + 2) == Some(b"25")
        && pair(bytes, digits + 2).is_some()
    {
        digits += 2;
        depth += 1;
    }
    Some(Character {
        byte: pair(bytes, digits)?,
        length: digits + 2 - at,
        depth,
    })
}

/// Decodes `\u003d` and `\/`, with more backslashes in nested texts.
fn backslashes(bytes: &[u8], at: usize) -> Option<Character> {
    let run = bytes.iter().skip(at).take(MAX_BACKSLASHES);
    let after = at + run.take_while(|byte| **byte == b'\\').count();
    let (byte, end) = match byte(bytes, after) {
        b'/' => (b'/', after + 1),
        b'u' if bytes.get(after + 1..after + 3) == Some(b"00") => {
            (pair(bytes, after + 3)?, after + 5)
        }
        _ => return None,
    };
    Some(Character {
        byte,
        length: end - at,
        depth: 0,
    })
}

/// Decodes `&#61;`, `&#x3d;`, `&equals;`.
fn entity(bytes: &[u8]) -> Option<Character> {
    let length = bytes.iter().take(MAX_LEN).position(|byte| *byte == b';')? + 1;
    let name = std::str::from_utf8(bytes.get(1..length - 1)?).ok()?;
    let byte = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(digits) => u8::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        },
        None => ENTITIES.iter().find(|(known, _)| *known == name)?.1,
    };
    Some(Character {
        byte,
        length,
        depth: 0,
    })
}

/// Returns the byte of two hexadecimal digits.
fn pair(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at| char::from(byte(bytes, at)).to_digit(16);
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

/// Entities that may surround names and values.
const ENTITIES: &[(&str, u8)] = &[
    ("amp", b'&'),
    ("apos", b'\''),
    ("colon", b':'),
    ("commat", b'@'),
    ("equals", b'='),
    ("gt", b'>'),
    ("lt", b'<'),
    ("quot", b'"'),
    ("sol", b'/'),
];
const MAX_DEPTH: usize = 4;
/// One backslash after four levels of quoting.
const MAX_BACKSLASHES: usize = 8;
/// Backslashes, `u` and four digits.
const MAX_LEN: usize = MAX_BACKSLASHES + 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_known_however_it_is_written() {
        for (text, depth) in [
            ("=", 0),
            ("%3D", 1),
            ("%3d", 1),
            ("%253D", 2),
            ("%2525253d", 4),
            ("\\u003d", 0),
            ("\\\\\\u003D", 0),
            ("&#61;", 0),
            ("&#x3d;", 0),
            ("&#X003D;", 0),
            ("&equals;", 0),
        ] {
            let wanted = Character {
                byte: b'=',
                length: text.len(),
                depth,
            };
            assert_eq!(character(text.as_bytes(), 0), wanted, "{text}");
            if depth > 0 || text.len() > 1 {
                assert!(
                    escape_before(text.as_bytes(), text.len())
                        .is_some_and(|found| found.byte == b'=')
                );
            }
        }
        for text in [
            "", "%", "%3", "%zz", "\\", "\\n", "\\u1234", "&", "&x;", "&#256;",
        ] {
            assert_eq!(escape(text.as_bytes(), 0), None, "{text}");
        }
    }
}
