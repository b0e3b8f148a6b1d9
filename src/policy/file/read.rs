//! From a path to a file's rules, if the file may be believed.

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

/// Whether a file may be believed, or why not.
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

/// Reads a file.
pub(in crate::policy) fn read_text(path: &Path, trust: Trust) -> Result<String, Error> {
    let unreadable = |error| Error::unreadable(path, error);
    // A pipe must not hold up whoever reads it.
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

/// Refuses a file that somebody can put another in the place of: whoever may write to a folder by which it is found. Not so where
/// that is sticky, as /tmp is.
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

/// Looks at a folder, which need not be one that can be read.
pub(super) fn found(folder: &Path) -> io::Result<Found> {
    let mut options = OpenOptions::new();
    let path_alone = (OFlag::O_PATH | OFlag::O_DIRECTORY).bits();
    Found::of(&options.read(true).custom_flags(path_alone).open(folder)?)
}

/// Returns every folder in which the kernel looks up a part of a path, those of its links included (path_resolution(7)).
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

/// The parts of a path, the last one first.
fn parts_of(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    parts.collect()
}

/// As many as the kernel follows (`MAXSYMLINKS`).
const MAX_LINKS: u32 = 40;

/// `S_ISVTX`: of what is in a folder, each may be renamed by its owner alone.
const STICKY: u32 = 0o1000;
