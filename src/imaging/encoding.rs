//! Content encoding of HTTP responses (`Content-Encoding`), and decoding for small downloads.

use super::gunzip::{Gunzip, Rest};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use std::io::{self, Read};

/// Encoding of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Encoded once by gzip (RFC 1952).
    Gzip,
    /// Not encoded.
    Identity,
}

impl Encoding {
    /// Parses the encoding from the response headers; `None` for any other encoding. Names match in
    /// any case, and an empty one means no encoding.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut encoding = Self::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.to_str().ok()?.split(',') {
                match (name.trim().to_ascii_lowercase().as_str(), encoding) {
                    ("" | "identity", _) => {}
                    ("gzip" | "x-gzip", Self::Identity) => encoding = Self::Gzip,
                    _ => return None,
                }
            }
        }
        Some(encoding)
    }
}

/// Decodes gzip; `None` when the content has more than `limit` bytes. Trailing data is ignored, as
/// by requests.
pub(super) fn gunzip(encoded: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut content = Vec::new();
    let mut reader = Gunzip::new(encoded, Rest::LeftOut).take(most);
    reader.read_to_end(&mut content)?;
    Ok((content.len() <= limit).then_some(content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn names_of_encodings_count_in_any_case_and_once() {
        for (values, encoding) in [
            (&[][..], Some(Encoding::Identity)),
            (&[""], Some(Encoding::Identity)),
            (&["IdentitY, "], Some(Encoding::Identity)),
            (&["X-GZIP"], Some(Encoding::Gzip)),
            (&["identity", "gzip"], Some(Encoding::Gzip)),
            (&["gzip", "gzip"], None),
            (&["gzip, br"], None),
            (&["deflate"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(Encoding::of(&headers), encoding, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_decode_to_more_than_the_limit(
            bytes in proptest::collection::vec(any::<u8>(), 0..100), limit in 0usize..50,
        ) {
            let bytes = [&[0x1f, 0x8b][..], &[8, 0, 0, 0, 0, 0, 0, 0], &bytes].concat();
            if let Ok(Some(content)) = gunzip(&bytes, limit) {
                prop_assert!(content.len() <= limit);
            }
        }
    }
}
