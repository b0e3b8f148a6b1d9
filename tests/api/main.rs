//! The command API over real sockets: bytes in, bytes out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod commands;
mod connections;
mod harness;
mod log;
mod open_list;
mod records;
mod routes;
mod strangers;
mod tls;
mod token;
