//! The wire: IPA 13.0.0 and Ferrite asked the same, and what each answered, kept in `tests/fixtures/wire`.
//!
//! A recording is a conversation: requests in their order, the sentence about IPA's behaviour that each shows, IPA's answer, and
//! where Ferrite answers otherwise on purpose its answer and the reason. `make record-wire` asks both and writes the answers; a
//! new exchange is added by writing its request. The tests ask Ferrite (always) and IPA (with the lab) again and compare all.

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

mod agents;
mod commanded;
#[path = "../support/conductor.rs"]
mod conductor;
mod control;
#[path = "../support/ipa.rs"]
mod ipa;
mod placeholders;
#[path = "../support/process.rs"]
mod process;
mod recording;
mod told;
