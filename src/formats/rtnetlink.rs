//! Messages of the route family of netlink about interfaces, addresses, routes and router options
//! (rtnetlink(7), linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h).
//!
//! Messages are reports of the kernel, requests are sent to it. Attributes without a name here are
//! ignored. If an attribute occurs twice, the last one counts, as in the kernel (`__nla_parse`,
//! lib/nlattr.c).

use super::le_bytes::array;
use super::netlink::{Attribute, Malformed, attributes, push_attribute};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Report of an interface (`RTM_NEWLINK`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkMessage<'a> {
    /// `ifi_type`, such as [`ARPHRD_ETHER`].
    pub hardware_type: u16,
    /// `ifi_index`.
    pub index: u32,
    /// `ifi_flags`: [`IFF_UP`] and the others.
    pub flags: u32,
    /// `IFLA_IFNAME` without its zero byte. The kernel allows all bytes but `/`, `:` and white
    /// space (`dev_valid_name`, net/core/dev.c).
    pub name: &'a [u8],
    /// `IFLA_ADDRESS`: the hardware address.
    pub address: Option<&'a [u8]>,
    /// `IFLA_PERM_ADDRESS`: the permanent hardware address of the device.
    pub permanent_address: Option<&'a [u8]>,
    /// `IFLA_MTU`.
    pub mtu: Option<u32>,
    /// `IFLA_INET6_FLAGS`: [`IF_RA_RCVD`] and the others.
    pub inet6_flags: Option<u32>,
}

impl<'a> LinkMessage<'a> {
    /// Parses a message's body.
    ///
    /// # Errors
    /// [`Malformed`] if the header, the framing of attributes, or a value that is read is invalid.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let [family] = header_field(body, 0)?;
        let mut link = Self {
            hardware_type: u16::from_ne_bytes(header_field(body, 2)?),
            index: u32::from_ne_bytes(header_field(body, 4)?),
            flags: u32::from_ne_bytes(header_field(body, 8)?),
            ..Self::default()
        };
        for attribute in attributes(behind_header(body, LINK_HEADER_LEN)?) {
            let attribute = attribute?;
            match attribute.kind {
                IFLA_ADDRESS => link.address = Some(attribute.value),
                IFLA_IFNAME => link.name = until_zero(attribute.value),
                IFLA_MTU => link.mtu = Some(attribute.u32()?),
                // In messages of another family, such as AF_BRIDGE, this holds other attributes.
                IFLA_AF_SPEC if family == AF_UNSPEC => {
                    link.inet6_flags = inet6_flags(attribute.value)?.or(link.inet6_flags);
                }
                IFLA_PERM_ADDRESS => link.permanent_address = Some(attribute.value),
                _ => {}
            }
        }
        Ok(link)
    }

    /// Returns the name as text.
    ///
    /// # Errors
    /// [`Malformed`] if the name is not UTF-8.
    pub fn name_text(&self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.name).map_err(|_| Malformed::Value {
            kind: IFLA_IFNAME,
            length: self.name.len(),
        })
    }
}

/// Parses the flags in `IFLA_AF_SPEC`. It holds an attribute for each address family, which holds
/// that family's own attributes.
fn inet6_flags(families: &[u8]) -> Result<Option<u32>, Malformed> {
    let mut flags = None;
    for family in attributes(families) {
        let family = family?;
        if family.kind == u16::from(AF_INET6) {
            for attribute in attributes(family.value) {
                let attribute = attribute?;
                if attribute.kind == IFLA_INET6_FLAGS {
                    flags = Some(attribute.u32()?);
                }
            }
        }
    }
    Ok(flags)
}

/// Request to change an interface (`RTM_SETLINK`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkRequest {
    /// `ifi_index`.
    pub index: u32,
    /// `ifi_flags`.
    pub flags: u32,
    /// `ifi_change`: mask of the flags to change.
    pub change: u32,
    /// `IFLA_MTU`.
    pub mtu: Option<u32>,
}

