//! The time that passes while media are waited for, and whether they are still coming.
//!
//! Of two volumes that claim to be the same none is believed. The devices of a machine do not appear in one moment: what nothing
//! vouches for is believed once no other has come or gone for a while.

use crate::progress::Cancel;
use std::time::{Duration, Instant};

/// How time passes.
pub(super) trait Watch {
    /// Since the media were looked for first.
    fn elapsed(&self) -> Duration;

    /// Lets time pass; `true` when there is to be no further look.
    fn wait(&self, pause: Duration) -> bool;
}

/// The clock's time, which goes on for ever.
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Watch for Clock {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait(&self, pause: Duration) -> bool {
        Cancel::default().wait(pause)
    }
}

/// What was seen last, and since when it has been the same.
#[derive(Debug)]
pub(super) struct Steady<T> {
    seen: Option<(T, Duration)>,
}

impl<T: PartialEq> Steady<T> {
    pub(super) const fn new() -> Self {
        Self { seen: None }
    }

    /// How long what is seen now has been the same.
    pub(super) fn look(&mut self, now: Duration, found: T) -> Duration {
        match &self.seen {
            Some((seen, since)) if *seen == found => now.saturating_sub(*since),
            _ => {
                self.seen = Some((found, now));
                Duration::ZERO
            }
        }
    }
}
