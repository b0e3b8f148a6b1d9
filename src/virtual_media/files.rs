//! The files of a mounted medium. No link on it leads elsewhere: every path is walked by the kernel with the medium's top as its
//! root (openat2(2), `RESOLVE_IN_ROOT`).

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{SFlag, fstat};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a file of the medium may do to one that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// Nothing, and none is added that was not there: another source is believed.
    Final,
    /// Nothing.
    Kept,
    /// Replace it.
    Replaced,
}

/// What was copied.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// Where the medium's files are now.
    pub(super) files: Vec<PathBuf>,
    /// Those that were not there before.
    created: Vec<PathBuf>,
    /// The medium's files that were not copied, and why.
    pub(super) left_out: Vec<(PathBuf, Cow<'static, str>)>,
}

impl Copied {
    /// Removes what was not there before.
    pub(super) fn undo(self) {
        for path in self.created {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(file = %path.display(), %error, "could not remove a copied file");
            }
        }
    }
}

/// A medium's top folder.
pub(super) struct Medium(OwnedFd);

/// A file or folder of a medium.
enum Found<T> {
    Fine(T),
    /// Nothing is there, or a link that leads nowhere on the medium.
    Missing,
    /// It is something else than what was looked for.
    Unfit(Cow<'static, str>),
}

impl Medium {
    pub(super) fn open(top: &Path) -> io::Result<Self> {
        Ok(Self(File::open(top)?.into()))
    }

    /// A whole file of no more than so many bytes.
    pub(super) fn read(&self, path: &Path, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
        match self.find(path, most)? {
            Found::Fine(bytes) => Ok(bytes),
            Found::Missing => Err(io::ErrorKind::NotFound.into()),
            Found::Unfit(reason) => Err(io::Error::other(reason.into_owned())),
        }
    }

    /// Copies the files of a folder to another. A folder that is not there has no files; what is no plain small file is left out.
    pub(super) fn copy(
        &self,
        from: &Path,
        to: &Path,
        existing: Existing,
        copied: &mut Copied,
    ) -> Result<(), (PathBuf, io::Error)> {
        let names = self
            .names(from)
            .and_then(|names| {
                if !names.is_empty() {
                    fs::create_dir_all(to)?;
                }
                Ok(names)
            })
            .map_err(|error| (to.to_owned(), error))?;
        for name in names {
            let (path, target) = (from.join(&name), to.join(&name));
            let put = self
                .find(&path, MAX_FILE_LEN)
                .and_then(|found| match found {
                    Found::Fine(bytes) => put(&bytes, &target, existing, copied),
                    Found::Missing => Ok(Err("the link leads nowhere on the medium".into())),
                    Found::Unfit(reason) => Ok(Err(reason)),
                });
            match put {
                Ok(Ok(())) => copied.files.push(target),
                Ok(Err(reason)) => copied.left_out.push((path, reason)),
                Err(error) => return Err((target, error)),
            }
        }
        Ok(())
    }

    /// The names in a folder, sorted.
    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let opened = self.open_at(folder, OFlag::O_RDONLY | OFlag::O_DIRECTORY);
        let directory = match opened {
            Ok(directory) => directory,
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut names = Vec::new();
        for entry in Dir::from_fd(directory)?.iter() {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name == "." || name == ".." {
                continue;
            }
            if names.len() == MAX_FILES {
                tracing::warn!(folder = %folder.display(), files = MAX_FILES, "left further files of the virtual media out");
                break;
            }
            names.push(name);
        }
        names.sort();
        Ok(names)
    }

    fn find(&self, path: &Path, most: usize) -> io::Result<Found<Zeroizing<Vec<u8>>>> {
        // A device, a pipe is not opened, only looked at.
        let metadata = match self.open_at(path, OFlag::O_PATH) {
            Ok(place) => fstat(place)?,
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(Found::Missing),
            Err(error) => return Err(error.into()),
        };
        if SFlag::from_bits_truncate(metadata.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Ok(Found::Unfit("it is no file".into()));
        }
        let size = usize::try_from(metadata.st_size).unwrap_or(usize::MAX);
        if size > most {
            let reason = format!("it has more than {} KiB", most >> 10);
            return Ok(Found::Unfit(reason.into()));
        }
        let mut bytes = Zeroizing::new(vec![0; size]);
        File::from(self.open_at(path, OFlag::O_RDONLY)?).read_exact(&mut bytes)?;
        Ok(Found::Fine(bytes))
    }

    fn open_at(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&self.0, path, how)
    }
}

