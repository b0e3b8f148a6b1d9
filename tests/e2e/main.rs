//! End to end, with the real, unmodified Ironic: it deploys, cleans and refuses through our ramdisk, and the deployed
//! disks boot. Needs root, `make lab` and `make image`; `make test` does it all.

#![allow(
    clippy::indexing_slicing,
    reason = "a JSON value indexed by a key it lacks is null"
)]
#![allow(clippy::print_stdout, reason = "a scenario tells its steps")]

mod failures;
mod ipxe;
#[path = "../support/lab/mod.rs"]
mod lab;
mod virtual_media;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

/// Software emulation on a busy computer: a whole deployment takes about a minute and a half.
const DEPLOYED: Duration = Duration::from_secs(400);
/// From Ironic's last word to the deployed disk's first.
const BOOTED: Duration = Duration::from_secs(120);

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

fn sha512(file: &Path) -> Result<String> {
    use std::fmt::Write as _;
    use std::io::Read as _;

    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA512);
    let mut file = std::fs::File::open(file)?;
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block)?;
        let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        digest.update(bytes);
    }
    let mut text = String::new();
    for byte in digest.finish().as_ref() {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}
