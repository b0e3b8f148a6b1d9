//! The wire: what IPA 13.0.0 and Ferrite say to the same requests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and shows the program's log then"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the agents are programs, and their client has rules of its own"
)]

#[path = "../support/conductor.rs"]
mod conductor;
#[path = "../support/ipa.rs"]
mod ipa;
#[path = "../support/process.rs"]
mod process;

mod control;
