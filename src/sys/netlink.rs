//! Network interfaces, addresses and routes through rtnetlink(7).
//!
//! Knows the kernel's route socket and nothing else: who wants which address is the caller's matter. The message types of
//! `netlink-packet-route` stay in this file.
//!
//! ```no_run
//! let source = ferrite::sys::netlink::Netlink::open()?.route_source([192, 0, 2, 1].into())?;
//! # Ok::<(), std::io::Error>(())
//! ```

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, Inet6IfaceFlags, LinkAttribute, LinkFlags, LinkLayerType,
    LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::sys::socket::{
    AddressFamily as Family, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv,
    send, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// A network interface as the kernel sees it at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name, such as `eth0`.
    pub name: String,
    /// Whether it is an Ethernet interface (which virtual interfaces are, too).
    pub ethernet: bool,
    /// The loopback interface.
    pub loopback: bool,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it has a carrier, as far as the driver can tell.
    pub carrier: bool,
    /// Its present MAC.
    pub mac: Option<[u8; 6]>,
    /// The MAC that the hardware holds, where the driver says it.
    pub permanent_mac: Option<[u8; 6]>,
    /// Its MTU.
    pub mtu: u32,
    /// What an IPv6 router told it to do.
    pub router: RouterAdvice,
}

/// What the last router advertisement on an interface said about DHCPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterAdvice {
    /// Whether any advertisement came.
    pub received: bool,
    /// Addresses are to be had by DHCPv6.
    pub managed: bool,
    /// Other facts, such as name servers, are to be had by DHCPv6.
    pub other: bool,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface's index.
    pub link: u32,
    /// The address itself.
    pub address: IpAddr,
    /// Bits of the network part.
    pub prefix: u8,
    /// Usable beyond the link.
    pub global: bool,
    /// Still being checked for duplicates, or found to be one.
    pub unusable: bool,
    /// Another host on the link has it.
    pub duplicate: bool,
}

/// An address to give to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAddress {
    /// The interface's index.
    pub link: u32,
    /// The address itself.
    pub address: IpAddr,
    /// Bits of the network part.
    pub prefix: u8,
    /// When the kernel is to take it away by itself; `None` for never.
    pub valid: Option<Duration>,
    /// Metric of the route to the address's network.
    pub metric: u32,
}

/// An IPv4 route to give to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoute {
    /// The interface's index.
    pub link: u32,
    /// Where to: the network and its prefix; `0.0.0.0/0` for the default route.
    pub network: (Ipv4Addr, u8),
    /// The router; `None` where the network is on the link itself.
    pub gateway: Option<Ipv4Addr>,
    /// Lower is preferred.
    pub metric: u32,
}

