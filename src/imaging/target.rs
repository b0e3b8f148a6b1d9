//! Access to the target disk: large writes past the page cache, and zeroing by the device's own
//! means.

use super::buffer::{ALIGNMENT, Buffer};
use crate::storage::disk;
use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// An opened disk (or, in tests, a file of the disk's size).
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    size: u64,
    /// File for unaligned pieces, through the page cache.
    cached: File,
    /// File past the page cache, so that written data never fills the memory of a small machine.
    direct: Option<File>,
    /// Bytes in the page cache since the last flush.
    dirty: u64,
    /// Whether each of the next flushes fails, as on a failing device.
    #[cfg(test)]
    failing_flushes: std::collections::VecDeque<bool>,
    /// Methods of the kernel to zero that have not failed yet, the cheapest first.
    means: Vec<FallocateFlags>,
}

impl Target {
    /// Opens a disk exclusively: the kernel refuses one that is mounted or part of an array.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Open {
            device: path.to_owned(),
            source,
        };
        let open = |flags| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_EXCL | libc::O_CLOEXEC | flags)
                .open(path)
        };
        let mut cached = open(0).map_err(failed)?;
        let kind = cached.metadata().map_err(failed)?.file_type();
        if !kind.is_block_device() && !kind.is_file() {
            return Err(Error::NotADisk(path.to_owned()));
        }
        let size = cached.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            size,
            direct: direct(&cached),
            cached,
            dirty: 0,
            #[cfg(test)]
            failing_flushes: std::collections::VecDeque::new(),
            means: vec![PUNCH, ZERO_RANGE],
        })
    }

    #[cfg(test)]
    pub(super) fn fail_flushes(&mut self, which: &[bool]) {
        self.failing_flushes = which.iter().copied().collect();
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the open file, to check that it is the intended disk.
    pub(super) fn file(&self) -> &File {
        &self.cached
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let aligned = bytes.len() - bytes.len() % ALIGNMENT;
        let (middle, rest) = bytes.split_at(aligned);
        self.write_aligned(offset, middle)
            .and_then(|()| self.write_cached(offset + length(middle), rest))
            .map_err(|source| Error::Write {
                device: self.path.clone(),
                offset,
                source,
            })
    }

    fn write_aligned(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let page = length(&[0; ALIGNMENT]);
        let fits = offset.is_multiple_of(page) && bytes.as_ptr().addr().is_multiple_of(ALIGNMENT);
        let Some(direct) = self.direct.as_ref().filter(|_| fits) else {
            return self.write_cached(offset, bytes);
        };
        match direct.write_all_at(bytes, offset) {
            Err(error) => {
                tracing::debug!(device = %self.path.display(), %error, "a direct write failed: writing through the page cache");
                self.direct = None;
                self.write_cached(offset, bytes)
            }
            Ok(()) => Ok(()),
        }
    }

    fn write_cached(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.cached.write_all_at(bytes, offset)?;
        self.dirty += length(bytes);
        if self.dirty > MAX_DIRTY {
            self.flush_page_cache()?;
        }
        Ok(())
    }

    fn flush_page_cache(&mut self) -> io::Result<()> {
        self.cached.sync_data()?;
        // Only advice: otherwise the data stays in memory until the kernel needs the space.
        let _ = posix_fadvise(&self.cached, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        self.dirty = 0;
        Ok(())
    }

    /// Zeroes a range if the device can do that without writing. The device deallocates the blocks,
    /// if it guarantees zeroes for deallocated blocks. Returns `false` if it cannot, or fails.
    ///
    /// For a block device the kernel implements a hole-punching `fallocate` by
    /// `blkdev_issue_zeroout` with `BLKDEV_ZERO_NOFALLBACK` (block/fops.c). It uses only the
    /// device's own command, and only if zeroes are guaranteed.
    pub(super) fn punch(&mut self, offset: u64, length: u64) -> bool {
        self.allocate(PUNCH, offset, length)
    }

    /// Zeroes a range: by the device's own means, by writes of the kernel, or by writes here.
    pub(super) fn zero(&mut self, offset: u64, length: u64) -> Result<(), Error> {
        if self.punch(offset, length) || self.allocate(ZERO_RANGE, offset, length) {
            return Ok(());
        }
        self.write_zeroes(offset, length)
    }

    fn write_zeroes(&mut self, offset: u64, length: u64) -> Result<(), Error> {
        // Allocated on demand: as a constant it was an eighth of the whole program.
        let zeroes = Buffer::zeroes(size(length).min(ZEROES));
        let mut done = 0;
        while done < length {
            let now = size(length - done).min(ZEROES);
            let piece = zeroes.bytes().get(..now).unwrap_or_default();
            self.write(offset + done, piece)?;
            done += self::length(piece);
        }
        Ok(())
    }

    /// Zeroes a range by a method of the kernel and returns whether it succeeded. After any failure
    /// the zeroes can be written instead; a relevant error then recurs. A failed method is not
    /// retried, because a device may need half a minute to fail.
    fn allocate(&mut self, way: FallocateFlags, offset: u64, length: u64) -> bool {
        let (Ok(from), Ok(count)) = (i64::try_from(offset), i64::try_from(length)) else {
            return false;
        };
        if !self.means.contains(&way) {
            return false;
        }
        match fallocate(
            &self.cached,
            way | FallocateFlags::FALLOC_FL_KEEP_SIZE,
            from,
            count,
        ) {
            Ok(()) => true,
            // The range is not in whole sectors: others may be.
            Err(nix::Error::EINVAL) => false,
            Err(error) => {
                tracing::debug!(device = %self.path.display(), ?way, %error, "the device does not zero this way");
                self.means.retain(|known| *known != way);
                false
            }
        }
    }

    /// Flushes everything written to the medium.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        let written = self.flush_page_cache();
        let flushed = match &self.direct {
            Some(direct) => direct.sync_all(),
            None => self.cached.sync_all(),
        };
        // Both are always called: each file stores an error until it is reported.
        let done = written.and(flushed);
        #[cfg(test)]
        let done = match self.failing_flushes.pop_front() {
            Some(true) => Err(io::Error::from_raw_os_error(libc::EIO)),
            Some(false) | None => done,
        };
        done.map_err(|source| Error::Sync {
            device: self.path.clone(),
            source,
        })
    }
}

