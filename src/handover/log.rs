//! Tail of a process's log that outlives the process and that other processes can read.
//!
//! A ring of bytes in a memory file, after its header. The number in the header counts all bytes
//! ever written, and is updated last. A process that dies while writing a line loses that line and
//! the oldest ones that it overwrote.
//!
//! Each process writes its own file. No process therefore waits for another, or can damage or
//! displace another's lines. The reader merges the lines by their timestamps. It does not trust the
//! content: numbers are bounded by the file's size, which is sealed. Lines are redacted, and
//! stripped of control characters, once more.

use super::memfd::{AFTER_HEADER, Header, memory_file};
use crate::logging::{Line, Source, Tee};
use crate::redact::{one_line, redact};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Latest log lines of a process, in memory that outlives it.
#[derive(Debug)]
pub struct LogTail {
    file: File,
    /// Total number of bytes ever written.
    written: Mutex<u64>,
}

impl LogTail {
    /// Creates an empty log tail in a memory file with this name.
    ///
    /// # Errors
    /// The kernel has no memory.
    pub fn create(name: &CStr) -> io::Result<Self> {
        let tail = Self::of(memory_file(name)?.into())?;
        // A process with the descriptor can write lines. It cannot grow the file, or shrink it
        // below what readers expect.
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&tail.file, FcntlArg::F_ADD_SEALS(seals))?;
        Ok(tail)
    }

    /// Opens the log tail in this file; a file without one becomes an empty log tail.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn of(file: OwnedFd) -> io::Result<Self> {
        let file = File::from(file);
        let written = match HEADER.read(&file) {
            Some(written) if written <= MAX_WRITTEN => written,
            _ => {
                file.set_len(AFTER_HEADER + ROOM)?;
                HEADER.write(&file, 0)?;
                0
            }
        };
        Ok(Self {
            file,
            written: Mutex::new(written),
        })
    }

    /// Returns the memory file.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Opens the memory file read-only, for another process.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub fn read_only(&self) -> io::Result<OwnedFd> {
        File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd())).map(OwnedFd::from)
    }

    /// Returns the complete lines, oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn lines(&self) -> io::Result<Vec<Line>> {
        read_lines(&self.file)
    }

    /// Returns the texts of the last `most` lines.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last(&self, most: usize) -> io::Result<Vec<String>> {
        last_texts(&self.file, most)
    }

    fn push(&self, line: &Line) -> io::Result<()> {
        let text = line.text.trim_end_matches('\n');
        let text = text
            .get(..text.floor_char_boundary(MAX_LINE_LEN))
            .unwrap_or(text);
        let micros = u64::try_from(line.at.as_micros()).unwrap_or(u64::MAX);
        let stamped = format!("{micros:0STAMP$x} {text}\n");
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = stamped.as_bytes();
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

impl Tee for LogTail {
    fn write(&self, line: &Line) {
        // A failure cannot be logged, because this is the log.
        let _lost = self.push(line);
    }
}

/// Reader of another process's log.
#[derive(Debug)]
pub struct LogReader(File);

impl LogReader {
    /// Reads the log tail in this file.
    #[must_use]
    pub fn of(file: OwnedFd) -> Self {
        Self(file.into())
    }

    /// Returns the texts of the last `most` lines.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last(&self, most: usize) -> io::Result<Vec<String>> {
        last_texts(&self.0, most)
    }
}

impl Source for LogReader {
    fn lines(&self) -> Vec<Line> {
        read_lines(&self.0).unwrap_or_else(|error| {
            tracing::warn!(%error, "the log of another process cannot be read");
            Vec::new()
        })
    }
}

fn last_texts(file: &File, most: usize) -> io::Result<Vec<String>> {
    let mut lines = read_lines(file)?;
    let last = lines.split_off(lines.len().saturating_sub(most));
    let texts = last.iter().map(|line| line.text.trim_end().to_owned());
    Ok(texts.collect())
}

fn read_lines(file: &File) -> io::Result<Vec<Line>> {
    // Read from the file, because another process may have written since.
    let written = HEADER.read(file).unwrap_or(0);
    let length = usize::try_from(written.min(ROOM)).map_err(io::Error::other)?;
    let (mut bytes, oldest) = (vec![0; length], written.saturating_sub(ROOM));
    let to_the_end = usize::try_from(ROOM - oldest % ROOM).map_err(io::Error::other)?;
    let (before, after) = bytes.split_at_mut(to_the_end.min(length));
    file.read_exact_at(before, AFTER_HEADER + oldest % ROOM)?;
    file.read_exact_at(after, AFTER_HEADER)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = match text.split_once('\n') {
        // The beginning of the oldest line was overwritten.
        Some((_, whole)) if oldest > 0 => whole,
        _ => &text,
    };
    let mut at = Duration::ZERO;
    let lines = whole.lines().map(|line| {
        let text = match line.split_at_checked(STAMP) {
            Some((stamp, text)) if let Ok(micros) = u64::from_str_radix(stamp, 16) => {
                at = Duration::from_micros(micros);
                text.trim_start_matches(' ')
            }
            _ => line,
        };
        let text = one_line(&redact(text)) + "\n";
        Line { at, text }
    });
    Ok(lines.collect())
}

