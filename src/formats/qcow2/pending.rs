//! Bytes of the file that are still to be read from the stream, with their destinations.

use super::Error;
use std::collections::BTreeMap;

/// Bounded map from places in the file to their meaning.
#[derive(Debug, Default)]
pub(super) struct PendingReads {
    /// Plain data: (offset in the file, offset in the guest) → bytes. Clusters that are contiguous
    /// in both form one entry.
    runs: BTreeMap<(u64, u64), u64>,
    /// Blocks that are needed whole: (offset in the file, offset in the guest) → block.
    whole: BTreeMap<(u64, u64), Block>,
}

/// Part of the file that must be complete before use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) kind: Kind,
    pub(super) length: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    FirstLevel,
    SecondLevel,
    Compressed,
}

/// Plain data: `length` bytes at `host` in the file are the guest's bytes from `guest` on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) host: u64,
    pub(super) guest: u64,
    pub(super) length: u64,
}

impl Run {
    /// Appends a run that follows in the file and in the guest; `false` if `next` does not.
    pub(super) fn append(&mut self, next: Self) -> bool {
        let follows =
            self.host + self.length == next.host && self.guest + self.length == next.guest;
        if follows {
            self.length += next.length;
        }
        follows
    }

    /// Splits the run into its first `at` bytes and the rest.
    pub(super) fn split(self, at: u64) -> (Self, Self) {
        let at = at.min(self.length);
        let rest = Self {
            host: self.host + at,
            guest: self.guest + at,
            length: self.length - at,
        };
        (Self { length: at, ..self }, rest)
    }
}

impl PendingReads {
    /// Adds plain data; an empty run is ignored.
    pub(super) fn want_run(&mut self, run: Run) -> Result<(), Error> {
        if run.length == 0 {
            return Ok(());
        }
        self.check_room()?;
        self.runs.insert((run.host, run.guest), run.length);
        Ok(())
    }

    pub(super) fn want_whole(&mut self, host: u64, guest: u64, whole: Block) -> Result<(), Error> {
        self.check_room()?;
        self.whole.insert((host, guest), whole);
        Ok(())
    }

    /// Removes the first run if it begins before `end`.
    pub(super) fn take_run(&mut self, end: u64) -> Option<Run> {
        let entry = self.runs.first_entry()?;
        let &(host, guest) = entry.key();
        (host < end).then(|| Run {
            host,
            guest,
            length: entry.remove(),
        })
    }

    /// Removes the first block if it ends at or before `end`.
    pub(super) fn take_whole(&mut self, end: u64) -> Option<(u64, u64, Block)> {
        let entry = self.whole.first_entry()?;
        let &(host, guest) = entry.key();
        (host.saturating_add(entry.get().length) <= end).then(|| (host, guest, entry.remove()))
    }

    /// Returns the offset of the first block.
    pub(super) fn first_whole(&self) -> Option<u64> {
        self.whole.first_key_value().map(|(&(host, _), _)| host)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.whole.is_empty()
    }

    fn check_room(&self) -> Result<(), Error> {
        if self.runs.len() + self.whole.len() < MAX_ENTRIES {
            return Ok(());
        }
        Err(Error::TooScattered)
    }
}

/// Maximum number of entries. An entry costs about 50 bytes, so 512 Ki entries are 25 MiB. There
/// are two maps (this pass and the next).
const MAX_ENTRIES: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_first_is_taken_first() {
        let mut wanted = PendingReads::default();
        let late = Run {
            host: 900,
            guest: 0,
            length: 10,
        };
        let early = Run {
            host: 100,
            guest: 500,
            length: 10,
        };
        wanted.want_run(late).unwrap();
        wanted.want_run(early).unwrap();
        assert_eq!(wanted.take_run(101), Some(early));
        assert_eq!(wanted.take_run(900), None);
        assert_eq!(wanted.take_run(901), Some(late));
        assert!(wanted.is_empty());
    }

    #[test]
    fn the_map_is_bounded() {
        let mut wanted = PendingReads::default();
        let outcome = (0..=MAX_ENTRIES as u64).try_for_each(|index| {
            wanted.want_run(Run {
                host: index,
                guest: 0,
                length: 1,
            })
        });
        assert!(matches!(outcome, Err(Error::TooScattered)));
    }
}
