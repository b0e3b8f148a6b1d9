//! Chosen disks, and the identity that distinguishes a disk from another with its name later.
//!
//! The kernel can reassign a disk's name. Minutes pass between the choice and a write, and a disk
//! that is plugged or reset meanwhile can take another's name. So each open compares the disk
//! behind the name, on the descriptor that is then written to.

use super::Error;
use super::device::{self, BlockDevice};
use super::disk::{Access, Disk};
use crate::root::Root;
use crate::sys::block;
use nix::sys::stat::{major, minor};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A disk that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    root: Root,
    name: String,
    identity: Identity,
}

/// Identity of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    /// Number that the kernel assigns once to this disk with this medium (`diskseq`, Linux 5.15).
    Sequence(u64),
    /// Attributes of the disk, for older kernels.
    Facts(Facts),
    /// A file that represents a disk: its file system and inode.
    File(u64, u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    number: Option<String>,
    size: u64,
    serial: Option<String>,
    wwn: Option<String>,
}

impl Chosen {
    /// Chooses a disk of the list.
    #[must_use]
    pub fn new(root: &Root, device: &BlockDevice) -> Self {
        let facts = || Identity::Facts(Facts::of(device));
        Self {
            root: root.clone(),
            name: device.name.clone(),
            identity: device.sequence.map_or_else(facts, Identity::Sequence),
        }
    }

    /// Chooses the disk that has this name now, or a file that represents one. For tests, whose
    /// disks are on no list.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn at(path: &Path) -> Result<Self, Error> {
        let failed = |error| Error::Open(path.into(), error);
        let open = File::open(path).map_err(failed)?;
        let file = open.metadata().map_err(failed)?;
        let identity = if file.file_type().is_block_device() {
            Identity::Sequence(block::sequence(open.as_fd()).map_err(failed)?)
        } else {
            Identity::File(file.dev(), file.ino())
        };
        Ok(Self {
            root: Root::machine(),
            name: path.to_string_lossy().into_owned(),
            identity,
        })
    }

    /// Returns the disk's name at the time of the choice: `/dev/sda`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path of the device node.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.root.path(&self.name)
    }

    /// Opens the disk.
    ///
    /// # Errors
    /// [`Error::AnotherDisk`]; as [`Disk::open`].
    pub fn open(&self, access: Access) -> Result<Disk, Error> {
        self.open_partition(&self.path(), access)
    }

    /// Opens a partition of the disk.
    ///
    /// # Errors
    /// [`Error::AnotherDisk`]; as [`Disk::open`].
    pub fn open_partition(&self, node: &Path, access: Access) -> Result<Disk, Error> {
        let open = Disk::open(node, access)?;
        self.check(node, open.file())?;
        Ok(open)
    }

    /// Compares an open device with the chosen disk. Call it before writing anything through the
    /// descriptor.
    ///
    /// # Errors
    /// [`Error::AnotherDisk`].
    pub fn check(&self, node: &Path, open: &File) -> Result<(), Error> {
        let is_chosen = match &self.identity {
            Identity::Sequence(chosen) => {
                block::sequence(open.as_fd()).is_ok_and(|now| now == *chosen)
            }
            Identity::Facts(chosen) => self.facts(open).as_ref() == Some(chosen),
            Identity::File(device, inode) => open
                .metadata()
                .is_ok_and(|file| (file.dev(), file.ino()) == (*device, *inode)),
        };
        match is_chosen {
            true => Ok(()),
            false => Err(Error::AnotherDisk(node.into())),
        }
    }

    /// Reads the attributes of an open disk, or of the disk of an open partition.
    fn facts(&self, open: &File) -> Option<Facts> {
        let number = open.metadata().ok()?.rdev();
        let number = format!("{}:{}", major(number), minor(number));
        let mut folder = fs::canonicalize(self.root.path("sys/dev/block").join(number)).ok()?;
        if folder.join("partition").exists() {
            folder.pop();
        }
        let device = device::find(&self.root, folder.file_name()?.to_str()?)?;
        Some(Facts::of(&device))
    }
}

