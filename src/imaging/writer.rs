//! Writes a guest's bytes to a disk such that nothing can boot from it, or be found on it, before
//! the image is verified.
//!
//! 1. The disk's first and last MiB are zeroed: they have the signatures of its earlier contents
//!    (partition tables, md, LVM).
//! 2. The image is written, except for its data in these two MiB: a partition table at the front,
//!    its backup at the back. That stays in memory.
//! 3. After the download is complete and verified, the empty areas of the image are zeroed: no
//!    server waits for the disk then.
//! 4. After the whole image is on the medium, the two MiB are written, the front last. If that
//!    fails, also in the last flush, they are zeroed again.
//!
//! So a power failure at any moment leaves a disk without a table, and so does a wrong checksum.
//! The backup table of an image smaller than the disk lies in between; `abandon` zeroes it too.

use super::target::{Error, Target};
use super::zeroes::PendingZeroes;
use crate::progress::Reporter;
use std::path::Path;
use std::time::{Duration, Instant};

/// Writer of an image to a disk.
#[derive(Debug)]
pub(super) struct Writer {
    target: Target,
    reporter: Reporter,
    head: DeferredRegion,
    tail: DeferredRegion,
    /// End of the area at the disk's start that was zeroed before any write there.
    blank: u64,
    /// Limit of pre-zeroing: the end of the image.
    blank_end: u64,
    /// Bytes of the next pre-zeroing step; zero where pre-zeroing is not worthwhile.
    blank_step: u64,
    /// End of the data that this attempt wrote.
    written: u64,
    /// End of the data of all attempts.
    high_water_mark: u64,
    zeroes: PendingZeroes,
    /// Bytes of the guest processed so far.
    done: u64,
    /// Time of the last log line.
    last_logged: Instant,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Untouched,
    Writing,
}

/// A region of the disk that stays in memory until the commit.
#[derive(Debug)]
struct DeferredRegion {
    start: u64,
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(target: Target, reporter: &Reporter) -> Self {
        let head = target.size().min(HELD);
        // Aligned, so that the data before it can be written directly.
        let tail = target.size().saturating_sub(HELD).max(head) / ALIGNMENT * ALIGNMENT;
        let tail = tail.max(head);
        Self {
            head: DeferredRegion::new(0, head),
            tail: DeferredRegion::new(tail, target.size() - tail),
            target,
            reporter: reporter.clone(),
            blank: 0,
            blank_end: 0,
            blank_step: 0,
            written: 0,
            high_water_mark: 0,
            zeroes: PendingZeroes::default(),
            done: 0,
            last_logged: Instant::now(),
            state: State::Untouched,
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.target.path()
    }

    #[cfg(test)]
    pub(super) fn fail_flushes(&mut self, which: &[bool]) {
        self.target.fail_flushes(which);
    }

    /// Starts an attempt with an image of this size, if it is known.
    pub(super) fn begin(&mut self, size: Option<u64>) -> Result<(), Error> {
        self.check_end(size.unwrap_or(0))?;
        self.state = State::Writing;
        self.done = 0;
        self.written = 0;
        self.zeroes.clear();
        self.clear_ends()?;
        self.blank = self.head.end();
        self.blank_end = size.unwrap_or(0).min(self.tail.start);
        self.blank_step = FIRST_BLANK_STEP;
        self.reporter.phase("writing", size);
        Ok(())
    }

    /// Pre-zeroes the place of the next data if the device does that at no cost: zeroes of the
    /// image need not be written then. A device that takes too long is writing the zeroes and would
    /// write everything twice, so pre-zeroing ends.
    ///
    /// It zeroes one step at a time, and the first one is small, because a server waits meanwhile.
    fn pre_zero(&mut self, from: u64, to: u64) {
        let is_next = from <= self.blank && self.written <= self.blank && self.blank < to;
        let step = self
            .blank_end
            .saturating_sub(self.blank)
            .min(self.blank_step);
        if !is_next || step == 0 {
            return;
        }
        let start = Instant::now();
        let took = (self.target.punch(self.blank, step)).then(|| start.elapsed());
        if took.is_some() {
            self.blank += step;
        }
        self.blank_step = next_blank_step(self.blank_step, took);
        if self.blank_step == 0 {
            tracing::debug!(device = %self.path().display(), bytes = self.blank, "no more of the disk is made blank");
        }
    }

    /// Writes bytes of the guest.
    pub(super) fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let end = offset.saturating_add(length(bytes));
        self.check_end(end)?;
        self.head.put(offset, bytes);
        self.tail.put(offset, bytes);
        // Both cuts are inside the bytes or at one of their ends.
        let from = self.head.end().clamp(offset, end);
        let to = self.tail.start.clamp(from, end);
        let middle = bytes
            .get(size(from - offset)..size(to - offset))
            .unwrap_or_default();
        self.pre_zero(from, to);
        if to > self.blank || !is_zero(middle) {
            self.target.write(from, middle)?;
            self.written = self.written.max(to);
        }
        self.high_water_mark = self.high_water_mark.max(end);
        self.report(length(bytes));
        Ok(())
    }

