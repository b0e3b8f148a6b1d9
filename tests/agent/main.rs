//! The whole program as a process: started as nobody, told by options, watched from outside.
//!
//! A conductor that plays its part runs in the test; the agent looks itself up there, heartbeats, and is commanded over TLS
//! with the certificate its heartbeat brought. It never runs as root, and refuses to write because `/` is no ramdisk.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the program is what is tested, and its client has rules of its own"
)]

mod bootloader;
mod caller;
mod clock;
mod command_line;
mod configuration;
mod crash;
mod discovery;
mod endings;
mod flow;
mod inventory;
mod logs;
mod memory;
mod modprobe;
mod names;
mod policy;
mod poll;
mod power;
mod proxies;
mod refusals;
mod registration;
mod rescue;
mod secrets;
mod session;
mod standalone;
mod steps;
mod tls;
mod tokens;
