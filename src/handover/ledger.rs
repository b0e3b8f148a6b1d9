//! Command history in memory, so that Ironic reads the same results from the next agent process.
//!
//! A memory file of frames (see [`crate::formats::frames`]), each with a record at the time it
//! changed. A later frame of a record replaces the earlier one. An incomplete frame, left by an
//! agent that died while writing it, is ignored.
//!
//! The number in the header is the offset of the first frame. If many frames describe few records,
//! all records are written once more after the last frame. The number is then set to them, and the
//! memory before them is freed.

use super::memfd::{AFTER_HEADER, Header, memory_file};
use super::record;
use crate::command::{Journal, SavedRecord};
use crate::formats::frames::{frame, frames};
use nix::fcntl::{FallocateFlags, fallocate};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Command history in memory that outlives the process; clones share it.
#[derive(Clone, Debug)]
pub struct HistoryFile(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: File,
    place: Mutex<Extent>,
}

/// Range of the frames, and the size above which they are rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    start: u64,
    end: u64,
    most: u64,
}

impl Extent {
    const EMPTY: Self = Self {
        start: AFTER_HEADER,
        end: AFTER_HEADER,
        most: MAX_BYTES,
    };
}

impl HistoryFile {
    /// Creates an empty command history.
    ///
    /// # Errors
    /// The kernel has no memory.
    pub fn create() -> io::Result<Self> {
        Self::of(memory_file(c"ferrite-ledger")?.into())
    }

    /// Opens the command history in this file; a file without one becomes an empty history.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn of(file: OwnedFd) -> io::Result<Self> {
        let ledger = Self(Arc::new(Shared {
            file: File::from(file),
            place: Mutex::new(Extent::EMPTY),
        }));
        let start = HEADER.read(&ledger.0.file);
        let length = ledger.0.file.metadata()?.len();
        match start {
            Some(start) if (AFTER_HEADER..=length).contains(&start) => {
                let read = {
                    let bytes = ledger.0.bytes(start, length)?;
                    let mut whole = frames(&bytes);
                    whole.by_ref().for_each(drop);
                    u64::try_from(whole.read()).map_err(io::Error::other)?
                };
                let end = start + read;
                if end < length {
                    tracing::warn!(
                        "the agent before this one ended while it kept a record: its last word is lost"
                    );
                    ledger.0.file.set_len(end)?;
                }
                *ledger.0.place() = Extent {
                    start,
                    end,
                    most: MAX_BYTES.max(2 * read),
                };
            }
            _ => ledger.forget()?,
        }
        Ok(ledger)
    }

    /// Returns the memory file.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }

    /// Returns every record, in the order of the commands.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn records(&self) -> io::Result<Vec<SavedRecord>> {
        let Extent { start, end, .. } = *self.0.place();
        let mut records: Vec<SavedRecord> = Vec::new();
        for content in frames(&self.0.bytes(start, end)?) {
            let Some(kept) = record::parsed(content) else {
                tracing::warn!(
                    "a record of the agent before this one is not understood: forgotten"
                );
                continue;
            };
            match records.iter_mut().rev().find(|r| r.id == kept.id) {
                Some(earlier) => *earlier = kept,
                None => records.push(kept),
            }
        }
        Ok(records)
    }

    /// Deletes every record; for use when no other agent follows.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn forget(&self) -> io::Result<()> {
        let mut place = self.0.place();
        forget(&self.0.file)?;
        *place = Extent::EMPTY;
        Ok(())
    }
}

/// Deletes every record in a file that nothing else in this process uses.
pub(super) fn forget(file: &File) -> io::Result<()> {
    HEADER.begin(file, AFTER_HEADER)
}

impl Journal for HistoryFile {
    fn keep(&self, record: &SavedRecord, all: &dyn Fn() -> Vec<SavedRecord>) {
        let kept = || -> io::Result<()> {
            let mut place = self.0.place();
            if place.end - place.start > place.most {
                self.0.rewrite(&mut place, &all())?;
            }
            self.0.append(&mut place, record)
        };
        if let Err(error) = kept() {
            let (command, id) = (&record.name, &record.id);
            tracing::warn!(command, id, %error, "a record cannot be kept for an agent after this one");
        }
    }
}

impl Shared {
    fn place(&self) -> MutexGuard<'_, Extent> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self, start: u64, end: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(end - start).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes)
    }

    fn append(&self, place: &mut Extent, kept: &SavedRecord) -> io::Result<()> {
        let frame = frame(&record::written(kept)).ok_or(io::ErrorKind::FileTooLarge)?;
        self.file.write_all_at(&frame, place.end)?;
        place.end += u64::try_from(frame.len()).map_err(io::Error::other)?;
        Ok(())
    }

    /// Appends one frame per record, and then sets the start to the first of them.
    ///
    /// If the process dies before that, the old frames still hold; some records appear twice.
    fn rewrite(&self, place: &mut Extent, all: &[SavedRecord]) -> io::Result<()> {
        let mut anew = Extent {
            start: place.end,
            ..*place
        };
        for kept in all {
            self.append(&mut anew, kept)?;
        }
        HEADER.set(&self.file, anew.start)?;
        anew.most = MAX_BYTES.max(2 * (anew.end - anew.start));
        *place = anew;
        let past = i64::try_from(anew.start).map_err(io::Error::other)? - PAST_FROM;
        let give_back = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(&self.file, give_back, PAST_FROM, past)?;
        Ok(())
    }
}

