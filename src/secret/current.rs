//! The agent token that is currently valid.

use super::{AgentToken, Vault};
use std::sync::{Arc, PoisonError, RwLock};

/// The token that every command must present, if there is one; clones share it.
///
/// It changes only without an Ironic to look up. There, a command may bring what the lookup
/// response would have contained.
#[derive(Clone, Debug, Default)]
pub struct CurrentToken {
    token: Arc<RwLock<Option<Arc<AgentToken>>>>,
    /// Vault that stores a replacement, for the next agent too.
    vault: Option<Vault>,
}

impl CurrentToken {
    /// Creates it with this token, or none. A replacement stays in this process.
    #[must_use]
    pub fn new(token: Option<Arc<AgentToken>>) -> Self {
        Self {
            token: Arc::new(RwLock::new(token)),
            vault: None,
        }
    }

    /// Creates it with this token, or none. A replacement is stored in the vault, and nowhere else.
    #[must_use]
    pub fn stored_in(vault: &Vault, token: Option<Arc<AgentToken>>) -> Self {
        Self {
            vault: Some(vault.clone()),
            ..Self::new(token)
        }
    }

    /// Returns the current token.
    #[must_use]
    pub fn get(&self) -> Option<Arc<AgentToken>> {
        self.token
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Replaces the token. Earlier ones are no longer valid, not for the next agent either.
    pub fn replace(&self, token: AgentToken) {
        let mut current = self.token.write().unwrap_or_else(PoisonError::into_inner);
        let token = match &self.vault {
            Some(vault) => vault.store_token(token),
            None => token,
        };
        *current = Some(Arc::new(token));
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

    #[test]
    fn a_token_that_replaces_one_in_the_vault_is_there_in_its_place() {
        let token = |text: &str| AgentToken::from_operator(text.into()).unwrap();
        let vault = Vault::create().unwrap();
        let first = Arc::new(vault.store_token(token("first")));
        let current = CurrentToken::stored_in(&vault, Some(first));
        current.replace(token("second"));
        assert!(current.get().unwrap().matches(b"second"));
        assert!(vault.token().unwrap().matches(b"second"));
        vault.wipe();
        assert!(!current.get().unwrap().matches(b"second"));
    }
}
