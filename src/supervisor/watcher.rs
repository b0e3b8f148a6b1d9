//! Watcher threads of PID 1, which run until the machine stops.
//!
//! A panic ends a thread, not its process. A child of PID 1 exits then, and is restarted. PID 1
//! cannot exit, because that stops the machine. Its watchers are therefore restarted in place, with
//! their shared state: its locks survive a panic.

use crate::progress::Cancel;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

/// Runs `watch` on its own thread, and again after a pause whenever it returns or panics.
///
/// # Errors
/// The thread cannot be created.
pub(crate) fn spawn(name: &'static str, watch: impl Fn() + Send + 'static) -> io::Result<()> {
    let run = move || {
        loop {
            // The panic itself is logged where it happens.
            let panicked = catch_unwind(AssertUnwindSafe(&watch)).is_err();
            tracing::error!(
                watcher = name,
                panicked,
                "a watcher ended: starting it again"
            );
            let _never = Cancel::default().wait(RESTART_PAUSE);
        }
    };
    thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map(drop)
}

/// Limits the log lines of a watcher that ends at once.
const RESTART_PAUSE: Duration = if cfg!(test) {
    Duration::from_millis(1)
} else {
    Duration::from_secs(10)
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_watcher_that_panics_or_returns_is_started_again() {
        let (runs, seen) = channel();
        let count = std::sync::atomic::AtomicU32::new(0);
        let watch = move || {
            let run = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            runs.send(run).unwrap();
            match run {
                0 => panic!("a test's"),
                1 => {}
                _ => drop(Cancel::default().wait(Duration::from_secs(3600))),
            }
        };
        spawn("test", watch).unwrap();
        for run in 0..3 {
            assert_eq!(seen.recv_timeout(Duration::from_secs(60)), Ok(run));
        }
    }
}
