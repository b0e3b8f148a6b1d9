//! qcow2 header: properties of the image, and checks whether it may be read.
//!
//! References outside the image's own bytes (backing file, external data file) and unsupported
//! content (encryption, unknown features) are refused here, before any byte is written.
//!
//! Structure: QEMU's `docs/interop/qcow2.txt`, section "Header".

use super::Error;
use crate::formats::le_bytes;

/// Validated header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Size in bytes of the disk that the image describes.
    pub virtual_size: u64,
    /// Compression of clusters.
    pub compression: Compression,
    /// Whether the image is marked as dirty or corrupt. Its tables are read as they are, as in
    /// QEMU.
    pub unclean: bool,
    /// Cluster size in bytes, as a power of two.
    pub(super) cluster_bits: u32,
    /// Offset of the first-level table.
    pub(super) l1_offset: u64,
    /// Number of first-level entries that the disk needs.
    pub(super) l1_entries: u64,
    /// Whether the "reads as zeroes" bit of a table entry has a meaning (version 3).
    pub(super) zero_bit: bool,
}

/// Compression of clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Raw deflate.
    Deflate,
    /// Zstandard frames.
    Zstandard,
}

impl Header {
    /// Parses a header from an image's first bytes; [`Header::LENGTH`] of them are always enough.
    ///
    /// # Errors
    /// [`Error`] if the bytes are not a header, or if the image must not be read.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.get(..4) != Some(&MAGIC) {
            return Err(Error::NotQcow2);
        }
        let version = field32(bytes, 4)?;
        if !matches!(version, 2 | 3) {
            return Err(Error::Version(version));
        }
        if field64(bytes, 8)? != 0 || field32(bytes, 16)? != 0 {
            return Err(Error::BackingFile);
        }
        if field32(bytes, 32)? != 0 {
            return Err(Error::Encrypted);
        }
        let cluster_bits = field32(bytes, 20)?;
        if !CLUSTER_BITS.contains(&cluster_bits) {
            return Err(Error::ClusterBits(cluster_bits));
        }
        let features = Features::parse(bytes, version, cluster_bits)?;
        let virtual_size = field64(bytes, 24)?;
        let (l1_offset, l1_entries) = first_level(bytes, virtual_size, cluster_bits)?;
        Ok(Self {
            virtual_size,
            compression: features.compression,
            unclean: features.unclean,
            cluster_bits,
            l1_offset,
            l1_entries,
            zero_bit: version >= 3,
        })
    }

    /// Number of bytes of a file's beginning that hold every field read here.
    pub const LENGTH: usize = 112;

    /// Returns the cluster size in bytes.
    #[must_use]
    pub fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Returns the number of guest bytes that one second-level table maps.
    pub(super) fn table_span(&self) -> u64 {
        1 << (2 * self.cluster_bits - 3)
    }
}

/// Magic at the beginning of every image: `QFI` and 0xfb.
pub(crate) const MAGIC: [u8; 4] = *b"QFI\xfb";

struct Features {
    compression: Compression,
    unclean: bool,
}

impl Features {
    fn parse(bytes: &[u8], version: u32, cluster_bits: u32) -> Result<Self, Error> {
        if version == 2 {
            return Ok(Self {
                compression: Compression::Deflate,
                unclean: false,
            });
        }
        let incompatible = field64(bytes, 72)?;
        if incompatible & DATA_FILE != 0 {
            return Err(Error::DataFile);
        }
        if incompatible & EXTENDED_L2 != 0 {
            return Err(Error::ExtendedTables);
        }
        if incompatible & !(DIRTY | CORRUPT | COMPRESSION) != 0 {
            return Err(Error::UnknownFeatures(incompatible));
        }
        let length = field32(bytes, 100)?;
        if length < 104 || length % 8 != 0 || u64::from(length) > 1 << cluster_bits {
            return Err(Error::HeaderLength(length));
        }
        let kind = if length > 104 {
            *bytes.get(104).ok_or(Error::ShortHeader)?
        } else {
            0
        };
        // QEMU requires the bit for every type except deflate, and only for them.
        let compression = match (kind, incompatible & COMPRESSION != 0) {
            (0, false) => Compression::Deflate,
            (1, true) => Compression::Zstandard,
            _ => return Err(Error::CompressionKind(kind)),
        };
        Ok(Self {
            compression,
            unclean: incompatible & (DIRTY | CORRUPT) != 0,
        })
    }
}