/// Opens the same disk past the page cache; `None` where direct writes are unsupported, which is no
/// error. Without `O_EXCL`, because the first file has the claim. Not by its name, which may be
/// another disk's by now.
fn direct(cached: &File) -> Option<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_DIRECT | libc::O_CLOEXEC)
        .open(disk::itself(cached))
        .ok()
}

/// Errors of the target disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path is neither a disk nor a file.
    #[error("{} is not a disk", .0.display())]
    NotADisk(PathBuf),
    /// The disk cannot be opened exclusively.
    #[error("opening {} for exclusive writing", device.display())]
    Open {
        /// Path of the disk.
        device: PathBuf,
        /// Error from the kernel.
        #[source]
        source: io::Error,
    },
    /// Written data did not reach the medium.
    #[error("syncing {}", device.display())]
    Sync {
        /// Path of the disk.
        device: PathBuf,
        /// Error from the kernel.
        #[source]
        source: io::Error,
    },
    /// The image is larger than the disk.
    #[error("the image needs {needed} bytes but {} has {size}; choose a larger disk (root device hints) or a smaller image", device.display())]
    TooSmall {
        /// Path of the disk.
        device: PathBuf,
        /// Size of the image in bytes, as far as it is known.
        needed: u64,
        /// Size of the disk in bytes.
        size: u64,
    },
    /// A write failed.
    #[error("writing to {} at byte {offset}", device.display())]
    Write {
        /// Path of the disk.
        device: PathBuf,
        /// Offset of the write on the disk.
        offset: u64,
        /// Error from the kernel.
        #[source]
        source: io::Error,
    },
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn size(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

const PUNCH: FallocateFlags = FallocateFlags::FALLOC_FL_PUNCH_HOLE;
const ZERO_RANGE: FallocateFlags = FallocateFlags::FALLOC_FL_ZERO_RANGE;
/// Maximum of dirty bytes in the page cache before a flush.
const MAX_DIRTY: u64 = 16 << 20;
/// Bytes of zeroes per write.
const ZEROES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroes_are_written_where_the_device_has_no_other_means() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let disk = vec![OLD; 3 * ZEROES];
        std::fs::write(&path, &disk).unwrap();
        let (offset, length) = (4096, 2 * ZEROES + 1234);
        Target::open(&path)
            .unwrap()
            .write_zeroes(4096, self::length(&disk[..length]))
            .unwrap();
        let mut expected = disk;
        expected[offset..offset + length].fill(0);
        assert!(std::fs::read(&path).unwrap() == expected);
    }

    /// Creates a disk of `OLD` bytes whose kernel returns `EBADF` to every `fallocate`: its file is
    /// open only for reading.
    fn without_means(path: &Path, bytes: usize) -> Target {
        std::fs::write(path, vec![OLD; bytes]).unwrap();
        let direct = OpenOptions::new().write(true).open(path).unwrap();
        Target {
            cached: File::open(path).unwrap(),
            direct: Some(direct),
            ..Target::open(path).unwrap()
        }
    }

    #[test]
    fn whatever_fails_of_the_means_to_zero_the_zeroes_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let mut target = without_means(&path, 3 * ZEROES);
        target.zero(4096, self::length(&[0; 2 * ZEROES])).unwrap();
        let mut expected = vec![OLD; 3 * ZEROES];
        expected[4096..4096 + 2 * ZEROES].fill(0);
        assert!(std::fs::read(&path).unwrap() == expected);
    }

    #[test]
    fn a_way_to_zero_that_failed_is_not_tried_again_but_for_odd_ranges() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let mut target = without_means(&path, ZEROES);
        // EINVAL: an empty range.
        assert!(!target.punch(0, 0));
        assert_eq!(target.means, [PUNCH, ZERO_RANGE]);
        assert!(!target.punch(0, 4096));
        assert_eq!(target.means, [ZERO_RANGE]);
    }

    #[test]
    fn direct_writes_go_to_the_disk_that_is_open_and_not_to_what_has_its_name_then() {
        let folder = tempfile::tempdir_in("target").unwrap();
        let path = folder.path().join("disk");
        let moved = folder.path().join("moved");
        std::fs::write(&path, vec![OLD; ALIGNMENT]).unwrap();
        let options = OpenOptions::new().read(true).write(true).open(&path);
        let cached = options.unwrap();
        std::fs::rename(&path, &moved).unwrap();
        std::fs::write(&path, vec![OLD; ALIGNMENT]).unwrap();
        let direct = direct(&cached).expect("a file system with direct writes");
        let zeroes = Buffer::zeroes(ALIGNMENT);
        direct.write_all_at(zeroes.bytes(), 0).unwrap();
        assert_eq!(std::fs::read(&moved).unwrap(), zeroes.bytes());
        assert_eq!(std::fs::read(&path).unwrap(), vec![OLD; ALIGNMENT]);
    }

    #[test]
    fn a_failed_direct_write_goes_through_the_page_cache() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        std::fs::write(&path, vec![OLD; ZEROES]).unwrap();
        // Writing fails with EBADF, which is not the error of a device without direct writes.
        let mut target = Target {
            direct: Some(File::open(&path).unwrap()),
            ..Target::open(&path).unwrap()
        };
        let bytes = Buffer::zeroes(ZEROES);
        target.write(0, bytes.bytes()).unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes.bytes());
    }

    const OLD: u8 = 0x5a;
}
