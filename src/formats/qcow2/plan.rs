//! Reads that the tables require: bytes of the file that are pending, bytes that were missed, and
//! zeroes of the guest.

use super::lookback::Lookback;
use super::pending::{Block, Kind, PendingReads, Run};
use super::table::{Entry, Layout, entries};
use super::{Error, Header, Sink};

/// Result of a pass over the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The same file is needed again, from its beginning.
    NeedsAnotherPass,
    /// The sink received the whole guest.
    Complete,
}

/// Plan of the reads, which grows with every table.
pub(super) struct Plan {
    pub(super) layout: Layout,
    /// Pending reads of this pass.
    pub(super) wanted: PendingReads,
    /// Data that passed before its table was read: for the next pass.
    missed: PendingReads,
}

impl Plan {
    pub(super) fn new(header: &Header) -> Result<Self, Error> {
        let mut wanted = PendingReads::default();
        if header.l1_entries > 0 {
            let first_level = Block {
                kind: Kind::FirstLevel,
                length: header.l1_entries * 8,
            };
            wanted.want_whole(header.l1_offset, 0, first_level)?;
        }
        Ok(Self {
            layout: Layout::new(header),
            wanted,
            missed: PendingReads::default(),
        })
    }

    /// Starts the next pass with the missed reads.
    pub(super) fn next_pass(&mut self) -> Pass {
        self.wanted = std::mem::take(&mut self.missed);
        if self.wanted.is_empty() {
            return Pass::Complete;
        }
        Pass::NeedsAnotherPass
    }

    pub(super) fn read_first_level(
        &mut self,
        table: &[u8],
        past: &Lookback,
        sink: &mut impl Sink,
    ) -> Result<(), Error> {
        let mut guest = 0;
        let mut empty = Gap::default();
        for raw in entries(table) {
            match self.layout.first_level_entry(raw)? {
                Some(host) => {
                    self.zero(empty.from, empty.length, sink)?;
                    empty = Gap::default();
                    let second_level = Block {
                        kind: Kind::SecondLevel,
                        length: self.layout.cluster,
                    };
                    self.want_whole(host, guest, second_level, past)?;
                }
                None => empty.grow(guest, self.layout.table_span),
            }
            guest += self.layout.table_span;
        }
        self.zero(empty.from, empty.length, sink)
    }

    pub(super) fn read_second_level(
        &mut self,
        table: &[u8],
        from: u64,
        past: &Lookback,
        sink: &mut impl Sink,
    ) -> Result<(), Error> {
        let mut guest = from;
        let mut empty = Gap::default();
        let mut run = Run::default();
        for raw in entries(table) {
            if guest >= self.layout.virtual_size {
                break;
            }
            let entry = self.layout.second_level_entry(raw)?;
            if entry != Entry::Zero {
                self.zero(empty.from, empty.length, sink)?;
                empty = Gap::default();
            }
            match entry {
                Entry::Zero => empty.grow(guest, self.layout.cluster),
                Entry::Compressed { host, length } => {
                    let kind = Kind::Compressed;
                    self.want_whole(host, guest, Block { kind, length }, past)?;
                }
                Entry::Data { host } => {
                    let next = Run {
                        host,
                        guest,
                        length: self.layout.cluster,
                    };
                    if !run.append(next) {
                        self.want_run(run, past)?;
                        run = next;
                    }
                }
            }
            guest += self.layout.cluster;
        }
        self.want_run(run, past)?;
        self.zero(empty.from, empty.length, sink)
    }

    /// Writes bytes of the guest to the sink, without those behind the disk's end.
    pub(super) fn data(&self, guest: u64, bytes: &[u8], sink: &mut impl Sink) -> Result<(), Error> {
        let inside = self.layout.virtual_size.saturating_sub(guest);
        let inside = usize::try_from(inside).unwrap_or(usize::MAX);
        let bytes = bytes.get(..inside).unwrap_or(bytes);
        if !bytes.is_empty() {
            sink.data(guest, bytes)?;
        }
        Ok(())
    }

    /// Writes zeroes of the guest to the sink, without those behind the disk's end.
    pub(super) fn zero(&self, guest: u64, length: u64, sink: &mut impl Sink) -> Result<(), Error> {
        let length = length.min(self.layout.virtual_size.saturating_sub(guest));
        if length > 0 {
            sink.zero(guest, length)?;
        }
        Ok(())
    }

    /// Adds plain data. Its lost part is left to the next pass.
    fn want_run(&mut self, run: Run, past: &Lookback) -> Result<(), Error> {
        let (lost, rest) = run.split(past.lost(run.host, run.length));
        self.missed.want_run(lost)?;
        self.wanted.want_run(rest)
    }

    fn want_whole(
        &mut self,
        host: u64,
        guest: u64,
        whole: Block,
        past: &Lookback,
    ) -> Result<(), Error> {
        let map = if past.lost(host, whole.length) > 0 {
            &mut self.missed
        } else {
            &mut self.wanted
        };
        map.want_whole(host, guest, whole)
    }
}

/// Contiguous zeroes in the guest.
#[derive(Default)]
struct Gap {
    from: u64,
    length: u64,
}

impl Gap {
    fn grow(&mut self, guest: u64, length: u64) {
        if self.length == 0 {
            self.from = guest;
        }
        self.length = self.length.saturating_add(length);
    }
}
