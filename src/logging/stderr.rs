//! Standard error, written by its own thread. A serial console takes a second for a kilobyte, and a
//! blocked one accepts nothing. No response of the agent waits for it.

use super::queue::{LineQueue, Sink};
use std::io::{self, Write as _};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Prints whole lines on standard error, in the order of all output there. It does not wait until
/// they are written: call [`flush`] before the process exits.
pub fn print(lines: &str) {
    push(lines.to_owned());
}

/// Waits until standard error has taken all printed and logged lines, with a timeout.
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
        // There is no other output to report that standard error is gone.
        let _gone = io::stderr().lock().write_all(line.as_bytes());
    }

    fn report_dropped(&mut self, lines: u64) {
        tracing::warn!(
            lines,
            "the console is too slow for the log: lines were left out"
        );
    }
}

/// Queue of the process.
static QUEUE: LazyLock<Arc<LineQueue>> = LazyLock::new(Arc::default);
/// Enough for a slow console; a blocked one must not prevent the process from exiting.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
