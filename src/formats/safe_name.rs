//! Directory trees of untrusted file systems: checks of names for use in local paths, and limits of
//! the cost of reading a tree.

use crate::progress::Cancel;

/// Maximum number of files and directories read from one file system.
pub(crate) const MAX_ENTRIES: usize = 65_536;
/// Maximum depth of nested directories.
pub(crate) const MAX_DEPTH: usize = 16;
/// Maximum bytes of one directory: the size of 65,536 FAT entries.
pub(crate) const MAX_DIRECTORY_BYTES: u64 = 2 << 20;
/// Maximum bytes of all directories of one file system, including continuation areas. Directories
/// may share clusters and areas.
const MAX_TREE_BYTES: u64 = 32 << 20;
/// Maximum memory of all paths of one file system, each of which repeats its directories.
const MAX_PATH_BYTES: usize = 16 << 20;
/// Maximum bytes of a name, as in Linux (`NAME_MAX`).
const MAX_NAME_LEN: usize = 255;

/// Returns whether a name is one plain component, which cannot lead out of its directory.
pub(crate) fn is_plain(name: &str) -> bool {
    let special = matches!(name, "" | "." | "..");
    !special
        && name.len() <= MAX_NAME_LEN
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
}

/// Remaining entries, bytes and memory that reading one tree may cost.
#[derive(Debug)]
pub(crate) struct Budget<'a> {
    entries: usize,
    bytes: u64,
    path_bytes: usize,
    cancel: &'a Cancel,
}

/// Reason why a tree is not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Budget,
    Cancelled,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(cancel: &'a Cancel) -> Self {
        Self {
            entries: MAX_ENTRIES,
            bytes: MAX_TREE_BYTES,
            path_bytes: MAX_PATH_BYTES,
            cancel,
        }
    }

    /// Spends bytes of directories before they are read.
    pub(crate) fn read(&mut self, bytes: u64) -> Result<(), Exceeded> {
        if self.cancel.is_cancelled() {
            return Err(Exceeded::Cancelled);
        }
        self.bytes = self.bytes.checked_sub(bytes).ok_or(Exceeded::Budget)?;
        Ok(())
    }

    /// Spends an entry of a directory.
    pub(crate) fn entry(&mut self) -> Result<(), Exceeded> {
        self.entries = self.entries.checked_sub(1).ok_or(Exceeded::Budget)?;
        Ok(())
    }

    /// Returns the path of an entry, and spends its memory.
    pub(crate) fn path(
        &mut self,
        directory: &[String],
        name: String,
    ) -> Result<Vec<String>, Exceeded> {
        let names = directory.iter().chain([&name]);
        let cost = names
            .map(|name| name.len().saturating_add(size_of::<String>()))
            .fold(0, usize::saturating_add);
        self.path_bytes = self.path_bytes.checked_sub(cost).ok_or(Exceeded::Budget)?;
        let mut path = Vec::with_capacity(directory.len().saturating_add(1));
        path.extend_from_slice(directory);
        path.push(name);
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_not_plain() {
        for name in ["", ".", "..", "../x", "a/b", "..\\x", "a\0", "a\n"] {
            assert!(!is_plain(name), "{name:?}");
        }
        for name in ["meta_data.json", "...", ".hidden", "Grüße"] {
            assert!(is_plain(name), "{name:?}");
        }
        assert!(is_plain(&"x".repeat(255)) && !is_plain(&"x".repeat(256)));
    }

    #[test]
    fn every_part_of_a_budget_ends() {
        let cancel = Cancel::default();
        let mut budget = Budget::new(&cancel);
        budget.read(MAX_TREE_BYTES).unwrap();
        assert_eq!(budget.read(1), Err(Exceeded::Budget));
        for _ in 0..MAX_ENTRIES {
            budget.entry().unwrap();
        }
        assert_eq!(budget.entry(), Err(Exceeded::Budget));
        let long = "x".repeat(MAX_PATH_BYTES - size_of::<String>());
        let path = budget.path(&[], long.clone()).unwrap();
        assert_eq!(path, [long]);
        assert_eq!(budget.path(&[], String::new()), Err(Exceeded::Budget));
        cancel.cancel();
        assert_eq!(budget.read(0), Err(Exceeded::Cancelled));
    }
}

/// Config drives made by external tools (`tests/fixtures/configdrive`).
#[cfg(test)]
pub(crate) mod fixture {
    use std::collections::BTreeMap;
    use std::io::{self, Cursor, Read, Seek, SeekFrom};
    use std::sync::Mutex;

    pub(crate) const ROCK_RIDGE: &[u8] =
        include_bytes!("../../tests/fixtures/configdrive/rock-ridge.iso.gz");
    pub(crate) const JOLIET: &[u8] =
        include_bytes!("../../tests/fixtures/configdrive/joliet.iso.gz");
    pub(crate) const FAT: &[u8] = include_bytes!("../../tests/fixtures/configdrive/fat.img.gz");

