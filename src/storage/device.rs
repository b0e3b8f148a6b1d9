//! Lists the machine's disks from sysfs, without udev or other programs.
//!
//! This module decides which block devices count as disks and where each attribute is found.
//! `identity` reads serial numbers and world wide names; `path` reads the path from the processor
//! to the disk. Nothing here opens a device node or changes anything.
//!
//! Attributes have the values that `lsblk` and udev's database give on the same machine, because
//! root device hints were written against those.

mod identity;
mod path;
mod slaves;

#[cfg(test)]
pub(crate) mod fixture;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{AgentError, ErrorClass};
use crate::root::Root;
use crate::storage::sysfs;

/// Lists the disks of the machine. They are grouped by driver as `lsblk` lists them (SCSI before
/// virtio before NVMe). Within a driver they are in natural order of their names (`sda`, `sdb`, …
/// `sdz`, `sdaa`).
///
/// The list has disks, assembled arrays and multipath devices. It omits floppies, optical drives,
/// memory and loop devices, empty drives and the paths below a multipath device. A disk that
/// disappears meanwhile is left out.
///
/// # Errors
/// When `/sys/block` cannot be read: an unreadable list differs from an empty one.
pub fn list(root: &Root) -> Result<Vec<BlockDevice>, Error> {
    let folder = root.path("sys/block");
    let entries = fs::read_dir(&folder).map_err(|source| Error::List {
        folder: folder.clone(),
        source,
    })?;
    let mut disks: Vec<BlockDevice> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| find(root, &name))
        .collect();
    disks.sort_by_cached_key(|disk| place_in_list(root, disk.kernel_name()));
    Ok(disks)
}

/// A disk and its identifying attributes. Texts are as the disk reports them, without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDevice {
    /// Device node: `/dev/sda`. Below a [`Root`], as every path.
    pub name: String,
    /// Kind of the block device.
    pub kind: Kind,
    /// Model, complete even where the SCSI inquiry truncates it.
    pub model: Option<String>,
    /// Size in bytes, never zero.
    pub size: u64,
    /// Whether the disk reports rotating platters.
    pub rotational: bool,
    /// World wide name, the longer form where there are two: `0x5000c500a1b2c3d4`,
    /// `eui.0025388b710116a1`.
    pub wwn: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// The driver's `vendor` attribute: `ATA`, `QEMU`, `0x1af4`.
    pub vendor: Option<String>,
    /// The world wide name with its vendor extension (udev's `ID_WWN_WITH_EXTENSION`).
    pub wwn_with_extension: Option<String>,
    /// Vendor extension alone (udev's `ID_WWN_VENDOR_EXTENSION`).
    pub wwn_vendor_extension: Option<String>,
    /// SCSI host, channel, target and unit: `0:0:0:0`.
    pub hctl: Option<String>,
    /// Name of the link that udev would create below `/dev/disk/by-path`; the link does not exist
    /// here.
    pub by_path: Option<String>,
    /// Size of a logical sector in bytes.
    pub logical_sectors: u32,
    /// Size of a physical sector in bytes.
    pub physical_sectors: u32,
    /// Transport: `sata`, `sas`, `nvme`, `virtio`, `usb`, `iscsi`, `fc`, …
    pub tran: Option<String>,
    /// Whether the kernel refuses writes.
    pub read_only: bool,
    /// Whether the medium can be taken out.
    pub removable: bool,
    /// Further by-path names that udev creates or created, likewise only names; hints may use any
    /// of them.
    pub other_by_paths: Vec<String>,
    /// Further serial numbers, which hints may use.
    pub other_serials: Vec<String>,
    /// Further world wide names, which hints may use.
    pub other_wwns: Vec<String>,
    /// Major and minor number: `8:0`.
    pub number: Option<String>,
    /// Number that the kernel assigns only to this disk with this medium (Linux 5.15).
    pub sequence: Option<u64>,
    /// Disks below an array or multipath device, through all layers; their own lists are empty
    /// here.
    pub below: Vec<Self>,
}

/// Kind of a [`BlockDevice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A single disk.
    Disk,
    /// A single disk seen over several paths.
    Multipath,
    /// An assembled array.
    Raid,
}

