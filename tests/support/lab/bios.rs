//! What makes an instance's image boot by BIOS: SYSLINUX in its first partition, started by the code in the MBR.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::instance::{ESP_MIB, MIB, kernel_arguments, user_land};
use super::parts::Parts;
use super::process::{program, run};

/// What sfdisk is told of the partition: the code in the MBR looks for the attribute.
pub(super) const PARTITION: &str = "type=linux, name=boot, attrs=LegacyBIOSBootable";

/// A FAT file system with kernel, user land and SYSLINUX.
pub(super) fn partition(parts: &Parts, work: &Path, id: &str) -> Result<PathBuf> {
    let path = work.join("boot");
    File::create(&path)?.set_len(ESP_MIB * MIB)?;
    run(program("mkfs.vfat")
        .args(["-F", "16", "-n", "BOOT", "-h", "2048"])
        .arg(&path))?;
    let (initramfs, menu) = (work.join("initrd"), work.join("syslinux.cfg"));
    fs::write(&initramfs, user_land(parts)?)?;
    let arguments = kernel_arguments(id);
    fs::write(
        &menu,
        format!("DEFAULT lab\nLABEL lab\n KERNEL /vmlinuz\n INITRD /initrd\n APPEND {arguments}\n"),
    )?;
    run(program("mcopy")
        .arg("-i")
        .arg(&path)
        .args([&initramfs, &menu])
        .arg("::"))?;
    run(program("mcopy")
        .arg("-i")
        .arg(&path)
        .arg(parts.instance_kernel()?)
        .arg("::vmlinuz"))?;
    run(program(parts.unpacked("usr/bin/syslinux"))
        .arg("--install")
        .arg(&path))?;
    Ok(path)
}

/// Puts the code that finds and starts the partition into the image's MBR.
pub(super) fn write_boot_code(parts: &Parts, raw: &Path) -> Result<()> {
    let code = fs::read(parts.unpacked("usr/lib/SYSLINUX/gptmbr.bin"))
        .context("no boot code for the MBR: run `make lab`")?;
    OpenOptions::new().write(true).open(raw)?.write_all(&code)?;
    Ok(())
}
