//! Ferrite: the ramdisk agent for OpenStack Ironic.
//!
//! ```text
//! boot config ─► token ─► lookup ─► heartbeat loop ─┐          agent joins them
//! (cmdline, file,                                   ├─► dispatcher ─► extensions ─► steps, machine ─► sys
//!  media)               HTTPS command API ──────────┘    (one at a time)            imaging, storage,    (the kernel)
//!                                                                                   bootloader
//! ```
//!
//! Each module is a room; `ARCHITECTURE.md` says what a line in each may touch and
//! `tests/architecture/main.rs` holds it. Arrows point down only.

pub mod agent;
pub mod api;
pub mod backoff;
pub mod bootloader;
pub mod cli;
pub mod clock;
pub mod command;
pub mod conductor;
pub mod config;
pub mod dns;
pub mod error;
pub mod extensions;
pub mod formats;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod handover;
pub mod http;
pub mod imaging;
pub mod init;
pub mod inventory;
pub mod json;
pub mod keystone;
pub mod logging;
pub mod machine;
pub mod network;
pub mod node;
mod params;
pub mod policy;
pub mod progress;
pub mod redact;
pub mod root;
pub mod secret;
pub mod steps;
pub mod storage;
mod suggest;
pub mod supervisor;
pub mod sys;
pub mod tls;
pub mod virtual_media;
