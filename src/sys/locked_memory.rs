//! Locked memory for secrets: between two guard pages, never swapped, dumped or inherited.
//!
//! If the kernel has `memfd_secret` (since 5.14, by default since 6.5), the pages leave its direct
//! map too. No other process, root's included, and no system call of this process can then read
//! them. Otherwise they are ordinary locked pages.
//!
//! A memory *file* holds such pages behind a descriptor that outlives the process which maps it. A
//! process that inherits the descriptor can map the content again.

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{
    MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap, mmap_anonymous, munmap,
};
use nix::sys::statfs::{FsType, fstatfs};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroize;

/// Locked pages for secrets, zeroed when dropped unless they belong to a memory file.
#[derive(Debug)]
pub struct LockedMemory {
    /// Address of the first guard page.
    base: NonNull<c_void>,
    /// Length of the mapping in bytes, with both guard pages.
    mapped: usize,
    /// Length of the content in bytes, in whole pages.
    length: usize,
    content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// The content ends with the mapping and is zeroed.
    Ours,
    /// The content belongs to a memory file and stays.
    OfAFile,
}

// SAFETY: the pages belong to this value alone; shared references only read them.
unsafe impl Send for LockedMemory {}
// SAFETY: as above: writing takes `&mut self`.
unsafe impl Sync for LockedMemory {}

impl LockedMemory {
    /// Maps private zeroed pages for at least `bytes` bytes.
    ///
    /// # Errors
    /// The kernel has no memory, or no room for another mapping.
    pub fn new(bytes: usize) -> io::Result<Self> {
        // `memfd_secret` may be missing, or the limit on locked memory may be exhausted.
        secret_file(whole_pages(bytes)?)
            .and_then(|file| Self::map(Some(file.as_fd()), bytes, Content::Ours))
            .or_else(|_| Self::map(None, bytes, Content::Ours))
    }

    /// Maps a memory file that [`memory_file`] created for the same number of bytes.
    ///
    /// # Errors
    /// The file has another size, or cannot be mapped.
    pub fn of_file(file: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let size = File::from(file.try_clone_to_owned()?).metadata()?.len();
        if usize::try_from(size).ok() != Some(whole_pages(bytes)?) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the memory file is of another size",
            ));
        }
        Self::map(Some(file), bytes, Content::OfAFile)
    }

    fn map(file: Option<BorrowedFd<'_>>, bytes: usize, content: Content) -> io::Result<Self> {
        let page = page_size()?;
        let length = whole_pages(bytes)?;
        let mapped = size(length.checked_add(2 * page))?;
        // SAFETY: a new mapping at an address that the kernel chooses; nothing refers to it.
        let base =
            unsafe { mmap_anonymous(None, mapped, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE)? };
        let mut sealed = Self {
            base,
            mapped: mapped.get(),
            length,
            // So far the mapping is guard pages only, with nothing to zero.
            content: Content::OfAFile,
        };
        let at = NonZeroUsize::new(sealed.at().as_ptr().addr());
        let (length, access) = (
            size(Some(length))?,
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
        );
        let advice = match file {
            Some(file) => {
                let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
                // SAFETY: replaces pages within the mapping made above; nothing refers to them yet.
                unsafe { mmap(at, length, access, flags, file, 0)? };
                MmapAdvise::MADV_DONTFORK
            }
            None => {
                let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED;
                // SAFETY: as above.
                unsafe { mmap_anonymous(at, length, access, flags)? };
                MmapAdvise::MADV_WIPEONFORK
            }
        };
        // `memfd_secret` pages are locked already, and `mlock` would access them through the direct
        // map.
        let locked = match file {
            Some(file) if fstatfs(file)?.filesystem_type() == SECRET_FILES => Ok(()),
            _ => {
                // SAFETY: the range is this value's own mapping.
                unsafe { mlock(sealed.at().cast(), sealed.length) }
            }
        };
        sealed.content = content;
        sealed.protect(advice, locked);
        Ok(sealed)
    }

    /// Applies the protections that the kernel grants. A limit on locked memory must not prevent
    /// storing a secret, so failures are only logged, once.
    fn protect(&self, on_fork: MmapAdvise, locked: nix::Result<()>) {
        let at = self.at().cast();
        // SAFETY: the range is this value's own mapping; neither advice changes what this process
        // reads there.
        let advised = unsafe {
            madvise(at, self.length, on_fork)
                .and_then(|()| madvise(at, self.length, MmapAdvise::MADV_DONTDUMP))
        };
        if let Err(error) = locked.and(advised)
            && !LOGGED.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, "secrets are held in memory that is not locked: the limit on locked memory is too low");
        }
    }

    /// Returns the content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: these pages are mapped readable, initialised (zero, or the file's content) and
        // live as long as `self`; they change through `&mut self` alone.
        unsafe { std::slice::from_raw_parts(self.at().as_ptr(), self.length) }
    }

    /// Returns the content for changes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.at().as_ptr(), self.length) }
    }

    fn at(&self) -> NonNull<u8> {
        let guard = (self.mapped - self.length) / 2;
        // SAFETY: one page into a mapping of at least three.
        unsafe { self.base.cast::<u8>().byte_add(guard) }
    }
}

