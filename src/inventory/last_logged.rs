//! What the machine does not tell of itself is worth a line, and none at each look: whoever may read the inventory could displace
//! the rest of the log.

use std::sync::{Mutex, PoisonError};

/// What this process logged last about one thing.
#[derive(Debug)]
pub(super) struct LastLogged(Mutex<Option<String>>);

impl LastLogged {
    /// Nothing was logged yet.
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Whether this is something else than was logged last.
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
