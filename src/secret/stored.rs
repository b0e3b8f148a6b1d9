//! What an agent stores in the vault for the next: tokens, its certificate, who it is to Ironic, what virtual media said.

use super::secret_bytes::SecretBytes;
use super::token::AgentToken;
use super::vault::{Item, Vault};
use std::io;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Who the agent was to Ironic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The node.
    pub node: Uuid,
    /// Where Ironic was told to call: it refuses any other until the machine starts anew.
    pub callback_url: String,
}

/// The agent's own certificate with its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate's PEM text.
    pub certificate: String,
    /// Its key, as PKCS #8 in DER.
    pub key: SecretBytes,
}

impl Vault {
    /// The token that was settled with Ironic.
    #[must_use]
    pub fn token(&self) -> Option<AgentToken> {
        self.held(Item::Token).map(AgentToken::held)
    }

    /// Keeps the token that was settled with Ironic: the one returned has its bytes here, and nowhere else.
    pub fn store_token(&self, token: AgentToken) -> AgentToken {
        let token = self.keep_as(Item::Token, token);
        if token.item() == Some(Item::Token) {
            self.remove(Item::BootToken);
        }
        token
    }

    /// The token that the kernel's command line brought, where process 1 has covered that.
    #[must_use]
    pub fn boot_token(&self) -> Option<AgentToken> {
        self.held(Item::BootToken).map(AgentToken::held)
    }

    /// Keeps the token that the kernel's command line brought.
    pub fn store_boot_token(&self, token: AgentToken) -> AgentToken {
        self.keep_as(Item::BootToken, token)
    }

    fn keep_as(&self, item: Item, token: AgentToken) -> AgentToken {
        if token.item() == Some(item) {
            return token;
        }
        // By way of a copy: it may be here already, and what is looked at cannot be written to.
        let copy = token.expose_with(|text| Zeroizing::new(text.as_bytes().to_vec()));
        match self.write(item, &copy) {
            Ok(()) => AgentToken::held(SecretBytes::in_vault(self, item)),
            Err(error) => {
                // An earlier one is not to come back.
                self.remove(item);
                tracing::warn!(%error, "the agent token cannot be kept: if the agent is started anew, it will have none");
                token
            }
        }
    }

    /// The certificate that was made for whatever `name` says, with its key.
    #[must_use]
    pub fn identity(&self, name: &str) -> Option<Identity> {
        let certificate = self.read(Item::Certificate, |bytes| {
            let (kept, pem) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
            (kept == name).then(|| pem.to_owned())
        })?;
        Some(Identity {
            certificate,
            key: self.held(Item::Key)?,
        })
    }

    /// Keeps the certificate with its key, which is then here and nowhere else.
    ///
    /// # Errors
    /// They have no room: the key stays where it was.
    pub fn store_identity(
        &self,
        name: &str,
        made: Identity,
    ) -> Result<Identity, (Identity, io::Error)> {
        self.remove(Item::Certificate);
        let text = format!("{name}\n{}", made.certificate);
        let key = made.key.expose_with(|key| Zeroizing::new(key.to_vec()));
        let kept = self
            .write(Item::Key, &key)
            .and_then(|()| self.write(Item::Certificate, text.as_bytes()));
        match kept {
            Ok(()) => Ok(Identity {
                key: SecretBytes::in_vault(self, Item::Key),
                ..made
            }),
            Err(error) => Err((made, error)),
        }
    }

    /// Whether Ironic answered this agent's lookup, or that of an earlier one.
    #[must_use]
    pub fn knows_ironic(&self) -> bool {
        self.read(Item::Lookup, |bytes| !bytes.is_empty())
    }

    /// Keeps that Ironic answered a lookup: there is one, wherever it is.
    pub fn store_lookup(&self) {
        if let Err(error) = self.write(Item::Lookup, b"answered") {
            tracing::warn!(%error, "that Ironic answered cannot be kept");
        }
    }

    /// Who an earlier agent was to Ironic.
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        self.read(Item::Session, |bytes| {
            let (node, url) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
            Some(Session {
                node: node.parse().ok()?,
                callback_url: url.to_owned(),
            })
        })
    }

    /// Keeps who the agent is to Ironic.
    pub fn store_session(&self, session: &Session) {
        let text = format!("{}\n{}", session.node, session.callback_url);
        if let Err(error) = self.write(Item::Session, text.as_bytes()) {
            tracing::warn!(%error, "the address that Ironic was told cannot be kept");
        }
    }

    /// Does something with the text that virtual media gave an agent before this one, in its place; `None` where none was kept.
    pub fn media<R>(&self, look: impl FnOnce(&str) -> R) -> Option<R> {
        let held = self.held(Item::Media)?;
        held.expose_with(|text| std::str::from_utf8(text).ok().map(look))
    }

    /// Keeps what virtual media said, be it nothing: they may be gone, or others, when the next agent starts.
    pub fn store_media(&self, text: &str) {
        // The line break makes an empty text one that is there.
        let text = Zeroizing::new(["\n", text].concat());
        if let Err(error) = self.write(Item::Media, text.as_bytes()) {
            self.remove(Item::Media);
            tracing::warn!(%error, "what virtual media said cannot be kept: if the agent is started anew, it reads them again");
        }
    }

    fn held(&self, item: Item) -> Option<SecretBytes> {
        let is_there = self.read(item, |bytes| !bytes.is_empty());
        is_there.then(|| SecretBytes::in_vault(self, item))
    }
}

