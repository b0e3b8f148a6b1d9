//! Errors of the qcow2 decoder.

use super::SinkClosed;

/// Reason why an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image is only the difference to another file.
    #[error("the image has a backing file; flatten it with qemu-img convert")]
    BackingFile,
    /// The cluster size, as a power of two, is not allowed in qcow2.
    #[error("clusters of 2^{0} bytes are not allowed in qcow2")]
    ClusterBits(u32),
    /// A compressed cluster does not decompress to one cluster.
    #[error("the compressed cluster for the disk's byte {guest} is corrupt")]
    Compressed {
        /// Offset in the guest.
        guest: u64,
    },
    /// The compression type is unknown, or contradicts the feature bits.
    #[error("compression kind {0} is unknown or contradicts the feature bits")]
    CompressionKind(u8),
    /// The data is in another file.
    #[error("the image keeps its data in an external file")]
    DataFile,
    /// The clusters are encrypted.
    #[error("the image is encrypted")]
    Encrypted,
    /// A table entry is not valid in this version of qcow2.
    #[error("the table entry {0:#018x} is corrupt")]
    Entry(u64),
    /// The image has subclusters.
    #[error(
        "the image has extended table entries (extended_l2=on); convert it with qemu-img convert"
    )]
    ExtendedTables,
    /// The first-level table is too large, or too small for the disk.
    #[error(
        "a first-level table of {entries} entries does not fit a disk that needs {needed} (at most 4194304)"
    )]
    FirstLevelSize {
        /// Number of entries in the header.
        entries: u64,
        /// Number of entries that the disk's size requires.
        needed: u64,
    },
    /// The header length violates the standard.
    #[error("a header of {0} bytes is not allowed in qcow2")]
    HeaderLength(u32),
    /// The file is not qcow2.
    #[error("the image is not qcow2")]
    NotQcow2,
    /// The file ends inside the header.
    #[error("the image ends inside its header")]
    ShortHeader,
    /// The sink takes no more bytes.
    #[error("the decoding was given up")]
    SinkClosed(#[from] SinkClosed),
    /// A table or cluster begins at an invalid offset.
    #[error("nothing can begin at byte {0:#x} of the image: it is corrupt")]
    TableOffset(u64),
    /// The image needs more map entries than the limit.
    #[error(
        "the image's clusters are too scattered to be streamed; rewrite it with qemu-img convert -O qcow2"
    )]
    TooScattered,
    /// The file ends before the clusters that its tables name.
    #[error("the image is cut off: its tables name clusters behind byte {at}")]
    Truncated {
        /// Offset of the file's end.
        at: u64,
    },
    /// The image has unknown features that change the meaning of the file.
    #[error("the image has unknown incompatible features ({0:#x})")]
    UnknownFeatures(u64),
    /// The version is neither 2 nor 3.
    #[error("qcow2 version {0} is not supported")]
    Version(u32),
    /// The disk is larger than any real disk.
    #[error("a disk of {0} bytes is not possible")]
    VirtualSize(u64),
    /// The zstd library failed to initialise.
    #[error("preparing the zstd decoder")]
    Zstandard(#[source] std::io::Error),
}
