//! Pending zero ranges of a disk: a bounded list, stored until the image is complete.
//!
//! A disk may need minutes for the empty areas of an image that is downloaded in seconds. A server
//! does not wait for minutes until its client continues reading. So zeroing is deferred; its only
//! memory is this list.

/// Ranges of a disk that overlap neither each other nor any written data.
#[derive(Debug, Default)]
pub(super) struct PendingZeroes {
    /// Offset of the first byte, and of the first byte after the range.
    ranges: Vec<(u64, u64)>,
    bytes: u64,
}

impl PendingZeroes {
    /// Adds a range; `false` if the list is full.
    pub(super) fn push(&mut self, from: u64, to: u64) -> bool {
        let is_full = self.ranges.len() >= MAX_RANGES;
        match self.ranges.last_mut() {
            Some((_, end)) if *end == from => *end = to,
            _ if is_full => return false,
            _ => self.ranges.push((from, to)),
        }
        self.bytes += to - from;
        true
    }

    /// Returns the bytes of all ranges.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Sorts the ranges into disk order, which suits rotating disks.
    pub(super) fn sort(&mut self) {
        self.ranges.sort_unstable_by(|one, other| other.cmp(one));
    }

    /// Removes the first range, or at most `most` bytes of it.
    pub(super) fn pop(&mut self, most: u64) -> Option<(u64, u64)> {
        let (from, to) = self.ranges.pop()?;
        let end = to.min(from.saturating_add(most));
        if end < to {
            self.ranges.push((end, to));
        }
        self.bytes -= end - from;
        Some((from, end))
    }
}

#[cfg(test)]
impl PendingZeroes {
    /// Creates a full list.
    pub(super) fn full() -> Self {
        let ranges = vec![(0, 0); MAX_RANGES];
        Self { ranges, bytes: 0 }
    }
}

/// Maximum number of ranges: 8 MiB of memory. An ordinary image has a few thousand.
const MAX_RANGES: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_in_the_order_of_the_disk_and_in_pieces() {
        let mut pending = PendingZeroes::default();
        for (from, to) in [(100, 130), (130, 140), (10, 20)] {
            assert!(pending.push(from, to));
        }
        assert_eq!((pending.ranges.len(), pending.bytes()), (2, 50));
        pending.sort();
        let all = std::iter::from_fn(|| pending.pop(25)).collect::<Vec<_>>();
        assert_eq!(all, [(10, 20), (100, 125), (125, 140)]);
        assert_eq!(pending.bytes(), 0);
    }

    #[test]
    fn the_list_is_bounded() {
        let mut pending = PendingZeroes::default();
        let most = u64::try_from(MAX_RANGES).unwrap();
        assert!((0..most).all(|number| pending.push(number * 2, number * 2 + 1)));
        assert!(!pending.push(most * 2, most * 2 + 1));
        assert!(
            pending.push(most * 2 - 1, most * 2),
            "it goes with the last"
        );
        assert_eq!(pending.bytes(), most + 1);
    }
}
