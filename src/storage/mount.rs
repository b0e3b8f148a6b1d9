//! Temporary mounts of untrusted file systems. A mount has no path, only a descriptor. So the
//! kernel unmounts it when this process exits for any reason, and the next process can open the
//! disk exclusively.
//!
//! The kernel detects the kind of file system: each possible kind is tried, as mount(8) does.
//! Programs, devices and set-user-ID bits on it have no effect. The system calls need Linux 5.2;
//! `confined_fs`, which resolves the paths of such a file system, needs 5.6.

use super::disk::{Access, Disk, Window, kernel_name};
use crate::formats::probe;
use crate::root::Root;
use crate::sys::mount::NewMount;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Access to the mounted file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Read-only access.
    Read,
    /// Read and write access.
    Write,
}

/// Errors of mounting and unmounting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The device is a member of an array, such as half of a mirror: a change here would not reach
    /// the other members.
    #[error("{} is not mounted: {} belongs to an array", .device.display(), .member.display())]
    Array {
        /// Path of the device.
        device: PathBuf,
        /// The array member: the device, or the disk that it is a partition of.
        member: PathBuf,
    },
    /// The file system is of none of the supported kinds.
    #[error("{} holds no file system that can be mounted ({})", .device.display(), tried_in_words(.without_driver))]
    Kind {
        /// Path of the device.
        device: PathBuf,
        /// Kinds for which the kernel has no driver: the file system may be one of these.
        without_driver: Vec<&'static str>,
    },
    /// The kernel refused the mount.
    #[error("{} cannot be mounted as {kind}", .device.display())]
    Mount {
        /// Path of the device.
        device: PathBuf,
        /// Attempted kind of file system.
        kind: &'static str,
        /// Error from the kernel.
        #[source]
        source: io::Error,
    },
    /// Probing for array membership failed.
    #[error(transparent)]
    Probe(#[from] super::Error),
    /// Changes may not have reached the device.
    #[error("{} does not take all changes", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

/// A mounted file system, unmounted when dropped and when the process exits.
#[derive(Debug)]
pub struct MountGuard {
    device: PathBuf,
    // Closed before the mount, which is busy until then.
    top: OwnedFd,
    _mount: OwnedFd,
}

impl MountGuard {
    /// Mounts the file system on a device that is not a member of an array.
    ///
    /// # Errors
    /// [`Error::Kind`] where the device has no supported file system.
    pub fn mount(root: &Root, device: &Disk, purpose: Purpose) -> Result<Self, Error> {
        refuse_member(root, device)?;
        let (kind, mount) = mount_any_kind(device, purpose)?;
        // The mount's own descriptor is a path (`O_PATH`), which cannot flush anything to the
        // device.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let top = openat(&mount, ".", flags, Mode::empty()).map_err(|error| Error::Mount {
            device: device.path().to_owned(),
            kind,
            source: error.into(),
        })?;
        Ok(Self {
            device: device.path().to_owned(),
            top,
            _mount: mount,
        })
    }

    /// Returns the top folder.
    #[must_use]
    pub fn top(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// Unmounts the file system after its changes are on the device.
    ///
    /// # Errors
    /// [`Error::Write`]: the changes could not be flushed.
    pub fn unmount(self) -> Result<(), Error> {
        tracing::debug!(device = %self.device.display(), "Unmounting");
        nix::unistd::syncfs(&self.top).map_err(|error| Error::Write(self.device, error.into()))
    }
}

/// Refuses members of Linux arrays, and partitions of disks that are members. With the superblock
/// at its end, a member looks from its beginning like a plain file system or disk.
fn refuse_member(root: &Root, device: &Disk) -> Result<(), Error> {
    let disk = disk_of(root, device.path())
        .map(|disk| Disk::open(&disk, Access::Read))
        .transpose()?;
    for member in [Some(device), disk.as_ref()].into_iter().flatten() {
        let mut bytes = Window::new(member.file(), 0, member.bytes());
        let is_member = probe::is_md_member(&mut bytes, member.bytes());
        if is_member.map_err(|error| super::Error::Read(member.path().to_owned(), error))? {
            return Err(Error::Array {
                device: device.path().to_owned(),
                member: member.path().to_owned(),
            });
        }
    }
    Ok(())
}

