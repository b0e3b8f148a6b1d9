//! What a secret is replaced by, and how that is told again.

/// What stands in the place of a secret.
pub const MASK: &str = "******";

/// Whether a value is fit to be seen as it is: nothing, or masked by somebody already.
pub(super) fn is_masked(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'*') || value == "[redacted]"
}