/// An open route socket.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Opens a route socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub fn open() -> io::Result<Self> {
        let socket = route_socket(0)?;
        setsockopt(
            &socket,
            sockopt::ReceiveTimeout,
            &TimeVal::new(ANSWER_SECONDS, 0),
        )?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// All interfaces.
    ///
    /// # Errors
    /// When the kernel refuses or its answer cannot be read.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.ask(request, NLM_F_DUMP)?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewLink(message) => Some(link(message)),
                _ => None,
            })
            .collect())
    }

    /// All addresses of all interfaces.
    ///
    /// # Errors
    /// When the kernel refuses or its answer cannot be read.
    pub fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let answers = self.ask(request, NLM_F_DUMP)?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewAddress(message) => address(&message),
                _ => None,
            })
            .collect())
    }

    /// Switches an interface on.
    ///
    /// # Errors
    /// When the kernel or the driver refuses.
    pub fn set_up(&mut self, link: u32) -> io::Result<()> {
        self.set_link(link, LinkFlags::Up, Vec::new())
    }

    /// Switches an interface off.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_down(&mut self, link: u32) -> io::Result<()> {
        self.set_link(link, LinkFlags::empty(), Vec::new())
    }

    /// Sets the size of an interface's largest packet.
    ///
    /// # Errors
    /// When the driver cannot do it.
    pub fn set_mtu(&mut self, link: u32, mtu: u32) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = link;
        message.attributes.push(LinkAttribute::Mtu(mtu));
        self.order(RouteNetlinkMessage::SetLink(message), 0)
    }

    /// Gives an interface an address, or a new lifetime to an address that it has.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add_address(&mut self, new: &NewAddress) -> io::Result<()> {
        let mut message = address_message(new.link, new.address, new.prefix);
        let seconds = new.valid.map_or(FOREVER, |valid| {
            u32::try_from(valid.as_secs()).unwrap_or(FOREVER)
        });
        let mut lifetime = CacheInfo::default();
        lifetime.ifa_valid = seconds;
        lifetime.ifa_preferred = seconds;
        message
            .attributes
            .push(AddressAttribute::CacheInfo(lifetime));
        message
            .attributes
            .push(AddressAttribute::RoutePriority(new.metric));
        self.order(
            RouteNetlinkMessage::NewAddress(message),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
    }

    /// Takes an address from an interface.
    ///
    /// # Errors
    /// When the interface does not have it.
    pub fn remove_address(&mut self, link: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
        let message = address_message(link, address, prefix);
        self.order(RouteNetlinkMessage::DelAddress(message), 0)
    }

    /// Adds an IPv4 route, replacing one to the same network with the same metric.
    ///
    /// # Errors
    /// When the kernel refuses, for instance because the gateway cannot be reached.
    pub fn add_route(&mut self, new: &NewRoute) -> io::Result<()> {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: AddressFamily::Inet,
            destination_prefix_length: new.network.1,
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Dhcp,
            scope: match new.gateway {
                Some(_) => RouteScope::Universe,
                None => RouteScope::Link,
            },
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        let attributes = &mut message.attributes;
        if new.network.1 > 0 {
            attributes.push(RouteAttribute::Destination(RouteAddress::Inet(
                new.network.0,
            )));
        }
        if let Some(gateway) = new.gateway {
            attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway)));
        }
        attributes.push(RouteAttribute::Oif(new.link));
        attributes.push(RouteAttribute::Priority(new.metric));
        self.order(
            RouteNetlinkMessage::NewRoute(message),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
    }

    /// The address that a packet to `destination` would be sent from.
    ///
    /// # Errors
    /// When there is no route to it.
    pub fn route_source(&mut self, destination: IpAddr) -> io::Result<IpAddr> {
        let mut message = RouteMessage::default();
        let (family, prefix) = match destination {
            IpAddr::V4(_) => (AddressFamily::Inet, 32),
            IpAddr::V6(_) => (AddressFamily::Inet6, 128),
        };
        message.header.address_family = family;
        message.header.destination_prefix_length = prefix;
        message
            .attributes
            .push(RouteAttribute::Destination(destination.into()));
        self.ask(RouteNetlinkMessage::GetRoute(message), 0)?
            .into_iter()
            .find_map(|answer| match answer {
                RouteNetlinkMessage::NewRoute(route) => preferred_source(&route),
                _ => None,
            })
            .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
    }

    fn set_link(
        &mut self,
        link: u32,
        flags: LinkFlags,
        attributes: Vec<LinkAttribute>,
    ) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = link;
        message.header.flags = flags;
        message.header.change_mask = LinkFlags::Up;
        message.attributes = attributes;
        self.order(RouteNetlinkMessage::SetLink(message), 0)
    }

    /// Sends a change and waits for the kernel's word on it.
    fn order(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.ask(message, flags | NLM_F_ACK).map(|_| ())
    }

    /// Sends a request and collects its answers until the last one.
    fn ask(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        send(self.socket.as_raw_fd(), &bytes, MsgFlags::empty())?;

        let mut answers = Vec::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let datagram = buffer.get(..length).unwrap_or_default();
            if take_answers(datagram, self.sequence, flags, &mut answers)? {
                return Ok(answers);
            }
        }
    }
}

