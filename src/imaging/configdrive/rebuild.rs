//! Copies a config drive's files to a new FAT file system, for disks whose sectors are larger than
//! the blocks of the original.

use super::paged::Paged;
use crate::formats::ext::{self, Ext};
use crate::formats::fat::{self, Fat};
use crate::formats::iso9660::{self, Iso};
use crate::formats::links::{self, Link};
use crate::formats::safe_name::MAX_DEPTH;
use crate::progress::Cancel;
use crate::storage::disk::{Disk, Window};
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use zeroize::Zeroizing;

/// Path and content of a file.
pub(super) type File = (Vec<String>, Zeroizing<Vec<u8>>);

/// Errors of rebuilding a drive.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the work was cancelled")]
    Cancelled,
    #[error("a FAT file system does not hold its files as they are")]
    Different,
    #[error("its file system cannot be read")]
    Ext(#[source] ext::Error),
    #[error("its file system cannot be read")]
    Fat(#[source] fat::Error),
    #[error("its file system cannot be read")]
    Iso(#[source] iso9660::Error),
    #[error("a file system that does not tell upper from lower case has no place for {0}")]
    SameName(String),
    #[error(
        "it has more than {MAX_FILES} files and links, or its links lead deeper than {MAX_DEPTH} folders"
    )]
    TooManyFiles,
    #[error("it has neither an ISO 9660 nor a FAT nor an ext file system")]
    Unknown,
    #[error("a FAT file system cannot be made of it")]
    Write(#[source] io::Error),
}

/// Files of a drive for a FAT file system.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Files, sorted by path. No two of them have the same name in FAT.
    pub(super) files: Vec<File>,
    /// Paths of files whose names differ from another's only in case.
    pub(super) same_names: Vec<String>,
    /// Paths of symbolic links whose target is no file of the drive.
    pub(super) lost_links: Vec<String>,
}

/// Reads the files of a drive. A symbolic link is replaced by a copy of its target, as when copying
/// to a file system without links.
pub(super) fn files(drive: &[u8], cancel: &Cancel) -> Result<Files, Error> {
    if let Some(mut iso) = Iso::open(Cursor::new(drive)).map_err(Error::Iso)? {
        let (files, links) = iso.tree(cancel).map_err(Error::Iso)?;
        let read = |file: &_, left| iso.read(file, left, cancel).map_err(Error::Iso);
        return read_all(&files, |file| &file.path, &links, read);
    }
    if let Some(mut fat) = Fat::open(Cursor::new(drive)).map_err(Error::Fat)? {
        let files = fat.files(cancel).map_err(Error::Fat)?;
        let read = |file: &_, left| fat.read(file, left, cancel).map_err(Error::Fat);
        return read_all(&files, |file| &file.path, &[], read);
    }
    if let Some(mut ext) = Ext::open(Cursor::new(drive)).map_err(Error::Ext)? {
        let (files, links) = ext.tree(cancel).map_err(Error::Ext)?;
        let read = |file: &_, left| ext.read(file, left, cancel).map_err(Error::Ext);
        return read_all(&files, |file| &file.path, &links, read);
    }
    Err(Error::Unknown)
}

fn read_all<F>(
    files: &[F],
    path_of: impl Fn(&F) -> &[String],
    links: &[Link],
    mut read: impl FnMut(&F, u64) -> Result<Vec<u8>, Error>,
) -> Result<Files, Error> {
    let paths: Vec<&[String]> = files.iter().map(path_of).collect();
    // The count is limited: `fatfs` searches a directory for each file that it creates there.
    let left = MAX_FILES
        .checked_sub(files.len())
        .ok_or(Error::TooManyFiles)?;
    let followed = links::follow(&paths, links, left).map_err(|_| Error::TooManyFiles)?;
    let own = paths.iter().map(|path| path.to_vec()).zip(0..);
    let mut read_files = Vec::new();
    let mut left = MAX_BYTES;
    for (path, number) in own.chain(followed.files) {
        if let Some(file) = files.get(number) {
            let bytes = Zeroizing::new(read(file, left)?);
            left = left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            read_files.push((path, bytes));
        }
    }
    let (files, same_names) = split_links(read_files);
    let lost_links = followed.lost.iter().map(|path| path.join("/"));
    Ok(Files {
        files,
        same_names,
        lost_links: lost_links.collect(),
    })
}

