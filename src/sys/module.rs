//! Kernel modules: hands a file to the kernel.

use nix::kmod::{ModuleInitFlags, finit_module};
use std::io;
use std::os::fd::BorrowedFd;

/// Loads the module in `file`. One that is loaded already is no error.
///
/// # Errors
/// What the kernel or the module's own start says, for instance that there is no such device.
pub fn load(file: BorrowedFd<'_>) -> io::Result<()> {
    match finit_module(file, c"", ModuleInitFlags::empty()) {
        Ok(()) | Err(nix::Error::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
