//! The tail of the log, so that what an agent said last outlives it.
//!
//! A ring of bytes in a memory file, after its header: the number there counts every byte that was ever written, and is changed
//! last. Who dies over a line loses that line, and the oldest ones that it was written over.

use super::memory::{AFTER_HEADER, Header, memory_file};
use crate::logging::Mirror;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

/// The latest lines, in memory that outlives the process.
#[derive(Debug)]
pub struct LogTail {
    file: File,
    /// Bytes that were ever written.
    written: Mutex<u64>,
}

impl LogTail {
    /// An empty one.
    ///
    /// # Errors
    /// What the kernel says when it has no memory.
    pub fn create() -> io::Result<Self> {
        Self::of(memory_file(c"ferrite-log")?.into())
    }

    /// The one in this file; what is none becomes an empty one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn of(file: OwnedFd) -> io::Result<Self> {
        let file = File::from(file);
        let written = match HEADER.read(&file) {
            Some(written) => written,
            None => {
                HEADER.begin(&file, 0)?;
                0
            }
        };
        Ok(Self {
            file,
            written: Mutex::new(written),
        })
    }

    /// Its memory file.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The whole lines that are there, oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn text(&self) -> io::Result<String> {
        // Another process may have written since.
        let written = HEADER.read(&self.file).unwrap_or(0);
        let length = usize::try_from(written.min(ROOM)).map_err(io::Error::other)?;
        let (mut bytes, oldest) = (vec![0; length], written.saturating_sub(ROOM));
        let to_the_end = usize::try_from(ROOM - oldest % ROOM).map_err(io::Error::other)?;
        let (before, after) = bytes.split_at_mut(to_the_end.min(length));
        self.file
            .read_exact_at(before, AFTER_HEADER + oldest % ROOM)?;
        self.file.read_exact_at(after, AFTER_HEADER)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(match text.split_once('\n') {
            // The oldest line has lost its beginning.
            Some((_, whole)) if oldest > 0 => whole.to_owned(),
            _ => text.into_owned(),
        })
    }

    /// The last so many lines.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last(&self, lines: usize) -> io::Result<Vec<String>> {
        let text = self.text()?;
        let mut last: Vec<_> = text.lines().rev().take(lines).map(str::to_owned).collect();
        last.reverse();
        Ok(last)
    }

    fn push(&self, line: &[u8]) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = line.get(..LONGEST_LINE).unwrap_or(line);
        while !rest.is_empty() {
            let at = *written % ROOM;
            let to_the_end = usize::try_from(ROOM - at).map_err(io::Error::other)?;
            let (now, then) = rest.split_at(to_the_end.min(rest.len()));
            self.file.write_all_at(now, AFTER_HEADER + at)?;
            *written += u64::try_from(now.len()).map_err(io::Error::other)?;
            rest = then;
        }
        HEADER.set(&self.file, *written)
    }
}

impl Mirror for LogTail {
    fn tell(&self, line: &str) {
        // There is nobody to be told of it but the log itself.
        let _lost = self.push(line.as_bytes());
    }
}

const HEADER: Header = Header(b"ferrlog1");
/// Bytes of text: some thousand lines.
const ROOM: u64 = 256 << 10;
/// Of a line longer than this only the beginning is there.
const LONGEST_LINE: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn next(log: &LogTail) -> LogTail {
        LogTail::of(log.descriptor().try_clone_to_owned().unwrap()).unwrap()
    }

    #[test]
    fn lines_are_there_for_who_opens_the_memory_next() {
        let log = LogTail::create().unwrap();
        assert_eq!(log.text().unwrap(), "");
        for line in ["one\n", "two\n", "three\n"] {
            log.tell(line);
        }
        let next = next(&log);
        assert_eq!(next.text().unwrap(), "one\ntwo\nthree\n");
        assert_eq!(next.last(2).unwrap(), ["two", "three"]);
        next.tell("four\n");
        assert_eq!(log.last(1).unwrap(), ["four"]);
    }

    #[test]
    fn the_oldest_lines_leave_and_none_is_cut() {
        let log = LogTail::create().unwrap();
        for number in 0..40_000 {
            log.tell(&format!("line {number:05}\n"));
        }
        let text = log.text().unwrap();
        assert!(text.starts_with("line ") && text.ends_with("line 39999\n"));
        assert!(text.lines().all(|line| line.len() == 10));
        assert_eq!(text.lines().count(), usize::try_from(ROOM).unwrap() / 11);
        assert_eq!(next(&log).text().unwrap(), text);
    }

    #[test]
    fn other_memory_becomes_an_empty_log() {
        let file = memory_file(c"strange").unwrap();
        file.write_all_at(&[7; 100], 0).unwrap();
        let log = LogTail::of(file.into()).unwrap();
        assert_eq!(log.text().unwrap(), "");
    }
}
