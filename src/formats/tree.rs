//! Names from foreign file systems: what may become part of a path of ours.

/// Most files and directories of one file system that are looked at.
pub(crate) const MOST_ENTRIES: usize = 65_536;
/// Most directories inside each other.
pub(crate) const MOST_DEPTH: usize = 16;
/// Most bytes of one directory: what 65,536 FAT entries take.
pub(crate) const MOST_DIRECTORY_BYTES: u64 = 2 << 20;

/// Whether a name is one plain component: it cannot lead out of the directory it is in.
pub(crate) fn is_plain(name: &str) -> bool {
    let special = matches!(name, "" | "." | "..");
    !special && !name.contains(['/', '\\']) && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_not_plain() {
        for name in ["", ".", "..", "../x", "a/b", "..\\x", "a\0", "a\n"] {
            assert!(!is_plain(name), "{name:?}");
        }
        for name in ["meta_data.json", "...", ".hidden", "Grüße"] {
            assert!(is_plain(name), "{name:?}");
        }
    }
}
