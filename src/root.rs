//! Where the machine's file trees begin.
//!
//! `/sys`, `/proc`, `/dev`, `/run` and `/etc` are reached through one [`Root`] value, so that a test points them at a folder
//! of its own and nothing below can touch the machine it runs on.

use std::path::{Path, PathBuf};

/// The folder that stands for `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// The machine's own `/`.
    #[must_use]
    pub fn machine() -> Self {
        Self(PathBuf::from("/"))
    }

    /// A folder that stands for `/`: for tests.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The path below this root: `root.path("sys/class/net")`. A leading `/` is ignored, so the result never leaves the root.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        let below = below.as_ref();
        self.0.join(below.strip_prefix("/").unwrap_or(below))
    }

    /// Where the rescue password's hash is handed from the agent to the ramdisk. The folder is there only where the ramdisk
    /// can make a login of it (IPA: `extensions/rescue.py`).
    #[must_use]
    pub fn rescue_password(&self) -> PathBuf {
        self.path("etc/ipa-rescue-config/ipa-rescue-password")
    }

    /// The mark of a machine that was handed to its owner: no agent may speak on it again.
    #[must_use]
    pub fn rescue_mark(&self) -> PathBuf {
        self.path("etc/.rescued")
    }

    /// The mark of a machine that Ironic locked down: its interfaces stay down until it is switched off.
    #[must_use]
    pub fn lockdown_mark(&self) -> PathBuf {
        self.path("run/ferrite/locked-down")
    }

    /// The mark of a machine that Ironic told to end: which end, and in which boot.
    #[must_use]
    pub fn shutdown_mark(&self) -> PathBuf {
        self.path("run/ferrite/ending")
    }

    /// Whether this is the machine's own `/`.
    #[must_use]
    pub fn is_machine(&self) -> bool {
        self.0 == Path::new("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_slash_stays_below_the_root() {
        let root = Root::at("/tmp/x");
        assert_eq!(root.path("/sys/block"), Path::new("/tmp/x/sys/block"));
        assert_eq!(root.path("sys/block"), Path::new("/tmp/x/sys/block"));
    }
}
