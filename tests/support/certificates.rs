//! An authority, and what it certifies: as it should be, and not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// Somebody who certifies.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
#[derive(Debug)]
pub struct Certified {
    /// The certificate, and those that are shown beside it.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// One that nobody knows.
    pub fn create() -> Self {
        let mut params = CertificateParams::default();
        // Two authorities of one name would be one with two keys.
        let name = Uuid::new_v4().to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// The authority's own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certifies a host for as long as anybody cares.
    pub fn certify(&self, host: &str) -> Certified {
        self.certify_for_years(host, 1975, 4096)
    }

    /// The same from the first day of one year to that of another.
    pub fn certify_for_years(&self, host: &str, from: i32, until: i32) -> Certified {
        self.sign(&params_for_years(host, from, until))
    }

    /// Certifies whatever is wanted.
    pub fn sign(&self, params: &CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        Certified {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// An authority that this one certifies.
    pub fn intermediate(&self, mut params: CertificateParams) -> Self {
        let name = Uuid::new_v4().to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(params, key, &self.0).unwrap())
    }

    /// The authority itself as a server.
    pub fn as_server(&self) -> Certified {
        Certified {
            certificate: self.pem(),
            key: self.0.key().serialize_pem(),
        }
    }
}

/// A host's certificate that is valid for as long as anybody cares.
pub fn params(host: &str) -> CertificateParams {
    params_for_years(host, 1975, 4096)
}

/// The same from the first day of one year to that of another.
pub fn params_for_years(host: &str, from: i32, until: i32) -> CertificateParams {
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}

impl Certified {
    /// A host that certifies itself, until a year.
    pub fn by_itself(host: &str, until: i32, is_ca: IsCa) -> Self {
        let mut params = params_for_years(host, 1975, until);
        params.is_ca = is_ca;
        Self::self_signed(&params)
    }

    /// A host that certifies whatever is wanted of itself.
    pub fn self_signed(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A server that shows the certificate and signs by the key, whether or not they belong together.
    pub fn unmatched_server(&self) -> Arc<ServerConfig> {
        let chain = self.chain();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let key = provider().key_provider.load_private_key(key).unwrap();
        let certified = rustls::sign::CertifiedKey::new(chain, key);
        let resolver = rustls::sign::SingleCertAndKey::from(certified);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap();
        let builder = builder.with_no_client_auth();
        Arc::new(builder.with_cert_resolver(Arc::new(resolver)))
    }

    /// A server of one protocol version.
    pub fn server(&self, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        Arc::new(self.config(version, None))
    }

    /// A server that lets in only those whom an authority certifies.
    pub fn server_for(&self, authority: &Authority) -> Arc<ServerConfig> {
        Arc::new(self.config(&rustls::version::TLS13, Some(authority)))
    }

    fn config(
        &self,
        version: &'static SupportedProtocolVersion,
        clients: Option<&Authority>,
    ) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
                roots.add(root).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        builder.with_single_cert(self.chain(), key).unwrap()
    }

    /// The server's certificate and those that it shows beside it.
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.certificate.as_bytes())
            .map(Result::unwrap)
            .collect()
    }

    /// The same, with the certificate of who signed it.
    pub fn beside(mut self, issuer: &Authority) -> Self {
        self.certificate += &issuer.pem();
        self
    }

    /// The certificate's bytes.
    pub fn der(&self) -> Vec<u8> {
        self.chain()[0].to_vec()
    }

    /// Both as files.
    pub fn files(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join("client.pem"), folder.join("client.key"));
        fs::write(&certificate, &self.certificate).unwrap();
        fs::write(&key, &self.key).unwrap();
        (certificate, key)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Bytes as a PEM section.
pub fn pem(label: &str, bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line))
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}
