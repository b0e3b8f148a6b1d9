//! Detection of changed policy files by their metadata.

use super::error::Error;
use super::read::{Trust, found};
use crate::policy::settings::Settings;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Metadata of a file that changes with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct FileStamp {
    pub(in crate::policy) path: PathBuf,
    /// Device, inode, size, and seconds and nanoseconds of the last status change; `None` if the
    /// file does not exist.
    state: Option<[i128; 5]>,
}

/// Returns the stamps of all policy files, in the order they are read.
pub(in crate::policy) fn traces(settings: &Settings) -> Result<Vec<FileStamp>, Error> {
    let mut paths: Vec<PathBuf> = settings.files.clone();
    for directory in &settings.directories {
        paths.extend(files_of(directory, settings.is_trusted)?);
    }
    let traces = paths.into_iter().map(|path| {
        let state = match fs::metadata(&path) {
            Ok(metadata) => Some([
                metadata.dev().into(),
                metadata.ino().into(),
                metadata.size().into(),
                metadata.ctime().into(),
                metadata.ctime_nsec().into(),
            ]),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::unreadable(&path, error)),
        };
        Ok(FileStamp { path, state })
    });
    traces.collect()
}

/// Returns the files of a directory, sorted by name, without subdirectories and hidden files
/// (`_walk_through_policy_directory`).
fn files_of(directory: &Path, trust: Trust) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(directory).map_err(|error| Error::unreadable(directory, error))?;
    let found = found(directory).map_err(|error| Error::unreadable(directory, error))?;
    trust(&found).map_err(|reason| Error::Untrusted {
        path: directory.to_owned(),
        reason,
    })?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::unreadable(directory, error))?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let path = entry.path();
        if !is_hidden && !path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
