//! GUID partition tables (UEFI 2.10 §5.3). Reads and checks both copies, moves the backup to the
//! end of a grown disk, and adds a partition.
//!
//! Like the kernel, this requires a protective entry in the MBR. Otherwise a stale backup at the
//! disk's end could pass as the table of a disk whose beginning was overwritten.

use super::free_space::{self, Extent};
use super::guid::Guid;
use super::le_bytes;
use super::mbr;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// GUID partition table as read from a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpt {
    sector: u32,
    sectors: u64,
    header: Header,
    entries: Vec<u8>,
    copies: Copies,
}

/// Copies of the table that were valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// Both are valid; the backup is in the disk's last sector.
    Both,
    /// Only the backup at the disk's end is valid.
    BackupOnly,
    /// The primary is valid; the disk's last sector holds no copy of it.
    PrimaryOnly,
}

/// Partition of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Index in the table, from 1: the number in the device name.
    pub number: u32,
    /// Partition type.
    pub kind: Guid,
    /// Unique identifier: the kernel's `PARTUUID`.
    pub id: Guid,
    /// First sector.
    pub first: u64,
    /// Last sector.
    pub last: u64,
    /// Name; empty if the partition has none.
    pub name: String,
}

/// Request for a partition at the disk's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewPartition {
    /// Minimum size in bytes.
    pub bytes: u64,
    /// Partition type.
    pub kind: Guid,
    /// Unique identifier.
    pub id: Guid,
}

