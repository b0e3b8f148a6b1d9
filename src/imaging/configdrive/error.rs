//! Errors of installing a config drive.

use crate::error::{AgentError, ErrorClass};
use crate::storage;
use std::io;
use std::path::PathBuf;

/// Errors of installing a config drive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More than one partition has the label: the disk.
    #[error("{} has more than one partition labelled config-2", .0.display())]
    Ambiguous(PathBuf),
    /// The work was cancelled.
    #[error("writing the config drive to {} was cancelled", .0.display())]
    Cancelled(PathBuf),
    /// The partition of the image is too small.
    #[error("config drive of {bytes} bytes does not fit into {}", partition.display())]
    DoesNotFit {
        /// Device node of the partition.
        partition: PathBuf,
        /// Size of the config drive in bytes.
        bytes: u64,
    },
    /// Fetching the URL failed.
    #[error("Config drive for node {node} could not be downloaded")]
    Fetch {
        /// Node that the config drive is for.
        node: String,
        /// Cause of the failure.
        #[source]
        source: FetchError,
    },
    /// The data is neither base64, gzip nor a file system.
    #[error("Config drive for node {node} is not base64 encoded or the content is malformed")]
    Malformed {
        /// Node that the config drive is for.
        node: String,
        /// Error from the decoder.
        #[source]
        source: io::Error,
    },
    /// The disk has no partition for the drive, or it cannot be used.
    #[error("no partition for the config drive")]
    Partition(#[source] storage::Error),
    /// The disk does not contain the written data.
    #[error("the config drive on {} does not read as it was written", .0.display())]
    Verify(PathBuf),
    /// The drive has more than 64 MiB.
    #[error(
        "Config drive size exceeds maximum limit of 64MiB. The config drive is for node {node}"
    )]
    TooLarge {
        /// Node that the config drive is for.
        node: String,
    },
    /// The URL is invalid.
    #[error("Config drive for node {node} has an invalid URL")]
    Url {
        /// Node that the config drive is for.
        node: String,
        /// Error from the URL parser.
        #[source]
        source: url::ParseError,
    },
    /// Writing failed.
    #[error("the config drive cannot be written to {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

impl From<Error> for AgentError {
    fn from(error: Error) -> Self {
        Self::caused(ErrorClass::DeploymentError, &error)
    }
}

/// Cause of a failed download.
pub type FetchError = Box<dyn std::error::Error + Send + Sync>;
