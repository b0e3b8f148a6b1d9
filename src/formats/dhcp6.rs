//! DHCPv6 messages between a client and a server: header and options (RFC 8415 sections 8 and 21),
//! name servers and search lists (RFC 3646).
//!
//! Each option is decoded on access, so a malformed one affects no other.

use super::domain_name::{self, Compression};
use super::le_bytes::array;
use core::net::Ipv6Addr;

/// DHCPv6 message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Message type.
    pub message_type: MessageType,
    /// Transaction ID.
    pub xid: [u8; 3],
    /// Options of the message.
    pub options: Options,
}

/// Type of a message between clients and servers (RFC 8415 section 7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// Offer of a server.
    Advertise,
    /// Refusal, by a client, of an address that another host uses.
    Decline,
    /// Request of a client for configuration other than addresses.
    InformationRequest,
    /// Request of a client to any server to extend lifetimes.
    Rebind,
    /// Release of an address by a client.
    Release,
    /// Request of a client to its server to extend lifetimes.
    Renew,
    /// Response of a server.
    Reply,
    /// Acceptance of an offer by a client.
    Request,
    /// Search of a client for servers.
    Solicit,
}

/// Status of a message or an association, reported by a server (RFC 8415 section 21.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Status code; zero means success.
    pub code: u16,
    /// Human-readable message.
    pub text: String,
}

/// Identity association: addresses of one interface (RFC 8415 section 21.4: `IA_NA`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Association {
    /// Identifier (IAID) that the client chose.
    pub id: u32,
    /// T1 in seconds; zero if the server sets none.
    pub renew: u32,
    /// T2 in seconds; zero if the server sets none.
    pub rebind: u32,
    /// Options of the association.
    pub options: Options,
}

/// Address of an association (RFC 8415 section 21.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssociationAddress {
    /// The address.
    pub address: Ipv6Addr,
    /// Preferred lifetime in seconds.
    pub preferred: u32,
    /// Valid lifetime in seconds.
    pub valid: u32,
}

impl Message {
    /// Parses a UDP payload; `None` for relay messages and other unsupported types.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [kind, xid @ ..]: [u8; 4] = array(bytes, 0)?;
        Some(Self {
            message_type: MessageType::from_byte(kind)?,
            xid,
            options: Options::parse(bytes.get(4..)?),
        })
    }

    /// Encodes the message as a UDP payload.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.message_type.to_byte()];
        bytes.extend(self.xid);
        self.options.write(&mut bytes);
        bytes
    }
}

/// Options in the order of the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(Vec<(u16, Vec<u8>)>);

impl Options {
    /// Parses options up to the first incomplete one.
    fn parse(mut bytes: &[u8]) -> Self {
        let mut options = Vec::new();
        while let Some(([c0, c1, l0, l1], rest)) = bytes.split_first_chunk::<4>() {
            let length = u16::from_be_bytes([*l0, *l1]);
            let Some((value, rest)) = rest.split_at_checked(length.into()) else {
                break;
            };
            options.push((u16::from_be_bytes([*c0, *c1]), value.to_vec()));
            bytes = rest;
        }
        Self(options)
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        for (code, value) in &self.0 {
            // A longer value does not fit the length field; this program creates none.
            let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
            bytes.extend(code.to_be_bytes());
            bytes.extend(length.to_be_bytes());
            bytes.extend(value.iter().take(length.into()));
        }
    }

    /// Adds an option.
    pub fn push(&mut self, code: u16, value: impl Into<Vec<u8>>) {
        self.0.push((code, value.into()));
    }

    /// Adds an association.
    pub fn push_association(&mut self, association: &Association) {
        let mut value = Vec::new();
        for number in [association.id, association.renew, association.rebind] {
            value.extend(number.to_be_bytes());
        }
        association.options.write(&mut value);
        self.push(code::IA_NA, value);
    }

    /// Adds an address of an association.
    pub fn push_address(&mut self, address: &AssociationAddress) {
        let mut value = address.address.octets().to_vec();
        value.extend(address.preferred.to_be_bytes());
        value.extend(address.valid.to_be_bytes());
        self.push(code::IA_ADDRESS, value);
    }

    /// Returns the bytes of the first option with this code.
    #[must_use]
    pub fn get(&self, code: u16) -> Option<&[u8]> {
        self.all(code).next()
    }

