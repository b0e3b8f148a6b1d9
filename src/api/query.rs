//! Query string: the two parameters of the API, and the form of it that a log may show.

use hyper::Uri;
use zeroize::Zeroizing;

/// Query of a request, still encoded.
#[derive(Clone, Copy)]
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(super) fn of(uri: &'a Uri) -> Self {
        Self(uri.query().unwrap_or_default())
    }

    /// Returns the first `agent_token`, decoded. It is wiped when dropped.
    pub(super) fn token(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.first(TOKEN)
    }

    /// Returns whether the client waits for the command's end: the first `wait`, case-insensitive.
    pub(super) fn wait(&self) -> bool {
        self.first(WAIT)
            .is_some_and(|value| value.eq_ignore_ascii_case(b"true"))
    }

    /// Returns the query for a log: the value of `wait`, and neither name nor value of unknown
    /// parameters. A mistyped name must not show the token.
    pub(super) fn redacted(&self) -> String {
        let parts: Vec<String> = self
            .parameters()
            .map(|(name, value)| match name {
                WAIT if value.len() <= "false".len() => format!("{WAIT}={value}"),
                TOKEN => format!("{TOKEN}={MASK}"),
                _ => MASK.to_owned(),
            })
            .collect();
        parts.join("&")
    }

    fn first(&self, wanted: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.parameters()
            .find(|(name, _)| decoded(name).as_slice() == wanted.as_bytes())
            .map(|(_, value)| decoded(value))
    }

    fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .split('&')
            .filter(|part| !part.is_empty())
            .map(|part| part.split_once('=').unwrap_or((part, "")))
    }
}

/// Decodes a form value as Python does: `+` is a space, and a `%` without two hex digits stays. The
/// buffer is sized once, so that no copy is left.
fn decoded(text: &str) -> Zeroizing<Vec<u8>> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        decoded.push(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match escape(*high, *low) {
                Some(byte) => {
                    rest = after;
                    byte
                }
                None => b'%',
            },
            _ => *byte,
        });
    }
    decoded
}

/// Returns the byte that `%` and two hex digits encode.
pub(super) fn escape(high: u8, low: u8) -> Option<u8> {
    Some(digit(high)? << 4 | digit(low)?)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

const MASK: &str = "***";
const TOKEN: &str = "agent_token";
const WAIT: &str = "wait";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(query: &str) -> Option<String> {
        Query(query)
            .token()
            .map(|token| String::from_utf8(token.to_vec()).unwrap())
    }

    #[test]
    fn the_first_token_counts_decoded() {
        for (query, expected) in [
            ("", None),
            ("agent_token", Some("")),
            ("agent_token=", Some("")),
            ("agent_token=a&agent_token=b", Some("a")),
            ("wait=true&agent_token=a%2Db+c", Some("a-b c")),
            ("agent%5Ftoken=a", Some("a")),
            ("agent_token=a=b", Some("a=b")),
            ("agent_token=%zz%4", Some("%zz%4")),
            ("AGENT_TOKEN=a", None),
            ("&&agent_token=a", Some("a")),
        ] {
            assert_eq!(token(query).as_deref(), expected, "{query}");
        }
    }

    #[test]
    fn wait_is_true_in_any_case_of_letters() {
        for (query, wait) in [
            ("wait=true", true),
            ("wait=True", true),
            ("wait=false&wait=true", false),
            ("wait", false),
            ("wait=1", false),
            ("", false),
        ] {
            assert_eq!(Query(query).wait(), wait, "{query}");
        }
    }

    #[test]
    fn a_log_sees_nothing_but_wait() {
        for (query, shown) in [
            ("agent_token=hush&wait=true", "agent_token=***&wait=true"),
            ("agent%5Ftoken=hush", "***"),
            ("token=hush", "***"),
            ("hush", "***"),
            ("wait=hush-hush", "***"),
            ("", ""),
        ] {
            assert_eq!(Query(query).redacted(), shown, "{query}");
        }
    }

    proptest! {
        #[test]
        fn any_query_is_read_without_a_panic(query in "[ -~]{0,64}") {
            let query = Query(&query);
            let _ = (query.token(), query.wait(), query.redacted());
        }

        #[test]
        fn an_encoded_token_comes_back(bytes: Vec<u8>) {
            let encoded: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(decoded(&encoded).to_vec(), bytes);
        }
    }
}
