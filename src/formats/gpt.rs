//! GUID partition tables (UEFI 2.10 §5.3): both copies read and checked, moved to a grown disk's end, a partition added.
//!
//! Like the kernel, this takes a disk for GPT only behind a protective entry in its MBR, so that what an earlier owner left at
//! the disk's end is not taken for the table of what was written over its beginning.

use super::field;
use super::gap::{self, Extent};
use super::guid::Guid;
use super::mbr;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// A table as read from a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpt {
    sector: u32,
    sectors: u64,
    header: Header,
    entries: Vec<u8>,
    copies: Copies,
}

/// Which of the two copies were whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// Both, and the backup is in the disk's last sector.
    Both,
    /// Only the one at the disk's end.
    BackupOnly,
    /// The first is whole; the disk's last sector holds no copy of it.
    PrimaryOnly,
}

/// A partition of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its place in the table, from 1: the number in its device name.
    pub number: u32,
    /// What it is for.
    pub kind: Guid,
    /// Its own identifier: the kernel's `PARTUUID`.
    pub id: Guid,
    /// Its first sector.
    pub first: u64,
    /// Its last sector.
    pub last: u64,
    /// Its name; empty where it has none.
    pub name: String,
}

/// A partition wanted at the disk's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its least size in bytes.
    pub bytes: u64,
    /// What it is for.
    pub kind: Guid,
    /// Its own identifier.
    pub id: Guid,
}

