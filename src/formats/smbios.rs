//! SMBIOS structure tables: the firmware's description of the machine (DMTF DSP0134, version 3).
//!
//! The table comes from firmware and is not trusted: every length is checked, and a broken
//! structure ends the reading.

/// Returns the installed memory in bytes: all memory devices (type 17) of arrays that serve as
/// system memory.
#[must_use]
pub fn fitted_memory(table: &[u8]) -> u64 {
    // Arrays (type 16) for other uses: video, flash, cache.
    let others: Vec<u16> = structures(table)
        .filter(|structure| {
            structure.kind == 16
                && structure
                    .byte(0x05)
                    .is_some_and(|used_as| used_as != SYSTEM_MEMORY)
        })
        .map(|structure| structure.handle)
        .collect();
    structures(table)
        .filter(|structure| structure.kind == 17)
        .filter(|device| {
            device
                .word(0x04)
                .is_none_or(|array| !others.contains(&array))
        })
        .filter_map(|device| device_size(&device))
        .fold(0, u64::saturating_add)
}

/// Returns the structures of a table, in its order.
pub fn structures(table: &[u8]) -> impl Iterator<Item = Structure<'_>> {
    let mut rest = table;
    std::iter::from_fn(move || {
        let ([kind, length, handle @ ..], _) = rest.split_first_chunk::<4>()?;
        let (data, strings) = rest.split_at_checked(usize::from(*length))?;
        // A structure is a formatted part with its header, then strings up to two zero bytes.
        if data.len() < 4 || *kind == END_OF_TABLE {
            return None;
        }
        let end = strings.windows(2).position(|pair| pair == [0, 0])?;
        rest = strings.get(end + 2..)?;
        Some(Structure {
            kind: *kind,
            handle: u16::from_le_bytes(*handle),
            data,
        })
    })
}

/// Structure of a table: its formatted part.
#[derive(Clone, Copy, Debug)]
pub struct Structure<'a> {
    /// Structure type: 16 memory array, 17 memory device, …
    pub kind: u8,
    /// Handle by which other structures refer to this one.
    pub handle: u16,
    data: &'a [u8],
}

impl Structure<'_> {
    /// Returns the byte at an offset of the standard; `None` if the structure has an older, shorter
    /// version.
    #[must_use]
    pub fn byte(&self, offset: usize) -> Option<u8> {
        self.data.get(offset).copied()
    }

    /// Returns the 16-bit number at an offset.
    #[must_use]
    pub fn word(&self, offset: usize) -> Option<u16> {
        let bytes = self.data.get(offset..)?.first_chunk()?;
        Some(u16::from_le_bytes(*bytes))
    }

    /// Returns the 32-bit number at an offset.
    #[must_use]
    pub fn double_word(&self, offset: usize) -> Option<u32> {
        let bytes = self.data.get(offset..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }
}

/// Returns the size of a memory device in bytes (7.18.5); `None` if it is empty or unknown.
fn device_size(device: &Structure<'_>) -> Option<u64> {
    match device.word(0x0c)? {
        0 | 0xffff => None,
        // Extended size, in MiB.
        0x7fff => Some(u64::from(device.double_word(0x1c)? & 0x7fff_ffff) << 20),
        // Bit 15: the number counts KiB, otherwise MiB.
        size if size & 0x8000 != 0 => Some(u64::from(size & 0x7fff) << 10),
        size => Some(u64::from(size) << 20),
    }
}

const END_OF_TABLE: u8 = 127;
/// Use of a memory array as system memory (table 72).
const SYSTEM_MEMORY: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;

    fn structure(kind: u8, handle: u16, body: &[u8], strings: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len() + 4).unwrap();
        [
            &[kind, length],
            &handle.to_le_bytes()[..],
            body,
            strings,
            &[0, 0],
        ]
        .concat()
    }

    fn array(handle: u16, used_as: u8) -> Vec<u8> {
        structure(16, handle, &[3, used_as, 6, 0, 0, 0, 0], b"")
    }

    fn device(array: u16, size: u16, extended: u32) -> Vec<u8> {
        let mut body = [0; 0x24];
        body[..2].copy_from_slice(&array.to_le_bytes());
        body[8..10].copy_from_slice(&size.to_le_bytes());
        body[0x18..0x1c].copy_from_slice(&extended.to_le_bytes());
        structure(17, 0x1100, &body, b"DIMM_A1\0Vendor")
    }

    #[test]
    fn sizes_are_told_in_three_ways() {
        let table = [
            array(0x1000, 3),
            device(0x1000, 0x4000, 0),
            device(0x1000, 0x7fff, 32 << 10),
            device(0x1000, 0x8000 | 512, 0),
            device(0x1000, 0, 0),
            device(0x1000, 0xffff, 0),
            structure(127, 0xfeff, &[], b""),
            device(0x1000, 0x4000, 0),
        ];
        assert_eq!(
            fitted_memory(&table.concat()),
            16 * GIB + 32 * GIB + (512 << 10)
        );
    }

    #[test]
    fn memory_of_other_uses_does_not_count() {
        let table = [
            array(0x1000, 3),
            array(0x1001, 5),
            device(0x1000, 1024, 0),
            device(0x1001, 16, 0),
        ];
        assert_eq!(fitted_memory(&table.concat()), GIB);
    }

    #[test]
    fn a_structure_without_an_end_ends_the_table() {
        let mut table = device(0x1000, 1024, 0);
        table.truncate(table.len() - 1);
        assert_eq!(fitted_memory(&table), 0);
        assert_eq!(structures(&[17, 2, 0, 0, 0, 0]).count(), 0);
    }

    proptest! {
        #[test]
        fn no_table_makes_the_parser_panic(bytes in proptest::collection::vec(prop_oneof![Just(0_u8), Just(16), Just(17), any::<u8>()], 0..300)) {
            let _ = fitted_memory(&bytes);
            prop_assert!(structures(&bytes).count() <= bytes.len() / 6);
        }
    }
}
