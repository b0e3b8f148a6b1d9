//! Streaming qcow2 decoder: the file's bytes go in once, in order, and the guest's bytes come out.
//!
//! Tables usually lie before the data they map, so one pass over the file is enough for what
//! `qemu-img convert` writes. If data passes before its table is read, its place is stored, and a
//! further pass over the same file reads only that data. Three passes are always enough: one each
//! for first-level table, second-level tables and data.
//!
//! Memory does not grow with the image. The decoder holds at most:
//!
//! - 512 Ki map entries for this pass and as many for the next (50 MiB in all; an ordinary image
//!   needs a few thousand);
//! - the first-level table while it arrives (32 MiB at most);
//! - one cluster;
//! - 16 MiB of bytes that no table has claimed yet;
//! - 64 Ki claimed ranges, however often each of them is claimed.
//!
//! An image that needs more is refused with the remedy.
//!
//! Backing files, external data files, encryption and extended table entries are not supported:
//! such images are refused. Snapshots and bitmaps are ignored, because they change nothing about
//! the active disk.
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
mod lookback;
mod pending;
mod plan;
mod sink;
mod table;

pub use error::Error;
pub(crate) use header::MAGIC;
pub use header::{Compression, Header};
pub use plan::Pass;
pub use sink::{Sink, SinkClosed};

use cluster::Unpacker;
use lookback::Lookback;
use pending::{Block, Kind};
use plan::Plan;
use std::fmt;

/// Decoder for one image, in one or more passes over its file.
pub struct Decoder {
    plan: Plan,
    past: Lookback,
    unpacker: Unpacker,
}

impl Decoder {
    /// Creates a decoder for the file with this header.
    ///
    /// # Errors
    /// [`Error::Zstandard`] if the zstd decoder has no memory.
    pub fn new(header: &Header) -> Result<Self, Error> {
        let cluster = usize::try_from(header.cluster_size()).unwrap_or(usize::MAX);
        Ok(Self {
            plan: Plan::new(header)?,
            past: Lookback::new(),
            unpacker: Unpacker::new(header.compression, cluster)?,
        })
    }

    /// Decodes the next bytes of the file.
    ///
    /// # Errors
    /// [`Error`] if the image is corrupt or exceeds a limit, or if the sink closed.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), Error> {
        self.past.push(bytes);
        while let Some((host, guest, whole)) = self.plan.wanted.take_whole(self.past.position()) {
            self.read_whole(host, guest, whole, sink)?;
        }
        self.pass_runs_on(sink)?;
        let needed = self.plan.wanted.first_whole();
        self.past.forget(needed.unwrap_or(u64::MAX));
        Ok(())
    }

    /// Ends a pass at the end of the file.
    ///
    /// # Errors
    /// [`Error::Truncated`] if the tables point behind the end; otherwise as [`Decoder::push`].
    pub fn end(&mut self, sink: &mut impl Sink) -> Result<Pass, Error> {
        let at = self.past.position();
        while let Some((host, guest, whole)) = self.plan.wanted.take_whole(u64::MAX) {
            // The length of a compressed cluster is counted in sectors, so the last one may be cut.
            if whole.kind != Kind::Compressed || host >= at {
                return Err(Error::Truncated { at });
            }
            let length = at - host;
            self.read_whole(host, guest, Block { length, ..whole }, sink)?;
        }
        self.pass_runs_on(sink)?;
        while let Some(run) = self.plan.wanted.take_run(u64::MAX) {
            // QEMU does not write the part of the last cluster that lies behind the disk's end.
            if run.length >= self.plan.layout.cluster {
                return Err(Error::Truncated { at });
            }
            self.plan.zero(run.guest, run.length, sink)?;
        }
        self.past.restart();
        Ok(self.plan.next_pass())
    }

    /// Decodes a block that has passed completely.
    fn read_whole(
        &mut self,
        host: u64,
        guest: u64,
        whole: Block,
        sink: &mut impl Sink,
    ) -> Result<(), Error> {
        let (past, plan) = (&self.past, &mut self.plan);
        let bytes = past
            .bytes(host, whole.length)
            .ok_or(Error::Truncated { at: host })?;
        let used = match whole.kind {
            Kind::FirstLevel => {
                plan.read_first_level(bytes, past, sink)?;
                whole.length
            }
            Kind::SecondLevel => {
                plan.read_second_level(bytes, guest, past, sink)?;
                whole.length
            }
            Kind::Compressed => {
                let (cluster, used) = self.unpacker.unpack(bytes, guest)?;
                plan.data(guest, cluster, sink)?;
                used
            }
        };
        self.past.claim(host, used);
        Ok(())
    }

    /// Writes plain data that has passed, to the sink.
    fn pass_runs_on(&mut self, sink: &mut impl Sink) -> Result<(), Error> {
        let position = self.past.position();
        while let Some(run) = self.plan.wanted.take_run(position) {
            let (here, rest) = run.split(position - run.host);
            let bytes = self.past.bytes(here.host, here.length);
            let bytes = bytes.ok_or(Error::Truncated { at: here.host })?;
            self.plan.data(here.guest, bytes, sink)?;
            self.past.claim(here.host, here.length);
            self.plan.wanted.want_run(rest)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("position", &self.past.position())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
