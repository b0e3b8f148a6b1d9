//! Detection of a device's content by its signatures: file systems of virtual media and config
//! drives, with their labels; members of md arrays; GFS2.
//!
//! Reads the primary volume descriptor of ISO 9660 (ECMA-119 section 8.4) and the boot sector of
//! FAT (Microsoft's FAT specification, section 3). Also reads the superblock of ext (Linux
//! `fs/ext4/ext4.h`). The labels are those that libblkid reports.

use super::fat::{self, Fat};
use super::le_bytes;
use std::io::{self, Read, Seek, SeekFrom};

/// File system with its label. The label has no trailing blanks, and is empty if there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Volume {
    /// ext2, ext3 or ext4.
    Ext {
        /// Label in the superblock.
        label: String,
    },
    /// FAT of any width.
    Fat {
        /// Label in the root directory.
        label: String,
    },
    /// ISO 9660 file system of a CD.
    Iso9660 {
        /// Volume identifier.
        label: String,
        /// Publisher identifier, into which Ironic writes the value of `ir_pub_id`.
        publisher: String,
    },
}

impl Volume {
    /// Detects the file system on a device.
    ///
    /// # Errors
    /// I/O errors of the device; a device that ends early has no file system.
    pub fn probe(device: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        // `mkisofs` always writes the primary descriptor first.
        let descriptor = bytes_at(device, ISO_DESCRIPTOR, 2048)?;
        if let (true, Some(label), Some(publisher)) = (
            descriptor.starts_with(b"\x01CD001"),
            descriptor.get(40..72),
            descriptor.get(318..446),
        ) {
            return Ok(Some(Self::Iso9660 {
                label: text(label),
                publisher: text(publisher),
            }));
        }
        if is_fat(&bytes_at(device, 0, 512)?) {
            let label = match Fat::open(&mut *device).map(|fat| fat.map(|mut fat| fat.label())) {
                Ok(Some(Ok(label))) => label.map(text),
                Err(fat::Error::Read(error)) | Ok(Some(Err(fat::Error::Read(error)))) => {
                    return Err(error);
                }
                _ => None,
            };
            return Ok(Some(Self::Fat {
                label: label.unwrap_or_default(),
            }));
        }
        let ext = bytes_at(device, 1024, 136)?;
        let is_ext = le_bytes::le16(&ext, 56) == Some(0xEF53);
        let label = ext.get(120..136).filter(|_| is_ext).map(text);
        Ok(label.map(|label| Self::Ext { label }))
    }

    /// Returns the label.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Ext { label } | Self::Fat { label } | Self::Iso9660 { label, .. } => label,
        }
    }
}

/// Returns the label of the file system on a device, if it has one.
///
/// # Errors
/// As [`Volume::probe`].
pub fn label(device: &mut (impl Read + Seek)) -> io::Result<Option<String>> {
    let volume = Volume::probe(device)?;
    let label = volume.map(|volume| volume.label().to_owned());
    Ok(label.filter(|label| !label.is_empty()))
}