impl LinkRequest {
    /// Encodes the body of the request.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![AF_UNSPEC, 0, 0, 0];
        for field in [self.index, self.flags, self.change] {
            bytes.extend(field.to_ne_bytes());
        }
        push_u32(&mut bytes, IFLA_MTU, self.mtu);
        bytes
    }
}

/// Report of an interface's address (`RTM_NEWADDR`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressMessage {
    /// `ifa_index`: the interface.
    pub index: u32,
    /// `IFA_LOCAL`, otherwise `IFA_ADDRESS`: the address. On a point-to-point link, the latter is
    /// that of the peer.
    pub address: Option<IpAddr>,
    /// `ifa_prefixlen`.
    pub prefix: u8,
    /// `ifa_scope`, such as [`RT_SCOPE_UNIVERSE`].
    pub scope: u8,
    /// `IFA_FLAGS`, otherwise `ifa_flags`: [`IFA_F_TENTATIVE`] and the others.
    pub flags: u32,
}

impl AddressMessage {
    /// Parses a message's body.
    ///
    /// # Errors
    /// [`Malformed`] if the header, the framing of attributes, or a value that is read is invalid.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let [family, prefix, flags, scope] = header_field(body, 0)?;
        let mut message = Self {
            index: u32::from_ne_bytes(header_field(body, 4)?),
            address: None,
            prefix,
            scope,
            flags: flags.into(),
        };
        let mut local = None;
        for attribute in attributes(behind_header(body, ADDRESS_HEADER_LEN)?) {
            let attribute = attribute?;
            match attribute.kind {
                IFA_ADDRESS => message.address = ip_address(family, &attribute)?,
                IFA_LOCAL => local = ip_address(family, &attribute)?,
                IFA_FLAGS => message.flags = attribute.u32()?,
                _ => {}
            }
        }
        message.address = local.or(message.address);
        Ok(message)
    }
}

/// Request to add (`RTM_NEWADDR`) or to remove (`RTM_DELADDR`) an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRequest {
    /// `ifa_index`: the interface.
    pub index: u32,
    /// `IFA_LOCAL` and `IFA_ADDRESS`.
    pub address: IpAddr,
    /// `ifa_prefixlen`.
    pub prefix: u8,
    /// `IFA_BROADCAST`.
    pub broadcast: Option<Ipv4Addr>,
    /// Valid and preferred lifetime in seconds, in `IFA_CACHEINFO`; [`INFINITY_LIFE_TIME`] if
    /// unlimited.
    pub lifetime: Option<u32>,
    /// `IFA_RT_PRIORITY`: the metric of the route to its network.
    pub priority: Option<u32>,
}

impl AddressRequest {
    /// Encodes the body of the request.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![family(self.address), self.prefix, 0, RT_SCOPE_UNIVERSE];
        bytes.extend(self.index.to_ne_bytes());
        push_address(&mut bytes, IFA_LOCAL, Some(self.address));
        push_address(&mut bytes, IFA_ADDRESS, Some(self.address));
        push_address(&mut bytes, IFA_BROADCAST, self.broadcast.map(IpAddr::V4));
        if let Some(seconds) = self.lifetime {
            // `struct ifa_cacheinfo`: preferred, valid, and two times that the kernel sets.
            let times = [seconds, seconds, 0, 0].map(u32::to_ne_bytes);
            push_attribute(&mut bytes, IFA_CACHEINFO, times.as_flattened());
        }
        push_u32(&mut bytes, IFA_RT_PRIORITY, self.priority);
        bytes
    }
}

/// Request to add (`RTM_NEWROUTE`) or to look up (`RTM_GETROUTE`) a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteRequest {
    /// `RTA_DST`, which a default route does not have.
    pub destination: IpAddr,
    /// `rtm_dst_len`: prefix length of the destination.
    pub prefix: u8,
    /// `rtm_table`.
    pub table: u8,
    /// `rtm_protocol`.
    pub protocol: u8,
    /// `rtm_scope`.
    pub scope: u8,
    /// `rtm_type`.
    pub route_type: u8,
    /// `RTA_GATEWAY`.
    pub gateway: Option<IpAddr>,
    /// `RTA_OIF`: the interface.
    pub output: Option<u32>,
    /// `RTA_PRIORITY`: the metric.
    pub priority: Option<u32>,
}

