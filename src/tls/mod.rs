//! TLS: the cryptographic provider, client and server settings, and the agent's own certificate.
//!
//! Every handshake of the agent, in either direction, is configured here.

pub mod certificate;
mod cipher_suites;
pub mod client;
mod der;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod key;
mod pem;
mod persisted;
pub mod server;
pub mod stream;

pub use cipher_suites::CipherSuites;
pub use error::Error;

use key::PrivateKey;
use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::str::FromStr;
use std::sync::Arc;

/// Returns the cryptography of every handshake: aws-lc-rs, with its post-quantum key exchange
/// first.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Minimum protocol version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

impl MinVersion {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls12 => rustls::ALL_VERSIONS,
            Self::Tls13 => ONLY_TLS13,
        }
    }
}

impl FromStr for MinVersion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            _ => Err("must be 1.2 or 1.3"),
        }
    }
}

/// Certificate chain and its private key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKey>,
}

impl Identity {
    /// Parses both from PEM text. The caller must zero the text of the key.
    ///
    /// # Errors
    /// [`Error::CertificatePem`] or [`Error::KeyPem`] if a text contains no certificate or no
    /// private key.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(Error::KeyPem)?;
        Ok(Self {
            chain,
            key: Arc::new(PrivateKey::new(key)?),
        })
    }

    /// Returns the chain and key for the TLS library; the private key stays in locked memory.
    fn certified(&self) -> Result<Arc<SingleCertAndKey>, Error> {
        key::certified(&self.chain, &self.key)
    }
}

/// Returns every certificate in a PEM text; none is an error.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = pem::certificates(pem)
        .map(|section| section.map(|section| section.certificate))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Error::CertificatePem)?;
    if found.is_empty() {
        return Err(Error::CertificatePem(
            rustls_pki_types::pem::Error::NoItemsFound,
        ));
    }
    Ok(found)
}

const ONLY_TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_certificates_is_refused() {
        assert!(matches!(
            Identity::from_pem(b"", b""),
            Err(Error::CertificatePem(_))
        ));
    }

    #[test]
    fn only_two_versions_are_known() {
        assert_eq!("1.2".parse(), Ok(MinVersion::Tls12));
        assert_eq!("1.3".parse(), Ok(MinVersion::Tls13));
        assert!("1.1".parse::<MinVersion>().is_err());
    }
}
