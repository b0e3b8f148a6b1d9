//! Settings of every client the agent makes: of Ironic's API, of Keystone and of image servers.
//!
//! The roots are always ours to choose, never the library's: a ramdisk may hold no bundle, and an operator's `cafile` is
//! meant to be the only authority.

mod authorities;
mod failure;
pub mod login;
pub mod pin;
pub mod proxy;
mod verifier;

pub use authorities::Bundle;
pub use failure::RequestError;

use super::{CipherSuites, Error, Identity, MinVersion, provider};
use crate::dns::Resolver;
use crate::root::Root;
use authorities::Authorities;
use pin::{Pinned, Pins};
use proxy::Proxies;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use verifier::ServerVerifier;

/// How servers are verified and what the client shows of itself.
#[derive(Clone, Debug, Default)]
pub struct ClientOptions {
    /// Accept every server, whatever it shows. For laboratories.
    pub insecure: bool,
    /// The only authorities that are trusted; without it, the system's.
    pub authorities: Option<Bundle>,
    /// The keys of which every server must show one, in the place of a chain to an authority.
    pub pins: Option<Pins>,
    /// What the client shows when a server asks who it is.
    pub identity: Option<Arc<Identity>>,
    /// The oldest protocol version that is spoken.
    pub min_version: MinVersion,
    /// The TLS 1.2 suites that may be used; without it, all the provider has.
    pub cipher_suites: Option<CipherSuites>,
}

impl ClientOptions {
    /// A client builder with these TLS settings, our resolver and the environment's proxies; time limits and redirects are the
    /// caller's to set.
    ///
    /// # Errors
    /// See [`ClientOptions::config`].
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where clients are built: roots, versions and the resolver are set here"
    )]
    pub fn builder(&self, root: &Root) -> Result<reqwest::ClientBuilder, Error> {
        let builder = reqwest::Client::builder().tls_backend_preconfigured(self.config(root)?);
        let builder = builder.dns_resolver(Resolver::new(root));
        Ok(Proxies::of_environment().set(builder))
    }

    /// The same settings for a bare TLS connection.
    ///
    /// # Errors
    /// An [`Error`] when the authorities cannot be read or the client's own certificate and key do not fit together.
    pub fn config(&self, root: &Root) -> Result<ClientConfig, Error> {
        let provider = match &self.cipher_suites {
            Some(suites) => suites.limit(&provider()),
            None => provider(),
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(self.min_version.versions())
            .map_err(Error::Handshake)?;
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(root, provider)?);
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(identity.certified()?),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    pub(super) fn verifier(
        &self,
        root: &Root,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        let usual: Arc<dyn ServerCertVerifier> = if self.insecure {
            Arc::new(AcceptAll(provider))
        } else {
            let authorities = match &self.authorities {
                Some(bundle) => bundle.authorities()?,
                None => Authorities::of_system(root)?,
            };
            Arc::new(ServerVerifier::new(authorities, &provider)?)
        };
        match self.pins.clone() {
            Some(pins) => Ok(Arc::new(Pinned { pins, usual })),
            None if self.insecure => {
                tracing::warn!(
                    "TLS servers, Ironic's API or of images, are NOT verified (insecure is set): anybody between here and them can read and change everything"
                );
                Ok(usual)
            }
            None => Ok(usual),
        }
    }
}

/// Takes every certificate. Signatures of the handshake itself are still checked: a broken peer is told apart from a strange one.
#[derive(Debug)]
struct AcceptAll(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