/// Why a table cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A protective entry promises a table, and no copy of it is whole.
    #[error("the GUID partition table is damaged: {0}")]
    Damaged(&'static str),
    /// The disk cannot be read.
    #[error("the GUID partition table cannot be read")]
    Read(#[source] io::Error),
    /// The table has no free entry.
    #[error("the GUID partition table has no free entry")]
    Full,
    /// There is no run of free sectors for the wanted partition.
    #[error("the disk has no {0} free bytes in one piece")]
    NoSpace(u64),
    /// A partition ends beyond the disk's last usable sector.
    #[error("partition {0} reaches beyond the end of the disk")]
    BeyondEnd(u32),
    /// The table cannot be written.
    #[error("the GUID partition table cannot be written")]
    Write(#[source] io::Error),
}

/// Reads the table of a disk of `bytes` bytes; `None` when the disk carries no GPT.
///
/// # Errors
/// [`Error::Read`]; [`Error::Damaged`] when a protective MBR promises a table and neither copy is whole.
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
    /// Which copies were whole when the table was read.
    #[must_use]
    pub fn copies(&self) -> Copies {
        self.copies
    }

    /// The disk's own identifier.
    #[must_use]
    pub fn disk_id(&self) -> Guid {
        self.header.disk_id
    }

    /// The partitions, by number.
    #[must_use]
    pub fn partitions(&self) -> Vec<Partition> {
        (1..)
            .zip(self.entries.chunks_exact(self.header.entry_bytes()))
            .filter_map(|(number, entry)| Partition::decode(number, entry))
            .collect()
    }

    /// Puts the backup copy into the disk's last sectors and gives the room gained to the usable sectors.
    ///
    /// # Errors
    /// [`Error::BeyondEnd`], [`Error::NoSpace`] when the disk is too small for its own table.
    pub fn move_backup_to_end(&mut self) -> Result<(), Error> {
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

    /// Adds a partition at the end of the last free run that holds it, its start aligned to 1 MiB.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::NoSpace`].
    pub fn add_last(&mut self, wanted: &Wanted) -> Result<Partition, Error> {
        let sector = u64::from(self.sector);
        let partitions = self.partitions();
        let used: Vec<Extent> = partitions.iter().map(Partition::extent).collect();
        let usable = Extent {
            first: self.header.first_usable,
            last: self.header.last_usable,
        };
        let length = wanted.bytes.div_ceil(sector);
        let place = gap::place_last(usable, &used, length, ALIGNMENT / sector)
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

    /// Writes both copies and fits the protective MBR's entry to the disk. The backup goes first, so that one whole copy is
    /// on the disk at every moment.
    ///
    /// # Errors
    /// [`Error::Read`] for the MBR, [`Error::Write`].
    pub fn write(&self, disk: &mut (impl Read + Write + Seek)) -> Result<(), Error> {
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

    fn table_sectors(&self) -> u64 {
        let bytes = u64::from(self.header.entry_count) * u64::from(self.header.entry_size);
        bytes.div_ceil(u64::from(self.sector))
    }
}

/// One copy's header, as far as it differs between tables.
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
    /// The header in a sector, if its checksum and its numbers hold on a disk whose last sector is `last`.
    fn decode(bytes: &[u8], at: u64, last: u64) -> Result<Self, &'static str> {
        if bytes.get(..8) != Some(SIGNATURE.as_slice()) {
            return Err("no header");
        }
        let header = Self::fields(bytes).ok_or("its header is cut short")?;
        let length = field::le32(bytes, 12).and_then(|length| usize::try_from(length).ok());
        let covered = length
            .filter(|length| *length >= HEADER_BYTES)
            .and_then(|length| bytes.get(..length))
            .ok_or("its header's length is impossible")?;
        let mut covered = covered.to_vec();
        field::put(&mut covered, 16, &[0; 4]);
        if field::le32(bytes, 16) != Some(crc32fast::hash(&covered)) {
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
        if !sizes.contains(&header.entry_size)
            || !header.entry_size.is_power_of_two()
            || header.entry_count == 0
            || table > MOST_TABLE_BYTES
            || header.table_at < 2
            || header.table_at > last
        {
            return Err("its entries are impossible");
        }
        Ok(header)
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            revision: field::le32(bytes, 8)?,
            at: field::le64(bytes, 24)?,
            backup_at: field::le64(bytes, 32)?,
            first_usable: field::le64(bytes, 40)?,
            last_usable: field::le64(bytes, 48)?,
            disk_id: Guid(field::array(bytes, 56)?),
            table_at: field::le64(bytes, 72)?,
            entry_count: field::le32(bytes, 80)?,
            entry_size: field::le32(bytes, 84)?,
            entries_crc: field::le32(bytes, 88)?,
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
        field::put(&mut bytes, 16, &crc.to_le_bytes());
        bytes.resize(usize::try_from(sector).unwrap_or(HEADER_BYTES), 0);
        bytes
    }

    /// Whether this backup is the other half of `primary`.
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
    /// Its size in sectors.
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
        let kind = Guid(field::array(entry, 0)?);
        let (first, last) = (field::le64(entry, 32)?, field::le64(entry, 40)?);
        if kind.is_nil() || first > last {
            return None;
        }
        let units = entry.get(56..128)?.chunks_exact(2);
        let units: Vec<u16> = units
            .filter_map(|unit| field::le16(unit, 0))
            .take_while(|unit| *unit != 0)
            .collect();
        Some(Self {
            number,
            kind,
            id: Guid(field::array(entry, 16)?),
            first,
            last,
            name: String::from_utf16_lossy(&units),
        })
    }

    fn encode(&self, entry: &mut [u8]) {
        entry.fill(0);
        field::put(entry, 0, &self.kind.0);
        field::put(entry, 16, &self.id.0);
        field::put(entry, 32, &self.first.to_le_bytes());
        field::put(entry, 40, &self.last.to_le_bytes());
        let name = self.name.encode_utf16().take(36).flat_map(u16::to_le_bytes);
        field::put(entry, 56, &name.collect::<Vec<u8>>());
    }
}

type Copy = Result<(Header, Vec<u8>), &'static str>;

/// The copy whose header is in sector `at`: read errors apart from a copy that is not whole.
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

/// Bytes of the disk; `None` where it ends before them.
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
/// 64 times what the standard asks for: more is not a table but an attempt on our memory.
const MOST_TABLE_BYTES: u64 = 1 << 20;
/// Partitions start at whole mebibytes, as sgdisk and parted make them.
const ALIGNMENT: u64 = 1 << 20;
