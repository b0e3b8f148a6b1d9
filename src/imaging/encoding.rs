//! What an HTTP server did to content on its way (`Content-Encoding`), and the undoing of it for small things.

use flate2::bufread::GzDecoder;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use std::io::{self, Read};

/// How content is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// By gzip (RFC 1952), once.
    Gzip,
    /// Not at all.
    Identity,
}

impl Encoding {
    /// What an answer's head says; `None` for anything else. Names count in any case, and an empty one is none.
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

/// The content of gzip, of all its members; `None` when it has more than `limit` bytes. What is behind the last member is padding
/// (gzip's manual) and left out.
pub(super) fn gunzip(mut encoded: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    for _ in 0..MOST_MEMBERS {
        let mut member = GzDecoder::new(encoded);
        let left = u64::try_from(limit - content.len()).unwrap_or(u64::MAX);
        (&mut member)
            .take(left.saturating_add(1))
            .read_to_end(&mut content)?;
        if content.len() > limit {
            return Ok(None);
        }
        encoded = member.into_inner();
        if !encoded.starts_with(MAGIC) {
            return Ok(Some(content));
        }
    }
    let why = "it has too many members";
    Err(io::Error::new(io::ErrorKind::InvalidData, why))
}

/// Those who compress by blocks have one for some tens of KiB; empty ones would cost time and come to nothing.
const MOST_MEMBERS: usize = 10_000;
const MAGIC: &[u8] = &[0x1f, 0x8b];

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

    #[test]
    fn members_without_content_come_to_an_end() {
        let empty = [
            MAGIC,
            &[8, 0, 0, 0, 0, 0, 0, 3],
            &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let some = empty.repeat(100);
        assert_eq!(gunzip(&some, 0).unwrap(), Some(vec![]));
        let error = gunzip(&empty.repeat(MOST_MEMBERS + 1), 0).unwrap_err();
        assert_eq!(error.to_string(), "it has too many members");
    }

    proptest! {
        #[test]
        fn no_bytes_decode_to_more_than_the_limit(
            bytes in proptest::collection::vec(any::<u8>(), 0..100), limit in 0usize..50,
        ) {
            let bytes = [MAGIC, &[8, 0, 0, 0, 0, 0, 0, 0], &bytes].concat();
            if let Ok(Some(content)) = gunzip(&bytes, limit) {
                prop_assert!(content.len() <= limit);
            }
        }
    }
}