impl Drop for LockedMemory {
    fn drop(&mut self) {
        if self.content == Content::Ours {
            self.bytes_mut().zeroize();
        }
        // SAFETY: the whole mapping is this value's own, and no borrow of it remains.
        let _unmapped = unsafe { munmap(self.base, self.mapped) };
    }
}

/// Creates a zeroed memory file for at least `bytes` bytes; it is close-on-exec.
///
/// # Errors
/// The kernel's error, for instance that it has no memory.
pub fn memory_file(bytes: usize) -> io::Result<OwnedFd> {
    let length = whole_pages(bytes)?;
    secret_file(length).or_else(|_| {
        let file = memfd_create(c"ferrite", MFdFlags::MFD_CLOEXEC)?;
        nix::unistd::ftruncate(&file, file_size(length)?)?;
        Ok(file)
    })
}

/// Calls memfd_secret(2), which has no libc wrapper.
fn secret_file(length: usize) -> io::Result<OwnedFd> {
    // SAFETY: the call takes flags alone.
    let descriptor = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let descriptor = i32::try_from(descriptor).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the kernel has just created; nothing else owns it.
    let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
    nix::unistd::ftruncate(&file, file_size(length)?)?;
    Ok(file)
}

fn whole_pages(bytes: usize) -> io::Result<usize> {
    let page = page_size()?;
    bytes
        .max(1)
        .checked_next_multiple_of(page)
        .ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

fn page_size() -> io::Result<usize> {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?;
    size.and_then(|size| usize::try_from(size).ok())
        .ok_or_else(|| io::Error::other("the kernel tells no page size"))
}

fn size(bytes: Option<usize>) -> io::Result<NonZeroUsize> {
    bytes
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

fn file_size(length: usize) -> io::Result<libc::off_t> {
    libc::off_t::try_from(length).map_err(io::Error::other)
}

/// linux/magic.h: `SECRETMEM_MAGIC`.
const SECRET_FILES: FsType = FsType(0x5345_434d);

/// Whether the missing lock was logged already.
static LOGGED: AtomicBool = AtomicBool::new(false);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_begin_empty_and_hold_what_is_written() {
        let mut memory = LockedMemory::new(5000).unwrap();
        assert_eq!(memory.bytes().len(), 2 * page_size().unwrap());
        assert!(memory.bytes().iter().all(|byte| *byte == 0));
        memory.bytes_mut()[4999] = 7;
        assert_eq!(memory.bytes()[4999], 7);
    }

    #[test]
    fn ordinary_pages_serve_where_the_kernel_has_no_others() {
        let mut memory = LockedMemory::map(None, 1, Content::Ours).unwrap();
        memory.bytes_mut()[0] = 7;
        assert_eq!(memory.bytes()[0], 7);
    }

    #[test]
    fn pages_that_cannot_be_mapped_are_an_error_and_no_more() {
        let for_reading = File::open("/proc/self/exe").unwrap();
        assert!(LockedMemory::map(Some(for_reading.as_fd()), 1, Content::Ours).is_err());
    }

    #[test]
    fn a_page_lies_between_two_that_nobody_may_touch() {
        let memory = LockedMemory::new(1).unwrap();
        let (at, page) = (memory.at().as_ptr().addr(), page_size().unwrap());
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let access = |address: usize| {
            maps.lines()
                .find_map(|line| {
                    let (range, rest) = line.split_once(' ')?;
                    let (from, to) = range.split_once('-')?;
                    let parse = |text| usize::from_str_radix(text, 16).unwrap();
                    (parse(from)..parse(to))
                        .contains(&address)
                        .then(|| rest[..3].to_owned())
                })
                .unwrap()
        };
        assert_eq!(
            [at - 1, at, at + page].map(access),
            ["---", "rw-", "---"].map(str::to_owned)
        );
    }

    #[test]
    fn pages_are_locked_and_neither_dumped_nor_inherited() {
        let memory = LockedMemory::new(1).unwrap();
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let start = format!("{:x}-", memory.at().as_ptr().addr());
        let flags = smaps
            .split_once(&start)
            .and_then(|(_, rest)| rest.lines().find(|line| line.starts_with("VmFlags:")))
            .unwrap();
        let has = |flag| flags.split_whitespace().any(|word| word == flag);
        assert!(
            has("lo") && has("dd") && (has("dc") || has("wf")),
            "{flags}"
        );
    }

    #[test]
    fn a_file_keeps_its_content_for_who_maps_it_next() {
        let file = memory_file(100).unwrap();
        let mut first = LockedMemory::of_file(file.as_fd(), 100).unwrap();
        first.bytes_mut()[..4].copy_from_slice(b"kept");
        drop(first);
        let second = LockedMemory::of_file(file.as_fd(), 100).unwrap();
        assert_eq!(second.bytes()[..5], *b"kept\0");
        assert!(LockedMemory::of_file(file.as_fd(), 5000).is_err());
    }
}
