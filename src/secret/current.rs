//! The agent token that is valid now.

use super::AgentToken;
use std::sync::{Arc, PoisonError, RwLock};

/// The token that every command must show, if there is one; clones share it.
///
/// It changes only where there is no Ironic to look up: there, a command may bring what the lookup would have told.
#[derive(Clone, Debug, Default)]
pub struct CurrentToken(Arc<RwLock<Option<Arc<AgentToken>>>>);

impl CurrentToken {
    /// With this token, or none.
    #[must_use]
    pub fn new(token: Option<Arc<AgentToken>>) -> Self {
        Self(Arc::new(RwLock::new(token)))
    }

    /// The token as it is now.
    #[must_use]
    pub fn get(&self) -> Option<Arc<AgentToken>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// From now on this one.
    pub fn replace(&self, token: AgentToken) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(token));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_replaced_is_another_for_every_clone() {
        let token = |text: &str| AgentToken::from_operator(text.into()).unwrap();
        let current = CurrentToken::new(Some(Arc::new(token("first"))));
        let shared = current.clone();
        assert!(shared.get().unwrap().matches(b"first"));
        current.replace(token("second"));
        assert!(shared.get().unwrap().matches(b"second"));
        assert!(CurrentToken::default().get().is_none());
    }
}