/// Returns the node of the disk that a device is a partition of.
fn disk_of(root: &Root, device: &Path) -> Option<PathBuf> {
    let folder = root.path(format!("sys/class/block/{}", kernel_name(device)));
    if !folder.join("partition").exists() {
        return None;
    }
    let disk = fs::canonicalize(folder).ok()?;
    let disk = disk.parent()?.file_name()?;
    if !root.path("sys/class/block").join(disk).exists() {
        return None;
    }
    Some(fs::canonicalize(device).ok()?.with_file_name(disk))
}

/// Mounts the device and returns its kind and the mount.
fn mount_any_kind(device: &Disk, purpose: Purpose) -> Result<(&'static str, OwnedFd), Error> {
    let mut without_driver = Vec::new();
    for (kind, options) in KINDS {
        let new = match NewMount::of_kind(kind) {
            Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => {
                without_driver.push(kind);
                continue;
            }
            new => new,
        };
        match new.and_then(|new| mount(new, device, purpose, options)) {
            Ok(mount) => return Ok((kind, mount)),
            // The file system is of another kind.
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {}
            Err(source) => {
                return Err(Error::Mount {
                    device: device.path().to_owned(),
                    kind,
                    source,
                });
            }
        }
    }
    Err(Error::Kind {
        device: device.path().to_owned(),
        without_driver,
    })
}

