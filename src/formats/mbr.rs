//! MBR partition tables: the four entries, the logical partitions of an extended one, and the
//! protective entry of a GPT disk.

use super::free_space::{self, Extent};
use super::le_bytes;
use std::io::{self, Read, Seek, SeekFrom};

/// First 512 bytes of a disk, with the boot signature.
#[derive(Clone, PartialEq, Eq)]
pub struct Mbr(Box<[u8; 512]>);

/// Partition of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Number in the device name: 1 to 4 for entries of the table, from 5 for logical partitions.
    pub number: u32,
    /// Partition type: the table's one-byte code.
    pub kind: u8,
    /// Boot flag.
    pub bootable: bool,
    /// First sector.
    pub first: u64,
    /// Number of sectors, never zero. The partition may reach beyond the disk.
    pub sectors: u64,
}

/// Reason why a partition cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// All four entries are in use.
    #[error("the MBR partition table already has four primary partitions")]
    Full,
    /// No run of free sectors has this number of bytes.
    #[error("the disk has no {0} free bytes in one piece below its 32-bit border")]
    NoSpace(u64),
}

/// Reads the disk's first sector; `None` if it has no partition table.
///
/// # Errors
/// I/O errors of the disk.
pub fn read(disk: &mut (impl Read + Seek)) -> io::Result<Option<Mbr>> {
    disk.seek(SeekFrom::Start(0))?;
    let mut bytes = [0; 512];
    match disk.read_exact(&mut bytes) {
        Ok(()) => Ok(Mbr::decode(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

impl Mbr {
    /// Parses the table in a disk's first sector; `None` if there is none. A file system's boot
    /// sector has the same signature, but no entries, or code at the offsets of their flags.
    #[must_use]
    pub fn decode(bytes: [u8; 512]) -> Option<Self> {
        let mbr = Self(Box::new(bytes));
        let signed = bytes.ends_with(&[0x55, 0xAA]);
        let flags = mbr
            .slots()
            .all(|slot| matches!(slot.first(), Some(0 | 0x80)));
        let mut entries = mbr.entries().into_iter();
        let table = entries.any(|entry| entry.kind != 0 && entry.sectors != 0);
        (signed && flags && (table || !has_file_system(&bytes))).then_some(mbr)
    }

    /// Returns the sector.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 512] {
        &self.0
    }

    /// Returns the disk identifier (four bytes at offset 440).
    #[must_use]
    pub fn identifier(&self) -> u32 {
        le_bytes::le32(&*self.0, 440).unwrap_or_default()
    }

    /// Returns whether an entry, of whatever size, protects a GUID partition table. The kernel
    /// checks no more than this (block/partitions/msdos.c: `msdos_partition`).
    #[must_use]
    pub fn is_protective(&self) -> bool {
        self.entries().iter().any(|entry| entry.kind == PROTECTIVE)
    }

    /// Returns the primary partitions, including extended ones. As in the kernel, an entry with a
    /// size is a partition even without a type.
    #[must_use]
    pub fn primaries(&self) -> Vec<Partition> {
        (1..)
            .zip(self.entries())
            .filter_map(|(number, entry)| entry.partition(number, 0))
            .collect()
    }

    /// Reads the logical partitions of the extended ones, numbered as in the kernel
    /// (block/partitions/msdos.c: `parse_extended`). There are at most 251, behind at most 100
    /// consecutive tables without one.
    ///
    /// # Errors
    /// I/O errors of the disk.
    pub fn logicals(
        &self,
        disk: &mut (impl Read + Seek),
        sector: u32,
    ) -> io::Result<Vec<Partition>> {
        let mut logicals = Vec::new();
        for extended in self.primaries().iter().filter(|p| p.is_extended()) {
            follow_chain(extended, disk, sector, &mut logicals)?;
        }
        Ok(logicals)
    }

    /// Adds a primary FAT32 partition (`0x0c`) of `bytes` bytes at the disk's end. If the disk
    /// exceeds the table's 32-bit sectors, the end is one mebibyte below that limit. It overlaps
    /// none of `logicals`, which may lie outside of their extended partition.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::NoSpace`].
    pub fn add_last(
        &mut self,
        logicals: &[Partition],
        disk_sectors: u64,
        sector: u32,
        bytes: u64,
    ) -> Result<Partition, Error> {
        let sector = u64::from(sector.max(1));
        let align = (ALIGNMENT / sector).max(1);
        let border = if disk_sectors > ADDRESSABLE {
            ADDRESSABLE - align
        } else {
            disk_sectors
        };
        let usable = Extent {
            first: align,
            last: border.saturating_sub(1),
        };
        let mut numbered = (1..).zip(self.entries());
        let free = numbered.find(|(_, entry)| entry.is_free());
        let (number, _) = free.ok_or(Error::Full)?;
        let primaries = self.primaries();
        let used = primaries.iter().chain(logicals).map(Partition::extent);
        let used: Vec<Extent> = used.collect();
        let place = free_space::place_last(usable, &used, bytes.div_ceil(sector), align)
            .ok_or(Error::NoSpace(bytes))?;
        let partition = Partition {
            number,
            kind: FAT32_LBA,
            bootable: false,
            first: place.first,
            sectors: place.last - place.first + 1,
        };
        let (first, sectors) = partition.fields().ok_or(Error::NoSpace(bytes))?;
        let mut slot = [
            0, 0xFE, 0xFF, 0xFF, FAT32_LBA, 0xFE, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        le_bytes::put(&mut slot, 8, &first.to_le_bytes());
        le_bytes::put(&mut slot, 12, &sectors.to_le_bytes());
        for (offset, n) in (TABLE..).step_by(SLOT).zip(1..) {
            if n == number {
                le_bytes::put(&mut *self.0, offset, &slot);
                break;
            }
        }
        Ok(partition)
    }

    /// Fits a lone protective entry to a disk of this many sectors. Returns whether the entry
    /// changed. A table with other entries beside it (a hybrid) is not changed.
    pub fn fit_protective(&mut self, disk_sectors: u64) -> bool {
        let mut entries = self.entries().into_iter();
        let (Some(entry), true) = (entries.next(), entries.all(Entry::is_free)) else {
            return false;
        };
        let whole = disk_sectors.saturating_sub(1).min(u64::from(u32::MAX));
        let Ok(sectors) = u32::try_from(whole) else {
            return false;
        };
        if (entry.kind, entry.start) != (PROTECTIVE, 1) || entry.sectors == sectors {
            return false;
        }
        le_bytes::put(&mut *self.0, TABLE + 12, &sectors.to_le_bytes());
        true
    }

    fn entries(&self) -> Vec<Entry> {
        self.slots().filter_map(Entry::decode).collect()
    }

    fn slots(&self) -> impl Iterator<Item = &[u8]> {
        let table = self.0.get(TABLE..TABLE + 4 * SLOT).unwrap_or_default();
        table.chunks_exact(SLOT)
    }
}

impl std::fmt::Debug for Mbr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Mbr").field(&self.primaries()).finish()
    }
}

impl Partition {
    /// Returns whether the partition only holds logical partitions.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        is_extended(self.kind)
    }

    fn is_within(&self, first: u64, sectors: u64) -> bool {
        let end = self.first.saturating_add(self.sectors);
        self.first >= first && end <= first.saturating_add(sectors)
    }

    fn extent(&self) -> Extent {
        Extent {
            first: self.first,
            last: self.first.saturating_add(self.sectors - 1),
        }
    }

    fn fields(&self) -> Option<(u32, u32)> {
        Some((self.first.try_into().ok()?, self.sectors.try_into().ok()?))
    }
}

/// Entry of a table, used or not.
#[derive(Clone, Copy)]
struct Entry {
    kind: u8,
    bootable: bool,
    start: u32,
    sectors: u32,
}

impl Entry {
    fn decode(slot: &[u8]) -> Option<Self> {
        Some(Self {
            kind: *slot.get(4)?,
            bootable: slot.first() == Some(&0x80),
            start: le_bytes::le32(slot, 8)?,
            sectors: le_bytes::le32(slot, 12)?,
        })
    }

    /// Returns whether the entry can be overwritten. A type without a size is significant, too: the
    /// entry may protect a GUID partition table.
    fn is_free(self) -> bool {
        self.kind == 0 && self.sectors == 0
    }

    fn is_link(self) -> bool {
        is_extended(self.kind) && self.sectors != 0
    }

    fn partition(self, number: u32, base: u64) -> Option<Partition> {
        (self.sectors != 0).then_some(Partition {
            number,
            kind: self.kind,
            bootable: self.bootable,
            first: base.saturating_add(self.start.into()),
            sectors: self.sectors.into(),
        })
    }
}

/// Follows the chain of tables of an extended partition. In each table, the used entries that are
/// not links are partitions. The first link leads to the next table at any offset: tools link
/// backwards, and leave tables without a partition.
fn follow_chain(
    extended: &Partition,
    disk: &mut (impl Read + Seek),
    sector: u32,
    found: &mut Vec<Partition>,
) -> io::Result<()> {
    let (mut at, mut size) = (extended.first, extended.sectors);
    let mut tables = 0;
    while tables < MAX_EMPTY_TABLES && found.len() < MAX_LOGICALS {
        tables += 1;
        disk.seek(SeekFrom::Start(at.saturating_mul(u64::from(sector))))?;
        let mut bytes = [0; 512];
        match disk.read_exact(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            other => other?,
        }
        if !bytes.ends_with(&[0x55, 0xAA]) {
            break;
        }
        let table = Mbr(Box::new(bytes));
        for (place, entry) in table.entries().into_iter().enumerate() {
            let number = u32::try_from(found.len()).map_or(u32::MAX, |index| index + 5);
            let Some(partition) = entry.partition(number, at).filter(|p| !p.is_extended()) else {
                continue;
            };
            // The last two entries of a table may be garbage.
            let within = partition.is_within(at, size)
                && partition.is_within(extended.first, extended.sectors);
            if place >= 2 && !within {
                continue;
            }
            tables = 0;
            found.push(partition);
            if found.len() == MAX_LOGICALS {
                return Ok(());
            }
        }
        let Some(link) = table.entries().into_iter().find(|entry| entry.is_link()) else {
            break;
        };
        at = extended.first.saturating_add(link.start.into());
        size = link.sectors.into();
    }
    Ok(())
}

fn is_extended(kind: u8) -> bool {
    matches!(kind, 0x05 | 0x0F | 0x85)
}

/// Returns whether a file system begins here whose boot sector leaves the table's bytes empty.
fn has_file_system(bytes: &[u8; 512]) -> bool {
    let at = |offset: usize, text: &[u8]| bytes.get(offset..offset + text.len()) == Some(text);
    at(3, b"NTFS    ") || at(54, b"FAT12") || at(54, b"FAT16") || at(82, b"FAT32")
}

const TABLE: usize = 446;
const SLOT: usize = 16;
const PROTECTIVE: u8 = 0xEE;
const FAT32_LBA: u8 = 0x0C;
/// Number of sectors that 32 bits can address.
const ADDRESSABLE: u64 = 1 << 32;
const ALIGNMENT: u64 = 1 << 20;
/// Maximum number of logical partitions: the kernel's limit is number 255 (include/linux/genhd.h:
/// `DISK_MAX_PARTS`).
const MAX_LOGICALS: usize = 251;
/// Maximum number of consecutive tables without a partition: the kernel's limit for endless chains.
const MAX_EMPTY_TABLES: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::io::{Cursor, Write};

    fn table(entries: &[(u8, u32, u32)]) -> [u8; 512] {
        let mut bytes = [0; 512];
        bytes[440..444].copy_from_slice(&0x47D0_4A15u32.to_le_bytes());
        for (place, (kind, first, sectors)) in bytes[446..510].chunks_mut(16).zip(entries) {
            place[4] = *kind;
            place[8..12].copy_from_slice(&first.to_le_bytes());
            place[12..16].copy_from_slice(&sectors.to_le_bytes());
        }
        bytes[510..].copy_from_slice(&[0x55, 0xAA]);
        bytes
    }

    #[test]
    fn a_partition_is_added_where_parted_adds_it() {
        let mut mbr = Mbr::decode(table(&[(0x83, 2048, 1_048_576)])).unwrap();
        assert_eq!(mbr.identifier(), 0x47D0_4A15);
        let added = mbr.add_last(&[], 16_777_216, 512, 64 << 20).unwrap();
        // parted 3.5: mkpart primary fat32 -64MiB -0
        let slot = [
            0, 254, 255, 255, 0x0C, 254, 255, 255, 0, 0, 254, 0, 0, 0, 2, 0,
        ];
        assert_eq!(
            (added.number, added.first, added.sectors),
            (2, 16_646_144, 131_072)
        );
        assert_eq!(mbr.bytes()[462..478], slot);
        assert_eq!(mbr.primaries()[1], added);
    }

    #[test]
    fn beyond_two_tebibytes_the_partition_ends_below_the_border() {
        let mut mbr = Mbr::decode(table(&[])).unwrap();
        let added = mbr.add_last(&[], 3 << 31, 512, 64 << 20).unwrap();
        let border = (1u64 << 32) - 2048;
        assert_eq!((added.first, added.sectors), (border - 131_072, 131_072));
        let mut large_sectors = Mbr::decode(table(&[])).unwrap();
        let added = large_sectors
            .add_last(&[], 3 << 28, 4096, 64 << 20)
            .unwrap();
        assert_eq!((added.first, added.sectors), ((3 << 28) - 16_384, 16_384));
    }

    #[test]
    fn four_primaries_leave_no_place() {
        let four = [(0x83, 1, 1), (0x83, 2, 1), (0x83, 3, 1), (0x05, 4, 1)];
        let mut mbr = Mbr::decode(table(&four)).unwrap();
        assert_eq!(mbr.add_last(&[], 1 << 24, 512, 64 << 20), Err(Error::Full));
    }

    #[test]
    fn a_disk_used_to_its_end_has_no_place() {
        let mut mbr = Mbr::decode(table(&[(0x83, 2048, (1 << 24) - 2048)])).unwrap();
        assert_eq!(
            mbr.add_last(&[], 1 << 24, 512, 64 << 20),
            Err(Error::NoSpace(64 << 20))
        );
    }

    #[test]
    fn logical_partitions_are_found_by_their_chain() {
        let mut disk = vec![0; 512 * 400];
        disk[..512].copy_from_slice(&table(&[(0x83, 1, 9), (0x0F, 100, 300)]));
        disk[512 * 100..][..512].copy_from_slice(&table(&[(0x83, 10, 20), (0x05, 100, 50)]));
        disk[512 * 200..][..512].copy_from_slice(&table(&[(0x82, 5, 7)]));
        let mut disk = Cursor::new(disk);
        let mbr = read(&mut disk).unwrap().unwrap();
        let logicals = mbr.logicals(&mut disk, 512).unwrap();
        let places: Vec<_> = logicals
            .iter()
            .map(|p| (p.number, p.kind, p.first, p.sectors))
            .collect();
        assert_eq!(places, [(5, 0x83, 110, 20), (6, 0x82, 205, 7)]);
    }

    type Entry = (u8, u32, u32);

    /// Returns number, first sector and sectors of the logical partitions of a disk with these
    /// tables, by sector.
    fn numbered(tables: &[(u64, &[Entry])]) -> Vec<(u32, u64, u64)> {
        let mut disk = Cursor::new(Vec::new());
        for (sector, entries) in tables {
            disk.set_position(sector * 512);
            disk.write_all(&table(entries)).unwrap();
        }
        let mbr = read(&mut disk).unwrap().unwrap();
        let logicals = mbr.logicals(&mut disk, 512).unwrap();
        let numbered = logicals.into_iter().map(|p| (p.number, p.first, p.sectors));
        numbered.collect()
    }

    const EXTENDED: &[Entry] = &[(0x83, 1, 9), (0x05, 100, 900)];

    #[test]
    fn a_table_of_the_chain_without_a_partition_has_no_number() {
        // fdisk and DR-DOS leave these tables when they delete the first logical partition. DR-DOS
        // puts the link first.
        for empty in [[(0, 0, 0), (5, 100, 50)], [(5, 100, 50), (0, 0, 0)]] {
            let next: &[Entry] = &[(0x83, 5, 7), (5, 200, 50)];
            let last: &[Entry] = &[(0x83, 6, 8)];
            let tables = [(0, EXTENDED), (100, &empty[..]), (200, next), (300, last)];
            assert_eq!(numbered(&tables), [(5, 205, 7), (6, 306, 8)]);
        }
    }

    #[test]
    fn a_link_before_its_partition_is_a_link() {
        let first: &[Entry] = &[(0x0F, 100, 50), (0x83, 5, 7)];
        let second: &[Entry] = &[(0x85, 200, 50), (0x83, 6, 8)];
        let third: &[Entry] = &[(0x82, 7, 9)];
        let tables = [(0, EXTENDED), (100, first), (200, second), (300, third)];
        let wanted = [(5, 105, 7), (6, 206, 8), (7, 307, 9)];
        assert_eq!(numbered(&tables), wanted);
    }

    #[test]
    fn links_are_followed_backwards() {
        // The partition at 200 was deleted and created again: it is now the last of the chain.
        let first: &[Entry] = &[(0x83, 5, 7), (5, 200, 50)];
        let third: &[Entry] = &[(0x83, 6, 8), (5, 100, 50)];
        let again: &[Entry] = &[(0xEF, 7, 9)];
        let tables = [(0, EXTENDED), (100, first), (300, third), (200, again)];
        let wanted = [(5, 105, 7), (6, 306, 8), (7, 207, 9)];
        assert_eq!(numbered(&tables), wanted);
    }

    #[test]
    fn a_third_and_fourth_entry_count_within_their_extended_partition() {
        let first: &[Entry] = &[(0x83, 1, 2), (0x83, 3, 4), (0x83, 10, 20), (0x83, 10, 891)];
        assert_eq!(
            numbered(&[(0, EXTENDED), (100, first)]),
            [(5, 101, 2), (6, 103, 4), (7, 110, 20)]
        );
    }

    #[test]
    fn an_entry_without_type_that_has_a_size_is_a_partition_as_for_the_kernel() {
        let primaries: &[Entry] = &[(0, 1, 9), (0x05, 100, 900)];
        let first: &[Entry] = &[(0, 1, 2), (5, 100, 50)];
        let last: &[Entry] = &[(0x83, 6, 8)];
        let tables = [(0, primaries), (100, first), (200, last)];
        assert_eq!(numbered(&tables), [(5, 101, 2), (6, 206, 8)]);
        let mbr = Mbr::decode(table(primaries)).unwrap();
        let numbers: Vec<_> = mbr.primaries().iter().map(|p| (p.number, p.kind)).collect();
        assert_eq!(numbers, [(1, 0), (2, 5)]);
    }

    #[test]
    fn every_extended_partition_is_looked_into() {
        let two: &[Entry] = &[(0x05, 100, 100), (0x83, 1, 9), (0x0F, 300, 100)];
        let tables: [(u64, &[Entry]); 3] =
            [(0, two), (100, &[(0x83, 1, 2)]), (300, &[(0x83, 3, 4)])];
        assert_eq!(numbered(&tables), [(5, 101, 2), (6, 303, 4)]);
    }

    #[test]
    fn a_chain_without_end_ends_with_the_kernels_numbers() {
        let ring: &[Entry] = &[(0x83, 5, 7), (5, 0, 50)];
        let numbers = numbered(&[(0, EXTENDED), (100, ring)]);
        assert_eq!(numbers, Vec::from_iter((5..256).map(|n| (n, 105, 7))));
        let empty: &[Entry] = &[(5, 0, 50)];
        assert_eq!(numbered(&[(0, EXTENDED), (100, empty)]), []);
        // A partition behind 99 empty tables is found; behind 100 it is not.
        for (empty, wanted) in [(99, vec![(5, 100 + 99 + 2, 3)]), (100, vec![])] {
            let links: Vec<[Entry; 1]> = (1..=empty).map(|next| [(5, next, 9)]).collect();
            let mut tables = vec![(0, EXTENDED)];
            tables.extend((100..).zip(links.iter().map(|link| &link[..])));
            tables.push((100 + u64::from(empty), &[(0x83, 2, 3)]));
            assert_eq!(numbered(&tables), wanted, "{empty}");
        }
    }

    #[test]
    fn a_protective_entry_of_any_size_protects() {
        let mut mbr = Mbr::decode(table(&[(0xEE, 1, 0)])).unwrap();
        assert!(mbr.is_protective());
        // The slot is in use; so is a slot with a size and no type.
        assert_eq!(mbr.add_last(&[], 1 << 24, 512, 64 << 20).unwrap().number, 2);
        let mut odd = Mbr::decode(table(&[(0, 1, 9), (0x83, 10, 9)])).unwrap();
        assert_eq!(odd.add_last(&[], 1 << 24, 512, 64 << 20).unwrap().number, 3);
        let mut lone = Mbr::decode(table(&[(0xEE, 1, 0)])).unwrap();
        assert!(lone.fit_protective(1 << 20));
        assert_eq!(lone.primaries()[0].sectors, (1 << 20) - 1);
    }

    #[test]
    fn a_file_systems_boot_sector_is_no_table() {
        let mut fat = table(&[]);
        fat[54..59].copy_from_slice(b"FAT16");
        assert_eq!(Mbr::decode(fat), None);
        let mut code = table(&[]);
        code[446] = 0x33;
        assert_eq!(Mbr::decode(code), None);
        assert_eq!(Mbr::decode([0; 512]), None);
    }

    #[test]
    fn a_boot_sector_with_a_whole_entry_is_a_table_all_the_same() {
        let systems: [(usize, &[u8]); 4] = [
            (3, b"NTFS    "),
            (54, b"FAT12"),
            (54, b"FAT16"),
            (82, b"FAT32"),
        ];
        for (place, name) in systems {
            let is_table = |entry| {
                let mut bytes = table(&[entry]);
                bytes[place..][..name.len()].copy_from_slice(name);
                Mbr::decode(bytes).is_some()
            };
            assert!(!is_table((0, 0, 0)), "{place}");
            assert!(!is_table((0x83, 1, 0)), "{place}");
            assert!(!is_table((0, 1, 9)), "{place}");
            assert!(is_table((0x83, 1, 9)), "{place}");
        }
    }

    #[test]
    fn only_a_protective_entry_protects() {
        let mbr = Mbr::decode(table(&[(0x83, 1, 9)])).unwrap();
        assert!(!mbr.is_protective());
        let seen = format!("{mbr:?}");
        assert!(seen.starts_with("Mbr([Partition { number: 1, "), "{seen}");
        let hybrid = Mbr::decode(table(&[(0x83, 10, 5), (0xEE, 1, 9)])).unwrap();
        assert!(hybrid.is_protective());
    }

    #[test]
    fn a_partition_may_touch_both_its_neighbours_and_the_border() {
        // 64 MiB are free between the first partition and the second, which ends with the disk.
        let around = [(0x83, 2048, 2048), (0x83, 4096 + 131_072, 2048)];
        let mut mbr = Mbr::decode(table(&around)).unwrap();
        let sectors = 4096 + 131_072 + 2048;
        let added = mbr.add_last(&[], sectors, 512, 64 << 20).unwrap();
        assert_eq!((added.first, added.sectors), (4096, 131_072));
        let mut largest = Mbr::decode(table(&[])).unwrap();
        let added = largest.add_last(&[], 1 << 32, 512, 64 << 20).unwrap();
        assert_eq!(added.first + added.sectors, 1 << 32);
    }

    /// Disk with a read error from some byte on.
    struct Damaged {
        disk: Cursor<Vec<u8>>,
        from: u64,
    }

    impl Read for Damaged {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            if self.disk.position() >= self.from {
                return Err(io::Error::from_raw_os_error(libc::EIO));
            }
            self.disk.read(bytes)
        }
    }

    impl Seek for Damaged {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.disk.seek(to)
        }
    }

    #[test]
    fn a_disk_that_cannot_be_read_is_no_disk_without_a_table() {
        let mut bytes = table(EXTENDED).to_vec();
        bytes.resize(512 * 200, 0);
        let damaged = |from| Damaged {
            disk: Cursor::new(bytes.clone()),
            from,
        };
        let error = |error: io::Error| error.raw_os_error();
        assert_eq!(read(&mut damaged(0)).map_err(error), Err(Some(libc::EIO)));
        let mut disk = damaged(512);
        let mbr = read(&mut disk).unwrap().unwrap();
        let logicals = mbr.logicals(&mut disk, 512);
        assert_eq!(logicals.map_err(error), Err(Some(libc::EIO)));
    }

    #[test]
    fn what_ends_before_a_table_has_none() {
        assert_eq!(read(&mut Cursor::new(vec![0; 511])).unwrap(), None);
        assert_eq!(numbered(&[(0, EXTENDED)]), []);
        let first: &[Entry] = &[(0x83, 5, 7), (5, 800, 50)];
        assert_eq!(numbered(&[(0, EXTENDED), (100, first)]), [(5, 105, 7)]);
    }

    #[test]
    fn a_third_entry_counts_within_the_whole_extended_partition_alone() {
        let first: &[Entry] = &[(5, 800, 500)];
        // Within the 500 sectors of its link, but not within the 900 of the extended partition.
        let next: &[Entry] = &[(0, 0, 0), (0, 0, 0), (0x83, 50, 100), (0x83, 50, 50)];
        let tables = [(0, EXTENDED), (100, first), (900, next)];
        assert_eq!(numbered(&tables), [(5, 950, 50)]);
    }

    #[test]
    fn only_a_lone_protective_entry_is_fitted() {
        let mut lone = Mbr::decode(table(&[(0xEE, 1, 9)])).unwrap();
        assert!(lone.fit_protective(1 << 40));
        assert_eq!(lone.primaries()[0].sectors, u64::from(u32::MAX));
        assert!(!lone.fit_protective(1 << 40));
        let mut hybrid = Mbr::decode(table(&[(0xEE, 1, 9), (0x83, 10, 5)])).unwrap();
        assert!(!hybrid.fit_protective(1 << 40));
    }

    /// Returns the numbers that Linux 6 assigns (block/partitions/msdos.c: msdos_partition,
    /// parse_extended), in its order of operations.
    fn kernels(tables: &BTreeMap<u64, Vec<Entry>>) -> Vec<(u32, u64, u64)> {
        let is_link = |entry: &Entry| [0x05, 0x0F, 0x85].contains(&entry.0) && entry.2 != 0;
        let mut parts = Vec::new();
        let mut next = 5;
        for &(_, first, size) in tables[&0].iter().filter(|entry| is_link(entry)) {
            let (first, size) = (u64::from(first), u64::from(size));
            let (mut here, mut here_size, mut loops) = (first, size, 0);
            'chain: while let Some(entries) = tables.get(&here) {
                loops += 1;
                if loops > 100 || next == 256 {
                    break;
                }
                for (i, &(kind, offset, sectors)) in entries.iter().enumerate() {
                    let (offset, sectors) = (u64::from(offset), u64::from(sectors));
                    let start = here + offset;
                    let garbage = offset + sectors > here_size
                        || start < first
                        || start + sectors > first + size;
                    if sectors == 0 || is_link(&(kind, 0, 1)) || (i >= 2 && garbage) {
                        continue;
                    }
                    parts.push((next, start, sectors));
                    loops = 0;
                    next += 1;
                    if next == 256 {
                        break 'chain;
                    }
                }
                let Some(&(_, offset, sectors)) = entries.iter().find(|entry| is_link(entry))
                else {
                    break;
                };
                (here, here_size) = (first + u64::from(offset), u64::from(sectors));
            }
        }
        parts
    }

    fn entry(sectors: u32) -> impl Strategy<Value = Entry> {
        let kind = prop::sample::select(vec![0, 0x05, 0x05, 0x0F, 0x83, 0x83, 0x85, 0xEF]);
        (kind, 0..sectors, 0..sectors / 2)
    }

    proptest! {
        #[test]
        fn any_chain_is_numbered_as_the_kernel_numbers_it(
            primaries in prop::collection::vec(entry(12), 1..5),
            chain in prop::collection::btree_map(1u64..24, prop::collection::vec(entry(12), 0..5), 8..24),
        ) {
            let mut tables = chain;
            tables.insert(0, primaries);
            // The disk's last sector: the next one cannot be read.
            tables.insert(24, vec![]);
            let disk: Vec<_> = tables.iter().map(|(at, entries)| (*at, entries.as_slice())).collect();
            prop_assert_eq!(numbered(&disk), kernels(&tables));
        }

        #[test]
        fn no_table_makes_it_panic(
            entries in prop::collection::vec((any::<u8>(), any::<u32>(), any::<u32>()), 0..5),
            chain in prop::collection::vec((any::<u8>(), 0u32..64, 0u32..64), 0..5),
            sectors: u64, sector in prop_oneof![Just(512u32), Just(4096u32), any::<u32>()], bytes: u64,
        ) {
            let Some(mut mbr) = Mbr::decode(table(&entries)) else { return Ok(()) };
            let mut disk = Cursor::new(table(&chain).repeat(64));
            let logicals = mbr.logicals(&mut disk, sector).unwrap_or_default();
            let _ = mbr.fit_protective(sectors);
            if let Ok(added) = mbr.add_last(&logicals, sectors, sector, bytes) {
                prop_assert!(added.first + added.sectors <= sectors.min(1 << 32));
            }
        }
    }
}
