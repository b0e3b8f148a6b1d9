//! What a program says of its policy: where files are, who may have written them, and what holds without them.

use nix::sys::statfs::{Statfs, fstatfs};
use nix::sys::statvfs::fstatvfs;
use std::fs::{File, Metadata};
use std::io;
use std::path::PathBuf;

/// A file of a policy, or a folder by which it is found.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is, whose, and who may write to it.
    pub metadata: Metadata,
    /// What it lies on: device numbers do not tell (btrfs and overlayfs have none of a disk's).
    pub file_system: Statfs,
    /// Which one that is: all files of a stack of others (overlayfs) have its identifier.
    pub file_system_id: u64,
}

impl Found {
    /// Looks at what is open.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        Ok(Self {
            metadata: file.metadata()?,
            file_system: fstatfs(file)?,
            file_system_id: fstatvfs(file)?.filesystem_id(),
        })
    }
}

/// Where policies are, and how they are read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a rule was before it was replaced is not allowed besides.
    pub enforce_new_defaults: bool,
    /// A token of another scope than a rule is for is refused.
    pub enforce_scope: bool,
    /// The rule that stands for those that do not exist; empty for none.
    pub default_rule: String,
    /// Rules in the place of the program's, which files replace: names and what they are.
    pub option_rules: Vec<(&'static str, &'static str)>,
    /// Whether a file or a folder with files may be believed; the reason why not is told.
    pub is_trusted: fn(&Found) -> Result<(), &'static str>,
    /// Files that must be there.
    pub files: Vec<PathBuf>,
    /// Directories with more files, which are read after those in the order of their names. They must be there, too: where one goes,
    /// what it said holds on.
    pub directories: Vec<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enforce_new_defaults: true,
            enforce_scope: true,
            default_rule: "default".to_owned(),
            option_rules: Vec::new(),
            is_trusted: |_| Ok(()),
            files: Vec::new(),
            directories: Vec::new(),
        }
    }
}
