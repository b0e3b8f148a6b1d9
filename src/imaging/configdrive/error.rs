//! Why a config drive does not get onto the disk.

use crate::error::{AgentError, ErrorClass};
use crate::storage;
use std::io;
use std::path::PathBuf;

/// Why a config drive does not get onto the disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More than one partition already has the label.
    #[error("{} has more than one partition labelled config-2", .0.display())]
    Ambiguous(PathBuf),
    /// The work was cancelled.
    #[error("writing the config drive to {} was cancelled", .0.display())]
    Cancelled(PathBuf),
    /// The partition that the image brought is too small.
    #[error("config drive of {bytes} bytes does not fit into {}", partition.display())]
    DoesNotFit {
        /// The partition's node.
        partition: PathBuf,
        /// The drive's size.
        bytes: u64,
    },
    /// The URL does not give it.
    #[error("Config drive for node {node} could not be downloaded")]
    Fetch {
        /// The node it is for.
        node: String,
        /// What went wrong.
        #[source]
        source: FetchError,
    },
    /// It is neither base64, gzip nor a file system.
    #[error("Config drive for node {node} is not base64 encoded or the content is malformed")]
    Malformed {
        /// The node it is for.
        node: String,
        /// What decoding said.
        #[source]
        source: io::Error,
    },
    /// The disk has no place for it.
    #[error("no partition for the config drive")]
    Partition(#[source] storage::Error),
    /// The disk does not hold what was written.
    #[error("the config drive on {} does not read as it was written", .0.display())]
    Verify(PathBuf),
    /// It has more than 64 MiB.
    #[error(
        "Config drive size exceeds maximum limit of 64MiB. The config drive is for node {node}"
    )]
    TooLarge {
        /// The node it is for.
        node: String,
    },
    /// The URL is none.
    #[error("Config drive for node {node} has an invalid URL")]
    Url {
        /// The node it is for.
        node: String,
        /// What is wrong with it.
        #[source]
        source: url::ParseError,
    },
    /// It cannot be written.
    #[error("the config drive cannot be written to {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

impl From<Error> for AgentError {
    fn from(error: Error) -> Self {
        Self::caused(ErrorClass::DeploymentError, &error)
    }
}

/// Why a download failed.
pub type FetchError = Box<dyn std::error::Error + Send + Sync>;
