//! Block devices: listing, partition tables, erasure.

pub mod chosen;
pub mod confined_fs;
pub mod device;
pub mod disk;
pub mod erase;
pub mod mount;
pub mod partition;
pub mod sysfs;

use crate::error::{AgentError, ErrorClass};
use crate::formats::{gpt, mbr};
use std::io;
use std::path::PathBuf;

/// Errors of disk operations.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Adding a partition to an MBR failed.
    #[error("a partition cannot be added to {}", .0.display())]
    AddPartition(PathBuf, #[source] mbr::Error),
    /// The name now belongs to another disk than the chosen one.
    #[error("{} is another disk now than when it was chosen; nothing was written to it", .0.display())]
    AnotherDisk(PathBuf),
    /// The work was cancelled.
    #[error("the work on {} was cancelled", .0.display())]
    Cancelled(PathBuf),
    /// The partition table is damaged or unsuitable.
    #[error("the partition table of {} is unusable", .0.display())]
    Gpt(PathBuf, #[source] gpt::Error),
    /// The device is in use.
    #[error("{} is in use{}", .0.display(), holders(.1))]
    InUse(PathBuf, Vec<String>),
    /// The kernel has another partition of this number: its numbering differs, or it did not read
    /// the table again.
    #[error(
        "{} is not written to: in the partition table it has {} bytes from byte {}, and the kernel has {} from {}",
        node.display(), table.1, table.0, kernel.1, kernel.0
    )]
    NodeElsewhere {
        /// Device node of the partition.
        node: PathBuf,
        /// First byte and length in bytes in the table.
        table: (u64, u64),
        /// First byte and length in bytes in the kernel.
        kernel: (u64, u64),
    },
    /// The device node of a partition did not appear.
    #[error("partition {} of {} did not appear as a device", .1, .0.display())]
    NodeMissing(PathBuf, u32),
    /// The partition table has no such partition.
    #[error("{} has no partition {}", .0.display(), .1)]
    NoPartition(PathBuf, u32),
    /// The erased range does not read as zeroes.
    #[error("{} still holds data at byte {}", .0.display(), .1)]
    NotErased(PathBuf, u64),
    /// There is no partition table.
    #[error("{} has no partition table", .0.display())]
    NoTable(PathBuf),
    /// The device cannot be opened.
    #[error("{} cannot be opened", .0.display())]
    Open(PathBuf, #[source] io::Error),
    /// The device holds a shared file system and is protected.
    #[error("{} holds {}, a shared file system, and is protected", .0.display(), .1)]
    Protected(PathBuf, &'static str),
    /// The device cannot be read.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The device refuses writes.
    #[error("{} is read-only", .0.display())]
    ReadOnly(PathBuf),
    /// The kernel does not accept the new partition table.
    #[error("the kernel does not read the partition table of {} again", .0.display())]
    Rescan(PathBuf, #[source] io::Error),
    /// The device cannot be written.
    #[error("{} cannot be written", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

impl From<Error> for AgentError {
    fn from(error: Error) -> Self {
        // An unusable table of a written image is a deployment error, not a disk error.
        let class = match error {
            Error::Gpt(..) | Error::NoTable(_) => ErrorClass::DeploymentError,
            _ => ErrorClass::BlockDeviceError,
        };
        Self::caused(class, &error)
    }
}

fn holders(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!(" by {}", names.join(", "))
}

/// Loop devices as disks for tests. They need root, as the tested code does.
#[cfg(test)]
pub(crate) mod fixture {
    use super::disk::{Access, Disk};
    use super::partition;
    use crate::formats::gpt;
    use crate::formats::guid::Guid;
    use crate::progress::Cancel;
    use crate::sys::loopdev::LoopDevice;
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::path::Path;

    /// A loop disk, detached when dropped.
    pub(crate) struct TestDisk {
        pub(crate) device: LoopDevice,
        pub(crate) file: File,
    }

    impl TestDisk {
        /// Creates a disk of `mebibytes` MiB; `make` may write to its file first.
        pub(crate) fn new(mebibytes: u64, sector: u32, make: impl FnOnce(&File)) -> Self {
            let file = tempfile::tempfile().unwrap();
            file.set_len(mebibytes << 20).unwrap();
            make(&file);
            let device = LoopDevice::attach(&file, sector).expect("a loop device (needs root)");
            let disk = Disk::open(device.path(), Access::Read).unwrap();
            partition::rescan(&disk, &Cancel::default()).unwrap();
            Self { device, file }
        }

        /// Creates a disk with a GUID partition table: type, start and size of each partition in
        /// MiB.
        pub(crate) fn gpt(mebibytes: u64, sector: u32, partitions: &[(Guid, u64, u64)]) -> Self {
            Self::new(mebibytes, sector, |file| {
                gpt::fixture::write(file, sector, partitions);
            })
        }

        pub(crate) fn path(&self) -> &Path {
            self.device.path()
        }

        /// Writes bytes through a separate descriptor.
        pub(crate) fn write(&self, at: u64, bytes: &[u8]) {
            let disk = File::options().write(true).open(self.path()).unwrap();
            disk.write_all_at(bytes, at).unwrap();
            disk.sync_all().unwrap();
        }

        /// Reads the disk past the kernel's cache of the device.
        pub(crate) fn bytes(&self, at: u64, length: usize) -> Vec<u8> {
            let mut bytes = vec![0; length];
            self.file.read_exact_at(&mut bytes, at).unwrap();
            bytes
        }
    }
}