/// Reason why a table cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A protective entry requires a table, but no copy is valid.
    #[error("the GUID partition table is damaged: {0}")]
    Damaged(&'static str),
    /// The disk cannot be read.
    #[error("the GUID partition table cannot be read")]
    Read(#[source] io::Error),
    /// The table has no free entry.
    #[error("the GUID partition table has no free entry")]
    Full,
    /// No run of free sectors has this number of bytes.
    #[error("the disk has no {0} free bytes in one piece")]
    NoSpace(u64),
    /// A partition ends beyond the disk's last usable sector; its number.
    #[error("partition {0} reaches beyond the end of the disk")]
    BeyondEnd(u32),
    /// The table cannot be written.
    #[error("the GUID partition table cannot be written")]
    Write(#[source] io::Error),
}

/// Reads the table of a disk of `bytes` bytes; `None` if the disk has no GPT.
///
/// # Errors
/// [`Error::Read`]; [`Error::Damaged`] if the MBR is protective and neither copy is valid.
pub fn read(disk: &mut (impl Read + Seek), bytes: u64, sector: u32) -> Result<Option<Gpt>, Error> {
    let sectors = bytes / u64::from(sector.max(1));
    let Some(last) = sectors.checked_sub(1).filter(|_| sector >= 512) else {
        return Ok(None);
    };
    let Some(mbr) = mbr::read(disk).map_err(Error::Read)? else {
        return Ok(None);
    };
    if !mbr.is_protective() {
        return Ok(None);
    }
    let primary = copy_at(disk, 1, last, sector)?;
    let backup = copy_at(disk, last, last, sector)?;
    let (copies, (header, entries)) = match (primary, backup) {
        (Ok(primary), Ok(backup)) if backup.0.mirrors(&primary.0) => (Copies::Both, primary),
        (Ok(primary), _) => (Copies::PrimaryOnly, primary),
        (Err(_), Ok(backup)) => (Copies::BackupOnly, backup),
        (Err(why), Err(_)) => return Err(Error::Damaged(why)),
    };
    Ok(Some(Gpt {
        sector,
        sectors,
        header,
        entries,
        copies,
    }))
}

impl Gpt {
    /// Returns the copies that were valid when the table was read.
    #[must_use]
    pub fn copies(&self) -> Copies {
        self.copies
    }

    /// Returns the identifier of the disk.
    #[must_use]
    pub fn disk_id(&self) -> Guid {
        self.header.disk_id
    }

    /// Returns the partitions, sorted by number.
    #[must_use]
    pub fn partitions(&self) -> Vec<Partition> {
        (1..)
            .zip(self.entries.chunks_exact(self.header.entry_bytes()))
            .filter_map(|(number, entry)| Partition::decode(number, entry))
            .collect()
    }

    /// Adds a partition at the end of the last free run that holds it, with its start aligned to 1
    /// MiB.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::NoSpace`], [`Error::BeyondEnd`].
    pub fn add_last(&mut self, wanted: &NewPartition) -> Result<Partition, Error> {
        self.move_backup_to_end()?;
        let sector = u64::from(self.sector);
        let partitions = self.partitions();
        let used: Vec<Extent> = partitions.iter().map(Partition::extent).collect();
        let usable = Extent {
            first: self.header.first_usable,
            last: self.header.last_usable,
        };
        let length = wanted.bytes.div_ceil(sector);
        let place = free_space::place_last(usable, &used, length, ALIGNMENT / sector)
            .ok_or(Error::NoSpace(wanted.bytes))?;
        let number = (1..=self.header.entry_count)
            .find(|number| partitions.iter().all(|p| p.number != *number))
            .ok_or(Error::Full)?;
        let partition = Partition {
            number,
            kind: wanted.kind,
            id: wanted.id,
            first: place.first,
            last: place.last,
            name: String::new(),
        };
        let size = self.header.entry_bytes();
        let index = usize::try_from(number - 1).map_err(|_| Error::Full)?;
        let entry = self
            .entries
            .chunks_exact_mut(size)
            .nth(index)
            .ok_or(Error::Full)?;
        partition.encode(entry);
        Ok(partition)
    }

    /// Writes both copies, the backup to the disk's last sectors, and fits the protective MBR entry
    /// to the disk. The backup is written first, so that the disk always has one valid copy.
    ///
    /// # Errors
    /// [`Error::BeyondEnd`], [`Error::NoSpace`] if the disk is too small for its own table,
    /// [`Error::Read`] for the MBR, [`Error::Write`].
    pub fn write(&mut self, disk: &mut (impl Read + Write + Seek)) -> Result<(), Error> {
        self.move_backup_to_end()?;
        let sector = u64::from(self.sector);
        let entries_crc = crc32fast::hash(&self.entries);
        let backup = Header {
            at: self.header.backup_at,
            backup_at: 1,
            table_at: self.header.last_usable + 1,
            ..self.header
        };
        let primary = Header {
            at: 1,
            ..self.header
        };
        for header in [backup, primary] {
            put(disk, header.table_at * sector, &self.entries)?;
            put(
                disk,
                header.at * sector,
                &header.encode(self.sector, entries_crc),
            )?;
        }
        if let Some(mut boot_sector) = mbr::read(disk).map_err(Error::Read)?
            && boot_sector.fit_protective(self.sectors)
        {
            put(disk, 0, boot_sector.bytes())?;
        }
        disk.flush().map_err(Error::Write)
    }

    /// Moves the backup to the disk's last sectors and adds the gained space to the usable sectors.
    fn move_backup_to_end(&mut self) -> Result<(), Error> {
        let last = self.sectors.saturating_sub(1);
        let table = self.table_sectors();
        let last_usable = last
            .checked_sub(table + 1)
            .filter(|usable| *usable >= self.header.first_usable)
            .ok_or_else(|| Error::NoSpace(table * u64::from(self.sector)))?;
        if let Some(beyond) = self.partitions().iter().find(|p| p.last > last_usable) {
            return Err(Error::BeyondEnd(beyond.number));
        }
        self.header.backup_at = last;
        self.header.last_usable = last_usable;
        if self.copies == Copies::BackupOnly {
            self.header.table_at = 2;
        }
        Ok(())
    }

    fn table_sectors(&self) -> u64 {
        let bytes = u64::from(self.header.entry_count) * u64::from(self.header.entry_size);
        bytes.div_ceil(u64::from(self.sector))
    }
}

/// Header of one copy: the fields that differ between tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    revision: u32,
    at: u64,
    backup_at: u64,
    first_usable: u64,
    last_usable: u64,
    disk_id: Guid,
    table_at: u64,
    entry_count: u32,
    entry_size: u32,
    entries_crc: u32,
}

impl Header {
    /// Parses the header in a sector. Its checksum must match, and its numbers must fit a disk
    /// whose last sector is `last`.
    fn decode(bytes: &[u8], at: u64, last: u64) -> Result<Self, &'static str> {
        if bytes.get(..8) != Some(SIGNATURE.as_slice()) {
            return Err("no header");
        }
        let header = Self::fields(bytes).ok_or("its header is cut short")?;
        let length = le_bytes::le32(bytes, 12).and_then(|length| usize::try_from(length).ok());
        let covered = length
            .filter(|length| *length >= HEADER_BYTES)
            .and_then(|length| bytes.get(..length))
            .ok_or("its header's length is impossible")?;
        let mut covered = covered.to_vec();
        le_bytes::put(&mut covered, 16, &[0; 4]);
        if le_bytes::le32(bytes, 16) != Some(crc32fast::hash(&covered)) {
            return Err("its header's checksum is wrong");
        }
        if header.at != at {
            return Err("its header belongs to another sector");
        }
        if header.last_usable > last || header.first_usable > header.last_usable {
            return Err("its usable sectors are not on the disk");
        }
        let sizes = 128..=4096;
        let table = u64::from(header.entry_count) * u64::from(header.entry_size);
        let table_end = u64::try_from(bytes.len()).map(|sector| {
            header
                .table_at
                .saturating_add(table.div_ceil(sector.max(1)))
        });
        if !sizes.contains(&header.entry_size)
            || !header.entry_size.is_power_of_two()
            || header.entry_count == 0
            || table > MAX_TABLE_BYTES
            || header.table_at < 2
            || header.table_at > last
            || (at == 1 && table_end.is_ok_and(|end| end > header.first_usable))
        {
            return Err("its entries are impossible");
        }
        Ok(header)
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            revision: le_bytes::le32(bytes, 8)?,
            at: le_bytes::le64(bytes, 24)?,
            backup_at: le_bytes::le64(bytes, 32)?,
            first_usable: le_bytes::le64(bytes, 40)?,
            last_usable: le_bytes::le64(bytes, 48)?,
            disk_id: Guid(le_bytes::array(bytes, 56)?),
            table_at: le_bytes::le64(bytes, 72)?,
            entry_count: le_bytes::le32(bytes, 80)?,
            entry_size: le_bytes::le32(bytes, 84)?,
            entries_crc: le_bytes::le32(bytes, 88)?,
        })
    }

    fn encode(&self, sector: u32, entries_crc: u32) -> Vec<u8> {
        let mut bytes = Vec::from(*SIGNATURE);
        bytes.extend(self.revision.to_le_bytes());
        bytes.extend(HEADER_LENGTH.to_le_bytes());
        bytes.extend([0; 8]);
        for number in [self.at, self.backup_at, self.first_usable, self.last_usable] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.disk_id.0);
        bytes.extend(self.table_at.to_le_bytes());
        for number in [self.entry_count, self.entry_size, entries_crc] {
            bytes.extend(number.to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes);
        le_bytes::put(&mut bytes, 16, &crc.to_le_bytes());
        bytes.resize(usize::try_from(sector).unwrap_or(HEADER_BYTES), 0);
        bytes
    }

    /// Returns whether this backup belongs to the same table as `primary`.
    fn mirrors(&self, primary: &Self) -> bool {
        primary.backup_at == self.at
            && self.disk_id == primary.disk_id
            && self.entries_crc == primary.entries_crc
    }

    fn entry_bytes(&self) -> usize {
        usize::try_from(self.entry_size).unwrap_or(usize::MAX)
    }
}

