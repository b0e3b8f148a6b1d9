//! MBR partition tables: the four entries, the logical partitions of an extended one, the protective entry of a GPT disk.

use super::field;
use super::gap::{self, Extent};
use std::io::{self, Read, Seek, SeekFrom};

/// A disk's first 512 bytes, carrying the boot signature.
#[derive(Clone, PartialEq, Eq)]
pub struct Mbr(Box<[u8; 512]>);

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// 1 to 4 for entries of the table, from 5 for logical partitions: the number in the device name.
    pub number: u32,
    /// What it is for: the table's one-byte code.
    pub kind: u8,
    /// Whether it is marked as the one to boot.
    pub bootable: bool,
    /// Its first sector.
    pub first: u64,
    /// Its number of sectors, never zero.
    pub sectors: u64,
}

/// Why a partition cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// All four entries are taken.
    #[error("the MBR partition table already has four primary partitions")]
    Full,
    /// There is no run of free sectors for the wanted partition.
    #[error("the disk has no {0} free bytes in one piece below its 32-bit border")]
    NoSpace(u64),
}

/// Reads the disk's first sector; `None` when it carries no partition table.
///
/// # Errors
/// What reading the disk says.
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
    /// The table in a disk's first sector. A file system's boot sector has the same signature: it has no entries, or code
    /// where their flags would be.
    #[must_use]
    pub fn decode(bytes: [u8; 512]) -> Option<Self> {
        let mbr = Self(Box::new(bytes));
        let signed = bytes.ends_with(&[0x55, 0xAA]);
        let flags = mbr
            .slots()
            .all(|slot| matches!(slot.first(), Some(0 | 0x80)));
        let table = !mbr.primaries().is_empty() || !has_file_system(&bytes);
        (signed && flags && table).then_some(mbr)
    }

    /// The sector itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 512] {
        &self.0
    }

    /// The disk's identifier (four bytes at 440).
    #[must_use]
    pub fn identifier(&self) -> u32 {
        field::le32(&*self.0, 440).unwrap_or_default()
    }

    /// Whether an entry protects a GUID partition table.
    #[must_use]
    pub fn is_protective(&self) -> bool {
        self.primaries().iter().any(|p| p.kind == PROTECTIVE)
    }

    /// The entries in use, an extended partition among them.
    #[must_use]
    pub fn primaries(&self) -> Vec<Partition> {
        (1..)
            .zip(self.slots())
            .filter_map(|(number, slot)| Partition::decode(number, slot, 0))
            .collect()
    }

    /// The logical partitions of the extended one, read from the disk. A chain that leaves its extended partition or does
    /// not end is followed as far as it makes sense.
    ///
    /// # Errors
    /// What reading the disk says.
    pub fn logicals(
        &self,
        disk: &mut (impl Read + Seek),
        sector: u32,
    ) -> io::Result<Vec<Partition>> {
        let mut logicals = Vec::new();
        let primaries = self.primaries();
        let Some(extended) = primaries.iter().find(|p| p.is_extended()) else {
            return Ok(logicals);
        };
        let mut at = extended.first;
        for number in 5..5 + MOST_LOGICALS {
            disk.seek(SeekFrom::Start(at.saturating_mul(u64::from(sector))))?;
            let mut bytes = [0; 512];
            match disk.read_exact(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                other => other?,
            }
            if !bytes.ends_with(&[0x55, 0xAA]) {
                break;
            }
            let link = Self(Box::new(bytes));
            let mut slots = link.slots();
            let own = slots.next();
            if let Some(logical) = own.and_then(|slot| Partition::decode(number, slot, at)) {
                logicals.push(logical);
            }
            let next = slots.next();
            let next = next.and_then(|slot| Partition::decode(0, slot, extended.first));
            match next.filter(|next| next.is_extended() && next.first > at) {
                Some(next) => at = next.first,
                None => break,
            }
        }
        Ok(logicals)
    }

    /// Adds a primary FAT32 partition (`0x0c`) of `bytes` bytes at the disk's end; on a disk beyond the table's 32-bit
    /// sectors, at the end of what it can address, one mebibyte below the border.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::NoSpace`].
    pub fn add_last(
        &mut self,
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
        let primaries = self.primaries();
        let free = (1..=4).find(|number| primaries.iter().all(|p| p.number != *number));
        let number = free.ok_or(Error::Full)?;
        let used: Vec<Extent> = primaries.iter().map(Partition::extent).collect();
        let place = gap::place_last(usable, &used, bytes.div_ceil(sector), align)
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
        field::put(&mut slot, 8, &first.to_le_bytes());
        field::put(&mut slot, 12, &sectors.to_le_bytes());
        for (offset, n) in (TABLE..).step_by(SLOT).zip(1..) {
            if n == number {
                field::put(&mut *self.0, offset, &slot);
                break;
            }
        }
        Ok(partition)
    }

    /// Makes a lone protective entry cover a disk of this many sectors; says whether it had to change. A table with other
    /// entries beside it (a hybrid) is left alone.
    pub fn fit_protective(&mut self, disk_sectors: u64) -> bool {
        let primaries = self.primaries();
        let [entry] = primaries.as_slice() else {
            return false;
        };
        let whole = disk_sectors.saturating_sub(1).min(u64::from(u32::MAX));
        let Ok(sectors) = u32::try_from(whole) else {
            return false;
        };
        if (entry.number, entry.kind, entry.first) != (1, PROTECTIVE, 1) || entry.sectors == whole {
            return false;
        }
        field::put(&mut *self.0, TABLE + 12, &sectors.to_le_bytes());
        true
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
    /// Whether it only holds logical partitions.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        matches!(self.kind, 0x05 | 0x0F | 0x85)
    }

    fn decode(number: u32, slot: &[u8], base: u64) -> Option<Self> {
        let kind = *slot.get(4)?;
        let sectors = u64::from(field::le32(slot, 12)?);
        if kind == 0 || sectors == 0 {
            return None;
        }
        Some(Self {
            number,
            kind,
            bootable: slot.first() == Some(&0x80),
            first: base.checked_add(u64::from(field::le32(slot, 8)?))?,
            sectors,
        })
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

/// Whether a file system begins here that leaves the places of a table empty.
fn has_file_system(bytes: &[u8; 512]) -> bool {
    let at = |offset: usize, text: &[u8]| bytes.get(offset..offset + text.len()) == Some(text);
    at(3, b"NTFS    ") || at(54, b"FAT12") || at(54, b"FAT16") || at(82, b"FAT32")
}

const TABLE: usize = 446;
const SLOT: usize = 16;
const PROTECTIVE: u8 = 0xEE;
const FAT32_LBA: u8 = 0x0C;
/// Sectors that a 32-bit number can name.
const ADDRESSABLE: u64 = 1 << 32;
const ALIGNMENT: u64 = 1 << 20;
/// More than the kernel gives minor numbers to.
const MOST_LOGICALS: u32 = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

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
        let added = mbr.add_last(16_777_216, 512, 64 << 20).unwrap();
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
        let added = mbr.add_last(3 << 31, 512, 64 << 20).unwrap();
        let border = (1u64 << 32) - 2048;
        assert_eq!((added.first, added.sectors), (border - 131_072, 131_072));
        let mut large_sectors = Mbr::decode(table(&[])).unwrap();
        let added = large_sectors.add_last(3 << 28, 4096, 64 << 20).unwrap();
        assert_eq!((added.first, added.sectors), ((3 << 28) - 16_384, 16_384));
    }

    #[test]
    fn four_primaries_leave_no_place() {
        let four = [(0x83, 1, 1), (0x83, 2, 1), (0x83, 3, 1), (0x05, 4, 1)];
        let mut mbr = Mbr::decode(table(&four)).unwrap();
        assert_eq!(mbr.add_last(1 << 24, 512, 64 << 20), Err(Error::Full));
    }

    #[test]
    fn a_disk_used_to_its_end_has_no_place() {
        let mut mbr = Mbr::decode(table(&[(0x83, 2048, (1 << 24) - 2048)])).unwrap();
        assert_eq!(
            mbr.add_last(1 << 24, 512, 64 << 20),
            Err(Error::NoSpace(64 << 20))
        );
    }

    #[test]
    fn logical_partitions_are_found_by_their_chain() {
        let mut disk = vec![0; 512 * 400];
        disk[..512].copy_from_slice(&table(&[(0x83, 1, 9), (0x0F, 100, 300)]));
        disk[512 * 100..][..512].copy_from_slice(&table(&[(0x83, 10, 20), (0x05, 100, 50)]));
        disk[512 * 200..][..512].copy_from_slice(&table(&[(0x82, 5, 7), (0x05, 0, 50)]));
        let mut disk = Cursor::new(disk);
        let mbr = read(&mut disk).unwrap().unwrap();
        let logicals = mbr.logicals(&mut disk, 512).unwrap();
        let places: Vec<_> = logicals
            .iter()
            .map(|p| (p.number, p.kind, p.first, p.sectors))
            .collect();
        assert_eq!(places, [(5, 0x83, 110, 20), (6, 0x82, 205, 7)]);
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
    fn only_a_lone_protective_entry_is_fitted() {
        let mut lone = Mbr::decode(table(&[(0xEE, 1, 9)])).unwrap();
        assert!(lone.fit_protective(1 << 40));
        assert_eq!(lone.primaries()[0].sectors, u64::from(u32::MAX));
        assert!(!lone.fit_protective(1 << 40));
        let mut hybrid = Mbr::decode(table(&[(0xEE, 1, 9), (0x83, 10, 5)])).unwrap();
        assert!(!hybrid.fit_protective(1 << 40));
    }

    proptest! {
        #[test]
        fn no_table_makes_it_panic(
            entries in prop::collection::vec((any::<u8>(), any::<u32>(), any::<u32>()), 0..5),
            chain in prop::collection::vec((any::<u8>(), 0u32..64, 0u32..64), 0..5),
            sectors: u64, sector in prop_oneof![Just(512u32), Just(4096u32), any::<u32>()], bytes: u64,
        ) {
            let Some(mut mbr) = Mbr::decode(table(&entries)) else { return Ok(()) };
            let mut disk = Cursor::new(table(&chain).repeat(64));
            let _ = mbr.logicals(&mut disk, sector);
            let _ = mbr.fit_protective(sectors);
            if let Ok(added) = mbr.add_last(sectors, sector, bytes) {
                prop_assert!(added.first + added.sectors <= sectors.min(1 << 32));
            }
        }
    }
}