/// Sorts files and removes those whose names collide in FAT; their paths are the second result. Of
/// names that differ only in case the one in lower case stays: cloud-init looks for that.
fn split_links(mut files: Vec<File>) -> (Vec<File>, Vec<String>) {
    let mut known: BTreeMap<(usize, String), Known> = BTreeMap::new();
    let mut same = Vec::new();
    files.sort_by(|one, other| other.0.cmp(&one.0));
    files.retain(|(path, _)| {
        let mut folder = TOP;
        let mut parts = path.iter().map(|name| (name, name.to_uppercase()));
        let mut fresh = None;
        for (name, folded) in parts.by_ref() {
            let place = (folder, folded);
            let Some(other) = known.get(&place) else {
                fresh = Some((name, place.1));
                break;
            };
            if other.name != *name || other.is_file {
                same.push(path.join("/"));
                return false;
            }
            folder = other.number;
        }
        if fresh.is_none() {
            same.push(path.join("/"));
            return false;
        }
        let mut parts = fresh.into_iter().chain(parts).peekable();
        while let Some((name, folded)) = parts.next() {
            let number = known.len() + 1;
            let part = Known {
                name: name.clone(),
                number,
                is_file: parts.peek().is_none(),
            };
            known.insert((folder, folded), part);
            folder = number;
        }
        true
    });
    files.reverse();
    same.sort();
    (files, same)
}

/// A file or folder, which FAT identifies by its folder's number and its name in capitals.
struct Known {
    name: String,
    number: usize,
    is_file: bool,
}

/// Number of the root folder.
const TOP: usize = 0;

/// Formats a partition of zero bytes and copies the files into it.
pub(super) fn write(target: &Disk, files: &[File], cancel: &Cancel) -> Result<(), Error> {
    let window = Window::new(target.file(), 0, target.bytes());
    copy(window, (target.bytes(), target.sector()), files, cancel)?;
    tidy(target, cancel)
}