fn first_level(bytes: &[u8], virtual_size: u64, cluster_bits: u32) -> Result<(u64, u64), Error> {
    let entries = u64::from(field32(bytes, 36)?);
    let offset = field64(bytes, 40)?;
    if virtual_size > MAX_VIRTUAL_SIZE {
        return Err(Error::VirtualSize(virtual_size));
    }
    let needed = virtual_size.div_ceil(1 << (2 * cluster_bits - 3));
    if entries * 8 > MAX_L1_BYTES || needed > entries {
        return Err(Error::FirstLevelSize { entries, needed });
    }
    let aligned = offset.trailing_zeros() >= cluster_bits && offset <= MAX_OFFSET;
    if needed > 0 && (offset == 0 || !aligned) {
        return Err(Error::TableOffset(offset));
    }
    Ok((offset, needed))
}

fn field32(bytes: &[u8], at: usize) -> Result<u32, Error> {
    le_bytes::array(bytes, at)
        .map(u32::from_be_bytes)
        .ok_or(Error::ShortHeader)
}

fn field64(bytes: &[u8], at: usize) -> Result<u64, Error> {
    le_bytes::array(bytes, at)
        .map(u64::from_be_bytes)
        .ok_or(Error::ShortHeader)
}

const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;
/// Maximum bytes of the first-level table: QEMU's own limit (`QCOW_MAX_L1_SIZE`). It also limits
/// the memory in use while the table arrives.
const MAX_L1_BYTES: u64 = 32 << 20;
/// Maximum offset: table entries have 56 bits for one.
pub(super) const MAX_OFFSET: u64 = (1 << 56) - 1;
const MAX_VIRTUAL_SIZE: u64 = 1 << 60;

const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const DATA_FILE: u64 = 1 << 2;
const COMPRESSION: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<u8> {
        let mut bytes = vec![0; Header::LENGTH];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&3_u32.to_be_bytes());
        bytes[20..24].copy_from_slice(&16_u32.to_be_bytes());
        bytes[24..32].copy_from_slice(&(1_u64 << 30).to_be_bytes());
        bytes[36..40].copy_from_slice(&2_u32.to_be_bytes());
        bytes[40..48].copy_from_slice(&0x30000_u64.to_be_bytes());
        bytes[100..104].copy_from_slice(&112_u32.to_be_bytes());
        bytes
    }

    fn with(at: usize, value: &[u8]) -> Result<Header, Error> {
        let mut bytes = header();
        bytes[at..at + value.len()].copy_from_slice(value);
        Header::parse(&bytes)
    }

    #[test]
    fn a_good_header_tells_the_disks_size() {
        let parsed = Header::parse(&header()).unwrap();
        assert_eq!(
            parsed,
            Header {
                virtual_size: 1 << 30,
                compression: Compression::Deflate,
                unclean: false,
                cluster_bits: 16,
                l1_offset: 0x30000,
                l1_entries: 2,
                zero_bit: true,
            }
        );
    }

    #[test]
    fn whatever_reaches_outside_the_image_is_refused() {
        assert!(matches!(
            with(8, &200_u64.to_be_bytes()),
            Err(Error::BackingFile)
        ));
        assert!(matches!(
            with(16, &10_u32.to_be_bytes()),
            Err(Error::BackingFile)
        ));
        assert!(matches!(
            with(72, &4_u64.to_be_bytes()),
            Err(Error::DataFile)
        ));
        assert!(matches!(
            with(32, &2_u32.to_be_bytes()),
            Err(Error::Encrypted)
        ));
    }

    #[test]
    fn unknown_features_and_versions_are_refused() {
        assert!(matches!(
            with(72, &16_u64.to_be_bytes()),
            Err(Error::ExtendedTables)
        ));
        assert!(matches!(
            with(72, &(1_u64 << 63).to_be_bytes()),
            Err(Error::UnknownFeatures(_))
        ));
        assert!(matches!(
            with(4, &1_u32.to_be_bytes()),
            Err(Error::Version(1))
        ));
        assert!(matches!(with(104, &[1]), Err(Error::CompressionKind(1))));
        assert!(with(72, &3_u64.to_be_bytes()).unwrap().unclean);
    }

    #[test]
    fn sizes_are_bounded() {
        assert!(matches!(
            with(20, &8_u32.to_be_bytes()),
            Err(Error::ClusterBits(8))
        ));
        assert!(matches!(
            with(24, &u64::MAX.to_be_bytes()),
            Err(Error::VirtualSize(_))
        ));
        assert!(matches!(
            with(36, &u32::MAX.to_be_bytes()),
            Err(Error::FirstLevelSize { .. })
        ));
        assert!(matches!(
            with(36, &1_u32.to_be_bytes()),
            Err(Error::FirstLevelSize { .. })
        ));
        assert!(matches!(
            with(40, &0x30001_u64.to_be_bytes()),
            Err(Error::TableOffset(_))
        ));
        assert!(matches!(
            with(100, &u32::MAX.to_be_bytes()),
            Err(Error::HeaderLength(_))
        ));
    }

    #[test]
    fn every_short_prefix_is_an_error() {
        for length in 0..105 {
            assert!(Header::parse(&header()[..length]).is_err(), "{length}");
        }
    }
}
