//! ext2, ext3 and ext4, read-only (Linux: `Documentation/filesystems/ext4`, `fs/ext4/ext4.h`), as
//! far as config drives need it.
//!
//! The file system is untrusted. Special files are left out, no name leads out of its directory,
//! each directory is visited once, and work and memory are bounded. A file system is refused if it
//! needs unknown features or its journal.

use super::le_bytes;
use super::links::Link;
use super::safe_name::{self, Budget, Exceeded, MAX_DEPTH, MAX_DIRECTORY_BYTES};
use crate::progress::Cancel;
use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};

/// ext file system on `D`.
#[derive(Debug)]
pub struct Ext<D> {
    disk: D,
    shape: Shape,
}

/// File with its location in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path; each component is a plain name.
    pub path: Vec<String>,
    /// Size in bytes.
    pub bytes: u64,
    inode: u32,
}

/// Reason why a file system cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The reading was cancelled.
    #[error("reading the ext file system was cancelled")]
    Cancelled,
    /// A structure points out of the file system or to itself.
    #[error("the ext file system is damaged")]
    Damaged,
    /// The file system uses unknown features, given as bits of `s_feature_incompat`.
    #[error("the ext file system has features that are not known: {0:#x}")]
    Features(u32),
    /// The file system has more files, longer paths, or larger or deeper directories than a config
    /// drive.
    #[error("the ext file system has too many files or directories, or too large ones")]
    TooMuch,
    /// A file is larger than the caller accepts; its size in bytes.
    #[error("a file of the ext file system has {0} bytes")]
    TooLarge(u64),
    /// The device cannot be read.
    #[error("the ext file system cannot be read")]
    Read(#[source] io::Error),
}

impl From<Exceeded> for Error {
    fn from(exceeded: Exceeded) -> Self {
        match exceeded {
            Exceeded::Budget => Self::TooMuch,
            Exceeded::Cancelled => Self::Cancelled,
        }
    }
}

impl<D: Read + Seek> Ext<D> {
    /// Opens the ext file system on `disk`; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Features`], [`Error::Damaged`], [`Error::Read`].
    pub fn open(mut disk: D) -> Result<Option<Self>, Error> {
        let superblock = bytes_at(&mut disk, 1024, 1024)?;
        if le_bytes::le16(&superblock, 56) != Some(0xEF53) {
            return Ok(None);
        }
        let shape = Shape::decode(&superblock)?;
        Ok(Some(Self { disk, shape }))
    }

    /// Returns all files and symbolic links of the tree.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::Damaged`], [`Error::TooMuch`], [`Error::Read`].
    pub(crate) fn tree(&mut self, cancel: &Cancel) -> Result<(Vec<File>, Vec<Link>), Error> {
        let mut budget = Budget::new(cancel);
        let (mut files, mut links) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        let mut open = vec![(Vec::new(), ROOT)];
        while let Some((path, number)) = open.pop() {
            let directory = self.inode(number)?;
            if !seen.insert(number) || directory.kind != DIRECTORY {
                return Err(Error::Damaged);
            }
            if directory.bytes > MAX_DIRECTORY_BYTES {
                return Err(Error::TooMuch);
            }
            budget.read(directory.bytes)?;
            let bytes = self.content(&directory, cancel)?;
            for (name, number) in entries(&bytes, &self.shape)? {
                budget.entry()?;
                if !safe_name::is_plain(&name) {
                    continue;
                }
                let inode = self.inode(number)?;
                let path = budget.path(&path, name)?;
                match inode.kind {
                    DIRECTORY if path.len() < MAX_DEPTH => open.push((path, number)),
                    DIRECTORY => return Err(Error::TooMuch),
                    REGULAR => files.push(File {
                        path,
                        bytes: inode.bytes,
                        inode: number,
                    }),
                    SYMBOLIC_LINK => {
                        budget.read(inode.bytes)?;
                        let target = self.target(&inode, cancel)?;
                        links.push(Link { path, target });
                    }
                    _ => {}
                }
            }
        }
        Ok((files, links))
    }

    /// Reads the content of a file of at most `most` bytes.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::TooLarge`], [`Error::Damaged`], [`Error::Read`].
    pub fn read(&mut self, file: &File, most: u64, cancel: &Cancel) -> Result<Vec<u8>, Error> {
        if file.bytes > most {
            return Err(Error::TooLarge(file.bytes));
        }
        let inode = self.inode(file.inode)?;
        self.content(&inode, cancel)
    }

