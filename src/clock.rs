//! The clocks: wall time as a value, which may be wrong on a machine that just started, and time since that start.

use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since 1970-01-01 UTC; zero where the clock stands before it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Time since the machine started: the same for all its processes, and never set.
#[must_use]
pub fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map(Duration::from)
        .unwrap_or_default()
}
