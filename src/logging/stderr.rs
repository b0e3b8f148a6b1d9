//! Standard error, written by a thread of its own: a serial console takes a second for a kilobyte, and one that is held up takes
//! nothing at all. No answer of the agent waits for it.

use super::queue::{LineQueue, Sink};
use std::io::{self, Write as _};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Prints whole lines on standard error, in the order of all that is printed there. Nothing waits for them: call [`flush`] before
/// the process ends.
pub fn print(lines: &str) {
    push(lines.to_owned());
}

/// Waits until standard error has taken all that was printed and logged, but not for ever.
pub fn flush() {
    let _too_slow = QUEUE.flush(FLUSH_TIMEOUT);
}

pub(super) fn push(line: String) {
    match QUEUE.start_writer("log", Stderr) {
        Ok(()) => QUEUE.push(line),
        Err(_) => Stderr.write(&line),
    }
}

struct Stderr;

impl Sink for Stderr {
    fn write(&mut self, line: &str) {
        // Nobody is left to be told that standard error is gone.
        let _gone = io::stderr().lock().write_all(line.as_bytes());
    }

    fn report_dropped(&mut self, lines: u64) {
        tracing::warn!(
            lines,
            "the console is too slow for the log: lines were left out"
        );
    }
}

/// The process has one.
static QUEUE: LazyLock<Arc<LineQueue>> = LazyLock::new(Arc::default);
/// For a console that takes its time; one that is stuck must not keep a process from its end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
