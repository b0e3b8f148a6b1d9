//! Making what was on disks unreadable.

pub mod metadata;

use super::Error;
use crate::error::{AgentError, ErrorClass, chain};
use std::fmt;
use std::path::PathBuf;

/// What happened to a disk that was to be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The disk.
    pub disk: PathBuf,
    /// What happened.
    pub done: DiskOutcome,
}

/// What erasing did with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOutcome {
    /// It was erased.
    Erased,
    /// It is, or has a partition that is, a member of an md array: those belong to the operator's RAID configuration.
    SkippedArrayMember,
    /// It refuses writes, and such disks are to be skipped.
    SkippedReadOnly,
    /// It is Ironic's own virtual floppy.
    SkippedVirtualMedia,
}

/// Some disks were not erased. The others were.
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
