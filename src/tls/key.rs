//! A private key in sealed memory: opened for each handshake, for as long as its signature takes.
//!
//! The TLS library would keep a key of its own for the life of the process. Here it is handed one that holds nothing.

use super::error::Error;
use crate::secret::SecretBytes;
use rustls::SignatureAlgorithm;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use std::sync::Arc;

/// A private key. It leaves only as a signature.
#[derive(Debug)]
pub(super) struct PrivateKey {
    form: Form,
    der: SecretBytes,
}

/// How the key is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// RFC 8017.
    Pkcs1,
    /// RFC 5958.
    Pkcs8,
    /// RFC 5915.
    Sec1,
}

impl PrivateKey {
    /// Takes a key in; its bytes move into a page of their own.
    ///
    /// # Errors
    /// [`Error::KeyForm`] where the key is of none of the three forms.
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

    /// A key as PKCS #8, where it is held already.
    pub(super) fn pkcs8(der: SecretBytes) -> Self {
        Self {
            form: Form::Pkcs8,
            der,
        }
    }

    pub(super) fn into_held(self) -> SecretBytes {
        self.der
    }

    /// What the TLS library asks of a key; nothing secret is left when it is dropped.
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

/// The chain with its key, as either end of a handshake wants it.
///
/// # Errors
/// [`Error::Handshake`] where they do not belong together, or the key is of no kind that signs.
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

/// What everybody may know of a key, and where the rest is.
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