impl Partition {
    /// Returns the size in sectors.
    #[must_use]
    pub fn sectors(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    fn extent(&self) -> Extent {
        Extent {
            first: self.first,
            last: self.last,
        }
    }

    fn decode(number: u32, entry: &[u8]) -> Option<Self> {
        let kind = Guid(le_bytes::array(entry, 0)?);
        let (first, last) = (le_bytes::le64(entry, 32)?, le_bytes::le64(entry, 40)?);
        if kind.is_nil() || first > last {
            return None;
        }
        let units = entry.get(56..128)?.chunks_exact(2);
        let units: Vec<u16> = units
            .filter_map(|unit| le_bytes::le16(unit, 0))
            .take_while(|unit| *unit != 0)
            .collect();
        Some(Self {
            number,
            kind,
            id: Guid(le_bytes::array(entry, 16)?),
            first,
            last,
            name: String::from_utf16_lossy(&units),
        })
    }

    fn encode(&self, entry: &mut [u8]) {
        entry.fill(0);
        le_bytes::put(entry, 0, &self.kind.0);
        le_bytes::put(entry, 16, &self.id.0);
        le_bytes::put(entry, 32, &self.first.to_le_bytes());
        le_bytes::put(entry, 40, &self.last.to_le_bytes());
        let name = self.name.encode_utf16().take(36).flat_map(u16::to_le_bytes);
        le_bytes::put(entry, 56, &name.collect::<Vec<u8>>());
    }
}

type Copy = Result<(Header, Vec<u8>), &'static str>;

/// Reads the copy whose header is in sector `at`. Read errors are separate from an invalid copy.
fn copy_at(disk: &mut (impl Read + Seek), at: u64, last: u64, sector: u32) -> Result<Copy, Error> {
    let Some(bytes) = get(
        disk,
        at.saturating_mul(u64::from(sector)),
        u64::from(sector),
    )?
    else {
        return Ok(Err("no header"));
    };
    let header = match Header::decode(&bytes, at, last) {
        Ok(header) => header,
        Err(why) => return Ok(Err(why)),
    };
    let length = u64::from(header.entry_count) * u64::from(header.entry_size);
    let Some(entries) = get(disk, header.table_at * u64::from(sector), length)? else {
        return Ok(Err("its entries are cut short"));
    };
    if crc32fast::hash(&entries) != header.entries_crc {
        return Ok(Err("the checksum of its entries is wrong"));
    }
    Ok(Ok((header, entries)))
}

/// Reads bytes of the disk; `None` if it ends before them.
fn get(disk: &mut (impl Read + Seek), at: u64, length: u64) -> Result<Option<Vec<u8>>, Error> {
    disk.seek(SeekFrom::Start(at)).map_err(Error::Read)?;
    let mut bytes = Vec::new();
    let read = disk.take(length).read_to_end(&mut bytes);
    let read = read.map_err(Error::Read)?;
    Ok((u64::try_from(read) == Ok(length)).then_some(bytes))
}

fn put(disk: &mut (impl Write + Seek), at: u64, bytes: &[u8]) -> Result<(), Error> {
    disk.seek(SeekFrom::Start(at)).map_err(Error::Write)?;
    disk.write_all(bytes).map_err(Error::Write)
}

const SIGNATURE: &[u8; 8] = b"EFI PART";
const HEADER_BYTES: usize = 92;
const HEADER_LENGTH: u32 = 92;
/// Maximum bytes of a table, 64 times what the standard requires: a larger one is an attack on
/// memory.
const MAX_TABLE_BYTES: u64 = 1 << 20;
/// Alignment of partitions in bytes: whole mebibytes, as in sgdisk and parted.
const ALIGNMENT: u64 = 1 << 20;

/// Disks for tests.
#[cfg(test)]
pub(crate) mod fixture {
    use super::*;
    use std::fs::File;

