//! The kernel log: its records, its size and its console output.

use crate::formats::kmsg::Record;
use nix::unistd::{Whence, lseek};
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr;

/// Position of the first record to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The oldest record in the buffer.
    Oldest,
    /// The first record since the log was cleared; the oldest if it never was.
    Cleared,
}

/// Which records to return if their total exceeds the given number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retain {
    /// The newest records.
    Newest(usize),
    /// The oldest records.
    Oldest(usize),
}

/// Reads the log's present records, one per `read`, until the kernel has no further one.
///
/// # Errors
/// `/dev/kmsg` (`path`) cannot be read.
pub fn records(path: &Path, start: Start, keep: Retain) -> io::Result<Vec<Record>> {
    let mut log = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if start == Start::Cleared {
        lseek(&log, 0, Whence::SeekData)?;
    }
    let (Retain::Newest(most) | Retain::Oldest(most)) = keep;
    let mut records = VecDeque::new();
    let mut bytes = 0_usize;
    let mut buffer = [0; MAX_RECORD_LEN];
    // If the kernel logs faster than this loop reads, the log has no last record.
    for _ in 0..MAX_READS {
        if bytes >= most && matches!(keep, Retain::Oldest(_)) {
            break;
        }
        match log.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                bytes = bytes.saturating_add(length);
                let record = Record::parse(buffer.get(..length).unwrap_or_default());
                records.push_back((length, record));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // The record was overwritten before it was read; the next `read` returns a later one.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) => return Err(error),
        }
        while bytes > most
            && matches!(keep, Retain::Newest(_))
            && let Some((length, _)) = records.pop_front()
        {
            bytes = bytes.saturating_sub(length);
        }
    }
    Ok(records.into_iter().map(|(_, record)| record).collect())
}

/// Returns the size of the log buffer in bytes.
///
/// # Errors
/// The error of `klogctl`.
pub fn size() -> io::Result<usize> {
    usize::try_from(control(SIZE_BUFFER)?).map_err(io::Error::other)
}

/// Makes `dmesg`, and [`records`] from [`Start::Cleared`], begin with later records. The existing
/// records stay in the buffer.
///
/// # Errors
/// The process lacks permission.
pub fn clear() -> io::Result<()> {
    control(CLEAR).map(drop)
}

/// Suppresses all console messages but emergencies until it is dropped.
#[derive(Debug)]
pub struct QuietConsole(());

impl QuietConsole {
    /// Sets the console to emergencies only.
    ///
    /// # Errors
    /// The process lacks permission.
    pub fn new() -> io::Result<Self> {
        control(CONSOLE_OFF).map(|_| Self(()))
    }
}

impl Drop for QuietConsole {
    fn drop(&mut self) {
        if let Err(error) = control(CONSOLE_ON) {
            tracing::error!(%error, "The console stays quiet");
        }
    }
}

fn control(action: libc::c_int) -> io::Result<libc::c_int> {
    // SAFETY: the actions in this file take no buffer.
    match unsafe { libc::klogctl(action, ptr::null_mut(), 0) } {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    }
}

/// linux/syslog.h.
const CLEAR: libc::c_int = 5;
const CONSOLE_OFF: libc::c_int = 6;
const CONSOLE_ON: libc::c_int = 7;
const SIZE_BUFFER: libc::c_int = 10;
/// linux/printk.h: `PRINTK_MESSAGE_MAX` is 2 KiB.
const MAX_RECORD_LEN: usize = 8192;
/// More records than fit into the largest log buffer.
const MAX_READS: usize = 1 << 21;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_until_its_end_or_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kmsg");
        std::fs::write(&path, "6,1,2000000,-;hello\n").unwrap();
        for start in [Start::Oldest, Start::Cleared] {
            let records = records(&path, start, Retain::Oldest(100)).unwrap();
            let texts: Vec<_> = records.iter().map(ToString::to_string).collect();
            assert_eq!(texts, ["[    2.000000] hello"]);
        }
        for keep in [Retain::Oldest(0), Retain::Newest(0)] {
            assert_eq!(records(&path, Start::Oldest, keep).unwrap(), []);
        }
    }
}