#[cfg(test)]
mod tests {
    use super::super::vault::MAX_MEDIA_BYTES;
    use super::*;

    fn token(text: &str) -> AgentToken {
        AgentToken::from_operator(text.into()).unwrap()
    }

    /// What a successor finds.
    fn next(vault: &Vault) -> Vault {
        Vault::of(vault.descriptor().try_clone_to_owned().unwrap()).unwrap()
    }

    #[test]
    fn a_successor_finds_what_was_kept() {
        let vault = Vault::create().unwrap();
        assert!(vault.token().is_none() && vault.session().is_none());
        let session = Session {
            node: Uuid::from_u128(7),
            callback_url: "https://192.0.2.1:9999".into(),
        };
        vault.store_session(&session);
        assert!(vault.store_token(token("settled")).matches(b"settled"));
        let next = next(&vault);
        assert!(next.token().unwrap().matches(b"settled"));
        assert_eq!(next.session(), Some(session));
    }

    #[test]
    fn a_settled_token_takes_the_boots_ones_place() {
        let vault = Vault::create().unwrap();
        let boot = vault.store_boot_token(token("of the boot"));
        assert!(next(&vault).boot_token().unwrap().matches(b"of the boot"));
        assert!(vault.token().is_none());
        let settled = vault.store_token(boot);
        assert!(settled.matches(b"of the boot"));
        assert!(vault.boot_token().is_none());
        // It is kept once more without being lost.
        assert!(vault.store_token(settled).matches(b"of the boot"));
    }

    #[test]
    fn a_certificate_is_found_by_whom_it_was_made_for() {
        let vault = Vault::create().unwrap();
        let made = Identity {
            certificate: "PEM\ntext\n".into(),
            key: SecretBytes::own(vec![1, 2, 3]),
        };
        let kept = vault.store_identity("192.0.2.1", made).unwrap();
        let next = next(&vault);
        assert!(next.identity("192.0.2.2").is_none());
        let found = next.identity("192.0.2.1").unwrap();
        assert_eq!(found.certificate, "PEM\ntext\n");
        assert_eq!(found.key.expose_with(<[u8]>::to_vec), [1, 2, 3]);
        // The key has no other place.
        assert_eq!(kept.key.expose_with(<[u8]>::to_vec), [1, 2, 3]);
        vault.wipe();
        assert_eq!(kept.key.expose_with(<[u8]>::to_vec), [0; 0]);
    }

    #[test]
    fn that_ironic_answered_is_found_until_the_vault_is_wiped_and_no_token_says_so() {
        let vault = Vault::create().unwrap();
        vault.store_boot_token(token("of the boot"));
        vault.store_token(token("of the operator"));
        assert!(!next(&vault).knows_ironic());
        vault.store_lookup();
        assert!(next(&vault).knows_ironic());
        vault.wipe();
        assert!(!vault.knows_ironic());
    }

    #[test]
    fn what_media_said_is_found_until_the_vault_is_wiped() {
        let vault = Vault::create().unwrap();
        assert!(vault.media(|_| ()).is_none());
        let long = "x".repeat(MAX_MEDIA_BYTES);
        for text in ["", "ipa-api-url=https://i", &long] {
            vault.store_media(text);
            let found = next(&vault).media(|text| text.trim().to_owned());
            assert_eq!(found.as_deref(), Some(text));
        }
        vault.store_media(&"x".repeat(MAX_MEDIA_BYTES + 1024));
        assert!(vault.media(|_| ()).is_none(), "too long");
        vault.store_media("a=b");
        vault.wipe();
        assert!(vault.media(|_| ()).is_none());
    }

    #[test]
    fn a_token_without_room_stays_where_it_is() {
        let vault = Vault::create().unwrap();
        let earlier = vault.store_token(token("earlier"));
        let long = "x".repeat(1025);
        let kept = vault.store_token(token(&long));
        assert!(kept.matches(long.as_bytes()) && vault.token().is_none());
        // Nobody goes back to one that another has replaced.
        assert!(!earlier.matches(b"earlier"));
    }

    #[test]
    fn debug_shows_nothing() {
        let vault = Vault::create().unwrap();
        let kept = vault.store_token(token("hush"));
        assert_eq!(
            format!("{vault:?} {kept:?}"),
            "Vault([redacted]) AgentToken([redacted])"
        );
    }
}
