//! DHCPv4 messages: header and options (RFC 2131 section 2, RFC 2132). Covers long options (RFC
//! 3396), option overload, classless routes (RFC 3442) and search lists (RFC 3397).
//!
//! Each option is decoded on access, so a malformed one affects no other.

use super::domain_name::{self, Compression};
use super::le_bytes::{array, put};
use core::net::Ipv4Addr;
use std::collections::BTreeMap;

/// DHCPv4 message between a client with an Ethernet address and a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `op`: direction of the message.
    pub operation: Operation,
    /// `xid`: transaction ID.
    pub xid: u32,
    /// `secs`: seconds since the exchange began.
    pub seconds: u16,
    /// Broadcast flag: the client requests a broadcast reply.
    pub broadcast: bool,
    /// `ciaddr`: address that the client already uses.
    pub client_address: Ipv4Addr,
    /// `yiaddr`: address that the server assigns.
    pub your_address: Ipv4Addr,
    /// `chaddr`: MAC address of the client.
    pub mac: [u8; 6],
    /// All options, including those in `file` and `sname`.
    pub options: Options,
}

/// Direction of a message (`op`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Message from a server.
    Reply,
    /// Message from a client.
    Request,
}

/// DHCP message type (option 53).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// DHCPACK.
    Ack,
    /// DHCPDECLINE.
    Decline,
    /// DHCPDISCOVER.
    Discover,
    /// DHCPINFORM.
    Inform,
    /// DHCPNAK.
    Nak,
    /// DHCPOFFER.
    Offer,
    /// DHCPRELEASE.
    Release,
    /// DHCPREQUEST.
    Request,
}

/// Classless static route (option 121).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClasslessRoute {
    /// Destination network, without host bits.
    pub network: Ipv4Addr,
    /// Prefix length in bits.
    pub prefix: u8,
    /// Router; unspecified if the network is on the link itself.
    pub router: Ipv4Addr,
}

/// Reason why bytes are not a DHCPv4 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The magic cookie is missing, for example in BOOTP without options.
    #[error("it has no options (no magic cookie)")]
    NoOptions,
    /// The client's hardware address is not Ethernet.
    #[error("its client has no Ethernet address (type {htype}, {hlen} bytes)")]
    NotEthernet {
        /// `htype`.
        htype: u8,
        /// `hlen`.
        hlen: u8,
    },
    /// The message is too short; its length in bytes.
    #[error("it has only {0} bytes")]
    Short(usize),
    /// `op` is unknown; its value.
    #[error("it is neither a request nor a reply ({0})")]
    UnknownOperation(u8),
}

/// Option with a malformed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("option {code} ({length} bytes)")]
pub struct Malformed {
    /// Option code.
    pub code: u8,
    /// Length of the value in bytes.
    pub length: usize,
}

impl Message {
    /// Parses a UDP payload. An option with broken framing hides the options behind it in the same
    /// field, but none in other fields.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let short = Error::Short(bytes.len());
        let [op, htype, hlen, _hops] = array(bytes, 0).ok_or(short)?;
        let operation = match op {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return Err(Error::UnknownOperation(op)),
        };
        // `hlen` counts the used bytes of a 16-byte field. An unsupported value is refused before
        // that field is read.
        if (htype, usize::from(hlen)) != (ETHERNET, MAC_LENGTH) {
            return Err(Error::NotEthernet { htype, hlen });
        }
        let address = |at| array(bytes, at).map(Ipv4Addr::from_octets).ok_or(short);
        let message = Self {
            operation,
            xid: array(bytes, XID).map(u32::from_be_bytes).ok_or(short)?,
            seconds: array(bytes, SECS).map(u16::from_be_bytes).ok_or(short)?,
            broadcast: array(bytes, FLAGS).map(u16::from_be_bytes).ok_or(short)? & BROADCAST != 0,
            client_address: address(CIADDR)?,
            your_address: address(YIADDR)?,
            mac: array(bytes, CHADDR).ok_or(short)?,
            options: Options::default(),
        };
        if array(bytes, COOKIE).ok_or(short)? != MAGIC_COOKIE {
            return Err(Error::NoOptions);
        }
        Ok(Self {
            options: Options::parse(bytes),
            ..message
        })
    }

    /// Encodes the message as a UDP payload.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; OPTIONS];
        let op = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        put(&mut bytes, 0, &[op, ETHERNET, 6, 0]);
        put(&mut bytes, XID, &self.xid.to_be_bytes());
        put(&mut bytes, SECS, &self.seconds.to_be_bytes());
        let flags = if self.broadcast { BROADCAST } else { 0 };
        put(&mut bytes, FLAGS, &flags.to_be_bytes());
        put(&mut bytes, CIADDR, &self.client_address.octets());
        put(&mut bytes, YIADDR, &self.your_address.octets());
        put(&mut bytes, CHADDR, &self.mac);
        put(&mut bytes, COOKIE, &MAGIC_COOKIE);
        self.options.write(&mut bytes);
        bytes.resize(bytes.len().max(MIN_MESSAGE), 0);
        bytes
    }
}

