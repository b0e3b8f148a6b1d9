//! Loads kernel modules with all they need, as modprobe(8) does.

use crate::formats::module_index::ModuleIndex;
use crate::progress::Cancel;
use crate::root::Root;
use crate::sys::module;
use nix::errno::Errno;
use nix::sys::utsname::uname;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The modules of the running kernel.
#[derive(Debug)]
pub(in crate::init) struct Loader {
    folder: PathBuf,
    index: ModuleIndex,
}

/// A table of modules cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", .path.display())]
pub(in crate::init) struct TableError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Why a module is not loaded.
#[derive(Debug, thiserror::Error)]
pub(in crate::init) enum LoadError {
    /// The ramdisk has no such module.
    #[error("there is no module {0}")]
    NotFound(String),
    /// The kernel refuses it, or a module that it needs.
    #[error("cannot load {file}")]
    Refused {
        file: String,
        #[source]
        source: io::Error,
    },
}

impl LoadError {
    /// Whether the same may succeed a moment later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::NotFound(_) => false,
            Self::Refused { source, .. } => is_transient(source),
        }
    }
}

impl Loader {
    /// Reads the tables. The kernel is asked for its version, because `/proc` may not be mounted yet.
    ///
    /// # Errors
    /// [`TableError`] when one cannot be read.
    pub(in crate::init) fn open(root: &Root) -> Result<Self, TableError> {
        let kernel = uname().map_err(|error| TableError {
            path: root.path(FOLDER),
            source: error.into(),
        })?;
        let folder = root.path(FOLDER).join(kernel.release());
        let read = |name| read_table(&folder, name);
        let index = ModuleIndex::parse(
            &read("modules.dep")?,
            &read("modules.alias")?,
            &read("modules.softdep")?,
        );
        Ok(Self { folder, index })
    }

    #[cfg(test)]
    pub(super) fn with_index(index: ModuleIndex) -> Self {
        Self {
            folder: PathBuf::new(),
            index,
        }
    }

    /// The tables.
    pub(in crate::init) fn index(&self) -> &ModuleIndex {
        &self.index
    }

    /// Returns another table of the same folder.
    ///
    /// # Errors
    /// [`TableError`] when it cannot be read.
    pub(super) fn table(&self, name: &str) -> Result<String, TableError> {
        read_table(&self.folder, name)
    }

    /// Loads a module and what it needs. A file that answers "busy" is tried a few times: the same module was being loaded by
    /// somebody else, who failed (kernel: `module_patient_check_exists`).
    ///
    /// # Errors
    /// [`LoadError`]; a soft dependency that does not load is none.
    pub(in crate::init) fn load(&self, module: &str) -> Result<(), LoadError> {
        let insert = |file: &Path| module::load(File::open(file)?.as_fd());
        let pause = |pause| {
            let _never = Cancel::default().wait(pause);
        };
        self.load_by(module, insert, pause)
    }

    fn load_by(
        &self,
        module: &str,
        mut insert: impl FnMut(&Path) -> io::Result<()>,
        mut pause: impl FnMut(Duration),
    ) -> Result<(), LoadError> {
        let steps = self.index.steps(module);
        if steps.is_empty() {
            return Err(LoadError::NotFound(module.into()));
        }
        for step in steps {
            let path = self.folder.join(step.file);
            let mut pauses = RETRY_INTERVALS.into_iter();
            let result = loop {
                match insert(&path) {
                    Err(error) if is_transient(&error) => match pauses.next() {
                        Some(interval) => pause(interval),
                        None => break Err(error),
                    },
                    result => break result,
                }
            };
            match result {
                Ok(()) => {}
                Err(source) if step.required => {
                    let file = step.file.into();
                    return Err(LoadError::Refused { file, source });
                }
                Err(error) => {
                    tracing::debug!(module, file = step.file, %error, "a soft dependency did not load");
                }
            }
        }
        Ok(())
    }
}

fn read_table(folder: &Path, name: &str) -> Result<String, TableError> {
    let path = folder.join(name);
    fs::read_to_string(&path).map_err(|source| TableError { path, source })
}

fn is_transient(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EAGAIN | Errno::EBUSY | Errno::EINTR))
}

const FOLDER: &str = "lib/modules";
const RETRY_INTERVALS: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads `xfs` where each file answers as told, and returns the files in the order they were tried, with the result.
    fn load_xfs(
        mut answer: impl FnMut(&str, usize) -> Result<(), Errno>,
    ) -> (Vec<String>, Result<(), String>, Duration) {
        let loader = Loader::with_index(ModuleIndex::parse(
            "xfs.ko: libcrc32c.ko\nlibcrc32c.ko:\ncrc32c_generic.ko:\n",
            "alias crc32c crc32c_generic\n",
            "softdep libcrc32c pre: crc32c\n",
        ));
        let mut tried: Vec<String> = Vec::new();
        let mut waited = Duration::ZERO;
        let insert = |file: &Path| {
            let file = file.to_str().unwrap().to_owned();
            let before = tried.iter().filter(|other| **other == file).count();
            let result = answer(&file, before).map_err(io::Error::from);
            tried.push(file);
            result
        };
        let result = loader
            .load_by("xfs", insert, |pause| waited += pause)
            .map_err(|error| crate::error::chain(&error));
        (tried, result, waited)
    }

    #[test]
    fn a_busy_dependency_is_tried_again() {
        let (tried, result, waited) = load_xfs(|file, before| match (file, before) {
            ("libcrc32c.ko", 0) => Err(Errno::EBUSY),
            ("libcrc32c.ko", 1) => Err(Errno::EAGAIN),
            _ => Ok(()),
        });
        assert_eq!(result, Ok(()));
        assert_eq!(
            tried,
            [
                "crc32c_generic.ko",
                "libcrc32c.ko",
                "libcrc32c.ko",
                "libcrc32c.ko",
                "xfs.ko"
            ]
        );
        assert_eq!(waited, Duration::from_millis(250));
    }

    #[test]
    fn a_dependency_that_stays_busy_ends_the_load_with_its_name() {
        let (tried, result, waited) = load_xfs(|file, _| match file {
            "libcrc32c.ko" => Err(Errno::EBUSY),
            _ => Ok(()),
        });
        let busy = io::Error::from(Errno::EBUSY);
        assert_eq!(result, Err(format!("cannot load libcrc32c.ko: {busy}")));
        assert_eq!(tried.len(), 6);
        assert_eq!(waited, RETRY_INTERVALS.iter().sum::<Duration>());
    }

    #[test]
    fn a_soft_dependency_that_fails_is_passed_over() {
        let (tried, result, _) = load_xfs(|file, _| match file {
            "crc32c_generic.ko" => Err(Errno::ENODEV),
            _ => Ok(()),
        });
        assert_eq!(result, Ok(()));
        assert_eq!(tried, ["crc32c_generic.ko", "libcrc32c.ko", "xfs.ko"]);
    }

    #[test]
    fn an_unknown_module_is_named() {
        let loader = Loader::with_index(ModuleIndex::default());
        let error = loader.load("ntfs").unwrap_err();
        assert_eq!(error.to_string(), "there is no module ntfs");
        assert!(!error.is_transient());
    }
}
