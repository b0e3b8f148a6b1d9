//! Items that an agent stores in the vault for the next one: tokens, its certificate, its session
//! with Ironic, virtual media's parameters.

use super::secret_bytes::SecretBytes;
use super::token::AgentToken;
use super::vault::{Item, Vault};
use std::io;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The agent's session with Ironic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// UUID of the node.
    pub node: Uuid,
    /// Callback URL that Ironic was given. It rejects any other until the machine reboots.
    pub callback_url: String,
}

/// The agent's own certificate with its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate as PEM text.
    pub certificate: String,
    /// The key, as PKCS #8 in DER.
    pub key: SecretBytes,
}

impl Vault {
    /// Returns the token that was agreed with Ironic.
    #[must_use]
    pub fn token(&self) -> Option<AgentToken> {
        self.held(Item::Token).map(AgentToken::held)
    }

    /// Stores the token that was agreed with Ironic. The returned token has its bytes here, and
    /// nowhere else.
    pub fn store_token(&self, token: AgentToken) -> AgentToken {
        let token = self.keep_as(Item::Token, token);
        if token.item() == Some(Item::Token) {
            self.remove(Item::BootToken);
        }
        token
    }

    /// Returns the token from the kernel's command line, where PID 1 has masked it.
    #[must_use]
    pub fn boot_token(&self) -> Option<AgentToken> {
        self.held(Item::BootToken).map(AgentToken::held)
    }

    /// Stores the token from the kernel's command line.
    pub fn store_boot_token(&self, token: AgentToken) -> AgentToken {
        self.keep_as(Item::BootToken, token)
    }

    fn keep_as(&self, item: Item, token: AgentToken) -> AgentToken {
        if token.item() == Some(item) {
            return token;
        }
        // Copied first: the token may be in this vault already, which cannot be written to while it
        // is read.
        let copy = token.expose_with(|text| Zeroizing::new(text.as_bytes().to_vec()));
        match self.write(item, &copy) {
            Ok(()) => AgentToken::held(SecretBytes::in_vault(self, item)),
            Err(error) => {
                // An earlier token must not become valid again.
                self.remove(item);
                tracing::warn!(%error, "the agent token cannot be kept: if the agent is started anew, it will have none");
                token
            }
        }
    }

    /// Returns the certificate that was issued for `name`, with its key.
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

    /// Stores the certificate with its key, which is then here and nowhere else.
    ///
    /// # Errors
    /// They do not fit: the key stays where it was.
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

    /// Returns whether Ironic answered this agent's lookup, or that of an earlier one.
    #[must_use]
    pub fn knows_ironic(&self) -> bool {
        self.read(Item::Lookup, |bytes| !bytes.is_empty())
    }

    /// Stores that Ironic answered a lookup, so that one exists, at whatever address.
    pub fn store_lookup(&self) {
        if let Err(error) = self.write(Item::Lookup, b"answered") {
            tracing::warn!(%error, "that Ironic answered cannot be kept");
        }
    }

    /// Returns an earlier agent's session with Ironic.
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

    /// Stores the agent's session with Ironic.
    pub fn store_session(&self, session: &Session) {
        let text = format!("{}\n{}", session.node, session.callback_url);
        if let Err(error) = self.write(Item::Session, text.as_bytes()) {
            tracing::warn!(%error, "the address that Ironic was told cannot be kept");
        }
    }

    /// Calls `look` with the text of virtual media that an earlier agent stored, in place. Returns
    /// `None` if none was stored.
    pub fn media<R>(&self, look: impl FnOnce(&str) -> R) -> Option<R> {
        let held = self.held(Item::Media)?;
        held.expose_with(|text| std::str::from_utf8(text).ok().map(look))
    }

    /// Stores the text of virtual media, even if it is empty. When the next agent starts, the media
    /// may be gone or replaced.
    pub fn store_media(&self, text: &str) {
        // With the line break an empty text is distinct from a missing one.
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

    /// Opens the vault as the next agent does.
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
        // It is stored a second time without being lost.
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
        // The key exists in no other place.
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
        // A replaced token is not accepted.
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
