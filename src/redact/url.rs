//! Masks user information in URLs, before the host's name (RFC 3986, section 3.2.1).

use super::bounds::part;
use super::escapes::{Character, character};
use super::mask::MASK;

/// Returns whether all parsers read the same host and user information from a URL. It must have a
/// scheme, two slashes and no third one, no backslash and no control character. Browsers and the
/// library used here silently repair `http:///user:password@host` and `http:\user:password@host`
/// (WHATWG's URL Standard, section 4.4). Software that does not repair them would show them
/// unmasked.
#[must_use]
pub fn is_plain_url(text: &str) -> bool {
    let text = text.trim();
    text.split_once("://")
        .is_some_and(|(_, rest)| !rest.starts_with('/'))
        && !text.contains(|c: char| c == '\\' || c.is_control())
}

/// Returns the text with user name and password of every URL masked. It includes URLs with slashes
/// escaped by JSON, percent-encoded ones, parameters of other URLs, and URLs without a scheme.
pub(super) fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut masked = String::with_capacity(text.len());
    let (mut copied, mut at, mut previous) = (0, 0, b'\n');
    while at < bytes.len() {
        let here = character(bytes, at);
        let authority = authority(bytes, at, previous);
        if let Some((from, to)) = authority.and_then(|authority| authority.user(bytes)) {
            masked.push_str(part(text, copied, from));
            masked.push_str(MASK);
            (copied, at) = (to, to);
        } else {
            at += here.length;
        }
        previous = here.byte;
    }
    masked.push_str(part(text, copied, text.len()));
    masked
}

/// The part of a URL after the two slashes.
struct Authority {
    from: usize,
    /// Number of times its slashes, and so all its separators, are percent-encoded.
    depth: usize,
    /// The byte before the slashes of a URL without a scheme.
    before: Option<u8>,
}

/// Returns the authority after the colon that begins here; without a scheme, after the slashes.
fn authority(bytes: &[u8], at: usize, previous: u8) -> Option<Authority> {
    let first = character(bytes, at);
    let (at, before) = match first.byte {
        b':' => (at + first.length, None),
        b'/' if stands_before(previous) => (at, Some(previous)),
        _ => return None,
    };
    let one = Some(character(bytes, at)).filter(|found| found.byte == b'/')?;
    let at = at + one.length;
    let other = Some(character(bytes, at)).filter(|found| found.byte == b'/')?;
    let mut from = at + other.length;
    // Libraries that ignore a third slash read what follows as the authority.
    while character(bytes, from).byte == b'/' {
        from += character(bytes, from).length;
    }
    Some(Authority {
        from,
        depth: other.depth,
        before,
    })
}

/// Returns whether the byte may precede a URL without a scheme. It excludes paths, which may
/// contain two slashes.
fn stands_before(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || matches!(
            byte,
            b'"' | b'\'' | b'`' | b'(' | b'[' | b'{' | b'<' | b'>' | b'=' | b','
        )
}

impl Authority {
    /// Returns the span of the user information, if there is some. Without a scheme it must have a
    /// password: `//me@host` is ambiguous.
    ///
    /// It extends to the last `@` before the end of the host. The slashes of a URL with equal depth
    /// end the scan of an earlier one. No byte is therefore read more often than there are depths.
    fn user(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        let (mut at, mut end) = (self.from, None);
        let mut has_password = self.before.is_none();
        let mut colon = None;
        while at < bytes.len() {
            let here = character(bytes, at);
            if self.is_over(here) {
                let begins_password = colon.is_some_and(|colon| is_no_port(bytes, colon, at));
                if end.is_none() && self.before.is_none() && begins_password {
                    end = self.late_end(bytes, at);
                }
                break;
            }
            match here.byte {
                b'@' if here.depth <= self.depth => end = Some(at),
                b':' if here.depth <= self.depth => {
                    has_password |= end.is_none();
                    colon = colon.or(Some(at + here.length));
                }
                _ => {}
            }
            at += here.length;
        }
        end.filter(|_| has_password).map(|end| (self.from, end))
    }

    /// The `@` behind a password in which there is what ends an authority: a space, which libraries take, or a slash, which they
    /// do not, so that the whole is repeated as a value of no use.
    fn late_end(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        while at < bytes.len().min(from + MAX_PASSWORD_LEN) {
            let here = character(bytes, at);
            match here.byte {
                b'@' if here.depth <= self.depth => return Some(at),
                b'\n' | b'\r' | b'"' | b'<' | b'>' => return None,
                // The next URL.
                b':' if bytes.get(at + here.length) == Some(&b'/') => return None,
                _ => at += here.length,
            }
        }
        None
    }

    fn is_over(&self, here: Character) -> bool {
        let separates = matches!(here.byte, b'/' | b'?' | b'#') || here.byte.is_ascii_whitespace();
        let ends_encoded = matches!(here.byte, b'"' | b'&' | b'<' | b'>');
        let quotes = matches!(here.byte, b'"' | b'\'' | b'`') && self.before == Some(here.byte);
        separates && here.depth <= self.depth
            || here.depth == 0 && (quotes || ends_encoded && self.depth > 0)
    }
}