/// Writes a file, or says why not.
fn put(
    bytes: &[u8],
    target: &Path,
    existing: Existing,
    copied: &mut Copied,
) -> io::Result<Result<(), Cow<'static, str>>> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    match existing {
        Existing::Replaced => options.create(true).truncate(true),
        Existing::Final | Existing::Kept => {
            match fs::read(target) {
                Ok(own) if own == bytes => return Ok(Ok(())),
                Ok(_) => return Ok(Err("the ramdisk has another file of this name".into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            if existing == Existing::Final {
                return Ok(Err(
                    "the agent is configured by another source, and no ir_pub_id names this medium's publisher".into(),
                ));
            }
            options.create_new(true)
        }
    };
    let mut file = options.open(target)?;
    if existing == Existing::Kept {
        copied.created.push(target.to_owned());
    }
    file.write_all(bytes).map(Ok)
}

const MAX_FILE_LEN: usize = 1 << 20;
const MAX_FILES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    struct Lab {
        folder: TempDir,
        medium: Medium,
    }

    impl Lab {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join("medium/etc/agent")).unwrap();
            let medium = Medium::open(&folder.path().join("medium")).unwrap();
            Self { folder, medium }
        }

        fn at(&self, path: &str) -> PathBuf {
            self.folder.path().join(path)
        }

        fn write(&self, path: &str, content: impl AsRef<[u8]>) {
            fs::write(self.at(path), content).unwrap();
        }

        fn copy(&self, existing: Existing) -> Vec<String> {
            let names = |files: Vec<PathBuf>| {
                let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
                files.into_iter().map(name).collect()
            };
            names(self.copied(existing).files)
        }

        fn copied(&self, existing: Existing) -> Copied {
            let mut copied = Copied::default();
            self.medium
                .copy(
                    Path::new("etc/agent"),
                    &self.at("to"),
                    existing,
                    &mut copied,
                )
                .unwrap();
            copied
        }
    }

    #[test]
    fn what_is_no_configuration_is_left_out_and_the_rest_is_copied() {
        let lab = Lab::new();
        lab.write("medium/etc/agent/a.conf", "[DEFAULT]");
        lab.write("medium/etc/agent/full", vec![0; MAX_FILE_LEN]);
        lab.write("medium/etc/agent/large", vec![0; MAX_FILE_LEN + 1]);
        fs::create_dir(lab.at("medium/etc/agent/policy.d")).unwrap();
        nix::unistd::mkfifo(
            &lab.at("medium/etc/agent/pipe"),
            nix::sys::stat::Mode::S_IRWXU,
        )
        .unwrap();
        symlink("/etc/hostname", lab.at("medium/etc/agent/away")).unwrap();
        symlink("../../../outside", lab.at("medium/etc/agent/above")).unwrap();
        symlink("loop", lab.at("medium/etc/agent/loop")).unwrap();
        lab.write("outside", "no");
        assert_eq!(lab.copy(Existing::Replaced), ["a.conf", "full"]);
        assert_eq!(fs::read_dir(lab.at("to")).unwrap().count(), 2);
    }

    #[test]
    fn links_that_stay_on_the_medium_are_followed() {
        let lab = Lab::new();
        lab.write("medium/ca.crt", "PEM");
        symlink("../../ca.crt", lab.at("medium/etc/agent/relative")).unwrap();
        symlink("/ca.crt", lab.at("medium/etc/agent/absolute")).unwrap();
        assert_eq!(lab.copy(Existing::Replaced), ["absolute", "relative"]);
        for name in ["absolute", "relative"] {
            assert_eq!(fs::read_to_string(lab.at("to").join(name)).unwrap(), "PEM");
        }
        // A folder above, too, and never by way of what is outside.
        fs::rename(lab.at("medium/etc"), lab.at("medium/real")).unwrap();
        symlink("/real", lab.at("medium/etc")).unwrap();
        assert_eq!(lab.copy(Existing::Replaced), ["absolute", "relative"]);
    }

    #[test]
    fn further_files_than_may_be_are_left_out() {
        let lab = Lab::new();
        for number in 0..=MAX_FILES {
            lab.write(&format!("medium/etc/agent/{number}"), "");
        }
        assert_eq!(lab.copy(Existing::Replaced).len(), MAX_FILES);
    }

    #[test]
    fn a_medium_that_nothing_vouches_for_replaces_no_file() {
        let lab = Lab::new();
        fs::create_dir(lab.at("to")).unwrap();
        lab.write("to/a", "own");
        lab.write("to/b", "same");
        for name in ["a", "b", "c"] {
            lab.write(&format!("medium/etc/agent/{name}"), "same");
        }
        assert_eq!(lab.copy(Existing::Final), ["b"]);
        assert!(!lab.at("to/c").exists());
        lab.copied(Existing::Kept).undo();
        assert!(lab.at("to/b").exists() && !lab.at("to/c").exists());
        assert_eq!(lab.copy(Existing::Kept), ["b", "c"]);
        assert_eq!(fs::read_to_string(lab.at("to/a")).unwrap(), "own");
        assert_eq!(lab.copy(Existing::Replaced), ["a", "b", "c"]);
        assert_eq!(fs::read_to_string(lab.at("to/a")).unwrap(), "same");
    }

    #[test]
    fn a_folder_that_is_not_there_or_no_folder_has_no_files() {
        let lab = Lab::new();
        fs::remove_dir(lab.at("medium/etc/agent")).unwrap();
        assert_eq!(lab.copy(Existing::Replaced), [""; 0]);
        lab.write("medium/etc/agent", "");
        assert_eq!(lab.copy(Existing::Replaced), [""; 0]);
        assert!(!lab.at("to").exists());
    }
}
