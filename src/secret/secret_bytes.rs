//! Secret bytes in a page of their own or in the vault: read in place either way.

use super::value::Secret;
use super::vault::{Item, Vault};
use std::fmt;

/// Secret bytes, in either storage.
pub struct SecretBytes(Holder);

enum Holder {
    Own(Secret<Vec<u8>>),
    Vault(Vault, Item),
}

impl SecretBytes {
    /// Stores the bytes in a page of their own.
    #[must_use]
    pub fn own(bytes: Vec<u8>) -> Self {
        Self(Holder::Own(Secret::new(bytes)))
    }

    pub(super) fn in_vault(vault: &Vault, item: Item) -> Self {
        Self(Holder::Vault(vault.clone(), item))
    }

    /// Returns the item if it is in the vault.
    pub(super) fn item(&self) -> Option<Item> {
        match &self.0 {
            Holder::Own(_) => None,
            Holder::Vault(_, item) => Some(*item),
        }
    }

    /// Calls `look` with the bytes in place; with an empty slice after the vault was wiped. The
    /// closure must not leave a copy.
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