/// Whether what stands behind a host's colon is none of its ports, nor a part of an address in brackets.
fn is_no_port(bytes: &[u8], from: usize, to: usize) -> bool {
    let port = bytes.get(from..to).unwrap_or_default();
    port.iter().any(|byte| !byte.is_ascii_digit()) && !port.contains(&b']')
}

/// Bytes in which the `@` behind a password is looked for.
const MAX_PASSWORD_LEN: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_password_in_any_text_is_masked(
            before in any::<String>(),
            password in "[A-Z]{9}[!-9;->A-Z]{0,9}",
            after in any::<String>(),
        ) {
            prop_assume!(!before.contains("://") && !password.contains('/') && !password.contains(['?', '#']));
            let masked = mask(&format!("{before} http://me:{password}@host/{after}"));
            prop_assert!(!masked.contains(&format!(":{password}@")), "{}", masked);
        }
    }

    #[test]
    fn a_url_that_is_read_in_two_ways_is_not_plain() {
        for text in [
            "http://u:PW@h/x",
            "https://[fd00::1]:1/a//b?c=d://e",
            " http://h ",
        ] {
            assert!(is_plain_url(text), "{text}");
        }
        for text in [
            "http:u:PW@h",
            "http:/u:PW@h",
            "http:///u:PW@h",
            r"http:\\u:PW@h",
            r"http:/\u:PW@h",
            r"http://\u:PW@h",
            "ht\ntp://u:PW@h",
            "http:/\t/u:PW@h",
            "http://\r/u:PW@h",
            "",
        ] {
            assert!(!is_plain_url(text), "{text:?}");
        }
    }

    #[test]
    fn who_asks_is_masked_in_urls() {
        assert_eq!(
            mask("http://user:p@ss@a:1/x?y=@z, https://b//c@d http://@"),
            "http://******@a:1/x?y=@z, https://b//c@d http://******@"
        );
        assert_eq!(mask("a@b"), "a@b");
        assert_eq!(
            mask("http://me:a,b,@c@one,https://me:d@two:1,http://three,http://four"),
            "http://******@one,https://******@two:1,http://three,http://four"
        );
    }

    #[test]
    fn who_asks_is_masked_in_urls_that_are_written_otherwise() {
        for (text, masked) in [
            (r"http:\/\/u:PW@h\/x@y", r"http:\/\/******@h\/x@y"),
            (r"http:\\/\\/u:PW@h\\/x", r"http:\\/\\/******@h\\/x"),
            (
                r"http\u003a\u002f\u002fu:PW@h",
                r"http\u003a\u002f\u002f******@h",
            ),
            (
                "?u=http%3A%2F%2Fu%3APW%40h%2Fx%40y",
                "?u=http%3A%2F%2F******%40h%2Fx%40y",
            ),
            (
                "http%3a%2f%2fu%3aP%2540W%40h&a=b@c",
                "http%3a%2f%2f******%40h&a=b@c",
            ),
            (
                "http%253A%252F%252Fu%253APW%2540h",
                "http%253A%252F%252F******%2540h",
            ),
            (
                "http&#58;&#x2f;&sol;u:PW&commat;h",
                "http&#58;&#x2f;&sol;******&commat;h",
            ),
            ("//u:PW@h/x", "//******@h/x"),
            ("http:///u:PW@h/x", "http:///******@h/x"),
            (r"http:\/\/\/\/u:PW@h", r"http:\/\/\/\/******@h"),
            ("a //u:PW@h", "a //******@h"),
            (r#"["//h","//u:PW@h"]"#, r#"["//h","//******@h"]"#),
            (r#""\/\/u:PW@h""#, r#""\/\/******@h""#),
            ("http://one;http://u:PW@two", "http://one;http://******@two"),
        ] {
            assert_eq!(mask(text), masked);
        }
        for (text, masked) in [
            ("http://u:my PW@h/x", "http://******@h/x"),
            ("(http://u:a\tb c@h)", "(http://******@h)"),
            (
                "not \"http://u:Ab/cd?e#f@h:1/x\"",
                "not \"http://******@h:1/x\"",
            ),
        ] {
            assert_eq!(mask(text), masked);
        }
        for text in [
            "http://h:6385 for me@example.org",
            "http://h:6385/a@b",
            "http://[fd00::1]/a@b",
            "http://h is it, me@example.org",
            "http://h:x, http://h/a@b",
            "\"http://h:x\", \"a@b\"",
            "http://h:x\nme@example.org",
            "// it is me@example.org",
            "//me@example.org",
            "/a//b:c@d",
            "http%3A%2F%2Fh%2Fa&to=me@example.org",
            "\"//h:1\", \"me@example.org\"",
        ] {
            assert_eq!(mask(text), text);
        }
    }
}
