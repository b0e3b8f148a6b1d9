//! Block devices: listing, partition tables, erasing.

pub mod device;
pub mod disk;
pub mod erase;
pub mod partition;
pub mod sysfs;

use crate::error::{AgentError, ErrorClass};
use crate::formats::{gpt, mbr};
use std::io;
use std::path::PathBuf;

/// What can fail on a disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A partition cannot be added to an MBR.
    #[error("a partition cannot be added to {}", .0.display())]
    AddPartition(PathBuf, #[source] mbr::Error),
    /// The work was cancelled.
    #[error("the work on {} was cancelled", .0.display())]
    Cancelled(PathBuf),
    /// The partition table is no good.
    #[error("the partition table of {} is unusable", .0.display())]
    Gpt(PathBuf, #[source] gpt::Error),
    /// Somebody uses the device.
    #[error("{} is in use{}", .0.display(), holders(.1))]
    InUse(PathBuf, Vec<String>),
    /// The device node of a partition does not appear.
    #[error("partition {} of {} did not appear as a device", .1, .0.display())]
    NodeMissing(PathBuf, u32),
    /// What was erased does not read as zeroes.
    #[error("{} still holds data at byte {}", .0.display(), .1)]
    NotErased(PathBuf, u64),
    /// There is no partition table.
    #[error("{} has no partition table", .0.display())]
    NoTable(PathBuf),
    /// The device cannot be opened.
    #[error("{} cannot be opened", .0.display())]
    Open(PathBuf, #[source] io::Error),
    /// The device holds a shared file system and is to be spared.
    #[error("{} holds {}, a shared file system, and is protected", .0.display(), .1)]
    Protected(PathBuf, &'static str),
    /// The device cannot be read.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The device refuses writes.
    #[error("{} is read-only", .0.display())]
    ReadOnly(PathBuf),
    /// The kernel does not take the new partition table.
    #[error("the kernel does not read the partition table of {} again", .0.display())]
    Rescan(PathBuf, #[source] io::Error),
    /// The device cannot be written.
    #[error("{} cannot be written", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

impl From<Error> for AgentError {
    fn from(error: Error) -> Self {
        Self::caused(ErrorClass::BlockDeviceError, &error)
    }
}

fn holders(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!(" by {}", names.join(", "))
}
