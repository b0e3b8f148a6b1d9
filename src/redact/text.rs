//! Redacts a whole text, or its lines, with all detectors.

use super::mask::MASK;
use super::{assignments, blocks, headers, url};

/// Returns the text with every secret that its surroundings reveal replaced by [`MASK`].
///
/// It takes time in proportion to the text's length. Redacting the result changes nothing.
#[must_use]
pub fn redact(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let masked = once(&text);
        if masked == text {
            return text;
        }
        text = masked;
    }
    // No legitimate text needs this many rounds.
    MASK.to_owned()
}

/// Redacts each line of untrusted text separately. An unclosed quotation mark or bracket in one
/// line hides nothing in the next. Only a private key spans several lines.
#[must_use]
pub fn redact_lines(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut in_key = false;
    for line in text.split_inclusive('\n') {
        let (content, end) = match line.strip_suffix('\n') {
            Some(content) => (content, "\n"),
            None => (line, ""),
        };
        if in_key && blocks::is_of_key(content) {
            in_key = !blocks::ends_key(content);
            redacted.push_str(MASK);
        } else {
            in_key = blocks::leaves_key_open(content);
            redacted.push_str(&redact(content));
        }
        redacted.push_str(end);
    }
    redacted
}

/// Maximum number of passes. A mask may join separate parts, so that another part looks like a
/// secret. Passes are therefore repeated until the text is stable.
const ROUNDS: usize = 8;

fn once(text: &str) -> String {
    let text = blocks::mask(text);
    let text = url::mask(&text);
    let text = assignments::mask(&text);
    headers::mask(&text)
}
