//! The API's JSON, exactly as IPA serves and takes it.

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

/// A document as it is.
pub(super) fn json(value: &serde_json::Value) -> serde_json::Result<Vec<u8>> {
    json::bytes(value)
}

/// The envelope of every answer of 400 and more.
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
    // Two strings can always be written.
    .unwrap_or_default()
}