const HEADER: Header = Header(b"ferrled1");
/// Offset of the first byte after the header.
const PAST_FROM: i64 = 16;
/// Maximum size of the frames before a rewrite; afterwards twice the remaining size, if larger.
const MAX_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Mode;
    use crate::error::{AgentError, ErrorClass};
    use serde_json::{Value, json};
    use std::os::unix::fs::MetadataExt;

    fn kept(id: &str, outcome: Option<Result<Value, AgentError>>) -> SavedRecord {
        SavedRecord {
            id: id.into(),
            name: "execute_clean_step".into(),
            mode: Mode::Async,
            is_conductors: true,
            outcome: outcome.map(|outcome| outcome.map(Arc::new)),
        }
    }

    fn failed() -> Option<Result<Value, AgentError>> {
        let class = ErrorClass::CleaningError;
        Some(Err(AgentError::new(class, "no disk")))
    }

    fn nobody() -> Vec<SavedRecord> {
        panic!("nobody is to be asked for all records")
    }

    fn next(ledger: &HistoryFile) -> HistoryFile {
        HistoryFile::of(ledger.descriptor().try_clone_to_owned().unwrap()).unwrap()
    }

    fn assert_holds(ledger: &HistoryFile, wanted: &[SavedRecord]) {
        assert!(ledger.records().unwrap() == wanted);
    }

    #[test]
    fn the_last_word_about_each_record_is_found_in_the_order_of_the_commands() {
        let ledger = HistoryFile::create().unwrap();
        let (first, second) = (kept("a", failed()), kept("b", Some(Ok(json!(null)))));
        for word in [&kept("a", None), &first, &kept("b", None), &second] {
            ledger.keep(word, &nobody);
        }
        let running = kept("c", None);
        ledger.keep(&running, &nobody);
        assert_holds(&next(&ledger), &[first, second, running]);
    }

    #[test]
    fn a_record_whose_result_is_nested_too_deep_to_be_read_again_is_kept_without_it() {
        let nested = |levels| (0..levels).fold(json!("x"), |inner, _| json!([inner]));
        for (levels, expected) in [
            (126, nested(126)),
            (
                127,
                json!({"omitted": "nested in 127 levels, more than 126"}),
            ),
            (
                1000,
                json!({"omitted": "nested in 1000 levels, more than 126"}),
            ),
        ] {
            let ledger = HistoryFile::create().unwrap();
            ledger.keep(&kept("a", Some(Ok(nested(levels)))), &nobody);
            assert_holds(&next(&ledger), &[kept("a", Some(Ok(expected)))]);
        }
    }

    #[test]
    fn a_word_that_an_agent_died_over_is_not_read_and_the_next_one_is() {
        let ledger = HistoryFile::create().unwrap();
        let before = kept("a", failed());
        ledger.keep(&before, &nobody);
        let whole = ledger.0.file.metadata().unwrap().len();
        ledger.keep(&kept("b", None), &nobody);
        let torn = ledger.0.file.metadata().unwrap().len() - 1;
        ledger.0.file.set_len(torn).unwrap();
        let next_one = next(&ledger);
        assert_holds(&next_one, std::slice::from_ref(&before));
        assert_eq!(next_one.0.file.metadata().unwrap().len(), whole);
        let after = kept("c", None);
        next_one.keep(&after, &nobody);
        assert_holds(&next(&next_one), &[before, after]);
    }

    #[test]
    fn the_memory_stays_bounded_however_often_records_change() {
        let ledger = HistoryFile::create().unwrap();
        let result = |round: usize| Some(Ok(json!({ "text": "x".repeat(10_000), "round": round })));
        for round in 0..1000 {
            ledger.keep(&kept("a", result(round)), &|| {
                vec![kept("a", result(round - 1))]
            });
        }
        let bytes = ledger.0.file.metadata().unwrap().blocks() * 512;
        assert!(bytes < 2 * MAX_BYTES, "{bytes}");
        assert_holds(&next(&ledger), &[kept("a", result(999))]);
    }

    #[test]
    fn nothing_is_left_when_it_was_forgotten() {
        let ledger = HistoryFile::create().unwrap();
        ledger.keep(&kept("a", failed()), &nobody);
        ledger.forget().unwrap();
        assert_holds(&next(&ledger), &[]);
        assert_eq!(ledger.0.file.metadata().unwrap().len(), AFTER_HEADER);
    }

    #[test]
    fn other_memory_becomes_an_empty_ledger() {
        for (number, strange) in [
            &[][..],
            &[7; 100],
            b"ferrled1\xff\xff\xff\xff\xff\xff\xff\xff",
        ]
        .into_iter()
        .enumerate()
        {
            let file = memory_file(c"strange").unwrap();
            file.write_all_at(strange, 0).unwrap();
            let ledger = HistoryFile::of(file.into()).unwrap();
            assert_holds(&ledger, &[]);
            ledger.keep(&kept("a", None), &nobody);
            assert!(next(&ledger).records().unwrap().len() == 1, "{number}");
        }
    }
}
