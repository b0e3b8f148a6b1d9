//! The agent's own certificate, kept for one boot.
//!
//! Ironic refuses a heartbeat whose certificate is another one than the first heartbeat's, until it restarts the machine. An
//! agent that was started anew must therefore show the same one. Below `/run`, which is memory and never outlives the boot,
//! lies a file that root alone can read (IPA makes a new certificate each time, and leaves its key readable by everybody).

use super::certificate::{SelfSigned, Subject};
use super::{Error, Identity, provider};
use crate::root::Root;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

impl SelfSigned {
    /// The certificate that an agent of this boot made for the same subject, else a new one, which is kept.
    ///
    /// That it cannot be kept is told, but no reason not to serve.
    ///
    /// # Errors
    /// See [`SelfSigned::generate`].
    pub fn kept(root: &Root, subject: &Subject) -> Result<Self, Error> {
        let path = path(root, subject);
        match read(&path) {
            Ok(Some(kept)) => {
                tracing::info!(path = %path.display(), "using this boot's certificate again");
                return Ok(kept);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "this boot's certificate cannot be used again");
            }
        }
        let (made, text) = Self::generate_with_text(subject)?;
        if let Err(error) = write(&path, text.as_bytes()) {
            tracing::warn!(
                path = %path.display(),
                %error,
                "the certificate cannot be kept: if the agent is started anew, Ironic will refuse its new one"
            );
        }
        Ok(made)
    }
}

/// A certificate fits the address and the curve it was made for: they name the file.
fn path(root: &Root, subject: &Subject) -> PathBuf {
    let address: String = subject
        .address
        .to_string()
        .chars()
        .map(|c| match c {
            'a'..='z' | '0'..='9' | '.' | '-' => c,
            _ => '_',
        })
        .collect();
    root.path(FOLDER)
        .join(format!("agent-{}-{address}.pem", subject.curve.name()))
}

/// `None` where nothing is kept; an error where something is that must not be used.
fn read(path: &Path) -> io::Result<Option<SelfSigned>> {
    let file = match OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.mode() & 0o077 != 0 {
        return Err(io::Error::other("others than root could have read it"));
    }
    let mut text = Zeroizing::new(Vec::with_capacity(CAPACITY));
    file.take(LIMIT).read_to_end(&mut text)?;
    usable(&text).map(Some)
}

fn usable(text: &[u8]) -> io::Result<SelfSigned> {
    let identity = Identity::from_pem(text, text).map_err(io::Error::other)?;
    // Checks that the two belong together.
    CertifiedKey::from_der(identity.chain.clone(), identity.key(), &provider())
        .map_err(io::Error::other)?;
    let end = text
        .windows(CERTIFICATE_END.len())
        .position(|window| window == CERTIFICATE_END)
        .map(|at| at + CERTIFICATE_END.len());
    let pem = end
        .and_then(|end| text.get(..end))
        .filter(|pem| CertificateDer::from_pem_slice(pem).is_ok())
        .and_then(|pem| String::from_utf8(pem.to_vec()).ok())
        .ok_or_else(|| io::Error::other("the certificate does not come first"))?;
    Ok(SelfSigned { identity, pem })
}

/// Writes all or nothing, readable by root alone from the first byte.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let unfinished = path.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text)?;
    fs::rename(&unfinished, path)
}

const FOLDER: &str = "run/ferrite";
const CERTIFICATE_END: &[u8] = b"-----END CERTIFICATE-----\n";
/// A certificate and a key of P-521 have two kilobytes.
const LIMIT: u64 = 16 * 1024;
/// Never filled, so that reading leaves no copies behind.
const CAPACITY: usize = 17 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::certificate::Curve;
    use std::time::Duration;
    use url::Host;

    fn subject(address: &str) -> Subject {
        Subject {
            address: Host::parse(address).unwrap(),
            host_name: "node-1".into(),
            curve: Curve::P256,
            allowed_clock_skew: Duration::ZERO,
            now: Duration::ZERO,
        }
    }

    #[test]
    fn an_agent_started_anew_shows_the_same_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let first = SelfSigned::kept(&root, &subject("192.0.2.1")).unwrap();
        let second = SelfSigned::kept(&root, &subject("192.0.2.1")).unwrap();
        assert_eq!(first.pem, second.pem);
        assert_eq!(first.identity.chain, second.identity.chain);
        assert_eq!(
            first.identity.key().secret_der(),
            second.identity.key().secret_der()
        );
    }

    #[test]
    fn another_address_has_another_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let first = SelfSigned::kept(&root, &subject("192.0.2.1")).unwrap();
        let second = SelfSigned::kept(&root, &subject("[fd00::1]")).unwrap();
        assert_ne!(first.pem, second.pem);
    }

    #[test]
    fn the_file_is_roots_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        SelfSigned::kept(&root, &subject("192.0.2.1")).unwrap();
        let path = root.path("run/ferrite/agent-p256-192.0.2.1.pem");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let folder = fs::metadata(root.path("run/ferrite")).unwrap();
        assert_eq!(folder.mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_that_others_could_read_or_that_is_damaged_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let wanted = subject("192.0.2.1");
        let path = path(&root, &wanted);
        let first = SelfSigned::kept(&root, &wanted).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let second = SelfSigned::kept(&root, &wanted).unwrap();
        assert_ne!(first.pem, second.pem);

        let other = SelfSigned::generate_with_text(&wanted).unwrap();
        let key = other.1.strip_prefix(&other.0.pem).unwrap();
        fs::write(&path, format!("{}{key}", second.pem)).unwrap();
        let third = SelfSigned::kept(&root, &wanted).unwrap();
        assert_ne!(second.pem, third.pem);
        fs::write(&path, "").unwrap();
        assert!(SelfSigned::kept(&root, &wanted).is_ok());
    }

    #[test]
    fn a_folder_that_cannot_be_written_does_not_stop_the_agent() {
        assert!(SelfSigned::kept(&Root::at("/proc/1"), &subject("192.0.2.1")).is_ok());
    }
}
