//! Partition tables on disks. This module lists partitions, moves the backup table to a grown
//! disk's end, adds a partition, and updates the kernel's view. There is no udev here: the kernel's
//! devtmpfs creates the nodes.

use super::Error;
use super::disk::{Access, Disk, Window, kernel_name};
use super::sysfs;
use crate::formats::gpt::{self, Copies, Gpt};
use crate::formats::guid::Guid;
use crate::formats::mbr::{self, Mbr};
use crate::progress::Cancel;
use crate::root::Root;
use crate::sys::block;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Partition layout of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Kind of the table.
    pub label: Label,
    /// Partitions that can hold data, by number.
    pub partitions: Vec<Partition>,
}

/// Kind of a partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// GUID partition table.
    Gpt,
    /// MBR partition table.
    Mbr,
}

/// A partition of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Number in the table.
    pub number: u32,
    /// Offset of the first byte on the disk.
    pub start: u64,
    /// Size in bytes on the disk. The part beyond the disk's end does not count; zero where the
    /// partition begins there.
    pub bytes: u64,
    /// Type according to the table.
    pub kind: Kind,
    /// Identifier that the kernel exports as `PARTUUID`.
    pub id: String,
    /// Path of the device node.
    pub node: PathBuf,
}

/// Type of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Type GUID of a GUID partition table.
    Gpt(Guid),
    /// Type code of an MBR.
    Mbr(u8),
}

/// Outcome of [`repair_gpt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GptFix {
    /// The backup table was moved to the disk's end.
    Moved,
    /// Both tables were in their places.
    Unneeded,
    /// The disk has no GUID partition table.
    NotGpt,
}

/// Lists the partitions of a disk.
///
/// # Errors
/// [`Error::NoTable`], [`Error::Gpt`] for a damaged table, [`Error::Open`], [`Error::Read`].
pub fn list(disk: &Path) -> Result<Layout, Error> {
    layout(&Disk::open(disk, Access::Read)?)
}

/// Lists the partitions of an open disk.
///
/// # Errors
/// As [`list`].
pub fn layout(disk: &Disk) -> Result<Layout, Error> {
    let sector = u64::from(disk.sector());
    let partition = |number, first: u64, sectors: u64, kind, id| {
        let start = first.saturating_mul(sector);
        Partition {
            number,
            start,
            // The kernel truncates it, too (block/partitions/core.c: blk_add_partition).
            bytes: sectors
                .saturating_mul(sector)
                .min(disk.bytes().saturating_sub(start)),
            kind,
            id,
            node: node(disk.path(), number),
        }
    };
    match table(disk)? {
        Table::Gpt(gpt) => Ok(Layout {
            label: Label::Gpt,
            partitions: (gpt.partitions().into_iter())
                .map(|p| {
                    let sectors = p.sectors();
                    partition(
                        p.number,
                        p.first,
                        sectors,
                        Kind::Gpt(p.kind),
                        p.id.to_string(),
                    )
                })
                .collect(),
        }),
        Table::Mbr(mbr) => {
            let logicals = logicals(&mbr, disk)?;
            let primaries = mbr.primaries().into_iter().filter(|p| !p.is_extended());
            Ok(Layout {
                label: Label::Mbr,
                partitions: primaries
                    .chain(logicals)
                    .map(|p| {
                        let id = format!("{:08x}-{:02x}", mbr.identifier(), p.number);
                        partition(p.number, p.first, p.sectors, Kind::Mbr(p.kind), id)
                    })
                    .collect(),
            })
        }
    }
}

/// Moves the backup GUID partition table to the disk's end when it is elsewhere, because an image
/// is smaller than its disk.
///
/// # Errors
/// [`Error::Gpt`] when the table is damaged or does not fit the disk, a failed read or write.
pub fn repair_gpt(disk: &Disk) -> Result<GptFix, Error> {
    let Some(mut gpt) = gpt(disk)? else {
        return Ok(GptFix::NotGpt);
    };
    if gpt.copies() == Copies::Both {
        return Ok(GptFix::Unneeded);
    }
    let wrong = |error| Error::Gpt(disk.path().into(), error);
    refuse_backup_only(&gpt).map_err(wrong)?;
    gpt.write(&mut whole(disk)).map_err(wrong)?;
    disk.sync()?;
    Ok(GptFix::Moved)
}

