//! FAT12, FAT16 and FAT32, read-only (Microsoft's "FAT: General Overview of On-Disk Format" 1.03).
//!
//! For EFI system partitions and untrusted config drives: work and memory are bounded for any
//! content, and no name leads out of its directory. Writing is left to the `fatfs` crate, which
//! only processes file systems that this program formatted.

mod entries;

use super::le_bytes;
use super::safe_name::{Budget, Exceeded, MAX_DEPTH, MAX_DIRECTORY_BYTES};
use crate::progress::Cancel;
use entries::{entries_of, label_in};
use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

/// FAT file system on `D`.
#[derive(Debug)]
pub struct Fat<D> {
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
    first: u32,
}

/// Files of a tree, as far as it can be read.
#[derive(Debug)]
pub struct Listing {
    /// Files, in the order of their directories.
    pub files: Vec<File>,
    /// Unreadable directories with their errors. Their content is missing from `files`.
    pub unread: Vec<(Vec<String>, Error)>,
}

/// Reason why a file system cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The reading was cancelled.
    #[error("reading the FAT file system was cancelled")]
    Cancelled,
    /// A chain of clusters leaves the file system or never ends.
    #[error("the FAT file system is damaged: a chain of clusters goes astray")]
    Chain,
    /// The file system has more files, longer paths, or larger or deeper directories than a sane
    /// one.
    #[error("the FAT file system has too many files or directories, or too large ones")]
    TooMuch,
    /// A file is larger than the caller accepts; its size in bytes.
    #[error("a file of the FAT file system has {0} bytes")]
    TooLarge(u64),
    /// The device cannot be read.
    #[error("the FAT file system cannot be read")]
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

