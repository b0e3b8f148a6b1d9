//! UEFI: a boot record, first in the firmware's order, for the loader on the written disk's EFI system partition.
//!
//! The partition is read by our own FAT reader, not mounted: its bytes are the tenant's. The firmware's variables are changed
//! through efivarfs.

use crate::error::{AgentError, ErrorClass, chain};
use crate::formats::efi::{self, Csv, HardDrive, LoadOption, Signature};
use crate::formats::fat::{self, Fat, File};
use crate::formats::guid::Guid;
use crate::root::Root;
use crate::storage;
use crate::storage::disk::{Access, Disk, Window};
use crate::storage::partition::{self, Kind, Partition};
use crate::sys::efivars::EfiVars;
use std::io;
use std::path::{Path, PathBuf};

/// What [`install`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installed {
    /// There are now records of these labels, the first of them first in the boot order.
    Records(Vec<String>),
    /// The EFI system partition has no loader.
    NoLoader,
}

/// Why a disk does not become the one that the firmware boots.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk cannot be read.
    #[error("Could not configure UEFI boot on device {}", .0.display())]
    Disk(PathBuf, #[source] storage::Error),
    /// There is no EFI system partition.
    #[error(
        "No EFI partition could be detected on device {} and EFI partition UUID has not been recorded during deployment \
         (which is often the case for whole disk images). Are you using a UEFI-compatible image?",
        .0.display()
    )]
    NoPartition(PathBuf),
    /// The EFI system partition has no FAT file system.
    #[error("Could not configure UEFI boot on device {}: {} has no FAT file system", .0.display(), .1.display())]
    NotFat(PathBuf, PathBuf),
    /// The EFI system partition cannot be read.
    #[error("Could not configure UEFI boot on device {}", .0.display())]
    Partition(PathBuf, #[source] fat::Error),
    /// A loader's path is longer than a boot record can say.
    #[error("Could not configure UEFI boot on device {}: the path of its loader is too long", .0.display())]
    PathTooLong(PathBuf),
    /// The firmware does not take the record.
    #[error("Could not configure UEFI boot on device {}: EFI variable {} cannot be changed", .0.display(), .1)]
    Variable(PathBuf, String, #[source] io::Error),
}

impl From<Error> for AgentError {
    fn from(error: Error) -> Self {
        let class = match error {
            Error::NoPartition(_) => ErrorClass::DeviceNotFound,
            _ => ErrorClass::CommandExecutionError,
        };
        Self::caused(class, &error)
    }
}

/// Makes the firmware boot the loader on a disk: one record for each loader found, the best first in the boot order. Records
/// of the same labels are replaced.
///
/// The EFI system partition is the one the table calls so, else the one with the identifier `esp`.
///
/// # Errors
/// See [`Error`].
pub fn install(root: &Root, disk: &Path, esp: Option<&str>) -> Result<Installed, Error> {
    let unreadable = |error| Error::Disk(disk.into(), error);
    let open = Disk::open(disk, Access::Read).map_err(unreadable)?;
    let layout = partition::layout(&open).map_err(unreadable)?;
    let partition = system_partition(&open, &layout.partitions, esp)
        .ok_or_else(|| Error::NoPartition(disk.into()))?;
    let damaged = |error| Error::Partition(disk.into(), error);
    let mut system = Fat::open(window(&open, partition))
        .map_err(damaged)?
        .ok_or_else(|| Error::NotFat(disk.into(), partition.node.clone()))?;
    let loaders = loaders(&mut system).map_err(damaged)?;
    if loaders.is_empty() {
        tracing::warn!(partition = %partition.node.display(), "EFI system partition has no loader");
        return Ok(Installed::NoLoader);
    }
    let place = hard_drive(&open, partition);
    let variables = EfiVars::at(&root.path("sys/firmware/efi/efivars"));
    // Each record is put before the others: the best comes last.
    for loader in loaders.iter().rev() {
        let path = place.file(&loader.path);
        let record = path.and_then(|path| LoadOption::active(&loader.label, path).encode());
        let record = record.ok_or_else(|| Error::PathTooLong(disk.into()))?;
        put_first(&variables, &loader.label, &record)
            .map_err(|(name, error)| Error::Variable(disk.into(), name, error))?;
        tracing::info!(disk = %disk.display(), label = loader.label, loader = loader.path, "boot record made");
    }
    let labels = loaders.into_iter().map(|loader| loader.label);
    Ok(Installed::Records(labels.collect()))
}

fn window<'a>(disk: &'a Disk, partition: &Partition) -> Window<'a> {
    Window::new(disk.file(), partition.start, partition.bytes)
}