/// Options by code. The parts of a split option are concatenated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<u8, Vec<u8>>);

impl Options {
    fn parse(message: &[u8]) -> Self {
        let mut options = Self::default();
        options.walk(message.get(OPTIONS..).unwrap_or_default());
        let overload = match options.get(code::OVERLOAD) {
            Some([overload, ..]) => *overload,
            _ => 0,
        };
        // RFC 3396 section 5 defines this order.
        if overload & 1 != 0 {
            options.walk(message.get(FILE..COOKIE).unwrap_or_default());
        }
        if overload & 2 != 0 {
            options.walk(message.get(SNAME..FILE).unwrap_or_default());
        }
        options
    }

    fn walk(&mut self, mut field: &[u8]) {
        loop {
            field = match field {
                [PAD, rest @ ..] => rest,
                [END, ..] => return,
                [code, length, rest @ ..] => {
                    let Some((value, rest)) = rest.split_at_checked((*length).into()) else {
                        return;
                    };
                    self.0.entry(*code).or_default().extend(value);
                    rest
                }
                _ => return,
            };
        }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        for (code, value) in &self.0 {
            let mut rest = value.as_slice();
            loop {
                let (part, behind) = rest.split_at(rest.len().min(MAX_PART));
                let length = u8::try_from(part.len()).unwrap_or(u8::MAX);
                bytes.extend([*code, length]);
                bytes.extend(part);
                if behind.is_empty() {
                    break;
                }
                rest = behind;
            }
        }
        bytes.push(END);
    }

    /// Sets an option.
    pub fn insert(&mut self, code: u8, value: impl Into<Vec<u8>>) {
        self.0.insert(code, value.into());
    }

