//! Access to an open disk: its node, size and sector, and its bytes.

use super::Error;
use crate::root::Root;
use crate::sys::block;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// An open block device.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    file: File,
    bytes: u64,
    sector: u32,
}

/// Access mode of an open disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read-only.
    Read,
    /// Read and write with exclusive access: the disk is not mounted, in no array, and no partition
    /// of it is in use.
    Write,
}

impl Disk {
    /// Opens a device node.
    ///
    /// # Errors
    /// [`Error::InUse`] with the names of the holders, [`Error::Open`].
    pub fn open(path: &Path, access: Access) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.read(true);
        if access == Access::Write {
            options.write(true).custom_flags(nix::libc::O_EXCL);
        }
        let file = options.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => Error::InUse(path.into(), holders(path)),
            _ => Error::Open(path.into(), error),
        })?;
        let fact = |error| Error::Open(path.into(), error);
        let bytes = block::size(file.as_fd()).map_err(fact)?;
        let sector = block::logical_sector(file.as_fd()).map_err(fact)?;
        Ok(Self {
            path: path.into(),
            file,
            bytes,
            sector,
        })
    }

    /// Returns the path of the device node.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the size of the logical sector in bytes.
    #[must_use]
    pub fn sector(&self) -> u32 {
        self.sector
    }

    /// Returns the open file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Returns the kernel name: `sda`.
    #[must_use]
    pub fn name(&self) -> String {
        kernel_name(&self.path)
    }

    /// Returns a path of the open device itself: it stays valid when another disk gets the name.
    #[must_use]
    pub fn itself(&self) -> PathBuf {
        itself(&self.file)
    }

    /// Flushes everything written to the medium.
    ///
    /// # Errors
    /// [`Error::Write`]: some earlier write did not reach the medium.
    pub fn sync(&self) -> Result<(), Error> {
        self.file
            .sync_all()
            .map_err(|error| Error::Write(self.path.clone(), error))
    }
}

/// Returns a path of an open file itself, to open or mount it once more.
#[must_use]
pub fn itself(open: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()))
}

/// Returns the kernel's name of a device node, links followed.
#[must_use]
pub fn kernel_name(node: &Path) -> String {
    let real = fs::canonicalize(node).unwrap_or_else(|_| node.into());
    let name = real.file_name().unwrap_or_default();
    // The kernel writes a slash in a name as `!` (`cciss!c0d0`).
    name.to_string_lossy().into_owned()
}

/// A range of a disk's bytes, presented as a file.
#[derive(Debug)]
pub struct Window<'a> {
    file: &'a File,
    start: u64,
    length: u64,
    at: u64,
}

impl<'a> Window<'a> {
    /// Covers `length` bytes of `file` from `start`.
    #[must_use]
    pub fn new(file: &'a File, start: u64, length: u64) -> Self {
        Self {
            file,
            start,
            length,
            at: 0,
        }
    }

    fn room(&self, wanted: usize) -> usize {
        let left = self.length.saturating_sub(self.at);
        usize::try_from(left).map_or(wanted, |left| left.min(wanted))
    }

    fn advance(&mut self, bytes: usize) -> usize {
        self.at = self
            .at
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        bytes
    }
}

impl Read for Window<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let room = self.room(into.len());
        let into = into.get_mut(..room).unwrap_or_default();
        let read = self
            .file
            .read_at(into, self.start.saturating_add(self.at))?;
        Ok(self.advance(read))
    }
}

impl Write for Window<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room(bytes.len());
        let bytes = bytes.get(..room).unwrap_or_default();
        let written = self
            .file
            .write_at(bytes, self.start.saturating_add(self.at))?;
        Ok(self.advance(written))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Lists the holders that the kernel has of a device or one of its partitions: `md0`, `dm-1`.
fn holders(node: &Path) -> Vec<String> {
    let device = Root::machine().path(format!("sys/class/block/{}", kernel_name(node)));
    let names = |folder: PathBuf| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let partitions = names(device.clone());
    let mut holders: Vec<String> = std::iter::once(device)
        .chain(partitions)
        .flat_map(|device| names(device.join("holders")))
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    holders.sort();
    holders.dedup();
    holders
}