/// Takes over the answers in one datagram to the request with this number and these flags; whether the
/// last one was among them.
fn take_answers(
    datagram: &[u8],
    sequence: u32,
    flags: u16,
    answers: &mut Vec<RouteNetlinkMessage>,
) -> io::Result<bool> {
    let many = flags & NLM_F_DUMP == NLM_F_DUMP;
    for (number, answer) in messages(datagram) {
        if number != sequence {
            continue; // the late answer to a question that was given up
        }
        let answer = match answer {
            // One interface that cannot be understood is no reason to see none.
            Err(error) if many => {
                tracing::warn!(%error, "passed over a message of the kernel about interfaces");
                continue;
            }
            answer => answer?,
        };
        match answer.payload {
            NetlinkPayload::InnerMessage(inner) => answers.push(inner),
            NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
            NetlinkPayload::Done(_) | NetlinkPayload::Error(_) => return Ok(true),
            _ => continue,
        }
        if !many && flags & NLM_F_ACK == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the kernel says by itself: a socket that wakes when interfaces, addresses or router advertisements change.
#[derive(Debug)]
pub struct Changes(OwnedFd);

/// One thing the kernel said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Interfaces or addresses changed: look again.
    Links,
    /// A router's neighbour-discovery options (RFC 4861 section 4.6) for us to read.
    RouterOptions {
        /// The interface's index.
        link: u32,
        /// The options, as they came.
        options: Vec<u8>,
    },
}

impl Changes {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn listen() -> io::Result<Self> {
        Ok(Self(route_socket(GROUPS)?))
    }

    /// Waits for the next change, at most as long as `patience`: `None` when nothing happened.
    ///
    /// # Errors
    /// When the socket is broken. Lost messages are no error: they count as [`Change::Links`].
    pub fn wait(&self, patience: Duration) -> io::Result<Option<Change>> {
        let microseconds = i64::from(patience.subsec_micros());
        let seconds = i64::try_from(patience.as_secs()).unwrap_or(i64::MAX);
        // Zero would mean to wait for ever.
        let patience = TimeVal::new(seconds, microseconds.max(1));
        setsockopt(&self.0, sockopt::ReceiveTimeout, &patience)?;
        let mut buffer = vec![0; BUFFER];
        match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(length) => Ok(Some(change(buffer.get(..length).unwrap_or_default()))),
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => Ok(None),
            Err(nix::Error::ENOBUFS) => Ok(Some(Change::Links)),
            Err(error) => Err(error.into()),
        }
    }
}

fn route_socket(groups: u32) -> io::Result<OwnedFd> {
    let socket = socket(
        Family::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

/// The messages in one datagram, each behind its request's number; ends at the first that is not whole.
fn messages(
    mut bytes: &[u8],
) -> impl Iterator<Item = (u32, io::Result<NetlinkMessage<RouteNetlinkMessage>>)> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
        let message = bytes.get(..length).filter(|_| length >= NETLINK_HEADER)?;
        bytes = bytes
            .get(length.next_multiple_of(NETLINK_ALIGNMENT)..)
            .unwrap_or_default();
        let number = u32::from_ne_bytes(*message.get(SEQUENCE_AT..)?.first_chunk()?);
        let parsed = NetlinkMessage::deserialize(message)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
        Some((number, parsed))
    })
}

/// `struct nduseroptmsg` (linux/rtnetlink.h): family, padding, u16 length of the options, s32 interface, and so on.
fn change(datagram: &[u8]) -> Change {
    let router_options = || {
        let kind = u16::from_ne_bytes(*datagram.get(4..)?.first_chunk()?);
        if kind != RTM_NEWNDUSEROPT {
            return None;
        }
        let body = datagram.get(NETLINK_HEADER..)?;
        let length = usize::from(u16::from_ne_bytes(*body.get(2..)?.first_chunk()?));
        let link = u32::from_ne_bytes(*body.get(4..)?.first_chunk()?);
        let options = body.get(USER_OPTIONS_HEADER..)?.get(..length)?.to_vec();
        Some(Change::RouterOptions { link, options })
    };
    router_options().unwrap_or(Change::Links)
}

