//! An allocator that wipes what is given back, so that no buffer a secret went through leaves it behind.
//!
//! Libraries (TLS, HTTP, JSON) copy bytes of a request through buffers of their own and forget them. What they forget is wiped
//! here, in one place, instead of in each of theirs.
//!
//! Large blocks are left out: an image goes through them, and is to pay nothing. No room puts secrets into one without wiping it
//! itself (bodies, config drives, files). The largest the C library gives back to the kernel at once, which wipes pages before
//! anybody gets them (musl's mallocng: `MMAP_THRESHOLD`).

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

/// The system's allocator, and wiping.
#[derive(Clone, Copy, Debug, Default)]
pub struct ZeroizingAllocator;

// SAFETY: every block is the system allocator's, with the layout the caller gives; wiping writes only within a block that is
// given back.
unsafe impl GlobalAlloc for ZeroizingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() < LARGE {
            // SAFETY: the caller gives the whole block back, so all its bytes may be written.
            unsafe { block.write_bytes(0, layout.size()) };
            // Nobody reads the block again, and the compiler must not know that.
            black_box(block);
        }
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(block, layout) }
    }

    /// Always a new block: the system's own would leave the old one as it is where it moves.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a size that is valid with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller promises that the size is not zero.
        let moved = unsafe { System.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: both blocks have so many bytes, and are two.
            unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(size)) };
            // SAFETY: the old block is given back, once.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

/// Twice what the API reads at once (`api::Limits::head_bytes`).
const LARGE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_keeps_its_content_when_it_grows_and_shrinks() {
        let small = Layout::from_size_align(16, 8).unwrap();
        // SAFETY: the block is used within its size and given back with its layout.
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