    fn inode(&mut self, number: u32) -> Result<Inode, Error> {
        let shape = &self.shape;
        let index = number
            .checked_sub(1)
            .filter(|index| *index < shape.inodes)
            .ok_or(Error::Damaged)?;
        let (group, index) = (
            index / shape.inodes_per_group,
            index % shape.inodes_per_group,
        );
        let at = shape.groups_at + u64::from(group) * shape.group_bytes;
        let (index, size) = (u64::from(index), shape.inode_bytes);
        let group = self.exactly(at, 64)?;
        let low = le_bytes::le32(&group, 8).map(u64::from);
        let high = match self.shape.group_bytes {
            64.. => le_bytes::le32(&group, 40).map(u64::from),
            _ => Some(0),
        };
        let table = low.zip(high).map(|(low, high)| high << 32 | low);
        let table = table.and_then(|table| table.checked_mul(self.shape.block));
        let at = table.and_then(|table| table.checked_add(index * size));
        let bytes = self.exactly(at.ok_or(Error::Damaged)?, 128)?;
        Inode::decode(&bytes).ok_or(Error::Damaged)
    }

    fn target(&mut self, link: &Inode, cancel: &Cancel) -> Result<String, Error> {
        let bytes = match usize::try_from(link.bytes) {
            // Short targets are stored in place of the block map.
            Ok(length) if length < link.map.len() && !link.has_extents => {
                link.map.get(..length).unwrap_or_default().to_vec()
            }
            Ok(length) if length <= MAX_TARGET_LEN => self.content(link, cancel)?,
            _ => return Err(Error::Damaged),
        };
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads all bytes of a file. The caller has checked their number.
    fn content(&mut self, inode: &Inode, cancel: &Cancel) -> Result<Vec<u8>, Error> {
        let block = self.shape.block;
        let mut content = Vec::new();
        let mut left = inode.bytes;
        for number in 0..inode.bytes.div_ceil(block) {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let number = u32::try_from(number).map_err(|_| Error::Damaged)?;
            let length = left.min(block);
            match self.place(inode, number)? {
                Some(at) => content.extend(self.exactly(at, length)?),
                None => content.resize(content.len() + self.shape.length(length), 0),
            }
            left -= length;
        }
        Ok(content)
    }

    /// Returns the offset of a file's block on the disk; `None` for a hole.
    fn place(&mut self, inode: &Inode, number: u32) -> Result<Option<u64>, Error> {
        let block = match inode.has_extents {
            true => self.block_by_extents(inode, number)?,
            false => self.block_by_pointers(inode, number)?,
        };
        match block {
            0 => Ok(None),
            block => Ok(Some(
                block.checked_mul(self.shape.block).ok_or(Error::Damaged)?,
            )),
        }
    }

    /// Looks up a block in the extent tree (ext4); zero for a hole.
    fn block_by_extents(&mut self, inode: &Inode, number: u32) -> Result<u64, Error> {
        let mut node = inode.map.to_vec();
        for _ in 0..=MAX_EXTENT_DEPTH {
            let (count, depth) = match (
                le_bytes::le16(&node, 0),
                le_bytes::le16(&node, 2),
                le_bytes::le16(&node, 6),
            ) {
                (Some(0xF30A), Some(count), Some(depth)) => (usize::from(count), depth),
                _ => return Err(Error::Damaged),
            };
            let entries = node
                .get(12..)
                .unwrap_or_default()
                .chunks_exact(12)
                .take(count);
            // The last entry that begins at or before the block.
            let entry = entries
                .take_while(|entry| le_bytes::le32(entry, 0).is_some_and(|first| first <= number))
                .last();
            let Some(entry) = entry else { return Ok(0) };
            let word = |at| {
                le_bytes::le32(entry, at)
                    .map(u64::from)
                    .ok_or(Error::Damaged)
            };
            let half = |at| {
                le_bytes::le16(entry, at)
                    .map(u64::from)
                    .ok_or(Error::Damaged)
            };
            if depth > 0 {
                let child = half(8)? << 32 | word(4)?;
                let at = child.checked_mul(self.shape.block).ok_or(Error::Damaged)?;
                node = self.exactly(at, self.shape.block)?;
                continue;
            }
            let (within, length) = (u64::from(number) - word(0)?, half(4)?);
            let block = (half(6)? << 32 | word(8)?) + within;
            // Longer extents are allocated but not written: they read as zeroes.
            let is_written = length <= MAX_EXTENT_LEN;
            return Ok(if is_written && within < length {
                block
            } else {
                0
            });
        }
        Err(Error::Damaged)
    }

    /// Looks up a block by the twelve direct pointers and three levels of indirect ones (ext2,
    /// ext3); zero for a hole.
    fn block_by_pointers(&mut self, inode: &Inode, number: u32) -> Result<u64, Error> {
        let per_block = self.shape.block / 4;
        let mut number = u64::from(number);
        if number < DIRECT {
            return pointer(&inode.map, number);
        }
        number -= DIRECT;
        let mut span = per_block;
        for level in 0..3 {
            if number >= span {
                number -= span;
                span *= per_block;
                continue;
            }
            let mut block = pointer(&inode.map, DIRECT + level)?;
            for _ in 0..=level {
                if block == 0 {
                    return Ok(0);
                }
                span /= per_block;
                let at = block * self.shape.block + number / span * 4;
                number %= span;
                block = pointer(&self.exactly(at, 4)?, 0)?;
            }
            return Ok(block);
        }
        Err(Error::Damaged)
    }

    fn exactly(&mut self, at: u64, length: u64) -> Result<Vec<u8>, Error> {
        let bytes = bytes_at(&mut self.disk, at, length)?;
        match u64::try_from(bytes.len()) == Ok(length) {
            true => Ok(bytes),
            false => Err(Error::Damaged),
        }
    }
}

/// Layout of the file system, from its superblock.
#[derive(Debug)]
struct Shape {
    block: u64,
    inodes: u32,
    inodes_per_group: u32,
    inode_bytes: u64,
    groups_at: u64,
    group_bytes: u64,
    has_types: bool,
}

impl Shape {
    fn decode(superblock: &[u8]) -> Result<Self, Error> {
        let word = |at| le_bytes::le32(superblock, at).ok_or(Error::Damaged);
        let half = |at| le_bytes::le16(superblock, at).ok_or(Error::Damaged);
        let is_old = word(76)? == 0;
        let features = if is_old { 0 } else { word(96)? };
        match features & !KNOWN_FEATURES {
            0 => {}
            unknown => return Err(Error::Features(unknown)),
        }
        let exponent = Some(word(24)?).filter(|exponent| *exponent <= 6);
        let block = 1024 << exponent.ok_or(Error::Damaged)?;
        let inodes_per_group = Some(word(40)?).filter(|count| *count > 0);
        Ok(Self {
            block,
            inodes: word(0)?,
            inodes_per_group: inodes_per_group.ok_or(Error::Damaged)?,
            inode_bytes: if is_old { 128 } else { u64::from(half(88)?) },
            groups_at: (u64::from(word(20)?) + 1) * block,
            group_bytes: match features & SIXTY_FOUR_BITS {
                0 => 32,
                _ => u64::from(half(254)?),
            },
            has_types: features & ENTRY_TYPES != 0,
        })
    }

