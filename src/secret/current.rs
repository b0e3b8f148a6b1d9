//! The agent token that is valid now.

use super::{AgentToken, Vault};
use std::sync::{Arc, PoisonError, RwLock};

/// The token that every command must show, if there is one; clones share it.
///
/// It changes only where there is no Ironic to look up: there, a command may bring what the lookup would have told.
#[derive(Clone, Debug, Default)]
pub struct CurrentToken {
    token: Arc<RwLock<Option<Arc<AgentToken>>>>,
    /// Where one that replaces it is kept for the next agent, too.
    vault: Option<Vault>,
}

impl CurrentToken {
    /// With this token, or none; one that replaces it is this process's alone.
    #[must_use]
    pub fn new(token: Option<Arc<AgentToken>>) -> Self {
        Self {
            token: Arc::new(RwLock::new(token)),
            vault: None,
        }
    }

    /// The same where one that replaces it is kept in the vault, and nowhere else.
    #[must_use]
    pub fn stored_in(vault: &Vault, token: Option<Arc<AgentToken>>) -> Self {
        Self {
            vault: Some(vault.clone()),
            ..Self::new(token)
        }
    }

    /// The token as it is now.
    #[must_use]
    pub fn get(&self) -> Option<Arc<AgentToken>> {
        self.token
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// From now on this one, and none before it any more: not for the next agent either.
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
