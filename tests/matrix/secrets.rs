//! The secrets that a conductor trusts an agent with, made anew for each run, and keys of certificates.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair};

use support::lab::process::{program, run};
use support::scan::Needle;

/// Of one run.
pub(crate) struct Secrets {
    /// As Ironic makes them.
    pub(crate) token: String,
    /// For the image server.
    pub(crate) password: String,
    /// The value of a header for it.
    pub(crate) authorization: String,
    /// A file of the config drive holds it.
    pub(crate) drive: String,
}

impl Secrets {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            token: random()?,
            password: random()?,
            authorization: format!("Bearer {}", random()?),
            drive: random()?,
        })
    }

    /// All of them, in each form in which they are sent, and what the program itself holds: who does not find that finds nothing.
    pub(crate) fn needles(&self) -> Vec<Needle> {
        let encoded = BASE64_STANDARD.encode(&self.authorization);
        vec![
            Needle::new(TOKEN, self.token.bytes()),
            Needle::new("image password", self.password.bytes()),
            Needle::new("image authorization", self.authorization.bytes()),
            Needle::new("the same in base64", encoded.bytes()),
            Needle::new(CONTROL, "pressing its emergency key".bytes()),
            Needle::new("config drive", self.drive.bytes()),
        ]
    }

    /// A config drive (base64 of a FAT file system) with a file of the secret in it, and what its base64 holds of that.
    pub(crate) fn config_drive(&self, folder: &Path) -> Result<(String, Needle)> {
        let (image, file) = (folder.join("drive"), folder.join("drive.file"));
        fs::File::create(&image)?.set_len(1 << 20)?;
        fs::write(&file, &self.drive)?;
        run(program("mkfs.vfat").args(["-n", "config-2"]).arg(&image))?;
        run(program("mcopy")
            .arg("-i")
            .arg(&image)
            .arg(&file)
            .arg("::file"))?;
        let bytes = fs::read(&image)?;
        let at = bytes
            .windows(self.drive.len())
            .position(|bytes| bytes == self.drive.as_bytes())
            .context("the config drive does not hold its secret")?;
        let text = BASE64_STANDARD.encode(&bytes);
        // Three bytes are four letters: only whole threes are letters of the secret's alone.
        let (first, last) = (at.div_ceil(3) * 4, (at + self.drive.len()) / 3 * 4);
        let letters = text.get(first..last).context("base64 is too short")?;
        Ok((
            text.clone(),
            Needle::new("config drive in base64", letters.bytes()),
        ))
    }
}

/// A certificate that a test made, and so knows the key of.
pub(crate) struct Certified {
    pub(crate) pem: String,
    /// Certificate and key.
    pub(crate) files: [PathBuf; 2],
    /// The key's number, both ways round: as files have it, and as arithmetic does.
    pub(crate) needles: [Needle; 2],
}

impl Certified {
    pub(crate) fn new(folder: &Path, address: &str) -> Result<Self> {
        let key = key_pair()?;
        let certificate = CertificateParams::new(vec![address.to_owned()])?.self_signed(&key)?;
        let files = [folder.join("own.pem"), folder.join("own.key")];
        fs::write(&files[0], certificate.pem())?;
        fs::write(&files[1], key.serialize_pem())?;
        let der = key.serialize_der();
        let number = der.get(number(&der)?).context("the key ends early")?;
        Ok(Self {
            pem: certificate.pem(),
            files,
            needles: [
                Needle::new(KEY, number.iter().copied()),
                Needle::new(KEY, number.iter().rev().copied()),
            ],
        })
    }
}

/// What stands before the number of every key like the one that the agent makes itself.
pub(crate) fn key_head() -> Result<Needle> {
    let der = key_pair()?.serialize_der();
    let head = der.get(..number(&der)?.start);
    let head = head.context("the key ends early")?;
    Ok(Needle::new(KEY, head.iter().copied()))
}

fn key_pair() -> Result<KeyPair> {
    Ok(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384)?)
}

/// Where a key in PKCS #8 has its number. RFC 5915: after the version, which is 1, in an octet string.
fn number(der: &[u8]) -> Result<Range<usize>> {
    let at = der
        .windows(4)
        .position(|bytes| bytes == [2, 1, 1, 4])
        .context("the key has no number")?;
    let length = usize::from(*der.get(at + 4).context("the key ends early")?);
    Ok(at + 5..at + 5 + length)
}

fn random() -> Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

pub(crate) const CONTROL: &str = "a text of the program";
pub(crate) const TOKEN: &str = "the token";
pub(crate) const KEY: &str = "TLS key";
