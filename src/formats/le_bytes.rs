//! Numbers at fixed offsets of a structure; `None` if the bytes end before them.

/// Returns `N` bytes at an offset.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Returns a little-endian 16-bit number.
pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// Returns a little-endian 32-bit number.
pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// Returns a little-endian 64-bit number.
pub(crate) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// Writes bytes at an offset. Bytes beyond the end of `into` are dropped.
pub(crate) fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in into.iter_mut().skip(at).zip(bytes) {
        *place = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_where_the_bytes_end() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(le16(&bytes, 7), Some(0x0908));
        assert_eq!(le32(&bytes, 0), Some(0x0403_0201));
        assert_eq!(le64(&bytes, 1), Some(0x0908_0706_0504_0302));
        assert_eq!((le16(&bytes, 8), le64(&bytes, usize::MAX)), (None, None));
    }
}