    /// Returns the bytes of an option.
    #[must_use]
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.0.get(&code).map(Vec::as_slice)
    }

    /// Returns the message type; `None` if the option is missing, as in BOOTP, or unknown.
    #[must_use]
    pub fn message_type(&self) -> Option<MessageType> {
        MessageType::from_byte(*self.get(code::MESSAGE_TYPE)?.first()?)
    }

    /// Returns an option as a 16-bit number.
    ///
    /// # Errors
    /// [`Malformed`] if the value is shorter.
    pub fn u16(&self, code: u8) -> Result<Option<u16>, Malformed> {
        self.decode(code, |value| array(value, 0).map(u16::from_be_bytes))
    }

    /// Returns an option as a 32-bit number.
    ///
    /// # Errors
    /// [`Malformed`] if the value is shorter.
    pub fn u32(&self, code: u8) -> Result<Option<u32>, Malformed> {
        self.decode(code, |value| array(value, 0).map(u32::from_be_bytes))
    }

    /// Returns an option as an address: the first one of a list.
    ///
    /// # Errors
    /// [`Malformed`] if the value is shorter.
    pub fn address(&self, code: u8) -> Result<Option<Ipv4Addr>, Malformed> {
        self.decode(code, |value| array(value, 0).map(Ipv4Addr::from_octets))
    }

    /// Returns an option as a list of addresses, without an incomplete one at the end.
    ///
    /// # Errors
    /// [`Malformed`] if the value has no complete address.
    pub fn addresses(&self, code: u8) -> Result<Vec<Ipv4Addr>, Malformed> {
        let addresses = self.decode(code, |value| {
            let (addresses, _) = value.as_chunks::<4>();
            let addresses = addresses.iter().copied().map(Ipv4Addr::from_octets);
            Some(addresses.collect::<Vec<_>>()).filter(|addresses| !addresses.is_empty())
        });
        addresses.map(Option::unwrap_or_default)
    }

    /// Returns a network mask as a prefix length.
    ///
    /// # Errors
    /// [`Malformed`] if the value is shorter, is not contiguous, or is `0.0.0.0`.
    pub fn prefix_length(&self, code: u8) -> Result<Option<u8>, Malformed> {
        self.decode(code, |value| {
            prefix_length(Ipv4Addr::from_octets(array(value, 0)?))
        })
    }

    /// Returns an option as text, without the trailing zero bytes that some servers append. An
    /// empty text is `None`.
    ///
    /// # Errors
    /// [`Malformed`] if the value is not UTF-8.
    pub fn text(&self, code: u8) -> Result<Option<String>, Malformed> {
        let text = self.decode(code, |value| {
            let text = str::from_utf8(value).ok()?;
            Some(text.trim_end_matches('\0').to_owned())
        });
        text.map(|text| text.filter(|text| !text.is_empty()))
    }

    /// Returns an option as a list of domain names (RFC 3397).
    ///
    /// # Errors
    /// [`Malformed`] if not even the first name can be parsed.
    pub fn domain_names(&self, code: u8) -> Result<Vec<String>, Malformed> {
        let names = self.decode(code, |value| {
            let names = domain_name::read_list(value, Compression::Allowed);
            Some(names).filter(|names| !names.is_empty())
        });
        names.map(Option::unwrap_or_default)
    }

    /// Returns the classless static routes (RFC 3442).
    ///
    /// # Errors
    /// [`Malformed`] if one of them cannot be parsed: then none may be used.
    pub fn routes(&self, code: u8) -> Result<Option<Vec<ClasslessRoute>>, Malformed> {
        self.decode(code, |mut value| {
            let mut routes = Vec::new();
            while let Some((prefix, rest)) = value.split_first() {
                let significant = usize::from(prefix.div_ceil(8));
                let (network, rest) = rest.split_at_checked(significant)?;
                let (router, rest) = rest.split_first_chunk::<4>()?;
                let mut octets = [0; 4];
                put(&mut octets, 0, network);
                let mask = mask(*prefix)?;
                routes.push(ClasslessRoute {
                    network: (u32::from_be_bytes(octets) & mask).into(),
                    prefix: *prefix,
                    router: Ipv4Addr::from_octets(*router),
                });
                value = rest;
            }
            Some(routes).filter(|routes| !routes.is_empty())
        })
    }

    fn decode<T>(
        &self,
        code: u8,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Malformed> {
        let Some(value) = self.get(code) else {
            return Ok(None);
        };
        let length = value.len();
        match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(Malformed { code, length }),
        }
    }
}

impl MessageType {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Discover),
            2 => Some(Self::Offer),
            3 => Some(Self::Request),
            4 => Some(Self::Decline),
            5 => Some(Self::Ack),
            6 => Some(Self::Nak),
            7 => Some(Self::Release),
            8 => Some(Self::Inform),
            _ => None,
        }
    }

    /// Returns the value of the option.
    #[must_use]
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Discover => 1,
            Self::Offer => 2,
            Self::Request => 3,
            Self::Decline => 4,
            Self::Ack => 5,
            Self::Nak => 6,
            Self::Release => 7,
            Self::Inform => 8,
        }
    }
}

/// Returns the prefix length of a network mask; `None` for `0.0.0.0` and for a mask that is not
/// contiguous.
#[must_use]
pub fn prefix_length(mask: Ipv4Addr) -> Option<u8> {
    let mask = u32::from(mask);
    let contiguous = mask.leading_ones() + mask.trailing_zeros() == u32::BITS;
    u8::try_from(mask.leading_ones())
        .ok()
        .filter(|length| contiguous && *length > 0)
}