    /// Records a range of the guest that reads as zeroes, for [`Writer::zero_next`].
    pub(super) fn zero(&mut self, offset: u64, length: u64) -> Result<(), Error> {
        let end = offset.saturating_add(length);
        self.check_end(end)?;
        // The deferred regions are zero from the start of the attempt.
        let from = self.head.end().max(self.blank).clamp(offset, end);
        let to = self.tail.start.clamp(from, end);
        // If the list is full, the range is zeroed immediately, and a server may have to wait.
        if from < to && !self.zeroes.push(from, to) {
            self.target.zero(from, to - from)?;
        }
        Ok(())
    }

    /// Begins to zero the recorded ranges.
    pub(super) fn begin_zeroing(&mut self) {
        self.done = 0;
        self.zeroes.sort();
        self.reporter.phase("zeroing", Some(self.zeroes.bytes()));
    }

    /// Zeroes the next piece of the recorded ranges; `false` when none is left.
    pub(super) fn zero_next(&mut self) -> Result<bool, Error> {
        let Some((from, to)) = self.zeroes.pop(ZERO_STEP) else {
            return Ok(false);
        };
        self.target.zero(from, to - from)?;
        self.report(to - from);
        Ok(true)
    }

    /// Writes the deferred regions of the verified image. After an error the disk may have its
    /// complete table: the last flush follows the last write.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        self.target.sync()?;
        for held in [&self.tail, &self.head] {
            self.target.write(held.start, &held.bytes)?;
            self.target.sync()?;
        }
        Ok(())
    }

    /// Removes the partition table from the disk. Returns whether the disk had been written to. If
    /// one part fails, the rest is still attempted.
    pub(super) fn abandon(mut self) -> Result<bool, Error> {
        if self.state == State::Untouched {
            return Ok(false);
        }
        let ends = self.clear_ends();
        let from = self
            .high_water_mark
            .saturating_sub(HELD)
            .max(self.head.end());
        let to = self.high_water_mark.min(self.tail.start);
        let backup = if from < to {
            let zeroed = self.target.zero(from, to - from);
            let flushed = self.target.sync();
            zeroed.and(flushed)
        } else {
            Ok(())
        };
        ends.and(backup).map(|()| true)
    }

    fn clear_ends(&mut self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for held in [&mut self.head, &mut self.tail] {
            held.bytes.fill(0);
            let written = self.target.write(held.start, &held.bytes);
            outcome = outcome.and(written);
        }
        let flushed = self.target.sync();
        outcome.and(flushed)
    }

    fn check_end(&self, end: u64) -> Result<(), Error> {
        if end <= self.target.size() {
            return Ok(());
        }
        Err(Error::TooSmall {
            device: self.target.path().to_owned(),
            needed: end,
            size: self.target.size(),
        })
    }

    fn report(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
        self.reporter.bytes(self.done);
        if self.last_logged.elapsed() >= LOG_INTERVAL {
            self.last_logged = Instant::now();
            self.log_progress();
        }
    }

    /// Logs one line of progress for the console.
    fn log_progress(&self) {
        let Some(progress) = self.reporter.latest() else {
            return;
        };
        let percent = progress
            .total
            .and_then(|total| (progress.bytes * 100).checked_div(total));
        tracing::info!(
            phase = progress.phase,
            percent,
            mib = progress.bytes >> 20,
            of_mib = progress.total.map(|total| total >> 20),
            mib_per_second = progress.rate() >> 20,
            "image under way"
        );
    }
}

impl DeferredRegion {
    fn new(start: u64, length: u64) -> Self {
        Self {
            start,
            bytes: vec![0; size(length)],
        }
    }

    fn end(&self) -> u64 {
        self.start + length(&self.bytes)
    }