fn link(message: LinkMessage) -> Link {
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        ethernet: message.header.link_layer_type == LinkLayerType::Ether,
        loopback: flags.contains(LinkFlags::Loopback),
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
        mac: None,
        permanent_mac: None,
        mtu: 0,
        router: RouterAdvice::default(),
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(mac) => link.mac = mac.try_into().ok(),
            LinkAttribute::PermAddress(mac) => link.permanent_mac = mac.try_into().ok(),
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::AfSpecUnspec(families) => link.router = router_advice(&families),
            _ => {}
        }
    }
    link
}

fn router_advice(families: &[AfSpecUnspec]) -> RouterAdvice {
    let flags = families
        .iter()
        .filter_map(|family| match family {
            AfSpecUnspec::Inet6(facts) => Some(facts),
            _ => None,
        })
        .flatten()
        .find_map(|fact| match fact {
            AfSpecInet6::Flags(flags) => Some(*flags),
            _ => None,
        })
        .unwrap_or(Inet6IfaceFlags::empty());
    RouterAdvice {
        received: flags.contains(Inet6IfaceFlags::RaRcvd),
        managed: flags.contains(Inet6IfaceFlags::RaManaged),
        other: flags.contains(Inet6IfaceFlags::Otherconf),
    }
}

fn address(message: &AddressMessage) -> Option<Address> {
    let mut found = None;
    let mut flags = AddressFlags::empty();
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(local) => found = Some(*local),
            AddressAttribute::Address(address) => found = found.or(Some(*address)),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    Some(Address {
        link: message.header.index,
        address: found?,
        prefix: message.header.prefix_len,
        global: message.header.scope == AddressScope::Universe,
        unusable: flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed),
        duplicate: flags.contains(AddressFlags::Dadfailed),
    })
}

fn address_message(link: u32, address: IpAddr, prefix: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = link;
    message.header.prefix_len = prefix;
    message.header.family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.attributes.push(AddressAttribute::Local(address));
    message.attributes.push(AddressAttribute::Address(address));
    // A network of one address or two has no broadcast address (RFC 3021): it would be a host's.
    if let IpAddr::V4(v4) = address
        && prefix < 31
    {
        let host = u32::MAX >> prefix;
        message
            .attributes
            .push(AddressAttribute::Broadcast((u32::from(v4) | host).into()));
    }
    message
}

fn preferred_source(route: &RouteMessage) -> Option<IpAddr> {
    route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => Some((*address).into()),
            RouteAttribute::PrefSource(RouteAddress::Inet6(address)) => {
                Some(Ipv6Addr::into(*address))
            }
            _ => None,
        })
}

