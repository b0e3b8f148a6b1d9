//! The agent's requests to Ironic: version negotiation, lookup, heartbeat, and the callback
//! address.
//!
//! The wire format is that of IPA 13 (`ironic_api_client.py`, `agent.py`). [`client`] handles URLs
//! and HTTP, [`mdns`] discovers the API if none is configured. [`lookup`] and [`heartbeat`] define
//! the requests and their retries, and only `wire` handles JSON.

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

/// IPA version with this agent's behaviour. Ironic stores it and decides nothing by it, but refuses
/// a heartbeat without it.
pub const AGENT_VERSION: &str = "13.0.0";