impl<D: Read + Seek> Fat<D> {
    /// Opens the FAT file system on `disk`; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn open(mut disk: D) -> Result<Option<Self>, Error> {
        let mut boot = Vec::new();
        disk.seek(SeekFrom::Start(0)).map_err(Error::Read)?;
        let read = (&mut disk).take(512).read_to_end(&mut boot);
        read.map_err(Error::Read)?;
        Ok(Shape::decode(&boot).map(|shape| Self { disk, shape }))
    }

    /// Returns the sector size of the file system in bytes.
    #[must_use]
    pub fn sector(&self) -> u64 {
        self.shape.sector
    }

    /// Returns the serial number as Linux shows it in `UUID=`: `1A2B-3C4D`.
    #[must_use]
    pub fn serial(&self) -> String {
        let serial = self.shape.serial;
        format!("{:04X}-{:04X}", serial >> 16, serial & 0xFFFF)
    }

    /// Returns the label, padded with blanks. It is an entry of the root directory, as in libblkid
    /// since 2.33 (superblocks/vfat.c); the name in the boot sector is ignored. No more of the root
    /// directory is read than Linux allows a directory to have.
    ///
    /// # Errors
    /// [`Error::Chain`], [`Error::Read`].
    pub fn label(&mut self) -> Result<Option<[u8; 11]>, Error> {
        let (mut at, mut bytes, mut cluster) = match self.shape.root {
            Root::Chain(first) => (self.place(first)?, self.shape.cluster, Some(first)),
            Root::Fixed { at, bytes } => (at, bytes, None),
        };
        let mut left = MAX_ROOT_LEN;
        for _ in 0..MAX_LABEL_CLUSTERS {
            let mut entries = Vec::new();
            let piece = bytes.min(left);
            self.append(&mut entries, at, piece)?;
            if let ControlFlow::Break(label) = label_in(&entries) {
                return Ok(label);
            }
            left -= piece;
            if left == 0 {
                break;
            }
            let Some(here) = cluster else { break };
            let Some(next) = self.next(here)? else { break };
            (at, bytes, cluster) = (self.place(next)?, self.shape.cluster, Some(next));
        }
        Ok(None)
    }

    /// Returns all files of the tree, in the order of their directories.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::Chain`], [`Error::TooMuch`], [`Error::Read`]. One unreadable
    /// directory is an error, because callers of this function must not miss a file.
    pub fn files(&mut self, cancel: &Cancel) -> Result<Vec<File>, Error> {
        whole(self.tree(cancel)?.0)
    }

    /// Returns the files of all directories that can be read.
    ///
    /// Of directories that share their clusters, only one is read.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::TooMuch`], and errors of the root directory.
    pub fn readable_files(&mut self, cancel: &Cancel) -> Result<Listing, Error> {
        Ok(self.tree(cancel)?.0)
    }

    /// Returns the offsets on the disk of all directories below the root.
    ///
    /// # Errors
    /// As [`Fat::files`].
    pub fn directories(&mut self, cancel: &Cancel) -> Result<Vec<u64>, Error> {
        let (listing, clusters) = self.tree(cancel)?;
        whole(listing)?;
        let clusters = clusters.into_iter();
        let places = clusters.map(|cluster| self.place(cluster));
        places.collect()
    }

    /// Returns the readable part of the tree, and the first clusters of all directories below the
    /// root.
    fn tree(&mut self, cancel: &Cancel) -> Result<(Listing, HashSet<u32>), Error> {
        let mut budget = Budget::new(cancel);
        let (mut files, mut unread) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        let mut open = vec![(Vec::new(), None)];
        while let Some((path, first)) = open.pop() {
            let bytes = match first {
                None => self.root_directory(&mut budget)?,
                Some(first) if seen.insert(first) => match self.directory(first, &mut budget) {
                    Ok(bytes) => bytes,
                    Err(error @ (Error::Chain | Error::Read(_))) => {
                        unread.push((path, error));
                        continue;
                    }
                    Err(error) => return Err(error),
                },
                Some(_) => {
                    unread.push((path, Error::Chain));
                    continue;
                }
            };
            for entry in entries_of(&bytes) {
                budget.entry()?;
                let path = budget.path(&path, entry.name)?;
                if !entry.is_directory {
                    let (bytes, first) = (u64::from(entry.bytes), entry.first);
                    files.push(File { path, bytes, first });
                } else if path.len() < MAX_DEPTH {
                    open.push((path, Some(entry.first)));
                } else {
                    unread.push((path, Error::TooMuch));
                }
            }
        }
        Ok((Listing { files, unread }, seen))
    }

    /// Reads the content of a file of at most `most` bytes.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::TooLarge`], [`Error::Chain`], [`Error::Read`].
    pub fn read(&mut self, file: &File, most: u64, cancel: &Cancel) -> Result<Vec<u8>, Error> {
        if file.bytes > most {
            return Err(Error::TooLarge(file.bytes));
        }
        if file.bytes == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.chain(file.first, file.bytes, |_| match cancel.is_cancelled() {
            true => Err(Exceeded::Cancelled),
            false => Ok(()),
        })?;
        if u64::try_from(bytes.len()) != Ok(file.bytes) {
            return Err(Error::Chain);
        }
        Ok(bytes)
    }

    fn root_directory(&mut self, budget: &mut Budget<'_>) -> Result<Vec<u8>, Error> {
        match self.shape.root {
            Root::Chain(first) => self.directory(first, budget),
            Root::Fixed { at, bytes } => {
                budget.read(bytes)?;
                let mut root = Vec::new();
                self.append(&mut root, at, bytes)?;
                Ok(root)
            }
        }
    }

    fn directory(&mut self, first: u32, budget: &mut Budget<'_>) -> Result<Vec<u8>, Error> {
        self.chain(first, MAX_DIRECTORY_BYTES, |bytes| budget.read(bytes))
    }

    /// Reads up to `most` bytes of the chain that begins at a cluster. `allow` must permit each
    /// piece before it is read.
    fn chain(
        &mut self,
        first: u32,
        most: u64,
        mut allow: impl FnMut(u64) -> Result<(), Exceeded>,
    ) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut cluster = first;
        let mut left = most;
        while left > 0 {
            let at = self.place(cluster)?;
            let piece = left.min(self.shape.cluster);
            allow(piece)?;
            self.append(&mut bytes, at, piece)?;
            left -= piece;
            match self.next(cluster)? {
                Some(next) => cluster = next,
                None => break,
            }
        }
        Ok(bytes)
    }

    /// Returns the offset of a cluster on the disk.
    fn place(&self, cluster: u32) -> Result<u64, Error> {
        let index = cluster.checked_sub(2).map(u64::from);
        let index = index.filter(|index| *index < u64::from(self.shape.clusters));
        let index = index.ok_or(Error::Chain)?;
        Ok(self.shape.data_at + index * self.shape.cluster)
    }

    /// Returns the cluster that follows one; `None` at the end of the chain.
    fn next(&mut self, cluster: u32) -> Result<Option<u32>, Error> {
        let number = u64::from(cluster);
        let offset = match self.shape.width {
            Width::Twelve => number + number / 2,
            Width::Sixteen => number * 2,
            Width::ThirtyTwo => number * 4,
        };
        let mut bytes = Vec::new();
        self.append(&mut bytes, self.shape.fat_at + offset, 4)?;
        let wide = le_bytes::le32(&bytes, 0).ok_or(Error::Chain)?;
        let (next, end) = match self.shape.width {
            Width::Twelve if cluster % 2 == 1 => ((wide >> 4) & 0xFFF, 0xFF8),
            Width::Twelve => (wide & 0xFFF, 0xFF8),
            Width::Sixteen => (wide & 0xFFFF, 0xFFF8),
            Width::ThirtyTwo => (wide & 0x0FFF_FFFF, 0x0FFF_FFF8),
        };
        Ok((next < end).then_some(next))
    }

    fn append(&mut self, bytes: &mut Vec<u8>, at: u64, length: u64) -> Result<(), Error> {
        self.disk.seek(SeekFrom::Start(at)).map_err(Error::Read)?;
        let read = (&mut self.disk).take(length).read_to_end(bytes);
        match read.map(u64::try_from) {
            Ok(Ok(read)) if read == length => Ok(()),
            Ok(_) => Err(Error::Chain),
            Err(error) => Err(Error::Read(error)),
        }
    }
}