impl BlockDevice {
    /// Returns the name without its folder: `sda`.
    #[must_use]
    pub fn kernel_name(&self) -> &str {
        self.name.strip_prefix(DEV).unwrap_or(&self.name)
    }

    /// Checks whether this is virtual media that a management controller presents as a USB disk.
    /// Such a disk is never a target for an operating system.
    #[must_use]
    pub fn is_virtual_media(&self) -> bool {
        let says = |text: &Option<String>, word: &str| {
            text.as_ref()
                .is_some_and(|text| text.to_ascii_lowercase().contains(word))
        };
        self.tran.as_deref() == Some("usb")
            && VIRTUAL_MEDIA
                .iter()
                .any(|word| says(&self.vendor, word) || says(&self.model, word))
    }
}

/// Errors of listing the disks.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder of block devices could not be read.
    #[error("listing block devices in {}", folder.display())]
    List {
        /// The folder.
        folder: PathBuf,
        /// Error from the kernel.
        source: io::Error,
    },
}

impl From<Error> for AgentError {
    fn from(error: Error) -> Self {
        Self::caused(ErrorClass::BlockDeviceError, &error)
    }
}

/// Finds a disk of the list by its kernel name.
#[must_use]
pub fn find(root: &Root, name: &str) -> Option<BlockDevice> {
    if SKIPPED.iter().any(|prefix| has_number_after(name, prefix)) {
        return None;
    }
    let folder = root.path("sys/block").join(name);
    let kind = kind_of(&folder, name)?;
    let size = sysfs::number(&folder.join("size"))?.checked_mul(SECTOR)?;
    if size == 0 || sysfs::flag(&folder.join("hidden")) || is_path_of_multipath(root, &folder) {
        return None;
    }
    let mut disk = describe(root, name, kind, size);
    disk.below = slaves::below(root, name)
        .iter()
        .filter_map(|name| {
            let folder = root.path("sys/block").join(name);
            let size = sysfs::number(&folder.join("size")).unwrap_or_default();
            let kind = kind_of(&folder, name)?;
            Some(describe(root, name, kind, size.saturating_mul(SECTOR)))
        })
        .collect();
    if kind == Kind::Multipath {
        take_names_of_paths(&mut disk);
    }
    Some(disk)
}

/// Reads the attributes of a block device, but not the disks below it.
fn describe(root: &Root, name: &str, kind: Kind, size: u64) -> BlockDevice {
    let folder = root.path("sys/block").join(name);
    let sectors = |attribute: &str| {
        sysfs::number(&folder.join("queue").join(attribute)).and_then(|size| size.try_into().ok())
    };
    let logical_sectors = sectors("logical_block_size").unwrap_or(512);
    let way = path::DevicePath::of(root, &folder);
    let identity = identity::read(&folder, name, &way);
    let by_path = way.by_path();
    let tran = way.transport(name);
    BlockDevice {
        name: format!("{DEV}{name}"),
        kind,
        model: identity.model,
        size,
        rotational: sysfs::flag(&folder.join("queue/rotational")),
        wwn: identity.wwn,
        serial: identity.serial,
        vendor: sysfs::text(&folder.join("device/vendor")),
        wwn_with_extension: identity.wwn_with_extension,
        wwn_vendor_extension: identity.wwn_vendor_extension,
        hctl: sysfs::names(&folder.join("device/scsi_device"))
            .into_iter()
            .min(),
        other_by_paths: by_path
            .iter()
            .filter_map(|path| path::other_name(path, tran))
            .collect(),
        by_path,
        logical_sectors,
        physical_sectors: sectors("physical_block_size").unwrap_or(logical_sectors),
        tran: tran.map(str::to_owned),
        read_only: sysfs::flag(&folder.join("ro")),
        removable: sysfs::flag(&folder.join("removable")),
        other_serials: identity.other_serials,
        other_wwns: identity.other_wwns,
        number: sysfs::text(&folder.join("dev")),
        sequence: sysfs::number(&folder.join("diskseq")),
        below: Vec::new(),
    }
}

