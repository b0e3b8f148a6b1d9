//! The secrets that a conductor trusts an agent with, made anew for each run, and the agent's own key.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::lab::process::{program, run};
use crate::scan::Needle;

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

/// The number that is the key of the agent's certificate, both ways round: as files have it, and as arithmetic does.
pub(crate) fn key(agent: u32) -> Result<Vec<Needle>> {
    let folder = PathBuf::from(format!("/proc/{agent}/root/run/ferrite"));
    let mut files = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let file = files.next().context("the agent keeps no certificate")??;
    let PrivateKeyDer::Pkcs8(der) = PrivateKeyDer::from_pem_file(file.path())? else {
        anyhow::bail!("{} is no PKCS#8", file.path().display());
    };
    let der = der.secret_pkcs8_der();
    // RFC 5915: the version, which is 1, and the number in an octet string.
    let at = der
        .windows(4)
        .position(|bytes| bytes == [2, 1, 1, 4])
        .context("the key has no number")?;
    let length = usize::from(*der.get(at + 4).context("the key ends early")?);
    let number = der.get(at + 5..at + 5 + length);
    let number = number.context("the key ends early")?;
    ensure!(number.len() >= 32, "a key of {} bytes alone", number.len());
    Ok(vec![
        Needle::new(KEY, number.iter().copied()),
        Needle::new(KEY, number.iter().rev().copied()),
    ])
}

fn random() -> Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

pub(crate) const CONTROL: &str = "a text of the program";
pub(crate) const TOKEN: &str = "the token";
pub(crate) const KEY: &str = "TLS key";