/// Returns the files of a complete listing, or the error of its first unreadable directory.
fn whole(listing: Listing) -> Result<Vec<File>, Error> {
    match listing.unread.into_iter().next() {
        None => Ok(listing.files),
        Some((_, error)) => Err(error),
    }
}

/// Layout of the file system, from its boot sector.
#[derive(Debug)]
struct Shape {
    width: Width,
    sector: u64,
    cluster: u64,
    fat_at: u64,
    data_at: u64,
    clusters: u32,
    root: Root,
    serial: u32,
}

#[derive(Clone, Copy, Debug)]
enum Width {
    Twelve,
    Sixteen,
    ThirtyTwo,
}

#[derive(Clone, Copy, Debug)]
enum Root {
    Chain(u32),
    Fixed { at: u64, bytes: u64 },
}

impl Shape {
    fn decode(boot: &[u8]) -> Option<Self> {
        let sector = u64::from(le_bytes::le16(boot, 11)?);
        let sectors_a_cluster = u64::from(*boot.get(13)?);
        let reserved = u64::from(le_bytes::le16(boot, 14)?);
        let fats = u64::from(*boot.get(16)?);
        let media = *boot.get(21)?;
        let sane = boot.ends_with(&[0x55, 0xAA])
            && boot.len() == 512
            && matches!(sector, 512 | 1024 | 2048 | 4096)
            && sectors_a_cluster.is_power_of_two()
            && reserved > 0
            && fats > 0
            && (media == 0xF0 || media >= 0xF8);
        if !sane {
            return None;
        }
        let root_bytes = u64::from(le_bytes::le16(boot, 17)?) * 32;
        let short = u64::from(le_bytes::le16(boot, 19)?);
        let total = match short {
            0 => u64::from(le_bytes::le32(boot, 32)?),
            short => short,
        };
        let is_wide = le_bytes::le16(boot, 22)? == 0;
        let fat_sectors = if is_wide {
            u64::from(le_bytes::le32(boot, 36)?)
        } else {
            u64::from(le_bytes::le16(boot, 22)?)
        };
        let root_at = reserved + fats * fat_sectors;
        let data = root_at + root_bytes.div_ceil(sector);
        let clusters = u32::try_from(total.checked_sub(data)? / sectors_a_cluster).ok()?;
        // FAT32 is detected by its missing 16-bit size, as in the kernel: mkfs creates some with
        // few clusters.
        let width = match clusters {
            _ if is_wide => Width::ThirtyTwo,
            0..4085 => Width::Twelve,
            _ => Width::Sixteen,
        };
        Some(Self {
            width,
            sector,
            cluster: sector * sectors_a_cluster,
            fat_at: reserved * sector,
            data_at: data * sector,
            clusters,
            root: if is_wide {
                Root::Chain(le_bytes::le32(boot, 44)?)
            } else {
                Root::Fixed {
                    at: root_at * sector,
                    bytes: root_bytes,
                }
            },
            serial: le_bytes::le32(boot, if is_wide { 67 } else { 39 })?,
        })
    }
}

