//! Process 1 of the machine of this test: it tells on the console what it found, and switches the machine off.

use std::fs::{self, File, OpenOptions};
use std::io::{Cursor, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ferrite::bootloader::efi::{self, Error, Installed};
use ferrite::error::chain;
use ferrite::formats::efi::{LoadOption, boot_order};
use ferrite::progress::Cancel;
use ferrite::root::Root;
use ferrite::sys::efivars::EfiVars;
use ferrite::sys::{loopdev::LoopDevice, module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};

fn main() -> Result<()> {
    set_up()?;
    let result = run().unwrap_or_else(|error| format!("{error:#}"));
    let mut console = OpenOptions::new().write(true).open("/dev/console")?;
    writeln!(console, "\nEFI-STORE: {result}")?;
    reboot(RebootMode::RB_POWER_OFF)?;
    Ok(())
}

/// Without the argument, the store is filled and their number the answer.
fn run() -> Result<String> {
    let arguments = fs::read_to_string("/proc/cmdline")?;
    let mut arguments = arguments.split_whitespace();
    match arguments.find_map(|argument| argument.strip_prefix(FILLERS)) {
        None => Ok(fill(&EfiVars::at(Path::new(VARIABLES)), MANY)?.to_string()),
        Some(number) => scenario(number.parse()?).map(|()| "passed".to_owned()),
    }
}

fn set_up() -> Result<()> {
    for (kind, place) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")] {
        mount_at(kind, place)?;
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let modules = Path::new("/lib/modules")
        .join(release.trim())
        .join("kernel");
    for name in ["fs/efivarfs/efivarfs.ko", "drivers/block/loop.ko"] {
        let file = File::open(modules.join(name)).context(name)?;
        module::load(file.as_fd()).context(name)?;
    }
    mount_at("efivarfs", VARIABLES)
}

fn mount_at(kind: &str, place: &str) -> Result<()> {
    fs::create_dir_all(place)?;
    let none: Option<&str> = None;
    mount(none, place, Some(kind), MsFlags::empty(), none).context(kind.to_owned())
}

/// A store without room refuses a record with a long path; then one with a short path is put, although the other left its mark.
///
/// OVMF gets the room of deleted variables back at the next start alone (edk2, `MdeModulePkg/Universal/Variable/RuntimeDxe`), so
/// that nothing can be freed here: the second record needs less.
fn scenario(fillers: usize) -> Result<()> {
    let variables = EfiVars::at(Path::new(VARIABLES));
    let install =
        |disk: &LoopDevice| efi::install(&Root::machine(), disk.path(), None, &Cancel::default());
    let folder = format!("{}/", "x".repeat(250));
    let (long, short) = (disk(&folder.repeat(14))?, disk("EFI/BOOT")?);
    let filled = fill(&variables, fillers).context("filling the store")?;
    ensure!(filled == fillers, "{filled} of {fillers} fillers fit");
    let full = variables.names()?;
    for _ in 0..2 {
        match install(&long) {
            Err(Error::Variable(_, _, source)) if source.kind() == ErrorKind::StorageFull => {}
            Err(error) => bail!("a full store is refused as {}", chain(&error)),
            Ok(installed) => bail!("a full store took a record: {installed:?}"),
        }
        let names = variables.names()?;
        ensure!(names == full, "of a refusal stays {names:?}, not {full:?}");
    }
    // Twice: the second time it is there.
    for _ in 0..2 {
        let installed = install(&short).map_err(|error| anyhow::anyhow!(chain(&error)))?;
        ensure!(
            installed == Installed::Entries(vec!["ironic1".into()]),
            "{installed:?}"
        );
    }
    let order = variables.read("BootOrder")?.context("no boot order")?;
    let labels = boot_order(&order)
        .into_iter()
        .map(|number| {
            let record = variables.read(&format!("Boot{number:04X}"))?;
            let record = record.as_deref().and_then(LoadOption::decode);
            Ok(record.context("a record of the order")?.label)
        })
        .collect::<Result<Vec<_>>>()?;
    let ours = labels.iter().filter(|label| *label == "ironic1").count();
    ensure!(
        ours == 1 && labels.first().is_some_and(|label| label == "ironic1"),
        "the order is {labels:?}"
    );
    Ok(())
}

/// Makes boot records, at most so many; returns how many the store took.
fn fill(variables: &EfiVars, most: usize) -> Result<usize> {
    let record = LoadOption {
        attributes: 0,
        label: "filler".into(),
        path: vec![0x7F, 0xFF, 4, 0],
        // Two have less room than the record with the long path.
        data: vec![0xA5; 3000],
    };
    let record = record.encode().context("a record")?;
    for filled in 0..most {
        let name = format!("Boot{:04X}", 0x8000 + filled);
        match variables.write(&name, &record) {
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(filled),
            written => written.context(name)?,
        }
    }
    Ok(most)
}

/// A disk with an EFI system partition that has a loader in this folder.
fn disk(folders: &str) -> Result<LoopDevice> {
    let mut system = Cursor::new(vec![0; 2 * MIB]);
    fatfs::format_volume(&mut system, fatfs::FormatVolumeOptions::new())?;
    let files = fatfs::FileSystem::new(&mut system, fatfs::FsOptions::new())?;
    let mut folder = files.root_dir();
    for name in folders.split('/').filter(|name| !name.is_empty()) {
        folder = folder.create_dir(name)?;
    }
    folder.create_file("BOOTX64.EFI")?.write_all(b"MZ")?;
    drop(folder);
    files.unmount()?;
    let mut table = vec![0; MIB];
    let sectors = |bytes: usize| u32::try_from(bytes / 512).map(u32::to_le_bytes);
    for (at, bytes) in [
        (440, [0x78, 0x56, 0x34, 0x12]),
        (450, [EFI_SYSTEM, 0xFE, 0xFF, 0xFF]),
        (454, sectors(MIB)?),
        (458, sectors(2 * MIB)?),
        (508, [0, 0, 0x55, 0xAA]),
    ] {
        let place = table.get_mut(at..at + bytes.len());
        place.context("a table")?.copy_from_slice(&bytes);
    }
    let path = PathBuf::from(format!("/disk{}", folders.len()));
    fs::write(&path, [table, system.into_inner()].concat())?;
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    Ok(LoopDevice::attach(&file, 512)?)
}

const VARIABLES: &str = "/sys/firmware/efi/efivars";
const MIB: usize = 1 << 20;
/// The type of an EFI system partition.
const EFI_SYSTEM: u8 = 0xEF;
/// The argument of the kernel that says how many records are in the store.
const FILLERS: &str = "efi-store.fillers=";
/// More than any store takes.
const MANY: usize = 4096;
