//! The agent's requests to Ironic: version negotiation, lookup, heartbeat, and the address Ironic is told to call.
//!
//! What goes over the wire is IPA 13's (`ironic_api_client.py`, `agent.py`). [`client`] knows URLs and HTTP, [`mdns`] finds the API where
//! nobody names it, [`lookup`] and
//! [`heartbeat`] know what is asked and when to ask again, `wire` alone knows JSON.

pub mod address;
pub mod client;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod heartbeat;
pub mod lookup;
pub mod mdns;
mod retry;
mod wire;

pub use error::Error;
pub use retry::{RetryPolicy, random_unit};

/// The version of IPA whose behaviour is kept. Ironic stores it and lets nothing depend on it, but refuses a heartbeat without.
pub const AGENT_VERSION: &str = "13.0.0";