/// Reads the identifier of the disk's MBR as Ironic stores it for whole-disk images: `0x%08x` of
/// the four bytes at 440.
///
/// # Errors
/// [`Error::Read`].
pub fn disk_identifier(disk: &Disk) -> Result<String, Error> {
    let mut bytes = [0; 4];
    let read = disk.file().read_exact_at(&mut bytes, 440);
    read.map_err(|error| Error::Read(disk.path().into(), error))?;
    Ok(format!("0x{:08x}", u32::from_le_bytes(bytes)))
}

/// Adds a partition of at least `bytes` bytes at the disk's end and notifies the kernel. On GPT its
/// type is Linux data and its identifier is `id`; on MBR its type is FAT32.
///
/// # Errors
/// [`Error::NoTable`], [`Error::Gpt`] and [`Error::AddPartition`] when there is no place,
/// [`Error::Rescan`], a failed read or write.
pub fn add_last(disk: &Disk, bytes: u64, id: Guid, cancel: &Cancel) -> Result<Partition, Error> {
    let number = match table(disk)? {
        Table::Gpt(mut gpt) => {
            let wrong = |error| Error::Gpt(disk.path().into(), error);
            refuse_backup_only(&gpt).map_err(wrong)?;
            let kind = Guid::LINUX_DATA;
            let added = gpt
                .add_last(&gpt::NewPartition { bytes, kind, id })
                .map_err(wrong)?;
            gpt.write(&mut whole(disk)).map_err(wrong)?;
            added.number
        }
        Table::Mbr(mut mbr) => {
            let sectors = disk.bytes() / u64::from(disk.sector());
            let logicals = logicals(&mbr, disk)?;
            let added = mbr
                .add_last(&logicals, sectors, disk.sector(), bytes)
                .map_err(|error| Error::AddPartition(disk.path().into(), error))?;
            let written = disk.file().write_all_at(mbr.bytes(), 0);
            written.map_err(|error| Error::Write(disk.path().into(), error))?;
            added.number
        }
    };
    disk.sync()?;
    rescan(disk, cancel)?;
    let added = layout(disk)?
        .partitions
        .into_iter()
        .find(|p| p.number == number);
    added.ok_or_else(|| Error::NodeMissing(disk.path().into(), number))
}

