//! What a device says it holds: labels of the file systems that config drives come in, members of md arrays, GFS2.

use super::fat::{self, Fat};
use super::field;
use std::io::{self, Read, Seek, SeekFrom};

/// The label of the file system on a device: FAT, ISO 9660 or ext. Trailing blanks are no part of it.
///
/// # Errors
/// What reading the device says; a device that ends early has no label.
pub fn label(device: &mut (impl Read + Seek)) -> io::Result<Option<String>> {
    if is_fat(&bytes_at(device, 0, 512)?) {
        let fat = Fat::open(&mut *device).map(|fat| fat.map(|mut fat| fat.label()));
        return match fat {
            Ok(Some(Ok(label))) => Ok(label.and_then(text)),
            Err(fat::Error::Read(error)) | Ok(Some(Err(fat::Error::Read(error)))) => Err(error),
            _ => Ok(None),
        };
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

/// Whether a boot sector says that it is of a FAT file system.
fn is_fat(boot: &[u8]) -> bool {
    let named = |at: usize, names: &[&[u8]]| {
        let name = boot.get(at..at + 5);
        names.iter().any(|known| name == Some(*known))
    };
    let is_named = named(82, &[b"FAT32"]) || named(54, &[b"FAT12", b"FAT16", b"FAT  "]);
    is_named && boot.ends_with(&[0x55, 0xAA])
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tree::fixture;
    use proptest::prelude::*;
    use std::io::{Cursor, Write};

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
        assert_eq!(
            fixture::replace(&mut fat[512..], b"CONFIG-2   \x08", b"CONFIG-2   \x28"),
            1
        );
        assert_eq!(label_of(fat).as_deref(), Some("CONFIG-2"), "archived");
    }

    /// The answers of blkid 2.38.
    #[test]
    fn a_fat_label_is_an_entry_of_the_root_directory() {
        let changed = |at: usize, bytes: &[u8]| {
            let mut fat = fixture::unpacked(fixture::FAT);
            let label = b"CONFIG-2   \x08";
            let entry = (512..fat.len()).find(|at| fat[*at..].starts_with(label));
            let at = entry.unwrap() + at;
            fat[at..at + bytes.len()].copy_from_slice(bytes);
            label_of(fat)
        };
        assert_eq!(changed(0, b"CONFIG-3   ").as_deref(), Some("CONFIG-3"));
        assert_eq!(changed(0, b"NO NAME    ").as_deref(), Some("NO NAME"));
        // The boot sector's label remains, and is none.
        assert_eq!(changed(0, &[0xE5]), None, "deleted");
        assert_eq!(changed(11, &[0x18]), None, "a directory");
        assert_eq!(changed(11, &[0x0F]), None, "a piece of a long name");
        assert_eq!(changed(26, &[5]), None, "a file has clusters");
    }

    /// Root directories of FAT32 are chains: what lies behind a cluster on the disk is another's.
    #[test]
    fn a_fat32_label_is_found_along_the_chain_and_not_beside_it() {
        let mut image = Cursor::new(vec![0; 64 << 20]);
        let options = fatfs::FormatVolumeOptions::new().fat_type(fatfs::FatType::Fat32);
        fatfs::format_volume(&mut image, options.bytes_per_cluster(512)).unwrap();
        let system = fatfs::FileSystem::new(&mut image, fatfs::FsOptions::new()).unwrap();
        let root = system.root_dir();
        // Bytes of a file that look like an entry with a label.
        let mut false_label = *b"CONFIG-2   \x08....................";
        false_label[12..].fill(0);
        root.create_file("first")
            .unwrap()
            .write_all(&false_label)
            .unwrap();
        for number in 0..16 {
            root.create_file(&format!("{number}")).unwrap();
        }
        root.create_file("config-2").unwrap();
        drop(root);
        system.unmount().unwrap();
        let mut image = image.into_inner();
        assert_eq!(label_of(image.clone()), None);
        let places = (0..image.len()).step_by(32);
        let mut named = places.filter(|at| image[*at..].starts_with(b"CONFIG-2   "));
        let (first, at) = (named.next().unwrap(), named.next_back().unwrap());
        assert!(first + 512 < at, "the label is in another cluster");
        image[at + 11] = 0x28;
        assert_eq!(label_of(image).as_deref(), Some("CONFIG-2"));
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