/// Adds the serial numbers and world wide names of a multipath device's paths, which are one disk.
fn take_names_of_paths(disk: &mut BlockDevice) {
    let add = |first: &mut Option<String>, others: &mut Vec<String>, names: Vec<String>| {
        for name in names {
            if first.is_none() {
                *first = Some(name);
            } else if first.as_ref() != Some(&name) && !others.contains(&name) {
                others.push(name);
            }
        }
    };
    for path in disk.below.clone() {
        let serials = path.serial.into_iter().chain(path.other_serials).collect();
        add(&mut disk.serial, &mut disk.other_serials, serials);
        let wwns = path.wwn.into_iter().chain(path.other_wwns).collect();
        add(&mut disk.wwn, &mut disk.other_wwns, wwns);
        disk.wwn_with_extension = disk.wwn_with_extension.take().or(path.wwn_with_extension);
        disk.wwn_vendor_extension =
            (disk.wwn_vendor_extension.take()).or(path.wwn_vendor_extension);
    }
}

/// Classifies a block device by the rules for `lsblk`'s TYPE column; `None` for what does not count
/// as a disk.
fn kind_of(folder: &Path, name: &str) -> Option<Kind> {
    if let Some(uuid) = sysfs::text(&folder.join("dm/uuid")) {
        let maker = uuid
            .split('-')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        return match maker.as_str() {
            "mpath" => Some(Kind::Multipath),
            _ if maker.contains("raid") => Some(Kind::Raid),
            _ => None,
        };
    }
    if has_number_after(name, "dm-") {
        return None;
    }
    if name.starts_with("md") {
        let level = sysfs::text(&folder.join("md/level"))?;
        return level.contains("raid").then_some(Kind::Raid);
    }
    // SPC-6 table 142. Types that `lsblk` names otherwise are no disks (util-linux `lib/blkdev.c`,
    // `blkdev_scsi_type_to_name`). Of the rest, 0x14 is a host-managed zoned disk. 0xe, a
    // simplified disk, is "rbc" there, and a disk here.
    match sysfs::number(&folder.join("device/type")) {
        Some(1..=9 | 0xc | 0xd | 0x11 | 0x7f) => None,
        _ => Some(Kind::Disk),
    }
}

/// Checks whether a multipath device uses this one: then the list already has the same disk.
fn is_path_of_multipath(root: &Root, folder: &Path) -> bool {
    sysfs::names(&folder.join("holders")).iter().any(|holder| {
        let uuid = root.path("sys/block").join(holder).join("dm/uuid");
        sysfs::text(&uuid).is_some_and(|uuid| uuid.starts_with("mpath-"))
    })
}

/// Checks whether a name is a prefix followed by a digit: `ram0`, but not `ramdisk`.
fn has_number_after(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| rest.starts_with(is_digit))
}

/// Returns a sort key for the list. The first disk that matches root device hints is taken, so the
/// order is that of `lsblk`: by device number. Within a driver the names decide, because numbers
/// depend on the order of discovery.
fn place_in_list(root: &Root, name: &str) -> (Option<u64>, Vec<(usize, String)>) {
    let number = sysfs::text(&root.path("sys/block").join(name).join("dev"));
    let major = number.and_then(|number| number.split_once(':')?.0.parse().ok());
    (major, natural_order(name))
}

/// Returns a sort key for natural order: letters like the columns of a spreadsheet, numbers by
/// value.
fn natural_order(name: &str) -> Vec<(usize, String)> {
    let mut parts: Vec<(usize, String)> = Vec::new();
    for letter in name.chars() {
        match parts.last_mut() {
            Some((length, part)) if part.ends_with(is_digit) == is_digit(letter) => {
                *length += 1;
                part.push(letter);
            }
            _ => parts.push((1, letter.to_string())),
        }
    }
    parts
}

fn is_digit(letter: char) -> bool {
    letter.is_ascii_digit()
}

const DEV: &str = "/dev/";
/// Unit of sysfs sizes in bytes, independent of the disk's sector size.
const SECTOR: u64 = 512;
/// Prefixes of floppies, memory and loop devices, and optical drives.
const SKIPPED: [&str; 5] = ["fd", "loop", "ram", "sr", "zram"];
/// Model and vendor words of USB disks of management controllers: iDRAC, iLO, AMI, XClarity
/// ("Virtual …"), OpenBMC.
const VIRTUAL_MEDIA: [&str; 3] = ["virtual", "file-stor", "file-cd"];

#[cfg(test)]
mod tests {
    use super::fixture::{GIB, Machine};
    use super::*;

