//! Memory of the pipeline: a fixed number of buffers that circulate between its threads.

use crate::formats::qcow2::SinkClosed;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A buffer whose first byte is aligned for direct I/O.
pub(super) struct Buffer {
    memory: Vec<u8>,
    start: usize,
    length: usize,
    capacity: usize,
}

impl Buffer {
    pub(super) fn new(capacity: usize) -> Self {
        let memory = vec![0; capacity + ALIGNMENT];
        // If the offset cannot be found, it is huge. The buffer is then not aligned.
        let start =
            Some(memory.as_ptr().align_offset(ALIGNMENT)).filter(|&start| start < ALIGNMENT);
        Self {
            memory,
            start: start.unwrap_or(0),
            length: 0,
            capacity,
        }
    }

    /// Creates a buffer full of zeroes.
    pub(super) fn zeroes(capacity: usize) -> Self {
        Self {
            length: capacity,
            ..Self::new(capacity)
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.memory
            .get(self.start..self.start + self.length)
            .unwrap_or_default()
    }

    /// Appends as many bytes as fit and returns the rest.
    pub(super) fn append<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(self.capacity - self.length));
        let from = self.start + self.length;
        if let Some(room) = self.memory.get_mut(from..from + now.len()) {
            room.copy_from_slice(now);
            self.length += now.len();
        }
        later
    }

    /// Replaces the content by the output of `fill`, which returns its length.
    pub(super) fn refill<E>(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let end = self.start + self.capacity;
        let room = self.memory.get_mut(self.start..end).unwrap_or_default();
        self.length = fill(room)?.min(self.capacity);
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    pub(super) fn is_full(&self) -> bool {
        self.length == self.capacity
    }
}

/// Receiving end of a buffer pool: one thread takes empty buffers.
pub(super) struct Pool(Receiver<Buffer>);

/// Sending end of a buffer pool: another thread returns buffers.
#[derive(Clone)]
pub(super) struct Return(Sender<Buffer>);

impl Pool {
    /// Creates a pool of `count` buffers, which is also the maximum.
    pub(super) fn new(count: usize, capacity: usize) -> (Self, Return) {
        let (back, free) = channel();
        for _ in 0..count {
            // The receiver exists in this function.
            let _ = back.send(Buffer::new(capacity));
        }
        (Self(free), Return(back))
    }

    /// Waits for an empty buffer.
    pub(super) fn take(&self) -> Result<Buffer, SinkClosed> {
        self.0.recv().map_err(|_| SinkClosed)
    }
}

impl Return {
    pub(super) fn recycle(&self, mut buffer: Buffer) {
        buffer.clear();
        // Without a receiver the memory is freed.
        let _ = self.0.send(buffer);
    }
}

/// Alignment of memory and offsets that satisfies `O_DIRECT` on every disk.
pub(super) const ALIGNMENT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_and_keeps_its_size() {
        let mut buffer = Buffer::new(10);
        assert_eq!(buffer.append(b"0123456"), b"");
        assert_eq!(buffer.append(b"789ab"), b"ab");
        assert!(buffer.is_full());
        assert_eq!(buffer.bytes(), b"0123456789");
        assert!(buffer.bytes().as_ptr().addr().is_multiple_of(ALIGNMENT));
    }

    #[test]
    fn a_pool_has_only_its_own_buffers() {
        let (pool, back) = Pool::new(1, 10);
        let buffer = pool.take().unwrap();
        back.recycle(buffer);
        assert!(pool.take().is_ok());
        drop(back);
        assert_eq!(pool.take().err(), Some(SinkClosed));
    }
}
