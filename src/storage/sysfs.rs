//! Reads the small files of sysfs and procfs: one value a file, or `None` where the kernel has no
//! value.
//!
//! A missing attribute is not an error: attributes depend on drivers and kernel versions.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Reads the text of an attribute without surrounding white space; `None` where it is missing,
/// unreadable or empty.
#[must_use]
pub fn text(path: &Path) -> Option<String> {
    let bytes = bytes(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// Reads an attribute as a decimal number.
#[must_use]
pub fn number(path: &Path) -> Option<u64> {
    text(path)?.parse().ok()
}

/// Checks whether an attribute is `1`; a missing one is not.
#[must_use]
pub fn flag(path: &Path) -> bool {
    text(path).is_some_and(|text| text == "1")
}

/// Reads the first 4 MiB of a file.
#[must_use]
pub fn bytes(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(LIMIT)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

/// Lists the names in a folder, unordered; empty where the folder is missing.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

/// Returns the last component of a link's target: sysfs names a driver, a bus or a device this way.
#[must_use]
pub fn target_name(link: &Path) -> Option<String> {
    let target: PathBuf = fs::read_link(link).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

/// Maximum size of a file. Attributes read here are shorter: a SMBIOS table of a large server is
/// about 30 KiB, `/proc/cpuinfo` of one CPU 2 KiB.
const LIMIT: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_empty_attributes_are_both_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serial");
        assert_eq!(text(&path), None);
        fs::write(&path, " \n").unwrap();
        assert_eq!(text(&path), None);
        fs::write(&path, " S1 \0\n").unwrap();
        assert_eq!(text(&path).as_deref(), Some("S1"));
    }

    #[test]
    fn numbers_and_flags_are_read_from_their_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ro");
        assert!(!flag(&path));
        fs::write(&path, "1\n").unwrap();
        assert!(flag(&path));
        assert_eq!(number(&path), Some(1));
        fs::write(&path, "1x\n").unwrap();
        assert_eq!(number(&path), None);
    }
}
