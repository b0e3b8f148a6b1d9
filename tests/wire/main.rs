//! The wire: IPA 13.0.0 and Ferrite asked the same, and what each answered, kept in `tests/fixtures/wire`.
//!
//! A recording is a conversation: requests in their order, the sentence about IPA's behaviour that each shows, IPA's answer, and
//! where Ferrite answers otherwise on purpose its answer and the reason. `make record-wire` asks both and writes the answers; a
//! new exchange is added by writing its request. The tests ask Ferrite (always) and IPA (with the lab) again and compare all.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod agents;
mod commanded;
mod control;
mod placeholders;
mod recording;
mod told;
