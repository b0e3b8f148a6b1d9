//! JSON as Keystone speaks it: what all of it has in common, and the two documents.

pub(super) mod own;
pub(super) mod token;

use crate::redact::{mask_each_known, redact, visible};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// Whether a refusal is worded as Keystone does.
pub(super) fn is_keystones(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(rename = "error")]
        _error: Map<String, Value>,
    }
    serde_json::from_slice::<Refusal>(body).is_ok()
}

/// What a person is told of an error answer: one bounded line, in which no token and none of these secrets is repeated.
pub(super) fn server_message(body: &[u8], secrets: &[Zeroizing<String>]) -> String {
    let text = String::from_utf8_lossy(body);
    let document = serde_json::from_str::<Value>(&text).ok();
    let message = document
        .as_ref()
        .and_then(|document| document.pointer("/error/message")?.as_str());
    let message = mask_each_known(message.unwrap_or(&text), secrets);
    let line: String = redact(&message)
        .chars()
        .map(visible)
        .take(MESSAGE_MAX)
        .collect();
    line.trim().to_owned()
}

/// The third version of the API below a URL of Keystone's, of whatever version that is.
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

/// A time since 1970, from ISO 8601.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let time: Timestamp = String::deserialize(from)?
        .parse()
        .map_err(|_| de::Error::custom("no time"))?;
    Ok(time
        .duration_since(Timestamp::UNIX_EPOCH)
        .try_into()
        .unwrap_or_default())
}

/// serde's own messages quote the value they stumbled on: only the kind of fault is told.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, &'static str> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "a field is missing or of the wrong type",
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Io | serde_json::error::Category::Syntax => "it is not JSON",
    })
}

const MESSAGE_MAX: usize = 500;

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
        assert_eq!(server_message(body, &[]), "Failed to validate token");
        for other in ["", "<!doctype html>", "{}", "[]", r#"{"error": "no"}"#] {
            assert!(!is_keystones(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_message_is_one_short_line_without_secrets() {
        let body = r#"{"error": {"message": "Could not\nfind token: gAAAAcanary."}}"#;
        let message = server_message(body.as_bytes(), &[]);
        assert!(message.starts_with("Could not find") && !message.contains("canary"));
        assert_eq!(server_message(&[b'x'; 10_000], &[]).len(), MESSAGE_MAX);
    }
}
