//! The mask of secrets, and its detection.

/// Replacement of a secret.
pub const MASK: &str = "******";

/// Returns whether a value is safe to show: empty, or masked already.
pub(super) fn is_masked(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'*') || value == "[redacted]"
}
