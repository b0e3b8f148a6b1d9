//! Finds elements of XML and HTML: `<password>hush</password>`, also with escaped brackets.

use super::bounds::{byte, part};
use super::escapes::{character, escape, escape_before};
use super::separators::count;

/// Returns the span of the text in the element with this name. It ends at the next tag, or at the
/// end of a text that was cut off. A name in brackets without a following tag is a placeholder:
/// `--token <TOKEN> [PATH]`.
pub(super) fn element(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    if !opens(bytes, start) {
        return None;
    }
    let bracket = end_of_tag(bytes, end)?;
    let from = bracket + character(bytes, bracket).length;
    if part(text, from, bytes.len()).starts_with(CDATA) {
        let from = from + CDATA.len();
        let rest = part(text, from, bytes.len());
        return Some((from, from + rest.find("]]>").unwrap_or(rest.len())));
    }
    let mut to = from;
    while to < bytes.len() && character(bytes, to).byte != b'<' {
        to += 1;
    }
    let tag = to + character(bytes, to).length;
    let is_closed = character(bytes, tag).byte == b'/';
    let is_word = !matches!(
        byte(bytes, from),
        b']' | b')' | b',' | b'.' | b'|' | ..=b' '
    );
    if is_closed {
        Some((from, to))
    } else if is_word {
        let value = bytes.get(..to)?;
        let word = count(value, from, |byte| !byte.is_ascii_whitespace());
        Some((from, from + word))
    } else {
        None
    }
}

/// Returns whether the name is that of an opening tag: directly after its bracket, or after a
/// namespace prefix with a colon.
fn opens(bytes: &[u8], start: usize) -> bool {
    let before = bytes.get(..start).unwrap_or_default();
    let is_bracket = |end: usize| {
        end.checked_sub(1).is_some_and(|at| byte(bytes, at) == b'<')
            || escape_before(bytes, end).is_some_and(|found| found.byte == b'<')
    };
    // JSON's escape is part of the name.
    let escaped = start.checked_sub(1).and_then(|at| escape(bytes, at));
    if is_bracket(start) || escaped.is_some_and(|found| found.byte == b'<') {
        return true;
    }
    let Some((b':', before)) = before.split_last() else {
        return false;
    };
    let prefix = before.iter().rev().take(MAX_PREFIX_LEN);
    let prefix = prefix.take_while(|b| b.is_ascii_alphanumeric()).count();
    is_bracket(before.len() - prefix)
}

/// Returns the position of the bracket that ends a tag's name and attributes.
fn end_of_tag(bytes: &[u8], end: usize) -> Option<usize> {
    let mut at = end;
    let has_attributes = byte(bytes, at).is_ascii_whitespace();
    while at < end + MAX_ATTRIBUTES_LEN && at < bytes.len() {
        let here = character(bytes, at);
        match here.byte {
            b'>' => return Some(at),
            b'<' => return None,
            _ if !has_attributes => return None,
            _ => at += here.length,
        }
    }
    None
}

const CDATA: &str = "<![CDATA[";
const MAX_PREFIX_LEN: usize = 32;
const MAX_ATTRIBUTES_LEN: usize = 256;

#[cfg(test)]
mod tests {
    use crate::redact::redact;

    #[test]
    fn the_text_of_an_element_with_a_secrets_name_is_masked() {
        for (text, masked) in [
            ("<password>P W</password>", "<password>******</password>"),
            (
                "<ns:token a='b'>PW</ns:token>x",
                "<ns:token a='b'>******</ns:token>x",
            ),
            (
                "<token><![CDATA[P<W]]></token> y",
                "<token><![CDATA[******]]></token> y",
            ),
            (
                "&lt;passwd&gt;P W&lt;/passwd&gt;",
                "&lt;passwd&gt;******&lt;/passwd&gt;",
            ),
            (
                r"\u003cpasswd\u003eP W\u003c/passwd\u003e",
                r"\u003cpasswd\u003e******\u003c/passwd\u003e",
            ),
            (r"<password>PW<\/password>", r"<password>******<\/password>"),
            ("<password>PW", "<password>******"),
        ] {
            assert_eq!(redact(text), masked);
        }
        for text in [
            "--token <TOKEN> --x <X>",
            "[--agent_token <TOKEN>] and",
            "<password></password>",
            "<a>token</a>",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
