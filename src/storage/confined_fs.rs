//! File operations confined to an untrusted directory tree.
//!
//! The kernel resolves every path with the tree's top as its root (openat2(2), `RESOLVE_IN_ROOT`).
//! Neither `..` nor a symbolic link, absolute or not, leads out of it. Only plain files are
//! written: a pipe or a device in their place is refused.

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// Attributes of a written file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permissions. A new file's default is 0644, independent of this process's umask; an existing
    /// file's default is no change.
    pub mode: Option<u32>,
    /// Permissions of the folder, if it is created for the file; 0755 by default.
    pub folder_mode: Option<u32>,
    /// Owner of the file.
    pub owner: Option<u32>,
    /// Group of the file.
    pub group: Option<u32>,
}

/// Failed operation on a path of the tree.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}", .path.display())]
pub struct Error {
    what: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Checks whether a path is a folder, directly or by a link within the tree.
#[must_use]
pub fn is_folder(top: BorrowedFd<'_>, path: &Path) -> bool {
    folder(top, path).is_ok()
}

/// Writes a file and creates its missing parent folders.
///
/// # Errors
/// [`Error`]: the file may then be missing or incomplete.
pub fn write(
    top: BorrowedFd<'_>,
    path: &Path,
    bytes: &[u8],
    attributes: Attributes,
) -> Result<(), Error> {
    let path = below_top(path);
    let because = |what| {
        move |source: io::Error| Error {
            what,
            path: path.to_owned(),
            source,
        }
    };
    if let Some(parent) = path.parent() {
        make_folders(top, parent, attributes.folder_mode).map_err(because("make the folder of"))?;
    }
    let (mut file, is_new) = open_plain(top, path).map_err(because("open"))?;
    let fill = |file: &mut File| {
        file.set_len(0)?;
        file.write_all(bytes)
    };
    fill(&mut file).map_err(because("write"))?;
    let (owner, group) = (
        attributes.owner.map(Uid::from_raw),
        attributes.group.map(Gid::from_raw),
    );
    if owner.is_some() || group.is_some() {
        fchown(&file, owner, group).map_err(|error| because("give away")(error.into()))?;
    }
    // After the change of owner, which clears set-user-ID bits.
    if let Some(mode) = attributes.mode.or_else(|| is_new.then_some(NEW_FILE)) {
        fchmod(&file, mode_of(mode))
            .map_err(|error| because("change the permissions of")(error.into()))?;
    }
    file.sync_all().map_err(because("write"))
}

/// Deletes a file. A missing file is no error.
///
/// # Errors
/// The file cannot be deleted: it is a folder, for example.
pub fn delete(top: BorrowedFd<'_>, path: &Path) -> Result<(), Error> {
    let path = below_top(path);
    let unlink = || {
        let parent = folder(top, path.parent().unwrap_or(path))?;
        let name = path.file_name().ok_or(Errno::EISDIR)?;
        unlinkat(parent, name, UnlinkatFlags::NoRemoveDir)
    };
    match unlink() {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(Error {
            what: "delete",
            path: path.to_owned(),
            source: error.into(),
        }),
    }
}

/// Makes a path relative to the top. A relative path is unchanged; `.` is the top itself.
fn below_top(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn how(flags: OFlag) -> OpenHow {
    OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS)
}

fn folder(top: BorrowedFd<'_>, path: &Path) -> nix::Result<OwnedFd> {
    let path = below_top(path);
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    openat2(top, path, how(OFlag::O_RDONLY | OFlag::O_DIRECTORY))
}

/// Creates missing folders. Only the last one gets `mode`, if it is created here.
fn make_folders(top: BorrowedFd<'_>, path: &Path, mode: Option<u32>) -> io::Result<()> {
    let mut done = PathBuf::new();
    let mut parent = folder(top, &done)?;
    for part in path.components() {
        let Component::Normal(name) = part else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        done.push(name);
        parent = match folder(top, &done) {
            Err(Errno::ENOENT) => {
                mkdirat(&parent, name, mode_of(NEW_FOLDER))?;
                let made = folder(top, &done)?;
                let wanted = mode.filter(|_| done == path);
                // The folder retains a set-group-ID bit inherited from its parent.
                let inherited = fstat(&made)?.st_mode & Mode::S_ISGID.bits();
                let mode = wanted.unwrap_or(NEW_FOLDER | inherited);
                fchmod(&made, mode_of(mode))?;
                made
            }
            next => next?,
        };
    }
    Ok(())
}

/// Opens or creates a plain file, and returns whether it was created. Does not wait for a pipe's
/// other end.
fn open_plain(top: BorrowedFd<'_>, path: &Path) -> io::Result<(File, bool)> {
    let flags = OFlag::O_WRONLY | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    // `O_EXCL` cannot detect this: it does not follow a link to a file that is to be created.
    let (file, is_new) = match openat2(top, path, how(flags)) {
        Err(Errno::ENOENT) => {
            let make = how(flags | OFlag::O_CREAT).mode(mode_of(NEW_FILE));
            (openat2(top, path, make)?, true)
        }
        file => (file?, false),
    };
    let file = File::from(file);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    Ok((file, is_new))
}

fn mode_of(mode: u32) -> Mode {
    Mode::from_bits_truncate(mode)
}

const NEW_FILE: u32 = 0o644;
const NEW_FOLDER: u32 = 0o755;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::chain;
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use tempfile::TempDir;