    #[test]
    fn a_virtio_disk_has_every_attribute() {
        let machine = Machine::new();
        machine.virtio_disk("vda", 10 * GIB, Some("disk-1"));
        assert_eq!(
            list(&machine.root()).unwrap(),
            [BlockDevice {
                name: "/dev/vda".into(),
                kind: Kind::Disk,
                model: None,
                size: 10 * GIB,
                rotational: true,
                wwn: None,
                serial: Some("disk-1".into()),
                vendor: Some("0x1af4".into()),
                wwn_with_extension: None,
                wwn_vendor_extension: None,
                hctl: None,
                by_path: Some("/dev/disk/by-path/pci-0000:00:04.0".into()),
                logical_sectors: 512,
                physical_sectors: 512,
                tran: Some("virtio".into()),
                read_only: false,
                removable: false,
                other_by_paths: vec!["/dev/disk/by-path/virtio-pci-0000:00:04.0".into()],
                other_serials: vec![],
                other_wwns: vec![],
                number: Some("254:0".into()),
                sequence: None,
                below: vec![],
            }]
        );
    }

    #[test]
    fn a_sata_disk_has_its_whole_model_and_its_port() {
        let machine = Machine::new();
        machine.sata_disk(
            "sda",
            4,
            1000 * GIB,
            "Samsung SSD 860 EVO 1TB",
            "S3Z9NB0K123456",
            0x5002_538e_4001_2345,
        );
        assert_eq!(
            list(&machine.root()).unwrap(),
            [BlockDevice {
                name: "/dev/sda".into(),
                kind: Kind::Disk,
                model: Some("Samsung SSD 860 EVO 1TB".into()),
                size: 1000 * GIB,
                rotational: false,
                wwn: Some("0x5002538e40012345".into()),
                serial: Some("S3Z9NB0K123456".into()),
                vendor: Some("ATA".into()),
                wwn_with_extension: Some("0x5002538e40012345".into()),
                wwn_vendor_extension: None,
                hctl: Some("4:0:0:0".into()),
                by_path: Some("/dev/disk/by-path/pci-0000:00:1f.2-ata-5.0".into()),
                logical_sectors: 512,
                physical_sectors: 512,
                tran: Some("sata".into()),
                read_only: false,
                removable: false,
                other_by_paths: vec!["/dev/disk/by-path/pci-0000:00:1f.2-ata-5".into()],
                other_serials: vec!["Samsung_SSD_860_EVO_1TB_S3Z9NB0K123456".into()],
                other_wwns: vec![],
                number: Some("8:0".into()),
                sequence: None,
                below: vec![],
            }]
        );
    }

    #[test]
    fn a_sas_disk_is_known_by_its_unit_serial_and_by_its_name() {
        let machine = Machine::new();
        machine.sas_disk(
            "sdb",
            2,
            600 * GIB,
            "ST600MM0208",
            "S42012345",
            0x5000_c500_a1b2_c3d7,
        );
        let disks = list(&machine.root()).unwrap();
        assert_eq!(disks.len(), 1);
        assert_eq!(
            disks[0],
            BlockDevice {
                name: "/dev/sdb".into(),
                kind: Kind::Disk,
                model: Some("ST600MM0208".into()),
                size: 600 * GIB,
                rotational: true,
                wwn: Some("0x5000c500a1b2c3d7".into()),
                serial: Some("S42012345".into()),
                vendor: Some("SEAGATE".into()),
                wwn_with_extension: Some("0x5000c500a1b2c3d7".into()),
                wwn_vendor_extension: None,
                hctl: Some("0:0:2:0".into()),
                by_path: Some("/dev/disk/by-path/pci-0000:03:00.0-sas-phy2-lun-0".into()),
                logical_sectors: 512,
                physical_sectors: 4096,
                tran: Some("sas".into()),
                read_only: false,
                removable: false,
                other_by_paths: vec![],
                other_serials: vec!["5000c500a1b2c3d7".into(), "35000c500a1b2c3d7".into()],
                other_wwns: vec![],
                number: Some("8:0".into()),
                sequence: None,
                below: vec![],
            }
        );
    }

