//! An IPv6 router and a DHCPv6 server that say what a test tells them to, byte by byte.

use crate::TIMEOUT;
use crate::machine::ip;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

/// The flags of an advertisement that sends machines to DHCPv6 for an address.
pub(crate) const MANAGED: u8 = 0x80;

pub(crate) struct Router {
    icmp: Socket,
    dhcp: UdpSocket,
    index: u32,
}

/// What a client sent.
pub(crate) struct Request {
    bytes: Vec<u8>,
    from: SocketAddr,
}

impl Router {
    /// A router at this end of a cable.
    pub(crate) fn start(interface: &str) -> Self {
        // Advertisements come from an address of the link; this one is there at once.
        ip(&["address", "add", "fe80::1/64", "dev", interface, "nodad"]);
        let index = nix::net::if_::if_nametoindex(interface).unwrap();
        let icmp = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).unwrap();
        icmp.set_multicast_hops_v6(255).unwrap();
        icmp.set_multicast_if_v6(index).unwrap();
        let dhcp = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        dhcp.set_only_v6(true).unwrap();
        dhcp.set_read_timeout(Some(TIMEOUT)).unwrap();
        dhcp.bind_device(Some(interface.as_bytes())).unwrap();
        let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 547, 0, 0);
        dhcp.bind(&any.into()).unwrap();
        let all_servers = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 1, 2);
        dhcp.join_multicast_v6(&all_servers, index).unwrap();
        Self {
            icmp,
            dhcp: dhcp.into(),
            index,
        }
    }

    /// Sends an advertisement (RFC 4861 section 4.2) with these flags and options.
    pub(crate) fn advertise(&self, flags: u8, options: &[u8]) {
        let mut bytes = vec![134, 0, 0, 0, 64, flags, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend(options);
        let all_nodes =
            SocketAddrV6::new(Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 1), 0, 0, self.index);
        self.icmp.send_to(&bytes, &all_nodes.into()).unwrap();
    }

    /// The next message of this type.
    pub(crate) fn receive(&self, message_type: u8) -> Request {
        loop {
            let next = self.next();
            if next.bytes[0] == message_type {
                return next;
            }
        }
    }

    fn next(&self) -> Request {
        let mut bytes = vec![0; 1500];
        let (length, from) = self.dhcp.recv_from(&mut bytes).expect("a request");
        bytes.truncate(length);
        Request { bytes, from }
    }

    /// Answers with a type, an address that may be used for an hour, and more options.
    pub(crate) fn reply(
        &self,
        request: &Request,
        message_type: u8,
        address: Ipv6Addr,
        options: &[u8],
    ) {
        self.reply_as(SERVER, request, message_type, Some((address, 0)), options);
    }

    /// The same as one of several servers: with an address and the seconds after which it is to be renewed (0: the client
    /// chooses), or with the status that there is none.
    pub(crate) fn reply_as(
        &self,
        server: u8,
        request: &Request,
        message_type: u8,
        address: Option<(Ipv6Addr, u8)>,
        options: &[u8],
    ) {
        let mut bytes = vec![message_type];
        bytes.extend(&request.bytes[1..4]);
        bytes.extend(options);
        for (code, value) in [(1, request.option(1).unwrap()), (2, vec![server])] {
            push(&mut bytes, code, &value);
        }
        let mut association = request.option(3).unwrap()[..4].to_vec();
        let renew = address.map_or(0, |(_, renew)| renew);
        association.extend([0, 0, 0, renew, 0, 0, 0, 0]);
        match address {
            Some((address, _)) => {
                let mut given = address.octets().to_vec();
                given.extend([0, 0, 14, 16, 0, 0, 14, 16]);
                push(&mut association, 5, &given);
            }
            None => push(&mut association, 13, &[0, 2]),
        }
        push(&mut bytes, 3, &association);
        self.dhcp.send_to(&bytes, request.from).unwrap();
    }

    /// Offers an address until it is taken, and gives it.
    pub(crate) fn lease(&self, address: Ipv6Addr, options: &[u8]) {
        let request = loop {
            let next = self.next();
            match next.bytes[0] {
                SOLICIT => self.reply(&next, ADVERTISE, address, options),
                REQUEST => break next,
                _ => {}
            }
        };
        self.reply(&request, REPLY, address, options);
    }
}

impl Request {
    /// The value of an option.
    pub(crate) fn option(&self, code: u16) -> Option<Vec<u8>> {
        option(&self.bytes[4..], code)
    }

    /// The address in its association.
    pub(crate) fn address(&self) -> Option<Ipv6Addr> {
        let given = option(&self.option(3)?[12..], 5)?;
        Some(<[u8; 16]>::try_from(&given[..16]).unwrap().into())
    }
}

fn option(mut rest: &[u8], code: u16) -> Option<Vec<u8>> {
    while let [c0, c1, l0, l1, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        if u16::from_be_bytes([*c0, *c1]) == code {
            return Some(behind[..length].to_vec());
        }
        rest = behind.get(length..)?;
    }
    None
}

fn push(bytes: &mut Vec<u8>, code: u16, value: &[u8]) {
    bytes.extend(code.to_be_bytes());
    bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
}

/// The identifier of the server that answers where a test names none.
const SERVER: u8 = 7;
pub(crate) const SOLICIT: u8 = 1;
pub(crate) const ADVERTISE: u8 = 2;
pub(crate) const REQUEST: u8 = 3;
pub(crate) const RENEW: u8 = 5;
pub(crate) const REPLY: u8 = 7;
pub(crate) const DECLINE: u8 = 9;