impl RouteRequest {
    /// Creates a request for the route to an address.
    #[must_use]
    pub fn lookup(destination: IpAddr) -> Self {
        Self {
            destination,
            prefix: if destination.is_ipv4() { 32 } else { 128 },
            table: 0,
            protocol: 0,
            scope: 0,
            route_type: 0,
            gateway: None,
            output: None,
            priority: None,
        }
    }

    /// Encodes the body of the request.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![family(self.destination), self.prefix, 0, 0];
        bytes.extend([self.table, self.protocol, self.scope, self.route_type]);
        bytes.extend([0; 4]);
        let destination = Some(self.destination).filter(|_| self.prefix > 0);
        push_address(&mut bytes, RTA_DST, destination);
        push_address(&mut bytes, RTA_GATEWAY, self.gateway);
        push_u32(&mut bytes, RTA_OIF, self.output);
        push_u32(&mut bytes, RTA_PRIORITY, self.priority);
        bytes
    }
}

/// Returns the address that packets on a route are sent from (`RTA_PREFSRC`), from the body of an
/// `RTM_NEWROUTE`.
///
/// # Errors
/// [`Malformed`] if the header, the framing of attributes, or the address is invalid.
pub fn preferred_source(body: &[u8]) -> Result<Option<IpAddr>, Malformed> {
    let [family] = header_field(body, 0)?;
    let mut source = None;
    for attribute in attributes(behind_header(body, ROUTE_HEADER_LEN)?) {
        let attribute = attribute?;
        if attribute.kind == RTA_PREFSRC {
            source = ip_address(family, &attribute)?;
        }
    }
    Ok(source)
}

/// Neighbour discovery options of a router that the kernel does not use itself
/// (`RTM_NEWNDUSEROPT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserOptions<'a> {
    /// `nduseropt_ifindex`: the interface that received them.
    pub index: u32,
    /// Options as received (RFC 4861 section 4.6).
    pub options: &'a [u8],
}

impl<'a> UserOptions<'a> {
    /// Parses a message's body: `struct nduseroptmsg`, the options, and attributes.
    ///
    /// # Errors
    /// [`Malformed`] if the body is shorter than its header requires.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let length = usize::from(u16::from_ne_bytes(header_field(body, 2)?));
        let options = behind_header(body, USER_OPTIONS_HEADER_LEN)?.get(..length);
        Ok(Self {
            index: u32::from_ne_bytes(header_field(body, 4)?),
            options: options.ok_or(Malformed::Body(body.len()))?,
        })
    }
}

fn header_field<const N: usize>(body: &[u8], at: usize) -> Result<[u8; N], Malformed> {
    array(body, at).ok_or(Malformed::Body(body.len()))
}

fn behind_header(body: &[u8], length: usize) -> Result<&[u8], Malformed> {
    body.get(length..).ok_or(Malformed::Body(body.len()))
}

