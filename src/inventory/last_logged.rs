//! Suppression of repeated log messages about missing values. Every inventory would log them again,
//! so a client with read access could displace the rest of the log.

use std::sync::{Mutex, PoisonError};

/// Last logged message about one subject.
#[derive(Debug)]
pub(super) struct LastLogged(Mutex<Option<String>>);

impl LastLogged {
    /// Returns the state before any message.
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Returns whether a message differs from the last one, and stores it.
    pub(super) fn is_new(&self, text: &str) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_deref() == Some(text) {
            return false;
        }
        *last = Some(text.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_was_logged_last_is_not_new() {
        let last = LastLogged::new();
        let new = ["a", "a", "b", "b", "a"].map(|text| last.is_new(text));
        assert_eq!(new, [true, false, true, false, true]);
    }
}