    pub(crate) const EXT2: &[u8] = include_bytes!("../../tests/fixtures/configdrive/ext2.img.gz");
    pub(crate) const EXT4: &[u8] = include_bytes!("../../tests/fixtures/configdrive/ext4.img.gz");

    pub(crate) fn unpacked(packed: &'static [u8]) -> Vec<u8> {
        static DONE: Mutex<BTreeMap<&[u8], Vec<u8>>> = Mutex::new(BTreeMap::new());
        let mut done = DONE.lock().unwrap();
        done.entry(packed).or_insert_with(|| gunzip(packed)).clone()
    }

    fn gunzip(packed: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(packed);
        decoder.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Returns the files that each config drive holds.
    pub(crate) fn files() -> Vec<(String, Vec<u8>)> {
        let files = [
            ("openstack/content/0000", "x\n"),
            ("openstack/latest/meta_data.json", "{\"uuid\": \"u\"}\n"),
            ("openstack/latest/user_data", "#cloud-config\n"),
        ];
        let owned = |(path, content): (&str, &str)| (path.to_owned(), content.into());
        files.map(owned).to_vec()
    }

    /// Overwrites every occurrence of one text by another of the same length. Returns the number of
    /// occurrences.
    pub(crate) fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) -> usize {
        let found = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old));
        let found: Vec<usize> = found.collect();
        for at in &found {
            bytes[*at..*at + new.len()].copy_from_slice(new);
        }
        found.len()
    }

    /// Returns a directory record (ECMA-119 §9.1) with a name of one byte and a system use area
    /// behind it.
    pub(crate) fn record(
        name: u8,
        (block, bytes): (u32, u32),
        is_directory: bool,
        system: &[u8],
    ) -> Vec<u8> {
        let mut record = vec![0; 33];
        record[2..6].copy_from_slice(&block.to_le_bytes());
        record[10..14].copy_from_slice(&bytes.to_le_bytes());
        record[25] = if is_directory { 2 } else { 0 };
        record[32] = 1;
        record.push(name);
        record.extend(system);
        record.resize(record.len().next_multiple_of(2), 0);
        record[0] = u8::try_from(record.len()).unwrap();
        record
    }

    /// Returns a `CE` entry: the system use area continues at the start of a block.
    pub(crate) fn continued(block: u32, length: u32) -> Vec<u8> {
        let both = |number: u32| [number.to_le_bytes(), number.to_be_bytes()].concat();
        [b"CE\x1c\x01".to_vec(), both(block), both(0), both(length)].concat()
    }

    /// Returns an `NM` entry with a part of a name.
    pub(crate) fn name(part: &[u8]) -> Vec<u8> {
        let length = u8::try_from(part.len() + 5).unwrap();
        [b"NM".as_slice(), &[length, 1, 0], part].concat()
    }

    /// Builds an ISO with empty files in its root that have these Rock Ridge names.
    pub(crate) fn rock_ridge_of(names: &[String]) -> Vec<u8> {
        let system = names.iter().map(|text| name(text.as_bytes()));
        rock_ridge_with(&system.collect::<Vec<_>>())
    }

    /// Builds an ISO with empty files in its root that have these system use areas.
    pub(crate) fn rock_ridge_with(files: &[Vec<u8>]) -> Vec<u8> {
        let mut records = record(0, (18, 0), true, b"SP\x07\x01\xBE\xEF\x00");
        for system in files {
            let file = record(b'F', (0, 0), false, system);
            // No record crosses a sector.
            if records.len() % 2048 + file.len() > 2048 {
                records.resize(records.len().next_multiple_of(2048), 0);
            }
            records.extend(file);
        }
        records.resize(records.len().next_multiple_of(2048), 0);
        let bytes = u32::try_from(records.len()).unwrap();
        let mut image = vec![0; 18 * 2048];
        let primary = &mut image[16 * 2048..17 * 2048];
        primary[..6].copy_from_slice(b"\x01CD001");
        primary[128..130].copy_from_slice(&2048u16.to_le_bytes());
        primary[156..190].copy_from_slice(&record(0, (18, bytes), true, &[]));
        image.extend(records);
        image
    }

    /// Image that counts the bytes read from it.
    #[derive(Debug)]
    pub(crate) struct Counting {
        image: Cursor<Vec<u8>>,
        pub(crate) read: usize,
    }

    impl Counting {
        pub(crate) fn new(image: Vec<u8>) -> Self {
            let image = Cursor::new(image);
            Self { image, read: 0 }
        }
    }

    impl Read for Counting {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let read = self.image.read(into)?;
            self.read += read;
            Ok(read)
        }
    }

    impl Seek for Counting {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.image.seek(to)
        }
    }
}
