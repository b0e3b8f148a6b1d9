//! Masks a known secret wherever a text repeats it.

use super::mask::MASK;
use std::cmp::Reverse;
use std::ops::Range;
use zeroize::Zeroizing;

/// Returns the text with a known secret masked, regardless of its name. It finds the secret
/// verbatim and in JSON, also nested JSON, whichever characters the writer escapes.
#[must_use]
pub fn mask_known(text: &str, secret: &str) -> String {
    if secret.is_empty() {
        return text.to_owned();
    }
    let mut seen = Seen::of(text);
    let mut places = seen.places_of(secret);
    for _ in 0..MAX_DEPTH {
        seen = seen.unescaped();
        places.extend(seen.places_of(secret));
    }
    places.sort_by_key(|place| (place.start, Reverse(place.end)));
    let (mut masked, mut end) = (String::with_capacity(text.len()), 0);
    for place in places {
        // A match within the previous one is part of it, or extends it.
        if place.start >= end {
            masked.push_str(text.get(end..place.start).unwrap_or_default());
            masked.push_str(MASK);
        }
        end = end.max(place.end);
    }
    masked.push_str(text.get(end..).unwrap_or_default());
    masked
}

/// Returns the text with several known secrets masked.
#[must_use]
pub fn mask_each_known(text: &str, secrets: &[Zeroizing<String>]) -> String {
    let mut secrets: Vec<_> = secrets.iter().collect();
    // The longest first: a shorter one may be a part of it.
    secrets.sort_by_key(|secret| Reverse(secret.len()));
    let text = text.to_owned();
    secrets
        .into_iter()
        .fold(text, |text, secret| mask_known(&text, secret))
}

/// A text as decoded by a JSON parser, with the source position of each byte.
struct Seen {
    text: Zeroizing<String>,
    /// Source position of each byte of `text`, and of its end.
    places: Vec<usize>,
}

impl Seen {
    fn of(text: &str) -> Self {
        Self {
            text: Zeroizing::new(text.to_owned()),
            places: (0..=text.len()).collect(),
        }
    }

    /// Decodes the JSON string that has this content.
    fn unescaped(&self) -> Self {
        // It never grows, and so leaves no copy behind.
        let mut text = Zeroizing::new(String::with_capacity(self.text.len()));
        let mut places = Vec::with_capacity(self.places.len());
        let mut at = 0;
        while let Some(rest) = self.text.get(at..)
            && let Some(first) = rest.chars().next()
        {
            let (meant, length) = escaped(rest).unwrap_or_else(|| (first, first.len_utf8()));
            text.push(meant);
            let place = self.places.get(at).copied().unwrap_or_default();
            places.resize(text.len(), place);
            at += length;
        }
        places.extend(self.places.last());
        Self { text, places }
    }

    fn places_of(&self, secret: &str) -> Vec<Range<usize>> {
        let found = self.text.match_indices(secret);
        found
            .filter_map(|(at, found)| {
                let end = self.places.get(at + found.len())?;
                Some(*self.places.get(at)?..*end)
            })
            .collect()
    }
}

/// Returns the character of a JSON escape that begins here (RFC 8259, section 7), and the escape's
/// length.
fn escaped(text: &str) -> Option<(char, usize)> {
    let meant = match text.strip_prefix('\\')?.chars().next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        same @ ('"' | '\\' | '/') => same,
        'u' => {
            let unit = unit(text)?;
            let next = text.get(UNIT..).and_then(self::unit);
            let units = std::iter::once(unit).chain(next);
            let meant = char::decode_utf16(units).next()?.ok()?;
            return Some((meant, meant.len_utf16() * UNIT));
        }
        _ => return None,
    };
    Some((meant, 2))
}

/// Decodes `\u00e4`: a UTF-16 code unit.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_digit = |byte: u8| byte.is_ascii_hexdigit();
    let digits = Some(digits).filter(|digits| digits.bytes().all(is_digit))?;
    u16::from_str_radix(digits, 16).ok()
}

/// Length of a code unit's escape.
const UNIT: usize = 6;
/// Maximum nesting: JSON within JSON within JSON.
const MAX_DEPTH: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_secret_is_masked_as_it_is_and_as_json_writes_it() {
        let secret = "Qz\"Lm\\8";
        let inner = serde_json::json!({ "faultstring": format!("bad {secret} end") });
        let outer = serde_json::json!({ "error_message": inner.to_string() });
        for (text, masked) in [
            (format!("bad {secret} end"), "bad ****** end".to_owned()),
            (
                inner.to_string(),
                r#"{"faultstring":"bad ****** end"}"#.to_owned(),
            ),
            (
                outer.to_string(),
                r#"{"error_message":"{\"faultstring\":\"bad ****** end\"}"}"#.to_owned(),
            ),
            ("nothing".to_owned(), "nothing".to_owned()),
        ] {
            assert_eq!(mask_known(&text, secret), masked);
        }
        assert_eq!(mask_known("text", ""), "text");
    }

    /// Writes a text as JSON in the way of Python, PHP or Go, or with capital digits.
    fn written(text: &str, is_escaped: impl Fn(char) -> bool, capital: bool) -> String {
        let mut json = serde_json::Value::from(text).to_string();
        for character in text.chars().filter(|c| is_escaped(*c)) {
            let mut units = [0; 2];
            let units = character.encode_utf16(&mut units).iter();
            let escape: String = match character {
                '/' => r"\/".into(),
                _ if capital => units.map(|unit| format!(r"\u{unit:04X}")).collect(),
                _ => units.map(|unit| format!(r"\u{unit:04x}")).collect(),
            };
            json = json.replace(character, &escape);
        }
        json
    }

    #[test]
    fn a_known_secret_is_masked_whichever_characters_json_escapes() {
        let secret = "S\u{e4}/&\"\\\u{1f511}9";
        type Writer = fn(char) -> bool;
        let writers: [Writer; 5] = [
            |_| false,
            |c| !c.is_ascii(),
            |c| c == '/',
            |c| matches!(c, '&' | '<' | '>'),
            |c| !c.is_ascii() || matches!(c, '/' | '&'),
        ];
        for writer in writers {
            for capital in [false, true] {
                let mut text = format!("bad {secret} end");
                let mut masked = "bad ****** end".to_owned();
                for _ in 0..=MAX_DEPTH {
                    assert_eq!(mask_known(&text, secret), masked, "{text}");
                    text = written(&text, writer, capital);
                    masked = written(&masked, writer, capital);
                }
            }
        }
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [
            r"\",
            r"\u",
            r"\u00",
            r"\u+0e4 \ud83d \udd11 \x",
            "\\u00e\u{e4}",
        ] {
            assert_eq!(mask_known(text, "\u{e4}\u{e4}"), text);
        }
        assert_eq!(
            mask_known(r"a\ud83d\ud83d\udd11b", "\u{1f511}"),
            r"a\ud83d******b"
        );
    }

    #[test]
    fn of_several_the_longest_is_masked_first() {
        let secrets = ["bc", "abcd", ""].map(|text| Zeroizing::new(text.to_owned()));
        assert_eq!(mask_each_known("abcd bc", &secrets), "****** ******");
    }
}
