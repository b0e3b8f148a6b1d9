//! Separators between a name and its value.

use super::bounds::byte;
use super::escapes::escape;

/// A separator between a name and its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Separator<'a> {
    /// Start of the value.
    pub(super) value: usize,
    /// The quote that closes the name, with its backslashes.
    pub(super) quote: Option<&'a [u8]>,
    pub(super) form: Form,
    /// Whether a space precedes the value.
    pub(super) spaced: bool,
}

/// Kind of separator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Colon,
    Comma,
    /// `%3D`, in a query within a query, percent-encoded this many times.
    Encoded(usize),
    Equals,
}

/// Returns the separator after a name that ends here.
pub(super) fn separator(bytes: &[u8], end: usize, in_tuple: bool) -> Option<Separator<'_>> {
    let slashes = count(bytes, end, |byte| byte == b'\\');
    let quote_at = end + slashes;
    let quoted = matches!(byte(bytes, quote_at), b'"' | b'\'');
    let (quote, mut at) = if quoted {
        (bytes.get(end..=quote_at), quote_at + 1)
    } else if slashes > 0 && escape(bytes, end).is_none() {
        return None;
    } else {
        (None, end)
    };
    // `headers["X-Auth-Token"] = …`
    if quoted && byte(bytes, at) == b']' {
        at += 1;
    }
    let before = count(bytes, at, is_blank);
    at += before;
    let (form, length) = match byte(bytes, at) {
        b'=' => (Form::Equals, count(bytes, at, |b| matches!(b, b'=' | b'>'))),
        // Neither a Rust path nor a URL's scheme.
        b':' if !matches!(byte(bytes, at + 1), b':' | b'/') => (Form::Colon, 1),
        b',' if quoted && in_tuple => (Form::Comma, 1),
        _ => {
            let equals = escape(bytes, at).filter(|found| found.byte == b'=')?;
            match equals.depth {
                0 => (Form::Equals, equals.length),
                depth => (Form::Encoded(depth), equals.length),
            }
        }
    };
    at += length;
    let after = if quoted {
        count(bytes, at, |byte| byte.is_ascii_whitespace())
    } else {
        count(bytes, at, is_blank)
    };
    let value = at + after;
    let starts_quoted = matches!(byte(bytes, value), b'"' | b'\'' | b'\\');
    // `ipa-agent-token= ipa-debug=1`: the value is empty, and the next word is another argument.
    if form == Form::Equals && before == 0 && after > 0 && !quoted && !starts_quoted {
        return None;
    }
    Some(Separator {
        value,
        quote,
        form,
        spaced: after > 0,
    })
}

/// Counts the bytes from this position on that satisfy `such`.
pub(super) fn count(bytes: &[u8], from: usize, such: impl Fn(u8) -> bool) -> usize {
    let bytes = bytes.get(from..).unwrap_or_default();
    bytes.iter().take_while(|byte| such(**byte)).count()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
