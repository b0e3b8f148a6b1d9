//! Images to write: data that compresses about as disks do, in the forms Ironic is given.

use anyhow::{Context, Result};
use aws_lc_rs::digest::{self, SHA256};
use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use support::lab::process::{program, run};

pub(crate) const MIB: u64 = 1 << 20;

/// How the same data is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Deflate,
    Plain,
    Raw,
    Zstd,
}

impl Form {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Deflate => "qcow2, deflate",
            Self::Plain => "qcow2",
            Self::Raw => "raw",
            Self::Zstd => "qcow2, zstd",
        }
    }

    /// What Ironic calls it.
    pub(crate) fn disk_format(self) -> &'static str {
        match self {
            Self::Deflate | Self::Plain | Self::Zstd => "qcow2",
            Self::Raw => "raw",
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Deflate => &["-c"],
            Self::Plain | Self::Raw => &[],
            Self::Zstd => &["-c", "-o", "compression_type=zstd"],
        }
    }
}

/// An image file; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) path: PathBuf,
    pub(crate) form: Form,
    pub(crate) sha256: String,
}

impl Image {
    /// A raw image of data without a hole.
    pub(crate) fn raw(folder: &Path, mib: u64) -> Result<Self> {
        let path = folder.join(format!("{mib}.raw"));
        let mut file = File::create(&path)?;
        let mut noise = Noise(0x2545_f491_4f6c_dd1d);
        for _ in 0..mib {
            let block = noise.block();
            file.write_all(&block)
                .with_context(|| format!("writing {}", path.display()))?;
        }
        file.sync_all()?;
        Self::of(path, Form::Raw)
    }

    /// The same data in another form.
    pub(crate) fn convert(&self, form: Form) -> Result<Self> {
        let path = self.path.with_extension("qcow2");
        run(program("qemu-img")
            .args(["convert", "-W", "-f", "raw", "-O", "qcow2"])
            .args(form.options())
            .args([&self.path, &path]))?;
        File::open(&path)?.sync_all()?;
        Self::of(path, form)
    }

    pub(crate) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn of(path: PathBuf, form: Form) -> Result<Self> {
        let sha256 = sha256(&path)?;
        Ok(Self { path, form, sha256 })
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // The folder is removed at the end anyway.
        let _ = fs::remove_file(&self.path);
    }
}

/// Bytes that do not repeat (xorshift).
struct Noise(u64);

impl Noise {
    /// A MiB of pieces of 64 KiB that shrink to about two fifths: noise, and then its first KiB again and again.
    /// (Not more than that: qemu-img's deflate looks back 4 KiB.)
    fn block(&mut self) -> Vec<u8> {
        let mut block = Vec::with_capacity(1 << 20);
        for _ in 0..16 {
            let noise: Vec<u8> = (0..NOISE / 8)
                .flat_map(|_| self.next().to_le_bytes())
                .collect();
            block.extend_from_slice(&noise);
            block.extend(noise.iter().take(1 << 10).cycle().take(PIECE - NOISE));
        }
        block
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

pub(crate) fn sha256(path: &Path) -> Result<String> {
    let mut context = digest::Context::new(&SHA256);
    let mut file = BufReader::new(File::open(path)?);
    let mut block = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            break;
        }
        context.update(block.get(..count).unwrap_or_default());
    }
    let hash = context.finish();
    Ok(hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// The size of a qcow2 cluster, which is compressed by itself.
const PIECE: usize = 64 << 10;
/// So much of it does not repeat.
const NOISE: usize = 24 << 10;
