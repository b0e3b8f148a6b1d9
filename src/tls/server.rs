//! TLS settings of the agent's own HTTPS server.

use super::{CipherSuites, Error, Identity, MinVersion, provider};
use rustls::ServerConfig;
use std::sync::Arc;

/// Returns the settings of a server that presents `identity` and requests no client certificate.
/// The agent token authenticates the caller.
///
/// # Errors
/// [`Error::Handshake`] if key and certificate do not match.
pub fn server_config(
    identity: &Identity,
    min_version: MinVersion,
    cipher_suites: Option<&CipherSuites>,
) -> Result<Arc<ServerConfig>, Error> {
    let default = CipherSuites::default();
    let provider = cipher_suites.unwrap_or(&default).limit(&provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(min_version.versions())
        .map_err(Error::Handshake)?
        .with_no_client_auth()
        .with_cert_resolver(identity.certified()?);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
