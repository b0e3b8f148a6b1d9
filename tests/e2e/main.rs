//! End to end, with the real, unmodified Ironic: it deploys, cleans and refuses through our ramdisk, and the deployed
//! disks boot. Needs root, `make lab` and `make image`; `make test` does it all.

#![allow(
    clippy::indexing_slicing,
    reason = "a JSON value indexed by a key it lacks is null"
)]
#![allow(clippy::print_stdout, reason = "a scenario tells its steps")]

mod bios;
mod canary;
mod failures;
mod fast_track;
mod ipxe;
mod observer;
mod private_tls;
mod rescue;
mod stall;
mod virtual_media;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use support::lab::instance::sha512;
use support::lab::{Api, Lab};

/// Software emulation on a busy computer: a whole deployment takes about a minute and a half.
const DEPLOYED: Duration = Duration::from_secs(400);
/// From Ironic's last word to the deployed disk's first.
const BOOTED: Duration = Duration::from_secs(120);

/// A lab of a scenario's own.
fn start_lab(name: &str) -> Result<Lab> {
    start_lab_with(name, Api::Http)
}

/// The same with a choice of how Ironic's API is reached.
fn start_lab_with(name: &str, api: Api) -> Result<Lab> {
    let lab = Lab::start(name, api)?;
    println!("    logs and consoles: {}", lab.logs().display());
    Ok(lab)
}

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

/// The same with the checksum of something else.
fn image_with_wrong_checksum(url: &str, format: &str) -> Value {
    json!({
        "image_source": url,
        "image_os_hash_algo": "sha512",
        "image_os_hash_value": "0123456789abcdef".repeat(8),
        "image_disk_format": format,
    })
}
