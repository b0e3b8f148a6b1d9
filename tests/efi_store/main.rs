//! A full store of EFI variables, in OVMF and a real efivarfs: a machine fills it, is refused a boot record, and gets one that fits
//! without a restart. `make test-efi-store`; about a minute.

#![allow(
    clippy::disallowed_methods,
    reason = "the machine is a program, which ends by itself"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use support::lab::cpio::Archive;

#[test]
#[ignore = "a virtual machine, with the ramdisk's kernel: `make test-efi-store`"]
fn a_full_store_refuses_a_boot_record_and_takes_one_that_fits_without_a_restart() -> Result<()> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let image = project.join("target/image/virtual");
    let guest = project.join("target/debug/examples/efi-store");
    let mut initramfs = fs::read(image.join("modules.cpio.zst")).context("make test-efi-store")?;
    initramfs.extend(with_libraries(&guest)?);
    let start = |argument: &str| start(&image.join("vmlinuz"), &initramfs, argument);
    let fillers: usize = start("")?.parse().context("the store is not filled")?;
    // One less leaves room for a record with a short path, and none for one with a very long path.
    let fillers = fillers.checked_sub(1).context("the store was full")?;
    let result = start(&format!("efi-store.fillers={fillers}"))?;
    ensure!(result == "passed", "{result}");
    Ok(())
}

/// Starts a machine with a fresh store of variables; returns what the guest found.
fn start(kernel: &Path, initramfs: &[u8], argument: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let [archive, variables, console] =
        ["initramfs", "variables", "console"].map(|name| folder.path().join(name));
    fs::write(&archive, initramfs)?;
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
        .arg("-no-reboot")
        .args(["-append", &format!("console=ttyS0 panic=-1 {argument}")])
        .args(["-drive", &drive(0, Path::new(FIRMWARE), ",readonly=on")])
        .args(["-drive", &drive(1, &variables, "")])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(&archive)
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .status()?;
    let said = fs::read(&console).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let last: Vec<_> = said.lines().rev().take(30).collect();
    let mut results = said.lines().filter_map(|line| line.split_once(RESULT));
    let (_, result) = results.next().with_context(|| {
        format!("{status}; the console's last lines, the last first: {last:#?}")
    })?;
    Ok(result.trim().to_owned())
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
    let mut archive = Archive::default();
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
