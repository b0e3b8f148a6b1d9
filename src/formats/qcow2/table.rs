//! Table entries of both levels (QEMU's `docs/interop/qcow2.txt`, section "Cluster mapping").

use super::header::MAX_OFFSET;
use super::{Error, Header};

/// Numbers needed to read tables.
pub(super) struct Layout {
    pub(super) virtual_size: u64,
    /// Cluster size in bytes.
    pub(super) cluster: u64,
    /// Number of guest bytes that one second-level table maps.
    pub(super) table_span: u64,
    cluster_bits: u32,
    zero_bit: bool,
}

/// Entry of a second-level table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Compressed { host: u64, length: u64 },
    Data { host: u64 },
    Zero,
}

impl Layout {
    pub(super) fn new(header: &Header) -> Self {
        Self {
            virtual_size: header.virtual_size,
            cluster: header.cluster_size(),
            table_span: header.table_span(),
            cluster_bits: header.cluster_bits,
            zero_bit: header.zero_bit,
        }
    }

    /// Returns the offset of the second-level table; `None` if nothing is allocated.
    pub(super) fn first_level_entry(&self, raw: u64) -> Result<Option<u64>, Error> {
        let host = raw & OFFSET;
        self.check_aligned(host)?;
        Ok((host != 0).then_some(host))
    }

    pub(super) fn second_level_entry(&self, raw: u64) -> Result<Entry, Error> {
        if raw & COMPRESSED != 0 {
            return Ok(self.compressed_entry(raw));
        }
        if raw & READS_AS_ZERO != 0 {
            // QEMU treats this as corrupt in version 2, where the bit is reserved.
            if !self.zero_bit {
                return Err(Error::Entry(raw));
            }
            return Ok(Entry::Zero);
        }
        let host = raw & OFFSET;
        self.check_aligned(host)?;
        if host == 0 {
            return Ok(Entry::Zero);
        }
        Ok(Entry::Data { host })
    }

    /// Decodes the entry of a compressed cluster. The cluster begins at any byte. Its length is
    /// counted in sectors of 512 bytes from the one it begins in.
    fn compressed_entry(&self, raw: u64) -> Entry {
        let count_bits = self.cluster_bits - 8;
        let offset_bits = 62 - count_bits;
        let host = raw & ((1 << offset_bits) - 1) & MAX_OFFSET;
        let sectors = ((raw >> offset_bits) & ((1 << count_bits) - 1)) + 1;
        Entry::Compressed {
            host,
            length: sectors * 512 - (host & 511),
        }
    }

    fn check_aligned(&self, host: u64) -> Result<(), Error> {
        if host & (self.cluster - 1) == 0 {
            return Ok(());
        }
        Err(Error::TableOffset(host))
    }
}

/// Returns the entries of a table.
pub(super) fn entries(table: &[u8]) -> impl Iterator<Item = u64> {
    let (entries, _) = table.as_chunks::<8>();
    entries.iter().map(|&raw| u64::from_be_bytes(raw))
}

const COMPRESSED: u64 = 1 << 62;
const READS_AS_ZERO: u64 = 1;
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        virtual_size: 1 << 30,
        cluster: 1 << 16,
        table_span: 1 << 29,
        cluster_bits: 16,
        zero_bit: true,
    };

    #[test]
    fn entries_say_data_zero_or_compressed() {
        assert_eq!(LAYOUT.second_level_entry(0).unwrap(), Entry::Zero);
        assert_eq!(
            LAYOUT.second_level_entry(1 << 63 | 0x50000).unwrap(),
            Entry::Data { host: 0x50000 }
        );
        assert_eq!(LAYOUT.second_level_entry(0x50000 | 1).unwrap(), Entry::Zero);
        assert_eq!(
            LAYOUT
                .second_level_entry(1 << 62 | 3 << 54 | 0x50123)
                .unwrap(),
            Entry::Compressed {
                host: 0x50123,
                length: 4 * 512 - 0x123
            }
        );
    }

    #[test]
    fn a_place_inside_a_cluster_is_corrupt() {
        assert!(matches!(
            LAYOUT.second_level_entry(0x50200),
            Err(Error::TableOffset(0x50200))
        ));
        assert!(matches!(
            LAYOUT.first_level_entry(0x50200),
            Err(Error::TableOffset(0x50200))
        ));
    }

    #[test]
    fn the_zero_bit_of_version_2_is_corrupt() {
        let old = Layout {
            zero_bit: false,
            ..LAYOUT
        };
        assert!(matches!(old.second_level_entry(1), Err(Error::Entry(1))));
    }
}
