//! TLS settings of every client of the agent: for Ironic's API, Keystone and image servers.
//!
//! The trust anchors are always chosen here, never by the library. A ramdisk may have no bundle,
//! and an operator's `cafile` is meant to be the only authority.

mod authorities;
mod chain;
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
use chain::ChainVerifier;
use pin::Pins;
use proxy::Proxies;
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use std::sync::Arc;
use verifier::{ServerVerifier, Trust};

/// Settings for the verification of servers, and the client's own certificate.
#[derive(Clone, Debug, Default)]
pub struct ClientOptions {
    /// Whether to accept any certificate of a server; pins still apply. For laboratories.
    pub insecure: bool,
    /// The only trusted authorities; without it, the system's.
    pub authorities: Option<Bundle>,
    /// Pins of which every server must match one, in place of a chain to an authority.
    pub pins: Option<Pins>,
    /// Certificate and key for servers that request a client certificate.
    pub identity: Option<Arc<Identity>>,
    /// Minimum protocol version.
    pub min_version: MinVersion,
    /// Allowed TLS 1.2 cipher suites; without it, all suites of the provider.
    pub cipher_suites: Option<CipherSuites>,
}

impl ClientOptions {
    /// Returns a client builder with these TLS settings, our resolver and the environment's
    /// proxies. The caller sets timeouts and redirects.
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

    /// Returns the same settings for a bare TLS connection.
    ///
    /// # Errors
    /// An [`Error`] if the authorities cannot be read, or the client's own certificate and key do
    /// not match.
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
        let trust = if self.insecure {
            if self.pins.is_none() {
                tracing::warn!(
                    "TLS servers, Ironic's API or of images, are NOT verified (insecure is set): anybody between here and them can read and change everything"
                );
            }
            Trust::Anyone
        } else {
            let authorities = match &self.authorities {
                Some(bundle) => bundle.authorities()?,
                None => Authorities::of_system(root)?,
            };
            Trust::Authorities(Box::new(ChainVerifier::new(authorities, &provider)?))
        };
        Ok(Arc::new(ServerVerifier {
            trust,
            pins: self.pins.clone(),
            algorithms: provider.signature_verification_algorithms,
        }))
    }
}
