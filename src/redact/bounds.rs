//! Bounds-checked access to bytes and parts of a text.

/// Returns the byte at this position; zero outside of the text.
pub(super) fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or_default()
}

/// Returns a part of a text; its ends must be between characters.
pub(super) fn part(text: &str, from: usize, to: usize) -> &str {
    text.get(from..to).unwrap_or_default()
}
