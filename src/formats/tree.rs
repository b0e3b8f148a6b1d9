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

/// Config drives made by other people's tools (`tests/fixtures/configdrive`).
#[cfg(test)]
pub(crate) mod fixture {
    use std::collections::BTreeMap;
    use std::io::Read;
    use std::sync::Mutex;

    pub(crate) const ROCK_RIDGE: &[u8] =
        include_bytes!("../../tests/fixtures/configdrive/rock-ridge.iso.gz");
    pub(crate) const JOLIET: &[u8] =
        include_bytes!("../../tests/fixtures/configdrive/joliet.iso.gz");
    pub(crate) const FAT: &[u8] = include_bytes!("../../tests/fixtures/configdrive/fat.img.gz");

    pub(crate) fn unpacked(packed: &'static [u8]) -> Vec<u8> {
        static DONE: Mutex<BTreeMap<&[u8], Vec<u8>>> = Mutex::new(BTreeMap::new());
        let mut done = DONE.lock().unwrap();
        done.entry(packed).or_insert_with(|| gunzip(packed)).clone()
    }

    fn gunzip(packed: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(packed);
        decoder.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// The files that each of them holds.
    pub(crate) fn files() -> Vec<(String, Vec<u8>)> {
        let files = [
            ("openstack/content/0000", "x\n"),
            ("openstack/latest/meta_data.json", "{\"uuid\": \"u\"}\n"),
            ("openstack/latest/user_data", "#cloud-config\n"),
        ];
        let owned = |(path, content): (&str, &str)| (path.to_owned(), content.into());
        files.map(owned).to_vec()
    }

    /// Overwrites every occurrence of one text by another of its length; says how many there were.
    pub(crate) fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) -> usize {
        let found = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old));
        let found: Vec<usize> = found.collect();
        for at in &found {
            bytes[*at..*at + new.len()].copy_from_slice(new);
        }
        found.len()
    }
}