/// Checks whether a partition has exactly these files, with the FAT reader of this program.
pub(super) fn matches(target: &Disk, files: &[File], cancel: &Cancel) -> Result<bool, Error> {
    let window = Window::new(target.file(), 0, target.bytes());
    let Some(mut fat) = Fat::open(window).map_err(Error::Fat)? else {
        return Ok(false);
    };
    let mut found = fat.files(cancel).map_err(Error::Fat)?;
    found.sort_by(|one, other| one.path.cmp(&other.path));
    if found.len() != files.len() {
        return Ok(false);
    }
    for (found, (path, content)) in found.iter().zip(files) {
        let bytes = fat.read(found, MAX_BYTES, cancel).map_err(Error::Fat)?;
        if found.path != *path || *Zeroizing::new(bytes) != **content {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Formats a device of the given size and sector size in bytes, and copies the files into it.
fn copy(
    mut device: impl Read + Write + Seek,
    (bytes, sector): (u64, u32),
    files: &[File],
    cancel: &Cancel,
) -> Result<(), Error> {
    let failed = Error::Write;
    let sector = u16::try_from(sector).map_err(|error| failed(io::Error::other(error)))?;
    let serial = uuid::Uuid::new_v4().as_fields().0;
    let options = FormatVolumeOptions::new()
        .bytes_per_sector(sector)
        .volume_id(serial)
        .volume_label(*LABEL);
    let mut paged = Paged::new(&mut device, bytes);
    fatfs::format_volume(&mut paged, options).map_err(failed)?;
    let system = FileSystem::new(&mut paged, FsOptions::new()).map_err(failed)?;
    for (path, content) in files {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        put(&system, path, content).map_err(failed)?;
    }
    system.unmount().map_err(failed)?;
    paged.flush().map_err(failed)
}

fn put(
    system: &FileSystem<impl Read + Write + Seek>,
    path: &[String],
    content: &[u8],
) -> io::Result<()> {
    let Some((name, folders)) = path.split_last() else {
        return Ok(());
    };
    let mut folder = system.root_dir();
    for name in folders {
        folder = folder.create_dir(name)?;
    }
    let mut file = folder.create_file(name)?;
    file.write_all(content)?;
    file.flush()
}

/// Removes the long names that `fatfs` gives to each directory's `.` and `..`: these must be its
/// first two entries.
fn tidy(target: &Disk, cancel: &Cancel) -> Result<(), Error> {
    let window = Window::new(target.file(), 0, target.bytes());
    let Some(mut fat) = Fat::open(window).map_err(Error::Fat)? else {
        return Err(Error::Unknown);
    };
    for place in fat.directories(cancel).map_err(Error::Fat)? {
        let mut entries = [[0; 32]; 4];
        let read = target
            .file()
            .read_exact_at(entries.as_flattened_mut(), place);
        read.map_err(Error::Write)?;
        let [_, dot, _, dots] = entries;
        if dot.starts_with(b".  ") && dots.starts_with(b".. ") {
            let tidied = [dot, dots, [DELETED; 32], [DELETED; 32]];
            let written = target.file().write_all_at(tidied.as_flattened(), place);
            written.map_err(Error::Write)?;
        }
    }
    Ok(())
}

/// First byte of an unused directory entry.
const DELETED: u8 = 0xE5;
/// Maximum total size of the files. No drive has more, but a hostile one may name the same bytes
/// many times.
const MAX_BYTES: u64 = 64 << 20;
/// Maximum number of files. No config drive has more. Rebuilding compares each file with the others
/// of its directory.
const MAX_FILES: usize = 256;
const LABEL: &[u8; 11] = b"CONFIG-2   ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::safe_name::fixture;
    use crate::storage::disk::Access;
    use crate::storage::fixture::TestDisk;
    use std::io::SeekFrom;

    /// A device that counts its reads and writes.
    struct Counting {
        device: Cursor<Vec<u8>>,
        calls: usize,
    }

    impl Read for Counting {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.calls += 1;
            self.device.read(into)
        }
    }

    impl Write for Counting {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            self.device.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Counting {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.device.seek(to)
        }
    }

    fn names(count: usize) -> Vec<String> {
        let name = |number| format!("a file of the config drive {number:04}");
        (0..count).map(name).collect()
    }

    fn rebuilt(files: &[File], cancel: &Cancel) -> Result<Counting, Error> {
        const BYTES: usize = 16 << 20;
        let device = Cursor::new(vec![0; BYTES]);
        let mut device = Counting { device, calls: 0 };
        let shape = (u64::try_from(BYTES).unwrap(), 512);
        copy(&mut device, shape, files, cancel)?;
        Ok(device)
    }

    #[test]
    fn the_same_name_in_two_folders_is_two_files() {
        let file = |path: &str| -> File {
            let parts = path.split('/').map(str::to_owned);
            (parts.collect(), Zeroizing::new(Vec::new()))
        };
        let paths = ["a", "y/a", "z/a", "z/b/a"];
        let (files, same) = split_links(paths.map(file).to_vec());
        let found: Vec<_> = files.iter().map(|(path, _)| path.join("/")).collect();
        assert_eq!((found, same), (paths.map(str::to_owned).to_vec(), vec![]));
    }

    #[test]
    fn a_partition_matches_the_same_files_with_the_same_content_alone() {
        let file = |path: &str, content: &[u8]| -> File {
            let parts = path.split('/').map(str::to_owned);
            (parts.collect(), Zeroizing::new(content.to_vec()))
        };
        let disk = TestDisk::new(64, 512, |_| ());
        let target = Disk::open(disk.path(), Access::Write).unwrap();
        let cancel = Cancel::default();
        let found = |files: &[File]| matches(&target, files, &cancel).unwrap();
        let files = [file("a", b"one"), file("z/b", b"two")];
        assert!(!found(&files), "there is no file system");
        write(&target, &files, &cancel).unwrap();
        assert!(found(&files));
        assert!(!found(&files[..1]));
        assert!(!found(&[file("a", b"one"), file("z/b", b"tow")]));
        assert!(!found(&[file("a", b"one"), file("z/c", b"two")]));
    }

    #[test]
    fn as_many_files_as_may_be_are_rebuilt_with_few_reads_and_writes() {
        let cancel = Cancel::default();
        let drive = fixture::rock_ridge_of(&names(MAX_FILES));
        let mut files = files(&drive, &cancel).unwrap().files;
        assert_eq!(files.len(), MAX_FILES);
        // The root of a FAT16 has fewer entries.
        for (path, _) in &mut files {
            path.insert(0, "content".to_owned());
        }
        let device = rebuilt(&files, &cancel).unwrap();
        assert!(device.calls < 50_000, "{} calls", device.calls);
        let mut fat = Fat::open(device.device).unwrap().unwrap();
        assert_eq!(fat.files(&cancel).unwrap().len(), MAX_FILES);
    }

    #[test]
    fn a_drive_of_more_files_is_not_rebuilt() {
        let drive = fixture::rock_ridge_of(&names(MAX_FILES + 1));
        let error = files(&drive, &Cancel::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it has more than 256 files and links, or its links lead deeper than 16 folders"
        );
    }

    #[test]
    fn of_names_that_differ_only_in_case_the_lower_one_stays_and_the_other_is_named() {
        let file = |path: &str| -> File {
            let path = path.split('/').map(str::to_owned).collect();
            (path, Zeroizing::default())
        };
        for (one, other) in [
            ("a/b.txt", "a/B.TXT"),
            ("a/b", "A/c"),
            ("a", "a"),
            ("a", "A/b"),
            ("a/stra\u{df}e", "a/STRASSE"),
        ] {
            let (files, same) = split_links(vec![file(other), file(one)]);
            assert_eq!(files, [file(one)]);
            assert_eq!(same, [other]);
        }
        let different = vec![file("a/b"), file("a/c"), file("b/b")];
        let told_apart = split_links(different.clone());
        assert_eq!(told_apart, (different, vec![]));
    }

    #[test]
    fn a_cancelled_rebuilding_ends_at_the_next_file() {
        let cancel = Cancel::default();
        let files = files(&fixture::rock_ridge_of(&names(2)), &cancel)
            .unwrap()
            .files;
        cancel.cancel();
        assert!(matches!(rebuilt(&files, &cancel), Err(Error::Cancelled)));
    }
}
