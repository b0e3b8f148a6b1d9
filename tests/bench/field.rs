//! Numbers of `/proc/PID`.

use crate::report::Size;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// A field in kB of a file of `/proc/PID`.
pub(crate) fn kilobytes(path: &Path, field: &str) -> Result<Size> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let number = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .with_context(|| format!("no {field} in {}", path.display()))?;
    Ok(Size(number * 1024))
}
