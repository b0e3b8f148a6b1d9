//! Settings of a program's policy: its files, the trust check for them, and the rules without
//! files.

use nix::sys::statfs::{Statfs, fstatfs};
use nix::sys::statvfs::fstatvfs;
use std::fs::{File, Metadata};
use std::io;
use std::path::PathBuf;

/// Metadata of a policy file, or of a folder on the path to it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Type, owner and mode.
    pub metadata: Metadata,
    /// File system that holds the file. Device numbers do not identify one: those of btrfs and
    /// overlayfs are anonymous, not a disk's.
    pub file_system: Statfs,
    /// Identifier of that file system. All files of a stacked file system (overlayfs) share it.
    pub file_system_id: u64,
}

impl Found {
    /// Reads the metadata of an open file.
    ///
    /// # Errors
    /// The kernel's error of `fstat`, `fstatfs` or `fstatvfs`.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        Ok(Self {
            metadata: file.metadata()?,
            file_system: fstatfs(file)?,
            file_system_id: fstatvfs(file)?.filesystem_id(),
        })
    }
}

/// Location of the policies, and how they are read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether the deprecated form of a rule is no longer allowed besides the new one.
    pub enforce_new_defaults: bool,
    /// Whether a token whose scope is not among a rule's scope types is refused.
    pub enforce_scope: bool,
    /// Name of the rule that is evaluated in place of a missing one; empty for none.
    pub default_rule: String,
    /// Overrides of the program's defaults by options, as name and check; files override them in
    /// turn.
    pub option_rules: Vec<(&'static str, &'static str)>,
    /// Trust check for a policy file or a folder on its path. The error is the reason, which is
    /// reported.
    pub is_trusted: fn(&Found) -> Result<(), &'static str>,
    /// Files that must exist.
    pub files: Vec<PathBuf>,
    /// Directories with further files, read after `files` and sorted by name. They must exist: if
    /// one disappears, the policy that was loaded from it stays in force.
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
