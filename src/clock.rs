//! The one clock: wall time as a value, which may be wrong on a machine that just started.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since 1970-01-01 UTC; zero where the clock stands before it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
