//! Tools for authors of policy files: counterparts of oslo.policy's programs, for this program's
//! rules.

mod redundant;
mod sample;
mod upgrade;

pub use redundant::redundant;
pub use sample::sample;
pub use upgrade::{Hint, Outcome, Upgraded, upgrade};
