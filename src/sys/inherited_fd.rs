//! Passes file descriptors to child processes, and takes over inherited ones.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Starts a program that inherits these descriptors under their numbers.
///
/// They are close-on-exec again afterwards. Callers must not start two programs at once, or the
/// other program inherits them too.
///
/// # Errors
/// `fcntl` failed, or the error of `start`.
pub fn started_with<T>(
    files: &[BorrowedFd<'_>],
    start: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let set = |flags| {
        let mut files = files.iter();
        files.try_for_each(|file| fcntl(file, FcntlArg::F_SETFD(flags)).map(drop))
    };
    let started = set(FdFlag::empty())
        .map_err(io::Error::from)
        .and_then(|()| start());
    set(FdFlag::FD_CLOEXEC)?;
    started
}

/// Takes ownership of an inherited descriptor and sets close-on-exec.
///
/// Call it once for each number that the parent process named, before opening anything else.
///
/// # Errors
/// No descriptor with this number is open, or it is a standard stream.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: borrowed for one call, which fails if no such descriptor is open.
    let inherited = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(inherited, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open, and by the contract above nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::os::fd::{AsFd, AsRawFd, IntoRawFd};

    fn closed_in_programs(file: BorrowedFd<'_>) -> bool {
        fcntl(file, FcntlArg::F_GETFD).unwrap() & FdFlag::FD_CLOEXEC.bits() != 0
    }

    #[test]
    fn a_descriptor_is_inherited_by_the_one_program_alone() {
        let file = memfd_create(c"test", MFdFlags::MFD_CLOEXEC).unwrap();
        started_with(&[file.as_fd()], || {
            assert!(!closed_in_programs(file.as_fd()));
            Ok(())
        })
        .unwrap();
        assert!(closed_in_programs(file.as_fd()));
    }

    #[test]
    fn a_descriptor_is_taken_once_and_closed_in_programs() {
        let number = memfd_create(c"test", MFdFlags::empty())
            .unwrap()
            .into_raw_fd();
        let taken = take(number).unwrap();
        assert_eq!(taken.as_raw_fd(), number);
        assert!(closed_in_programs(taken.as_fd()));
    }

    #[test]
    fn what_is_not_there_and_standard_streams_are_not_taken() {
        for number in [-1, 0, 2, 1 << 20] {
            assert!(take(number).is_err(), "{number}");
        }
    }
}
