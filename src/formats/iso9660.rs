//! ISO 9660, read-only, with the long names of Rock Ridge (IEEE P1282) or Joliet, as far as config
//! drives need it.
//!
//! The file system is untrusted. Special files are left out, no name leads out of its directory
//! (CVE-2026-48681), each directory is visited once, and work and memory are bounded.

use super::le_bytes;
use super::links::Link;
use super::safe_name::{self, Budget, Exceeded, MAX_DEPTH, MAX_DIRECTORY_BYTES};
use crate::progress::Cancel;
use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};

/// ISO 9660 file system on `D`.
#[derive(Debug)]
pub struct Iso<D> {
    disk: D,
    tree: Tree,
}

/// File with its location in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path; each component is a plain name.
    pub path: Vec<String>,
    /// Size in bytes.
    pub bytes: u64,
    block: u32,
}

/// Reason why a file system cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The reading was cancelled.
    #[error("reading the ISO 9660 file system was cancelled")]
    Cancelled,
    /// A directory contains itself or ends too early.
    #[error("the ISO 9660 file system is damaged: a directory goes astray")]
    Directory,
    /// A file is larger than the caller accepts; its size in bytes.
    #[error("a file of the ISO 9660 file system has {0} bytes")]
    TooLarge(u64),
    /// The file system has more files, longer paths, or larger or deeper directories than a config
    /// drive.
    #[error("the ISO 9660 file system has too many files or directories, or too large ones")]
    TooMuch,
    /// A file is stored in several pieces or interleaved.
    #[error("the ISO 9660 file system has a file in several pieces")]
    Pieces,
    /// The device cannot be read.
    #[error("the ISO 9660 file system cannot be read")]
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

impl<D: Read + Seek> Iso<D> {
    /// Opens the ISO 9660 file system on `disk`; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn open(mut disk: D) -> Result<Option<Self>, Error> {
        let mut found = None;
        for number in DESCRIPTORS {
            let descriptor = bytes_at(&mut disk, number * SECTOR, SECTOR)?;
            if descriptor.get(1..6) != Some(b"CD001".as_slice()) || descriptor.starts_with(&[255]) {
                break;
            }
            let Some(mut tree) = Tree::decode(&descriptor) else {
                continue;
            };
            // Rock Ridge preserves more of a name than Joliet, and is found in the primary tree.
            if tree.names == Names::Plain
                && let Some(skip) = rock_ridge(&mut disk, &tree)?
            {
                tree.names = Names::RockRidge { skip };
                found = Some(tree);
                break;
            }
            found = Some(tree);
        }
        Ok(found.map(|tree| Self { disk, tree }))
    }

    /// Returns all files and symbolic links of the tree.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::Directory`], [`Error::Pieces`], [`Error::TooMuch`],
    /// [`Error::Read`].
    pub(crate) fn tree(&mut self, cancel: &Cancel) -> Result<(Vec<File>, Vec<Link>), Error> {
        let mut budget = Budget::new(cancel);
        let (mut files, mut links) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        let mut open = vec![(Vec::new(), self.tree.root)];
        while let Some((path, extent)) = open.pop() {
            let bytes = u64::from(extent.bytes);
            if !seen.insert(extent.block) || bytes > MAX_DIRECTORY_BYTES {
                return Err(Error::Directory);
            }
            budget.read(bytes)?;
            let start = u64::from(extent.block) * self.tree.block;
            let directory = bytes_at(&mut self.disk, start, bytes)?;
            for record in records(&directory) {
                budget.entry()?;
                let Some((name, kind)) = self.describe(&record, &mut budget)? else {
                    continue;
                };
                let path = budget.path(&path, name)?;
                match kind {
                    Kind::Directory if path.len() < MAX_DEPTH => open.push((path, record.extent)),
                    Kind::Directory => return Err(Error::TooMuch),
                    Kind::Link(target) => links.push(Link { path, target }),
                    Kind::File if record.is_in_pieces => return Err(Error::Pieces),
                    Kind::File => files.push(File {
                        path,
                        bytes: u64::from(record.extent.bytes),
                        block: record.extent.block,
                    }),
                }
            }
        }
        Ok((files, links))
    }

    /// Reads the content of a file of at most `most` bytes.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::TooLarge`], [`Error::Directory`], [`Error::Read`].
    pub fn read(&mut self, file: &File, most: u64, cancel: &Cancel) -> Result<Vec<u8>, Error> {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if file.bytes > most {
            return Err(Error::TooLarge(file.bytes));
        }
        let start = u64::from(file.block) * self.tree.block;
        let bytes = bytes_at(&mut self.disk, start, file.bytes)?;
        if u64::try_from(bytes.len()) != Ok(file.bytes) {
            return Err(Error::Directory);
        }
        Ok(bytes)
    }

    /// Returns a record's name and kind. `None` for the directory itself, its parent, moved
    /// directories, special files, and names that are not plain.
    fn describe(
        &mut self,
        record: &Record,
        budget: &mut Budget<'_>,
    ) -> Result<Option<(String, Kind)>, Error> {
        if matches!(record.name.as_slice(), [0 | 1]) {
            return Ok(None);
        }
        let (name, mode) = match self.tree.names {
            Names::Plain => (plain_name(&record.name), None),
            Names::Joliet => (joliet_name(&record.name), None),
            Names::RockRidge { skip } => {
                let area = record.system.get(skip..).unwrap_or_default();
                let area = with_continuation(&mut self.disk, self.tree.block, area, budget)?;
                let names = RockRidge::decode(&area);
                if names.is_moved {
                    return Ok(None);
                }
                let name = names.name.unwrap_or_else(|| plain_name(&record.name));
                if let Some(target) = names.target {
                    return Ok(safe_name::is_plain(&name).then_some((name, Kind::Link(target))));
                }
                (name, names.mode)
            }
        };
        let kind = match mode.map(|mode| mode & 0o170_000) {
            None | Some(0) if record.is_directory => Kind::Directory,
            None | Some(0) => Kind::File,
            Some(0o040_000) if record.is_directory => Kind::Directory,
            Some(0o100_000) if !record.is_directory => Kind::File,
            Some(_) => return Ok(None),
        };
        Ok(safe_name::is_plain(&name).then_some((name, kind)))
    }
}

