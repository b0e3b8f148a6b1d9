//! For whoever writes a policy file: oslo.policy's own programs, for this program's rules.

mod redundant;
mod sample;
mod upgrade;

pub use redundant::redundant;
pub use sample::sample;
pub use upgrade::{Hint, Outcome, Upgraded, upgrade};
