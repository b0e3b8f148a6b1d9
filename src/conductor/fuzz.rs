//! Any bytes as Ironic's answers.

use super::wire;

/// Reads them as each of its documents, and as its complaint.
pub(crate) fn conductor_answer(bytes: &[u8]) {
    let _ = wire::version(bytes);
    if let Ok(answer) = wire::lookup(bytes) {
        let _ = answer.heartbeat_timeout();
    }
    let message = wire::server_message(bytes, &[]);
    assert!(!message.contains(['\n', '\r', '\u{1b}']), "{message:?}");
}
