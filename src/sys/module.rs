//! Loads kernel modules from files.

use nix::kmod::{ModuleInitFlags, finit_module};
use std::io;
use std::os::fd::BorrowedFd;

/// Loads the module in `file`. A module that is loaded already is no error.
///
/// # Errors
/// The error of the kernel or of the module's init function, for instance that the device does not
/// exist.
pub fn load(file: BorrowedFd<'_>) -> io::Result<()> {
    match finit_module(file, c"", ModuleInitFlags::empty()) {
        Ok(()) | Err(nix::Error::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