    #[test]
    fn an_nvme_disk_has_its_wwid_and_its_name_space() {
        let machine = Machine::new();
        machine.nvme_disk(
            "nvme0n1",
            2000 * GIB,
            "INTEL SSDPE2KX020T8",
            "PHLJ1234",
            "eui.01000000010000005cd2e4a1b2c3d4e5",
        );
        let disks = list(&machine.root()).unwrap();
        assert_eq!(disks.len(), 1);
        assert_eq!(
            disks[0],
            BlockDevice {
                name: "/dev/nvme0n1".into(),
                kind: Kind::Disk,
                model: Some("INTEL SSDPE2KX020T8".into()),
                size: 2000 * GIB,
                rotational: false,
                wwn: Some("eui.01000000010000005cd2e4a1b2c3d4e5".into()),
                serial: Some("PHLJ1234".into()),
                vendor: None,
                wwn_with_extension: None,
                wwn_vendor_extension: None,
                hctl: None,
                by_path: Some("/dev/disk/by-path/pci-0000:5e:00.0-nvme-1".into()),
                logical_sectors: 4096,
                physical_sectors: 4096,
                tran: Some("nvme".into()),
                read_only: false,
                removable: false,
                other_by_paths: vec![],
                other_serials: vec![
                    "INTEL_SSDPE2KX020T8_PHLJ1234".into(),
                    "INTEL_SSDPE2KX020T8_PHLJ1234_1".into()
                ],
                other_wwns: vec![],
                number: Some("259:0".into()),
                sequence: None,
                below: vec![],
            }
        );
    }

    #[test]
    fn a_usb_stick_is_removable_and_named_by_its_port() {
        let machine = Machine::new();
        machine.usb_disk("sdc", 16 * GIB, "SanDisk", "Ultra Fit", Some("4C53000123"));
        let disks = list(&machine.root()).unwrap();
        assert_eq!(disks.len(), 1);
        assert_eq!(
            (&disks[0].tran, &disks[0].by_path, &disks[0].serial),
            (
                &Some("usb".into()),
                &Some("/dev/disk/by-path/pci-0000:00:14.0-usb-0:3:1.0-scsi-0:0:0:0".into()),
                &Some("4C53000123".into())
            )
        );
        assert!(disks[0].removable);
        assert!(!disks[0].is_virtual_media());
    }

    #[test]
    fn a_disk_lent_by_a_management_controller_is_virtual_media() {
        let machine = Machine::new();
        machine.usb_disk("sdc", 16 * GIB, "AMI", "Virtual HDisk0", None);
        assert!(list(&machine.root()).unwrap()[0].is_virtual_media());
    }

    #[test]
    fn what_is_no_disk_is_not_listed() {
        let machine = Machine::new();
        for name in ["fd0", "ram0", "zram0", "loop0", "sr0"] {
            machine.plain_disk(name, GIB);
        }
        machine.plain_disk("sda", 0);
        machine.plain_disk("nvme0c0n1", GIB);
        machine.file("sys/block/nvme0c0n1/hidden", "1\n");
        machine.plain_disk("sdb", GIB);
        machine.file("sys/block/sdb/device/type", "5\n");
        machine.plain_disk("dm-0", GIB);
        machine.file("sys/block/dm-0/dm/uuid", "LVM-abc\n");
        machine.plain_disk("md127", GIB);
        machine.file("sys/block/md127/md/level", "container\n");
        assert_eq!(list(&machine.root()).unwrap(), []);
    }

    #[test]
    fn scsi_devices_are_disks_unless_their_type_has_another_name() {
        let machine = Machine::new();
        let types = [0, 1, 4, 5, 7, 12, 13, 14, 17, 20, 127];
        for (kind, letter) in types.iter().zip('a'..) {
            machine.plain_disk(&format!("sd{letter}"), GIB);
            let file = format!("sys/block/sd{letter}/device/type");
            machine.file(&file, &format!("{kind}\n"));
        }
        let disks = list(&machine.root()).unwrap();
        let names: Vec<_> = disks.iter().map(|disk| disk.name.as_str()).collect();
        // A disk, a simplified one, and a host-managed zoned one.
        assert_eq!(names, ["/dev/sda", "/dev/sdh", "/dev/sdj"]);
    }

