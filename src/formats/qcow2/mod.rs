//! A streaming qcow2 reader: the file's bytes go in once, in order; the guest's bytes come out.
//!
//! Tables usually lie before the data they map, so one pass over the file is enough for what `qemu-img convert` writes.
//! Data that goes by before a table tells its place is remembered, and a further pass over the same file picks exactly
//! that. Three passes are always enough: one for each of first-level table, second-level tables and data.
//!
//! Memory does not grow with the image: at most 512 Ki map entries for this pass and as many for the next (50 MiB in
//! all; an ordinary image needs a few thousand), the first-level table (32 MiB at most) while it arrives, and the last
//! few clusters of the stream. An image that needs more is refused with the remedy.
//!
//! Not known here: backing files, external data files, encryption, extended table entries (all refused), snapshots and
//! bitmaps (ignored: they change nothing about the active disk).
//!
//! ```no_run
//! # use ferrite::formats::qcow2::{self, Sink};
//! # fn decode(file: &[u8], sink: &mut impl Sink) -> Result<(), qcow2::Error> {
//! let mut decoder = qcow2::Decoder::new(qcow2::Header::parse(file)?)?;
//! loop {
//!     decoder.push(file, sink)?;
//!     if decoder.end(sink)? == qcow2::Pass::Complete {
//!         return Ok(());
//!     }
//! }
//! # }
//! ```

mod cluster;
mod error;
mod header;
mod sink;
mod table;
mod wanted;

pub use error::Error;
pub(crate) use header::MAGIC;
pub use header::{Compression, Header};
pub use sink::{Sink, Stopped};

use cluster::Unpacker;
use std::fmt;
use table::{Entry, Layout, entries};
use wanted::{Kind, Run, Wanted, Whole};

/// Decodes one image, in one or more passes over its file.
pub struct Decoder {
    layout: Layout,
    unpacker: Unpacker,
    /// What this pass has still to pick.
    wanted: Wanted,
    /// What went by before its table was read: for the next pass.
    missed: Wanted,
    /// The last bytes of the file so far: from `window_start` to `position`.
    window: Vec<u8>,
    window_start: u64,
    position: u64,
}

/// What the end of the file means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The same file is needed again, from its beginning.
    Again,
    /// All of the guest was given to the sink.
    Complete,
}

impl Decoder {
    /// A decoder for the file with this header.
    ///
    /// # Errors
    /// [`Error::Zstandard`] when that decoder has no memory.
    pub fn new(header: Header) -> Result<Self, Error> {
        let layout = Layout::new(&header);
        let unpacker = Unpacker::new(header.compression, size(layout.cluster))?;
        let mut wanted = Wanted::default();
        if header.l1_entries > 0 {
            let first_level = Whole {
                kind: Kind::FirstLevel,
                length: header.l1_entries * 8,
            };
            wanted.want_whole(header.l1_offset, 0, first_level)?;
        }
        Ok(Self {
            layout,
            unpacker,
            wanted,
            missed: Wanted::default(),
            window: Vec::new(),
            window_start: 0,
            position: 0,
        })
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// [`Error`] when the image is corrupt or asks for too much, or when the sink stopped.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), Error> {
        self.window.extend_from_slice(bytes);
        self.position += length(bytes);
        while let Some((host, guest, whole)) = self.wanted.take_whole(self.position) {
            self.read_whole(host, guest, whole, sink)?;
        }
        self.pass_runs_on(sink)?;
        self.forget_old_bytes();
        Ok(())
    }

    /// Tells that the file has ended.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the tables point behind the end; else as [`Decoder::push`].
    pub fn end(&mut self, sink: &mut impl Sink) -> Result<Pass, Error> {
        while let Some((host, guest, whole)) = self.wanted.take_whole(u64::MAX) {
            // The length of a compressed cluster is counted in sectors: the last may be cut.
            if whole.kind != Kind::Compressed || host >= self.position {
                return Err(Error::Truncated { at: self.position });
            }
            let rest = Whole {
                length: self.position - host,
                ..whole
            };
            self.read_whole(host, guest, rest, sink)?;
        }
        self.pass_runs_on(sink)?;
        while let Some(run) = self.wanted.take_run(u64::MAX) {
            // QEMU does not write the part of the last cluster that lies behind the disk's end.
            if run.length >= self.layout.cluster {
                return Err(Error::Truncated { at: self.position });
            }
            self.zero(run.guest, run.length, sink)?;
        }
        self.window = Vec::new();
        self.window_start = 0;
        self.position = 0;
        self.wanted = std::mem::take(&mut self.missed);
        if self.wanted.is_empty() {
            return Ok(Pass::Complete);
        }
        Ok(Pass::Again)
    }

    /// Reads something that lies whole in the window.
    fn read_whole(
        &mut self,
        host: u64,
        guest: u64,
        whole: Whole,
        sink: &mut impl Sink,
    ) -> Result<(), Error> {
        // The window is taken out while its bytes are read: reading a table changes the maps beside it.
        let window = std::mem::take(&mut self.window);
        let bytes = self.slice(&window, host, whole.length)?;
        let outcome = match whole.kind {
            Kind::FirstLevel => self.read_first_level(bytes, sink),
            Kind::SecondLevel => self.read_second_level(bytes, guest, sink),
            Kind::Compressed => self.unpack(bytes, guest, sink),
        };
        self.window = window;
        outcome
    }

