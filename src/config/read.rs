//! Small texts from files that may hold a secret: bounded, and wiped when dropped.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// Reads a file of at most [`LIMIT`] bytes.
///
/// The buffer is as large as it may ever get, so that reading leaves no copies behind on the way.
pub(super) fn read_bounded(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT + 64));
    let length = file.take(LIMIT_READ).read_to_end(&mut bytes)?;
    if length > LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "the file has more than 256 KiB",
        ));
    }
    Ok(bytes)
}

/// Bytes as text, in the same memory.
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

/// Bytes as text, those that are not UTF-8 replaced.
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

/// Whether bytes of a text were replaced when it was read.
pub(super) fn has_replaced_bytes(text: &str) -> bool {
    text.contains(char::REPLACEMENT_CHARACTER)
}

const LIMIT: usize = 256 * 1024;
/// One byte more, which tells that there is more.
const LIMIT_READ: u64 = 256 * 1024 + 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, vec![b'a'; LIMIT]).unwrap();
        assert_eq!(read_bounded(&path).unwrap().len(), LIMIT);
        std::fs::write(&path, vec![b'a'; LIMIT + 1]).unwrap();
        assert_eq!(
            read_bounded(&path).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
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
}
