//! Fuzzes responses of image servers beside images, and Ironic's description of an image, with
//! arbitrary bytes.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what fuzzing finds is a panic"
)]

use super::checksum::{self, Algorithm};
use super::info::{Checksums, ImageInfo, Md5};
use super::{encoding, source::Source, sums};
use serde_json::Value;

/// Parses the bytes as a checksum file, as gzip, and as the target of a redirect.
pub(crate) fn image_server(bytes: &[u8]) {
    let sha256 = Algorithm::by_name("sha256").expect("a function that is known");
    for image in ["disk.img", "a%20disk%zz.img"] {
        for sum in sums::of_image(bytes, image) {
            assert!(sum.digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        }
        let checksums = Checksums {
            checksum: Some("http://h/sums".to_owned()),
            os_hash: Some(("sha256".to_owned(), "http://h/sums".to_owned())),
        };
        let expected = checksum::expected(&checksums, image, Md5::Refused, |_| Ok(bytes.to_vec()));
        if let Ok(expected) = expected {
            assert_eq!((expected.algorithm, expected.digits.len()), (sha256, 64));
        }
    }
    if let Ok(Some(content)) = encoding::gunzip(bytes, MAX_BYTES) {
        assert!(content.len() <= MAX_BYTES);
    }
    let source: Source = "http://u:hush@h/a/b".parse().expect("a URL");
    if let Ok(place) = source.join(bytes) {
        let has_host = place.url().has_host();
        assert!(has_host && matches!(place.url().scheme(), "http" | "https"));
        let _ = (place.file_name(), place.without_credentials().to_string());
        if !source.shares_credentials_with(&place) {
            assert_ne!(place.url().password(), Some("hush"), "{place}");
        }
    }
}

/// Parses the bytes as `image_info` in JSON.
pub(crate) fn image_info(bytes: &[u8]) {
    if let Ok(Value::Object(info)) = serde_json::from_slice(bytes) {
        for md5 in [Md5::Allowed, Md5::Refused] {
            if let Ok(info) = ImageInfo::parse(&info, md5) {
                assert!(!info.urls.is_empty());
                let _ = format!("{info:?}");
            }
        }
    }
}

const MAX_BYTES: usize = 100_000;
