//! Trust anchors of clients: the operator's bundle, else the system's, else the built-in list.

use crate::root::Root;
use crate::tls::der::Certificate;
use crate::tls::{Error, pem};
use aws_lc_rs::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::Error as PemError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// PEM bundle of certificates, with its path for errors.
#[derive(Clone, Debug)]
pub struct Bundle {
    path: PathBuf,
    pem: Vec<u8>,
}

/// Trusted certificates.
#[derive(Clone, Debug)]
pub(super) struct Authorities {
    /// Names and keys of the authorities that may sign; may be empty. The times of their own
    /// certificates do not count (RFC 5280, section 6.1.1).
    pub(super) roots: Arc<RootCertStore>,
    /// SHA-256 hashes of the whole certificates.
    given: Vec<[u8; 32]>,
}

impl Bundle {
    /// Creates a bundle from a file's path and content.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, pem: Vec<u8>) -> Self {
        let path = path.into();
        Self { path, pem }
    }

    /// Returns the certificates in it that may vouch for servers. One that the TLS library cannot
    /// use is skipped with a warning, as long as others remain.
    pub(super) fn authorities(&self) -> Result<Authorities, Error> {
        Authorities::read(pem::certificates(&self.pem), &self.path)
            .map_err(|error| error.in_file(&self.path))
    }
}

impl Authorities {
    /// Loads the distribution's bundle, or Mozilla's list from the time when Ferrite was built.
    pub(super) fn of_system(root: &Root) -> Result<Self, Error> {
        let path = root.path(SYSTEM_BUNDLE);
        match std::fs::read(&path) {
            Ok(text) => {
                // One unreadable certificate in a bundle of a hundred must not invalidate the
                // others.
                let readable = pem::certificates(&text).filter(Result::is_ok);
                if let Ok(authorities) = Self::read(readable, &path) {
                    return Ok(authorities);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Read { path, source }),
        }
        tracing::debug!("no system bundle of authorities: using the built-in list");
        let built_in = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
        Ok(Self {
            roots: Arc::new(built_in.collect()),
            given: Vec::new(),
        })
    }

    fn read(
        sections: impl Iterator<Item = Result<pem::Section, PemError>>,
        file: &Path,
    ) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        let mut given = Vec::new();
        let mut nothing = Error::CertificatePem(PemError::NoItemsFound);
        for (index, section) in sections.enumerate() {
            let section = section.map_err(Error::CertificatePem)?;
            if !section.is_trusted_for_servers() {
                nothing = Error::Untrusted;
                continue;
            }
            // A certificate that may not sign is a server's own, and is trusted for that server
            // only.
            let may_sign = Certificate::read(&section.certificate).is_some_and(|it| it.may_sign());
            let added = match may_sign {
                true => roots.add(section.certificate.clone()),
                false => ParsedCertificate::try_from(&section.certificate).map(drop),
            };
            match added {
                Ok(()) => given.extend(sum(&section.certificate)),
                Err(error) => {
                    let number = index + 1;
                    tracing::warn!(file = %file.display(), number, %error, "an authority's certificate cannot be used");
                    nothing = Error::Anchor(error);
                }
            }
        }
        if given.is_empty() {
            return Err(nothing);
        }
        let roots = Arc::new(roots);
        Ok(Self { roots, given })
    }

    /// Returns whether exactly this certificate is trusted.
    pub(super) fn has(&self, certificate: &CertificateDer<'_>) -> bool {
        sum(certificate).is_some_and(|sum| self.given.contains(&sum))
    }
}

fn sum(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    digest(&SHA256, certificate).as_ref().try_into().ok()
}

const SYSTEM_BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
