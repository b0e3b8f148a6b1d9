//! What the machine does not tell of itself is worth a line, and none at each look: whoever may read the inventory could displace
//! the rest of the log.

use std::sync::{Mutex, PoisonError};

/// What was said last of one thing, by this process.
#[derive(Debug)]
pub(super) struct News(Mutex<Option<String>>);

impl News {
    /// Nothing was said yet.
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Whether this is something else than was said last.
    pub(super) fn are(&self, text: &str) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.as_deref() == Some(text) {
            return false;
        }
        *said = Some(text.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_again_is_no_news() {
        let news = News::new();
        let said = ["a", "a", "b", "b", "a"].map(|text| news.are(text));
        assert_eq!(said, [true, false, true, false, true]);
    }
}
