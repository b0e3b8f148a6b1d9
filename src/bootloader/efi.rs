//! UEFI boot entries for the loader on the written disk's EFI system partition, first in the boot
//! order.
//!
//! The EFI system partition contains tenant data, so the FAT reader of this program reads it and
//! the kernel does not mount it. The firmware's variables are changed through efivarfs.

use super::boot_entries::prepend_boot_order;
use crate::error::{AgentError, ErrorClass, chain};
use crate::formats::efi::{Csv, HardDrive, LoadOption, Signature};
use crate::formats::fat::{self, Fat, File};
use crate::formats::guid::Guid;
use crate::progress::Cancel;
use crate::root::Root;
use crate::storage;
use crate::storage::disk::{Access, Disk, Window};
use crate::storage::partition::{self, Kind, Partition};
use crate::sys::efivars::EfiVars;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

/// Outcome of [`install`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installed {
    /// Boot entries with these labels exist; the first of them is first in the boot order.
    Entries(Vec<String>),
    /// The EFI system partition has no loader.
    NoLoader,
}

/// Errors of making the firmware boot a disk.
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
    /// The EFI system partition has no FAT file system: disk and partition.
    #[error("Could not configure UEFI boot on device {}: {} has no FAT file system", .0.display(), .1.display())]
    NotFat(PathBuf, PathBuf),
    /// The firmware's variables are not available: every UEFI firmware has some.
    #[error(
        "Could not configure UEFI boot on device {}: the firmware's variables are not at {}; is efivarfs mounted?",
        .0.display(), .1.display()
    )]
    NoVariables(PathBuf, PathBuf),
    /// The EFI system partition cannot be read.
    #[error("Could not configure UEFI boot on device {}", .0.display())]
    Partition(PathBuf, #[source] fat::Error),
    /// A loader's path is longer than a boot entry can hold.
    #[error("Could not configure UEFI boot on device {}: the path of its loader is too long", .0.display())]
    PathTooLong(PathBuf),
    /// A variable of the firmware could not be changed.
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

/// Makes the firmware boot the loader on a disk: one boot entry for each loader found, the best
/// first in the boot order. Entries with the same labels are replaced.
///
/// The EFI system partition is the one with that type in the table, else the one with the
/// identifier `esp`.
///
/// # Errors
/// See [`Error`].
pub fn install(
    root: &Root,
    disk: &Path,
    esp: Option<&str>,
    cancel: &Cancel,
) -> Result<Installed, Error> {
    let unreadable = |error| Error::Disk(disk.into(), error);
    let open = Disk::open(disk, Access::Read).map_err(unreadable)?;
    let layout = partition::layout(&open).map_err(unreadable)?;
    let partition = system_partition(&open, &layout.partitions, esp)
        .ok_or_else(|| Error::NoPartition(disk.into()))?;
    let damaged = |error| Error::Partition(disk.into(), error);
    let mut system = Fat::open(window(&open, partition))
        .map_err(damaged)?
        .ok_or_else(|| Error::NotFat(disk.into(), partition.node.clone()))?;
    let loaders = loaders(&mut system, cancel).map_err(damaged)?;
    if loaders.is_empty() {
        tracing::warn!(partition = %partition.node.display(), "EFI system partition has no loader");
        return Ok(Installed::NoLoader);
    }
    let place = hard_drive(&open, partition);
    let folder = root.path("sys/firmware/efi/efivars");
    let variables = EfiVars::at(&folder);
    if variables.names().unwrap_or_default().is_empty() {
        return Err(Error::NoVariables(disk.into(), folder));
    }
    // Each entry is prepended, so the best comes last.
    for loader in loaders.iter().rev() {
        let path = place.file(&loader.path);
        let record = path.and_then(|path| LoadOption::active(&loader.label, path).encode());
        let record = record.ok_or_else(|| Error::PathTooLong(disk.into()))?;
        prepend_boot_order(&variables, &loader.label, &record)
            .map_err(|(name, error)| Error::Variable(disk.into(), name, error))?;
        tracing::info!(disk = %disk.display(), label = loader.label, loader = loader.path, "boot record made");
    }
    let labels = loaders.into_iter().map(|loader| loader.label);
    Ok(Installed::Entries(labels.collect()))
}

fn window<'a>(disk: &'a Disk, partition: &Partition) -> Window<'a> {
    Window::new(disk.file(), partition.start, partition.bytes)
}