impl Facts {
    fn of(device: &BlockDevice) -> Self {
        Self {
            number: device.number.clone(),
            size: device.size,
            serial: device.serial.clone(),
            wwn: device.wwn.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::guid::Guid;
    use crate::storage::device::fixture::{GIB, Machine};
    use crate::storage::disk::kernel_name;
    use crate::storage::fixture::TestDisk;
    use crate::storage::partition;

    /// Creates a machine on which a loop disk is `/dev/sda` and its first partition `/dev/sda1`,
    /// and chooses the disk.
    fn machine_with(disk: &TestDisk) -> Machine {
        let machine = Machine::new();
        machine.virtio_disk("sda", GIB, Some("ONE"));
        machine.link("dev/sda", &disk.path().display().to_string());
        let node = partition::node(disk.path(), 1);
        machine.link("dev/sda1", &node.display().to_string());
        machine
    }

    fn attribute(node: &Path, name: &str) -> String {
        let folder = Path::new("/sys/class/block").join(kernel_name(node));
        fs::read_to_string(folder.join(name)).unwrap()
    }

    fn choose(machine: &Machine) -> Chosen {
        let device = device::find(&machine.root(), "sda").unwrap();
        Chosen::new(&machine.root(), &device)
    }

    /// Checks whether the disk and its partition may be opened.
    fn opens(chosen: &Chosen) -> [Result<(), String>; 2] {
        ["dev/sda", "dev/sda1"].map(|node| {
            let open = chosen.open_partition(&chosen.root.path(node), Access::Write);
            open.map(|_| ()).map_err(|error| error.to_string())
        })
    }

    fn refused(machine: &Machine) -> [Result<(), String>; 2] {
        ["dev/sda", "dev/sda1"].map(|node| {
            let node = machine.root().path(node);
            Err(format!(
                "{} is another disk now than when it was chosen; nothing was written to it",
                node.display()
            ))
        })
    }

    #[test]
    fn a_disk_is_known_again_by_the_kernels_number_and_so_are_its_partitions() {
        let disk = TestDisk::gpt(50, 512, &[(Guid::LINUX_DATA, 1, 20)]);
        let machine = machine_with(&disk);
        let sequence = attribute(disk.path(), "diskseq");
        machine.file("sys/block/sda/diskseq", &sequence);
        assert_eq!(opens(&choose(&machine)), [Ok(()), Ok(())]);
        let other: u64 = sequence.trim().parse::<u64>().unwrap() + 1;
        machine.file("sys/block/sda/diskseq", &format!("{other}\n"));
        assert_eq!(opens(&choose(&machine)), refused(&machine));
    }

    #[test]
    fn an_old_kernels_disk_is_known_again_by_its_numbers_and_names() {
        let disk = TestDisk::gpt(50, 512, &[(Guid::LINUX_DATA, 1, 20)]);
        let machine = machine_with(&disk);
        let number = attribute(disk.path(), "dev");
        let of_partition = attribute(&partition::node(disk.path(), 1), "dev");
        machine.file("sys/block/sda/dev", &number);
        machine.file("sys/block/sda/sda1/partition", "1\n");
        let folder = |number: &str| format!("sys/dev/block/{}", number.trim());
        machine.link(&folder(&number), "../../block/sda");
        machine.link(&folder(&of_partition), "../../block/sda/sda1");
        let chosen = choose(&machine);
        assert_eq!(opens(&chosen), [Ok(()), Ok(())]);
        for (attribute, now, before) in [
            ("serial", "TWO\n", "ONE\n"),
            ("size", "4096\n", "2097152\n"),
            ("dev", "8:0\n", &number),
        ] {
            let attribute = format!("sys/block/sda/{attribute}");
            machine.file(&attribute, now);
            assert_eq!(opens(&chosen), refused(&machine), "{attribute}");
            machine.file(&attribute, before);
        }
        assert_eq!(opens(&chosen), [Ok(()), Ok(())]);
    }
}
