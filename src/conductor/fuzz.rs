//! Fuzzes the responses of Ironic.

use super::wire;
use crate::http;

/// Parses the bytes as each of Ironic's documents, and as an error message.
pub(crate) fn conductor_answer(bytes: &[u8]) {
    let _ = wire::version(bytes);
    if let Ok(answer) = wire::lookup(bytes) {
        let _ = answer.heartbeat_timeout();
    }
    let message = http::server_message(bytes, &[], wire::message_in);
    assert!(!message.contains(['\n', '\r', '\u{1b}']), "{message:?}");
}
