//! Queue of lines for an output that may be slow or blocked.
//!
//! Logging never blocks: the queue is bounded, and lines that do not fit are dropped and counted.
//! Each output has its own writer thread.

use nix::sys::signal::{SigSet, SigmaskHow};
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// Bounded queue of lines for one output.
#[derive(Debug, Default)]
pub struct LineQueue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    bytes: usize,
    /// Number of dropped lines that are not reported yet.
    dropped: u64,
    /// A line was taken and is not written yet.
    is_writing: bool,
    has_writer: bool,
    /// Thread that reports dropped lines. Its own lines always fit, because it reports rarely.
    reporter: Option<ThreadId>,
}

/// Output of a queue.
pub trait Sink: Send {
    /// Writes a line with its line break; may block for any time.
    fn write(&mut self, line: &str);
    /// Reports the number of dropped lines.
    fn report_dropped(&mut self, lines: u64);
}

impl LineQueue {
    /// Appends a line, or counts it as dropped if it does not fit. It never blocks.
    pub fn push(&self, line: String) {
        let mut state = self.state();
        let is_full = state.bytes.saturating_add(line.len()) > MAX_BYTES;
        if is_full && state.reporter != Some(thread::current().id()) {
            state.dropped = state.dropped.saturating_add(1);
            return;
        }
        state.bytes = state.bytes.saturating_add(line.len());
        state.lines.push_back(line);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until everything is written, up to a timeout. Returns whether it was.
    pub fn flush(&self, timeout: Duration) -> bool {
        let is_busy = |state: &mut State| state.is_writing || !state.lines.is_empty();
        let (_state, waited) = self
            .changed
            .wait_timeout_while(self.state(), timeout, is_busy)
            .unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out()
    }

    /// Starts the thread that writes to `sink` until the process exits, unless there is one.
    ///
    /// # Errors
    /// The kernel cannot create a thread.
    pub fn start_writer(
        self: &Arc<Self>,
        name: &str,
        mut sink: impl Sink + 'static,
    ) -> io::Result<()> {
        let mut state = self.state();
        if state.has_writer {
            return Ok(());
        }
        let queue = Arc::clone(self);
        spawn_without_signals(name, move || {
            loop {
                // A panic in a sink loses the line that it was writing.
                let _panicked = catch_unwind(AssertUnwindSafe(|| queue.write_to(&mut sink)));
            }
        })?;
        state.has_writer = true;
        Ok(())
    }

    /// Writes line by line, without end. Dropped lines are reported when the output has caught up,
    /// or at intervals while it has not.
    fn write_to(&self, sink: &mut impl Sink) {
        let mut last_report: Option<Instant> = None;
        loop {
            let line = self.next_line();
            sink.write(&line);
            let is_due = last_report.is_none_or(|last| last.elapsed() >= REPORT_INTERVAL);
            let dropped = self.take_dropped(is_due);
            if dropped > 0 {
                last_report = Some(Instant::now());
                self.state().reporter = Some(thread::current().id());
                sink.report_dropped(dropped);
            }
            // Only now, because a flush includes the report.
            let mut state = self.state();
            state.reporter = None;
            state.is_writing = false;
            drop(state);
            self.changed.notify_all();
        }
    }

    fn take_dropped(&self, is_due: bool) -> u64 {
        let mut state = self.state();
        if is_due || state.lines.is_empty() {
            std::mem::take(&mut state.dropped)
        } else {
            0
        }
    }

    fn next_line(&self) -> String {
        let mut state = self.state();
        state.is_writing = false;
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes = state.bytes.saturating_sub(line.len());
                state.is_writing = true;
                return line;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a thread with all signals blocked. Otherwise it could receive a signal for which another
/// thread waits, or which is to shut the process down in order.
fn spawn_without_signals(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let spawned = thread::Builder::new().name(name.into()).spawn(work);
    before.thread_set_mask()?;
    spawned.map(drop)
}

/// Maximum size in bytes of queued lines: about a minute at 9600 baud. A console that is further
/// behind shows the past.
const MAX_BYTES: usize = 64 << 10;
/// Interval of reports about an output that never catches up.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;
    use std::sync::mpsc::{Receiver, Sender, channel};

    const TIMEOUT: Duration = Duration::from_secs(60);

    /// Sink that writes a line for each permit, and panics on [`Permit::Panic`].
    struct Gated {
        permits: Receiver<Permit>,
        written: Sender<String>,
    }

    enum Permit {
        Panic,
        Write,
    }

    impl Sink for Gated {
        fn write(&mut self, line: &str) {
            match self.permits.recv() {
                Ok(Permit::Panic) => panic!("the sink is broken"),
                _ => drop(self.written.send(line.to_owned())),
            }
        }

        fn report_dropped(&mut self, lines: u64) {
            drop(self.written.send(format!("{lines} left out")));
        }
    }

    /// Returns a queue, the permits of its sink, and the lines that the sink wrote.
    fn gated() -> (Arc<LineQueue>, Sender<Permit>, Receiver<String>) {
        let (permit, permits) = channel();
        let (sender, written) = channel();
        let queue = Arc::new(LineQueue::default());
        let sink = Gated {
            permits,
            written: sender,
        };
        queue.start_writer("test", sink).unwrap();
        (queue, permit, written)
    }

    #[test]
    fn lines_are_written_in_their_order_and_a_flush_waits_for_them() {
        let (queue, permit, written) = gated();
        for line in ["first\n", "second\n"] {
            queue.push(line.into());
        }
        assert!(!queue.flush(Duration::from_millis(1)), "nothing is written");
        permit.send(Permit::Write).unwrap();
        permit.send(Permit::Write).unwrap();
        assert!(queue.flush(TIMEOUT));
        assert_eq!(
            written.try_iter().collect::<Vec<_>>(),
            ["first\n", "second\n"]
        );
        assert!(queue.flush(Duration::ZERO), "there is nothing to write");
    }

    #[test]
    fn a_stuck_sink_holds_nobody_and_what_it_misses_is_counted() {
        let (queue, permit, written) = gated();
        let line = "x".repeat(MAX_BYTES / 4 - 1) + "\n";
        for _ in 0..100 {
            queue.push(line.clone());
        }
        // The sink may be writing one, four are queued.
        let kept = |state: &State| state.lines.len() + usize::from(state.is_writing);
        let (waiting, dropped) = {
            let state = queue.state();
            (kept(&state), state.dropped)
        };
        assert!(waiting == 4 || waiting == 5, "{waiting}");
        assert_eq!(u64::try_from(waiting).unwrap() + dropped, 100);
        for _ in 0..waiting {
            permit.send(Permit::Write).unwrap();
        }
        assert!(queue.flush(TIMEOUT));
        queue.push("last\n".into());
        permit.send(Permit::Write).unwrap();
        assert!(queue.flush(TIMEOUT));
        let told: Vec<_> = written.try_iter().collect();
        assert_eq!(told.iter().filter(|told| **told == line).count(), waiting);
        assert!(told.contains(&format!("{dropped} left out")), "{told:?}");
        assert_eq!(told.len(), waiting + 2);
    }

    #[test]
    fn a_sink_that_panics_loses_one_line() {
        let (queue, permit, written) = gated();
        queue.push("lost\n".into());
        queue.push("next\n".into());
        permit.send(Permit::Panic).unwrap();
        permit.send(Permit::Write).unwrap();
        assert_eq!(written.recv_timeout(TIMEOUT).unwrap(), "next\n");
        assert!(queue.flush(TIMEOUT));
    }

    #[test]
    fn no_signal_is_delivered_to_a_writer() {
        let (sender, mask) = channel();
        spawn_without_signals("test", move || {
            let _ = sender.send(SigSet::thread_get_mask().unwrap());
        })
        .unwrap();
        let mask = mask.recv_timeout(TIMEOUT).unwrap();
        for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1] {
            assert!(mask.contains(signal));
            assert!(!SigSet::thread_get_mask().unwrap().contains(signal));
        }
    }
}