/// One of the directory trees on the disk.
#[derive(Clone, Copy, Debug)]
struct Tree {
    block: u64,
    root: Extent,
    names: Names,
}

impl Tree {
    fn decode(descriptor: &[u8]) -> Option<Self> {
        let names = match descriptor.first()? {
            1 => Names::Plain,
            2 if is_joliet(descriptor) => Names::Joliet,
            _ => return None,
        };
        let block = u64::from(le_bytes::le16(descriptor, 128)?);
        let root = Record::decode(descriptor.get(156..190)?)?.extent;
        matches!(block, 512 | 1024 | 2048).then_some(Self { block, root, names })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Plain,
    Joliet,
    /// Rock Ridge, with the bytes to skip at the start of every system use area.
    RockRidge {
        skip: usize,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
    Link(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    block: u32,
    bytes: u32,
}

/// Directory record (ECMA-119 §9.1).
struct Record {
    extent: Extent,
    is_directory: bool,
    is_in_pieces: bool,
    name: Vec<u8>,
    system: Vec<u8>,
}

impl Record {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let flags = *bytes.get(25)?;
        let name_length = usize::from(*bytes.get(32)?);
        let name = bytes.get(33..33 + name_length)?.to_vec();
        // The name is padded to an even offset.
        let after = 33 + name_length + usize::from(name_length % 2 == 0);
        Some(Self {
            extent: Extent {
                block: le_bytes::le32(bytes, 2)?.checked_add(u32::from(*bytes.get(1)?))?,
                bytes: le_bytes::le32(bytes, 10)?,
            },
            is_directory: flags & 0x02 != 0,
            is_in_pieces: flags & 0x80 != 0 || le_bytes::le16(bytes, 26)? != 0,
            name,
            system: bytes.get(after..).unwrap_or_default().to_vec(),
        })
    }
}

/// Parses the records of a directory. No record crosses a sector. A length of zero means that the
/// rest of its sector is unused.
fn records(directory: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    for sector in directory.chunks(2048) {
        let mut rest = sector;
        while let Some(length) = rest.first().map(|length| usize::from(*length)) {
            let Some((record, after)) = rest.split_at_checked(length).filter(|_| length > 33)
            else {
                break;
            };
            records.extend(Record::decode(record));
            rest = after;
        }
    }
    records
}

/// Rock Ridge entries of a record.
#[derive(Default)]
struct RockRidge {
    name: Option<String>,
    mode: Option<u32>,
    /// Target of a symbolic link.
    target: Option<String>,
    /// Whether the record stands for a directory that was moved elsewhere.
    is_moved: bool,
}

impl RockRidge {
    fn decode(area: &[u8]) -> Self {
        let mut found = Self::default();
        let mut name = Vec::new();
        let mut target = LinkTarget::default();
        for (signature, data) in system_entries(area) {
            match signature {
                // Flags 2 and 4 mean "." and "..".
                b"NM" if data.first().is_some_and(|flags| flags & 6 == 0) => {
                    name.extend(data.get(1..).unwrap_or_default());
                }
                b"PX" => found.mode = le_bytes::le32(data, 0),
                b"SL" => target.add(data.get(1..).unwrap_or_default()),
                b"CL" | b"RE" => found.is_moved = true,
                _ => {}
            }
        }
        if !name.is_empty() {
            found.name = Some(String::from_utf8_lossy(&name).into_owned());
        }
        found.target = target
            .text
            .map(|text| String::from_utf8_lossy(&text).into_owned());
        found
    }
}

/// Target of a symbolic link under construction: `SL` entries hold it by components.
#[derive(Default)]
struct LinkTarget {
    text: Option<Vec<u8>>,
    /// Whether the next component continues the text without a slash.
    goes_on: bool,
}

impl LinkTarget {
    /// Adds the components of an entry: flags, length and text of each.
    fn add(&mut self, mut components: &[u8]) {
        let text = match &mut self.text {
            Some(text) => text,
            empty => {
                self.goes_on = true;
                empty.insert(Vec::new())
            }
        };
        while let [flags, length, rest @ ..] = components {
            let (name, after) = rest.split_at(usize::from(*length).min(rest.len()));
            if !self.goes_on {
                text.push(b'/');
            }
            // Flags: the next component continues this one, ".", "..", the root.
            text.extend_from_slice(match flags & 0xE {
                2 => b".",
                4 => b"..",
                8 => b"/",
                _ => name,
            });
            self.goes_on = flags & 9 != 0;
            components = after;
        }
    }
}

/// Splits a system use area into entries: signature and data of each.
fn system_entries(area: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut entries = Vec::new();
    let mut rest = area;
    while let Some(length) = rest.get(2).map(|length| usize::from(*length)) {
        let Some((entry, after)) = rest.split_at_checked(length).filter(|_| length >= 4) else {
            break;
        };
        let (signature, data) = entry.split_at(2);
        if signature == b"ST" {
            break;
        }
        entries.push((signature, data.get(2..).unwrap_or_default()));
        rest = after;
    }
    entries
}

/// Returns a system use area with its chain of continuations, up to a bounded number.
fn with_continuation(
    disk: &mut (impl Read + Seek),
    block: u64,
    area: &[u8],
    budget: &mut Budget<'_>,
) -> Result<Vec<u8>, Error> {
    let mut whole = Vec::new();
    let mut piece = area.to_vec();
    for _ in 0..MAX_CONTINUATIONS {
        let mut next = None;
        for (signature, data) in system_entries(&piece) {
            if signature == b"CE" {
                next = continuation(data);
                continue;
            }
            let length = u8::try_from(data.len() + 4).unwrap_or(u8::MAX);
            whole.extend(signature);
            whole.extend([length, 1]);
            whole.extend(data);
        }
        let Some((at_block, offset, length)) = next else {
            break;
        };
        let at = u64::from(at_block) * block + u64::from(offset);
        let length = u64::from(length).min(SECTOR);
        budget.read(length)?;
        piece = bytes_at(disk, at, length)?;
    }
    Ok(whole)
}

/// Parses block, offset and length of a `CE` entry.
fn continuation(data: &[u8]) -> Option<(u32, u32, u32)> {
    Some((
        le_bytes::le32(data, 0)?,
        le_bytes::le32(data, 8)?,
        le_bytes::le32(data, 16)?,
    ))
}

/// Returns the number of bytes to skip in system use areas if the tree has Rock Ridge. The first
/// record of its root then has an `SP` entry.
fn rock_ridge(disk: &mut (impl Read + Seek), tree: &Tree) -> Result<Option<usize>, Error> {
    let start = u64::from(tree.root.block) * tree.block;
    let directory = bytes_at(disk, start, SECTOR)?;
    let first = records(&directory).into_iter().next();
    Ok(first.and_then(|record| {
        let entries = system_entries(&record.system);
        let (_, data) = entries.iter().find(|(signature, _)| *signature == b"SP")?;
        data.starts_with(&[0xBE, 0xEF])
            .then(|| data.get(2).copied().map(usize::from))?
    }))
}

fn is_joliet(descriptor: &[u8]) -> bool {
    let escapes = descriptor.get(88..91);
    [b"%/@", b"%/C", b"%/E"]
        .iter()
        .any(|level| escapes == Some(level.as_slice()))
}

/// Converts `NAME.EXT;1` to lower case, without the version and a trailing dot.
fn plain_name(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let name = name.split(';').next().unwrap_or_default();
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn joliet_name(name: &[u8]) -> String {
    let units: Vec<u16> = name
        .chunks_exact(2)
        .filter_map(|unit| le_bytes::array(unit, 0).map(u16::from_be_bytes))
        .collect();
    let name = String::from_utf16_lossy(&units);
    name.split(';').next().unwrap_or_default().to_owned()
}

/// Reads up to `length` bytes; fewer if the disk ends.
fn bytes_at(disk: &mut (impl Read + Seek), at: u64, length: u64) -> Result<Vec<u8>, Error> {
    disk.seek(SeekFrom::Start(at)).map_err(Error::Read)?;
    let mut bytes = Vec::new();
    disk.take(length)
        .read_to_end(&mut bytes)
        .map_err(Error::Read)?;
    Ok(bytes)
}

const SECTOR: u64 = 2048;
/// Sectors searched for volume descriptors, which begin in sector 16; a few are enough.
const DESCRIPTORS: std::ops::Range<u64> = 16..32;
const MAX_CONTINUATIONS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::safe_name::fixture::{
        self, Counting, JOLIET, ROCK_RIDGE, continued, name, record,
    };
    use proptest::prelude::*;
    use std::io::Cursor;

    fn contents(image: Vec<u8>) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut iso = Iso::open(Cursor::new(image))?.unwrap();
        let mut contents = Vec::new();
        let cancel = Cancel::default();
        for file in iso.tree(&cancel)?.0 {
            contents.push((file.path.join("/"), iso.read(&file, 1 << 20, &cancel)?));
        }
        contents.sort();
        Ok(contents)
    }

    #[test]
    fn long_names_are_read_from_rock_ridge_and_from_joliet() {
        for image in [ROCK_RIDGE, JOLIET] {
            let contents = contents(fixture::unpacked(image)).unwrap();
            assert_eq!(contents, fixture::files());
        }
    }

    #[test]
    fn symbolic_links_of_rock_ridge_tell_where_they_lead() {
        let iso = fixture::unpacked(ROCK_RIDGE);
        let mut iso = Iso::open(Cursor::new(iso)).unwrap().unwrap();
        let (_, links) = iso.tree(&Cancel::default()).unwrap();
        let path = ["openstack", "latest", "link"].map(str::to_owned).to_vec();
        let target = "/etc/passwd".to_owned();
        assert_eq!(links, [Link { path, target }]);

        let entry = |components: &[u8]| {
            let length = u8::try_from(components.len() + 5).unwrap();
            [b"SL", [length, 1].as_slice(), &[0], components].concat()
        };
        let cases: [(&[&[u8]], &str); 6] = [
            (&[b"\x00\x04file"], "file"),
            (&[b"\x04\x00\x04\x00\x00\x01a\x02\x00"], "../../a/."),
            (&[b"\x08\x00\x00\x03etc"], "/etc"),
            (&[b"\x08\x00"], "/"),
            // One component in two pieces, and one target in two entries.
            (
                &[b"\x00\x01a\x01\x02bc", b"\x00\x02de\x00\x01f"],
                "a/bcde/f",
            ),
            (&[b""], ""),
        ];
        for (entries, target) in cases {
            let entries: Vec<_> = entries
                .iter()
                .flat_map(|entry_of| entry(entry_of))
                .collect();
            let image = fixture::rock_ridge_with(&[[name(b"link"), entries].concat()]);
            let mut iso = Iso::open(Cursor::new(image)).unwrap().unwrap();
            let (files, links) = iso.tree(&Cancel::default()).unwrap();
            let (path, target) = (vec!["link".to_owned()], target.to_owned());
            assert_eq!((files, links), (vec![], vec![Link { path, target }]));
        }
    }

    #[test]
    fn a_name_that_leads_out_of_its_directory_is_left_out() {
        let mut image = fixture::unpacked(ROCK_RIDGE);
        assert_eq!(fixture::replace(&mut image, b"user_data", b"../../etc"), 1);
        assert_eq!(contents(image).unwrap(), fixture::files()[..2]);
        let mut image = fixture::unpacked(ROCK_RIDGE);
        assert_eq!(fixture::replace(&mut image, b"openstack", b"..\0......"), 1);
        assert_eq!(contents(image).unwrap(), []);
    }

    #[test]
    fn a_directory_that_contains_itself_ends_the_reading() {
        let mut image = fixture::unpacked(ROCK_RIDGE);
        let root: [u8; 8] = image[16 * 2048 + 158..][..8].try_into().unwrap();
        // The record of `openstack` begins 33 bytes before its name. Its extent is replaced by that
        // of the root.
        let mut places = 0..image.len();
        let name = places.find(|at| image[*at..].starts_with(b"\x08OPENSTAC"));
        let record = name.unwrap() - 32;
        image[record + 2..record + 10].copy_from_slice(&root);
        assert!(matches!(contents(image), Err(Error::Directory)));
    }

    const CONTINUATION: u32 = 19;

    /// Builds an ISO with `depth` nested directories and `files` files in the innermost. Every name
    /// comes from the one block at [`CONTINUATION`].
    fn shared_names(area: &[u8], depth: u32, files: usize) -> Vec<u8> {
        let (first, sector) = (CONTINUATION + 1, 2048u32);
        let system = continued(CONTINUATION, u32::try_from(area.len()).unwrap());
        let file = record(b'F', (0, 0), false, &system);
        let in_a_sector = 2048 / file.len();
        let leaf = u32::try_from(files.div_ceil(in_a_sector)).unwrap() * sector;
        let mut image = vec![0; (first + depth) as usize * 2048];
        let mut put = |block: u32, bytes: &[u8]| {
            image[block as usize * 2048..][..bytes.len()].copy_from_slice(bytes);
        };
        let mut primary = vec![0; 2048];
        primary[..6].copy_from_slice(b"\x01CD001");
        primary[128..130].copy_from_slice(&2048u16.to_le_bytes());
        primary[156..190].copy_from_slice(&record(0, (18, sector), true, &[]));
        put(16, &primary);
        put(CONTINUATION, area);
        let own = record(0, (18, sector), true, b"SP\x07\x01\xBE\xEF\x00");
        for level in 0..=depth {
            let (block, before) = match level {
                0 => (18, own.as_slice()),
                level => (first + level - 1, [].as_slice()),
            };
            if level < depth {
                let bytes = if level + 1 == depth { leaf } else { sector };
                let child = record(b'D', (first + level, bytes), true, &system);
                put(block, &[before, &child].concat());
            }
        }
        image.truncate((first + depth - 1) as usize * 2048);
        for sector in 0..files.div_ceil(in_a_sector) {
            let here = in_a_sector.min(files - sector * in_a_sector);
            let mut records = file.repeat(here);
            records.resize(2048, 0);
            image.extend(records);
        }
        image
    }

    #[test]
    fn a_name_longer_than_255_bytes_is_left_out() {
        let longest = name(&[b'x'; 250]);
        let whole = [longest.clone(), name(b"12345")].concat();
        let files = contents(shared_names(&whole, 1, 1)).unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].0.len(), 255 + 1 + 255);
        let long = [longest, name(b"123456")].concat();
        assert_eq!(contents(shared_names(&long, 1, 1)).unwrap(), []);
    }

    #[test]
    fn shared_names_in_deep_directories_exceed_the_budget_of_a_tree() {
        let image = shared_names(&name(&[b'x'; 250]), 15, 20_000);
        assert!(image.len() < 2 << 20);
        let error = contents(image).unwrap_err();
        assert!(matches!(error, Error::TooMuch), "{error}");
    }

    #[test]
    fn continuation_areas_count_as_bytes_of_directories() {
        // The entries hold no names, but the whole block is read for each file.
        let entry = [b"XX\xFF\x01".as_slice(), &[0; 251]].concat();
        let image = shared_names(&entry.repeat(8), 1, 30_000);
        let mut disk = Counting::new(image);
        let mut iso = Iso::open(&mut disk).unwrap().unwrap();
        let error = iso.tree(&Cancel::default()).unwrap_err();
        assert!(matches!(error, Error::TooMuch), "{error}");
        assert!(disk.read <= 40 << 20, "{} bytes read", disk.read);
    }

    #[test]
    fn a_cancelled_reading_ends_at_the_next_directory_or_file() {
        let cancel = Cancel::default();
        let mut iso = Iso::open(Cursor::new(fixture::unpacked(ROCK_RIDGE)))
            .unwrap()
            .unwrap();
        let (files, _) = iso.tree(&cancel).unwrap();
        cancel.cancel();
        assert!(matches!(iso.tree(&cancel), Err(Error::Cancelled)));
        let read = iso.read(&files[0], 1 << 20, &cancel);
        assert!(matches!(read, Err(Error::Cancelled)));
    }

    #[test]
    fn other_bytes_are_no_iso_9660() {
        for bytes in [
            vec![],
            vec![0; 100],
            vec![0; 1 << 16],
            fixture::unpacked(fixture::FAT),
        ] {
            assert!(Iso::open(Cursor::new(bytes)).unwrap().is_none());
        }
    }

    proptest! {
        #[test]
        fn no_damage_makes_it_panic(
            joliet: bool,
            damage in prop::collection::vec((0x8000usize..0x10000, any::<u8>()), 1..20),
        ) {
            let mut image = fixture::unpacked(if joliet { JOLIET } else { ROCK_RIDGE });
            for (at, byte) in damage {
                image[at] = byte;
            }
            if let Ok(Some(mut iso)) = Iso::open(Cursor::new(image)) {
                let cancel = Cancel::default();
                for file in iso.tree(&cancel).unwrap_or_default().0 {
                    prop_assert!(file.path.iter().all(|name| safe_name::is_plain(name)));
                    let _ = iso.read(&file, 1 << 20, &cancel);
                }
            }
        }

        #[test]
        fn no_system_use_area_makes_it_panic(area: Vec<u8>) {
            let _ = RockRidge::decode(&area);
            let cancel = Cancel::default();
            let mut budget = Budget::new(&cancel);
            let _ = with_continuation(&mut Cursor::new(&area), 1, &area, &mut budget);
        }
    }
}