    pub(crate) const DISK_ID: Guid = Guid::from_text_order(0x11111111_2222_3333_4444_555555555555);
    const PARTITION_ID: Guid = Guid::from_text_order(0xAAAAAAAA_BBBB_CCCC_DDDD_EEEEEEEEEEEE);

    /// Partitions a file by type, start and size of each partition, the latter two in mebibytes.
    /// Each partition is named `esp`. The last byte of every identifier except the first is the
    /// partition's number.
    pub(crate) fn write(file: &File, sector: u32, partitions: &[(Guid, u64, u64)]) {
        let bytes = file.metadata().unwrap().len();
        let mut boot = [0; 512];
        boot[440..444].copy_from_slice(&[0x15, 0x4A, 0xD0, 0x47]);
        boot[446..462].copy_from_slice(&[0, 0, 2, 0, 0xEE, 255, 255, 255, 1, 0, 0, 0, 9, 0, 0, 0]);
        boot[510..].copy_from_slice(&[0x55, 0xAA]);
        put(&mut &*file, 0, &boot).unwrap();
        let a_mib = (1 << 20) / u64::from(sector);
        let mut entries = vec![0; 128 * 128];
        for ((number, entry), wanted) in (1..).zip(entries.chunks_mut(128)).zip(partitions) {
            let mut id = PARTITION_ID;
            if number > 1 {
                id.0[15] = u8::try_from(number).unwrap();
            }
            let partition = Partition {
                number,
                kind: wanted.0,
                id,
                first: wanted.1 * a_mib,
                last: (wanted.1 + wanted.2) * a_mib - 1,
                name: "esp".into(),
            };
            partition.encode(entry);
        }
        let table = 128 * 128 / u64::from(sector);
        let mut gpt = Gpt {
            sector,
            sectors: bytes / u64::from(sector),
            header: Header {
                revision: 0x0001_0000,
                at: 1,
                backup_at: 0,
                first_usable: 2 + table,
                last_usable: 0,
                disk_id: DISK_ID,
                table_at: 2,
                entry_count: 128,
                entry_size: 128,
                entries_crc: 0,
            },
            entries,
            copies: Copies::Both,
        };
        gpt.write(&mut &*file).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::DISK_ID;
    use super::*;
    use proptest::prelude::*;
    use std::fs::File;

    const NEW_ID: Guid = Guid::from_text_order(0x01234567_89AB_CDEF_0123_456789ABCDEF);

    /// Creates an image of `bytes` bytes with one 200 MiB partition, as by
    /// `sgdisk -n 1:<1 MiB>:+200M -t 1:ef00 -c 1:esp`.
    fn image(bytes: u64, sector: u32) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(bytes).unwrap();
        fixture::write(&file, sector, &[(Guid::EFI_SYSTEM, 1, 200)]);
        file
    }

