//! Errors of writing an image, and their form for Ironic.

use super::{checksum, download, info, pipeline, target};
use crate::error::{AgentError, ErrorClass};
use crate::formats::{image_format, qcow2};
use crate::storage;
use std::io;
use std::path::PathBuf;

/// Errors of writing an image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A step failed after the disk had been written to.
    #[error("writing the image was given up, and {} was left without a partition table", device.display())]
    Abandoned {
        /// Path of the disk.
        device: PathBuf,
        /// Cause of the failure.
        #[source]
        cause: Box<Self>,
    },
    /// The disk is not the chosen one.
    #[error(transparent)]
    Chosen(#[from] storage::Error),
    /// No checksum could be determined to verify the image with.
    #[error("Unable to verify image {image} with available checksums")]
    Checksum {
        /// Ironic's name of the image.
        image: String,
        /// Cause of the failure.
        source: checksum::Error,
    },
    /// Decoding found the image corrupt during the write.
    #[error("decoding the image")]
    Decode(#[source] qcow2::Error),
    /// Downloads from every URL failed.
    #[error("Download of image {image} failed: {attempts}")]
    Download {
        /// Ironic's name of the image.
        image: String,
        /// Outcome of each URL.
        attempts: String,
    },
    /// The image is empty, or its disk has no bytes.
    #[error("the image at {0} is empty")]
    Empty(String),
    /// The download failed and cannot be retried.
    #[error("downloading the image")]
    Fetch(#[source] download::Error),
    /// Inspection rejected the image.
    #[error(transparent)]
    Inspect(#[from] image_format::Error),
    /// The image does not match its checksum.
    #[error(
        "Image failed to verify against checksum. location: {url}; image ID: {image}; image checksum ({algorithm}): {expected}; verification checksum: {actual}"
    )]
    Mismatch {
        /// URL of the image.
        url: String,
        /// Ironic's name of the image.
        image: String,
        /// Name of the hash function.
        algorithm: &'static str,
        /// Expected hash.
        expected: String,
        /// Actual hash.
        actual: String,
    },
    /// A step failed after the disk had been written to, and clearing the disk failed too.
    #[error("writing the image was given up, and {} may still have a partition table", device.display())]
    NotCleared {
        /// Path of the disk.
        device: PathBuf,
        /// Cause of the first failure.
        #[source]
        cause: Box<Self>,
    },
    /// The image is the content of one partition.
    #[error("image {0} is a partition image; this agent writes whole-disk images (raw or qcow2)")]
    PartitionImage(String),
    /// The target disk failed.
    #[error(transparent)]
    Target(#[from] target::Error),
    /// A thread could not be started.
    #[error("starting a thread")]
    Thread(#[source] io::Error),
}

impl Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Abandoned { cause, .. } | Self::NotCleared { cause, .. } => cause.class(),
            Self::Checksum {
                source: checksum::Error::Download(_),
                ..
            }
            | Self::Download { .. } => ErrorClass::ImageDownloadError,
            Self::Checksum { .. } => ErrorClass::RESTError,
            Self::Chosen(_) => ErrorClass::BlockDeviceError,
            Self::Fetch(download::Error::Duration(_)) => ErrorClass::ImageDownloadTimeoutError,
            Self::Fetch(download::Error::Cancelled) | Self::Thread(_) => {
                ErrorClass::CommandExecutionError
            }
            Self::Fetch(_) => ErrorClass::ImageDownloadError,
            Self::Decode(_) | Self::Empty(_) | Self::Inspect(_) | Self::PartitionImage(_) => {
                ErrorClass::InvalidImage
            }
            Self::Mismatch { .. } => ErrorClass::ImageChecksumError,
            Self::Target(target::Error::TooSmall { .. }) => ErrorClass::InvalidImage,
            Self::Target(target::Error::NotADisk(_) | target::Error::Open { .. }) => {
                ErrorClass::DeviceNotFound
            }
            Self::Target(_) => ErrorClass::ImageWriteError,
        }
    }
}

impl From<Error> for AgentError {
    fn from(error: Error) -> Self {
        Self::caused(error.class(), &error)
    }
}

impl From<info::Error> for AgentError {
    fn from(error: info::Error) -> Self {
        Self::caused(ErrorClass::InvalidCommandParamsError, &error)
    }
}

impl From<pipeline::Error> for Error {
    fn from(error: pipeline::Error) -> Self {
        match error {
            pipeline::Error::Decode(source) => Self::Decode(source),
            pipeline::Error::Fetch(source) => Self::Fetch(source),
            pipeline::Error::Target(source) => Self::Target(source),
            pipeline::Error::Thread(source) => Self::Thread(source),
        }
    }
}
