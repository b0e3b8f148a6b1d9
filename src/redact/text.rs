//! A whole text, or its lines, through all that knows how secrets look.

use super::mask::MASK;
use super::{assignments, blocks, headers, url};

/// The text with every secret that can be told from its surroundings replaced by [`MASK`].
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
    // No honest text gets here, so nobody misses it.
    MASK.to_owned()
}

/// A text of lines that others wrote, each redacted for itself: what one of them leaves open, a quotation mark or a bracket, hides
/// nothing of the next. Only a private key goes over several lines.
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

/// A mask may bring together what stood apart, and so make something else look like a secret: the text is read until
/// nothing changes, but no more often than this.
const ROUNDS: usize = 8;

fn once(text: &str) -> String {
    let text = blocks::mask(text);
    let text = url::mask(&text);
    let text = assignments::mask(&text);
    headers::mask(&text)
}
