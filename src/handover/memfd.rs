//! Memory files: they exist while a process has them open, and never touch a disk.

use nix::sys::memfd::{MFdFlags, memfd_create};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Creates an empty memory file that is close-on-exec and not executable.
pub(super) fn memory_file(name: &CStr) -> io::Result<File> {
    let usual = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    memfd_create(name, usual | MFdFlags::from_bits_retain(NOEXEC_SEAL))
        // Kernels before 6.3 do not support the seal.
        .or_else(|_| memfd_create(name, usual))
        .map(File::from)
        .map_err(io::Error::from)
}

/// Header of a memory file: a magic value for its type, and a number that changes in one write.
pub(super) struct Header(pub(super) &'static [u8; 8]);

impl Header {
    /// Returns the number, or `None` if the file has another magic value or is too short.
    pub(super) fn read(&self, file: &File) -> Option<u64> {
        let mut bytes = [0; 16];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let (mark, number) = bytes.split_first_chunk()?;
        let (number, _) = number.split_first_chunk()?;
        (mark == self.0).then(|| u64::from_le_bytes(*number))
    }

    /// Truncates the file and writes the header.
    pub(super) fn begin(&self, file: &File, number: u64) -> io::Result<()> {
        file.set_len(0)?;
        self.write(file, number)
    }

    /// Writes the whole header.
    pub(super) fn write(&self, file: &File, number: u64) -> io::Result<()> {
        file.write_all_at(self.0, 0)?;
        self.set(file, number)
    }

    pub(super) fn set(&self, file: &File, number: u64) -> io::Result<()> {
        file.write_all_at(&number.to_le_bytes(), 8)
    }
}

/// Offset of the content after a [`Header`].
pub(super) const AFTER_HEADER: u64 = 16;
/// linux/memfd.h: `MFD_NOEXEC_SEAL`.
const NOEXEC_SEAL: u32 = 8;
