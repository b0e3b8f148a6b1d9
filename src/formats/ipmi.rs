//! LAN settings of a management controller: the bytes of IPMI 2.0's "Get LAN Configuration
//! Parameters" (section 23.2) and of the parameters in its table 23-4.

use core::net::{Ipv4Addr, Ipv6Addr};

/// Network function of the request: transport.
pub const NETWORK_FUNCTION: u8 = 0x0c;
/// Command of the request.
pub const COMMAND: u8 = 0x02;
/// Channels that can be a LAN; 0 is IPMB, and 12 to 15 have special meanings.
pub const CHANNELS: std::ops::RangeInclusive<u8> = 1..=11;

/// LAN parameter of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// IPv4 address.
    Address,
    /// MAC address.
    Mac,
    /// Setting that enables IPv6.
    Ipv6Enables,
    /// Maximum numbers of IPv6 addresses.
    Ipv6Status,
    /// Static IPv6 address with this number.
    Ipv6Static(u8),
    /// Dynamic IPv6 address with this number.
    Ipv6Dynamic(u8),
}

impl Parameter {
    /// Returns the data of the request.
    #[must_use]
    pub fn request(self, channel: u8) -> [u8; 4] {
        let (parameter, set) = match self {
            Self::Address => (3, 0),
            Self::Mac => (5, 0),
            Self::Ipv6Enables => (51, 0),
            Self::Ipv6Status => (55, 0),
            Self::Ipv6Static(set) => (56, set),
            Self::Ipv6Dynamic(set) => (59, set),
        };
        [channel, parameter, set, 0]
    }
}

/// Response of the controller, by its completion code (table 5-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// The controller cannot respond now: the same request may succeed later.
    Busy,
    /// The controller has no such channel, or the channel has no such parameter.
    Refused,
    /// Value of the parameter: the bytes behind completion code and revision.
    Value(&'a [u8]),
}

/// Parses the data of a response.
#[must_use]
pub fn response(data: &[u8]) -> Response<'_> {
    match data {
        [0, _revision, value @ ..] => Response::Value(value),
        [code, ..] if BUSY.contains(code) => Response::Busy,
        _ => Response::Refused,
    }
}

/// Parses [`Parameter::Address`]; `None` if no address is set.
#[must_use]
pub fn address(setting: &[u8]) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = setting.first_chunk().copied()?;
    let address = Ipv4Addr::from(octets);
    (!address.is_unspecified()).then_some(address)
}

/// Parses [`Parameter::Mac`] and formats it as Linux does.
#[must_use]
pub fn mac(setting: &[u8]) -> Option<String> {
    let octets: &[u8; 6] = setting.first_chunk()?;
    let texts = octets.map(|octet| format!("{octet:02x}"));
    Some(texts.join(":"))
}

/// Returns whether [`Parameter::Ipv6Enables`] enables IPv6, alone or beside IPv4.
#[must_use]
pub fn speaks_ipv6(setting: &[u8]) -> bool {
    matches!(setting.first(), Some(1 | 2))
}

/// Returns the maximum numbers of static and of dynamic addresses from [`Parameter::Ipv6Status`].
#[must_use]
pub fn ipv6_rooms(setting: &[u8]) -> (u8, u8) {
    match setting {
        [set, found, ..] => (*set, *found),
        _ => (0, 0),
    }
}

/// Parses [`Parameter::Ipv6Static`]; `None` unless the address is enabled and active.
#[must_use]
pub fn ipv6_static(setting: &[u8]) -> Option<Ipv6Addr> {
    let [_set, source, rest @ ..] = setting else {
        return None;
    };
    (source & ENABLED != 0).then(|| ipv6_in_use(rest)).flatten()
}

/// Parses [`Parameter::Ipv6Dynamic`]; `None` unless the address is from SLAAC or DHCPv6 and active.
#[must_use]
pub fn ipv6_dynamic(setting: &[u8]) -> Option<Ipv6Addr> {
    let [_set, source, rest @ ..] = setting else {
        return None;
    };
    matches!(source & SOURCE, SLAAC | DHCPV6)
        .then(|| ipv6_in_use(rest))
        .flatten()
}

