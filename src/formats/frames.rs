//! Frames of a file that is written sequentially and may end in the middle of a word.
//!
//! A frame has the length of its content, the content's CRC-32 (both four bytes, little-endian),
//! and the content. A crash can leave the last frame incomplete, so reading ends at the first
//! incomplete frame.

/// Encodes content as a frame, with length and checksum before it; `None` if it is too long.
#[must_use]
pub fn frame(content: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(content.len()).ok()?;
    let mut frame = Vec::with_capacity(HEADER + content.len());
    frame.extend(length.to_le_bytes());
    frame.extend(crc32fast::hash(content).to_le_bytes());
    frame.extend(content);
    Some(frame)
}

/// Returns the contents of the complete frames at the beginning of the bytes.
#[must_use]
pub fn frames(bytes: &[u8]) -> Frames<'_> {
    Frames { bytes, read: 0 }
}

/// Iterator over the contents of frames; see [`frames`].
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    read: usize,
}

impl Frames<'_> {
    /// Returns the number of bytes of the complete frames read so far.
    #[must_use]
    pub fn read(&self) -> usize {
        self.read
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.bytes.get(self.read..)?.split_first_chunk()?;
        let (checksum, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let content = rest.get(..length)?;
        // Empty content is not a frame: eight zero bytes are memory that was never written.
        if content.is_empty() || crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
            return None;
        }
        self.read += HEADER + length;
        Some(content)
    }
}

/// Bytes of length and checksum.
const HEADER: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(contents: &[&[u8]]) -> Vec<u8> {
        contents.iter().flat_map(|c| frame(c).unwrap()).collect()
    }

    #[test]
    fn a_frame_that_is_cut_anywhere_is_not_read_and_those_before_it_are() {
        let whole = written(&[b"first", b"second"]);
        let first = frame(b"first").unwrap().len();
        for end in first..whole.len() {
            let mut found = frames(&whole[..end]);
            assert_eq!(found.by_ref().collect::<Vec<_>>(), [b"first"], "{end}");
            assert_eq!(found.read(), first);
        }
    }

    #[test]
    fn what_follows_a_damaged_frame_is_not_read() {
        let mut bytes = written(&[b"first", b"second", b"third"]);
        let second = frame(b"first").unwrap().len() + HEADER;
        bytes[second] ^= 1;
        assert_eq!(frames(&bytes).collect::<Vec<_>>(), [b"first"]);
    }

    #[test]
    fn memory_that_was_never_written_holds_nothing() {
        assert_eq!(frames(&[0; 64]).count(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_within_their_own_length(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let mut found = frames(&bytes);
            let total: usize = found.by_ref().map(|content| HEADER + content.len()).sum();
            prop_assert_eq!(total, found.read());
            prop_assert!(total <= bytes.len());
        }

        #[test]
        fn what_was_written_is_read(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..64), 0..16)) {
            let bytes: Vec<u8> = contents.iter().flat_map(|c| frame(c).unwrap()).collect();
            let found: Vec<Vec<u8>> = frames(&bytes).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(found, contents);
        }
    }
}