    fn open(file: &File, sector: u32) -> Gpt {
        let bytes = file.metadata().unwrap().len();
        read(&mut &*file, bytes, sector).unwrap().unwrap()
    }

    fn bytes(file: &File, at: u64, length: u64) -> Vec<u8> {
        get(&mut &*file, at, length).unwrap().unwrap()
    }

    const GIB: u64 = 1 << 30;

    #[test]
    fn an_image_on_a_larger_disk_becomes_what_sgdisk_makes_of_it() {
        let file = image(GIB, 512);
        assert_eq!(open(&file, 512).copies(), Copies::Both);
        file.set_len(8 * GIB).unwrap();
        let mut gpt = open(&file, 512);
        assert_eq!(
            (gpt.copies(), gpt.disk_id()),
            (Copies::PrimaryOnly, DISK_ID)
        );
        let wanted = NewPartition {
            bytes: 64 << 20,
            kind: Guid::LINUX_DATA,
            id: NEW_ID,
        };
        let added = gpt.add_last(&wanted).unwrap();
        assert_eq!((added.first, added.last), (16_644_096, 16_777_182));
        gpt.write(&mut &file).unwrap();

        // sgdisk 1.0.9: -n 0:-64MB:0 -u 0:01234567-89ab-cdef-0123-456789abcdef
        let primary = bytes(&file, 512, 92);
        assert_eq!(le_bytes::le32(&primary, 88), Some(0x4C0E_AB2C));
        assert_eq!(le_bytes::le32(&primary, 16), Some(0x85E0_532B));
        let backup = bytes(&file, 8 * GIB - 512, 92);
        assert_eq!(le_bytes::le32(&backup, 16), Some(0xB6E6_BEE7));
        assert_eq!(bytes(&file, 446 + 12, 4), [0xFF, 0xFF, 0xFF, 0]);

        let again = open(&file, 512);
        assert_eq!(again.copies(), Copies::Both);
        assert_eq!(again.partitions()[1], added);
        assert_eq!(again.partitions()[0].name, "esp");
    }

    #[test]
    fn a_partition_is_placed_where_sgdisk_places_it() {
        let cases = [
            (8_589_935_104, 512, 16_644_096, 16_777_183),
            (8_590_000_128, 512, 16_646_144, 16_777_310),
            (10_000_000_000, 512, 19_398_656, 19_531_216),
            (8 * GIB, 4096, 2_080_512, 2_097_146),
        ];
        for (bytes, sector, first, last) in cases {
            let file = image(bytes, sector);
            let wanted = NewPartition {
                bytes: 64 << 20,
                kind: Guid::LINUX_DATA,
                id: NEW_ID,
            };
            let added = open(&file, sector).add_last(&wanted).unwrap();
            assert_eq!((added.first, added.last), (first, last), "{bytes}");
        }
    }

