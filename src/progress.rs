//! How far long work is, and the wish that it stop.
//!
//! Work that takes long is plain blocking code: it writes a [`Progress`] into its [`Reporter`] and asks [`Cancel`] between
//! pieces. The reader (a command's record, the console) takes the latest value whenever it likes.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// The state of a piece of work at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done now: `writing`, `verifying`, …
    pub phase: &'static str,
    /// Bytes done in this phase.
    pub bytes: u64,
    /// Bytes of the whole phase, where known.
    pub total: Option<u64>,
    /// When this phase began.
    pub since: Instant,
    /// When `bytes` was last written.
    pub at: Instant,
}

impl Progress {
    /// Bytes per second since the phase began; zero in its first instant.
    #[must_use]
    pub fn rate(&self) -> u64 {
        let elapsed = self.at.saturating_duration_since(self.since).as_millis();
        if elapsed == 0 {
            return 0;
        }
        u64::try_from(u128::from(self.bytes) * 1000 / elapsed).unwrap_or(u64::MAX)
    }
}

/// Where work writes its progress; clones share one value.
#[derive(Clone, Debug, Default)]
pub struct Reporter(Arc<Mutex<Option<Progress>>>);

impl Reporter {
    /// Begins a phase.
    pub fn phase(&self, phase: &'static str, total: Option<u64>) {
        let now = Instant::now();
        *self.lock() = Some(Progress {
            phase,
            bytes: 0,
            total,
            since: now,
            at: now,
        });
    }

    /// Bytes done so far in this phase.
    pub fn bytes(&self, bytes: u64) {
        if let Some(progress) = self.lock().as_mut() {
            progress.bytes = bytes;
            progress.at = Instant::now();
        }
    }

    /// The latest value; `None` before the first phase.
    #[must_use]
    pub fn latest(&self) -> Option<Progress> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wish to stop; clones share one wish.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<(Mutex<bool>, Condvar)>);

impl Cancel {
    /// Wishes the work to stop. Wakes every [`Cancel::wait`].
    pub fn cancel(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether the work is to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as `pause`, or until the wish to stop: `true` when the work is to stop.
    #[must_use]
    pub fn wait(&self, pause: Duration) -> bool {
        let guard = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _) = self
            .0
            .1
            .wait_timeout_while(guard, pause, |cancelled| !*cancelled)
            .unwrap_or_else(PoisonError::into_inner);
        *guard
    }
}

/// Runs `work` on a thread of its own and waits for it, at most so long. `None` when it has not ended by then: it goes on alone.
///
/// For calls that the kernel may never return from, such as one to a disk that does not respond.
pub fn run_with_timeout<T: Send + 'static>(
    timeout: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, result) = mpsc::sync_channel(1);
    let spawned = thread::Builder::new().spawn(move || {
        // The receiver is gone when the result comes too late.
        let _too_late = sender.send(work());
    });
    spawned.ok()?;
    result.recv_timeout(timeout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reporter_shows_the_latest_value_of_its_phase() {
        let reporter = Reporter::default();
        assert_eq!(reporter.latest(), None);
        reporter.phase("writing", Some(10));
        reporter.bytes(4);
        let latest = reporter.latest().unwrap();
        assert_eq!(
            (latest.phase, latest.bytes, latest.total),
            ("writing", 4, Some(10))
        );
    }

    #[test]
    fn the_rate_is_bytes_per_second() {
        let since = Instant::now();
        let at = since + Duration::from_millis(500);
        let progress = Progress {
            phase: "writing",
            bytes: 1000,
            total: None,
            since,
            at,
        };
        assert_eq!(progress.rate(), 2000);
        assert_eq!(
            Progress {
                at: since,
                ..progress
            }
            .rate(),
            0
        );
    }

    #[test]
    fn waiting_ends_at_once_when_cancelled() {
        let cancel = Cancel::default();
        assert!(!cancel.wait(Duration::ZERO));
        cancel.cancel();
        assert!(cancel.wait(Duration::from_secs(3600)));
        assert!(cancel.is_cancelled());
    }

    #[test]
    fn work_that_hangs_is_left_behind_and_other_work_has_its_result() {
        let released = Cancel::default();
        let hang = released.clone();
        let hung = run_with_timeout(Duration::from_millis(1), move || {
            hang.wait(Duration::from_secs(60))
        });
        assert_eq!(hung, None);
        released.cancel();
        assert_eq!(run_with_timeout(Duration::from_secs(60), || 7), Some(7));
    }
}