    #[test]
    fn arrays_are_listed_and_multipath_replaces_its_paths() {
        let machine = Machine::new();
        machine.plain_disk("md0", GIB);
        machine.file("sys/block/md0/md/level", "raid1\n");
        machine.plain_disk("dm-1", GIB);
        machine.file("sys/block/dm-1/dm/uuid", "mpath-35000c500a1b2c3d7\n");
        for path in ["sdx", "sdy"] {
            machine.plain_disk(path, GIB);
            machine.file(&format!("sys/block/{path}/holders/dm-1/dev"), "254:1\n");
        }
        let kinds: Vec<_> = list(&machine.root())
            .unwrap()
            .into_iter()
            .map(|disk| (disk.name, disk.kind))
            .collect();
        assert_eq!(
            kinds,
            [
                ("/dev/md0".into(), Kind::Raid),
                ("/dev/dm-1".into(), Kind::Multipath)
            ]
        );
    }

    #[test]
    fn a_multipath_device_is_called_as_its_paths_are_and_stands_on_them() {
        let machine = Machine::new();
        let wwn = 0x5000_c500_a1b2_c3d7;
        for (path, phy) in [("sdx", 1), ("sdy", 2)] {
            machine.sas_disk(path, phy, GIB, "ST600MM0208", "S42012345", wwn);
            machine.file(&format!("sys/block/{path}/holders/dm-1/dev"), "254:1\n");
            machine.file(&format!("sys/block/dm-1/slaves/{path}/dev"), "8:0\n");
        }
        machine.plain_disk("dm-1", GIB);
        machine.file("sys/block/dm-1/dm/uuid", "mpath-35000c500a1b2c3d7\n");
        let disks = list(&machine.root()).unwrap();
        assert_eq!(disks.len(), 1);
        let path = |name| {
            let folder = machine.root().path("sys/block").join(name);
            let kind = kind_of(&folder, name).unwrap();
            describe(&machine.root(), name, kind, GIB)
        };
        let own = path("dm-1");
        assert_eq!(own.serial, None);
        let known = BlockDevice {
            serial: Some("S42012345".into()),
            other_serials: vec!["5000c500a1b2c3d7".into(), "35000c500a1b2c3d7".into()],
            wwn: Some("0x5000c500a1b2c3d7".into()),
            wwn_with_extension: Some("0x5000c500a1b2c3d7".into()),
            below: vec![path("sdx"), path("sdy")],
            ..own
        };
        assert_eq!(disks[0], known);
    }

    #[test]
    fn an_array_stands_on_the_disks_below_all_layers_and_below_partitions() {
        let machine = Machine::new();
        for disk in ["sda", "sdb", "md0"] {
            machine.plain_disk(disk, GIB);
        }
        machine.file("sys/block/md0/md/level", "raid1\n");
        for slave in ["sda1", "dm-0"] {
            machine.folder(&format!("sys/block/md0/slaves/{slave}"));
        }
        machine.file("sys/block/sda/sda1/partition", "1\n");
        machine.plain_disk("dm-0", GIB);
        machine.file("sys/block/dm-0/dm/uuid", "CRYPT-LUKS2-abc\n");
        machine.folder("sys/block/dm-0/slaves/sdb2");
        machine.file("sys/block/sdb/sdb2/partition", "2\n");
        let array = find(&machine.root(), "md0").unwrap();
        let mut names: Vec<_> = array.below.into_iter().map(|disk| disk.name).collect();
        names.sort();
        assert_eq!(names, ["/dev/sda", "/dev/sdb"]);
    }

    #[test]
    fn disks_are_in_the_order_lsblk_lists_them_and_one_counts() {
        let machine = Machine::new();
        for name in ["sdaa", "nvme10n1", "vda", "sdb", "nvme2n1", "sda"] {
            machine.plain_disk(name, GIB);
        }
        let names: Vec<_> = list(&machine.root())
            .unwrap()
            .into_iter()
            .map(|disk| disk.kernel_name().to_owned())
            .collect();
        assert_eq!(names, ["sda", "sdb", "sdaa", "vda", "nvme2n1", "nvme10n1"]);
    }

    #[test]
    fn an_unreadable_list_is_an_error_and_not_an_empty_machine() {
        let machine = Machine::new();
        let error = AgentError::from(list(&machine.root()).unwrap_err());
        assert_eq!(error.class, ErrorClass::BlockDeviceError);
        assert!(
            error.details.starts_with("listing block devices in "),
            "{error}"
        );
    }
}
