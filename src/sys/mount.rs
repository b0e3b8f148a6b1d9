//! Detached mounts, accessible by a descriptor alone (fsopen(2), fsconfig(2), fsmount(2); Linux
//! 5.2).
//!
//! The kernel unmounts the file system when the last descriptor is closed, even if the process was
//! killed.

use nix::NixPath;
use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// Configuration of a file system before it is mounted.
#[derive(Debug)]
pub struct NewMount(OwnedFd);

impl NewMount {
    /// Creates a configuration for a file system type.
    ///
    /// # Errors
    /// `ENODEV` if the kernel has no driver for this type.
    pub fn of_kind(kind: &str) -> io::Result<Self> {
        let result = kind.with_nix_path(|kind| {
            // SAFETY: the kernel reads a string up to its zero byte, which outlives the call.
            unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), libc::FSOPEN_CLOEXEC) }
        })?;
        descriptor(result).map(Self)
    }

    /// Sets an option that has no value.
    ///
    /// # Errors
    /// The kernel's error, for instance for an unknown option.
    pub fn set_flag(&self, name: &str) -> io::Result<()> {
        name.with_nix_path(|name| self.configure(libc::FSCONFIG_SET_FLAG, Some(name), None))?
    }

    /// Sets an option with a value, or the device (`source`).
    ///
    /// # Errors
    /// The kernel's error, for instance for an invalid value.
    pub fn set(&self, name: &str, value: impl AsRef<OsStr>) -> io::Result<()> {
        let set = |name: &CStr, value: &CStr| {
            self.configure(libc::FSCONFIG_SET_STRING, Some(name), Some(value))
        };
        let value = value.as_ref();
        name.with_nix_path(|name| value.with_nix_path(|value| set(name, value)))??
    }

    /// Reads the file system's superblock from the device.
    ///
    /// # Errors
    /// `EINVAL` if the device holds another type of file system; otherwise the kernel's error.
    pub fn create(&self) -> io::Result<()> {
        self.configure(libc::FSCONFIG_CMD_CREATE, None, None)
    }

    /// Creates a detached mount with these attributes (`MOUNT_ATTR_…`). Returns a descriptor of its
    /// root directory, for `openat`.
    ///
    /// # Errors
    /// The kernel's error, for instance if [`Self::create`] was not called.
    pub fn mount(self, attributes: u64) -> io::Result<OwnedFd> {
        // SAFETY: the call takes only numbers, one of which is an open descriptor.
        let result = unsafe {
            libc::syscall(
                libc::SYS_fsmount,
                self.0.as_raw_fd(),
                libc::FSMOUNT_CLOEXEC,
                attributes,
            )
        };
        descriptor(result)
    }

    fn configure(&self, command: u32, name: Option<&CStr>, value: Option<&CStr>) -> io::Result<()> {
        let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: the kernel reads strings up to their zero byte, which outlive the call, and takes
        // a null pointer if the command needs no string.
        let result = unsafe {
            libc::syscall(
                libc::SYS_fsconfig,
                self.0.as_raw_fd(),
                command,
                pointer(name),
                pointer(value),
                0,
            )
        };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    let descriptor = i32::try_from(result).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the kernel has just created; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{OFlag, openat};
    use nix::sys::stat::Mode;
    use std::fs;
    use std::io::Read;

    #[test]
    fn a_file_system_is_mounted_nowhere_and_reached_by_its_descriptor() {
        let before = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let mount = NewMount::of_kind("tmpfs").expect("a mount (needs root)");
        mount.set_flag("ro").unwrap();
        mount.set("size", "64k").unwrap();
        mount.create().unwrap();
        let top = mount.mount(libc::MOUNT_ATTR_NOEXEC).unwrap();
        let after = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        assert_eq!(before, after);
        let seen = nix::sys::statvfs::fstatvfs(&top).unwrap();
        assert_eq!(seen.blocks() * seen.fragment_size(), 64 << 10);
        let made = openat(&top, "file", OFlag::O_CREAT, Mode::S_IRWXU);
        assert_eq!(made.unwrap_err(), nix::Error::EROFS);
        // `.` is the root of the mount, not the working directory of this process.
        let mut folder = fs::File::from(openat(&top, ".", OFlag::O_RDONLY, Mode::empty()).unwrap());
        assert!(folder.read(&mut [0]).is_err());
    }

    #[test]
    fn what_the_kernel_refuses_is_told() {
        let code = |result: io::Result<()>| result.unwrap_err().raw_os_error();
        let unknown = NewMount::of_kind("ferritefs").map(drop);
        assert_eq!(code(unknown), Some(libc::ENODEV));
        let mount = NewMount::of_kind("tmpfs").expect("a mount (needs root)");
        assert_eq!(code(mount.set("size", "x")), Some(libc::EINVAL));
        assert_eq!(code(mount.mount(0).map(drop)), Some(libc::EINVAL));
    }
}