    /// Converts the bytes of a block, or of a part of one, to a length in memory.
    fn length(&self, bytes: u64) -> usize {
        usize::try_from(bytes.min(self.block)).unwrap_or_default()
    }
}

struct Inode {
    kind: u16,
    bytes: u64,
    has_extents: bool,
    /// Pointers, extents or a short link target.
    map: [u8; 60],
}

impl Inode {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (low, high) = (le_bytes::le32(bytes, 4)?, le_bytes::le32(bytes, 108)?);
        Some(Self {
            kind: le_bytes::le16(bytes, 0)? & 0o170_000,
            bytes: u64::from(high) << 32 | u64::from(low),
            has_extents: le_bytes::le32(bytes, 32)? & EXTENTS != 0,
            map: le_bytes::array(bytes, 40)?,
        })
    }
}

/// Returns the names and inodes of a directory. The nodes of a hashed directory look like unused
/// entries.
fn entries(directory: &[u8], shape: &Shape) -> Result<Vec<(String, u32)>, Error> {
    let mut found = Vec::new();
    for block in directory.chunks(shape.length(shape.block)) {
        let mut rest = block;
        while let (Some(inode), Some(length), Some([name, kind])) = (
            le_bytes::le32(rest, 0),
            le_bytes::le16(rest, 4),
            le_bytes::array(rest, 6),
        ) {
            // Blocks of 64 KiB can have entries whose length exceeds 16 bits.
            let length = match length {
                0 | 0xFFFC.. => rest.len(),
                length => usize::from(length),
            };
            let high = if shape.has_types { 0 } else { kind };
            let name = rest.get(8..8 + usize::from(u16::from_le_bytes([name, high])));
            let (Some(name), 8..) = (name, length) else {
                return Err(Error::Damaged);
            };
            if inode != 0 {
                found.push((String::from_utf8_lossy(name).into_owned(), inode));
            }
            rest = rest.get(length..).ok_or(Error::Damaged)?;
        }
    }
    Ok(found)
}

