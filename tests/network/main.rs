//! `ferrite network` as a process in a machine of its own, a network namespace with cables, and
//! servers that err at the other end.
//!
//! Needs root, for the namespaces. Nothing of the host's network is touched.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and shows the program's log then"
)]
#![allow(clippy::disallowed_methods, reason = "the program is what is tested")]

mod dhcp4;
mod dhcp6;
mod links;
mod machine;
mod ready;
mod router6;
mod server4;
mod static_address;

use std::time::Duration;

/// How long anything may take: a loaded machine is slow, but a test ends.
const TIMEOUT: Duration = Duration::from_secs(60);