/// Maximum number of clusters searched for a label, as in libblkid.
const MAX_LABEL_CLUSTERS: u32 = 100;
/// Maximum bytes of a root directory: 65,536 entries (Linux: `FAT_MAX_DIR_SIZE`).
const MAX_ROOT_LEN: u64 = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::safe_name::{
        self,
        fixture::{self, Counting},
    };
    use proptest::prelude::*;
    use std::io::{Cursor, Write};

    fn contents(image: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut fat = Fat::open(Cursor::new(image))?.unwrap();
        let mut contents = Vec::new();
        let cancel = Cancel::default();
        for file in fat.files(&cancel)? {
            contents.push((file.path.join("/"), fat.read(&file, 1 << 20, &cancel)?));
        }
        contents.sort();
        Ok(contents)
    }

    /// Creates a file system with the `fatfs` crate, with a large file and a deeply nested one.
    fn made(bytes: usize, sector: u16) -> Vec<u8> {
        let mut image = Cursor::new(vec![0; bytes]);
        let options = fatfs::FormatVolumeOptions::new().bytes_per_sector(sector);
        fatfs::format_volume(&mut image, options).unwrap();
        let system = fatfs::FileSystem::new(&mut image, fatfs::FsOptions::new()).unwrap();
        let folder = system.root_dir().create_dir("Ein Ordner").unwrap();
        let mut file = folder.create_file("large").unwrap();
        file.write_all(&large()).unwrap();
        folder
            .create_dir("EFI")
            .unwrap()
            .create_file("A.TXT")
            .unwrap();
        drop((file, folder));
        system.unmount().unwrap();
        image.into_inner()
    }

    fn large() -> Vec<u8> {
        (0..100_000u32).flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn a_file_system_of_mkfs_is_read() {
        let image = fixture::unpacked(fixture::FAT);
        assert_eq!(contents(&image).unwrap(), fixture::files());
        let fat = Fat::open(Cursor::new(image)).unwrap().unwrap();
        assert_eq!((fat.serial().as_str(), fat.sector()), ("1A2B-3C4D", 512));
    }

    #[test]
    fn every_width_and_sector_is_read() {
        let cases = [
            (1 << 20, 512),
            (32 << 20, 512),
            (64 << 20, 4096),
            (300 << 20, 512),
        ];
        let wanted = [
            ("Ein Ordner/EFI/A.TXT".to_owned(), vec![]),
            ("Ein Ordner/large".to_owned(), large()),
        ];
        for (bytes, sector) in cases {
            assert_eq!(contents(&made(bytes, sector)).unwrap(), wanted, "{bytes}");
        }
    }

    #[test]
    fn a_chain_that_never_ends_is_followed_only_so_far() {
        let mut image = fixture::unpacked(fixture::FAT);
        let boot = image[..512].to_vec();
        let fat_at = usize::from(le_bytes::le16(&boot, 14).unwrap()) * 512;
        let fat_bytes = usize::from(le_bytes::le16(&boot, 22).unwrap()) * 512;
        // Cluster 2 follows every cluster of this FAT12.
        for place in image[fat_at..fat_at + fat_bytes].chunks_exact_mut(3) {
            place.copy_from_slice(&[0x02, 0x20, 0x00]);
        }
        assert_eq!(contents(&image).unwrap(), fixture::files());
    }

    #[test]
    fn a_label_is_looked_for_in_no_more_than_a_root_directory_may_have() {
        let (cluster, data) = (32 << 10, 1 << 20);
        let mut image = vec![0; data + 100 * cluster];
        image[11..13].copy_from_slice(&512u16.to_le_bytes());
        image[13] = 64;
        image[14..16].copy_from_slice(&1u16.to_le_bytes());
        image[16] = 1;
        image[21] = 0xF8;
        let total = u32::try_from(image.len() / 512).unwrap();
        image[32..36].copy_from_slice(&total.to_le_bytes());
        let fat_sectors = u32::try_from(data / 512 - 1).unwrap();
        image[36..40].copy_from_slice(&fat_sectors.to_le_bytes());
        image[44..48].copy_from_slice(&2u32.to_le_bytes());
        image[510..512].copy_from_slice(&[0x55, 0xAA]);
        // All entries are deleted. The chain's last cluster leads back to the first.
        for (number, entry) in image[512 + 8..][..100 * 4].chunks_mut(4).enumerate() {
            let next = (u32::try_from(number).unwrap() + 1) % 100 + 2;
            entry.copy_from_slice(&next.to_le_bytes());
        }
        for entry in image[data..].chunks_mut(32) {
            entry[0] = 0xE5;
        }
        let label = |image: Vec<u8>| {
            let mut disk = Counting::new(image);
            let label = Fat::open(&mut disk).unwrap().unwrap().label().unwrap();
            (label, disk.read)
        };
        let (found, read) = label(image.clone());
        assert_eq!(found, None);
        assert!(read <= (2 << 20) + 2048, "{read} bytes read");
        for (entry, wanted) in [(65_535, Some(*b"CONFIG-2   ")), (65_536, None)] {
            let mut image = image.clone();
            image[data + entry * 32..][..12].copy_from_slice(b"CONFIG-2   \x08");
            assert_eq!(label(image).0, wanted, "{entry}");
        }
    }

    /// FAT16 with clusters of 512 bytes and arbitrary chains, built by hand.
    struct Made(Vec<u8>);

    impl Made {
        const CLUSTERS: u16 = 8192;
        const FAT: usize = 512;
        const ROOT: usize = Self::FAT + 33 * 512;
        const DATA: usize = Self::ROOT + 512 * 32;

        fn new() -> Self {
            let mut image = vec![0; Self::DATA + usize::from(Self::CLUSTERS) * 512];
            let sectors = u32::try_from(image.len() / 512).unwrap();
            image[11..13].copy_from_slice(&512u16.to_le_bytes());
            image[13] = 1;
            image[14..16].copy_from_slice(&1u16.to_le_bytes());
            image[16] = 1;
            image[17..19].copy_from_slice(&512u16.to_le_bytes());
            image[21] = 0xF8;
            image[22..24].copy_from_slice(&33u16.to_le_bytes());
            image[32..36].copy_from_slice(&sectors.to_le_bytes());
            image[510..512].copy_from_slice(&[0x55, 0xAA]);
            Self(image)
        }

        fn follow(&mut self, cluster: u16, next: u16) {
            let at = Self::FAT + usize::from(cluster) * 2;
            self.0[at..at + 2].copy_from_slice(&next.to_le_bytes());
        }

        /// Links clusters into a chain and returns its first cluster.
        fn chain(&mut self, clusters: std::ops::Range<u16>) -> u16 {
            for cluster in clusters.clone() {
                let next = cluster + 1;
                self.follow(cluster, if next < clusters.end { next } else { 0xFFFF });
            }
            clusters.start
        }

        fn put(&mut self, cluster: u16, bytes: &[u8]) {
            let at = Self::DATA + usize::from(cluster - 2) * 512;
            self.0[at..at + bytes.len()].copy_from_slice(bytes);
        }

        fn put_root(&mut self, bytes: &[u8]) {
            self.0[Self::ROOT..Self::ROOT + bytes.len()].copy_from_slice(bytes);
        }
    }

    /// Returns a directory entry behind the pieces of its long name, which may be empty.
    fn entry(long: &str, is_directory: bool, first: u16) -> Vec<u8> {
        let short = *b"NAME    EXT";
        let sum = short
            .iter()
            .fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        let mut units: Vec<u16> = long.encode_utf16().collect();
        let pieces = units.len().div_ceil(13);
        if !units.len().is_multiple_of(13) {
            units.push(0);
        }
        units.resize(pieces * 13, 0xFFFF);
        let mut bytes = Vec::new();
        for (number, piece) in (1u8..)
            .zip(units.chunks(13))
            .collect::<Vec<_>>()
            .iter()
            .rev()
        {
            let last = usize::from(*number) == pieces;
            let mut raw = [0; 32];
            raw[0] = number | if last { 0x40 } else { 0 };
            raw[11] = 0x0F;
            raw[13] = sum;
            let places = (1..11)
                .step_by(2)
                .chain((14..26).step_by(2))
                .chain([28, 30]);
            for (at, unit) in places.zip(*piece) {
                raw[at..at + 2].copy_from_slice(&unit.to_le_bytes());
            }
            bytes.extend(raw);
        }
        let mut raw = [0; 32];
        raw[..11].copy_from_slice(&short);
        raw[11] = if is_directory { 0x10 } else { 0 };
        raw[26..28].copy_from_slice(&first.to_le_bytes());
        bytes.extend(raw);
        bytes
    }

    #[test]
    fn a_name_longer_than_255_bytes_is_left_out() {
        let longest = format!("{}x", "\u{e9}".repeat(127));
        assert_eq!(longest.len(), 255);
        for (long, wanted) in [
            (longest.clone(), vec![(longest, vec![])]),
            ("\u{e9}".repeat(128), vec![]),
        ] {
            let mut image = Made::new();
            image.put_root(&entry(&long, false, 0));
            assert_eq!(contents(&image.0).unwrap(), wanted);
        }
    }

    #[test]
    fn directories_that_begin_nowhere_hide_no_other() {
        let mut image = Made::new();
        image.chain(2..3);
        image.chain(3..4);
        // The second cluster of this chain is beyond the last cluster of the file system.
        image.follow(4, Made::CLUSTERS + 2);
        let named = |name: &str, first| entry(name, true, first);
        let root = [
            named("zero", 0),
            named("one", 1),
            named("good", 2),
            named("beyond", Made::CLUSTERS + 2),
            named("astray", 4),
            named("twice", 2),
        ];
        image.put_root(&root.concat());
        image.put(2, &[named("loop", 2), named("inner", 3)].concat());
        image.put(3, &entry("file", false, 0));
        let mut fat = Fat::open(Cursor::new(&image.0)).unwrap().unwrap();
        let listing = fat.readable_files(&Cancel::default()).unwrap();
        let joined = |paths: Vec<Vec<String>>| -> Vec<String> {
            let mut joined: Vec<_> = paths.iter().map(|path| path.join("/")).collect();
            joined.sort();
            joined
        };
        let files = listing.files.into_iter().map(|file| file.path).collect();
        let unread = listing.unread.into_iter().map(|(path, error)| {
            assert!(matches!(error, Error::Chain), "{error}");
            path
        });
        // Of two directories that share their clusters, the last one is read.
        assert_eq!(joined(files), ["twice/inner/file"]);
        assert_eq!(
            joined(unread.collect()),
            ["astray", "beyond", "good", "one", "twice/loop", "zero"]
        );
        // `Fat::files` requires every directory, so it treats this file system as damaged.
        assert!(matches!(contents(&image.0), Err(Error::Chain)));
    }

    #[test]
    fn a_directory_too_deep_hides_no_other() {
        let mut image = Made::new();
        let last = u16::try_from(MAX_DEPTH).unwrap() + 2;
        image.put_root(&[entry("d", true, 2), entry("file", false, 0)].concat());
        for first in 2..=last {
            image.chain(first..first + 1);
            image.put(first, &entry("d", true, first + 1));
        }
        let mut fat = Fat::open(Cursor::new(&image.0)).unwrap().unwrap();
        let listing = fat.readable_files(&Cancel::default()).unwrap();
        let paths: Vec<_> = listing.files.into_iter().map(|file| file.path).collect();
        assert_eq!(paths, [["file"]]);
        let [(path, error)] = listing.unread.as_slice() else {
            panic!("one directory is too deep");
        };
        assert_eq!(path.join(""), "d".repeat(MAX_DEPTH));
        assert!(matches!(error, Error::TooMuch), "{error}");
        assert!(matches!(contents(&image.0), Err(Error::TooMuch)));
    }

    #[test]
    fn directories_that_share_a_tail_of_clusters_exceed_the_budget_of_a_tree() {
        let mut image = Made::new();
        let tail = image.chain(1000..5096);
        let mut root = Vec::new();
        for first in 2..102 {
            root.extend(entry("", true, first));
            image.follow(first, tail);
        }
        image.put_root(&root);
        let mut disk = Counting::new(image.0);
        let mut fat = Fat::open(&mut disk).unwrap().unwrap();
        let error = fat.files(&Cancel::default()).unwrap_err();
        assert!(matches!(error, Error::TooMuch), "{error}");
        assert!(disk.read <= 40 << 20, "{} bytes read", disk.read);
    }

    #[test]
    fn long_names_in_deep_directories_exceed_the_budget_of_a_tree() {
        let mut image = Made::new();
        let long = "x".repeat(250);
        // Fifteen nested directories. The innermost ones share the clusters that hold their files.
        image.put_root(&entry(&long, true, 2));
        for level in 2..15u16 {
            image.chain(level * 20..level * 20 + 2);
            let first = if level == 2 { 2 } else { level * 20 };
            image.follow(first, level * 20 + 1);
            let inner = entry(&long, true, (level + 1) * 20);
            image.put(first, &inner[..512]);
            image.put(level * 20 + 1, &inner[512..]);
        }
        let files = entry(&long, false, 0).repeat(3000);
        let tail = image.chain(1000..1000 + u16::try_from(files.len() / 512).unwrap());
        image.put(tail, &files);
        let mut leaves = Vec::new();
        for first in 400..410 {
            leaves.extend(entry(&long, true, first));
            image.put(first, &[0xE5; 512]);
            image.follow(first, tail);
        }
        let count = u16::try_from(leaves.len().div_ceil(512)).unwrap();
        image.chain(300..300 + count);
        image.put(300, &leaves);
        let error = contents(&image.0).unwrap_err();
        assert!(matches!(error, Error::TooMuch), "{error}");
    }

    #[test]
    fn a_file_larger_than_wanted_is_refused_and_a_cancelled_reading_ends() {
        let image = made(1 << 20, 512);
        let mut fat = Fat::open(Cursor::new(&image)).unwrap().unwrap();
        let cancel = Cancel::default();
        let files = fat.files(&cancel).unwrap();
        let large = files.iter().find(|file| file.bytes == 400_000).unwrap();
        assert!(matches!(
            fat.read(large, 399_999, &cancel),
            Err(Error::TooLarge(400_000))
        ));
        cancel.cancel();
        let read = fat.read(large, 400_000, &cancel);
        assert!(matches!(read, Err(Error::Cancelled)));
        assert!(matches!(fat.files(&cancel), Err(Error::Cancelled)));
    }

    proptest! {
        #[test]
        fn no_damage_makes_it_panic(
            damage in prop::collection::vec((0usize..0x8000, any::<u8>()), 1..20),
        ) {
            let mut image = fixture::unpacked(fixture::FAT);
            for (at, byte) in damage {
                image[at] = byte;
            }
            if let Ok(Some(mut fat)) = Fat::open(Cursor::new(image)) {
                let cancel = Cancel::default();
                for file in fat.files(&cancel).unwrap_or_default() {
                    prop_assert!(file.path.iter().all(|name| safe_name::is_plain(name)));
                    let _ = fat.read(&file, 1 << 20, &cancel);
                }
            }
        }
    }
}