fn until_zero(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Parses an address in a message of this family; `None` if the family is not IP.
fn ip_address(family: u8, attribute: &Attribute<'_>) -> Result<Option<IpAddr>, Malformed> {
    let value = attribute.value;
    let address = match family {
        AF_INET => value
            .try_into()
            .ok()
            .map(Ipv4Addr::from_octets)
            .map(IpAddr::V4),
        AF_INET6 => value
            .try_into()
            .ok()
            .map(Ipv6Addr::from_octets)
            .map(IpAddr::V6),
        _ => return Ok(None),
    };
    address.map(Some).ok_or_else(|| attribute.malformed())
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

fn push_address(bytes: &mut Vec<u8>, kind: u16, address: Option<IpAddr>) {
    match address {
        Some(IpAddr::V4(address)) => push_attribute(bytes, kind, &address.octets()),
        Some(IpAddr::V6(address)) => push_attribute(bytes, kind, &address.octets()),
        None => {}
    }
}

fn push_u32(bytes: &mut Vec<u8>, kind: u16, number: Option<u32>) {
    if let Some(number) = number {
        push_attribute(bytes, kind, &number.to_ne_bytes());
    }
}

// Message types, linux/rtnetlink.h. Of each three, the first creates or reports an object. The
// second deletes it or reports its deletion, and the third requests it.
/// Report of an interface.
pub const RTM_NEWLINK: u16 = 16;
/// Request for an interface.
pub const RTM_GETLINK: u16 = 18;
/// Change of an interface.
pub const RTM_SETLINK: u16 = 19;
/// Report or addition of an address.
pub const RTM_NEWADDR: u16 = 20;
/// Removal of an address.
pub const RTM_DELADDR: u16 = 21;
/// Request for an address.
pub const RTM_GETADDR: u16 = 22;
/// Report or addition of a route.
pub const RTM_NEWROUTE: u16 = 24;
/// Request for a route.
pub const RTM_GETROUTE: u16 = 26;
/// Report of router options.
pub const RTM_NEWNDUSEROPT: u16 = 68;

/// `sizeof(struct ifinfomsg)`. A header of zeroes requests the interfaces of all families.
pub const LINK_HEADER_LEN: usize = 16;
/// `sizeof(struct ifaddrmsg)`. A header of zeroes requests the addresses of all families.
pub const ADDRESS_HEADER_LEN: usize = 8;
/// `sizeof(struct rtmsg)`.
const ROUTE_HEADER_LEN: usize = 12;
/// `sizeof(struct nduseroptmsg)`.
const USER_OPTIONS_HEADER_LEN: usize = 16;

/// Ethernet and devices that look like it (linux/if_arp.h).
pub const ARPHRD_ETHER: u16 = 1;
/// Interface is administratively up (linux/if.h).
pub const IFF_UP: u32 = 1;
/// Interface is the loopback interface.
pub const IFF_LOOPBACK: u32 = 1 << 3;
/// Driver has a carrier.
pub const IFF_LOWER_UP: u32 = 1 << 16;
/// Router advertisement was received (include/net/if_inet6.h, also for the next two).
pub const IF_RA_RCVD: u32 = 0x20;
/// Router advertisement announced addresses by DHCPv6.
pub const IF_RA_MANAGED: u32 = 0x40;
/// Router advertisement announced other configuration by DHCPv6.
pub const IF_RA_OTHERCONF: u32 = 0x80;
/// Address is in use by another host.
pub const IFA_F_DADFAILED: u32 = 0x08;
/// Duplicate address detection has not ended.
pub const IFA_F_TENTATIVE: u32 = 0x40;
/// Unlimited lifetime in seconds (`INFINITY_LIFE_TIME`, include/net/addrconf.h).
pub const INFINITY_LIFE_TIME: u32 = u32::MAX;
/// Routing table that all lookups use.
pub const RT_TABLE_MAIN: u8 = 254;
/// Route from DHCP.
pub const RTPROT_DHCP: u8 = 16;
/// Scope of addresses and routes that are valid everywhere.
pub const RT_SCOPE_UNIVERSE: u8 = 0;
/// Scope of addresses and routes that are valid on the link alone.
pub const RT_SCOPE_LINK: u8 = 253;
/// Route to a gateway or host.
pub const RTN_UNICAST: u8 = 1;

// Address families, linux/socket.h.
const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
// Attributes of interfaces, linux/if_link.h.
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_PERM_ADDRESS: u16 = 54;
/// Attribute of AF_INET6 in [`IFLA_AF_SPEC`].
const IFLA_INET6_FLAGS: u16 = 1;
// Attributes of addresses, linux/if_addr.h.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_RT_PRIORITY: u16 = 9;
// Attributes of routes, linux/rtnetlink.h.
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::netlink::{Message, messages};
    use crate::fuzzing::Target;
    use proptest::prelude::*;
    use std::path::Path;

    /// Returns a datagram recorded from the kernel (Linux 6.18), from the fuzzing corpus.
    fn recorded(name: &str) -> Vec<u8> {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let kept = Target::by_name("netlink_messages").unwrap().kept(&corpus);
        let file = format!("{name}.hex");
        let mut kept = kept.unwrap().into_iter();
        kept.find(|(kept, _)| *kept == file).unwrap().1
    }

    fn bodies(datagram: &[u8], message_type: u16) -> Vec<&[u8]> {
        let found: Vec<Message<'_>> = messages(datagram).collect();
        assert!(found.iter().all(|found| found.message_type == message_type));
        found.iter().map(|found| found.body).collect()
    }

    #[test]
    fn interfaces_are_read_as_the_kernel_reports_them() {
        let datagram = recorded("links");
        let links: Vec<_> = bodies(&datagram, RTM_NEWLINK)
            .into_iter()
            .map(|body| LinkMessage::parse(body).unwrap())
            .collect();
        let loopback = LinkMessage {
            hardware_type: 772,
            index: 1,
            flags: 0x10049,
            name: b"lo",
            address: Some(&[0; 6]),
            permanent_address: None,
            mtu: Some(65_536),
            inet6_flags: Some(0x8000_0000),
        };
        let ethernet = LinkMessage {
            hardware_type: ARPHRD_ETHER,
            index: 2,
            flags: 0x11043,
            name: b"eth0",
            address: Some(&[2, 0, 0, 0, 0, 1]),
            permanent_address: None,
            mtu: Some(1500),
            inet6_flags: Some(0x8000_0010 | IF_RA_RCVD | IF_RA_MANAGED),
        };
        assert_eq!(links, [loopback, ethernet]);
    }

    #[test]
    fn the_mac_that_a_device_was_made_with_is_read() {
        let datagram = recorded("link-permanent-mac");
        let link = LinkMessage::parse(bodies(&datagram, RTM_NEWLINK)[0]).unwrap();
        let mac: &[u8] = &[2, 0xFC, 0, 0, 0, 1];
        assert_eq!(link.permanent_address, Some(mac));
        assert_eq!(link.name_text(), Ok("eth0"));
    }

    #[test]
    fn marks_of_attributes_are_understood_and_unknown_ones_passed_over() {
        let datagram = recorded("marked");
        let body = bodies(&datagram, RTM_NEWLINK)[0];
        let link = LinkMessage {
            hardware_type: ARPHRD_ETHER,
            index: 5,
            flags: 0x11003,
            name: b"eth5",
            mtu: Some(1400),
            inet6_flags: Some(0x8000_0060),
            ..LinkMessage::default()
        };
        assert_eq!(LinkMessage::parse(body), Ok(link));
        // A bridge's message about its ports has other attributes there.
        let of_a_bridge = [&[7], &body[1..]].concat();
        let parsed = LinkMessage::parse(&of_a_bridge).unwrap();
        assert_eq!(parsed.inet6_flags, None);
    }

    #[test]
    fn a_name_need_not_be_text() {
        let mut body = vec![0; LINK_HEADER_LEN];
        push_attribute(&mut body, IFLA_IFNAME, b"\xFFth0\0");
        let link = LinkMessage::parse(&body).unwrap();
        assert_eq!(link.name, b"\xFFth0");
        let wrong = Malformed::Value { kind: 3, length: 4 };
        assert_eq!(link.name_text(), Err(wrong));
    }

    #[test]
    fn addresses_are_read_as_the_kernel_reports_them() {
        let datagram = recorded("addresses");
        let addresses: Vec<_> = bodies(&datagram, RTM_NEWADDR)
            .into_iter()
            .map(|body| AddressMessage::parse(body).unwrap())
            .collect();
        let address = |index, address: &str, prefix, scope, flags| AddressMessage {
            index,
            address: Some(address.parse().unwrap()),
            prefix,
            scope,
            flags,
        };
        let expected = [
            address(1, "127.0.0.1", 8, 254, 0x80),
            address(3, "192.0.2.77", 24, 0, 0x80),
            // Not 198.51.100.1, which is the peer of the link.
            address(3, "192.0.2.200", 32, 0, 0x80),
            address(1, "::1", 128, 254, 0x80),
            address(2, "fe80::14ea:a8ff:fe21:5888", 64, 253, 0xC0),
            address(3, "2001:db8::77", 64, 0, 0x82),
            address(3, "fe80::5054:ff:fe12:3456", 64, 253, 0xC0),
        ];
        assert_eq!(addresses, expected);
    }

    #[test]
    fn a_duplicate_address_is_marked() {
        let datagram = recorded("address-duplicate");
        let address = AddressMessage::parse(bodies(&datagram, RTM_DELADDR)[0]).unwrap();
        assert_eq!(address.flags, IFA_F_TENTATIVE | IFA_F_DADFAILED);
    }

    #[test]
    fn flags_of_the_header_count_where_there_are_no_others() {
        let header = [AF_INET, 24, 0x40, RT_SCOPE_LINK, 2, 0, 0, 0];
        let address = AddressMessage {
            index: 2,
            address: None,
            prefix: 24,
            scope: RT_SCOPE_LINK,
            flags: IFA_F_TENTATIVE,
        };
        assert_eq!(AddressMessage::parse(&header), Ok(address));
    }

    #[test]
    fn an_address_of_another_family_is_none() {
        let mut body = vec![45, 0, 0, 0, 1, 0, 0, 0];
        push_attribute(&mut body, IFA_LOCAL, &[8]);
        assert_eq!(AddressMessage::parse(&body).unwrap().address, None);
        let wrong = Malformed::Value { kind: 2, length: 1 };
        for family in [AF_INET, AF_INET6] {
            body[0] = family;
            assert_eq!(AddressMessage::parse(&body), Err(wrong));
        }
    }

    #[test]
    fn the_source_of_a_route_is_read() {
        for (name, expected) in [("route-ipv4", "192.0.2.77"), ("route-ipv6", "2001:db8::77")] {
            let datagram = recorded(name);
            let body = bodies(&datagram, RTM_NEWROUTE)[0];
            assert_eq!(preferred_source(body), Ok(Some(expected.parse().unwrap())));
            let none = preferred_source(&body[..ROUTE_HEADER_LEN]);
            assert_eq!(none, Ok(None));
        }
    }

    #[test]
    fn router_options_are_read_without_the_attributes_behind_them() {
        let datagram = recorded("router-options");
        let body = bodies(&datagram, RTM_NEWNDUSEROPT)[0];
        let options = UserOptions {
            index: 2,
            options: &body[16..40],
        };
        assert_eq!(options.options[..4], [25, 3, 0, 0]);
        assert_eq!(UserOptions::parse(body), Ok(options));
        let short = UserOptions::parse(&body[..39]);
        assert_eq!(short, Err(Malformed::Body(39)));
    }

    #[test]
    fn bodies_that_end_in_their_header_are_malformed() {
        let body = [0; 16];
        for end in 0..16 {
            let (body, error) = (&body[..end], Malformed::Body(end));
            assert_eq!(LinkMessage::parse(body), Err(error));
            assert_eq!(UserOptions::parse(body), Err(error));
            if end < ADDRESS_HEADER_LEN {
                assert_eq!(AddressMessage::parse(body), Err(error));
            }
            if end < ROUTE_HEADER_LEN {
                assert_eq!(preferred_source(body), Err(error));
            }
        }
    }

    #[test]
    fn a_lookup_has_the_whole_address() {
        let ipv6 = RouteRequest::lookup("2001:db8:1::5".parse().unwrap());
        let mut expected = vec![AF_INET6, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 1, 0];
        expected.extend([0x20, 1, 0xD, 0xB8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(ipv6.to_bytes(), expected);
        let ipv4 = RouteRequest::lookup([203, 0, 113, 1].into());
        let expected = [
            2, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1, 0, 203, 0, 113, 1,
        ];
        assert_eq!(ipv4.to_bytes(), expected);
    }

    fn any_address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<Ipv4Addr>().prop_map(IpAddr::V4),
            any::<Ipv6Addr>().prop_map(IpAddr::V6)
        ]
    }

    /// Returns the attributes behind a header, each with its value.
    fn written(body: &[u8], header: usize) -> Vec<(u16, Vec<u8>)> {
        attributes(&body[header..])
            .map(|found| found.map(|found| (found.kind, found.value.to_vec())))
            .collect::<Result<_, _>>()
            .unwrap()
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            let _ = LinkMessage::parse(&bytes).map(|link| link.name_text().is_ok());
            let _ = AddressMessage::parse(&bytes);
            let _ = preferred_source(&bytes);
            let _ = UserOptions::parse(&bytes);
        }

        #[test]
        fn no_damage_makes_it_panic(at in 0_usize..3000, value: u8, end in 0_usize..3000) {
            let mut datagram = recorded("links");
            if let Some(byte) = datagram.get_mut(at) {
                *byte = value;
            }
            datagram.truncate(end);
            for message in messages(&datagram) {
                let _ = LinkMessage::parse(message.body);
            }
        }

        #[test]
        fn a_change_of_an_interface_is_read_as_it_was_written(index: u32, flags: u32, change: u32, mtu: Option<u32>) {
            let body = LinkRequest { index, flags, change, mtu }.to_bytes();
            let expected = LinkMessage { index, flags, mtu, ..LinkMessage::default() };
            prop_assert_eq!(LinkMessage::parse(&body), Ok(expected));
            prop_assert_eq!(&body[12..16], change.to_ne_bytes());
        }

        #[test]
        fn an_address_is_read_as_it_was_written(
            index: u32,
            address in any_address(),
            prefix: u8,
            broadcast: Option<Ipv4Addr>,
            lifetime: Option<u32>,
            priority: Option<u32>,
        ) {
            let request = AddressRequest { index, address, prefix, broadcast, lifetime, priority };
            let body = request.to_bytes();
            let expected = AddressMessage {
                index,
                address: Some(address),
                prefix,
                scope: RT_SCOPE_UNIVERSE,
                flags: 0,
            };
            prop_assert_eq!(AddressMessage::parse(&body), Ok(expected));
            let kinds: Vec<_> = written(&body, 8).into_iter().map(|(kind, _)| kind).collect();
            let wanted = [
                Some(IFA_LOCAL),
                Some(IFA_ADDRESS),
                broadcast.map(|_| IFA_BROADCAST),
                lifetime.map(|_| IFA_CACHEINFO),
                priority.map(|_| IFA_RT_PRIORITY),
            ];
            prop_assert_eq!(kinds, wanted.into_iter().flatten().collect::<Vec<_>>());
        }

        #[test]
        fn a_route_has_what_was_asked_for(
            destination in any_address(),
            prefix: u8,
            gateway: Option<Ipv4Addr>,
            output: Option<u32>,
            priority: Option<u32>,
        ) {
            let request = RouteRequest {
                prefix,
                gateway: gateway.map(IpAddr::V4),
                output,
                priority,
                ..RouteRequest::lookup(destination)
            };
            let octets = match destination {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            let wanted = [
                (prefix > 0).then_some((RTA_DST, octets)),
                gateway.map(|gateway| (RTA_GATEWAY, gateway.octets().to_vec())),
                output.map(|output| (RTA_OIF, output.to_ne_bytes().to_vec())),
                priority.map(|priority| (RTA_PRIORITY, priority.to_ne_bytes().to_vec())),
            ];
            let wanted: Vec<_> = wanted.into_iter().flatten().collect();
            prop_assert_eq!(written(&request.to_bytes(), ROUTE_HEADER_LEN), wanted);
        }
    }
}
