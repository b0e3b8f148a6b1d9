//! Memory files: they live as long as somebody has them open, and nothing of them is ever on a disk.

use nix::sys::memfd::{MFdFlags, memfd_create};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// An empty one that is closed in programs which are started, and can never be run as one.
pub(super) fn memory_file(name: &CStr) -> io::Result<File> {
    let usual = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    memfd_create(name, usual | MFdFlags::from_bits_retain(NOEXEC_SEAL))
        // Kernels before 6.3 do not know the seal.
        .or_else(|_| memfd_create(name, usual))
        .map(File::from)
        .map_err(io::Error::from)
}

/// A mark that tells whose file it is, and a number after it that changes in one write.
pub(super) struct Header(pub(super) &'static [u8; 8]);

impl Header {
    /// The number; none where the file has another mark or is too short.
    pub(super) fn read(&self, file: &File) -> Option<u64> {
        let mut bytes = [0; 16];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let (mark, number) = bytes.split_first_chunk()?;
        let (number, _) = number.split_first_chunk()?;
        (mark == self.0).then(|| u64::from_le_bytes(*number))
    }

    /// Makes the file empty.
    pub(super) fn begin(&self, file: &File, number: u64) -> io::Result<()> {
        file.set_len(0)?;
        self.write(file, number)
    }

    /// Writes it as a whole.
    pub(super) fn write(&self, file: &File, number: u64) -> io::Result<()> {
        file.write_all_at(self.0, 0)?;
        self.set(file, number)
    }

    pub(super) fn set(&self, file: &File, number: u64) -> io::Result<()> {
        file.write_all_at(&number.to_le_bytes(), 8)
    }
}

/// Where what follows a [`Header`] begins.
pub(super) const AFTER_HEADER: u64 = 16;
/// linux/memfd.h: `MFD_NOEXEC_SEAL`.
const NOEXEC_SEAL: u32 = 8;
