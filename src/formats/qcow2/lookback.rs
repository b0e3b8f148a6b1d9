//! Bytes of the file that have passed and may still be needed.
//!
//! Besides the part of the stream that is being read, these are unclaimed bytes. QEMU fills the
//! rest of a cluster of compressed data much later, and names it in a table that lies behind. Files
//! that `qemu-img` writes have few such places.

use std::collections::BTreeMap;

/// Available bytes of the file up to the current position.
#[derive(Debug)]
pub(super) struct Lookback {
    /// Last bytes, in one piece.
    window: Vec<u8>,
    start: u64,
    /// Unclaimed pieces from before the window.
    kept: BTreeMap<u64, Vec<u8>>,
    /// Total bytes of the pieces.
    kept_bytes: usize,
    /// Maximum bytes of the pieces.
    pub(super) limit: usize,
    /// Claimed ranges in the window: start → end. No range touches another, however often a place
    /// is claimed.
    claimed: BTreeMap<u64, u64>,
}

impl Lookback {
    pub(super) fn new() -> Self {
        Self {
            window: Vec::new(),
            start: 0,
            kept: BTreeMap::new(),
            kept_bytes: 0,
            limit: MAX_KEPT,
            claimed: BTreeMap::new(),
        }
    }

    /// Restarts at the beginning of the file.
    pub(super) fn restart(&mut self) {
        *self = Self {
            limit: self.limit,
            ..Self::new()
        };
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.window.extend_from_slice(bytes);
    }

    /// Returns the offset up to which the file was read.
    pub(super) fn position(&self) -> u64 {
        self.start + length(&self.window)
    }

    /// Returns how much of a range is lost, counted from its beginning. Bytes that are neither
    /// available nor lost are still to come.
    pub(super) fn lost(&self, host: u64, length: u64) -> u64 {
        if self.bytes(host, length).is_some() {
            return 0;
        }
        self.start.saturating_sub(host).min(length)
    }

    /// Returns bytes that have passed, if they are still available.
    pub(super) fn bytes(&self, host: u64, length: u64) -> Option<&[u8]> {
        let (start, piece) = if host >= self.start {
            (self.start, &self.window)
        } else {
            let (&start, piece) = self.kept.range(..=host).next_back()?;
            (start, piece)
        };
        let from = size(host - start);
        piece.get(from..from.checked_add(size(length))?)
    }

    /// Marks bytes as claimed: they need not be stored.
    ///
    /// With too many separate ranges, the bytes between two of them count as claimed. If a table
    /// needs them later, they are read in the next pass, like all bytes that are not stored.
    pub(super) fn claim(&mut self, host: u64, length: u64) {
        if host < self.start || length == 0 {
            return;
        }
        let (mut from, mut to) = (host, host.saturating_add(length));
        while let Some((&start, &end)) = self.claimed.range(..=to).next_back()
            && end >= from
        {
            self.claimed.remove(&start);
            (from, to) = (from.min(start), to.max(end));
        }
        if self.claimed.len() >= MAX_PIECES {
            if let Some((&start, _)) = self.claimed.range(..from).next_back() {
                from = start;
            } else if let Some((_, end)) = self.claimed.pop_first() {
                to = end;
            }
        }
        self.claimed.insert(from, to);
    }

    /// Drops the window's bytes before an offset, but stores the unclaimed ones.
    pub(super) fn forget(&mut self, before: u64) {
        let before = before.min(self.position());
        let Some(old) = before.checked_sub(self.start).filter(|&old| old > 0) else {
            return;
        };
        let mut claimed = std::mem::take(&mut self.claimed);
        let mut free = self.start;
        for (&from, &to) in &claimed {
            self.keep(free, from.min(before));
            free = free.max(to);
        }
        self.keep(free, before);
        claimed.retain(|_, to| *to > before);
        self.claimed = claimed;
        self.window.drain(..size(old));
        self.start = before;
    }

    /// Stores a part of the window. Drops the oldest parts if all of them exceed the limit.
    fn keep(&mut self, from: u64, to: u64) {
        let Some(bytes) = to
            .checked_sub(from)
            .and_then(|length| self.bytes(from, length))
        else {
            return;
        };
        if bytes.is_empty() || self.limit == 0 {
            return;
        }
        let bytes = bytes.to_vec();
        self.kept_bytes += bytes.len();
        match self.kept.last_entry() {
            Some(mut last) if *last.key() + length(last.get()) == from => {
                last.get_mut().extend(bytes);
            }
            _ => {
                self.kept.insert(from, bytes);
            }
        }
        while self.kept_bytes > self.limit || self.kept.len() > MAX_PIECES {
            let Some((_, oldest)) = self.kept.pop_first() else {
                break;
            };
            self.kept_bytes -= oldest.len();
        }
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
impl Lookback {
    /// Returns the memory in use: nodes of a tree are at least half full.
    pub(super) fn held(&self) -> usize {
        let kept: usize = self.kept.values().map(Vec::capacity).sum();
        let pieces = self.kept.len() * 2 * size_of::<(u64, Vec<u8>)>();
        let claimed = self.claimed.len() * 2 * size_of::<(u64, u64)>();
        self.window.capacity() + kept + pieces + claimed
    }
}

/// Converts a length to an index. A length that memory cannot have becomes the maximum, which no
/// slice contains.
fn size(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

const MAX_KEPT: usize = 16 << 20;
/// Maximum number of stored pieces, and of claimed ranges.
const MAX_PIECES: usize = 64 << 10;
