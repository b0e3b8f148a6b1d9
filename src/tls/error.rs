//! Errors of the TLS setup.

use std::path::PathBuf;

/// Reason why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The authorities' certificates are not usable as trust anchors.
    #[error("using a certificate as a trust anchor")]
    Anchor(#[source] rustls::Error),
    /// The content of a file is not usable.
    #[error("using {}", path.display())]
    Bundle {
        /// Path of the file.
        path: PathBuf,
        /// Error in its content.
        #[source]
        source: Box<Self>,
    },
    /// A PEM text holds no readable certificate.
    #[error("reading certificates from PEM")]
    CertificatePem(#[source] rustls_pki_types::pem::Error),
    /// The agent's own certificate cannot be generated.
    #[error("making the agent's own certificate")]
    Generate(#[source] rcgen::Error),
    /// Certificate, key or settings do not match.
    #[error("setting up TLS")]
    Handshake(#[source] rustls::Error),
    /// The encoding of a private key is not supported.
    #[error("a private key is neither PKCS #1, PKCS #8 nor SEC 1")]
    KeyForm,
    /// A PEM text holds no readable private key.
    #[error("reading a private key from PEM")]
    KeyPem(#[source] rustls_pki_types::pem::Error),
    /// A file with a certificate or a key cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of the kernel.
        #[source]
        source: std::io::Error,
    },
    /// Every certificate in a bundle is marked for other uses (OpenSSL's `TRUSTED CERTIFICATE`).
    #[error("no certificate in it is trusted for servers")]
    Untrusted,
}

impl Error {
    /// Adds the path of the file whose content caused the error.
    #[must_use]
    pub fn in_file(self, path: impl Into<PathBuf>) -> Self {
        Self::Bundle {
            path: path.into(),
            source: Box::new(self),
        }
    }
}
