//! Any bytes as Ironic's answers.

use super::wire;
use crate::http;

/// Reads them as each of its documents, and as its complaint.
pub(crate) fn conductor_answer(bytes: &[u8]) {
    let _ = wire::version(bytes);
    if let Ok(answer) = wire::lookup(bytes) {
        let _ = answer.heartbeat_timeout();
    }
    let message = http::server_message(bytes, &[], wire::message_in);
    assert!(!message.contains(['\n', '\r', '\u{1b}']), "{message:?}");
}
