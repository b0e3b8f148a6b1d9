//! A file system of somebody else's, mounted for a moment at a place that nobody else knows.
//!
//! Which kind it is the kernel finds out: each that it may be is tried, as mount(8) does. Programs, devices and set-user-ID bits on
//! it have no force.

use crate::root::Root;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Whether the file system may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To look into it.
    Look,
    /// To change it.
    Write,
}

/// Why a file system is not there, or not whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None of the kinds that tenants have.
    #[error("{} holds no file system that can be mounted ({})", .device.display(), tried_in_words(.without_driver))]
    Kind {
        /// The device.
        device: PathBuf,
        /// The kinds for which the kernel has no driver: it may be one of these.
        without_driver: Vec<&'static str>,
    },
    /// The kernel refuses it.
    #[error("{} cannot be mounted as {kind}", .device.display())]
    Mount {
        /// The device.
        device: PathBuf,
        /// As which kind.
        kind: &'static str,
        /// What it says.
        #[source]
        source: io::Error,
    },
    /// The place for it.
    #[error("the place {} for a file system cannot be made", .0.display())]
    Place(PathBuf, #[source] io::Error),
    /// Its changes may not have reached the device.
    #[error("{} does not take all changes", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub struct Mounted {
    device: PathBuf,
    place: Place,
    top: OwnedFd,
}

impl Mounted {
    /// Mounts what is on a device.
    ///
    /// # Errors
    /// [`Error::Kind`] where nothing known is on it.
    pub fn mount(root: &Root, device: &Path, purpose: Purpose) -> Result<Self, Error> {
        let place = Place::new(root)?;
        mount_any_kind(device, &place.0, purpose)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let top = open(&place.0, flags, Mode::empty())
            .map_err(|error| Error::Place(place.0.clone(), error.into()))?;
        Ok(Self {
            device: device.to_owned(),
            place,
            top,
        })
    }

    /// Its top folder.
    #[must_use]
    pub fn top(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// Unmounts it when its changes are on the device.
    ///
    /// # Errors
    /// The device does not take them.
    pub fn unmount(self) -> Result<(), Error> {
        tracing::debug!(device = %self.device.display(), place = %self.place.0.display(), "Unmounting");
        nix::unistd::syncfs(&self.top).map_err(|error| Error::Write(self.device, error.into()))
    }
}

/// A folder to mount on. It goes with what is mounted there.
#[derive(Debug)]
struct Place(PathBuf);

impl Place {
    /// A new one that only root may look into.
    fn new(root: &Root) -> Result<Self, Error> {
        let folder = root.path(FOLDER);
        let place = folder.join(uuid::Uuid::new_v4().to_string());
        let make = |path: &Path| {
            let mut builder = DirBuilder::new();
            builder.mode(0o700).recursive(true).create(path)
        };
        match make(&folder).and_then(|()| make(&place)) {
            Ok(()) => Ok(Self(place)),
            Err(error) => Err(Error::Place(place, error)),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Nothing is mounted there where mounting failed; what is in use goes when its last user has gone.
        let _nothing = umount2(&self.0, MntFlags::MNT_DETACH);
        if let Err(error) = fs::remove_dir(&self.0) {
            tracing::warn!(place = %self.0.display(), %error, "A place to mount stays behind");
        }
    }
}

fn mount_any_kind(device: &Path, place: &Path, purpose: Purpose) -> Result<(), Error> {
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    if purpose == Purpose::Look {
        flags |= MsFlags::MS_RDONLY;
    }
    let mut without_driver = Vec::new();
    for (kind, options) in KINDS {
        match mount(Some(device), place, Some(kind), flags, options) {
            Ok(()) => return Ok(()),
            // It is of another kind.
            Err(Errno::EINVAL) => {}
            Err(Errno::ENODEV) => without_driver.push(kind),
            Err(source) => {
                return Err(Error::Mount {
                    device: device.to_owned(),
                    kind,
                    source: source.into(),
                });
            }
        }
    }
    Err(Error::Kind {
        device: device.to_owned(),
        without_driver,
    })
}

fn tried_in_words(without_driver: &[&str]) -> String {
    let kinds = KINDS.iter().map(|(kind, _)| *kind);
    let tried = kinds.filter(|kind| !without_driver.contains(kind));
    let mut words = format!("tried {}", tried.collect::<Vec<_>>().join(", "));
    if !without_driver.is_empty() {
        words.push_str("; the kernel has no driver for ");
        words.push_str(&without_driver.join(", "));
    }
    words
}

const FOLDER: &str = "run/ferrite/mounted";
/// What tenants' systems and their EFI system partitions are made of, with mount options. The first takes ext2 and ext3, too.
///
/// An ext superblock may ask for a kernel panic at the first error (`errors=panic`); a later option overrides it. XFS shuts down
/// and Btrfs becomes read-only whatever they hold. Logs are replayed even where nothing is to be changed: without, XFS may not
/// show a directory that was made just before the image was taken.
const KINDS: [(&str, Option<&str>); 4] = [
    ("ext4", Some("errors=remount-ro")),
    ("xfs", None),
    ("btrfs", None),
    ("vfat", Some("errors=remount-ro")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fixture::TestDisk;
    use nix::sched::{CloneFlags, unshare};
    use std::process::Command;

    #[test]
    fn kinds_without_a_driver_are_told_from_those_that_were_tried() {
        let error = |without_driver: &[&'static str]| {
            let error = Error::Kind {
                device: "/dev/sdx1".into(),
                without_driver: without_driver.to_vec(),
            };
            error.to_string()
        };
        assert_eq!(
            error(&[]),
            "/dev/sdx1 holds no file system that can be mounted (tried ext4, xfs, btrfs, vfat)"
        );
        assert_eq!(
            error(&["xfs", "btrfs"]),
            "/dev/sdx1 holds no file system that can be mounted (tried ext4, vfat; the kernel has no driver for xfs, btrfs)"
        );
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the file system is a tenant's, made as tenants make it"
    )]
    fn run(program: &str, arguments: &[&str], device: &Path) {
        let done = Command::new(program).args(arguments).arg(device).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{program}: {done:?}");
    }

    /// The options of what is mounted at a place, those of the mount before those of the file system.
    fn options_at(place: &Path) -> String {
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let line = mounts.lines().find(|line| {
            let mut fields = line.split(' ');
            fields.nth(4).map(Path::new) == Some(place)
        });
        let mut fields = line.unwrap().split(' ').skip(5);
        let of_mount = fields.next().unwrap();
        format!("{of_mount};{}", fields.last().unwrap())
    }

    #[test]
    fn a_file_system_that_would_stop_the_kernel_at_an_error_is_mounted_to_become_read_only() {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let disk = TestDisk::new(16, 512, |_| {});
        run(
            "/usr/sbin/mkfs.ext4",
            &["-q", "-F", "-e", "panic"],
            disk.path(),
        );
        // The superblock has room for mount options, too.
        run(
            "/usr/sbin/tune2fs",
            &["-E", "mount_opts=errors=panic"],
            disk.path(),
        );
        for (purpose, access) in [(Purpose::Look, "ro"), (Purpose::Write, "rw")] {
            let mounted = Mounted::mount(&root, disk.path(), purpose).unwrap();
            assert_eq!(
                options_at(&mounted.place.0),
                format!("{access},nosuid,nodev,noexec,relatime;{access},errors=remount-ro")
            );
            mounted.unmount().unwrap();
        }
    }
}
