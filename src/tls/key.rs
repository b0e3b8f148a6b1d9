//! Private keys in locked memory, opened for each handshake for the time of one signature.
//!
//! The TLS library would hold its own copy of a key for the life of the process. It gets a key here
//! that holds no secret.

use super::error::Error;
use crate::secret::SecretBytes;
use rustls::SignatureAlgorithm;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use std::sync::Arc;

/// Private key; it is only used for signatures.
#[derive(Debug)]
pub(super) struct PrivateKey {
    form: Form,
    der: SecretBytes,
}

/// Encoding of a private key.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// PKCS #1 (RFC 8017).
    Pkcs1,
    /// PKCS #8 (RFC 5958).
    Pkcs8,
    /// SEC 1 (RFC 5915).
    Sec1,
}

impl PrivateKey {
    /// Takes ownership of a key; its bytes move into a page of their own.
    ///
    /// # Errors
    /// [`Error::KeyForm`] if the key has none of the three encodings.
    pub(super) fn new(key: PrivateKeyDer<'static>) -> Result<Self, Error> {
        let form = match &key {
            PrivateKeyDer::Pkcs1(_) => Form::Pkcs1,
            PrivateKeyDer::Pkcs8(_) => Form::Pkcs8,
            PrivateKeyDer::Sec1(_) => Form::Sec1,
            _ => return Err(Error::KeyForm),
        };
        let der = SecretBytes::own(key.secret_der().to_vec());
        Ok(Self { form, der })
    }

    /// Wraps a PKCS #8 key that is in locked memory already.
    pub(super) fn pkcs8(der: SecretBytes) -> Self {
        Self {
            form: Form::Pkcs8,
            der,
        }
    }

    pub(super) fn into_held(self) -> SecretBytes {
        self.der
    }

    /// Creates the library's signing key. No secret remains when it is dropped.
    fn open(&self) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        self.der.expose_with(|der| {
            any_supported_type(&match self.form {
                Form::Pkcs1 => PrivateKeyDer::Pkcs1(der.into()),
                Form::Pkcs8 => PrivateKeyDer::Pkcs8(der.into()),
                Form::Sec1 => PrivateKeyDer::Sec1(der.into()),
            })
        })
    }
}

/// Returns the chain with its key, in the form that both ends of a handshake need.
///
/// # Errors
/// [`Error::Handshake`] if they do not match, or if the key cannot sign.
pub(super) fn certified(
    chain: &[CertificateDer<'static>],
    key: &Arc<PrivateKey>,
) -> Result<Arc<SingleCertAndKey>, Error> {
    let opened = key.open().map_err(Error::Handshake)?;
    let sealed = Sealed {
        algorithm: opened.algorithm(),
        public: opened.public_key().map(|spki| spki.into_owned()),
        key: Arc::clone(key),
    };
    let certified = CertifiedKey::new(chain.to_vec(), Arc::new(sealed));
    certified.keys_match().map_err(Error::Handshake)?;
    Ok(Arc::new(certified.into()))
}

/// Public part of a key, with a reference to the private part.
#[derive(Debug)]
struct Sealed {
    algorithm: SignatureAlgorithm,
    public: Option<SubjectPublicKeyInfoDer<'static>>,
    key: Arc<PrivateKey>,
}

impl SigningKey for Sealed {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.key.open().ok()?.choose_scheme(offered)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.public.clone()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
}