    fn read_first_level(&mut self, table: &[u8], sink: &mut impl Sink) -> Result<(), Error> {
        let mut guest = 0;
        let mut empty = Gap::default();
        for raw in entries(table) {
            match self.layout.first_level_entry(raw)? {
                Some(host) => {
                    self.zero(empty.from, empty.length, sink)?;
                    empty = Gap::default();
                    let second_level = Whole {
                        kind: Kind::SecondLevel,
                        length: self.layout.cluster,
                    };
                    self.want_whole(host, guest, second_level)?;
                }
                None => empty.grow(guest, self.layout.table_span),
            }
            guest += self.layout.table_span;
        }
        self.zero(empty.from, empty.length, sink)
    }

    fn read_second_level(
        &mut self,
        table: &[u8],
        from: u64,
        sink: &mut impl Sink,
    ) -> Result<(), Error> {
        let cluster = self.layout.cluster;
        let mut guest = from;
        let mut empty = Gap::default();
        let mut run: Option<Run> = None;
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
                Entry::Zero => empty.grow(guest, cluster),
                Entry::Compressed { host, length } => {
                    let kind = Kind::Compressed;
                    self.want_whole(host, guest, Whole { kind, length })?;
                }
                Entry::Data { host } => match &mut run {
                    Some(run)
                        if run.host + run.length == host && run.guest + run.length == guest =>
                    {
                        run.length += cluster;
                    }
                    _ => {
                        let next = Run {
                            host,
                            guest,
                            length: cluster,
                        };
                        self.want_run(run.replace(next))?;
                    }
                },
            }
            guest += cluster;
        }
        self.want_run(run)?;
        self.zero(empty.from, empty.length, sink)
    }

    fn unpack(&mut self, packed: &[u8], guest: u64, sink: &mut impl Sink) -> Result<(), Error> {
        let data = self.unpacker.unpack(packed, guest)?;
        give(self.layout.virtual_size, guest, data, sink)
    }

    /// Gives the sink what the window holds of the plain data.
    fn pass_runs_on(&mut self, sink: &mut impl Sink) -> Result<(), Error> {
        while let Some(run) = self.wanted.take_run(self.position) {
            let here = run.length.min(self.position - run.host);
            let bytes = self.slice(&self.window, run.host, here)?;
            give(self.layout.virtual_size, run.guest, bytes, sink)?;
            if here < run.length {
                self.wanted.want_run(Run {
                    host: run.host + here,
                    guest: run.guest + here,
                    length: run.length - here,
                })?;
            }
        }
        Ok(())
    }

    /// Wants plain data: what has gone by waits for the next pass.
    fn want_run(&mut self, run: Option<Run>) -> Result<(), Error> {
        let Some(run) = run else { return Ok(()) };
        let gone = self.window_start.saturating_sub(run.host).min(run.length);
        if gone > 0 {
            self.missed.want_run(Run {
                length: gone,
                ..run
            })?;
        }
        if gone < run.length {
            self.wanted.want_run(Run {
                host: run.host + gone,
                guest: run.guest + gone,
                length: run.length - gone,
            })?;
        }
        Ok(())
    }

    fn want_whole(&mut self, host: u64, guest: u64, whole: Whole) -> Result<(), Error> {
        let map = if host < self.window_start {
            &mut self.missed
        } else {
            &mut self.wanted
        };
        map.want_whole(host, guest, whole)
    }

    fn zero(&self, guest: u64, length: u64, sink: &mut impl Sink) -> Result<(), Error> {
        let length = length.min(self.layout.virtual_size.saturating_sub(guest));
        if length > 0 {
            sink.zero(guest, length)?;
        }
        Ok(())
    }

    /// Keeps a few clusters of the past: QEMU fills the rest of a cluster of compressed data after it has
    /// allocated the next second-level table, so such data lies just before its own table.
    fn forget_old_bytes(&mut self) {
        let wanted = self.wanted.first_whole().unwrap_or(self.position);
        let past = self
            .position
            .saturating_sub(self.layout.cluster * LOOK_BACK);
        let old = wanted.min(past).saturating_sub(self.window_start);
        // Moving the rest to the front costs: only when it is the smaller part.
        if old > length(&self.window) / 2 {
            self.window.drain(..size(old));
            self.window_start += old;
        }
    }

    fn slice<'a>(&self, window: &'a [u8], host: u64, length: u64) -> Result<&'a [u8], Error> {
        let start = size(host.saturating_sub(self.window_start));
        let end = start.saturating_add(size(length));
        window.get(start..end).ok_or(Error::Truncated { at: host })
    }
}

/// Gives the sink bytes of a cluster, without what lies behind the disk's end.
fn give(virtual_size: u64, guest: u64, bytes: &[u8], sink: &mut impl Sink) -> Result<(), Error> {
    let inside = size(virtual_size.saturating_sub(guest));
    let bytes = bytes.get(..inside).unwrap_or(bytes);
    if !bytes.is_empty() {
        sink.data(guest, bytes)?;
    }
    Ok(())
}

/// Zeroes that lie together in the guest.
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

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A length as an index; one that memory cannot have becomes the largest, which no slice contains.
fn size(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Clusters of the past that stay in the window.
const LOOK_BACK: u64 = 4;

#[cfg(test)]
mod tests;
