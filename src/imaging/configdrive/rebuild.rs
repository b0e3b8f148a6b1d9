//! A config drive's files in a new FAT file system, for disks whose sectors are larger than the blocks of the original.

use crate::formats::fat::{self, Fat};
use crate::formats::iso9660::{self, Iso};
use crate::storage::disk::{Disk, Window};
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use std::io::{self, Cursor, Write};
use std::os::unix::fs::FileExt;
use zeroize::Zeroizing;

/// A file: its path and content.
pub(super) type File = (Vec<String>, Zeroizing<Vec<u8>>);

/// Why a drive cannot be rebuilt.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("its file system is damaged")]
    Fat(#[source] fat::Error),
    #[error("its file system is damaged")]
    Iso(#[source] iso9660::Error),
    #[error("it has neither an ISO 9660 nor a FAT file system")]
    Unknown,
    #[error("a FAT file system cannot be made of it")]
    Write(#[source] io::Error),
}

/// The files of a drive, sorted by path.
pub(super) fn files(drive: &[u8]) -> Result<Vec<File>, Error> {
    let mut files = Vec::new();
    let mut left = MOST_BYTES;
    if let Some(mut iso) = Iso::open(Cursor::new(drive)).map_err(Error::Iso)? {
        for file in iso.files().map_err(Error::Iso)? {
            let bytes = iso.read(&file, left).map_err(Error::Iso)?;
            left -= file.bytes;
            files.push((file.path, Zeroizing::new(bytes)));
        }
    } else if let Some(mut fat) = Fat::open(Cursor::new(drive)).map_err(Error::Fat)? {
        for file in fat.files().map_err(Error::Fat)? {
            let bytes = fat.read(&file, left).map_err(Error::Fat)?;
            left -= file.bytes;
            files.push((file.path, Zeroizing::new(bytes)));
        }
    } else {
        return Err(Error::Unknown);
    }
    files.sort_by(|one: &File, other| one.0.cmp(&other.0));
    Ok(files)
}

/// Formats a partition, whose bytes are all zero, and copies the files into it.
pub(super) fn write(target: &Disk, files: &[File]) -> Result<(), Error> {
    copy(target, files).map_err(Error::Write)?;
    tidy(target)
}

/// Whether a partition holds exactly these files, read by our own reader.
pub(super) fn matches(target: &Disk, files: &[File]) -> Result<bool, Error> {
    let window = Window::new(target.file(), 0, target.bytes());
    let Some(mut fat) = Fat::open(window).map_err(Error::Fat)? else {
        return Ok(false);
    };
    let mut found = fat.files().map_err(Error::Fat)?;
    found.sort_by(|one, other| one.path.cmp(&other.path));
    if found.len() != files.len() {
        return Ok(false);
    }
    for (found, (path, content)) in found.iter().zip(files) {
        let bytes = fat.read(found, MOST_BYTES).map_err(Error::Fat)?;
        if found.path != *path || *Zeroizing::new(bytes) != **content {
            return Ok(false);
        }
    }
    Ok(true)
}

fn copy(target: &Disk, files: &[File]) -> io::Result<()> {
    let sector = u16::try_from(target.sector()).map_err(io::Error::other)?;
    let serial = uuid::Uuid::new_v4().as_fields().0;
    let options = FormatVolumeOptions::new()
        .bytes_per_sector(sector)
        .volume_id(serial)
        .volume_label(*LABEL);
    let window = || Window::new(target.file(), 0, target.bytes());
    fatfs::format_volume(window(), options)?;
    let system = FileSystem::new(window(), FsOptions::new())?;
    for (path, content) in files {
        let Some((name, folders)) = path.split_last() else {
            continue;
        };
        let mut folder = system.root_dir();
        for name in folders {
            folder = folder.create_dir(name)?;
        }
        let mut file = folder.create_file(name)?;
        file.write_all(content)?;
        file.flush()?;
    }
    system.unmount()
}

/// Takes away the long names that `fatfs` gives to each directory's `.` and `..`: they have to be its first two entries.
fn tidy(target: &Disk) -> Result<(), Error> {
    let window = Window::new(target.file(), 0, target.bytes());
    let Some(mut fat) = Fat::open(window).map_err(Error::Fat)? else {
        return Err(Error::Unknown);
    };
    for place in fat.directories().map_err(Error::Fat)? {
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

/// The first byte of a directory's unused entry.
const DELETED: u8 = 0xE5;
/// No drive holds more; a hostile one may name the same bytes many times.
const MOST_BYTES: u64 = 64 << 20;
const LABEL: &[u8; 11] = b"CONFIG-2   ";
