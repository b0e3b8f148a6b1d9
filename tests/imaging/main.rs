//! Images from a real socket onto files and loop devices.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod download;
mod lab;
mod qcow2;
mod safety;
mod server;
mod writing;