/// Makes the kernel read the disk's partition table again, and retries while a partition is in use.
/// Partitions that the kernel does not find, because it does not support the kind of table, are
/// added individually. A device that cannot have partitions needs no rescan.
///
/// # Errors
/// [`Error::Rescan`], [`Error::Cancelled`].
pub fn rescan(disk: &Disk, cancel: &Cancel) -> Result<(), Error> {
    for attempt in 1.. {
        match block::reread_partitions(disk.file().as_fd()) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && attempt < RESCANS => {}
            Err(error) => return Err(Error::Rescan(disk.path().into(), error)),
        }
        if cancel.wait(PAUSE) {
            return Err(Error::Cancelled(disk.path().into()));
        }
    }
    let partitions = layout(disk).map_or_else(|_| Vec::new(), |layout| layout.partitions);
    for p in partitions.iter().take(MAX_LOGGED) {
        match block::add_partition(disk.file().as_fd(), p.number, p.start, p.bytes) {
            Err(error) if error.kind() != io::ErrorKind::ResourceBusy => {
                tracing::debug!(partition = %p.node.display(), %error, "the kernel does not take a partition");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Waits until the kernel has a partition and its device node exists, and compares the two.
///
/// # Errors
/// [`Error::NodeMissing`] after 15 s, [`Error::NodeElsewhere`], [`Error::Cancelled`].
pub fn wait_for_node(
    root: &Root,
    disk: &Path,
    partition: &Partition,
    cancel: &Cancel,
) -> Result<(), Error> {
    for _ in 0..WAITS {
        match check_node(root, disk, partition) {
            Err(Error::NodeMissing(..)) => {}
            outcome => return outcome,
        }
        if cancel.wait(PAUSE) {
            return Err(Error::Cancelled(disk.into()));
        }
    }
    Err(Error::NodeMissing(disk.into(), partition.number))
}

/// Compares a partition of the table with the kernel's partition behind its node. The number alone
/// is not sufficient, because the kernel numbers partitions itself. Call it before opening the node
/// for writing.
///
/// # Errors
/// [`Error::NodeMissing`]: the node does not exist, perhaps not yet; [`Error::NodeElsewhere`].
pub fn check_node(root: &Root, disk: &Path, partition: &Partition) -> Result<(), Error> {
    let folder = root.path("sys/class/block");
    let folder = folder.join(kernel_name(&partition.node));
    let bytes = |attribute| sysfs::number(&folder.join(attribute))?.checked_mul(SYSFS_SECTOR);
    let node = std::fs::metadata(&partition.node);
    let there = node.is_ok_and(|node| node.file_type().is_block_device())
        && folder.join("partition").exists();
    let table = (partition.start, partition.bytes);
    match (bytes("start"), bytes("size")) {
        (Some(start), Some(size)) if there && (start, size) == table => Ok(()),
        (Some(start), Some(size)) if there => Err(Error::NodeElsewhere {
            node: partition.node.clone(),
            table,
            kernel: (start, size),
        }),
        _ => Err(Error::NodeMissing(disk.into(), partition.number)),
    }
}

/// Returns the node of a disk's partition: `sda1`, or with a `p` where the disk's own name ends in
/// a digit, `nvme0n1p1`.
#[must_use]
pub fn node(disk: &Path, number: u32) -> PathBuf {
    let name = disk.as_os_str().to_string_lossy();
    let ends_in_digit = name.ends_with(|last: char| last.is_ascii_digit());
    let p = if ends_in_digit { "p" } else { "" };
    PathBuf::from(format!("{name}{p}{number}"))
}

/// Refuses a table of which only the backup is valid. The backup at the disk's end may be an
/// earlier owner's and must not repair the primary table.
fn refuse_backup_only(gpt: &Gpt) -> Result<(), gpt::Error> {
    match gpt.copies() {
        Copies::BackupOnly => Err(gpt::Error::Damaged("its first copy is not whole")),
        Copies::Both | Copies::PrimaryOnly => Ok(()),
    }
}

enum Table {
    Gpt(Gpt),
    Mbr(Mbr),
}

fn table(disk: &Disk) -> Result<Table, Error> {
    if let Some(gpt) = gpt(disk)? {
        return Ok(Table::Gpt(gpt));
    }
    let mbr = mbr::read(&mut whole(disk));
    let mbr = mbr.map_err(|error| Error::Read(disk.path().into(), error))?;
    mbr.map(Table::Mbr)
        .ok_or_else(|| Error::NoTable(disk.path().into()))
}

fn gpt(disk: &Disk) -> Result<Option<Gpt>, Error> {
    gpt::read(&mut whole(disk), disk.bytes(), disk.sector())
        .map_err(|error| Error::Gpt(disk.path().into(), error))
}

fn logicals(mbr: &Mbr, disk: &Disk) -> Result<Vec<mbr::Partition>, Error> {
    mbr.logicals(&mut whole(disk), disk.sector())
        .map_err(|error| Error::Read(disk.path().into(), error))
}

fn whole(disk: &Disk) -> Window<'_> {
    Window::new(disk.file(), 0, disk.bytes())
}

/// Unit of sysfs sizes in bytes, independent of the disk's sector size.
const SYSFS_SECTOR: u64 = 512;
const PAUSE: Duration = Duration::from_millis(100);
/// 5 s: another process may briefly have a partition open.
const RESCANS: u32 = 50;
/// Number of partitions that the kernel itself examines on a GPT disk.
const MAX_LOGGED: usize = 256;
/// 15 s, as IPA waits for its partition.
const WAITS: u32 = 150;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fixture::TestDisk;

    const NEW_ID: Guid = Guid::from_text_order(0x01234567_89AB_CDEF_0123_456789ABCDEF);

    fn open(disk: &Path) -> Disk {
        Disk::open(disk, Access::Write).unwrap()
    }

    #[test]
    fn a_table_is_fitted_to_a_larger_disk_and_gets_one_partition_more() {
        for sector in [512, 4096] {
            let disk = TestDisk::new(300, sector, |file| {
                file.set_len(200 << 20).unwrap();
                gpt::fixture::write(file, sector, &[(Guid::EFI_SYSTEM, 1, 50)]);
                file.set_len(300 << 20).unwrap();
            });
            let path = disk.path();
            assert_eq!(repair_gpt(&open(path)).unwrap(), GptFix::Moved);
            assert_eq!(repair_gpt(&open(path)).unwrap(), GptFix::Unneeded);
            assert_eq!(disk_identifier(&open(path)).unwrap(), "0x47d04a15");
            let added = add_last(&open(path), 64 << 20, NEW_ID, &Cancel::default()).unwrap();
            wait_for_node(&Root::machine(), path, &added, &Cancel::default()).unwrap();
            assert_eq!(added.id, NEW_ID.to_string());
            assert_eq!(added.start, 235 << 20);
            let layout = list(path).unwrap();
            assert_eq!(layout.label, Label::Gpt);
            let first = Partition {
                number: 1,
                start: 1 << 20,
                bytes: 50 << 20,
                kind: Kind::Gpt(Guid::EFI_SYSTEM),
                id: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee".into(),
                node: node(path, 1),
            };
            assert_eq!(layout.partitions, [first, added.clone()]);
            let kernel = Disk::open(&added.node, Access::Read).unwrap();
            assert_eq!(kernel.bytes(), added.bytes);
        }
    }

    #[test]
    fn an_mbr_gets_a_primary_partition_at_its_end() {
        let disk = TestDisk::new(100, 512, |file| {
            let mut boot = [0; 512];
            boot[440..444].copy_from_slice(&[1, 0, 0, 0xAB]);
            boot[450] = 0x83;
            boot[454..462].copy_from_slice(&[0, 8, 0, 0, 0, 8, 0, 0]);
            boot[510..].copy_from_slice(&[0x55, 0xAA]);
            file.write_all_at(&boot, 0).unwrap();
        });
        let added = add_last(&open(disk.path()), 64 << 20, NEW_ID, &Cancel::default()).unwrap();
        let wanted = Partition {
            number: 2,
            start: 36 << 20,
            bytes: 64 << 20,
            kind: Kind::Mbr(0x0C),
            id: "ab000001-02".into(),
            node: node(disk.path(), 2),
        };
        assert_eq!(added, wanted);
        wait_for_node(&Root::machine(), disk.path(), &added, &Cancel::default()).unwrap();
        assert_eq!(repair_gpt(&open(disk.path())).unwrap(), GptFix::NotGpt);
    }

    /// The kernel follows a chain beyond its extended partition.
    #[test]
    fn a_partition_is_not_added_over_a_logical_one_outside_of_the_extended() {
        let table = |entries: &[(usize, u8, u32, u32)]| {
            let mut table = [0; 512];
            for (at, kind, first, mebibytes) in entries {
                table[at + 4] = *kind;
                table[at + 8..at + 12].copy_from_slice(&first.to_le_bytes());
                table[at + 12..at + 16].copy_from_slice(&(mebibytes << 11).to_le_bytes());
            }
            table[510..].copy_from_slice(&[0x55, 0xAA]);
            table
        };
        let disk = TestDisk::new(100, 512, |file| {
            let extended = table(&[(446, 0x05, 2048, 1)]);
            let chain = table(&[(446, 0x83, 79 << 11, 20)]);
            file.write_all_at(&extended, 0).unwrap();
            file.write_all_at(&chain, 1 << 20).unwrap();
        });
        let added = add_last(&open(disk.path()), 10 << 20, NEW_ID, &Cancel::default()).unwrap();
        let partitions = list(disk.path()).unwrap().partitions.into_iter();
        let places: Vec<_> = partitions.map(|p| (p.number, p.start, p.bytes)).collect();
        assert_eq!(places, [(2, 70 << 20, 10 << 20), (5, 80 << 20, 20 << 20)]);
        wait_for_node(&Root::machine(), disk.path(), &added, &Cancel::default()).unwrap();
    }

    #[test]
    fn a_blank_disk_has_no_table() {
        let disk = TestDisk::new(10, 512, |_| {});
        let error = list(disk.path()).unwrap_err();
        assert!(matches!(error, Error::NoTable(_)), "{error}");
    }

    #[test]
    fn a_node_that_does_not_come_is_waited_for_until_cancelled() {
        let disk = TestDisk::gpt(100, 512, &[(Guid::LINUX_DATA, 1, 5)]);
        let mut partition = list(disk.path()).unwrap().partitions.remove(0);
        partition.node = node(disk.path(), 9);
        let cancel = Cancel::default();
        cancel.cancel();
        let error = wait_for_node(&Root::machine(), disk.path(), &partition, &cancel).unwrap_err();
        assert!(matches!(error, Error::Cancelled(_)), "{error}");
    }

    /// Creates the sysfs folder of a partition of this number, with the given start and size.
    fn kernel_says(partition: &Partition, start: u64, bytes: u64) -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let name = kernel_name(&partition.node);
        let place = root.path(format!("sys/class/block/{name}"));
        std::fs::create_dir_all(&place).unwrap();
        let numbers = [
            ("partition", u64::from(partition.number)),
            ("start", start / 512),
            ("size", bytes / 512),
        ];
        for (name, number) in numbers {
            std::fs::write(place.join(name), format!("{number}\n")).unwrap();
        }
        (folder, root)
    }

    #[test]
    fn a_node_whose_place_differs_from_the_tables_is_refused() {
        let disk = TestDisk::gpt(100, 4096, &[(Guid::LINUX_DATA, 1, 5)]);
        let partition = list(disk.path()).unwrap().partitions.remove(0);
        let wait = |root: &Root| wait_for_node(root, disk.path(), &partition, &Cancel::default());
        wait(&Root::machine()).unwrap();
        let (start, bytes) = (partition.start, partition.bytes);
        let (_folder, root) = kernel_says(&partition, start, bytes);
        wait(&root).unwrap();
        for (start, bytes) in [(start + 4096, bytes), (start, bytes - 4096)] {
            let (_folder, root) = kernel_says(&partition, start, bytes);
            assert_eq!(
                wait(&root).unwrap_err().to_string(),
                format!(
                    "{} is not written to: in the partition table it has 5242880 bytes from byte 1048576, and the kernel has \
                     {bytes} from {start}",
                    partition.node.display()
                )
            );
        }
    }

    #[test]
    fn a_partition_that_reaches_beyond_the_disk_ends_with_it_as_for_the_kernel() {
        let disk = TestDisk::new(10, 512, |file| {
            let mut boot = [0; 512];
            let entries = [(450, 2048u32, 1u32 << 20), (466, 1 << 20, 1 << 20)];
            for (at, first, sectors) in entries {
                boot[at] = 0x83;
                boot[at + 4..at + 8].copy_from_slice(&first.to_le_bytes());
                boot[at + 8..at + 12].copy_from_slice(&sectors.to_le_bytes());
            }
            boot[510..].copy_from_slice(&[0x55, 0xAA]);
            file.write_all_at(&boot, 0).unwrap();
        });
        let partitions = list(disk.path()).unwrap().partitions;
        let places: Vec<_> = partitions.iter().map(|p| (p.start, p.bytes)).collect();
        assert_eq!(places, [(1 << 20, 9 << 20), (512 << 20, 0)]);
        wait_for_node(
            &Root::machine(),
            disk.path(),
            &partitions[0],
            &Cancel::default(),
        )
        .unwrap();
    }

    #[test]
    fn a_gpt_behind_a_protective_entry_of_no_size_gets_the_partition() {
        let disk = TestDisk::new(100, 512, |file| {
            gpt::fixture::write(file, 512, &[(Guid::LINUX_DATA, 1, 5)]);
            file.write_all_at(&[0; 4], 446 + 12).unwrap();
        });
        let added = add_last(&open(disk.path()), 10 << 20, NEW_ID, &Cancel::default()).unwrap();
        assert_eq!((added.number, added.id), (2, NEW_ID.to_string()));
        let sectors = (100u32 << 11) - 1;
        assert_eq!(
            disk.bytes(446 + 12, 4),
            sectors.to_le_bytes(),
            "and is fitted"
        );
    }

    #[test]
    fn a_disk_name_ending_in_a_digit_separates_the_number() {
        let cases = [
            ("/dev/sda", "/dev/sda1"),
            ("/dev/nvme0n1", "/dev/nvme0n1p1"),
            ("/dev/mmcblk0", "/dev/mmcblk0p1"),
            ("/dev/md127", "/dev/md127p1"),
        ];
        for (disk, partition) in cases {
            assert_eq!(node(Path::new(disk), 1), Path::new(partition));
        }
    }
}
