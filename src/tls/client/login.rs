//! Credentials in a URL, in the forms that a server may repeat.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;
use zeroize::Zeroizing;

/// Returns the secrets in a URL: the password as written and decoded, and the credentials of
/// `Authorization: Basic`. Returns nothing if there is no password.
#[must_use]
pub fn secrets_of(url: &Url) -> Vec<Zeroizing<String>> {
    let Some(password) = url.password().filter(|password| !password.is_empty()) else {
        return Vec::new();
    };
    let meant = bytes_of(password);
    let mut pair = bytes_of(url.username());
    pair.push(b':');
    pair.extend_from_slice(&meant);
    vec![
        Zeroizing::new(STANDARD.encode(&*pair)),
        Zeroizing::new(password.to_owned()),
        Zeroizing::new(String::from_utf8_lossy(&meant).into_owned()),
    ]
}

/// Decodes a part of a URL, which may be percent-encoded.
#[must_use]
pub fn decoded(part: &str) -> Zeroizing<String> {
    Zeroizing::new(String::from_utf8_lossy(&bytes_of(part)).into_owned())
}

fn bytes_of(text: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.split_at_checked(2).filter(|_| *first == b'%');
        let escaped = digits.and_then(|(digits, after)| {
            let digits = str::from_utf8(digits).ok()?;
            // A sign is not a digit, although `from_str_radix` accepts it.
            let are_digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let byte = u8::from_str_radix(digits, 16).ok().filter(|_| are_digits)?;
            Some((byte, after))
        });
        let (byte, after) = escaped.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_as_it_is_written_and_meant_and_shown() {
        let of = |url: &str| {
            let secrets = secrets_of(&Url::parse(url).unwrap());
            secrets
                .iter()
                .map(|text| text.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            of("http://ir%40nic:p%C3%A4%2F%zz@h/"),
            ["aXJAbmljOnDDpC8leno=", "p%C3%A4%2F%zz", "p\u{e4}/%zz"]
        );
        for url in ["http://h", "http://user@h", "http://user:@h"] {
            assert_eq!(of(url), Vec::<String>::new());
        }
    }
}
