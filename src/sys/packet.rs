//! UDP over IPv4 on one interface through packet(7): for a DHCP client that has no address yet.
//!
//! A server may send its reply to the offered address (RFC 1542 section 3.1.1). The kernel drops
//! such a packet because that address is not configured. It would also send the client's packets
//! from another interface's address.

use crate::formats::ipv4;
use socket2::{Domain, SockAddr, SockAddrStorage, SockFilter, Socket, Type};
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// Packet socket that receives UDP datagrams to one port, whatever their destination address.
#[derive(Debug)]
pub struct PacketSocket {
    socket: Socket,
    link: u32,
    port: u16,
}

impl PacketSocket {
    /// Opens a socket on the interface with this index.
    ///
    /// # Errors
    /// The interface is gone or down, or the process may not open packet sockets (`CAP_NET_RAW`).
    pub fn open(link: u32, port: u16) -> io::Result<Self> {
        // Without a protocol the socket receives nothing until the filter is attached.
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        socket.attach_filter(&filter(port))?;
        socket.bind(&link_address(link, [0; 6])?)?;
        Ok(Self { socket, link, port })
    }

    /// Receives the payload of the next datagram; returns `None` on timeout.
    ///
    /// # Errors
    /// The error of `read`. An interface that is down is no error; it receives nothing.
    pub fn receive(&self, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
        // Zero would disable the timeout.
        self.socket
            .set_read_timeout(Some(timeout.max(Duration::from_millis(1))))?;
        let mut buffer = [0; MAX_PACKET];
        match (&self.socket).read(&mut buffer) {
            Ok(length) => {
                let packet = buffer.get(..length).unwrap_or_default();
                Ok(ipv4::udp_payload(packet, self.port).map(<[u8]>::to_vec))
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted
                | io::ErrorKind::NetworkDown => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Broadcasts a datagram from the unspecified address.
    ///
    /// # Errors
    /// The kernel's error, or `InvalidInput` if the payload exceeds a datagram.
    pub fn broadcast(&self, payload: &[u8], port: u16) -> io::Result<()> {
        let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, self.port);
        let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, port);
        let packet = ipv4::udp_packet(from, to, payload)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let broadcast_mac = link_address(self.link, [0xFF; 6])?;
        self.socket.send_to(&packet, &broadcast_mac).map(drop)
    }
}

/// Returns a filter that accepts unfragmented UDP datagrams to this port.
///
/// It rejects packets to another host or VLAN, which some drivers deliver too. A packet begins with
/// its IP header.
fn filter(port: u16) -> [SockFilter; 11] {
    let refuse_unless_equal = |value, behind| SockFilter::new(JUMP_EQUAL, 0, behind, value);
    [
        SockFilter::new(LOAD_WORD, 0, 0, PACKET_TYPE),
        SockFilter::new(JUMP_EQUAL, 8, 0, libc::PACKET_OTHERHOST.into()),
        SockFilter::new(LOAD_BYTE, 0, 0, 9),
        refuse_unless_equal(UDP, 6),
        SockFilter::new(LOAD_HALF, 0, 0, 6),
        SockFilter::new(JUMP_ANY_BIT, 4, 0, 0x3FFF),
        SockFilter::new(LOAD_HEADER_LENGTH, 0, 0, 0),
        SockFilter::new(LOAD_HALF_BEHIND, 0, 0, 2),
        refuse_unless_equal(port.into(), 1),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// Returns the link-layer address of a MAC on an interface, for IPv4.
fn link_address(link: u32, mac: [u8; 6]) -> io::Result<SockAddr> {
    let index = i32::try_from(link).map_err(io::Error::other)?;
    let [a, b, c, d, e, f] = mac;
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>());
    let length = length.map_err(io::Error::other)?;
    let address = libc::sockaddr_ll {
        sll_family: FAMILY,
        sll_protocol: IPV4.to_be(),
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [a, b, c, d, e, f, 0, 0],
    };
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: the storage has the size and alignment for every type of address, of which this is
    // one.
    unsafe { *storage.view_as::<libc::sockaddr_ll>() = address };
    // SAFETY: the storage holds an address of this length, and its family identifies the type.
    Ok(unsafe { SockAddr::new(storage, length) })
}

/// Maximum size of a received packet. A DHCP message never fills a jumbo frame.
const MAX_PACKET: usize = 2048;
/// `AF_PACKET`.
const FAMILY: libc::sa_family_t = 17;
/// `ETH_P_IP`.
const IPV4: u16 = 0x0800;
/// `IPPROTO_UDP`.
const UDP: u32 = 17;
// linux/bpf_common.h and linux/filter.h.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
/// Loads from an offset relative to the register that [`LOAD_HEADER_LENGTH`] sets.
const LOAD_HALF_BEHIND: u16 = 0x48;
const LOAD_HEADER_LENGTH: u16 = 0xB1;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
/// `SKF_AD_OFF + SKF_AD_PKTTYPE`.
const PACKET_TYPE: u32 = 0xFFFF_F000 + 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink::Netlink;
    use nix::sched::{CloneFlags, unshare};
    use std::net::UdpSocket;

    const TIMEOUT: Duration = Duration::from_secs(60);

    /// Creates a network namespace for this thread; returns the index of its loopback interface.
    fn own_network() -> u32 {
        unshare(CloneFlags::CLONE_NEWNET).expect("the test needs root");
        let mut netlink = Netlink::open().unwrap();
        let index = netlink.links().unwrap()[0].index;
        netlink.set_up(index).unwrap();
        index
    }

    #[test]
    fn datagrams_to_other_ports_are_not_received() {
        let packets = PacketSocket::open(own_network(), 68).unwrap();
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for (payload, port) in [("other", 69), ("ours", 68), ("last", 68)] {
            let sent = sender.send_to(payload.as_bytes(), (Ipv4Addr::LOCALHOST, port));
            assert_eq!(sent.unwrap(), payload.len());
        }
        for payload in ["ours", "last"] {
            let received = packets.receive(TIMEOUT).unwrap();
            assert_eq!(received.as_deref(), Some(payload.as_bytes()));
        }
        assert_eq!(packets.receive(Duration::ZERO).unwrap(), None);
    }

    #[test]
    fn a_broadcast_is_received_with_its_payload() {
        let index = own_network();
        let server = PacketSocket::open(index, 67).unwrap();
        let client = PacketSocket::open(index, 68).unwrap();
        client.broadcast(b"discover", 67).unwrap();
        let received = server.receive(TIMEOUT).unwrap();
        assert_eq!(received.as_deref(), Some(&b"discover"[..]));
    }

    #[test]
    fn an_interface_that_is_not_there_is_an_error() {
        own_network();
        let error = PacketSocket::open(4711, 68).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
