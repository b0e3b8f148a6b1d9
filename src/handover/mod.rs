//! State that an agent process leaves to its successor, so that Ironic sees at most a failed
//! command.
//!
//! ```text
//! state holder (PID 1, `ferrite supervise`, systemd): holds three memory files, reads only the log
//!   └─ agent: maps the vault, reads the command history and the last log lines, writes all three
//! ```
//!
//! None of it is ever on a disk: it is lost with the state holder, and so with the machine. PID 1
//! wipes it when the machine is handed to its owner.

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

/// State of an agent process for its successor, open for use.
#[derive(Debug)]
pub struct Handover {
    /// Secrets of the agent, and its identity to Ironic.
    pub vault: Vault,
    /// Command history.
    pub ledger: HistoryFile,
    /// Latest log lines.
    pub log: LogTail,
}

impl Handover {
    /// Creates an empty state.
    ///
    /// # Errors
    /// The kernel has no memory.
    pub fn create() -> io::Result<Self> {
        Ok(Self {
            vault: Vault::create()?,
            ledger: HistoryFile::create()?,
            log: LogTail::create(c"ferrite-log")?,
        })
    }

    /// Opens the state of a previous agent.
    ///
    /// # Errors
    /// The first file is no vault, or one of the others cannot be read or written.
    pub fn of([vault, ledger, log]: [OwnedFd; FILES]) -> io::Result<Self> {
        Ok(Self {
            vault: Vault::of(vault)?,
            ledger: HistoryFile::of(ledger)?,
            log: LogTail::of(log)?,
        })
    }

    /// Returns the memory files: vault, command history, log.
    #[must_use]
    pub fn files(&self) -> [BorrowedFd<'_>; FILES] {
        [
            self.vault.descriptor(),
            self.ledger.descriptor(),
            self.log.descriptor(),
        ]
    }
}

/// Memory files held for successive agents; only the log is read here.
#[derive(Debug)]
pub struct StateHolder([OwnedFd; FILES]);

impl StateHolder {
    /// Creates new memory files.
    ///
    /// # Errors
    /// The kernel has no memory.
    pub fn create() -> io::Result<Self> {
        Self::of(&Handover::create()?)
    }

    /// Duplicates the descriptors of existing memory files.
    ///
    /// # Errors
    /// The process has too many open files.
    pub fn of(handover: &Handover) -> io::Result<Self> {
        let [vault, ledger, log] = handover.files().map(|file| file.try_clone_to_owned());
        Ok(Self([vault?, ledger?, log?]))
    }

    /// Returns the memory files: vault, command history, log.
    #[must_use]
    pub fn files(&self) -> [BorrowedFd<'_>; FILES] {
        self.0.each_ref().map(AsFd::as_fd)
    }

    /// Wipes the vault and the command history. For use when the agent died before it could, and no
    /// other agent follows.
    ///
    /// # Errors
    /// A file does not belong to an agent, or cannot be written. The others are wiped.
    pub fn wipe(&self) -> io::Result<()> {
        let [vault, ledger, _] = &self.0;
        let vault = vault.try_clone().and_then(Vault::of);
        let vault = vault.map(|vault| vault.wipe());
        ledger::forget(&File::from(ledger.try_clone()?))?;
        vault
    }

    /// Returns the last `lines` log lines of the agent.
    ///
    /// # Errors
    /// The log file cannot be read.
    pub fn last_lines(&self, lines: usize) -> io::Result<Vec<String>> {
        let [_, _, log] = &self.0;
        LogReader::of(log.try_clone()?).last(lines)
    }
}

/// Number of memory files: vault, command history, log.
pub const FILES: usize = 3;
