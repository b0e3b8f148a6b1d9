//! Why an image was not written, and what Ironic is told.

use super::{checksum, download, info, pipeline, target};
use crate::error::{AgentError, ErrorClass};
use crate::formats::{image_format, qcow2};
use crate::storage;
use std::io;
use std::path::PathBuf;

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something failed when the disk had been written to.
    #[error("writing the image was given up, and {} was left without a partition table", device.display())]
    Abandoned {
        /// The disk.
        device: PathBuf,
        /// What failed.
        #[source]
        cause: Box<Self>,
    },
    /// The disk is not the one that was chosen.
    #[error(transparent)]
    Chosen(#[from] storage::Error),
    /// Nothing to verify the image with.
    #[error("Unable to verify image {image} with available checksums")]
    Checksum {
        /// Ironic's name of the image.
        image: String,
        /// What is wrong with them.
        source: checksum::Error,
    },
    /// The image turned out corrupt while it was written.
    #[error("decoding the image")]
    Decode(#[source] qcow2::Error),
    /// Every URL was given up.
    #[error("Download of image {image} failed: {attempts}")]
    Download {
        /// Ironic's name of the image.
        image: String,
        /// What came of each URL.
        attempts: String,
    },
    /// Nothing, or a disk of no bytes.
    #[error("the image at {0} is empty")]
    Empty(String),
    /// The download cannot be made, or must not go on.
    #[error("downloading the image")]
    Fetch(#[source] download::Error),
    /// The image must not be written.
    #[error(transparent)]
    Inspect(#[from] image_format::Error),
    /// The image is not the one Ironic means.
    #[error(
        "Image failed to verify against checksum. location: {url}; image ID: {image}; image checksum ({algorithm}): {expected}; verification checksum: {actual}"
    )]
    Mismatch {
        /// Where it came from.
        url: String,
        /// Ironic's name of it.
        image: String,
        /// The hash function.
        algorithm: &'static str,
        /// What it should hash to.
        expected: String,
        /// What it does hash to.
        actual: String,
    },
    /// Something failed when the disk had been written to, and then clearing it.
    #[error("writing the image was given up, and {} may still have a partition table", device.display())]
    NotCleared {
        /// The disk.
        device: PathBuf,
        /// What failed first.
        #[source]
        cause: Box<Self>,
    },
    /// One partition's content.
    #[error("image {0} is a partition image; this agent writes whole-disk images (raw or qcow2)")]
    PartitionImage(String),
    /// The disk.
    #[error(transparent)]
    Target(#[from] target::Error),
    /// The machine has no more threads.
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
