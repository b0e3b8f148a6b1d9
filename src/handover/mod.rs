//! What an agent that ended leaves to the one after it, so that Ironic notices no more than a command that failed.
//!
//! ```text
//! keeper (process 1, `ferrite supervise`, systemd) ── holds three memory files, looks into none but the log
//!   └─ agent ── maps the vault, reads the ledger's records and the log's last lines, and writes all three
//! ```
//!
//! Nothing of it is ever on a disk: it is gone with the keeper, and so with the machine; process 1 wipes it when that goes to its owner.

mod ledger;
mod log;
mod memfd;
mod record;
pub mod systemd;

pub use ledger::HistoryFile;
pub use log::{LogReader, LogTail};

use crate::secret::Vault;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What an agent leaves, open for who works with it.
#[derive(Debug)]
pub struct Handover {
    /// Its secrets, and who it was to Ironic.
    pub vault: Vault,
    /// The records of its commands.
    pub ledger: HistoryFile,
    /// What it said last.
    pub log: LogTail,
}

impl Handover {
    /// Nothing left by anybody.
    ///
    /// # Errors
    /// What the kernel says when it has no memory.
    pub fn create() -> io::Result<Self> {
        Ok(Self {
            vault: Vault::create()?,
            ledger: HistoryFile::create()?,
            log: LogTail::create(c"ferrite-log")?,
        })
    }

    /// What an agent before this one left.
    ///
    /// # Errors
    /// The first is no vault, or one of the others cannot be written.
    pub fn of([vault, ledger, log]: [OwnedFd; FILES]) -> io::Result<Self> {
        Ok(Self {
            vault: Vault::of(vault)?,
            ledger: HistoryFile::of(ledger)?,
            log: LogTail::of(log)?,
        })
    }

    /// Its memory files, in their order.
    #[must_use]
    pub fn files(&self) -> [BorrowedFd<'_>; FILES] {
        [
            self.vault.descriptor(),
            self.ledger.descriptor(),
            self.log.descriptor(),
        ]
    }
}

/// The memory files in the hands of who keeps them for one agent after the other, and looks into none but the log.
#[derive(Debug)]
pub struct StateHolder([OwnedFd; FILES]);

impl StateHolder {
    /// A keeper of new files.
    ///
    /// # Errors
    /// What the kernel says when it has no memory.
    pub fn create() -> io::Result<Self> {
        Self::of(&Handover::create()?)
    }

    /// A keeper of these.
    ///
    /// # Errors
    /// The process has too many files open.
    pub fn of(handover: &Handover) -> io::Result<Self> {
        let [vault, ledger, log] = handover.files().map(|file| file.try_clone_to_owned());
        Ok(Self([vault?, ledger?, log?]))
    }

    /// The files, in their order.
    #[must_use]
    pub fn files(&self) -> [BorrowedFd<'_>; FILES] {
        self.0.each_ref().map(AsFd::as_fd)
    }

    /// Wipes what an agent left that died before it could: nobody is to come after it.
    ///
    /// # Errors
    /// One of the files is none of an agent's, or cannot be written. The others are wiped.
    pub fn wipe(&self) -> io::Result<()> {
        let [vault, ledger, _] = &self.0;
        let vault = vault.try_clone().and_then(Vault::of);
        let vault = vault.map(|vault| vault.wipe());
        ledger::forget(&File::from(ledger.try_clone()?))?;
        vault
    }

    /// What the agent said last, line by line.
    ///
    /// # Errors
    /// The log's file cannot be read.
    pub fn last_lines(&self, lines: usize) -> io::Result<Vec<String>> {
        let [_, _, log] = &self.0;
        LogReader::of(log.try_clone()?).last(lines)
    }
}

/// How many memory files there are: vault, ledger, log.
pub const FILES: usize = 3;
