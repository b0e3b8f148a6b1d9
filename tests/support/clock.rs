//! A clock that stands still until a test moves it, while sockets work as ever.
//!
//! A paused clock of tokio's jumps to the next timer whenever nothing can be done, and a request on its way counts for nothing:
//! its time limit would fire at once. So the clock is held for the whole test, and the test says when time passes: after the
//! agent has told that it waits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The clock of one test.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    /// What the blocking thread waits for.
    _holding: mpsc::Sender<()>,
}

impl Clock {
    /// Stops the clock of this test's runtime, which must be of one thread.
    pub fn stop() -> Self {
        let (holding, held) = mpsc::channel();
        // While a blocking thread works, tokio leaves the clock alone.
        drop(tokio::task::spawn_blocking(move || held.recv()));
        tokio::time::pause();
        DRAWN.with(|drawn| drawn.send_replace(0));
        Self {
            began: Instant::now(),
            _holding: holding,
        }
    }

    /// Lets time pass.
    pub async fn pass(&self, duration: Duration) {
        tokio::time::advance(duration).await;
    }

    /// Lets the least of time pass: even a timer of no length waits for that.
    pub async fn tick(&self) {
        self.pass(MARGIN).await;
    }

    /// Lets time pass until shortly before a moment, asks whether all is quiet, and lets the moment come.
    pub async fn pass_quietly(&self, duration: Duration, quiet: impl Fn() -> bool) {
        self.pass(duration - MARGIN).await;
        assert!(quiet(), "not before {duration:?}");
        self.pass(2 * MARGIN).await;
    }

    /// Whole seconds since the beginning.
    pub fn seconds(&self) -> u64 {
        self.began.elapsed().as_secs()
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        tokio::time::resume();
    }
}

thread_local! {
    static DRAWN: watch::Sender<usize> = watch::Sender::new(0);
}

/// The longest wait of each range; drawn when a wait begins, and remembered.
pub fn longest() -> f64 {
    DRAWN.with(|drawn| drawn.send_modify(|count| *count += 1));
    1.0
}

/// The shortest one, as well remembered.
pub fn shortest() -> f64 {
    longest();
    0.0
}

/// Waits until so many waits have been drawn by [`longest`] or [`shortest`]: the agent waits for time to pass.
pub async fn waits(count: usize) {
    let mut drawn = DRAWN.with(watch::Sender::subscribe);
    drawn.wait_for(|drawn| *drawn >= count).await.unwrap();
}

/// More than tokio's clock is inexact, far less than any wait.
const MARGIN: Duration = Duration::from_millis(20);
