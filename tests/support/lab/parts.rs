//! The files the lab takes from Debian packages and from the project's own build, by name.

use crate::checkout;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::release::{self, Release};

/// Where `make lab` and `make image` left what the lab needs.
#[derive(Clone, Debug)]
pub struct Parts {
    /// `target/lab`.
    pub lab: PathBuf,
    /// `target/image/virtual`: our kernel and ramdisk.
    pub ramdisk: PathBuf,
    release: Release,
}

impl Parts {
    /// Finds what virtual machines need, or says which make target makes what is missing.
    pub fn find() -> Result<Self> {
        let parts = Self::of(release::NEWEST);
        Self::need(&[
            (parts.unpacked(".done"), "make lab"),
            (parts.ironic("../.done"), "make lab"),
            (parts.sushy("../.done"), "make lab"),
            (parts.kernel(), "make image"),
            (parts.initramfs(), "make image"),
        ])?;
        Ok(parts)
    }

    /// Finds what cells need, with an Ironic of any generation.
    pub fn find_for_cells(release: Release) -> Result<Self> {
        let parts = Self::of(release);
        Self::need(&[
            (parts.unpacked(".done"), "make lab"),
            (parts.ironic("../.done"), "make lab-generations"),
            (parts.agent(), "make agent"),
        ])?;
        Ok(parts)
    }

    /// Finds Keystone, which is not for every lab.
    pub(crate) fn find_keystone(&self) -> Result<()> {
        Self::need(&[(self.keystone("../.done"), "make lab")])
    }

    fn of(release: Release) -> Self {
        let target = checkout().join("target");
        Self {
            lab: target.join("lab"),
            ramdisk: std::env::var_os("FERRITE_RAMDISK")
                .map_or_else(|| target.join("image/virtual"), PathBuf::from),
            release,
        }
    }

    fn need(files: &[(PathBuf, &str)]) -> Result<()> {
        for (path, make) in files {
            if !path.exists() {
                bail!("{} is missing: run `{make}` first", path.display());
            }
        }
        Ok(())
    }

    /// The agent as it goes into the ramdisk.
    pub fn agent(&self) -> PathBuf {
        checkout().join("target/x86_64-unknown-linux-musl/release/ferrite")
    }

    /// The kernel of our ramdisk.
    pub fn kernel(&self) -> PathBuf {
        self.ramdisk.join("vmlinuz")
    }

    /// Our ramdisk.
    pub fn initramfs(&self) -> PathBuf {
        self.ramdisk.join("initramfs")
    }

    /// A file of a Debian package that was taken apart for the lab.
    pub fn unpacked(&self, path: &str) -> PathBuf {
        self.lab.join("unpacked").join(path)
    }

    /// A program of Ironic.
    pub fn ironic(&self, program: &str) -> PathBuf {
        let environment = format!("venv/ironic-{}/bin", self.release.ironic);
        self.lab.join(environment).join(program)
    }

    /// The environment of the Python IPA.
    pub fn ipa(&self) -> PathBuf {
        self.lab.join("venv/ironic-python-agent-13.0.0")
    }

    /// A program of Keystone.
    pub fn keystone(&self, program: &str) -> PathBuf {
        self.lab.join("venv/keystone-30.0.0/bin").join(program)
    }

    /// A program of the Redfish emulator.
    pub fn sushy(&self, program: &str) -> PathBuf {
        self.lab.join("venv/sushy-tools/bin").join(program)
    }

    /// Debian's kernel, for the deployed instances.
    pub(crate) fn instance_kernel(&self) -> Result<PathBuf> {
        only_entry(&self.unpacked("boot"), "vmlinuz-")
    }

    /// The folder of that kernel's modules.
    pub(crate) fn instance_modules(&self) -> Result<PathBuf> {
        only_entry(&self.unpacked("lib/modules"), "")
    }
}

fn only_entry(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(entry.path());
        }
    }
    bail!("{} holds no {prefix}*: run `make lab`", folder.display())
}