/// The EFI system partition: by its type, else by the identifier of the partition or of its file system.
fn system_partition<'a>(
    disk: &Disk,
    partitions: &'a [Partition],
    wanted: Option<&str>,
) -> Option<&'a Partition> {
    let typed = partitions.iter().find(|partition| {
        matches!(
            partition.kind,
            Kind::Gpt(Guid::EFI_SYSTEM) | Kind::Mbr(EFI_SYSTEM_CODE)
        )
    });
    let named = |partition: &&Partition| {
        wanted.is_some_and(|wanted| {
            let serial = Fat::open(window(disk, partition)).ok().flatten();
            partition.id.eq_ignore_ascii_case(wanted)
                || serial.is_some_and(|fat| fat.serial().eq_ignore_ascii_case(wanted))
        })
    };
    typed.or_else(|| partitions.iter().find(named))
}

fn hard_drive(disk: &Disk, partition: &Partition) -> HardDrive {
    let sector = u64::from(disk.sector());
    let signature = partition
        .id
        .parse()
        .map(Signature::Gpt)
        .unwrap_or_else(|_| {
            let disk_id = partition.id.split('-').next().unwrap_or_default();
            Signature::Mbr(u32::from_str_radix(disk_id, 16).unwrap_or_default())
        });
    HardDrive {
        number: partition.number,
        first: partition.start / sector,
        sectors: partition.bytes / sector,
        signature,
    }
}

/// A loader and how its record is called.
#[derive(Debug, PartialEq, Eq)]
struct Loader {
    label: String,
    path: String,
}

/// The loaders on an EFI system partition, the best first. A `BOOT*.CSV` that names an existing file wins alone.
fn loaders(system: &mut Fat<Window<'_>>) -> Result<Vec<Loader>, fat::Error> {
    let files = system.files()?;
    let mut ranked: Vec<(usize, &File)> = files
        .iter()
        .filter_map(|file| Some((rank(file.path.last()?)?, file)))
        .collect();
    ranked.sort_by(|one, other| (one.0, &one.1.path).cmp(&(other.0, &other.1.path)));
    let (hints, programs): (Vec<_>, Vec<_>) =
        ranked.into_iter().partition(|(rank, _)| *rank < CSV_NAMES);
    for (_, hint) in hints {
        let csv = system.read(hint, MOST_CSV_BYTES);
        match csv.map(|bytes| Csv::decode(&bytes)) {
            Ok(Some(csv)) => {
                if let Some(loader) = sibling(&files, hint, &csv.file) {
                    let label = csv.label.unwrap_or_else(|| "ironic1".to_owned());
                    let path = backslashed(loader);
                    return Ok(vec![Loader { label, path }]);
                }
                tracing::warn!(
                    csv = backslashed(hint),
                    "loader named in a CSV is not there"
                );
            }
            Ok(None) => tracing::warn!(csv = backslashed(hint), "CSV names no loader"),
            Err(error) => {
                tracing::warn!(
                    csv = backslashed(hint),
                    error = chain(&error),
                    "CSV is unreadable"
                );
            }
        }
    }
    let loaders = (1..).zip(programs).map(|(n, (_, program))| Loader {
        label: format!("ironic{n}"),
        path: backslashed(program),
    });
    Ok(loaders.take(MOST_RECORDS).collect())
}

