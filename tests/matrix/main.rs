//! The real Ironic with nodes of the driver `fake-hardware`, and the agent in a cell: a process shut in namespaces, with
//! a loop device as its disk. No virtual machine, so it is quick; what only a machine shows is in `tests/e2e`.

#![allow(
    clippy::indexing_slicing,
    reason = "a JSON value indexed by a key it lacks is null"
)]
#![allow(clippy::print_stdout, reason = "a scenario tells its steps")]

mod cells;
mod control;
mod crash;
mod deployment;
mod generations;
mod keystone;
mod memory;
mod outage;
mod policy;
mod refusal;
mod secrets;
mod written;

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use support::lab::fake::PATIENCE;
use support::lab::instance::sha512;

/// Tells which step of a scenario begins.
fn step(what: &str) {
    println!("==> {what}");
}

/// Ironic's description of an image with its true checksum.
fn image(url: &str, file: &Path, format: &str) -> Result<Value> {
    Ok(json!({
        "image_source": url,
        "image_os_hash_algo": "sha512",
        "image_os_hash_value": sha512(file)?,
        "image_disk_format": format,
    }))
}
