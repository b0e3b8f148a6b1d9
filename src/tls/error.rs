//! Why TLS cannot be set up.

use std::path::PathBuf;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The authorities' certificates are not usable as trust anchors.
    #[error("using a certificate as a trust anchor")]
    Anchor(#[source] rustls::Error),
    /// A file's content is not what it should be.
    #[error("using {}", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<Self>,
    },
    /// A PEM text holds no readable certificate.
    #[error("reading certificates from PEM")]
    CertificatePem(#[source] rustls_pki_types::pem::Error),
    /// The automatic certificate could not be made.
    #[error("making the agent's own certificate")]
    Generate(#[source] rcgen::Error),
    /// Certificate, key or settings do not fit together.
    #[error("setting up TLS")]
    Handshake(#[source] rustls::Error),
    /// A private key is written in a way that nobody knows.
    #[error("a private key is neither PKCS #1, PKCS #8 nor SEC 1")]
    KeyForm,
    /// A PEM text holds no readable private key.
    #[error("reading a private key from PEM")]
    KeyPem(#[source] rustls_pki_types::pem::Error),
    /// A file with a certificate or a key cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: std::io::Error,
    },
    /// Every certificate in a bundle is marked as one for other uses (OpenSSL's `TRUSTED CERTIFICATE`).
    #[error("no certificate in it is trusted for servers")]
    Untrusted,
}

impl Error {
    /// The same, with the file whose content it is about.
    #[must_use]
    pub fn in_file(self, path: impl Into<PathBuf>) -> Self {
        Self::Bundle {
            path: path.into(),
            source: Box::new(self),
        }
    }
}
