//! Fuzzes config drives with arbitrary bytes: in the text that Ironic sends, and as the file system
//! itself.

use super::decode::{Drive, SIZE};
use super::rebuild;
use crate::progress::Cancel;

/// Decodes the bytes as text and as the content of a URL in such a text, and reads the files.
pub(crate) fn config_drive(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let fetched = || crate::secret::Secret::new(bytes.to_vec());
    for text in [&*text, "http://h/drive"] {
        if let Ok(drive) = Drive::from_text(text, "node", &|_| Ok(fetched())) {
            assert!(drive.bytes() <= SIZE);
            let _ = (drive.usable_with(512), drive.usable_with(4096));
            read_files(drive.expose());
        }
    }
    read_files(bytes);
}

fn read_files(drive: &[u8]) {
    if let Ok(found) = rebuild::files(drive, &Cancel::default()) {
        let mut paths: Vec<_> = found.files.iter().map(|(path, _)| path.join("/")).collect();
        let count = paths.len();
        paths.sort_by_key(|path| path.to_lowercase());
        paths.dedup_by_key(|path| path.to_lowercase());
        assert_eq!(paths.len(), count, "two files with one name for FAT");
    }
}
