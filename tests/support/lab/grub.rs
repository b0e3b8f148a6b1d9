//! GRUB as UEFI's HTTP boot loads it. Debian's signed one knows its server only after PXE, so one is made that asks for an
//! address itself and then reads the configuration that Ironic leaves for it.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::parts::Parts;
use super::process::{program, run};
use super::sandbox::ADDRESS;

/// Makes the loader.
pub(super) fn build(parts: &Parts, work: &Path, loader: &Path) -> Result<()> {
    let start = work.join("http.cfg");
    fs::write(
        &start,
        format!(
            "net_bootp efinet0\nset net_default_interface=efinet0_dhcp\nset root=(http,{ADDRESS})\n\
             set prefix=(http,{ADDRESS})/grub\nnormal\n"
        ),
    )?;
    let libraries = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"]
        .map(|folder| parts.unpacked(folder).display().to_string())
        .join(":");
    run(program(parts.unpacked("usr/bin/grub-mkimage"))
        .env("LD_LIBRARY_PATH", libraries)
        .args(["-O", "x86_64-efi", "-p", "/grub", "-c"])
        .arg(&start)
        .arg("-d")
        .arg(parts.unpacked("usr/lib/grub/x86_64-efi"))
        .arg("-o")
        .arg(loader)
        .args([
            "normal",
            "configfile",
            "echo",
            "efinet",
            "http",
            "linux",
            "minicmd",
            "net",
            "test",
        ]))?;
    Ok(())
}
