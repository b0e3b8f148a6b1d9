//! GRUB for network boot: the loader that UEFI's HTTP boot starts, and the menu that Ironic makes for each node.
//!
//! Debian's signed GRUB learns its server only from the firmware's PXE. For HTTP boot one is made that asks for an
//! address itself, and then reads what Ironic leaves for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

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

/// Ironic's own template with a change to the paths of kernel and ramdisk, and without its time to choose.
///
/// They are relative to the folder of TFTP, `../http/…` with the boot interface `http`. That is no request an HTTP server
/// takes; `/http/…` is, and `/…` is the same as `…` to TFTP.
pub(super) fn menu(package: &Path, work: &Path) -> Result<PathBuf> {
    let original = package.join("drivers/modules/pxe_grub_config.template");
    let mut text = fs::read_to_string(&original)
        .with_context(|| format!("no template {}", original.display()))?;
    for file in ["deployment_aki_path", "deployment_ari_path"] {
        text = text.replace(
            &format!("{{{{ pxe_options.{file} }}}}"),
            &format!("/{{{{ pxe_options.{file} | replace('../', '') }}}}"),
        );
    }
    let menu = work.join("grub.template");
    fs::write(&menu, text.replace("timeout=5", "timeout=0"))?;
    Ok(menu)
}
