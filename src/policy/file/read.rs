//! Reading of trusted policy files.

use super::content::Content;
use super::error::{Error, MAX_LEN};
use super::yaml::parse;
use crate::policy::settings::Found;
use nix::fcntl::OFlag;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{self, Component, Path, PathBuf};

/// Trust check for a file; the error is the reason.
pub(super) type Trust = fn(&Found) -> Result<(), &'static str>;

/// Reads a file's rules.
pub(in crate::policy) fn read(path: &Path, believed: Trust) -> Result<Content, Error> {
    let text = read_text(path, believed)?;
    parse(&text, path).map_err(|(line, reason)| Error::Syntax {
        path: path.to_owned(),
        line,
        reason,
    })
}

/// Reads the text of a trusted file.
pub(in crate::policy) fn read_text(path: &Path, trust: Trust) -> Result<String, Error> {
    let unreadable = |error| Error::unreadable(path, error);
    // Opening a pipe must not block.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(unreadable)?;
    let found = Found::of(&file).map_err(unreadable)?;
    if !found.metadata.is_file() {
        return Err(Error::NotAFile {
            path: path.to_owned(),
        });
    }
    trust(&found).map_err(|reason| Error::Untrusted {
        path: path.to_owned(),
        reason,
    })?;
    let mut bytes = Vec::new();
    file.take(MAX_LEN + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_LEN {
        return Err(Error::TooLarge {
            path: path.to_owned(),
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(valid);
        Error::Syntax {
            path: path.to_owned(),
            line: 1 + before.filter(|byte| **byte == b'\n').count(),
            reason: "this is not UTF-8".to_owned(),
        }
    })
}

/// Refuses a file that an untrusted user can replace, because a folder on its path is writable for
/// that user. Sticky folders such as /tmp are exempt.
pub(super) fn check_folders(path: &Path, believed: Trust) -> Result<(), Error> {
    let unreadable = |error| Error::unreadable(path, error);
    for folder in folders_of(path).map_err(unreadable)? {
        let found = found(&folder).map_err(|error| Error::unreadable(&folder, error))?;
        if found.metadata.mode() & STICKY == 0 {
            believed(&found).map_err(|reason| Error::Untrusted {
                path: folder,
                reason,
            })?;
        }
    }
    Ok(())
}

/// Opens a folder by path alone, so that search permission suffices, and reads its metadata.
pub(super) fn found(folder: &Path) -> io::Result<Found> {
    let mut options = OpenOptions::new();
    let path_alone = (OFlag::O_PATH | OFlag::O_DIRECTORY).bits();
    Found::of(&options.read(true).custom_flags(path_alone).open(folder)?)
}

/// Returns every folder in which the kernel looks up a component of a path, including those of
/// symbolic links (path_resolution(7)).
fn folders_of(path: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut left: Vec<OsString> = parts_of(&path::absolute(path)?);
    let (mut at, mut folders, mut links) = (PathBuf::from("/"), BTreeSet::new(), 0);
    while let Some(part) = left.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        folders.insert(at.clone());
        let next = at.join(&part);
        if !fs::symlink_metadata(&next)?.is_symlink() {
            at = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(io::Error::from_raw_os_error(
                nix::errno::Errno::ELOOP as i32,
            ));
        }
        let target = fs::read_link(&next)?;
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        left.extend(parts_of(&target));
    }
    Ok(folders)
}

/// Returns the components of a path, the last one first.
fn parts_of(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    parts.collect()
}

/// Maximum number of symbolic links, as in the kernel (`MAXSYMLINKS`).
const MAX_LINKS: u32 = 40;

/// `S_ISVTX`: only its owner may rename an entry of the folder.
const STICKY: u32 = 0o1000;