/// Returns the prefix length of an address's class (RFC 791 section 3.2).
#[must_use]
pub fn class_prefix_length(address: Ipv4Addr) -> u8 {
    match address.octets() {
        [0..=127, ..] => 8,
        [128..=191, ..] => 16,
        _ => 24,
    }
}

fn mask(prefix: u8) -> Option<u32> {
    match prefix {
        0 => Some(0),
        1..=32 => Some(u32::MAX << (32 - prefix)),
        _ => None,
    }
}

/// Option codes.
pub mod code {
    /// Subnet mask.
    pub const SUBNET_MASK: u8 = 1;
    /// Routers.
    pub const ROUTER: u8 = 3;
    /// Name servers.
    pub const NAME_SERVERS: u8 = 6;
    /// Host name of the client.
    pub const HOST_NAME: u8 = 12;
    /// Domain of the client.
    pub const DOMAIN_NAME: u8 = 15;
    /// MTU of the link.
    pub const MTU: u8 = 26;
    /// Address that the client requests.
    pub const REQUESTED_ADDRESS: u8 = 50;
    /// Lease time in seconds.
    pub const LEASE_TIME: u8 = 51;
    /// Option overload: `file` and `sname` hold options, too.
    pub const OVERLOAD: u8 = 52;
    /// Message type, see [`super::MessageType`].
    pub const MESSAGE_TYPE: u8 = 53;
    /// Identifier of the server.
    pub const SERVER_IDENTIFIER: u8 = 54;
    /// Options that the client requests.
    pub const PARAMETER_REQUEST_LIST: u8 = 55;
    /// Reason why the server refused.
    pub const MESSAGE: u8 = 56;
    /// Maximum message size that the client accepts.
    pub const MAX_MESSAGE_SIZE: u8 = 57;
    /// Renewal time T1 in seconds.
    pub const RENEWAL_TIME: u8 = 58;
    /// Rebinding time T2 in seconds.
    pub const REBINDING_TIME: u8 = 59;
    /// Domain search list (RFC 3397).
    pub const DOMAIN_SEARCH: u8 = 119;
    /// Classless static routes (RFC 3442).
    pub const CLASSLESS_ROUTES: u8 = 121;
}

