//! The command API over real sockets: bytes in, bytes out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod callers;
mod commands;
mod connections;
mod harness;
mod log;
mod matrix;
mod open_list;
mod policy;
mod records;
mod renewal;
mod routes;
mod strangers;
mod tls;
mod token;
mod upgrade;
mod users;