/// The file of a name in the folder of another.
fn sibling<'a>(files: &'a [File], other: &File, name: &str) -> Option<&'a File> {
    let (_, folder) = other.path.split_last()?;
    files.iter().find(|file| {
        file.path
            .split_last()
            .is_some_and(|(last, parents)| parents == folder && last.eq_ignore_ascii_case(name))
    })
}

fn backslashed(file: &File) -> String {
    format!("\\{}", file.path.join("\\"))
}

fn rank(name: &str) -> Option<usize> {
    let mut known = LOADERS.iter();
    known.position(|loader| loader.eq_ignore_ascii_case(name))
}

/// Makes `record` the only one of its label and the first in the boot order. A record of the label is overwritten rather than
/// deleted, so that there is one at every moment and the variable store needs no more room.
fn put_first(variables: &EfiVars, label: &str, record: &[u8]) -> Result<(), (String, io::Error)> {
    let named = |name: &str, error| (name.to_owned(), error);
    let names = variables.names().map_err(|e| named("Boot####", e))?;
    let numbers: Vec<u16> = names.iter().filter_map(|name| boot_number(name)).collect();
    let mut same = Vec::new();
    for number in &numbers {
        let name = variable(*number);
        let bytes = variables.read(&name).map_err(|e| named(&name, e))?;
        let option = bytes.as_deref().and_then(LoadOption::decode);
        if option.is_some_and(|option| option.label == label) {
            same.push(*number);
        }
    }
    let free = || (0..=u16::MAX).find(|number| !numbers.contains(number));
    let full = || named("Boot####", io::ErrorKind::StorageFull.into());
    let number = same.first().copied().or_else(free).ok_or_else(full)?;
    let name = variable(number);
    let written = variables.write(&name, record);
    written.map_err(|e| named(&name, e))?;
    let order = variables.read(ORDER).map_err(|e| named(ORDER, e))?;
    let old = efi::boot_order(&order.unwrap_or_default());
    let others = old
        .into_iter()
        .filter(|n| *n != number && !same.contains(n));
    let order: Vec<u16> = std::iter::once(number).chain(others).collect();
    let written = variables.write(ORDER, &efi::encode_boot_order(&order));
    written.map_err(|e| named(ORDER, e))?;
    for duplicate in same.iter().skip(1) {
        let name = variable(*duplicate);
        variables.remove(&name).map_err(|e| named(&name, e))?;
    }
    Ok(())
}

fn variable(number: u16) -> String {
    format!("Boot{number:04X}")
}

fn boot_number(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("Boot")?;
    let number = u16::from_str_radix(digits, 16).ok()?;
    // Not `BootFFF` nor `Boot+001`.
    name.eq_ignore_ascii_case(&variable(number))
        .then_some(number)
}

const ORDER: &str = "BootOrder";
/// The type of an EFI system partition in an MBR.
const EFI_SYSTEM_CODE: u8 = 0xEF;
/// How many of [`LOADERS`] are CSV files.
const CSV_NAMES: usize = 3;
/// IPA's list (`efi_utils.py`), the more usual before the less usual.
const LOADERS: [&str; 13] = [
    "bootx64.csv",
    "bootaa64.csv",
    "boot.csv",
    "bootx64.efi",
    "bootaa64.efi",
    "bootriscv64.efi",
    "bootia32.efi",
    "bootia64.efi",
    "bootarm.efi",
    "bootriscv32.efi",
    "bootriscv128.efi",
    "grubaa64.efi",
    "winload.efi",
];
/// A line or two.
const MOST_CSV_BYTES: u64 = 16 << 10;
/// The variable store is small: a hostile partition is not to fill it.
const MOST_RECORDS: usize = 8;