    fn all(&self, code: u16) -> impl Iterator<Item = &[u8]> {
        let of_code = self.0.iter().filter(move |(found, _)| *found == code);
        of_code.map(|(_, value)| value.as_slice())
    }

    /// Returns the status; `None`, which means success, also if the option is too short.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.all(code::STATUS).find_map(|value| {
            let (code, text) = value.split_first_chunk::<2>()?;
            Some(Status {
                code: u16::from_be_bytes(*code),
                text: String::from_utf8_lossy(text).into_owned(),
            })
        })
    }

    /// Returns the association with this identifier.
    #[must_use]
    pub fn association(&self, id: u32) -> Option<Association> {
        let mut associations = self.all(code::IA_NA).filter_map(|value| {
            let number = |at| array(value, at).map(u32::from_be_bytes);
            Some(Association {
                id: number(0)?,
                renew: number(4)?,
                rebind: number(8)?,
                options: Self::parse(value.get(12..)?),
            })
        });
        associations.find(|association| association.id == id)
    }

    /// Returns the addresses of an association, except those with an error status.
    pub fn addresses(&self) -> impl Iterator<Item = AssociationAddress> {
        self.all(code::IA_ADDRESS).filter_map(|value| {
            let options = Self::parse(value.get(24..)?);
            if options.status().is_some_and(|status| status.code != 0) {
                return None;
            }
            Some(AssociationAddress {
                address: Ipv6Addr::from_octets(array(value, 0)?),
                preferred: array(value, 16).map(u32::from_be_bytes)?,
                valid: array(value, 20).map(u32::from_be_bytes)?,
            })
        })
    }

    /// Returns the name servers, without incomplete addresses.
    #[must_use]
    pub fn name_servers(&self) -> Vec<Ipv6Addr> {
        let values = self.all(code::NAME_SERVERS);
        let addresses = values.flat_map(|value| value.as_chunks::<16>().0);
        addresses.copied().map(Ipv6Addr::from_octets).collect()
    }

    /// Returns the domain search list, up to the first name that cannot be parsed.
    #[must_use]
    pub fn domain_names(&self) -> Vec<String> {
        let value = self.get(code::DOMAIN_SEARCH).unwrap_or_default();
        domain_name::read_list(value, Compression::Forbidden)
    }
}

impl MessageType {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Solicit),
            2 => Some(Self::Advertise),
            3 => Some(Self::Request),
            5 => Some(Self::Renew),
            6 => Some(Self::Rebind),
            7 => Some(Self::Reply),
            8 => Some(Self::Release),
            9 => Some(Self::Decline),
            11 => Some(Self::InformationRequest),
            _ => None,
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            Self::Solicit => 1,
            Self::Advertise => 2,
            Self::Request => 3,
            Self::Renew => 5,
            Self::Rebind => 6,
            Self::Reply => 7,
            Self::Release => 8,
            Self::Decline => 9,
            Self::InformationRequest => 11,
        }
    }
}

