//! Small texts from files that may hold a secret: bounded, and wiped when dropped.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// Reads a file of at most [`LIMIT`] bytes. Bytes that are not UTF-8 are replaced; a byte order mark is left out.
///
/// The buffer is as large as it may ever get, so that reading leaves no copies behind on the way.
pub(super) fn read_bounded(path: &Path) -> io::Result<Zeroizing<String>> {
    let file = File::open(path)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT + 64));
    let length = file.take(LIMIT_READ).read_to_end(&mut bytes)?;
    if length > LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "the file has more than 256 KiB",
        ));
    }
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(text(&mut bytes))
}

/// Bytes as text: the same memory where they are UTF-8, else a copy, and the original wiped.
fn text(bytes: &mut Zeroizing<Vec<u8>>) -> Zeroizing<String> {
    match String::from_utf8(std::mem::take(&mut **bytes)) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => {
            let mut bytes = error.into_bytes();
            let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
            bytes.zeroize();
            text
        }
    }
}

/// U+FEFF in UTF-8, as editors on Windows begin a file.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
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
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "\u{feff}a\u{feff}=1\n").unwrap();
        assert_eq!(read_bounded(&path).unwrap().as_str(), "a\u{feff}=1\n");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, b"a=\xff\n").unwrap();
        assert_eq!(read_bounded(&path).unwrap().as_str(), "a=\u{fffd}\n");
    }
}