const XID: usize = 4;
const SECS: usize = 8;
const FLAGS: usize = 10;
const CIADDR: usize = 12;
const YIADDR: usize = 16;
const CHADDR: usize = 28;
const SNAME: usize = 44;
const FILE: usize = 108;
const COOKIE: usize = 236;
const OPTIONS: usize = 240;
/// Broadcast flag, the only flag defined.
const BROADCAST: u16 = 0x8000;
const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Minimum message size in bytes, that of BOOTP: some relays drop shorter messages.
const MIN_MESSAGE: usize = 300;
const PAD: u8 = 0;
const END: u8 = 255;
const MAX_PART: usize = 255;
const ETHERNET: u8 = 1;
const MAC_LENGTH: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);

    fn offer() -> Message {
        let mut options = Options::default();
        options.insert(code::MESSAGE_TYPE, [2]);
        Message {
            operation: Operation::Reply,
            xid: 0x0102_0304,
            seconds: 7,
            broadcast: true,
            client_address: Ipv4Addr::UNSPECIFIED,
            your_address: ADDRESS,
            mac: [0x52, 0x54, 0, 1, 2, 3],
            options,
        }
    }

    /// Parses these bytes as the options of an offer.
    fn with_options(options: &[u8]) -> Options {
        let mut bytes = offer().to_bytes();
        bytes.truncate(OPTIONS);
        bytes.extend(options);
        Message::parse(&bytes).unwrap().options
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let mut message = offer();
        message.options.insert(code::HOST_NAME, *b"node-1");
        let bytes = message.to_bytes();
        assert_eq!(bytes.len(), MIN_MESSAGE);
        assert_eq!(bytes[..12], [2, 1, 6, 0, 1, 2, 3, 4, 0, 7, 0x80, 0]);
        assert_eq!(Message::parse(&bytes), Ok(message));
    }

    #[test]
    fn a_foreign_hardware_address_length_is_refused() {
        let mut bytes = offer().to_bytes();
        for hlen in [0, 5, 7, 16, 17, 255] {
            bytes[2] = hlen;
            assert_eq!(
                Message::parse(&bytes),
                Err(Error::NotEthernet { htype: 1, hlen })
            );
        }
        bytes[1..3].copy_from_slice(&[32, 6]);
        let infiniband = Error::NotEthernet { htype: 32, hlen: 6 };
        assert_eq!(Message::parse(&bytes), Err(infiniband));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let bytes = offer().to_bytes();
        assert_eq!(Message::parse(&bytes[..239]), Err(Error::Short(239)));
        assert_eq!(Message::parse(&[]), Err(Error::Short(0)));
        let mut bootp = bytes.clone();
        bootp[COOKIE] = 0;
        assert_eq!(Message::parse(&bootp), Err(Error::NoOptions));
        let mut odd = bytes;
        odd[0] = 3;
        assert_eq!(Message::parse(&odd), Err(Error::UnknownOperation(3)));
    }

    #[test]
    fn a_malformed_option_costs_itself_alone() {
        let options = with_options(&[
            28, 0, 46, 0, 42, 3, 1, 2, 3, 12, 2, 0xE9, b'a', 1, 4, 255, 255, 255, 0, 3, 2, 1, 2,
            255,
        ]);
        assert_eq!(options.prefix_length(code::SUBNET_MASK), Ok(Some(24)));
        let malformed = |code, length| Malformed { code, length };
        assert_eq!(options.address(28), Err(malformed(28, 0)));
        assert_eq!(options.addresses(42), Err(malformed(42, 3)));
        assert_eq!(options.text(code::HOST_NAME), Err(malformed(12, 2)));
        assert_eq!(options.address(code::ROUTER), Err(malformed(3, 2)));
        assert_eq!(options.address(code::SERVER_IDENTIFIER), Ok(None));
        assert_eq!(malformed(28, 0).to_string(), "option 28 (0 bytes)");
    }

    #[test]
    fn an_option_beyond_the_end_hides_nothing_before_it() {
        let options = with_options(&[53, 1, 5, 1, 4, 255, 255, 0, 0, 6, 200, 1]);
        assert_eq!(options.message_type(), Some(MessageType::Ack));
        assert_eq!(options.prefix_length(code::SUBNET_MASK), Ok(Some(16)));
        assert_eq!(options.get(code::NAME_SERVERS), None);
        assert_eq!(with_options(&[53]), Options::default());
    }

    #[test]
    fn an_option_in_parts_is_one() {
        let mut message = offer();
        let long: Vec<u8> = (0..=255).chain(0..100).collect();
        message.options.insert(code::DOMAIN_SEARCH, long.clone());
        let parsed = Message::parse(&message.to_bytes()).unwrap();
        assert_eq!(parsed.options.get(code::DOMAIN_SEARCH), Some(&*long));
        assert_eq!(parsed, message);
    }

    #[test]
    fn overloaded_fields_hold_options() {
        for (overload, file, sname, name) in [
            (0, false, false, "a"),
            (1, true, false, "ab"),
            (2, false, true, "ac"),
            (3, true, true, "abc"),
        ] {
            let mut bytes = offer().to_bytes();
            bytes.truncate(OPTIONS);
            bytes.extend([52, 1, overload, 12, 1, b'a', 255]);
            put(
                &mut bytes,
                FILE,
                &[1, 4, 255, 255, 255, 0, 12, 1, b'b', 255],
            );
            put(&mut bytes, SNAME, &[3, 4, 192, 0, 2, 77, 12, 1, b'c', 255]);
            let options = Message::parse(&bytes).unwrap().options;
            assert_eq!(
                options.prefix_length(code::SUBNET_MASK),
                Ok(file.then_some(24))
            );
            assert_eq!(options.address(code::ROUTER), Ok(sname.then_some(ADDRESS)));
            assert_eq!(options.text(code::HOST_NAME), Ok(Some(name.into())));
        }
    }

    #[test]
    fn texts_end_before_their_zeroes() {
        let options = with_options(&[15, 5, b'a', b'.', b'b', 0, 0, 12, 1, 0, 255]);
        assert_eq!(options.text(code::DOMAIN_NAME), Ok(Some("a.b".into())));
        assert_eq!(options.text(code::HOST_NAME), Ok(None));
    }

    #[test]
    fn only_whole_masks_are_prefixes() {
        for (mask, prefix) in [
            ([255, 255, 255, 255], Some(32)),
            ([255, 255, 255, 128], Some(25)),
            ([128, 0, 0, 0], Some(1)),
            ([0, 0, 0, 0], None),
            ([255, 0, 255, 0], None),
            ([0, 255, 255, 255], None),
        ] {
            assert_eq!(prefix_length(mask.into()), prefix, "{mask:?}");
        }
        for (address, prefix) in [
            ([10, 0, 0, 1], 8),
            ([172, 16, 0, 1], 16),
            ([192, 0, 2, 1], 24),
        ] {
            assert_eq!(class_prefix_length(address.into()), prefix);
        }
    }

    #[test]
    fn classless_routes_lose_their_host_bits_and_are_all_or_none() {
        let gateway = Ipv4Addr::new(192, 0, 2, 1);
        let route = |network, prefix, router| ClasslessRoute {
            network,
            prefix,
            router,
        };
        let options = with_options(&[
            121, 19, 0, 192, 0, 2, 1, 20, 10, 1, 0xFF, 192, 0, 2, 1, 32, 192, 0, 2, 1, 0, 255,
        ]);
        // The last route lacks three bytes of its router.
        let malformed = Malformed {
            code: 121,
            length: 19,
        };
        assert_eq!(options.routes(code::CLASSLESS_ROUTES), Err(malformed));
        let options = with_options(&[
            121, 22, 0, 192, 0, 2, 1, 20, 10, 1, 0xFF, 192, 0, 2, 1, 32, 192, 0, 2, 1, 0, 0, 0, 0,
            255,
        ]);
        assert_eq!(
            options.routes(code::CLASSLESS_ROUTES),
            Ok(Some(vec![
                route(Ipv4Addr::UNSPECIFIED, 0, gateway),
                route(Ipv4Addr::new(10, 1, 0xF0, 0), 20, gateway),
                route(gateway, 32, Ipv4Addr::UNSPECIFIED),
            ]))
        );
        let too_long = with_options(&[121, 9, 33, 1, 2, 3, 4, 5, 192, 0, 2, 255]);
        assert!(too_long.routes(code::CLASSLESS_ROUTES).is_err());
    }

    /// Reads all options of a message by all accessors.
    fn read_all(message: &Message) {
        for code in 0..=255 {
            let options = &message.options;
            let _read = (options.u16(code), options.u32(code), options.address(code));
            let _read = (options.addresses(code), options.text(code));
            let _read = (options.domain_names(code), options.routes(code));
            let _read = (options.prefix_length(code), options.message_type());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _refused = Message::parse(&bytes);
        }

        #[test]
        fn no_options_make_it_panic_or_grow(
            head in prop::collection::vec(any::<u8>(), 240),
            options in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..6, 50_u8..54], 0..600),
        ) {
            let mut bytes = head;
            put(&mut bytes, 0, &[2, 1, 6]);
            put(&mut bytes, COOKIE, &MAGIC_COOKIE);
            bytes.extend(options);
            let message = Message::parse(&bytes).unwrap();
            let held: usize = message.options.0.values().map(Vec::len).sum();
            prop_assert!(held <= bytes.len());
            read_all(&message);
        }

        #[test]
        fn any_options_come_back(options in prop::collection::btree_map(
            (1_u8..255).prop_filter("not the overload", |code| *code != code::OVERLOAD),
            prop::collection::vec(any::<u8>(), 0..600),
            0..9,
        )) {
            let message = Message { options: Options(options), ..offer() };
            prop_assert_eq!(Message::parse(&message.to_bytes()), Ok(message));
        }
    }
}
