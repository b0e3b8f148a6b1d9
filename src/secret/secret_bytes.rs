//! A secret that is in a page of its own, or in the vault: read in place either way.

use super::value::Secret;
use super::vault::{Item, Vault};
use std::fmt;

/// Secret bytes, wherever they are held.
pub struct SecretBytes(Holder);

enum Holder {
    Own(Secret<Vec<u8>>),
    Vault(Vault, Item),
}

impl SecretBytes {
    /// In a page of its own.
    #[must_use]
    pub fn own(bytes: Vec<u8>) -> Self {
        Self(Holder::Own(Secret::new(bytes)))
    }

    pub(super) fn in_vault(vault: &Vault, item: Item) -> Self {
        Self(Holder::Vault(vault.clone(), item))
    }

    /// The vault's item that this is.
    pub(super) fn item(&self) -> Option<Item> {
        match &self.0 {
            Holder::Own(_) => None,
            Holder::Vault(_, item) => Some(*item),
        }
    }

    /// Does something with the bytes in their place; with none when the vault was wiped. No copy may outlive it.
    pub fn expose_with<R>(&self, look: impl FnOnce(&[u8]) -> R) -> R {
        match &self.0 {
            Holder::Own(secret) => look(secret.expose()),
            Holder::Vault(vault, item) => vault.read(*item, look),
        }
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_bytes() {
        let held = SecretBytes::own(b"hush".to_vec());
        assert_eq!(format!("{held:?}"), "[redacted]");
    }
}
