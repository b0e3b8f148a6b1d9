//! Any text as what a log may show.

use super::{mask_json, one_line, redact, redact_lines};
use serde_json::Value;

/// Redacts it, whole and by lines, and as JSON: doing so once more changes nothing.
pub(crate) fn log_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let redacted = redact(&text);
    assert_eq!(redact(&redacted), redacted);
    let _ = redact_lines(&text);
    let line = one_line(&text);
    assert!(!line.contains(char::is_control), "{line:?}");
    if let Ok(mut value) = serde_json::from_slice::<Value>(bytes) {
        mask_json(&mut value);
        assert!(!mask_json(&mut value), "{value}");
    }
}