fn pointer(bytes: &[u8], number: u64) -> Result<u64, Error> {
    let at = usize::try_from(number * 4).map_err(|_| Error::Damaged)?;
    le_bytes::le32(bytes, at)
        .map(u64::from)
        .ok_or(Error::Damaged)
}

/// Reads up to `length` bytes; fewer if the disk ends.
fn bytes_at(disk: &mut (impl Read + Seek), at: u64, length: u64) -> Result<Vec<u8>, Error> {
    disk.seek(SeekFrom::Start(at)).map_err(Error::Read)?;
    let mut bytes = Vec::new();
    let read = disk.take(length).read_to_end(&mut bytes);
    read.map_err(Error::Read)?;
    Ok(bytes)
}

/// Inode of the root directory.
const ROOT: u32 = 2;
const DIRECTORY: u16 = 0o040_000;
const REGULAR: u16 = 0o100_000;
const SYMBOLIC_LINK: u16 = 0o120_000;
/// `EXT4_EXTENTS_FL` of an inode.
const EXTENTS: u32 = 0x8_0000;
/// `INCOMPAT_FILETYPE` and `INCOMPAT_64BIT`.
const ENTRY_TYPES: u32 = 0x2;
const SIXTY_FOUR_BITS: u32 = 0x80;
/// Known features: those above, extents, multiple mount protection, flexible groups, large extended
/// attributes, a checksum seed and large directories.
const KNOWN_FEATURES: u32 =
    ENTRY_TYPES | 0x40 | SIXTY_FOUR_BITS | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000;
