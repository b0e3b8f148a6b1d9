//! The file systems that the kernel offers, at the places where everything looks for them.

use crate::root::Root;
use nix::mount::{MsFlags, mount};
use std::fs;
use std::io;

/// Mounts what needs no module, in order. What fails is told and left out: the rest may be enough.
pub(super) fn mount_all(root: &Root) {
    for point in POINTS {
        point.mount_or_log(root);
    }
}

/// Mounts the firmware's variables where the firmware is UEFI. The kernel loads the module for it.
pub(super) fn mount_firmware_variables(root: &Root) {
    if root.path("sys/firmware/efi").is_dir() {
        FIRMWARE_VARIABLES.mount_or_log(root);
    }
}

struct Point {
    path: &'static str,
    kind: &'static str,
    flags: MsFlags,
    data: &'static str,
}

impl Point {
    fn mount_or_log(&self, root: &Root) {
        if let Err(error) = self.mount(root) {
            tracing::error!(path = self.path, kind = self.kind, %error, "Cannot mount a file system");
        }
    }

    /// A place where it is mounted already is as good.
    fn mount(&self, root: &Root) -> io::Result<()> {
        let path = root.path(self.path);
        // Those below /sys are the kernel's to make, and are there.
        fs::create_dir_all(&path)?;
        match mount(
            Some(self.kind),
            &path,
            Some(self.kind),
            self.flags,
            Some(self.data),
        ) {
            Ok(()) | Err(nix::Error::EBUSY) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

const QUIET: MsFlags = MsFlags::MS_NOSUID
    .union(MsFlags::MS_NODEV)
    .union(MsFlags::MS_NOEXEC);

/// A later one may lie below an earlier one.
const POINTS: &[Point] = &[
    Point {
        path: "/proc",
        kind: "proc",
        flags: QUIET,
        data: "",
    },
    Point {
        path: "/sys",
        kind: "sysfs",
        flags: QUIET,
        data: "",
    },
    Point {
        path: "/dev",
        kind: "devtmpfs",
        flags: MsFlags::MS_NOSUID,
        data: "mode=0755",
    },
    Point {
        path: "/dev/pts",
        kind: "devpts",
        flags: MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC),
        data: "mode=0620,ptmxmode=0666",
    },
    Point {
        path: "/dev/shm",
        kind: "tmpfs",
        flags: QUIET,
        data: "mode=1777",
    },
    Point {
        path: "/run",
        kind: "tmpfs",
        flags: MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV),
        data: "mode=0755",
    },
    Point {
        path: "/tmp",
        kind: "tmpfs",
        flags: MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV),
        data: "mode=1777",
    },
];

const FIRMWARE_VARIABLES: Point = Point {
    path: "/sys/firmware/efi/efivars",
    kind: "efivarfs",
    flags: QUIET,
    data: "",
};
