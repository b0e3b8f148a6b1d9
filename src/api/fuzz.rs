//! Fuzzes the query, the body of a command, and the responses that hyper writes.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what fuzzing finds is a panic"
)]

use super::hyper_errors;
use super::query::Query;
use super::wire::{self, MAX_VALUES_OF_USERS, RunRequest};
use hyper::Uri;
use serde_json::Value;

/// Fuzzes the query: a log shows only whether the client waits.
pub(crate) fn http_query(bytes: &[u8]) {
    let uri = [b"/v1/commands?", bytes].concat();
    let Ok(uri) = Uri::try_from(uri) else {
        return;
    };
    let query = Query::of(&uri);
    let wait = query.wait();
    let redacted = query.redacted();
    for part in redacted.split('&').filter(|part| !part.is_empty()) {
        let known = part == "***" || part == "agent_token=***" || part.starts_with("wait=");
        assert!(known && part.len() <= 16, "{redacted}");
    }
    assert!(!wait || !redacted.is_empty());
    let _ = query.token();
}

/// Fuzzes a command: its name is the same from the beginning as from the whole body, and its
/// parameters survive a round trip.
pub(crate) fn json_envelope(bytes: &[u8]) {
    hyper_errors::fuzz(bytes);
    let early = wire::name_before_the_rest(bytes);
    let Ok(request) = RunRequest::parse(bytes, MAX_VALUES_OF_USERS) else {
        return;
    };
    // If a name occurs twice, the last one counts.
    let is_once = bytes.windows(6).filter(|six| six == b"\"name\"").count() == 1;
    if let Some(early) = early.filter(|_| is_once && !bytes.contains(&b'\\')) {
        assert_eq!(early, request.name);
    }
    let params = Value::Object(request.params);
    let written = wire::json(&params).expect("JSON can be written");
    assert!(written.is_ascii());
    let read: Value = serde_json::from_slice(&written).expect("what was written");
    assert_eq!(read, params);
}