const DIRECT: u64 = 12;
const MAX_EXTENT_DEPTH: u16 = 5;
/// `EXT_INIT_MAX_LEN`.
const MAX_EXTENT_LEN: u64 = 32_768;
/// Maximum bytes of a link's target (`PATH_MAX`).
const MAX_TARGET_LEN: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::safe_name::fixture::{self, EXT2, EXT4};
    use proptest::prelude::*;
    use std::io::Cursor;
    use std::process::Command;

    type Contents = Vec<(String, Vec<u8>)>;

    fn contents(image: &[u8]) -> Result<(Contents, Vec<(String, String)>), Error> {
        let mut ext = Ext::open(Cursor::new(image))?.unwrap();
        let cancel = Cancel::default();
        let (files, links) = ext.tree(&cancel)?;
        let mut contents = Vec::new();
        for file in files {
            contents.push((file.path.join("/"), ext.read(&file, 1 << 30, &cancel)?));
        }
        contents.sort();
        let links = links.into_iter();
        let mut links: Vec<_> = links
            .map(|link| (link.path.join("/"), link.target))
            .collect();
        links.sort();
        Ok((contents, links))
    }

    #[test]
    fn file_systems_of_mkfs_are_read_with_their_links() {
        for image in [EXT2, EXT4] {
            let (files, links) = contents(&fixture::unpacked(image)).unwrap();
            assert_eq!(files, fixture::files());
            let link = |path: &str, target: &str| (path.to_owned(), target.to_owned());
            let expected = [
                link("openstack/2018-08-27", "latest"),
                link("openstack/latest/link", "../content/0000"),
            ];
            assert_eq!(links, expected);
        }
    }

    /// Creates a file system from a folder with mkfs.
    #[expect(
        clippy::disallowed_methods,
        reason = "only mkfs makes its file systems"
    )]
    fn made(kind: &str, options: &[&str], folder: &std::path::Path) -> Vec<u8> {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(80 << 20).unwrap();
        let done = Command::new(format!("/usr/sbin/mkfs.{kind}"))
            .args(["-q", "-d"])
            .arg(folder)
            .args(options)
            .arg(image.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        std::fs::read(image.path()).unwrap()
    }

    #[test]
    fn large_files_holes_long_links_and_large_directories_are_read_in_every_form() {
        use std::os::unix::fs::{FileExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut large = vec![0; 20 << 20];
        for (number, word) in large.chunks_exact_mut(4).enumerate() {
            word.copy_from_slice(&u32::try_from(number).unwrap().to_le_bytes());
        }
        std::fs::write(at("large"), &large).unwrap();
        let holes = std::fs::File::create(at("holes")).unwrap();
        holes.write_all_at(b"end", 9 << 20).unwrap();
        let long = "x/".repeat(50) + "y";
        symlink(&long, at("long")).unwrap();
        std::fs::create_dir(at("many")).unwrap();
        for number in 0..500 {
            std::fs::write(at(&format!("many/a rather long name {number:03}")), "m").unwrap();
        }
        let forms: [(&str, &[&str]); 5] = [
            ("ext2", &["-b", "1024", "-r", "0"]),
            ("ext2", &["-b", "1024"]),
            ("ext3", &["-b", "2048"]),
            ("ext4", &["-b", "1024"]),
            ("ext4", &["-b", "4096", "-O", "^64bit"]),
        ];
        for (kind, options) in forms {
            let image = made(kind, options, folder.path());
            let (files, links) = contents(&image).unwrap();
            assert_eq!(links, [("long".to_owned(), long.clone())]);
            assert_eq!(files.len(), 502, "{kind} {options:?}");
            assert_eq!(files[0].0, "holes");
            assert_eq!(files[0].1.len(), (9 << 20) + 3);
            assert!(files[0].1[..9 << 20].iter().all(|byte| *byte == 0));
            assert!(files[1] == ("large".to_owned(), large.clone()), "{kind}");
            let last = ("many/a rather long name 499".to_owned(), b"m".to_vec());
            assert_eq!(files[501], last);
        }
    }

    #[test]
    fn a_file_system_that_needs_more_is_refused() {
        let mut image = fixture::unpacked(EXT4);
        // Journal recovery; inline data; encryption.
        for features in [0x4, 0x8000, 0x1_0000_u32] {
            let known = le_bytes::le32(&image, 1024 + 96).unwrap() & KNOWN_FEATURES;
            image[1024 + 96..1024 + 100].copy_from_slice(&(known | features).to_le_bytes());
            let error = Ext::open(Cursor::new(&image)).unwrap_err();
            assert!(matches!(error, Error::Features(bits) if bits == features));
        }
    }

    #[test]
    fn a_file_larger_than_wanted_is_refused_and_a_cancelled_reading_ends() {
        let image = fixture::unpacked(EXT2);
        let mut ext = Ext::open(Cursor::new(&image)).unwrap().unwrap();
        let cancel = Cancel::default();
        let (files, _) = ext.tree(&cancel).unwrap();
        let error = ext.read(&files[0], 1, &cancel).unwrap_err();
        assert!(matches!(error, Error::TooLarge(bytes) if bytes == files[0].bytes));
        cancel.cancel();
        assert!(matches!(ext.tree(&cancel), Err(Error::Cancelled)));
        let read = ext.read(&files[0], 1 << 20, &cancel);
        assert!(matches!(read, Err(Error::Cancelled)));
    }

    #[test]
    fn other_bytes_are_no_ext() {
        for bytes in [vec![], vec![0; 100], fixture::unpacked(fixture::FAT)] {
            assert!(Ext::open(Cursor::new(bytes)).unwrap().is_none());
        }
    }

    proptest! {
        #[test]
        fn no_damage_makes_it_panic(
            old: bool,
            damage in prop::collection::vec((1024usize..0x10000, any::<u8>()), 1..20),
        ) {
            let mut image = fixture::unpacked(if old { EXT2 } else { EXT4 });
            for (at, byte) in damage {
                image[at] = byte;
            }
            if let Ok(Some(mut ext)) = Ext::open(Cursor::new(image)) {
                let cancel = Cancel::default();
                let (files, links) = ext.tree(&cancel).unwrap_or_default();
                for link in links {
                    prop_assert!(link.path.iter().all(|name| safe_name::is_plain(name)));
                }
                for file in files {
                    prop_assert!(file.path.iter().all(|name| safe_name::is_plain(name)));
                    let _ = ext.read(&file, 1 << 20, &cancel);
                }
            }
        }
    }
}
