//! Why a qcow2 image cannot be read.

use super::SinkClosed;

/// Why an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image is only a difference to another file.
    #[error("the image has a backing file; flatten it with qemu-img convert")]
    BackingFile,
    /// A cluster size that no qcow2 has.
    #[error("clusters of 2^{0} bytes are not allowed in qcow2")]
    ClusterBits(u32),
    /// A compressed cluster does not unpack to one cluster.
    #[error("the compressed cluster for the disk's byte {guest} is corrupt")]
    Compressed {
        /// Where in the guest.
        guest: u64,
    },
    /// A kind of compression nobody knows, or one the feature bits contradict.
    #[error("compression kind {0} is unknown or contradicts the feature bits")]
    CompressionKind(u8),
    /// The data is in another file.
    #[error("the image keeps its data in an external file")]
    DataFile,
    /// The clusters are encrypted.
    #[error("the image is encrypted")]
    Encrypted,
    /// An entry that its version of qcow2 does not have.
    #[error("the table entry {0:#018x} is corrupt")]
    Entry(u64),
    /// Subclusters.
    #[error(
        "the image has extended table entries (extended_l2=on); convert it with qemu-img convert"
    )]
    ExtendedTables,
    /// A first-level table that is too large, or too small for the disk.
    #[error(
        "a first-level table of {entries} entries does not fit a disk that needs {needed} (at most 4194304)"
    )]
    FirstLevelSize {
        /// What the header says.
        entries: u64,
        /// What the disk's size asks for.
        needed: u64,
    },
    /// A header length outside the standard.
    #[error("a header of {0} bytes is not allowed in qcow2")]
    HeaderLength(u32),
    /// Another kind of file.
    #[error("the image is not qcow2")]
    NotQcow2,
    /// The file ends inside the header.
    #[error("the image ends inside its header")]
    ShortHeader,
    /// Nobody takes the bytes.
    #[error("the decoding was given up")]
    SinkClosed(#[from] SinkClosed),
    /// A table or cluster that does not begin where one can.
    #[error("nothing can begin at byte {0:#x} of the image: it is corrupt")]
    TableOffset(u64),
    /// More pieces than we are willing to remember.
    #[error(
        "the image's clusters are too scattered to be streamed; rewrite it with qemu-img convert -O qcow2"
    )]
    TooScattered,
    /// The file ends before the clusters its tables name.
    #[error("the image is cut off: its tables name clusters behind byte {at}")]
    Truncated {
        /// Where the file ends.
        at: u64,
    },
    /// Features that change the meaning of the file and that we do not know.
    #[error("the image has unknown incompatible features ({0:#x})")]
    UnknownFeatures(u64),
    /// A version that is neither 2 nor 3.
    #[error("qcow2 version {0} is not supported")]
    Version(u32),
    /// A disk larger than any there is.
    #[error("a disk of {0} bytes is not possible")]
    VirtualSize(u64),
    /// The zstd library refused to begin.
    #[error("preparing the zstd decoder")]
    Zstandard(#[source] std::io::Error),
}
