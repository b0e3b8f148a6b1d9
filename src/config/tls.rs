//! Reads the files that TLS options name.

use super::bounded_read::{read_bounded, read_bundle};
use super::{Config, KeystoneAuth};
use crate::root::Root;
use crate::tls::client::{Bundle, ClientOptions};
use crate::tls::{Error, Identity};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

impl Config {
    /// Returns the TLS settings of all clients: Ironic's API and image servers. The API's pin is
    /// separate, see [`Config::api_pin`].
    ///
    /// # Errors
    /// [`Error`] when a file cannot be read or has other content.
    pub fn tls_client(&self, root: &Root) -> Result<ClientOptions, Error> {
        let authorities = match &self.cafile {
            Some(path) => Some(bundle(root, path)?),
            None => None,
        };
        Ok(ClientOptions {
            insecure: self.insecure,
            authorities,
            pins: None,
            identity: identity(root, self.certfile.as_deref(), self.keyfile.as_deref())?
                .map(Arc::new),
            min_version: self.tls_min_version,
            cipher_suites: self.tls_cipher_suites.clone(),
        })
    }

    /// Returns whether an API URL without TLS is accepted from multicast DNS. It is not if the
    /// operator configured how the API is verified, or which certificate it is shown. Otherwise an
    /// attacker on the network could disable both.
    #[must_use]
    pub fn takes_discovered_api_in_clear(&self) -> bool {
        let verified = self.cafile.is_some() || self.certfile.is_some();
        self.api_pin.is_none() && (self.insecure || !verified)
    }

    /// Returns the operator's own certificate for the agent's API; `None` if none is configured.
    ///
    /// # Errors
    /// [`Error`] when a file cannot be read or has other content.
    pub fn tls_server(&self, root: &Root) -> Result<Option<Identity>, Error> {
        identity(
            root,
            self.tls_cert_file.as_deref(),
            self.tls_key_file.as_deref(),
        )
    }
}

impl KeystoneAuth {
    /// Returns the TLS settings of the Keystone client. They are those of all clients, except that
    /// this group may set its own authorities. The server is verified unless this group disables
    /// that: a token is worth more than an image.
    ///
    /// # Errors
    /// [`Error`] when the file cannot be read.
    pub fn tls_client(&self, every: &ClientOptions, root: &Root) -> Result<ClientOptions, Error> {
        let authorities = match &self.cafile {
            Some(path) => Some(bundle(root, path)?),
            None => every.authorities.clone(),
        };
        Ok(ClientOptions {
            insecure: self.insecure,
            authorities,
            // The pins are those of Ironic's API.
            pins: None,
            ..every.clone()
        })
    }
}

/// Reads certificate and key. Returns `None` unless both are set: one is useless without the other.
fn identity(
    root: &Root,
    certificate: Option<&Path>,
    key: Option<&Path>,
) -> Result<Option<Identity>, Error> {
    let (Some(certificate), Some(key)) = (certificate, key) else {
        return Ok(None);
    };
    let texts = (read(root, certificate)?, read(root, key)?);
    let identity = Identity::from_pem(&texts.0, &texts.1);
    identity.map(Some).map_err(|error| match error {
        Error::CertificatePem(_) => error.in_file(place(root, certificate)),
        error => error.in_file(place(root, key)),
    })
}

fn bundle(root: &Root, path: &Path) -> Result<Bundle, Error> {
    let path = place(root, path);
    match read_bundle(&path) {
        Ok(content) => Ok(Bundle::new(path, content.to_vec())),
        Err(source) => Err(Error::Read { path, source }),
    }
}

fn read(root: &Root, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let path = place(root, path);
    read_bounded(&path).map_err(|source| Error::Read { path, source })
}

fn place(root: &Root, path: &Path) -> PathBuf {
    if path.is_absolute() {
        root.path(path)
    } else {
        path.to_owned()
    }
}
