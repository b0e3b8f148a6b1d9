//! Lists of domain names in wire format (RFC 1035 section 3.1): search lists of DHCP and of router
//! advertisements.
//!
//! Names are returned as text with dots and without the root label. Whether a name may be used is
//! not decided here. Bytes that no name should have are escaped, so that a later check refuses them
//! and a log line can show them.

use std::fmt::Write as _;

/// Use of pointers that continue a name at an earlier offset of the list (RFC 1035 section 4.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Pointers are allowed: search list of DHCPv4 (RFC 3397).
    Allowed,
    /// Pointers are forbidden (RFC 8415 section 10 and RFC 8106 section 5.2).
    Forbidden,
}

/// Reads names up to the end of the list or the first malformed name. Root names, which are
/// padding, are left out.
#[must_use]
pub fn read_list(list: &[u8], compression: Compression) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < list.len() && names.len() < MAX_NAMES {
        let Some((name, next)) = read(list, at, compression) else {
            break;
        };
        if !name.is_empty() {
            names.push(name);
        }
        at = next;
    }
    names
}

/// Returns the name at an offset and the offset behind it.
fn read(list: &[u8], start: usize, compression: Compression) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut wire_length = 0;
    let mut at = start;
    // Start of the part of the name that is being read. A pointer must lead to an earlier offset,
    // so the loop ends.
    let mut began = start;
    let mut next = None;
    loop {
        let length = *list.get(at)?;
        match length {
            0 => return Some((name, next.unwrap_or(at + 1))),
            1..=MAX_LABEL => {
                let label = list.get(at + 1..)?.get(..length.into())?;
                wire_length += label.len() + 1;
                if wire_length > MAX_NAME {
                    return None;
                }
                if !name.is_empty() {
                    name.push('.');
                }
                push_label(&mut name, label);
                at += label.len() + 1;
            }
            POINTER.. if compression == Compression::Allowed => {
                let low = *list.get(at + 1)?;
                let target = usize::from(u16::from_be_bytes([length & !POINTER, low]));
                if target >= began {
                    return None;
                }
                next = next.or(Some(at + 2));
                (at, began) = (target, target);
            }
            _ => return None,
        }
    }
}

fn push_label(name: &mut String, label: &[u8]) {
    for byte in label {
        match byte {
            b'.' | b'\\' => {
                name.push('\\');
                name.push(char::from(*byte));
            }
            b'!'..=b'~' => name.push(char::from(*byte)),
            // Escaped by RFC 1035 section 5.1.
            _ => {
                let _infallible = write!(name, "\\{byte:03}");
            }
        }
    }
}

const MAX_LABEL: u8 = 63;
/// Maximum bytes of a name without the root label, with which it has 255 (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 254;
/// Maximum number of names: more than any resolver searches.
const MAX_NAMES: usize = 32;
/// Tag of a pointer in the two highest bits: the rest of the two bytes is an offset.
const POINTER: u8 = 0xC0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wire(name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for label in name.split('.') {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(label.bytes());
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn names_are_read_one_behind_the_other() {
        let mut list = wire("eng.example.org");
        list.extend(wire("example.com"));
        // RFC 8106: the list is padded with zeroes.
        list.extend([0, 0, 0]);
        for compression in [Compression::Allowed, Compression::Forbidden] {
            assert_eq!(
                read_list(&list, compression),
                ["eng.example.org", "example.com"]
            );
        }
    }

    #[test]
    fn a_pointer_is_followed_where_it_may_be_there() {
        // The example of RFC 3397 section 2.
        let mut list = wire("eng.apple.com");
        list.extend(*b"\x09marketing\xC0\x04");
        assert_eq!(
            read_list(&list, Compression::Allowed),
            ["eng.apple.com", "marketing.apple.com"]
        );
        assert_eq!(read_list(&list, Compression::Forbidden), ["eng.apple.com"]);
    }

    #[test]
    fn a_loop_of_pointers_ends_the_list() {
        for list in [&b"\xC0\x00"[..], b"\x01a\xC0\x00", b"\xC0\x02\xC0\x00"] {
            assert_eq!(read_list(list, Compression::Allowed), [""; 0]);
        }
    }

    #[test]
    fn what_is_before_a_malformed_name_stays() {
        let mut list = wire("example.org");
        list.extend(*b"\x07cut");
        assert_eq!(read_list(&list, Compression::Allowed), ["example.org"]);
    }

    #[test]
    fn odd_bytes_are_escaped() {
        let list = *b"\x05a.b\xC3\n\x03org\x00";
        assert_eq!(
            read_list(&list, Compression::Forbidden),
            [r"a\.b\195\010.org"]
        );
    }

    #[test]
    fn a_name_of_253_characters_is_read_and_a_longer_one_is_not() {
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        assert_eq!(longest.len(), 253);
        assert_eq!(
            read_list(&wire(&longest), Compression::Forbidden),
            [longest.as_str()]
        );
        let longer = format!("{longest}b");
        assert_eq!(read_list(&wire(&longer), Compression::Forbidden), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow(list in prop::collection::vec(
            prop_oneof![any::<u8>(), 0_u8..4, Just(0xC0)], 0..600,
        )) {
            for compression in [Compression::Allowed, Compression::Forbidden] {
                let names = read_list(&list, compression);
                prop_assert!(names.len() <= MAX_NAMES);
                // An escaped byte has four characters.
                prop_assert!(names.iter().all(|name| name.len() <= 4 * MAX_NAME));
            }
        }
    }
}