    #[test]
    fn a_lost_first_copy_is_read_from_the_backup() {
        let file = image(GIB, 4096);
        let whole = open(&file, 4096).partitions();
        put(&mut &file, 4096 + 60, &[0xFF]).unwrap();
        let gpt = open(&file, 4096);
        assert_eq!(
            (gpt.copies(), gpt.partitions()),
            (Copies::BackupOnly, whole)
        );
    }

    #[test]
    fn without_a_protective_entry_an_old_table_does_not_count() {
        let file = image(GIB, 512);
        put(&mut &file, 450, &[0x83]).unwrap();
        assert_eq!(read(&mut &file, GIB, 512).unwrap(), None);
    }

    #[test]
    fn a_promised_table_without_a_whole_copy_is_damaged() {
        let file = image(GIB, 512);
        put(&mut &file, 1024, &[0xFF]).unwrap();
        put(&mut &file, GIB - 512, &[0]).unwrap();
        let error = read(&mut &file, GIB, 512).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the GUID partition table is damaged: the checksum of its entries is wrong"
        );
    }

    #[test]
    fn a_table_of_a_larger_disk_does_not_fit() {
        let file = image(GIB, 512);
        let error = read(&mut &file, GIB / 2, 512).unwrap_err();
        assert!(matches!(error, Error::Damaged(_)), "{error}");
    }

    #[test]
    fn a_full_disk_has_no_place() {
        let file = image(210 << 20, 512);
        let wanted = NewPartition {
            bytes: 64 << 20,
            kind: Guid::LINUX_DATA,
            id: NEW_ID,
        };
        let error = open(&file, 512).add_last(&wanted).unwrap_err();
        assert!(matches!(error, Error::NoSpace(67_108_864)), "{error}");
    }

    /// Returns a header for sector 1 or 99 of a disk of 100 sectors.
    fn header(at: u64) -> Header {
        Header {
            revision: 0x0001_0000,
            at,
            backup_at: 100 - at,
            first_usable: 34,
            last_usable: 66,
            disk_id: DISK_ID,
            table_at: if at == 1 { 2 } else { 67 },
            entry_count: 128,
            entry_size: 128,
            entries_crc: 7,
        }
    }