    /// Returns the deferred bytes between two offsets of the disk.
    fn between(&mut self, from: u64, to: u64) -> &mut [u8] {
        let from = from.clamp(self.start, self.end());
        let to = to.clamp(from, self.end());
        let start = self.start;
        self.bytes
            .get_mut(size(from - start)..size(to - start))
            .unwrap_or_default()
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let skip = size(self.start.saturating_sub(offset));
        let place = self.between(offset, offset.saturating_add(length(bytes)));
        if let Some(bytes) = bytes.get(skip..).and_then(|rest| rest.get(..place.len())) {
            place.copy_from_slice(bytes);
        }
    }
}

/// Returns the size of the next pre-zeroing step after one of `step` bytes. `took` is its duration,
/// or `None` if it failed.
fn next_blank_step(step: u64, took: Option<Duration>) -> u64 {
    match took {
        Some(took) if took <= TIMEOUT => (step * 2).min(LAST_BLANK_STEP),
        _ => 0,
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    // Comparing memory with itself, shifted by one, runs at the speed of memory in every build.
    match bytes {
        [] => true,
        [first, rest @ ..] => *first == 0 && bytes.get(..rest.len()) == Some(rest),
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn size(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Size of a deferred region. It covers both GPTs with sectors of 512 and 4096 bytes, md
/// superblocks of every version, and LVM labels.
const HELD: u64 = 1 << 20;
const ALIGNMENT: u64 = 4096;
/// Size of the first step: a slow disk that writes the zeroes takes a second.
const FIRST_BLANK_STEP: u64 = 8 << 20;
/// Maximum size of a step. 256 MiB in an eighth of a second is faster than any disk writes.
const LAST_BLANK_STEP: u64 = 256 << 20;
/// Bytes of one zeroing call. The call cannot be interrupted, and a slow disk takes a few seconds
/// for this many.
pub(super) const ZERO_STEP: u64 = 256 << 20;
/// Interval between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_millis(125);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    const MIB: usize = 1 << 20;

    #[test]
    fn the_log_is_told_every_few_seconds_how_far_the_image_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(8 << 20).unwrap();
        let text = crate::logging::tests::captured(crate::logging::Verbosity::Info, || {
            let mut writer = Writer::new(Target::open(file.path()).unwrap(), &Reporter::default());
            writer.begin(Some(8 << 20)).unwrap();
            writer.report(1 << 20);
            writer.last_logged = writer.last_logged.checked_sub(LOG_INTERVAL).unwrap();
            writer.report(1 << 20);
            writer.report(1 << 20);
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let line = "image under way phase=writing percent=25 mib=2 of_mib=8 mib_per_second=";
        assert!(text.contains(line), "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn pieces_in_any_order_give_the_image(
            size in 1..4 * MIB,
            more in 0..3 * MIB,
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
            zero in any::<u8>(),
            known in any::<bool>(),
        ) {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), vec![0xd1; size + more]).unwrap();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(size)).collect();
            cuts.extend([0, size]);
            cuts.sort_unstable();
            let mut image = vec![0; size];
            let mut writer = Writer::new(Target::open(file.path()).unwrap(), &Reporter::default());
            let known = known.then(|| u64::try_from(size).unwrap());
            writer.begin(known).unwrap();
            for (index, cut) in cuts.windows(2).enumerate().rev() {
                let from = u64::try_from(cut[0]).unwrap();
                if zero >> (index % 8) & 1 == 1 {
                    writer.zero(from, u64::try_from(cut[1] - cut[0]).unwrap()).unwrap();
                } else {
                    image[cut[0]..cut[1]].fill(u8::try_from(index).unwrap() + 1);
                    writer.data(from, &image[cut[0]..cut[1]]).unwrap();
                }
            }
            let disk = fs::read(file.path()).unwrap();
            prop_assert!(disk[..disk.len().min(MIB)].iter().all(|&byte| byte == 0));
            writer.begin_zeroing();
            while writer.zero_next().unwrap() {}
            writer.commit().unwrap();
            prop_assert!(fs::read(file.path()).unwrap()[..size] == image);
        }
    }

    fn old_disk(bytes: usize) -> (tempfile::NamedTempFile, Writer, Reporter) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), vec![0xd1; bytes]).unwrap();
        let reporter = Reporter::default();
        let writer = Writer::new(Target::open(file.path()).unwrap(), &reporter);
        (file, writer, reporter)
    }

    /// Returns one byte of each MiB between two of them.
    fn samples(disk: &tempfile::NamedTempFile, from: usize, to: usize) -> Vec<u8> {
        let bytes = fs::read(disk.path()).unwrap();
        (from..to).map(|place| bytes[place * MIB + 9]).collect()
    }

    const M: u64 = 1 << 20;

    #[test]
    fn zeroes_of_an_image_are_not_written_where_the_disk_was_made_blank() {
        let (disk, mut writer, _) = old_disk(20 * MIB);
        writer.begin(Some(12 * M)).unwrap();
        writer.data(0, &vec![7; 2 * MIB]).unwrap();
        assert_eq!((writer.blank, writer.written), (9 * M, 2 * M));
        let ahead = [&[7][..], &[0; 7], &[0xd1; 3]].concat();
        assert_eq!(samples(&disk, 1, 12), ahead);
        // Inside the pre-zeroed area, and up to its end.
        writer.data(2 * M, &vec![0; 6 * MIB]).unwrap();
        writer.data(8 * M, &vec![0; MIB]).unwrap();
        assert_eq!((writer.blank, writer.written), (9 * M, 2 * M));
        // Where pre-zeroing has ended, zeroes are written.
        writer.blank_step = 0;
        writer.data(9 * M, &vec![0; 2 * MIB]).unwrap();
        assert_eq!((writer.blank, writer.written), (9 * M, 11 * M));
        assert_eq!(samples(&disk, 8, 12), [0, 0, 0, 0xd1]);
    }

    #[test]
    fn no_more_than_the_image_is_made_blank() {
        let (disk, mut writer, _) = old_disk(20 * MIB);
        writer.begin(Some(3 * M)).unwrap();
        writer.data(0, &vec![7; 2 * MIB]).unwrap();
        assert_eq!((writer.blank, writer.blank_end), (3 * M, 3 * M));
        assert_eq!(samples(&disk, 1, 5), [7, 0, 0xd1, 0xd1]);
    }

    #[test]
    fn what_is_written_already_is_not_made_blank() {
        let (disk, mut writer, _) = old_disk(20 * MIB);
        writer.begin(Some(16 * M)).unwrap();
        writer.data(6 * M, &vec![7; MIB]).unwrap();
        writer.data(M, &vec![7; MIB]).unwrap();
        assert_eq!((writer.blank, writer.written), (M, 7 * M));
        let sparse = [&[7][..], &[0xd1; 4], &[7], &[0xd1; 2]].concat();
        assert_eq!(samples(&disk, 1, 9), sparse);
    }

    #[test]
    fn steps_grow_while_the_device_is_quick() {
        let soon = Some(TIMEOUT);
        let late = Some(TIMEOUT + Duration::from_nanos(1));
        assert_eq!(next_blank_step(FIRST_BLANK_STEP, soon), 16 << 20);
        assert_eq!(next_blank_step(LAST_BLANK_STEP, soon), LAST_BLANK_STEP);
        assert_eq!(next_blank_step(FIRST_BLANK_STEP, late), 0);
        assert_eq!(next_blank_step(FIRST_BLANK_STEP, None), 0);
    }

    #[test]
    fn a_device_that_makes_no_zeroes_is_asked_once() {
        use nix::fcntl::{FcntlArg, SealFlag, fcntl};
        use nix::sys::memfd::{MFdFlags, memfd_create};
        use std::os::fd::AsRawFd as _;
        let sealed = memfd_create(c"disk", MFdFlags::MFD_ALLOW_SEALING).unwrap();
        nix::unistd::ftruncate(&sealed, 8 << 20).unwrap();
        let seals = FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_FUTURE_WRITE);
        fcntl(&sealed, seals).unwrap();
        let path = format!("/proc/self/fd/{}", sealed.as_raw_fd());
        let text = crate::logging::tests::captured(crate::logging::Verbosity::Debug, || {
            let target = Target::open(Path::new(&path)).unwrap();
            let mut writer = Writer::new(target, &Reporter::default());
            writer.blank = M;
            (writer.blank_end, writer.blank_step) = (8 * M, FIRST_BLANK_STEP);
            for _ in 0..2 {
                writer.pre_zero(M, 2 * M);
            }
            assert_eq!((writer.blank, writer.blank_step), (M, 0));
        });
        let told = text.matches("no more of the disk is made blank").count();
        assert_eq!(told, 1, "{text}");
    }

    #[test]
    fn empty_areas_wait_for_the_end_and_are_counted_on_their_own() {
        let (disk, mut writer, reporter) = old_disk(8 * MIB);
        writer.begin(Some(8 * M)).unwrap();
        writer.blank_step = 0;
        writer.zero(0, 4096).unwrap();
        writer.data(M, &vec![7; MIB]).unwrap();
        writer.zero(5 * M, M).unwrap();
        writer.zero(3 * M, M).unwrap();
        assert_eq!(samples(&disk, 3, 6), [0xd1; 3]);
        let state = |reporter: &Reporter| {
            let progress = reporter.latest().unwrap();
            (progress.phase, progress.bytes, progress.total)
        };
        assert_eq!(state(&reporter), ("writing", M, Some(8 * M)));
        writer.begin_zeroing();
        assert_eq!(state(&reporter), ("zeroing", 0, Some(2 * M)));
        assert!(writer.zero_next().unwrap());
        assert_eq!(state(&reporter), ("zeroing", M, Some(2 * M)));
        assert_eq!(samples(&disk, 3, 6), [0, 0xd1, 0xd1]);
        assert!(writer.zero_next().unwrap());
        assert_eq!(samples(&disk, 3, 6), [0, 0xd1, 0]);
        assert!(!writer.zero_next().unwrap());
        assert_eq!(state(&reporter), ("zeroing", 2 * M, Some(2 * M)));
    }

    #[test]
    fn what_a_list_of_empty_areas_cannot_take_is_zeroed_at_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), vec![0xd1; 4 * MIB]).unwrap();
        let mut writer = Writer::new(Target::open(file.path()).unwrap(), &Reporter::default());
        writer.begin(Some(4 << 20)).unwrap();
        writer.zeroes = PendingZeroes::full();
        writer.zero(2 << 20, 4096).unwrap();
        let disk = fs::read(file.path()).unwrap();
        assert_eq!(disk[2 * MIB - 1..][..2], [0xd1, 0]);
        assert_eq!(disk[2 * MIB + 4095..][..2], [0, 0xd1]);
    }

    #[test]
    fn a_second_attempt_keeps_nothing_of_what_the_first_left_for_the_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), vec![0xd1; 4 * MIB]).unwrap();
        let mut writer = Writer::new(Target::open(file.path()).unwrap(), &Reporter::default());
        writer.begin(Some(4 << 20)).unwrap();
        writer.zero(0, 4 << 20).unwrap();
        let image: Vec<u8> = (0..=250).cycle().take(4 * MIB).collect();
        writer.begin(Some(4 << 20)).unwrap();
        writer.data(0, &image).unwrap();
        writer.begin_zeroing();
        assert!(!writer.zero_next().unwrap());
        writer.commit().unwrap();
        assert!(fs::read(file.path()).unwrap() == image);
    }

    #[test]
    fn giving_up_clears_the_end_of_an_earlier_attempts_image_too() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), vec![0xd1; 8 * MIB]).unwrap();
        let mut writer = Writer::new(Target::open(file.path()).unwrap(), &Reporter::default());
        for bytes in [5 * MIB, 2 * MIB] {
            writer.begin(None).unwrap();
            writer.data(0, &vec![7; bytes]).unwrap();
        }
        assert!(writer.abandon().unwrap());
        let disk = fs::read(file.path()).unwrap();
        assert_eq!(disk[4 * MIB - 1..][..2], [7, 0]);
        assert_eq!(disk[5 * MIB - 1..][..2], [0, 0xd1]);
    }

    #[test]
    fn a_writer_that_was_not_begun_changes_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), [7; 5000]).unwrap();
        let mut writer = Writer::new(Target::open(file.path()).unwrap(), &Reporter::default());
        assert!(matches!(
            writer.begin(Some(5001)),
            Err(Error::TooSmall { .. })
        ));
        assert!(!writer.abandon().unwrap());
        assert_eq!(fs::read(file.path()).unwrap(), [7; 5000]);
    }

    #[test]
    fn zero_is_told_from_nearly_zero() {
        assert!(is_zero(&[]));
        assert!(is_zero(&[0; 4097]));
        for at in [0, 1, 4096] {
            let mut bytes = [0; 4097];
            bytes[at] = 1;
            assert!(!is_zero(&bytes), "{at}");
        }
    }
}
