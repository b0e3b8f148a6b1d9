//! What a device says it holds: labels of the file systems that config drives come in, members of md arrays, GFS2.

use super::field;
use std::io::{self, Read, Seek, SeekFrom};

/// The label of the file system on a device: FAT, ISO 9660 or ext. Trailing blanks are no part of it.
///
/// # Errors
/// What reading the device says; a device that ends early has no label.
pub fn label(device: &mut (impl Read + Seek)) -> io::Result<Option<String>> {
    let boot = bytes_at(device, 0, 512)?;
    if let Some(fat) = Fat::decode(&boot) {
        let root = bytes_at(device, fat.root_at, ROOT_BYTES)?;
        return Ok(fat_volume_label(&root).or(fat.label).and_then(text));
    }
    let descriptor = bytes_at(device, ISO_DESCRIPTOR, 72)?;
    if descriptor.get(..6) == Some(b"\x01CD001".as_slice()) {
        return Ok(descriptor.get(40..72).and_then(text));
    }
    let ext = bytes_at(device, 1024, 136)?;
    if field::le16(&ext, 56) == Some(0xEF53) {
        return Ok(ext.get(120..136).and_then(text));
    }
    Ok(None)
}

/// Whether a device of `bytes` bytes is a member of a Linux md array, by any version of its superblock.
///
/// # Errors
/// What reading the device says.
pub fn is_md_member(device: &mut (impl Read + Seek), bytes: u64) -> io::Result<bool> {
    // Places of versions 1.1, 1.2, 1.0 and 0.90 (drivers/md/md.c: super_1_load, calc_dev_sboffset).
    let places = [
        Some((0, 1)),
        Some((4096, 1)),
        (bytes / 512)
            .checked_sub(16)
            .map(|sector| ((sector & !7) * 512, 1)),
        (bytes & !0xFFFF)
            .checked_sub(0x1_0000)
            .map(|place| (place, 0)),
    ];
    for (place, major) in places.into_iter().flatten() {
        let start = bytes_at(device, place, 8)?;
        let little = (field::le32(&start, 0), field::le32(&start, 4));
        let big = (little.0.map(u32::swap_bytes), little.1.map(u32::swap_bytes));
        let wanted = (Some(MD_MAGIC), Some(major));
        // Version 0.90 is in the byte order of the machine that made it.
        if little == wanted || (major == 0 && big == wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a device holds the shared file system GFS2.
///
/// # Errors
/// What reading the device says.
pub fn is_gfs2(device: &mut (impl Read + Seek)) -> io::Result<bool> {
    // Magic and block type "superblock", big-endian, at 64 KiB (linux/gfs2_ondisk.h).
    Ok(bytes_at(device, 0x1_0000, 8)? == [0x01, 0x16, 0x19, 0x70, 0, 0, 0, 1])
}

/// Bytes of a block of the ext file system that begins with these bytes; `None` where there is none.
#[must_use]
pub fn ext_block(bytes: &[u8]) -> Option<u64> {
    let superblock = bytes.get(1024..2048)?;
    let exponent = field::le32(superblock, 24).filter(|exponent| *exponent <= 6)?;
    (field::le16(superblock, 56) == Some(0xEF53)).then_some(1024 << exponent)
}

/// What of a FAT boot sector leads to the label.
struct Fat {
    root_at: u64,
    label: Option<[u8; 11]>,
}

impl Fat {
    fn decode(boot: &[u8]) -> Option<Self> {
        let named = |at: usize, names: &[&[u8]]| {
            let name = boot.get(at..at + 5);
            names.iter().any(|known| name == Some(*known))
        };
        let wide = named(82, &[b"FAT32"]);
        let narrow = named(54, &[b"FAT12", b"FAT16", b"FAT  "]);
        if !boot.ends_with(&[0x55, 0xAA]) || !(wide || narrow) {
            return None;
        }
        let sector = u64::from(field::le16(boot, 11)?);
        let cluster = sector * u64::from(*boot.get(13)?);
        let fats = u64::from(*boot.get(16)?);
        let short = u64::from(field::le16(boot, 22)?);
        let fat_sectors = if wide {
            u64::from(field::le32(boot, 36)?)
        } else {
            short
        };
        let after_fats = (u64::from(field::le16(boot, 14)?) + fats * fat_sectors) * sector;
        let root_at = if wide {
            let first = u64::from(field::le32(boot, 44)?);
            after_fats.checked_add(first.checked_sub(2)?.checked_mul(cluster)?)?
        } else {
            after_fats
        };
        let label = field::array(boot, if wide { 71 } else { 43 });
        Some(Self {
            root_at,
            label: label.filter(|label| label != b"NO NAME    "),
        })
    }
}

/// The label that the root directory carries; mtools and mkfs.vfat write both, Windows only this one.
fn fat_volume_label(root: &[u8]) -> Option<[u8; 11]> {
    let entries = root.chunks_exact(32);
    entries
        .take_while(|entry| entry.first() != Some(&0))
        .find(|entry| entry.first() != Some(&0xE5) && entry.get(11).map(|a| a & 0x3F) == Some(8))
        .and_then(|entry| field::array(entry, 0))
}

fn text(padded: impl AsRef<[u8]>) -> Option<String> {
    let text = String::from_utf8_lossy(padded.as_ref());
    let text = text.trim_end_matches(['\0', ' ']);
    (!text.is_empty()).then(|| text.to_owned())
}

/// Up to `length` bytes; fewer where the device ends.
fn bytes_at(device: &mut (impl Read + Seek), at: u64, length: u64) -> io::Result<Vec<u8>> {
    device.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    device.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

const MD_MAGIC: u32 = 0xA92B_4EFC;
const ISO_DESCRIPTOR: u64 = 16 * 2048;
/// As much of a root directory as is searched for the label: tools write it first.
const ROOT_BYTES: u64 = 16 * 1024;