    /// A tree inside a folder whose other files must not change.
    struct Lab {
        folder: TempDir,
        top: File,
    }

    impl Lab {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("tree")).unwrap();
            fs::create_dir(folder.path().join("outside")).unwrap();
            fs::write(folder.path().join("outside/file"), "untouched").unwrap();
            let top = File::open(folder.path().join("tree")).unwrap();
            Self { folder, top }
        }

        fn at(&self, path: &str) -> PathBuf {
            self.folder.path().join("tree").join(path)
        }

        fn write(&self, path: &str, text: &str) -> Result<(), String> {
            let path = Path::new(path);
            let attributes = Attributes::default();
            write(self.top.as_fd(), path, text.as_bytes(), attributes)
                .map_err(|error| chain(&error))
        }

        fn text(&self, path: &str) -> String {
            fs::read_to_string(self.at(path)).unwrap()
        }

        fn mode(&self, path: &str) -> u32 {
            fs::metadata(self.at(path)).unwrap().permissions().mode() & 0o7777
        }

        fn assert_outside_untouched(&self) {
            let outside = self.folder.path().join("outside");
            assert_eq!(
                fs::read_to_string(outside.join("file")).unwrap(),
                "untouched"
            );
            assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
            assert_eq!(fs::read_dir(self.folder.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn a_file_is_written_with_its_folders_and_permissions() {
        let lab = Lab::new();
        let attributes = Attributes {
            mode: Some(0o4750),
            folder_mode: Some(0o700),
            owner: Some(nix::unistd::getuid().as_raw()),
            group: Some(nix::unistd::getgid().as_raw()),
        };
        let path = Path::new("/etc/app/conf.d/a.conf");
        write(lab.top.as_fd(), path, b"one", attributes).unwrap();
        assert_eq!(lab.text("etc/app/conf.d/a.conf"), "one");
        let modes = ["etc/app", "etc/app/conf.d", "etc/app/conf.d/a.conf"].map(|p| lab.mode(p));
        assert_eq!(modes, [0o755, 0o700, 0o4750]);

        // An existing folder retains its permissions: they may be deliberate.
        let attributes = Attributes {
            folder_mode: Some(0o777),
            ..Attributes::default()
        };
        write(lab.top.as_fd(), path, b"2", attributes).unwrap();
        assert_eq!(lab.text("etc/app/conf.d/a.conf"), "2");
        assert_eq!(lab.mode("etc/app/conf.d"), 0o700);
    }

    /// Ferrite's systemd unit has a umask that removes all permissions of others.
    #[test]
    fn no_umask_takes_permissions_from_what_is_made() {
        let lab = Lab::new();
        symlink("/run/made", lab.at("link")).unwrap();
        fs::create_dir(lab.at("run")).unwrap();
        fs::create_dir(lab.at("shared")).unwrap();
        let set_group = fs::Permissions::from_mode(0o2770);
        fs::set_permissions(lab.at("shared"), set_group).unwrap();
        lab.write("old", "").unwrap();
        fs::set_permissions(lab.at("old"), fs::Permissions::from_mode(0o600)).unwrap();
        nix::sys::stat::umask(Mode::from_bits_truncate(0o077));
        for path in ["etc/conf.d/a", "old", "link", "shared/x/y"] {
            lab.write(path, "1").unwrap();
        }
        let modes = [
            ("etc", 0o755),
            ("etc/conf.d", 0o755),
            ("etc/conf.d/a", 0o644),
            ("old", 0o600),
            ("run/made", 0o644),
            ("shared", 0o2770),
            ("shared/x", 0o2755),
            ("shared/x/y", 0o644),
        ];
        assert_eq!(modes.map(|(path, _)| (path, lab.mode(path))), modes);
    }

    #[test]
    fn links_of_the_tree_lead_nowhere_else() {
        let lab = Lab::new();
        let outside = lab.folder.path().join("outside");
        symlink(&outside, lab.at("absolute")).unwrap();
        symlink("../outside", lab.at("relative")).unwrap();
        symlink(outside.join("file"), lab.at("file")).unwrap();
        symlink("/etc", lab.at("config")).unwrap();
        fs::create_dir(lab.at("etc")).unwrap();
        for path in ["absolute/x", "relative/x", "file"] {
            let error = lab.write(path, "mine").unwrap_err();
            assert!(error.starts_with("cannot "), "{error}");
            assert!(!is_folder(lab.top.as_fd(), Path::new(path)));
        }
        for path in ["absolute/file", "relative/file"] {
            delete(lab.top.as_fd(), Path::new(path)).unwrap();
        }
        lab.write("config/motd", "mine").unwrap();
        assert_eq!(lab.text("etc/motd"), "mine");
        lab.assert_outside_untouched();
        // The link itself is deleted, not its target.
        delete(lab.top.as_fd(), Path::new("/file")).unwrap();
        assert!(fs::symlink_metadata(lab.at("file")).is_err());
        lab.assert_outside_untouched();
    }

    #[test]
    fn two_dots_stay_at_the_top() {
        let lab = Lab::new();
        for path in [
            "../outside/file",
            "/../outside/file",
            "a/../../outside/file",
        ] {
            assert!(lab.write(path, "mine").is_err(), "{path}");
            delete(lab.top.as_fd(), Path::new(path)).unwrap();
        }
        lab.assert_outside_untouched();
    }

    #[test]
    fn what_is_no_plain_file_is_not_written() {
        let lab = Lab::new();
        nix::unistd::mkfifo(&lab.at("pipe"), Mode::S_IRWXU).unwrap();
        fs::create_dir(lab.at("folder")).unwrap();
        for path in ["pipe", "folder", "folder/"] {
            let error = lab.write(path, "mine").unwrap_err();
            assert!(error.starts_with("cannot open "), "{error}");
        }
        // Even with a reader at the other end.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
        let _reader = nix::fcntl::open(&lab.at("pipe"), flags, Mode::empty()).unwrap();
        let error = lab.write("pipe", "mine").unwrap_err();
        assert_eq!(error, "cannot open pipe: it is no plain file");
    }

    #[test]
    fn a_file_is_deleted_once_and_a_folder_not_at_all() {
        let lab = Lab::new();
        lab.write("a/b", "x").unwrap();
        for _ in 0..2 {
            delete(lab.top.as_fd(), Path::new("/a/b")).unwrap();
        }
        let error = delete(lab.top.as_fd(), Path::new("/a")).unwrap_err();
        assert_eq!(error.to_string(), "cannot delete a");
        assert!(is_folder(lab.top.as_fd(), Path::new("/a")));
        assert!(is_folder(lab.top.as_fd(), Path::new("/")));
    }
}
