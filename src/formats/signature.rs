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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tree::fixture;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn label_of(bytes: Vec<u8>) -> Option<String> {
        label(&mut Cursor::new(bytes)).unwrap()
    }

    #[test]
    fn config_drives_tell_their_label() {
        for image in [fixture::ROCK_RIDGE, fixture::JOLIET] {
            assert_eq!(
                label_of(fixture::unpacked(image)).as_deref(),
                Some("config-2")
            );
        }
        let mut fat = fixture::unpacked(fixture::FAT);
        assert_eq!(label_of(fat.clone()).as_deref(), Some("CONFIG-2"));
        // Without the root directory's label the boot sector's counts.
        assert_eq!(
            fixture::replace(&mut fat[512..], b"CONFIG-2   \x08", &[0xE5]),
            1
        );
        assert_eq!(label_of(fat).as_deref(), Some("CONFIG-2"));
    }

    #[test]
    fn an_ext_file_system_tells_label_and_block() {
        let mut ext = vec![0; 4096];
        ext[1024 + 24] = 2;
        ext[1024 + 56..1024 + 58].copy_from_slice(&[0x53, 0xEF]);
        ext[1024 + 120..1024 + 128].copy_from_slice(b"config-2");
        assert_eq!(ext_block(&ext), Some(4096));
        assert_eq!(label_of(ext).as_deref(), Some("config-2"));
    }

    #[test]
    fn every_place_of_an_md_superblock_is_known() {
        let device = vec![0; 300 * 1024];
        let bytes = 300 * 1024;
        assert!(!is_md_member(&mut Cursor::new(&device), bytes).unwrap());
        let magic = MD_MAGIC.to_le_bytes();
        let places: [(usize, u8); 4] = [(0, 1), (4096, 1), (307_200 - 8192, 1), (0x3_0000, 0)];
        for (at, major) in places {
            let mut member = device.clone();
            member[at..at + 4].copy_from_slice(&magic);
            member[at + 4] = major;
            assert!(
                is_md_member(&mut Cursor::new(member), bytes).unwrap(),
                "{at}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_boot_sector_makes_it_panic(mut boot in prop::collection::vec(any::<u8>(), 512)) {
            boot[510..].copy_from_slice(&[0x55, 0xAA]);
            boot[82..87].copy_from_slice(b"FAT32");
            let _ = label(&mut Cursor::new(&boot));
            let _ = is_md_member(&mut Cursor::new(&boot), 512);
            let _ = is_gfs2(&mut Cursor::new(&boot));
            let _ = ext_block(&boot);
        }
    }
}
