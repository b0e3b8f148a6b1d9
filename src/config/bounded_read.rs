//! Reads small files that may hold a secret: bounded in size, and wiped when dropped.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// Reads a file of at most [`LIMIT`] bytes. A byte order mark is skipped.
///
/// The buffer is allocated at its maximum size, so that reading leaves no copies behind.
pub(super) fn read_bounded(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    read_up_to(path, LIMIT)
}

/// Reads a bundle of certificate authorities. A distribution's bundle, with comments and OpenSSL's
/// settings, has several hundred KiB.
pub(super) fn read_bundle(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    read_up_to(path, LIMIT_OF_BUNDLE)
}

fn read_up_to(path: &Path, limit: u32) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let mut bytes = Zeroizing::new(Vec::new());
    bytes.try_reserve_exact(
        usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .saturating_add(64),
    )?;
    // One byte more than allowed, to detect longer files.
    let most = u64::from(limit) + 1;
    if u64::try_from(file.take(most).read_to_end(&mut bytes)?) == Ok(most) {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("the file has more than {} KiB", limit >> 10),
        ));
    }
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(bytes)
}

/// Converts bytes to text, in the same memory.
///
/// # Errors
/// The number of the first line that is not UTF-8; the bytes are wiped.
pub(super) fn text(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, usize> {
    String::from_utf8(std::mem::take(&mut *bytes))
        .map(Zeroizing::new)
        .map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            let before = bytes.iter().take(valid);
            let line = before.filter(|byte| **byte == b'\n').count() + 1;
            bytes.zeroize();
            line
        })
}

/// Converts bytes to text, with replacement of bytes that are not UTF-8.
pub(super) fn text_lossy(mut bytes: Zeroizing<Vec<u8>>) -> Zeroizing<String> {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => {
            let mut bytes = error.into_bytes();
            let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
            bytes.zeroize();
            text
        }
    }
}

/// Returns whether bytes of a text were replaced when it was read.
pub(super) fn has_replaced_bytes(text: &str) -> bool {
    text.contains(char::REPLACEMENT_CHARACTER)
}

/// U+FEFF in UTF-8, which editors on Windows write at the start of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const LIMIT: u32 = 256 << 10;
const LIMIT_OF_BUNDLE: u32 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, vec![b'a'; 256 << 10]).unwrap();
        assert_eq!(read_bounded(&path).unwrap().len(), 256 << 10);
        std::fs::write(&path, vec![b'a'; (256 << 10) + 1]).unwrap();
        let error = read_bounded(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(error.to_string(), "the file has more than 256 KiB");
        assert_eq!(read_bundle(&path).unwrap().len(), (256 << 10) + 1);
    }

    #[test]
    fn bytes_that_are_no_text_have_a_line_or_are_replaced() {
        let bytes = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        assert_eq!(text(bytes(b"a\nb=\xff\n")), Err(2));
        assert_eq!(text(bytes(b"a\nb=1\n")).unwrap().as_str(), "a\nb=1\n");
        let lossy = text_lossy(bytes(b"a=\xff\n"));
        assert_eq!(lossy.as_str(), "a=\u{fffd}\n");
        assert!(has_replaced_bytes(&lossy));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "\u{feff}a\u{feff}=1\n").unwrap();
        assert_eq!(
            read_bounded(&path).unwrap().as_slice(),
            "a\u{feff}=1\n".as_bytes()
        );
    }
}
