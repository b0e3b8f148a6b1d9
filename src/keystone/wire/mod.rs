//! JSON of Keystone's API: common parts, and the two documents.

pub(super) mod auth;
pub(super) mod token;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use std::time::Duration;
use url::Url;

/// Returns whether an error body has Keystone's format.
pub(super) fn is_keystones(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(rename = "error")]
        _error: Map<String, Value>,
    }
    serde_json::from_slice::<Refusal>(body).is_ok()
}

/// Returns the message of an error document.
pub(super) fn message_in(document: &Value) -> Option<String> {
    let message = document.pointer("/error/message")?;
    message.as_str().map(str::to_owned)
}

/// Returns the URL of version 3 of the API, from a URL of Keystone with any version or none.
pub(super) fn versioned(url: &Url) -> Url {
    let path = url.path().trim_end_matches('/');
    let path = ["/v3", "/v2.0"]
        .iter()
        .find_map(|version| path.strip_suffix(version))
        .unwrap_or(path);
    let path = format!("{}/v3", path.trim_end_matches('/'));
    let mut versioned = url.clone();
    versioned.set_path(&path);
    versioned.set_query(None);
    versioned.set_fragment(None);
    versioned
}

/// Deserializes an ISO 8601 time to the time since 1970.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let time: Timestamp = String::deserialize(from)?
        .parse()
        .map_err(|_| de::Error::custom("no time"))?;
    Ok(time
        .duration_since(Timestamp::UNIX_EPOCH)
        .try_into()
        .unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_url_of_keystones_leads_to_its_third_version() {
        for (url, expected) in [
            ("http://k:5000", "http://k:5000/v3"),
            ("http://k:5000/", "http://k:5000/v3"),
            ("http://k:5000/v3", "http://k:5000/v3"),
            ("http://k:5000/v3/", "http://k:5000/v3"),
            ("http://k:5000/v2.0", "http://k:5000/v3"),
            ("https://k/identity", "https://k/identity/v3"),
            ("https://k/identity/v3/", "https://k/identity/v3"),
        ] {
            assert_eq!(versioned(&Url::parse(url).unwrap()).as_str(), expected);
        }
    }

    #[test]
    fn keystones_own_refusals_are_told_from_others() {
        let body =
            br#"{"error":{"code":404,"message":"Failed to validate token","title":"Not Found"}}"#;
        assert!(is_keystones(body));
        let document = serde_json::from_slice(body).unwrap();
        assert_eq!(
            message_in(&document).as_deref(),
            Some("Failed to validate token")
        );
        for other in ["", "<!doctype html>", "{}", "[]", r#"{"error": "no"}"#] {
            assert!(!is_keystones(other.as_bytes()), "{other}");
        }
    }
}
