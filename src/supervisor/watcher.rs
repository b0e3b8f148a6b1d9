//! Threads of process 1 that watch for as long as the machine runs.
//!
//! A panic ends a thread, not its process. A child of process 1 ends itself then, and is started
//! again; process 1 cannot, because its end is the machine's. So its watchers are started again in
//! place, with what they shared: their locks outlive a panic.

use crate::progress::Cancel;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

/// Runs `watch` on a thread of its own, and again after a pause whenever it returns or panics.
///
/// # Errors
/// There is no thread for it.
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

/// So that one which ends at once does not fill the log.
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