const HEADER: Header = Header(b"ferrlog2");
/// Size of the ring in bytes: some thousand lines.
const ROOM: u64 = 256 << 10;
/// Maximum total of written bytes, which no log reaches; larger numbers could overflow.
const MAX_WRITTEN: u64 = u64::MAX / 2;
/// Maximum length of a line in bytes; longer lines are cut.
const MAX_LINE_LEN: usize = 16 << 10;
/// Length of a line's timestamp: hexadecimal digits of the microseconds since the machine started.
const STAMP: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(at: u64, text: &str) -> Line {
        Line {
            at: Duration::from_micros(at),
            text: format!("{text}\n"),
        }
    }

    fn next(log: &LogTail) -> LogTail {
        LogTail::of(log.descriptor().try_clone_to_owned().unwrap()).unwrap()
    }

    fn reader(log: &LogTail) -> LogReader {
        LogReader::of(log.read_only().unwrap())
    }

    #[test]
    fn lines_are_there_for_who_opens_the_memory_next() {
        let log = LogTail::create(c"test-log").unwrap();
        assert_eq!(log.lines().unwrap(), []);
        let said = [line(1, "one"), line(2, "two"), line(u64::MAX, "three")];
        for line in &said {
            log.write(line);
        }
        let next = next(&log);
        assert_eq!(next.lines().unwrap(), said);
        assert_eq!(next.last(2).unwrap(), ["two", "three"]);
        next.write(&line(4, "four"));
        assert_eq!(log.last(1).unwrap(), ["four"]);
        assert_eq!(log.last(9).unwrap().len(), 4);
    }

    #[test]
    fn the_oldest_lines_leave_and_none_is_cut() {
        let log = LogTail::create(c"test-log").unwrap();
        for number in 0..40_000 {
            log.write(&line(number, &format!("line {number:05}")));
        }
        let lines = log.lines().unwrap();
        let kept = ROOM / 28;
        let expected = (40_000 - kept..40_000).map(|n| line(n, &format!("line {n:05}")));
        assert_eq!(lines, expected.collect::<Vec<_>>());
        assert_eq!(next(&log).lines().unwrap(), lines);
    }

    #[test]
    fn a_line_that_is_too_long_ends_within_its_own() {
        let log = LogTail::create(c"test-log").unwrap();
        log.write(&line(1, &"ä".repeat(MAX_LINE_LEN)));
        log.write(&line(2, "next"));
        let cut = line(1, &"ä".repeat(MAX_LINE_LEN / 2));
        assert_eq!(log.lines().unwrap(), [cut, line(2, "next")]);
    }

    #[test]
    fn other_memory_becomes_an_empty_log() {
        for number in [7, u64::MAX] {
            let file = memory_file(c"strange").unwrap();
            file.write_all_at(&[7; 100], 0).unwrap();
            HEADER.set(&file, number).unwrap();
            let log = LogTail::of(file.into()).unwrap();
            assert_eq!(log.lines().unwrap(), []);
        }
    }

    #[test]
    fn a_reader_cannot_write_and_a_writer_cannot_change_the_size() {
        let log = LogTail::create(c"test-log").unwrap();
        log.write(&line(1, "kept"));
        let read_only = File::from(log.read_only().unwrap());
        assert!(read_only.write_all_at(b"x", 0).is_err());
        let writer = File::from(log.descriptor().try_clone_to_owned().unwrap());
        for length in [0, AFTER_HEADER + ROOM + 1] {
            assert!(writer.set_len(length).is_err());
        }
        assert!(writer.write_all_at(b"x", AFTER_HEADER + ROOM).is_err());
        assert_eq!(reader(&log).lines(), [line(1, "kept")]);
    }

    #[test]
    fn nothing_that_a_hostile_process_writes_is_believed() {
        let log = LogTail::create(c"test-log").unwrap();
        let file = File::from(log.descriptor().try_clone_to_owned().unwrap());
        let forged = "ffffffffffffffff \u{1b}[2Jagent_token=hush\nno stamp\n0000000000000001 ä";
        file.write_all_at(forged.as_bytes(), AFTER_HEADER).unwrap();
        let length = u64::try_from(forged.len()).unwrap();
        HEADER.set(&file, length).unwrap();
        assert_eq!(
            reader(&log).lines(),
            [
                line(u64::MAX, "\u{fffd}[2Jagent_token=******"),
                line(u64::MAX, "no stamp"),
                line(1, "ä"),
            ]
        );
        // No number in the header makes the reader read more than the ring.
        for number in [ROOM, ROOM + 1, MAX_WRITTEN, u64::MAX] {
            HEADER.set(&file, number).unwrap();
            let bytes: usize = reader(&log)
                .lines()
                .iter()
                .map(|line| line.text.len())
                .sum();
            assert!(bytes <= 4 * usize::try_from(ROOM).unwrap(), "{number}");
        }
        let owner = LogTail::of(log.descriptor().try_clone_to_owned().unwrap()).unwrap();
        owner.write(&line(9, "goes on"));
        assert_eq!(owner.last(1).unwrap(), ["goes on"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_lines(number: u64, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let log = LogTail::create(c"test-log").unwrap();
            log.file.write_all_at(&bytes, AFTER_HEADER).unwrap();
            HEADER.set(&log.file, number % 400).unwrap();
            let _ = reader(&log).lines();
            HEADER.set(&log.file, number).unwrap();
            let _ = reader(&log).lines();
        }
    }
}
