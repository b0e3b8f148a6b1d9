//! Limits the log lines of one kind of client: the log is a ring, and repeated lines must not
//! displace all others.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Budget of lines per minute.
pub(crate) struct LogBudget {
    max: u32,
    minute: Mutex<Minute>,
}

impl LogBudget {
    pub(crate) fn new(max: u32) -> Self {
        Self {
            max,
            minute: Mutex::new(Minute::new(Instant::now())),
        }
    }

    /// Takes one line from the budget. Returns the number of suppressed lines before it, or nothing
    /// if the budget is exhausted.
    pub(crate) fn take(&self) -> Option<u64> {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        minute.take(self.max, Instant::now())
    }
}

/// Number of lines in the current minute, and of lines suppressed since the last one.
#[derive(Debug)]
pub(crate) struct Minute {
    begin: Instant,
    logged: u32,
    suppressed: u64,
}

impl Minute {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            begin: now,
            logged: 0,
            suppressed: 0,
        }
    }

    /// Takes one line, of at most `max` a minute. Returns the number of suppressed lines before it.
    pub(crate) fn take(&mut self, max: u32, now: Instant) -> Option<u64> {
        if self.is_over(now) {
            self.begin = now;
            self.logged = 0;
        }
        if self.logged >= max {
            self.suppress();
            return None;
        }
        self.logged += 1;
        Some(std::mem::take(&mut self.suppressed))
    }

    /// Returns whether the next line starts a new minute.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.begin) >= MINUTE
    }

    /// Returns the number of lines suppressed since the last one.
    pub(super) const fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// Counts a line that is not logged.
    pub(crate) fn suppress(&mut self) {
        self.suppressed = self.suppressed.saturating_add(1);
    }
}

pub(super) const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_minute_has_its_lines_and_the_next_one_counts_the_suppressed() {
        let budget = LogBudget::new(2);
        let takes = || [(); 4].map(|()| budget.take());
        assert_eq!(takes(), [Some(0), Some(0), None, None]);
        tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
        assert_eq!(takes(), [None; 4]);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(takes(), [Some(6), Some(0), None, None]);
    }
}
