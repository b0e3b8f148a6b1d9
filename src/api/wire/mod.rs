//! JSON formats of the API, exactly as IPA produces and accepts them.

mod anonymous;
mod bounded;
mod command;
mod documents;
mod json;

pub(super) use command::{
    MAX_VALUES, MAX_VALUES_OF_USERS, RunRequest, command, list, name_before_the_rest,
};
pub(super) use documents::{root, status, version};

pub(super) use anonymous::{open_command, open_list};

use serde::Serialize;

/// Serializes any JSON value.
pub(super) fn json(value: &serde_json::Value) -> serde_json::Result<Vec<u8>> {
    json::bytes(value)
}

/// Serializes the envelope of an error response (400 and more).
pub(super) fn fault(servers: bool, text: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Envelope<'a> {
        faultcode: &'a str,
        faultstring: &'a str,
    }
    json::bytes(&Envelope {
        faultcode: if servers { "Server" } else { "Client" },
        faultstring: text,
    })
    // Serializing two strings cannot fail.
    .unwrap_or_default()
}
