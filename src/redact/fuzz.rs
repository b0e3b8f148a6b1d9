//! Fuzzes the redactor with arbitrary texts.

use super::{mask_json, one_line, redact, redact_lines};
use serde_json::Value;

/// Redacts the text, whole, by lines and as JSON: a second pass changes nothing.
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
