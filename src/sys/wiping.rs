//! Allocator that zeroes freed blocks, so that no buffer leaves a secret behind.
//!
//! Libraries (TLS, HTTP, JSON) copy the bytes of a request through their own buffers and free them
//! without zeroing. This allocator zeroes them in one place.
//!
//! Large blocks are exempt, because images pass through them, and zeroing would slow them down.
//! Code that puts secrets into one zeroes it itself (bodies, config drives, files). The C library
//! returns the largest to the kernel at once, which zeroes pages before reuse (musl's mallocng:
//! `MMAP_THRESHOLD`).

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

/// System allocator that zeroes freed blocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct ZeroizingAllocator;

// SAFETY: every block comes from the system allocator with the caller's layout; zeroing writes only
// within a block that the caller frees.
unsafe impl GlobalAlloc for ZeroizingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() < LARGE {
            // SAFETY: the caller frees the whole block, so all its bytes may be written.
            unsafe { block.write_bytes(0, layout.size()) };
            // The block is not read again, so the compiler would otherwise remove the write.
            black_box(block);
        }
        // SAFETY: the caller upholds the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }

    /// Always allocates a new block: the system allocator may move a block without zeroing the old
    /// one.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller guarantees a size that is valid with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller guarantees that the size is not zero.
        let moved = unsafe { System.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: both blocks have at least this many bytes and do not overlap.
            unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(size)) };
            // SAFETY: the old block is freed exactly once.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

/// Twice the maximum size of one read of the API (`api::Limits::head_bytes`).
const LARGE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_keeps_its_content_when_it_grows_and_shrinks() {
        let small = Layout::from_size_align(16, 8).unwrap();
        // SAFETY: the block is used within its size and freed with its layout.
        unsafe {
            let block = ZeroizingAllocator.alloc(small);
            block.write_bytes(7, 16);
            let grown = ZeroizingAllocator.realloc(block, small, 4096);
            assert_eq!(std::slice::from_raw_parts(grown, 16), [7; 16]);
            let large = Layout::from_size_align(4096, 8).unwrap();
            let shrunk = ZeroizingAllocator.realloc(grown, large, 8);
            assert_eq!(std::slice::from_raw_parts(shrunk, 8), [7; 8]);
            ZeroizingAllocator.dealloc(shrunk, Layout::from_size_align(8, 8).unwrap());
        }
    }
}
