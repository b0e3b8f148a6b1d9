//! From a path to a file's rules, if the file may be believed.

use super::content::Content;
use super::error::{Error, LONGEST};
use super::yaml::parse;
use nix::fcntl::OFlag;
use std::fs::{self, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Whether a file may be believed, or why not.
pub(super) type Believed = fn(&Metadata) -> Result<(), &'static str>;

/// Reads a file's rules.
pub(in crate::policy) fn read(path: &Path, believed: Believed) -> Result<Content, Error> {
    let text = read_text(path, believed)?;
    parse(&text, path).map_err(|(line, reason)| Error::Syntax {
        path: path.to_owned(),
        line,
        reason,
    })
}

/// Reads a file.
pub(in crate::policy) fn read_text(path: &Path, believed: Believed) -> Result<String, Error> {
    let unreadable = |error| Error::unreadable(path, error);
    // A pipe must not hold up whoever reads it.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Error::NotAFile {
            path: path.to_owned(),
        });
    }
    believed(&metadata).map_err(|reason| Error::NotBelieved {
        path: path.to_owned(),
        reason,
    })?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
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

/// Whoever may write to a file's folder puts another in its place. Not so where it is sticky, as /tmp is; what is a link, may be
/// replaced in its own folder and in that of the file.
pub(super) fn believe_folders(path: &Path, believed: Believed) -> Result<(), Error> {
    let resolved = fs::canonicalize(path).ok();
    for path in [Some(path), resolved.as_deref()].into_iter().flatten() {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or_else(|| Path::new("."));
        let metadata = fs::metadata(folder).map_err(|error| Error::unreadable(folder, error))?;
        if metadata.mode() & STICKY == 0 {
            believed(&metadata).map_err(|reason| Error::NotBelieved {
                path: folder.to_owned(),
                reason,
            })?;
        }
    }
    Ok(())
}

/// `S_ISVTX`: of what is in a folder, each may be renamed by its owner alone.
const STICKY: u32 = 0o1000;
