//! Settings of every client the agent makes: of Ironic's API, of Keystone and of image servers.
//!
//! The roots are always ours to choose, never the library's: a ramdisk may hold no bundle, and an operator's `cafile` is
//! meant to be the only authority.

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