    /// Decodes a header with one change.
    fn decoded(at: u64, change: impl Fn(&mut Header)) -> Result<(), &'static str> {
        let mut header = header(at);
        change(&mut header);
        Header::decode(&header.encode(512, 7), at, 99).map(|_| ())
    }

    #[test]
    fn a_backup_is_the_other_half_of_a_table_by_place_identifier_and_entries() {
        let backup = header(99);
        assert!(backup.mirrors(&header(1)));
        let differences: [fn(&mut Header); 3] = [
            |primary| primary.backup_at = 98,
            |primary| primary.disk_id = NEW_ID,
            |primary| primary.entries_crc = 8,
        ];
        for change in differences {
            let mut primary = header(1);
            change(&mut primary);
            assert!(!backup.mirrors(&primary), "{primary:?}");
        }
    }

    #[test]
    fn a_partition_has_a_sector_at_least() {
        let read_back = |first, last| {
            let partition = Partition {
                number: 3,
                kind: Guid::LINUX_DATA,
                id: NEW_ID,
                first,
                last,
                name: "data".into(),
            };
            let mut entry = [0xFF; 128];
            partition.encode(&mut entry);
            let decoded = Partition::decode(3, &entry);
            decoded.map(|decoded| (decoded == partition, decoded.sectors()))
        };
        assert_eq!(read_back(2048, 2050), Some((true, 3)));
        assert_eq!(read_back(2048, 2048), Some((true, 1)));
        assert_eq!(read_back(2048, 2047), None);
    }

    #[test]
    fn usable_sectors_are_on_the_disk() {
        let usable = |first, last| {
            decoded(1, |header| {
                (header.first_usable, header.last_usable) = (first, last);
            })
        };
        let refused = Err("its usable sectors are not on the disk");
        assert_eq!(usable(34, 99), Ok(()));
        assert_eq!(usable(34, 100), refused);
        assert_eq!(usable(66, 66), Ok(()));
        assert_eq!(usable(67, 66), refused);
    }

    #[test]
    fn entries_have_a_size_and_a_place() {
        let refused = Err("its entries are impossible");
        for size in [64, 129, 192, 8192] {
            // With this number of entries the table does not become longer.
            let found = decoded(99, |header| {
                (header.entry_size, header.entry_count) = (size, 2);
            });
            assert_eq!(found, refused, "{size}");
        }
        assert_eq!(decoded(99, |header| header.entry_count = 0), refused);
        assert_eq!(decoded(99, |header| header.entry_count = 8192), Ok(()));
        assert_eq!(decoded(99, |header| header.entry_count = 8193), refused);
        for (at, table_at, found) in [
            (1, 1, refused),
            (1, 2, Ok(())),
            // Its last sector would be the first usable one.
            (1, 3, refused),
            (99, 67, Ok(())),
            (99, 99, Ok(())),
            (99, 100, refused),
        ] {
            let decoded = decoded(at, |header| header.table_at = table_at);
            assert_eq!(decoded, found, "{at} {table_at}");
        }
    }

    #[test]
    fn a_backup_of_another_table_does_not_count() {
        let file = image(GIB, 512);
        let old = bytes(&file, GIB - 33 * 512, 33 * 512);
        fixture::write(&file, 512, &[(Guid::EFI_SYSTEM, 1, 100)]);
        assert_eq!(open(&file, 512).copies(), Copies::Both);
        put(&mut &file, GIB - 33 * 512, &old).unwrap();
        let gpt = open(&file, 512);
        assert_eq!(gpt.copies(), Copies::PrimaryOnly);
        assert_eq!(gpt.partitions()[0].sectors(), 100 << 11);
    }

    #[test]
    fn a_table_that_came_from_the_backup_is_written_to_both_places() {
        let file = image(GIB, 512);
        let whole = open(&file, 512);
        put(&mut &file, 512, &[0; 33 * 512]).unwrap();
        let mut gpt = open(&file, 512);
        assert_eq!(gpt.copies(), Copies::BackupOnly);
        gpt.write(&mut &file).unwrap();
        let again = open(&file, 512);
        assert_eq!(again.copies(), Copies::Both);
        assert_eq!(again.header, whole.header);
        assert_eq!(again.partitions(), whole.partitions());
    }

    #[test]
    fn a_disk_that_is_too_small_for_its_table_says_how_large_that_is() {
        let file = image(GIB, 512);
        let mut gpt = open(&file, 512);
        gpt.sectors = 60;
        let error = gpt.write(&mut &file).unwrap_err();
        assert!(matches!(error, Error::NoSpace(16_384)), "{error}");
    }

    proptest! {
        /// Decodes random headers with a valid checksum, as a hostile image can have.
        #[test]
        fn no_header_makes_it_panic(
            numbers: [u64; 6], count: u32, size in prop_oneof![Just(128u32), any::<u32>()], entries: Vec<u8>,
        ) {
            let small = |n: u64| n % 70;
            let mut disk = vec![0; 64 * 512];
            disk[446 + 4] = 0xEE;
            disk[446 + 12] = 1;
            disk[510..512].copy_from_slice(&[0x55, 0xAA]);
            let count = count % 200;
            let table_at = small(numbers[3]);
            le_bytes::put(&mut disk, usize::try_from(table_at).unwrap() * 512, &entries);
            let length = u64::from(count) * u64::from(size);
            let table = get(&mut io::Cursor::new(&disk), table_at * 512, length.min(1 << 20)).unwrap();
            let header = Header {
                revision: 1,
                at: 1,
                backup_at: numbers[0],
                first_usable: small(numbers[1]),
                last_usable: small(numbers[2]),
                disk_id: DISK_ID,
                table_at,
                entry_count: count,
                entry_size: size,
                entries_crc: crc32fast::hash(&table.unwrap_or_default()),
            };
            le_bytes::put(&mut disk, 512, &header.encode(512, header.entries_crc));
            let mut disk = io::Cursor::new(disk);
            if let Ok(Some(mut gpt)) = read(&mut disk, 64 * 512, 512) {
                let _ = gpt.partitions();
                let wanted = NewPartition { bytes: numbers[4] % 9000, kind: NEW_ID, id: NEW_ID };
                let _ = gpt.add_last(&wanted);
                let _ = gpt.write(&mut disk);
            }
        }
    }
}