fn mount(
    new: NewMount,
    device: &Disk,
    purpose: Purpose,
    options: &[(&str, &str)],
) -> io::Result<OwnedFd> {
    let mut attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    // Another device may have its name by now.
    new.set("source", device.itself())?;
    if purpose == Purpose::Read {
        new.set_flag("ro")?;
        attributes |= libc::MOUNT_ATTR_RDONLY;
    }
    for (name, value) in options {
        new.set(name, value)?;
    }
    new.create()?;
    new.mount(attributes)
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

/// Kinds of file systems in tenants' systems and their EFI system partitions, with mount options.
/// The first entry also mounts ext2 and ext3.
///
/// An ext superblock may request a kernel panic at the first error (`errors=panic`); a later option
/// overrides it. XFS shuts down and Btrfs becomes read-only, independent of their contents. Logs
/// are replayed even for read-only access. Without the replay, XFS may not show a directory that
/// was created just before the image was taken.
const KINDS: [(&str, &[(&str, &str)]); 4] = [
    ("ext4", &[("errors", "remount-ro")]),
    ("xfs", &[]),
    ("btrfs", &[]),
    ("vfat", &[("errors", "remount-ro")]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::guid::Guid;
    use crate::storage::fixture::TestDisk;
    use crate::storage::{self, partition};
    use std::io::{BufRead, BufReader};
    use std::process::Command;

    fn mounted(device: &Path, purpose: Purpose) -> Result<MountGuard, Error> {
        let open = Disk::open(device, Access::Read).unwrap();
        MountGuard::mount(&Root::machine(), &open, purpose)
    }

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

    /// Creates a file system that requests a kernel panic at the first error, in both ways of its
    /// superblock.
    fn hostile_disk() -> TestDisk {
        let disk = TestDisk::new(16, 512, |_| {});
        run(
            "/usr/sbin/mkfs.ext4",
            &["-q", "-F", "-e", "panic"],
            disk.path(),
        );
        // The superblock can also hold mount options.
        run(
            "/usr/sbin/tune2fs",
            &["-E", "mount_opts=errors=panic"],
            disk.path(),
        );
        disk
    }

    #[test]
    fn a_file_system_that_would_stop_the_kernel_at_an_error_is_mounted_to_become_read_only() {
        use nix::sys::statvfs::{FsFlags, fstatvfs};
        let disk = hostile_disk();
        let told = format!("/proc/fs/ext4/{}/options", kernel_name(disk.path()));
        let harmless = FsFlags::ST_NOSUID | FsFlags::ST_NODEV | FsFlags::ST_NOEXEC;
        for (purpose, access, flags) in [
            (Purpose::Read, "ro", harmless | FsFlags::ST_RDONLY),
            (Purpose::Write, "rw", harmless),
        ] {
            let mounted = mounted(disk.path(), purpose).unwrap();
            let known = harmless | FsFlags::ST_RDONLY;
            assert_eq!(fstatvfs(mounted.top()).unwrap().flags() & known, flags);
            let options = fs::read_to_string(&told).unwrap();
            let options = options.lines();
            let options = options.filter(|option| option.contains("errors=") || option.len() == 2);
            let options: Vec<_> = options.collect();
            assert_eq!(options, [access, "errors=remount-ro"]);
            mounted.unmount().unwrap();
            assert!(!Path::new(&told).exists(), "it is unmounted");
        }
    }

    /// This test executable also acts as the agent: a second instance mounts and waits for its end.
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a process that is killed has to be another one"
    )]
    fn what_a_killed_agent_had_mounted_keeps_nobody_from_the_disk() {
        const DEVICE: &str = "FERRITE_TEST_MOUNT";
        if let Some(device) = std::env::var_os(DEVICE) {
            let _mounted = mounted(Path::new(&device), Purpose::Write).unwrap();
            println!("\nmounted");
            loop {
                std::thread::park();
            }
        }
        let name =
            "storage::mount::tests::what_a_killed_agent_had_mounted_keeps_nobody_from_the_disk";
        let disk = hostile_disk();
        let mut agent = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(DEVICE, disk.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(agent.stdout.take().unwrap()).lines();
        let mounted = lines.map_while(Result::ok).find(|line| line == "mounted");
        assert!(mounted.is_some(), "{:?}", agent.wait());
        let busy = Disk::open(disk.path(), Access::Write).unwrap_err();
        assert!(matches!(busy, storage::Error::InUse(..)), "{busy}");
        agent.kill().unwrap();
        agent.wait().unwrap();
        Disk::open(disk.path(), Access::Write).unwrap();
    }

    #[test]
    fn a_member_of_an_array_is_not_mounted_and_neither_is_a_partition_of_one() {
        // Version 1.0 is at the end: the front has the array's contents.
        let superblock = [0xFC, 0x4E, 0x2B, 0xA9, 1, 0, 0, 0];
        let refusal = |disk: &TestDisk, device: &Path| {
            let error = mounted(device, Purpose::Read).unwrap_err();
            let shown = error.to_string();
            shown.replace(&disk.path().display().to_string(), "DISK")
        };
        let of_partition = TestDisk::gpt(40, 512, &[(Guid::LINUX_DATA, 1, 16)]);
        let partition = partition::node(of_partition.path(), 1);
        run("/usr/sbin/mkfs.ext4", &["-q", "-F"], &partition);
        mounted(&partition, Purpose::Read).unwrap();
        of_partition.write((17 << 20) - 8192, &superblock);
        assert_eq!(
            refusal(&of_partition, &partition),
            "DISKp1 is not mounted: DISKp1 belongs to an array"
        );
        let of_disk = TestDisk::gpt(40, 512, &[(Guid::LINUX_DATA, 1, 16)]);
        let partition = partition::node(of_disk.path(), 1);
        run("/usr/sbin/mkfs.ext4", &["-q", "-F"], &partition);
        of_disk.write((40 << 20) - 8192, &superblock);
        assert_eq!(
            refusal(&of_disk, &partition),
            "DISKp1 is not mounted: DISK belongs to an array"
        );
    }

    #[test]
    fn the_disk_of_a_partition_is_the_one_that_sysfs_shows() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let disk = root.path("sys/devices/block/sdx");
        for partition in [disk.join("sdx1"), root.path("sys/class/block/sdy1")] {
            fs::create_dir_all(&partition).unwrap();
            fs::write(partition.join("partition"), "1\n").unwrap();
        }
        symlink(&disk, root.path("sys/class/block/sdx")).unwrap();
        symlink(disk.join("sdx1"), root.path("sys/class/block/sdx1")).unwrap();
        fs::create_dir(root.path("dev")).unwrap();
        let nodes = ["sdx", "sdx1", "sdy1"].map(|name| root.path("dev").join(name));
        for node in &nodes {
            fs::write(node, "").unwrap();
        }
        let of = |node: &PathBuf| disk_of(&root, node);
        let known = fs::canonicalize(&nodes[0]).unwrap();
        assert_eq!(nodes.each_ref().map(of), [None, Some(known), None]);
    }
}