/// Finds the EFI system partition: by its type, else by the identifier of the partition or of its
/// file system.
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

/// A loader and the label of its boot entry.
#[derive(Debug, PartialEq, Eq)]
struct Loader {
    label: String,
    path: String,
}

/// Finds the loaders on an EFI system partition, the best first. A `BOOT*.CSV` that names an
/// existing file takes precedence over all others.
fn loaders(system: &mut Fat<impl Read + Seek>, cancel: &Cancel) -> Result<Vec<Loader>, fat::Error> {
    let fat::Listing { files, unread } = system.readable_files(cancel)?;
    if let Some((path, error)) = unread.first() {
        tracing::warn!(
            directories = unread.len(),
            first = path.join("\\"),
            error = chain(error),
            "passed over directories of the EFI system partition that cannot be read"
        );
    }
    let mut ranked: Vec<(usize, &File)> = files
        .iter()
        .filter_map(|file| Some((rank(file.path.last()?)?, file)))
        .collect();
    ranked.sort_by(|one, other| (one.0, &one.1.path).cmp(&(other.0, &other.1.path)));
    let (hints, programs): (Vec<_>, Vec<_>) =
        ranked.into_iter().partition(|(rank, _)| *rank < CSV_NAMES);
    if hints.len() > MAX_CSV_FILES {
        tracing::warn!(
            files = hints.len(),
            read = MAX_CSV_FILES,
            "too many CSV files on the EFI system partition"
        );
    }
    // Limited, because each is compared with all files.
    for (_, hint) in hints.into_iter().take(MAX_CSV_FILES) {
        let csv = system.read(hint, MAX_CSV_BYTES, cancel);
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
            Err(fat::Error::Cancelled) => return Err(fat::Error::Cancelled),
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
    Ok(loaders.take(MAX_RECORDS).collect())
}

/// Finds a file by name in the folder of another file.
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

/// MBR type code of an EFI system partition.
const EFI_SYSTEM_CODE: u8 = 0xEF;
/// Number of CSV files in [`LOADERS`].
const CSV_NAMES: usize = 3;
/// IPA's list (`efi_utils.py`), the more common before the less common.
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
/// Maximum size of a CSV file, which has a line or two.
const MAX_CSV_BYTES: u64 = 16 << 10;
/// Maximum number of CSV files: one for each installed system.
const MAX_CSV_FILES: usize = 64;
/// Maximum number of boot entries: the variable store is small, and a hostile partition must not
/// fill it.
const MAX_RECORDS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootloader::boot_entries::{ORDER, variable};
    use crate::formats::efi;
    use crate::logging::Verbosity;
    use crate::logging::tests::captured;
    use crate::storage::fixture::TestDisk;
    use nix::mount::{MsFlags, mount};
    use std::fs;
    use std::io::{Cursor, Write};
    use std::os::unix::fs::FileExt;
    use tempfile::TempDir;

    /// Creates a disk whose second partition is an EFI system partition with these files.
    fn disk(files: &[(&str, &str)]) -> TestDisk {
        disk_of_type(Guid::EFI_SYSTEM, files)
    }

    fn disk_of_type(kind: Guid, files: &[(&str, &str)]) -> TestDisk {
        let disk = TestDisk::gpt(20, 512, &[(Guid::LINUX_DATA, 1, 1), (kind, 4, 8)]);
        let window = || Window::new(&disk.file, 4 << 20, 8 << 20);
        fatfs::format_volume(window(), fatfs::FormatVolumeOptions::new()).unwrap();
        let system = fatfs::FileSystem::new(window(), fatfs::FsOptions::new()).unwrap();
        for (path, content) in files {
            let (folders, name) = path.rsplit_once('/').unwrap();
            let mut folder = system.root_dir();
            for name in folders.split('/') {
                folder = folder.create_dir(name).unwrap();
            }
            let mut file = folder.create_file(name).unwrap();
            file.write_all(content.as_bytes()).unwrap();
        }
        system.unmount().unwrap();
        disk
    }

    /// A machine whose firmware has these boot entries, in this order.
    struct Firmware {
        _folder: TempDir,
        root: Root,
        variables: EfiVars,
    }

    impl Firmware {
        fn new(records: &[(u16, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let root = Root::at(folder.path());
            let efivars = root.path("sys/firmware/efi/efivars");
            fs::create_dir_all(&efivars).unwrap();
            let variables = EfiVars::at(&efivars);
            // Every firmware has some.
            variables.write("Timeout", &[0, 0]).unwrap();
            let mut order = Vec::new();
            for (number, label) in records {
                let record = LoadOption::active(label, path_of(label));
                variables
                    .write(&variable(*number), &record.encode().unwrap())
                    .unwrap();
                order.push(*number);
            }
            if !order.is_empty() {
                variables
                    .write(ORDER, &efi::encode_boot_order(&order))
                    .unwrap();
            }
            Self {
                _folder: folder,
                root,
                variables,
            }
        }

        /// Returns number and label of each boot entry, in boot order.
        fn order(&self) -> Vec<(u16, String)> {
            let order = self.variables.read(ORDER).unwrap().unwrap();
            let numbers = efi::boot_order(&order).into_iter();
            numbers.map(|n| (n, self.record(n).label)).collect()
        }

        /// Returns the boot order.
        fn numbers(&self) -> Vec<u16> {
            efi::boot_order(&self.variables.read(ORDER).unwrap().unwrap())
        }

        fn path(&self, variable: &str) -> PathBuf {
            let folder = self.root.path("sys/firmware/efi/efivars");
            folder.join(format!("{variable}-8be4df61-93ca-11d2-aa0d-00e098032b8c"))
        }

        /// Creates a variable's file from these bytes, which include the attributes.
        fn file(&self, variable: &str, bytes: &[u8]) {
            fs::write(self.path(variable), bytes).unwrap();
        }

        fn record(&self, number: u16) -> LoadOption {
            let bytes = self.variables.read(&variable(number)).unwrap();
            LoadOption::decode(&bytes.unwrap()).unwrap()
        }
    }

    /// Returns the device path of a loader on a disk, or of the firmware's own network boot (a MAC
    /// address, UEFI 2.10 section 10.3.4.11).
    fn path_of(label: &str) -> Vec<u8> {
        if label.contains("PXE") {
            let mut path = vec![3, 11, 37, 0];
            path.resize(37, 0x52);
            path.extend([0x7F, 0xFF, 4, 0]);
            return path;
        }
        let place = HardDrive {
            number: 1,
            first: 2048,
            sectors: 2048,
            signature: Signature::Gpt(Guid::from_text_order(7)),
        };
        place.file("\\EFI\\BOOT\\BOOTX64.EFI").unwrap()
    }

    /// The image chooses the label.
    #[test]
    fn a_record_of_the_firmwares_network_boot_is_no_namesake() {
        let disk = disk(&[
            ("EFI/debian/shimx64.efi", "MZ"),
            ("EFI/debian/BOOTX64.CSV", "SHIMX64.efi,UEFI PXEv4,,\n"),
        ]);
        let firmware = Firmware::new(&[(0, "UEFI PXEv4"), (5, "UEFI PXEv4")]);
        put(&firmware.root, &disk, None).unwrap();
        let all = [(1, "UEFI PXEv4"), (0, "UEFI PXEv4"), (5, "UEFI PXEv4")];
        assert_eq!(firmware.order(), order(&all));
        assert_eq!(firmware.record(0).path, path_of("UEFI PXEv4"));
        assert_eq!(firmware.record(5).path, path_of("UEFI PXEv4"));
    }

    /// Unshares the mounts of this thread.
    fn own_mounts() {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)
            .expect("a mount namespace (needs root)");
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    }

    fn put(root: &Root, disk: &TestDisk, esp: Option<&str>) -> Result<Installed, Error> {
        install(root, disk.path(), esp, &Cancel::default())
    }

    fn records(labels: &[&str]) -> Installed {
        Installed::Entries(labels.iter().map(ToString::to_string).collect())
    }

    fn order(records: &[(u16, &str)]) -> Vec<(u16, String)> {
        records
            .iter()
            .map(|(n, label)| (*n, (*label).to_owned()))
            .collect()
    }

    #[test]
    fn variables_that_are_not_mounted_are_told() {
        let disk = disk(&[("EFI/Boot/BOOTX64.EFI", "MZ")]);
        let firmware = Firmware::new(&[]);
        firmware.variables.remove("Timeout").unwrap();
        let error = put(&firmware.root, &disk, None).unwrap_err();
        assert!(matches!(error, Error::NoVariables(..)), "{error}");
    }

    #[test]
    fn a_loader_gets_the_first_record_and_its_namesakes_go() {
        let disk = disk(&[
            ("EFI/Boot/BOOTX64.EFI", "MZ"),
            ("EFI/debian/grubx64.efi", "MZ"),
        ]);
        let firmware = Firmware::new(&[(0, "PXE"), (2, "ironic1"), (1, "disk"), (7, "ironic1")]);
        let installed = put(&firmware.root, &disk, None).unwrap();
        assert_eq!(installed, records(&["ironic1"]));
        assert_eq!(
            firmware.order(),
            order(&[(2, "ironic1"), (0, "PXE"), (1, "disk")])
        );
        assert_eq!(firmware.variables.read("Boot0007").unwrap(), None);
        let mut id = Guid::from_text_order(0xAAAAAAAA_BBBB_CCCC_DDDD_EEEEEEEEEEEE);
        id.0[15] = 2;
        let place = HardDrive {
            number: 2,
            first: 8192,
            sectors: 16_384,
            signature: Signature::Gpt(id),
        };
        let path = place.file("\\EFI\\Boot\\BOOTX64.EFI").unwrap();
        assert_eq!(firmware.record(2), LoadOption::active("ironic1", path));
        // A second installation changes nothing.
        put(&firmware.root, &disk, None).unwrap();
        assert_eq!(
            firmware.order(),
            order(&[(2, "ironic1"), (0, "PXE"), (1, "disk")])
        );
    }

    #[test]
    fn a_csv_wins_alone_and_gives_the_label() {
        let disk = disk(&[
            ("EFI/BOOT/BOOTX64.EFI", "MZ"),
            ("EFI/debian/shimx64.efi", "MZ"),
            ("EFI/debian/BOOTX64.CSV", "SHIMX64.efi,Debian,,text\n"),
        ]);
        let firmware = Firmware::new(&[]);
        let installed = put(&firmware.root, &disk, None).unwrap();
        assert_eq!(installed, records(&["Debian"]));
        assert_eq!(firmware.order(), order(&[(0, "Debian")]));
        let path = firmware.record(0).path;
        let name: Vec<u8> = "\\EFI\\debian\\shimx64.efi"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(path[46..46 + name.len()], name);
    }

    #[test]
    fn a_csv_without_its_loader_does_not_count() {
        let disk = disk(&[
            ("EFI/BOOT/BOOTX64.EFI", "MZ"),
            ("EFI/BOOT/GRUBAA64.EFI", "MZ"),
            ("EFI/debian/BOOTX64.CSV", "gone.efi,Debian"),
        ]);
        let firmware = Firmware::new(&[(0, "PXE")]);
        let installed = put(&firmware.root, &disk, None).unwrap();
        assert_eq!(installed, records(&["ironic1", "ironic2"]));
        assert_eq!(
            firmware.order(),
            order(&[(2, "ironic1"), (1, "ironic2"), (0, "PXE")])
        );
    }

    #[test]
    fn of_very_many_csv_files_the_first_are_read() {
        let labels = |useless: usize| -> Vec<String> {
            let mut image = Cursor::new(vec![0; 4 << 20]);
            fatfs::format_volume(&mut image, fatfs::FormatVolumeOptions::new()).unwrap();
            let system = fatfs::FileSystem::new(&mut image, fatfs::FsOptions::new()).unwrap();
            let useless = (0..useless).map(|number| (format!("{number:03}"), "gone.efi,x"));
            let folders = useless.chain([("last".to_owned(), "bootx64.efi,Debian")]);
            for (folder, csv) in folders {
                let folder = system.root_dir().create_dir(&folder).unwrap();
                let mut file = folder.create_file("BOOTX64.CSV").unwrap();
                file.write_all(csv.as_bytes()).unwrap();
                folder.create_file("bootx64.efi").unwrap();
            }
            system.unmount().unwrap();
            let mut system = Fat::open(image).unwrap().unwrap();
            let loaders = loaders(&mut system, &Cancel::default()).unwrap();
            loaders.into_iter().map(|loader| loader.label).collect()
        };
        let logged = |useless: usize| {
            let mut found = Vec::new();
            let log = captured(Verbosity::Info, || found = labels(useless));
            (
                found,
                log.contains(" files=65 read=64\n"),
                log.contains(" files="),
            )
        };
        assert_eq!(logged(63), (vec!["Debian".to_owned()], false, false));
        let numbered = (1..=8).map(|number| format!("ironic{number}")).collect();
        assert_eq!(logged(64), (numbered, true, true));
    }

    #[test]
    fn a_cancelled_installation_changes_no_variable() {
        let disk = disk(&[("EFI/Boot/BOOTX64.EFI", "MZ")]);
        let firmware = Firmware::new(&[]);
        let cancel = Cancel::default();
        cancel.cancel();
        let error = install(&firmware.root, disk.path(), None, &cancel).unwrap_err();
        assert!(
            matches!(error, Error::Partition(_, fat::Error::Cancelled)),
            "{error}"
        );
        assert_eq!(firmware.variables.names().unwrap(), ["Timeout"]);
    }

    #[test]
    fn an_empty_partition_has_no_loader() {
        let disk = disk(&[("EFI/debian/grubx64.efi", "MZ")]);
        let firmware = Firmware::new(&[]);
        let installed = put(&firmware.root, &disk, None).unwrap();
        assert_eq!(installed, Installed::NoLoader);
        assert_eq!(firmware.variables.names().unwrap(), ["Timeout"]);
    }

    #[test]
    fn without_the_right_type_the_partition_is_found_by_its_identifier() {
        let disk = disk_of_type(Guid::LINUX_DATA, &[("EFI/BOOT/BOOTX64.EFI", "MZ")]);
        let firmware = Firmware::new(&[]);
        let error = put(&firmware.root, &disk, None).unwrap_err();
        let error = AgentError::from(error);
        assert_eq!(
            (error.class.name(), error.class.code()),
            ("DeviceNotFound", 404)
        );
        // The serial number that fatfs gives by default, and the partition's own identifier.
        for id in ["1234-5678", "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEE02"] {
            let installed = put(&firmware.root, &disk, Some(id)).unwrap();
            assert_eq!(installed, records(&["ironic1"]), "{id}");
        }
    }

    #[test]
    fn a_machine_without_efi_variables_says_so() {
        let disk = disk(&[("EFI/BOOT/BOOTX64.EFI", "MZ")]);
        let folder = tempfile::tempdir().unwrap();
        let error = put(&Root::at(folder.path()), &disk, None).unwrap_err();
        let error = AgentError::from(error);
        assert_eq!(error.class.name(), "CommandExecutionError");
        assert_eq!(
            error.details,
            format!(
                "Could not configure UEFI boot on device {}: the firmware's variables are not at \
                 {}/sys/firmware/efi/efivars; is efivarfs mounted?",
                disk.path().display(),
                folder.path().display()
            )
        );
    }

    #[test]
    fn empty_and_unreadable_variables_are_passed_over() {
        let disk = disk(&[("EFI/BOOT/BOOTX64.EFI", "MZ")]);
        let firmware = Firmware::new(&[(2, "PXE"), (3, "ironic1")]);
        // An entry that the firmware never wrote, an unreadable one, one truncated within its
        // attributes, one without a value.
        firmware.file("Boot0000", b"");
        fs::create_dir(firmware.path("Boot0001")).unwrap();
        firmware.file("Boot0004", &[7, 0]);
        firmware.file("Boot0005", &[7, 0, 0, 0]);
        assert_eq!(
            put(&firmware.root, &disk, None).unwrap(),
            records(&["ironic1"])
        );
        assert_eq!(firmware.order(), order(&[(3, "ironic1"), (2, "PXE")]));

        // The number of the first is free, those of the others are not.
        firmware.variables.remove("Boot0003").unwrap();
        put(&firmware.root, &disk, None).unwrap();
        assert_eq!(firmware.numbers(), [0, 3, 2]);
        assert_eq!(firmware.record(0).label, "ironic1");
        firmware.variables.remove("Boot0000").unwrap();
        put(&firmware.root, &disk, None).unwrap();
        assert_eq!(firmware.numbers(), [0, 3, 2]);
    }

    #[test]
    fn an_empty_or_unreadable_boot_order_is_made_anew() {
        let disk = disk(&[("EFI/BOOT/BOOTX64.EFI", "MZ")]);
        for bytes in [&b""[..], &[7], &[7, 0, 0, 0]] {
            let firmware = Firmware::new(&[(2, "PXE")]);
            firmware.file(ORDER, bytes);
            put(&firmware.root, &disk, None).unwrap();
            assert_eq!(firmware.order(), order(&[(0, "ironic1")]), "{bytes:?}");
        }
    }

    #[test]
    fn a_namesake_that_cannot_be_removed_fails_nothing() {
        own_mounts();
        let disk = disk(&[("EFI/BOOT/BOOTX64.EFI", "MZ")]);
        let firmware = Firmware::new(&[(2, "ironic1"), (3, "ironic1"), (4, "ironic1")]);
        // A mount point cannot be removed.
        let held = firmware.path("Boot0003");
        let none: Option<&str> = None;
        mount(Some(&held), &held, none, MsFlags::MS_BIND, none).unwrap();
        let installed = put(&firmware.root, &disk, None);
        nix::mount::umount(&held).unwrap();
        assert_eq!(installed.unwrap(), records(&["ironic1"]));
        assert_eq!(firmware.numbers(), [2]);
        assert_eq!(
            firmware.variables.names().unwrap(),
            ["Boot0002", "Boot0003", ORDER, "Timeout"]
        );
    }

    /// The store has room for no further variable, for the boot entry alone, or for both.
    #[test]
    fn a_full_store_keeps_nothing_of_a_failure_and_the_next_try_succeeds() {
        own_mounts();
        let disk = disk(&[("EFI/BOOT/BOOTX64.EFI", "MZ")]);
        for (room, refused) in [(0, "Boot0000"), (1, ORDER)] {
            let firmware = Firmware::new(&[]);
            let none: Option<&str> = None;
            let folder = firmware.path("").parent().unwrap().to_owned();
            let blocks = format!("nr_blocks={}", room + 2);
            mount(
                none,
                &folder,
                Some("tmpfs"),
                MsFlags::empty(),
                Some(blocks.as_str()),
            )
            .unwrap();
            firmware.variables.write("Timeout", &[0, 0]).unwrap();
            let filler = folder.join("filler-d719b2cb-3d3a-4596-a3bc-dad00e67656f");
            fs::write(&filler, "x").unwrap();
            for _ in 0..2 {
                let error = put(&firmware.root, &disk, None).unwrap_err();
                let Error::Variable(_, name, source) = error else {
                    panic!("{error}");
                };
                assert_eq!(
                    (name.as_str(), source.kind()),
                    (refused, io::ErrorKind::StorageFull)
                );
                assert_eq!(firmware.variables.names().unwrap(), ["Timeout"]);
            }
            fs::remove_file(filler).unwrap();
            let blocks = Some("nr_blocks=3");
            mount(none, &folder, none, MsFlags::MS_REMOUNT, blocks).unwrap();
            put(&firmware.root, &disk, None).unwrap();
            assert_eq!(firmware.order(), order(&[(0, "ironic1")]));
            nix::mount::umount(&folder).unwrap();
        }
    }

    #[test]
    fn a_boot_order_that_does_not_fit_keeps_the_old_one_and_an_old_entry() {
        own_mounts();
        let disk = disk(&[("EFI/BOOT/BOOTX64.EFI", "MZ")]);
        let firmware = Firmware::new(&[(2, "PXE"), (3, "ironic1")]);
        // The variable can be neither written nor removed.
        let held = firmware.path(ORDER);
        let none: Option<&str> = None;
        mount(Some(&held), &held, none, MsFlags::MS_BIND, none).unwrap();
        let sealed = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, &held, none, sealed, none).unwrap();
        let error = put(&firmware.root, &disk, None).unwrap_err();
        nix::mount::umount(&held).unwrap();
        assert!(matches!(error, Error::Variable(_, name, _) if name == ORDER));
        assert_eq!(firmware.order(), order(&[(2, "PXE"), (3, "ironic1")]));
    }

    #[test]
    fn zeroes_behind_a_csv_make_no_new_entry_at_each_deployment() {
        let disk = disk(&[
            ("EFI/debian/shimx64.efi", "MZ"),
            ("EFI/debian/BOOTX64.CSV", "shimx64.efi,Debian\0\0\0"),
        ]);
        let firmware = Firmware::new(&[(0, "PXE")]);
        for _ in 0..3 {
            let installed = put(&firmware.root, &disk, None).unwrap();
            assert_eq!(installed, records(&["Debian"]));
            assert_eq!(firmware.order(), order(&[(1, "Debian"), (0, "PXE")]));
        }
    }

    /// `fsck.vfat -a` leaves such a directory, starting at cluster 0, when its clusters belonged to
    /// another. The other value is an invalid start cluster.
    #[test]
    fn a_directory_that_begins_nowhere_hides_no_loader() {
        for first in [0u16, 0xFFF0] {
            let disk = disk(&[
                ("ALPHA/X.EFI", "MZ"),
                ("EFI/BOOT/BOOTX64.EFI", "MZ"),
                ("ZULU/X.EFI", "MZ"),
            ]);
            for name in [b"ALPHA      ", b"ZULU       "] {
                let system = disk.bytes(4 << 20, 1 << 20);
                let at = system.windows(11).position(|bytes| bytes == name).unwrap();
                let at = (4 << 20) + u64::try_from(at).unwrap();
                disk.file
                    .write_all_at(&first.to_le_bytes(), at + 26)
                    .unwrap();
            }
            let firmware = Firmware::new(&[]);
            let installed = put(&firmware.root, &disk, None).unwrap();
            assert_eq!(installed, records(&["ironic1"]), "{first}");
        }
    }
}
