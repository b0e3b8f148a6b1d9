//! A full store of EFI variables, in OVMF and a real efivarfs: a machine fills it, is refused a boot record, frees room, and gets it
//! without a restart. `make test-efi-store`; about a minute.

#![allow(
    clippy::disallowed_methods,
    reason = "the machine is a program, which ends by itself"
)]

#[path = "../support/lab/cpio.rs"]
mod cpio;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

#[test]
#[ignore = "a virtual machine, with the ramdisk's kernel: `make test-efi-store`"]
fn a_boot_record_is_made_without_a_restart_once_a_full_store_has_room() -> Result<()> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let image = project.join("target/image/virtual");
    let guest = project.join("target/debug/examples/efi-store");
    let folder = tempfile::tempdir()?;
    let [initramfs, variables, console] =
        ["initramfs", "variables", "console"].map(|name| folder.path().join(name));
    let mut bytes = fs::read(image.join("modules.cpio.zst")).context("make test-efi-store")?;
    bytes.extend(with_libraries(&guest)?);
    fs::write(&initramfs, bytes)?;
    fs::copy(FIRMWARE_VARIABLES, &variables)?;
    let drive = |unit: u8, file: &Path, more: &str| {
        format!(
            "if=pflash,format=raw,unit={unit},file={}{more}",
            file.display()
        )
    };
    let status = Command::new("timeout")
        .args([LIMIT, "qemu-system-x86_64"])
        .args(["-accel", "tcg", "-machine", "q35", "-m", "512"])
        // la57: five levels of page tables only make software emulation slower.
        .args(["-cpu", "max,la57=off", "-nodefaults", "-display", "none"])
        .args(["-no-reboot", "-append", "console=ttyS0 panic=-1"])
        .args(["-drive", &drive(0, Path::new(FIRMWARE), ",readonly=on")])
        .args(["-drive", &drive(1, &variables, "")])
        .arg("-kernel")
        .arg(image.join("vmlinuz"))
        .arg("-initrd")
        .arg(&initramfs)
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .status()?;
    let said = fs::read(&console).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let result = said.lines().find_map(|line| line.split_once(RESULT));
    let last: Vec<_> = said.lines().rev().take(30).collect();
    ensure!(
        result.is_some_and(|(_, result)| result.trim() == "passed"),
        "{status}: {result:?}; the console's last lines, the last first: {last:#?}"
    );
    Ok(())
}

/// An archive with the program as process 1 and the libraries it is linked with.
fn with_libraries(program: &Path) -> Result<Vec<u8>> {
    let listed = Command::new("ldd").arg(program).output()?;
    ensure!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8(listed.stdout)?;
    let libraries = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    let libraries: BTreeSet<PathBuf> = libraries.map(PathBuf::from).collect();
    let mut archive = cpio::Archive::new();
    let mut folders = BTreeSet::from([PathBuf::from("/dev")]);
    for library in &libraries {
        let above = library.ancestors().skip(1);
        folders.extend(
            above
                .filter(|path| path.parent().is_some())
                .map(PathBuf::from),
        );
    }
    let name = |path: &Path| -> Result<String> {
        let path = path.strip_prefix("/")?;
        Ok(path.to_str().context("a path in UTF-8")?.to_owned())
    };
    for folder in folders {
        archive.folder(&name(&folder)?)?;
    }
    for library in libraries {
        archive.executable(&name(&library)?, &fs::read(&library)?)?;
    }
    archive.executable("init", &fs::read(program)?)?;
    archive.finish()
}

/// What the guest's last line begins with.
const RESULT: &str = "EFI-STORE: ";
/// Seconds. Software emulation on a busy computer.
const LIMIT: &str = "600";
const FIRMWARE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const FIRMWARE_VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
