//! Puts a guest's bytes on a disk such that nothing can boot from it, nor be found on it, until the image is verified.
//!
//! 1. The disk's first and last MiB are zeroed: there lie the signatures of what was on it before (partition tables, md, LVM).
//! 2. The image is written, but for what belongs into these two MiB: a partition table at the front, its backup at the
//!    back. That waits in memory.
//! 3. When the whole image was verified, and is on the medium, the two are written, the front last.
//!
//! So a power failure at any moment leaves a disk without a table, and a wrong checksum never shows itself as one. An
//! image that ends before the disk does has its backup table in between; giving up zeroes that too.

use super::target::{Error, Target};
use crate::progress::Reporter;
use std::path::Path;

/// A disk that is being written.
#[derive(Debug)]
pub(super) struct Writer {
    target: Target,
    reporter: Reporter,
    head: Held,
    tail: Held,
    /// The first bytes of the disk up to here were made zeroes at the beginning.
    blank: u64,
    /// Where the written data ends.
    furthest: u64,
    /// Bytes of the guest dealt with.
    done: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Untouched,
    Writing,
}

/// A part of the disk that waits in memory.
#[derive(Debug)]
struct Held {
    start: u64,
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(target: Target, reporter: &Reporter) -> Self {
        let head = target.size().min(HELD);
        // Aligned, so that what lies before it can be written directly.
        let tail = target.size().saturating_sub(HELD).max(head) / ALIGNMENT * ALIGNMENT;
        let tail = tail.max(head);
        Self {
            head: Held::new(0, head),
            tail: Held::new(tail, target.size() - tail),
            target,
            reporter: reporter.clone(),
            blank: 0,
            furthest: 0,
            done: 0,
            state: State::Untouched,
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.target.path()
    }

    /// Begins anew with an image of this size, where it is known.
    pub(super) fn begin(&mut self, size: Option<u64>) -> Result<(), Error> {
        self.check_end(size.unwrap_or(0))?;
        self.state = State::Writing;
        self.done = 0;
        self.furthest = 0;
        self.clear_ends()?;
        self.blank = match size {
            Some(size) if self.target.punch(0, size)? => size,
            _ => 0,
        };
        self.reporter.phase("writing", size);
        Ok(())
    }

    /// Bytes of the guest.
    pub(super) fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let end = offset.saturating_add(length(bytes));
        self.check_end(end)?;
        self.head.put(offset, bytes);
        self.tail.put(offset, bytes);
        // Both cuts lie inside the bytes or at one of their ends.
        let from = self.head.end().clamp(offset, end);
        let to = self.tail.start.clamp(from, end);
        let middle = bytes
            .get(size(from - offset)..size(to - offset))
            .unwrap_or_default();
        if to > self.blank || !is_zero(middle) {
            self.target.write(from, middle)?;
        }
        self.furthest = self.furthest.max(end);
        self.report(length(bytes));
        Ok(())
    }

    /// A part of the guest that reads as zeroes, or a piece of one: long zeroing cannot be interrupted.
    pub(super) fn zero(&mut self, offset: u64, length: u64) -> Result<(), Error> {
        let end = offset.saturating_add(length);
        self.check_end(end)?;
        self.head.clear(offset, end);
        self.tail.clear(offset, end);
        let from = self.head.end().max(self.blank).clamp(offset, end);
        let to = self.tail.start.clamp(from, end);
        if from < to {
            self.target.zero(from, to - from)?;
        }
        self.furthest = self.furthest.max(end);
        self.report(length);
        Ok(())
    }

    /// Makes the disk what the image says. The image was verified.
    pub(super) fn commit(mut self) -> Result<(), Error> {
        self.target.sync()?;
        for held in [&self.tail, &self.head] {
            self.target.write(held.start, &held.bytes)?;
            self.target.sync()?;
        }
        Ok(())
    }

    /// Leaves no partition table behind. Returns whether the disk had been touched at all.
    pub(super) fn abandon(mut self) -> Result<bool, Error> {
        if self.state == State::Untouched {
            return Ok(false);
        }
        let from = self.furthest.saturating_sub(HELD).max(self.head.end());
        let to = self.furthest.min(self.tail.start);
        if from < to {
            self.target.zero(from, to - from)?;
        }
        self.clear_ends()?;
        Ok(true)
    }

    fn clear_ends(&mut self) -> Result<(), Error> {
        for held in [&mut self.head, &mut self.tail] {
            held.bytes.fill(0);
            self.target.write(held.start, &held.bytes)?;
        }
        self.target.sync()
    }

    fn check_end(&self, end: u64) -> Result<(), Error> {
        if end <= self.target.size() {
            return Ok(());
        }
        Err(Error::TooSmall {
            device: self.target.path().to_owned(),
            needed: end,
            size: self.target.size(),
        })
    }

    fn report(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
        self.reporter.bytes(self.done);
    }
}

impl Held {
    fn new(start: u64, length: u64) -> Self {
        Self {
            start,
            bytes: vec![0; size(length)],
        }
    }

    fn end(&self) -> u64 {
        self.start + length(&self.bytes)
    }

    /// The held bytes between two places of the disk.
    fn between(&mut self, from: u64, to: u64) -> &mut [u8] {
        let from = from.clamp(self.start, self.end());
        let to = to.clamp(from, self.end());
        let start = self.start;
        self.bytes
            .get_mut(size(from - start)..size(to - start))
            .unwrap_or_default()
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let skip = size(self.start.saturating_sub(offset));
        let place = self.between(offset, offset.saturating_add(length(bytes)));
        if let Some(bytes) = bytes.get(skip..).and_then(|rest| rest.get(..place.len())) {
            place.copy_from_slice(bytes);
        }
    }

    fn clear(&mut self, from: u64, to: u64) {
        self.between(from, to).fill(0);
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    // Comparing memory with itself, shifted by one: as fast as memory goes, in every build.
    match bytes {
        [] => true,
        [first, rest @ ..] => *first == 0 && bytes.get(..rest.len()) == Some(rest),
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn size(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Covers both GPTs with sectors of 512 and 4096 bytes, md superblocks of every version, and LVM labels.
const HELD: u64 = 1 << 20;
const ALIGNMENT: u64 = 4096;
