//! Erasure of disk contents.

pub mod metadata;

use super::Error;
use crate::error::{AgentError, ErrorClass, chain};
use std::fmt;
use std::path::PathBuf;

/// Outcome of the erasure of one disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Path of the disk.
    pub disk: PathBuf,
    /// Action taken on the disk.
    pub done: DiskOutcome,
}

/// Action of the erasure on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOutcome {
    /// The disk was erased.
    Erased,
    /// Skipped, because the disk or one of its partitions is a member of an md array. Arrays belong
    /// to the operator's RAID configuration.
    SkippedArrayMember,
    /// Skipped, because the disk refuses writes and the rules skip such disks.
    SkippedReadOnly,
    /// Skipped, because the disk is Ironic's own virtual floppy.
    SkippedVirtualMedia,
}

/// Disks that were not erased, with the errors. All other disks were erased.
#[derive(Debug)]
pub struct Failed(pub Vec<(PathBuf, Error)>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures = self.0.iter().map(|(disk, error)| (disk, chain(error)));
        let failures: Vec<String> = failures
            .map(|(disk, error)| format!("{}: {error}", disk.display()))
            .collect();
        write!(f, "not erased: {}", failures.join("; "))
    }
}

impl std::error::Error for Failed {}

impl From<Failed> for AgentError {
    fn from(failed: Failed) -> Self {
        Self::new(ErrorClass::BlockDeviceEraseError, failed.to_string())
    }
}