/// Returns whether a device of `bytes` bytes is a member of a Linux md array, by any version of its
/// superblock.
///
/// # Errors
/// I/O errors of the device.
pub fn is_md_member(device: &mut (impl Read + Seek), bytes: u64) -> io::Result<bool> {
    // Offsets of versions 1.1, 1.2, 1.0 and 0.90 (drivers/md/md.c: super_1_load,
    // calc_dev_sboffset).
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
        let little = (le_bytes::le32(&start, 0), le_bytes::le32(&start, 4));
        let big = (little.0.map(u32::swap_bytes), little.1.map(u32::swap_bytes));
        let wanted = (Some(MD_MAGIC), Some(major));
        // Version 0.90 is in the byte order of the machine that created it.
        if little == wanted || (major == 0 && big == wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether a device holds the shared file system GFS2.
///
/// # Errors
/// I/O errors of the device.
pub fn is_gfs2(device: &mut (impl Read + Seek)) -> io::Result<bool> {
    // Magic and block type "superblock", big-endian, at 64 KiB (linux/gfs2_ondisk.h).
    Ok(bytes_at(device, 0x1_0000, 8)? == [0x01, 0x16, 0x19, 0x70, 0, 0, 0, 1])
}

/// Returns the block size in bytes of the ext file system that begins with these bytes; `None` if
/// there is none.
#[must_use]
pub fn ext_block(bytes: &[u8]) -> Option<u64> {
    let superblock = bytes.get(1024..2048)?;
    let exponent = le_bytes::le32(superblock, 24).filter(|exponent| *exponent <= 6)?;
    (le_bytes::le16(superblock, 56) == Some(0xEF53)).then_some(1024 << exponent)
}

/// Returns whether a boot sector belongs to FAT: by the name of its type, or by a jump over the
/// fields of FAT.
fn is_fat(boot: &[u8]) -> bool {
    let named = |at: usize, names: &[&[u8]]| {
        let name = boot.get(at..at + 5);
        names.iter().any(|known| name == Some(*known))
    };
    // The 16-bit number of sectors per FAT is zero on FAT32 alone, whose extended boot record has a
    // higher offset.
    let marker = match le_bytes::le16(boot, 22) {
        Some(0) => 66,
        _ => 38,
    };
    let is_extended = boot.get(marker) == Some(&EXTENDED);
    let jumps = matches!(boot, [0xEB, _, 0x90, ..] | [0xE9, ..]);
    let is_named = named(82, &[b"FAT32"]) || named(54, &[b"FAT12", b"FAT16", b"FAT  "]);
    boot.len() == 512 && boot.ends_with(&[0x55, 0xAA]) && (is_named || (jumps && is_extended))
}

/// Decodes a field padded with blanks, or with zeroes, as some tools do.
fn text(padded: impl AsRef<[u8]>) -> String {
    let text = String::from_utf8_lossy(padded.as_ref());
    text.trim_end_matches(['\0', ' ']).to_owned()
}

/// Reads up to `length` bytes; fewer if the device ends.
fn bytes_at(device: &mut (impl Read + Seek), at: u64, length: u64) -> io::Result<Vec<u8>> {
    device.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    device.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

const MD_MAGIC: u32 = 0xA92B_4EFC;
/// Offset of the primary volume descriptor, behind the sixteen sectors of the system area.
const ISO_DESCRIPTOR: u64 = 16 * 2048;
/// Marker that the next three fields are present: serial number, label, name of the type.
const EXTENDED: u8 = 0x29;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::safe_name::fixture;
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

    /// Compares with the results of blkid 2.38.
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
        // The label in the boot sector remains, but does not count.
        assert_eq!(changed(0, &[0xE5]), None, "deleted");
        assert_eq!(changed(11, &[0x18]), None, "a directory");
        assert_eq!(changed(11, &[0x0F]), None, "a piece of a long name");
        assert_eq!(changed(26, &[5]), None, "a file has clusters");
    }

    /// Places a false label behind a cluster of the root directory. In FAT32 that directory is a
    /// chain, so the next bytes on the disk can belong to a file.
    #[test]
    fn a_fat32_label_is_found_along_the_chain_and_not_beside_it() {
        let mut image = Cursor::new(vec![0; 64 << 20]);
        let options = fatfs::FormatVolumeOptions::new().fat_type(fatfs::FatType::Fat32);
        fatfs::format_volume(&mut image, options.bytes_per_cluster(512)).unwrap();
        let system = fatfs::FileSystem::new(&mut image, fatfs::FsOptions::new()).unwrap();
        let root = system.root_dir();
        // Bytes of a file that look like a directory entry with a label.
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

    #[test]
    fn a_cd_tells_its_label_and_publisher() {
        let mut cd = vec![0; 34 << 10];
        let mut field = |at: usize, length: usize, text: &str| {
            cd[at..at + length].fill(b' ');
            cd[at..at + text.len()].copy_from_slice(text.as_bytes());
        };
        field(32768, 6, "\x01CD001");
        field(32768 + 40, 32, "VMEDIA_BOOT_ISO");
        field(32768 + 318, 128, "1be26c0b-03f2");
        let volume = Volume::Iso9660 {
            label: "VMEDIA_BOOT_ISO".into(),
            publisher: "1be26c0b-03f2".into(),
        };
        assert_eq!(Volume::probe(&mut Cursor::new(&cd)).unwrap(), Some(volume));
        cd.truncate(34 << 10 >> 1);
        assert_eq!(Volume::probe(&mut Cursor::new(&cd)).unwrap(), None);
    }

    /// Detects FAT as blkid does: type names are not part of the specification's rules for FAT.
    #[test]
    fn fat_is_known_without_the_name_of_its_type() {
        let mut fat = fixture::unpacked(fixture::FAT);
        fat[54..62].fill(b' ');
        assert_eq!(label_of(fat.clone()).as_deref(), Some("CONFIG-2"));
        fat[38] = 0;
        assert_eq!(Volume::probe(&mut Cursor::new(fat)).unwrap(), None);

        // The marker of FAT32 lies behind the fields that FAT32 alone has.
        let mut boot = vec![0; 512];
        boot[..3].copy_from_slice(&[0xEB, 0x58, 0x90]);
        boot[510..].copy_from_slice(&[0x55, 0xAA]);
        let is_fat = |boot: &[u8]| Volume::probe(&mut Cursor::new(boot)).unwrap().is_some();
        assert!(!is_fat(&boot));
        boot[66] = 0x29;
        assert!(is_fat(&boot));
        // With the 16-bit number of sectors per FAT set, the marker is read at the offset of FAT12
        // and FAT16.
        boot[22] = 1;
        assert!(!is_fat(&boot));
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

        #[test]
        fn no_descriptor_of_a_cd_makes_it_panic(
            descriptor in prop::collection::vec(any::<u8>(), 0..2048),
        ) {
            let mut cd = vec![0; 32 << 10];
            cd.extend_from_slice(b"\x01CD001");
            cd.extend_from_slice(&descriptor);
            // A descriptor that ends within the fields is not detected.
            let is_whole = descriptor.len() >= 446 - 6;
            let volume = Volume::probe(&mut Cursor::new(&cd)).unwrap();
            prop_assert_eq!(volume.is_some(), is_whole);
        }
    }
}
