//! Judges: programs that others wrote for IPA, and that are asked here about Ferrite.
//!
//! Each also judges IPA 13.0.0 itself, so that it is seen what they find fault with. These tests need `make lab`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and shows the program's log then"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the agents and their judges are programs"
)]

#[path = "../support/conductor.rs"]
mod conductor;
#[path = "../support/ipa.rs"]
mod ipa;
#[path = "../support/process.rs"]
mod process;

mod agent_client;
mod functional;
