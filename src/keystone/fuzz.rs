//! Fuzzes the parsers of Keystone's responses.

use super::identity::Identity;
use super::wire::{self, auth, token};
use crate::config::Interface;
use crate::http;
use url::Url;

/// Parses the bytes as each kind of response, as an error document, and as the URL of Keystone.
pub(crate) fn keystone_answer(bytes: &[u8]) {
    let known = matches!(token::verdict(bytes), Ok(token::Verdict::Known(_)));
    assert_eq!(Identity::of_answer(bytes).is_ok(), known);
    if let Ok(made) = auth::own(bytes) {
        for region in [None, Some("RegionOne")] {
            if let Some(url) = made.endpoint(Interface::Internal, region) {
                assert!(url.has_host() && url.path().ends_with("/v3"), "{url}");
            }
        }
    }
    let _ = wire::is_keystones(bytes);
    let message = http::server_message(bytes, &[], wire::message_in);
    assert!(!message.contains(['\n', '\r', '\u{1b}']), "{message:?}");
    // The schemes that options and catalogues accept.
    let url = Url::parse(&String::from_utf8_lossy(bytes)).ok();
    if let Some(url) = url.filter(|url| matches!(url.scheme(), "http" | "https")) {
        let versioned = wire::versioned(&url);
        assert_eq!(wire::versioned(&versioned), versioned);
    }
}
