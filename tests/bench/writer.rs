//! One image written by `imaging`, in a process of its own.

use crate::child::ARGUMENT;
use crate::images::Image;
use crate::report::Size;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;
use support::lab::process::{program, run};

/// What a child tells.
#[derive(Debug)]
pub(crate) struct Written {
    /// Length of the image file.
    pub(crate) bytes: u64,
    /// Length of the disk in it.
    pub(crate) virtual_size: u64,
    pub(crate) time: Duration,
    /// Time of the processor.
    pub(crate) processor: Duration,
    /// The most memory the process ever had resident.
    pub(crate) peak: Size,
}

/// Writes an image onto a target in a child of this program.
pub(crate) fn write(image: &Image, url: &str, target: &Path) -> Result<Written> {
    write_by(&std::env::current_exe()?, image, url, target)
}

/// The same in another program that knows [`ARGUMENT`].
pub(crate) fn write_by(by: &Path, image: &Image, url: &str, target: &Path) -> Result<Written> {
    let said = run(program(by)
        .args([ARGUMENT, url, image.form.disk_format(), &image.sha256])
        .arg(target))?;
    let numbers: [u64; 5] = serde_json::from_str(&said).context("reading the child's numbers")?;
    let [bytes, virtual_size, micros, processor, peak] = numbers;
    Ok(Written {
        bytes,
        virtual_size,
        time: Duration::from_micros(micros),
        processor: Duration::from_micros(processor),
        peak: Size(peak),
    })
}