/// Parses sixteen bytes of address, the prefix length and the status; `None` unless the address is
/// active.
fn ipv6_in_use(bytes: &[u8]) -> Option<Ipv6Addr> {
    let (octets, rest) = bytes.split_first_chunk::<16>()?;
    let [_prefix, status, ..] = rest else {
        return None;
    };
    let address = Ipv6Addr::from(*octets);
    (*status == ACTIVE && !address.is_unspecified()).then_some(address)
}

/// Completion codes for which a retry may succeed: node busy, timeout while processing, no response
/// could be provided, and unspecified. "No response" has further codes for an update of the SDR
/// repository or the firmware, and for initialisation. The kernel's driver also reports
/// "unspecified" for a controller that it had to reset.
const BUSY: [u8; 7] = [0xc0, 0xc3, 0xce, 0xd0, 0xd1, 0xd2, 0xff];
const ENABLED: u8 = 0x80;
const SOURCE: u8 = 0x0f;
const SLAAC: u8 = 1;
const DHCPV6: u8 = 2;
const ACTIVE: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Encodes an IPv6 setting: number, source, address, prefix, status.
    fn ipv6(source: u8, address: &str, status: u8) -> Vec<u8> {
        let address: Ipv6Addr = address.parse().unwrap();
        [&[0, source][..], &address.octets(), &[64, status]].concat()
    }

    #[test]
    fn a_request_names_channel_parameter_and_set() {
        assert_eq!(Parameter::Address.request(1), [1, 3, 0, 0]);
        assert_eq!(Parameter::Ipv6Dynamic(2).request(8), [8, 59, 2, 0]);
    }

    #[test]
    fn a_completion_code_tells_a_value_from_a_refusal_and_a_busy_controller() {
        assert_eq!(
            response(&[0, 0x11, 10, 0, 0, 5]),
            Response::Value(&[10, 0, 0, 5])
        );
        for refused in [&[0xcc][..], &[0x80], &[0], &[]] {
            assert_eq!(response(refused), Response::Refused);
        }
        for busy in [&[0xc0][..], &[0xd2, 0x11], &[0xff]] {
            assert_eq!(response(busy), Response::Busy);
        }
    }

    #[test]
    fn addresses_are_read_and_empty_ones_are_none() {
        assert_eq!(address(&[10, 0, 0, 5]), Some(Ipv4Addr::new(10, 0, 0, 5)));
        assert_eq!(address(&[0, 0, 0, 0]), None);
        assert_eq!(
            mac(&[0x52, 0x54, 0, 0xab, 0xcd, 0xef]).as_deref(),
            Some("52:54:00:ab:cd:ef")
        );
    }

    #[test]
    fn an_ipv6_address_counts_while_it_is_in_use() {
        let address: Ipv6Addr = "2001:db8::5".parse().unwrap();
        assert_eq!(ipv6_static(&ipv6(0x80, "2001:db8::5", 0)), Some(address));
        assert_eq!(ipv6_static(&ipv6(0x00, "2001:db8::5", 0)), None);
        assert_eq!(ipv6_static(&ipv6(0x80, "2001:db8::5", 1)), None);
        assert_eq!(ipv6_static(&ipv6(0x80, "::", 0)), None);
        assert_eq!(ipv6_dynamic(&ipv6(1, "2001:db8::5", 0)), Some(address));
        assert_eq!(ipv6_dynamic(&ipv6(2, "2001:db8::5", 0)), Some(address));
        assert_eq!(ipv6_dynamic(&ipv6(0, "2001:db8::5", 0)), None);
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_a_panic(answer in prop::collection::vec(any::<u8>(), 0..64)) {
            let Response::Value(setting) = response(&answer) else {
                return Ok(());
            };
            let _ = (address(setting), mac(setting), speaks_ipv6(setting), ipv6_rooms(setting));
            let _ = (ipv6_static(setting), ipv6_dynamic(setting));
        }
    }
}