/// Longest wait for an answer: the kernel answers at once or never.
const ANSWER_SECONDS: i64 = 5;
/// The kernel's largest datagram for a dump.
const BUFFER: usize = 32 * 1024;
const NETLINK_HEADER: usize = 16;
/// Where `nlmsg_seq` is in it.
const SEQUENCE_AT: usize = 8;
const NETLINK_ALIGNMENT: usize = 4;
const FOREVER: u32 = u32::MAX;
const RTM_NEWNDUSEROPT: u16 = 68;
const USER_OPTIONS_HEADER: usize = 16;
/// `RTMGRP_LINK`, `_IPV4_IFADDR`, `_IPV6_IFADDR`, `_IPV6_IFINFO` and group 20, `RTNLGRP_ND_USEROPT`.
const GROUPS: u32 = 1 | 0x10 | 0x100 | 0x800 | (1 << 19);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_loopback_interface() {
        let links = Netlink::open().unwrap().links().unwrap();
        let loopback = links.iter().find(|link| link.loopback).unwrap();
        assert_eq!((loopback.name.as_str(), loopback.ethernet), ("lo", false));
    }

    #[test]
    fn the_way_to_ourselves_starts_at_ourselves() {
        let source = Netlink::open()
            .unwrap()
            .route_source(Ipv4Addr::LOCALHOST.into())
            .unwrap();
        assert_eq!(source, IpAddr::V4(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn a_cut_datagram_gives_no_message() {
        assert_eq!(messages(&[255, 0, 0, 0, 1]).count(), 0);
        assert_eq!(messages(&[0; 64]).count(), 0);
        assert_eq!(messages(&[]).count(), 0);
    }

    /// A link with this index in an answer to request 7; its MTU has so many bytes.
    fn link_answer(index: u32, mtu_bytes: usize) -> Vec<u8> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes.push(LinkAttribute::Mtu(1500));
        let mut header = NetlinkHeader::default();
        header.sequence_number = 7;
        let inner = RouteNetlinkMessage::NewLink(message);
        let mut answer = NetlinkMessage::new(header, NetlinkPayload::from(inner));
        answer.finalize();
        let mut bytes = vec![0; answer.buffer_len()];
        answer.serialize(&mut bytes);
        let attribute = bytes.len() - 8;
        bytes[attribute] = u8::try_from(4 + mtu_bytes).unwrap();
        bytes
    }

    #[test]
    fn an_answer_that_cannot_be_parsed_hides_no_other() {
        let datagram = [link_answer(1, 4), link_answer(2, 1), link_answer(3, 4)].concat();
        let mut answers = Vec::new();
        let done = take_answers(&datagram, 7, NLM_F_DUMP, &mut answers).unwrap();
        let indices: Vec<_> = answers
            .iter()
            .map(|answer| match answer {
                RouteNetlinkMessage::NewLink(message) => message.header.index,
                _ => 0,
            })
            .collect();
        assert_eq!((done, indices), (false, vec![1, 3]));
        // The only answer to a question is the answer, or an error; a late one to another is neither.
        assert!(take_answers(&link_answer(2, 1), 7, 0, &mut answers).is_err());
        assert!(!take_answers(&link_answer(2, 1), 8, 0, &mut answers).unwrap());
        assert!(!take_answers(&link_answer(2, 4), 8, NLM_F_DUMP, &mut answers).unwrap());
        assert_eq!(answers.len(), 2);
    }

    #[test]
    fn a_network_of_two_addresses_has_no_broadcast_address() {
        let broadcast = |prefix| {
            let message = address_message(1, [192, 0, 2, 4].into(), prefix);
            let mut attributes = message.attributes.into_iter();
            attributes.find_map(|attribute| match attribute {
                AddressAttribute::Broadcast(address) => Some(address),
                _ => None,
            })
        };
        assert_eq!(broadcast(24), Some([192, 0, 2, 255].into()));
        assert_eq!(broadcast(30), Some([192, 0, 2, 7].into()));
        assert_eq!((broadcast(31), broadcast(32)), (None, None));
    }

    #[test]
    fn a_routers_options_are_handed_on_as_they_came() {
        let mut datagram = vec![0; 32];
        datagram[4..6].copy_from_slice(&RTM_NEWNDUSEROPT.to_ne_bytes());
        datagram[18..20].copy_from_slice(&4u16.to_ne_bytes());
        datagram[20..24].copy_from_slice(&7u32.to_ne_bytes());
        datagram.extend([25, 3, 0, 0]);
        assert_eq!(
            change(&datagram),
            Change::RouterOptions {
                link: 7,
                options: vec![25, 3, 0, 0]
            }
        );
        datagram.pop();
        assert_eq!(change(&datagram), Change::Links);
    }
}