/// Option codes.
pub mod code {
    /// Identifier of the client.
    pub const CLIENT_ID: u16 = 1;
    /// Identifier of the server.
    pub const SERVER_ID: u16 = 2;
    /// Identity association, see [`super::Association`].
    pub const IA_NA: u16 = 3;
    /// Address of an association, see [`super::AssociationAddress`].
    pub const IA_ADDRESS: u16 = 5;
    /// Options that the client requests.
    pub const OPTION_REQUEST: u16 = 6;
    /// Time since the exchange began, in hundredths of a second.
    pub const ELAPSED_TIME: u16 = 8;
    /// Status, see [`super::Status`].
    pub const STATUS: u16 = 13;
    /// Name servers (RFC 3646).
    pub const NAME_SERVERS: u16 = 23;
    /// Domain search list (RFC 3646).
    pub const DOMAIN_SEARCH: u16 = 24;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77);

    fn reply(options: Options) -> Message {
        Message {
            message_type: MessageType::Reply,
            xid: [1, 2, 3],
            options,
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let mut options = Options::default();
        options.push(code::SERVER_ID, [7]);
        options.push(code::NAME_SERVERS, ADDRESS.octets());
        options.push(code::DOMAIN_SEARCH, *b"\x01a\x07example\x00");
        let given = AssociationAddress {
            address: ADDRESS,
            preferred: 100,
            valid: 200,
        };
        let mut association = Association {
            id: 1,
            renew: 50,
            rebind: 80,
            options: Options::default(),
        };
        association.options.push_address(&given);
        options.push_association(&association);
        let message = reply(options);
        let parsed = Message::parse(&message.to_bytes()).unwrap();
        assert_eq!(parsed, message);
        let options = parsed.options;
        assert_eq!(options.get(code::SERVER_ID), Some(&[7][..]));
        assert_eq!(options.name_servers(), [ADDRESS]);
        assert_eq!(options.domain_names(), ["a.example"]);
        assert_eq!(options.association(2), None);
        let association = options.association(1).unwrap();
        assert_eq!((association.renew, association.rebind), (50, 80));
        assert!(association.options.addresses().eq([given]));
    }

    #[test]
    fn a_status_without_a_code_hides_nothing() {
        let mut bytes = vec![7, 1, 2, 3];
        bytes.extend([0, 13, 0, 0]);
        bytes.extend([0, 13, 0, 1, 9]);
        bytes.extend([0, 2, 0, 1, 7]);
        let options = Message::parse(&bytes).unwrap().options;
        assert_eq!(options.status(), None);
        assert_eq!(options.get(code::SERVER_ID), Some(&[7][..]));
        bytes.extend([0, 13, 0, 5, 0, 2, b'n', b'o', 0xFF]);
        let status = Message::parse(&bytes).unwrap().options.status();
        let text = "no\u{FFFD}".to_owned();
        assert_eq!(status, Some(Status { code: 2, text }));
    }

    #[test]
    fn an_option_beyond_the_end_hides_nothing_before_it() {
        let bytes = [7, 1, 2, 3, 0, 2, 0, 1, 7, 0, 23, 0, 16, 1];
        let options = Message::parse(&bytes).unwrap().options;
        assert_eq!(options.get(code::SERVER_ID), Some(&[7][..]));
        assert_eq!(options.name_servers(), [Ipv6Addr::UNSPECIFIED; 0]);
    }

    #[test]
    fn malformed_associations_and_refused_addresses_are_passed_over() {
        let given = |last: u16, status: &[u8]| {
            let mut value = ADDRESS.octets().to_vec();
            value[14..].copy_from_slice(&last.to_be_bytes());
            value.extend([0, 0, 0, 1, 0, 0, 0, 2]);
            value.extend(status);
            value
        };
        let mut association = Association {
            id: 1,
            ..Association::default()
        };
        let options = &mut association.options;
        options.push(code::IA_ADDRESS, [1, 2]);
        options.push(code::IA_ADDRESS, given(1, &[0, 13, 0, 2, 0, 2]));
        options.push(code::IA_ADDRESS, given(2, &[0, 13, 0, 2, 0, 0]));
        let mut options = Options::default();
        options.push(code::IA_NA, [0, 0, 0, 1]);
        options.push_association(&association);
        let parsed = Message::parse(&reply(options).to_bytes()).unwrap();
        let association = parsed.options.association(1).unwrap();
        let addresses: Vec<_> = association.options.addresses().collect();
        let good = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
        assert_eq!(
            addresses,
            [AssociationAddress {
                address: good,
                preferred: 1,
                valid: 2
            }]
        );
    }

    #[test]
    fn relays_and_unknown_messages_are_none() {
        for kind in [0, 4, 10, 12, 13, 255] {
            assert_eq!(Message::parse(&[kind, 1, 2, 3]), None);
        }
        assert_eq!(Message::parse(&[7, 1, 2]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow(
            kind in 1_u8..12,
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..25], 0..600),
        ) {
            let mut message = vec![kind];
            message.extend(&bytes);
            let Some(parsed) = Message::parse(&message) else {
                return Ok(());
            };
            let options = parsed.options;
            let held: usize = options.0.iter().map(|(_, value)| value.len() + 4).sum();
            prop_assert!(held <= bytes.len());
            let _read = (options.status(), options.name_servers(), options.domain_names());
            for id in 0..3 {
                let association = options.association(id).unwrap_or_default();
                let _read = (association.options.status(), association.options.addresses().count());
            }
        }

        #[test]
        fn any_options_come_back(options in prop::collection::vec(
            (any::<u16>(), prop::collection::vec(any::<u8>(), 0..40)), 0..9,
        )) {
            let message = reply(Options(options));
            prop_assert_eq!(Message::parse(&message.to_bytes()), Some(message));
        }
    }
}
