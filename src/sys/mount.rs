//! Mounting without a place: a file system that is reached by a descriptor alone, and is unmounted by the kernel when the last
//! descriptor is closed, be it because the process was killed (fsopen(2), fsconfig(2), fsmount(2); Linux 5.2).

use nix::NixPath;
use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// A file system that is about to be mounted.
#[derive(Debug)]
pub struct NewMount(OwnedFd);

impl NewMount {
    /// Begins with a file system of this kind.
    ///
    /// # Errors
    /// `ENODEV` where the kernel has no driver for it.
    pub fn of_kind(kind: &str) -> io::Result<Self> {
        let result = kind.with_nix_path(|kind| {
            // SAFETY: the kernel reads a string up to its zero byte, which outlives the call.
            unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), libc::FSOPEN_CLOEXEC) }
        })?;
        descriptor(result).map(Self)
    }

    /// Sets an option that is there or not.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_flag(&self, name: &str) -> io::Result<()> {
        name.with_nix_path(|name| self.configure(libc::FSCONFIG_SET_FLAG, Some(name), None))?
    }

    /// Sets an option, or the device (`source`).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set(&self, name: &str, value: impl AsRef<OsStr>) -> io::Result<()> {
        let set = |name: &CStr, value: &CStr| {
            self.configure(libc::FSCONFIG_SET_STRING, Some(name), Some(value))
        };
        let value = value.as_ref();
        name.with_nix_path(|name| value.with_nix_path(|value| set(name, value)))??
    }

    /// Reads the file system.
    ///
    /// # Errors
    /// `EINVAL` where another kind of file system is on the device, and whatever else the kernel says.
    pub fn create(&self) -> io::Result<()> {
        self.configure(libc::FSCONFIG_CMD_CREATE, None, None)
    }

    /// Mounts it nowhere, with these attributes (`MOUNT_ATTR_…`): its top folder, by which other files are opened.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn mount(self, attributes: u64) -> io::Result<OwnedFd> {
        // SAFETY: the call takes numbers alone, one of which is an open descriptor.
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
        // SAFETY: the kernel reads strings up to their zero byte, which outlive the call, and takes a null pointer where the
        // command wants none.
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
    // SAFETY: a descriptor that the kernel has just made for us.
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
        // Not the place of this process.
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
