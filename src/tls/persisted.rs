//! Stores the agent's own certificate for one boot.
//!
//! Ironic refuses a heartbeat whose certificate differs from the first heartbeat's, until it
//! restarts the machine. A restarted agent must therefore present the same certificate. It is
//! stored in the vault, which outlives the agent and is only in memory. IPA instead generates a new
//! certificate each time, and leaves its key in a world-readable file.

use super::certificate::{SelfSigned, Subject};
use super::key::PrivateKey;
use super::{Error, Identity, certificates};
use crate::secret::{self, Vault};
use std::sync::Arc;

impl SelfSigned {
    /// Loads the certificate that an agent of this boot generated for the same subject, or
    /// generates and stores a new one.
    ///
    /// A failure to store it is logged, and does not prevent the agent from serving.
    ///
    /// # Errors
    /// See [`SelfSigned::generate`].
    pub fn load_or_generate(vault: &Vault, subject: &Subject) -> Result<Self, Error> {
        let name = name(subject);
        if let Some(kept) = vault.identity(&name) {
            match Self::of(kept) {
                Ok(kept) => {
                    tracing::info!("using this boot's certificate again");
                    return Ok(kept);
                }
                Err(error) => {
                    let error = crate::error::chain(&error);
                    tracing::warn!(error, "this boot's certificate cannot be used again");
                }
            }
        }
        let Self { identity, pem } = Self::generate(subject)?;
        let Some(key) = Arc::into_inner(identity.key) else {
            // Not expected: the key was generated here and has no other owner.
            return Self::generate(subject);
        };
        let made = secret::Identity {
            certificate: pem,
            key: key.into_held(),
        };
        let kept = vault.store_identity(&name, made).unwrap_or_else(|(made, error)| {
            tracing::warn!(
                %error,
                "the certificate cannot be kept: if the agent is started anew, Ironic will refuse its new one"
            );
            made
        });
        Self::of(kept)
    }

    fn of(kept: secret::Identity) -> Result<Self, Error> {
        let identity = Identity {
            chain: certificates(kept.certificate.as_bytes())?,
            key: Arc::new(PrivateKey::pkcs8(kept.key)),
        };
        // Checks that the certificate and the key match.
        identity.certified()?;
        Ok(Self {
            identity,
            pem: kept.certificate,
        })
    }
}

/// Returns the certificate's name in the vault; a certificate fits one curve and address.
fn name(subject: &Subject) -> String {
    format!("{} {}", subject.curve.name(), subject.address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretBytes;
    use crate::tls::certificate::Curve;
    use std::time::Duration;
    use url::Host;

    fn subject(address: &str) -> Subject {
        Subject {
            address: Host::parse(address).unwrap(),
            host_name: "node-1".into(),
            curve: Curve::P256,
            allowed_clock_skew: Duration::ZERO,
            now: Duration::ZERO,
        }
    }

    fn successor(vault: &Vault) -> Vault {
        Vault::of(vault.descriptor().try_clone_to_owned().unwrap()).unwrap()
    }

    #[test]
    fn an_agent_started_anew_shows_the_same_certificate_and_has_its_key() {
        let vault = Vault::create().unwrap();
        let first = SelfSigned::load_or_generate(&vault, &subject("192.0.2.1")).unwrap();
        let second =
            SelfSigned::load_or_generate(&successor(&vault), &subject("192.0.2.1")).unwrap();
        assert_eq!(first.pem, second.pem);
        assert_eq!(first.identity.chain, second.identity.chain);
        assert!(second.identity.certified().is_ok());
    }

    #[test]
    fn another_address_has_another_certificate() {
        let vault = Vault::create().unwrap();
        let first = SelfSigned::load_or_generate(&vault, &subject("192.0.2.1")).unwrap();
        let second = SelfSigned::load_or_generate(&vault, &subject("[fd00::1]")).unwrap();
        assert_ne!(first.pem, second.pem);
    }

    #[test]
    fn a_certificate_with_anothers_key_is_not_used() {
        let vault = Vault::create().unwrap();
        let wanted = subject("192.0.2.1");
        let first = SelfSigned::load_or_generate(&vault, &wanted).unwrap();
        let other = SelfSigned::generate(&wanted).unwrap();
        let key = Arc::into_inner(other.identity.key).unwrap().into_held();
        let damaged = secret::Identity {
            certificate: first.pem.clone(),
            key: SecretBytes::own(key.expose_with(<[u8]>::to_vec)),
        };
        vault.store_identity(&name(&wanted), damaged).unwrap();
        let second = SelfSigned::load_or_generate(&vault, &wanted).unwrap();
        assert_ne!(first.pem, second.pem);
    }

    #[test]
    fn a_key_is_gone_when_the_vault_was_wiped() {
        let vault = Vault::create().unwrap();
        let made = SelfSigned::load_or_generate(&vault, &subject("192.0.2.1")).unwrap();
        vault.wipe();
        assert!(made.identity.certified().is_err());
    }
}
