//! What has to get over the network, or onto a BMC's virtual media, before anything runs.

use crate::agent;
use crate::report::{Row, Section, Size, thousands};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The sizes of what the build made.
pub(crate) fn measure() -> Result<Section> {
    let binary = size(Path::new(agent::BINARY), "make agent")?;
    let kernel = size(&kernel(), "make image")?;
    let initramfs = size(&initramfs(), "make image")?;
    let both = Size(kernel.0 + initramfs.0);
    Ok(Section {
        title: "Size",
        method: "lengths of the files as built; MB is a million bytes".into(),
        rows: vec![
            row("binary", binary).limit(binary, BINARY_LIMIT),
            row("vmlinuz", kernel),
            row("initramfs", initramfs),
            row("vmlinuz and initramfs", both).limit(both, IMAGE_LIMIT),
        ],
    })
}

/// The kernel of the ramdisk.
pub(crate) fn kernel() -> PathBuf {
    Path::new(IMAGE).join("vmlinuz")
}

/// The ramdisk.
pub(crate) fn initramfs() -> PathBuf {
    Path::new(IMAGE).join("initramfs")
}

fn size(path: &Path, make: &str) -> Result<Size> {
    let file = fs::metadata(path)
        .with_context(|| format!("{} is missing: run `{make}`", path.display()))?;
    Ok(Size(file.len()))
}

fn row(what: &str, size: Size) -> Row {
    Row::new(what, size).note(format_args!("{} bytes", thousands(size.0)))
}

const IMAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/image/virtual");
const BINARY_LIMIT: Size = Size(8_000_000);
const IMAGE_LIMIT: Size = Size(25_000_000);
