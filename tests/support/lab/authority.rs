//! A certificate authority that nobody knows, and a certificate of it for the APIs at the lab's address.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::sandbox::ADDRESS;

/// The authority's certificate, and the files with what the APIs show.
#[derive(Debug)]
pub struct Authority {
    pub pem: String,
    /// The same in a file.
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn create(work: &Path) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        // OpenSSL takes a certificate whose issuer has the same name as itself for its own issuer.
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority that nobody knows");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(vec![ADDRESS.to_owned()])?.signed_by(&key, &issuer)?;
        let authority = Self {
            pem: issuer.pem(),
            authority: work.join("authority.pem"),
            certificate: work.join("api.pem"),
            key: work.join("api.key"),
        };
        fs::write(&authority.authority, &authority.pem)?;
        fs::write(&authority.certificate, certificate.pem())?;
        fs::write(&authority.key, key.serialize_pem())?;
        Ok(authority)
    }
}
