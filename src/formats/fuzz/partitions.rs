//! Fuzz target for the tables of a disk of 1 MiB: an MBR with its chain, and a GPT with valid
//! checksums. An added partition overlaps no other, and is read back.

use crate::formats::guid::Guid;
use crate::formats::{gpt, mbr, probe};
use std::io::Cursor;

const SECTOR: usize = 512;
const BYTES: usize = 1 << 20;
/// Number of GPT entries that are filled from the input.
const ENTRIES: usize = 16;

pub(crate) fn partition_tables(bytes: &[u8]) {
    let mut disk = vec![0; BYTES];
    // Each table entry takes sixteen bytes. The MBR has four, and so has each table of a chain. A
    // table's first entry gives the sector of the next table.
    let mut entries = bytes.chunks_exact(16);
    let mut at = 0;
    while let Some(table) = disk.get_mut(at..at + SECTOR) {
        table[510..].copy_from_slice(&[0x55, 0xAA]);
        for (place, entry) in table[446..510].chunks_exact_mut(16).zip(&mut entries) {
            place.copy_from_slice(entry);
        }
        let sector = u16::from_le_bytes([table[446 + 8], table[446 + 9]]);
        if entries.len() == 0 || usize::from(sector) * SECTOR <= at {
            break;
        }
        at = usize::from(sector) * SECTOR;
    }
    mbr_of(disk.clone());
    gpt_of(disk, bytes);
}

fn mbr_of(disk: Vec<u8>) {
    let mut disk = Cursor::new(disk);
    let _ = probe::label(&mut disk);
    let _ = probe::is_md_member(&mut disk, BYTES as u64);
    let Some(mut table) = mbr::read(&mut disk).expect("memory is read") else {
        return;
    };
    let logicals = table.logicals(&mut disk, 512).expect("memory is read");
    assert!(logicals.len() <= 251);
    let before = table.primaries();
    let sectors = (BYTES / SECTOR) as u64;
    if let Ok(added) = table.add_last(&logicals, sectors, 512, 4096) {
        let end = added.first + added.sectors;
        assert!(added.first > 0 && end <= sectors, "{added:?}");
        for other in before.iter().chain(&logicals) {
            let apart = other.first >= end || other.first + other.sectors <= added.first;
            assert!(apart, "{added:?} overlaps {other:?}");
        }
        assert!(table.primaries().contains(&added));
    }
    let _ = table.fit_protective(sectors);
}

fn gpt_of(mut disk: Vec<u8>, bytes: &[u8]) {
    let last = BYTES / SECTOR - 1;
    disk[446..462].copy_from_slice(&[0, 0, 2, 0, 0xEE, 255, 255, 255, 1, 0, 0, 0, 9, 0, 0, 0]);
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    let table = 2 * SECTOR;
    for (place, entry) in disk[table..]
        .chunks_exact_mut(128)
        .zip(bytes.chunks(48))
        .take(ENTRIES)
    {
        place[..entry.len()].copy_from_slice(entry);
    }
    let mut header = [0; 92];
    header[..8].copy_from_slice(b"EFI PART");
    header[8..16].copy_from_slice(&[0, 0, 1, 0, 92, 0, 0, 0]);
    let numbers = [1, last as u64, 34, last as u64 - 33];
    for (place, number) in header[24..56].chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    header[72] = 2;
    header[80] = 128;
    header[84] = 128;
    // A hostile table can have any numbers with valid checksums.
    if let Some((at, value)) = bytes
        .split_first_chunk::<9>()
        .map(|(head, _)| (head[0], &head[1..]))
    {
        let at = 24 + usize::from(at % 61);
        header[at..at + 8].copy_from_slice(value);
    }
    let entries_crc = crc32fast::hash(&disk[table..table + 128 * 128]);
    header[88..].copy_from_slice(&entries_crc.to_le_bytes());
    let crc = crc32fast::hash(&header);
    header[16..20].copy_from_slice(&crc.to_le_bytes());
    disk[SECTOR..SECTOR + 92].copy_from_slice(&header);
    let mut disk = Cursor::new(disk);
    let Ok(Some(mut table)) = gpt::read(&mut disk, BYTES as u64, 512) else {
        return;
    };
    let before = table.partitions();
    let wanted = gpt::NewPartition {
        bytes: 4096,
        kind: Guid::LINUX_DATA,
        id: Guid::LINUX_DATA,
    };
    let Ok(added) = table.add_last(&wanted) else {
        return;
    };
    for other in &before {
        assert!(
            other.first > added.last || other.last < added.first,
            "{added:?} overlaps {other:?}"
        );
    }
    table.write(&mut disk).expect("memory is written");
    let again = gpt::read(&mut disk, BYTES as u64, 512).expect("what was written");
    assert!(
        again
            .expect("what was written")
            .partitions()
            .contains(&added)
    );
}
