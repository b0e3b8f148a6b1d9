//! Judges: programs that others wrote for IPA, and that are asked here about Ferrite.
//!
//! Each also judges IPA 13.0.0 itself, so that it is seen what they find fault with. These tests need `make lab`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the agents and their judges are programs"
)]

mod agent_client;
mod functional;
