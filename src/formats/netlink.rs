//! Netlink messages: framing, attributes, and the kernel's replies that all families share
//! (netlink(7), linux/netlink.h).
//!
//! Numbers are in the machine's byte order, except in an attribute that is marked otherwise.

use super::le_bytes::array;

/// Netlink message (`struct nlmsghdr` and its payload).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// `nlmsg_type`.
    pub message_type: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`: sequence number of the request.
    pub sequence: u32,
    /// `nlmsg_pid`: port of the socket that sent the request.
    pub port: u32,
    /// Payload behind the header, without padding.
    pub body: &'a [u8],
}

impl Message<'_> {
    /// Encodes the message as the only one of a datagram.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = HEADER_LEN + self.body.len();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        bytes.extend(self.message_type.to_ne_bytes());
        bytes.extend(self.flags.to_ne_bytes());
        bytes.extend(self.sequence.to_ne_bytes());
        bytes.extend(self.port.to_ne_bytes());
        bytes.extend(self.body);
        bytes
    }

    /// Returns the error number, as in errno(3), from the body of [`ERROR`] or [`DONE`]. The number
    /// 0 means success, which [`ERROR`] reports as an acknowledgement.
    ///
    /// # Errors
    /// [`Malformed`] if the body is shorter.
    pub fn errno(&self) -> Result<i32, Malformed> {
        let code = array(self.body, 0).map(i32::from_ne_bytes);
        code.map(i32::wrapping_neg)
            .ok_or(Malformed::Body(self.body.len()))
    }
}

/// Parses the messages of a datagram, up to the first incomplete one.
pub fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(array(datagram, 0)?)).ok()?;
        let message = datagram.get(..length)?;
        let parsed = Message {
            message_type: u16::from_ne_bytes(array(message, 4)?),
            flags: u16::from_ne_bytes(array(message, 6)?),
            sequence: u32::from_ne_bytes(array(message, 8)?),
            port: u32::from_ne_bytes(array(message, 12)?),
            body: message.get(HEADER_LEN..)?,
        };
        datagram = after(datagram, length);
        Some(parsed)
    })
}

/// Attribute of a message (`struct nlattr`, which rtnetlink(7) calls `struct rtattr`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// `nla_type`, without the bits that describe the value.
    pub kind: u16,
    /// Value, without padding. A nested attribute's value consists of attributes; the kernel does
    /// not mark all of them as nested.
    pub value: &'a [u8],
    /// Whether a number in the value is in network byte order (`NLA_F_NET_BYTEORDER`).
    pub network_order: bool,
}

impl Attribute<'_> {
    /// Returns the value as a 32-bit number.
    ///
    /// # Errors
    /// [`Malformed`] if the value has another length.
    pub fn u32(&self) -> Result<u32, Malformed> {
        let bytes = self.value.try_into().map_err(|_| self.malformed())?;
        Ok(if self.network_order {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_ne_bytes(bytes)
        })
    }

    /// Returns the error for an attribute whose value cannot be read.
    #[must_use]
    pub fn malformed(&self) -> Malformed {
        Malformed::Value {
            kind: self.kind,
            length: self.value.len(),
        }
    }
}

/// Parses the attributes behind a message's own header, or in another attribute. An incomplete
/// attribute is an error and ends the iteration.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, Malformed>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let Some((attribute, length)) = attribute(bytes) else {
            let rest = std::mem::take(&mut bytes);
            return Some(Err(Malformed::Attribute(rest.len())));
        };
        bytes = after(bytes, length);
        Some(Ok(attribute))
    })
}

fn attribute(bytes: &[u8]) -> Option<(Attribute<'_>, usize)> {
    let length = usize::from(u16::from_ne_bytes(array(bytes, 0)?));
    let kind = u16::from_ne_bytes(array(bytes, 2)?);
    let attribute = Attribute {
        kind: kind & TYPE_MASK,
        value: bytes.get(ATTRIBUTE_HEADER_LEN..length)?,
        network_order: kind & NET_BYTEORDER != 0,
    };
    Some((attribute, length))
}

/// Returns the bytes behind `length` bytes and their padding, which the last element may lack.
fn after(bytes: &[u8], length: usize) -> &[u8] {
    let aligned = length.next_multiple_of(ALIGNMENT);
    bytes.get(aligned..).unwrap_or_default()
}

/// Appends an attribute with padding. A value that is too long for an attribute (64 KiB) is left
/// out.
pub fn push_attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let Ok(length) = u16::try_from(ATTRIBUTE_HEADER_LEN + value.len()) else {
        return;
    };
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

/// Reason why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// An attribute of the message is incomplete; number of bytes from there on.
    #[error("an attribute is not whole in the last {0} bytes")]
    Attribute(usize),
    /// The message is shorter than the header of its type; number of bytes behind the common
    /// header.
    #[error("the message has only {0} bytes")]
    Body(usize),
    /// The value of an attribute has a length that its type does not allow.
    #[error("the value of attribute {kind} cannot be read ({length} bytes)")]
    Value {
        /// `nla_type`.
        kind: u16,
        /// Length of the value in bytes.
        length: usize,
    },
}

/// `NLMSG_ERROR`: failure or acknowledgement of a request.
pub const ERROR: u16 = 2;
/// `NLMSG_DONE`: end of a dump.
pub const DONE: u16 = 3;
/// `NLMSG_MIN_TYPE`: first type that is not common to all families. Other types below it must be
/// ignored.
pub const MIN_TYPE: u16 = 0x10;
/// `NLM_F_REQUEST`: flag of all requests.
pub const REQUEST: u16 = 0x01;
/// `NLM_F_ACK`: request to report success, too.
pub const ACK: u16 = 0x04;
/// `NLM_F_DUMP_INTR`: the dumped objects changed meanwhile, so the dump may be inconsistent.
pub const DUMP_INTERRUPTED: u16 = 0x10;
/// `NLM_F_DUMP`: request for all objects instead of one.
pub const DUMP: u16 = 0x300;
/// `NLM_F_REPLACE`: request to change an existing object.
pub const REPLACE: u16 = 0x100;
/// `NLM_F_CREATE`: request to create a missing object.
pub const CREATE: u16 = 0x400;

/// `NLMSG_HDRLEN`.
const HEADER_LEN: usize = 16;
/// `NLA_HDRLEN`.
const ATTRIBUTE_HEADER_LEN: usize = 4;
/// `NLMSG_ALIGNTO` and `NLA_ALIGNTO`.
const ALIGNMENT: usize = 4;
/// `NLA_TYPE_MASK`: all bits except `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const TYPE_MASK: u16 = 0x3FFF;
/// `NLA_F_NET_BYTEORDER`.
const NET_BYTEORDER: u16 = 0x4000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reply of the kernel to a request to switch interface 3 on.
    const ACKNOWLEDGED: [u8; 36] = [
        0x24, 0, 0, 0, 2, 0, 0, 1, 3, 0, 0, 0, 0x14, 0x27, 0x64, 0xEA, 0, 0, 0, 0, 0x20, 0, 0, 0,
        0x13, 0, 5, 0, 3, 0, 0, 0, 0, 0, 0, 0,
    ];

    fn message(message_type: u16, body: &[u8]) -> Message<'_> {
        Message {
            message_type,
            flags: 0,
            sequence: 7,
            port: 9,
            body,
        }
    }

    #[test]
    fn an_acknowledgement_is_an_error_number_of_zero() {
        let found: Vec<_> = messages(&ACKNOWLEDGED).collect();
        let expected = Message {
            message_type: ERROR,
            flags: 0x100,
            sequence: 3,
            port: 0xEA64_2714,
            body: &ACKNOWLEDGED[16..],
        };
        assert_eq!(found, [expected]);
        assert_eq!(expected.errno(), Ok(0));
        assert_eq!(expected.to_bytes(), ACKNOWLEDGED);
        let refused = (-101_i32).to_ne_bytes();
        assert_eq!(message(ERROR, &refused).errno(), Ok(101));
        let lowest = i32::MIN.to_ne_bytes();
        assert_eq!(message(ERROR, &lowest).errno(), Ok(i32::MIN));
        let short = message(ERROR, &refused[..3]);
        assert_eq!(short.errno(), Err(Malformed::Body(3)));
    }

    #[test]
    fn messages_end_at_the_first_that_is_not_whole() {
        let odd = message(16, &[1]).to_bytes();
        let padded = [odd.as_slice(), &[0; 3]].concat();
        let second = message(20, &[2, 3]);
        let datagram = [padded.as_slice(), &second.to_bytes()].concat();
        // The last message of a datagram may lack its padding.
        assert!(messages(&datagram).eq([message(16, &[1]), second]));
        for end in padded.len()..datagram.len() {
            assert!(messages(&datagram[..end]).eq([message(16, &[1])]), "{end}");
        }
        // A length below that of a header would cause an endless loop.
        for length in 0..16_u32 {
            let mut datagram = datagram.clone();
            datagram[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(messages(&datagram).count(), 0, "{length}");
        }
    }

    #[test]
    fn an_attribute_is_known_by_its_type_without_the_marks() {
        let bytes: [&[u8]; 3] = [
            &[8, 0, 4, 0x40, 0, 0, 5, 0x78],
            &[8, 0, 26, 0x80, 4, 0, 10, 0x80],
            &[5, 0, 3, 0, 0x65],
        ];
        let bytes = bytes.concat();
        let found: Vec<_> = attributes(&bytes).collect::<Result<_, _>>().unwrap();
        let kinds: Vec<_> = found.iter().map(|found| found.kind).collect();
        assert_eq!(kinds, [4, 26, 3]);
        assert_eq!(found[0].u32(), Ok(1400));
        let nested: Vec<_> = attributes(found[1].value).collect();
        let empty = Attribute {
            kind: 10,
            value: &[],
            network_order: false,
        };
        assert_eq!(nested, [Ok(empty)]);
        assert_eq!(found[2].value, b"e");
        let wrong = Malformed::Value { kind: 3, length: 1 };
        assert_eq!(found[2].u32(), Err(wrong));
    }

    #[test]
    fn an_attribute_that_is_not_whole_is_an_error_and_the_last() {
        let first = [6, 0, 1, 0, 7, 7, 0, 0];
        let wrong: [&[u8]; 4] = [
            &[9, 0, 2, 0, 1, 2, 3, 4],
            &[3, 0, 2, 0],
            &[0; 8],
            &[4, 0, 2],
        ];
        for wrong in wrong {
            let bytes = [first.as_slice(), wrong].concat();
            let found: Vec<_> = attributes(&bytes)
                .map(|found| found.map(|a| a.kind))
                .collect();
            assert_eq!(found, [Ok(1), Err(Malformed::Attribute(wrong.len()))]);
        }
    }

    #[test]
    fn a_value_that_no_attribute_can_hold_is_left_out() {
        let mut bytes = Vec::new();
        push_attribute(&mut bytes, 1, &[7; 65_531]);
        assert_eq!(bytes.len(), 65_536);
        push_attribute(&mut bytes, 2, &[7; 65_532]);
        assert_eq!(attributes(&bytes).count(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_within_their_own_length(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let read: usize = messages(&bytes).map(|message| HEADER_LEN + message.body.len()).sum();
            prop_assert!(read <= bytes.len());
            let read: usize = attributes(&bytes)
                .map(|found| found.map_or(0, |found| ATTRIBUTE_HEADER_LEN + found.value.len()))
                .sum();
            prop_assert!(read <= bytes.len());
        }

        #[test]
        fn what_was_written_is_read(
            values in prop::collection::vec((0..=TYPE_MASK, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
            message_type: u16,
            flags: u16,
            sequence: u32,
            port: u32,
        ) {
            let mut body = Vec::new();
            for (kind, value) in &values {
                push_attribute(&mut body, *kind, value);
            }
            let message = Message { message_type, flags, sequence, port, body: &body };
            let bytes = message.to_bytes();
            let read: Vec<_> = messages(&bytes).collect();
            prop_assert_eq!(&read, &[message]);
            let read: Vec<_> = attributes(&body)
                .map(|found| found.map(|found| (found.kind, found.value.to_vec())))
                .collect::<Result<_, _>>()
                .unwrap();
            prop_assert_eq!(read, values);
        }
    }
}
