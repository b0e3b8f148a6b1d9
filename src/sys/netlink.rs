//! Network interfaces, addresses and routes through rtnetlink(7).
//!
//! Covers the kernel's route socket only. Which interface gets which address is the caller's
//! decision. Message bytes are encoded and decoded by `formats::netlink` and `formats::rtnetlink`.
//!
//! ```no_run
//! let source = ferrite::sys::netlink::Netlink::open()?.route_source([192, 0, 2, 1].into())?;
//! # Ok::<(), std::io::Error>(())
//! ```

use crate::formats::netlink::{self, Malformed, Message};
use crate::formats::rtnetlink::{
    self, AddressMessage, AddressRequest, LinkMessage, LinkRequest, RouteRequest, UserOptions,
};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname,
    recvmsg, send, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// Snapshot of a network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Index of the interface in the kernel.
    pub index: u32,
    /// Name of the interface, such as `eth0`.
    pub name: String,
    /// Whether it is an Ethernet interface, which includes virtual ones.
    pub ethernet: bool,
    /// Whether it is the loopback interface.
    pub loopback: bool,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it has a carrier, as far as the driver reports it.
    pub carrier: bool,
    /// Current MAC address.
    pub mac: Option<[u8; 6]>,
    /// MAC address stored in the hardware, if the driver reports it.
    pub permanent_mac: Option<[u8; 6]>,
    /// MTU in bytes.
    pub mtu: u32,
    /// DHCPv6 flags of the last router advertisement.
    pub router: RouterAdvice,
}

/// DHCPv6 flags of the last router advertisement on an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterAdvice {
    /// Whether a router advertisement arrived.
    pub received: bool,
    /// Whether addresses are available by DHCPv6 (flag M, RFC 4861).
    pub managed: bool,
    /// Whether other settings, such as name servers, are available by DHCPv6 (flag O, RFC 4861).
    pub other: bool,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Index of the interface.
    pub link: u32,
    /// IP address.
    pub address: IpAddr,
    /// Prefix length in bits.
    pub prefix: u8,
    /// Whether the address is usable beyond the link (global scope).
    pub global: bool,
    /// Whether duplicate address detection is still running or has failed.
    pub unusable: bool,
    /// Whether duplicate address detection found the address on another host of the link.
    pub duplicate: bool,
}

/// Address to add to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAddress {
    /// Index of the interface.
    pub link: u32,
    /// IP address.
    pub address: IpAddr,
    /// Prefix length in bits.
    pub prefix: u8,
    /// Valid lifetime, after which the kernel removes the address; `None` for no limit.
    pub valid: Option<Duration>,
    /// Metric of the route to the address's prefix.
    pub metric: u32,
}

/// IPv4 route to add to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoute {
    /// Index of the interface.
    pub link: u32,
    /// Destination network and its prefix length; `0.0.0.0/0` for the default route.
    pub network: (Ipv4Addr, u8),
    /// Router; `None` if the network is on the link itself.
    pub gateway: Option<Ipv4Addr>,
    /// Metric; routes with a lower one are preferred.
    pub metric: u32,
}

/// Open rtnetlink socket.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    /// Port ID of the socket, which the kernel repeats in its responses.
    port: u32,
    sequence: u32,
}

impl Netlink {
    /// Opens a route socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// The kernel refuses to open the socket.
    pub fn open() -> io::Result<Self> {
        let socket = route_socket(0)?;
        setsockopt(
            &socket,
            sockopt::ReceiveTimeout,
            &TimeVal::new(ANSWER_SECONDS, 0),
        )?;
        let address: NetlinkAddr = getsockname(socket.as_raw_fd())?;
        Ok(Self {
            socket,
            port: address.pid(),
            sequence: 0,
        })
    }

    /// Returns all interfaces.
    ///
    /// # Errors
    /// The kernel refuses, or its response is malformed.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let all = [0; rtnetlink::LINK_HEADER_LEN];
        self.list(rtnetlink::RTM_GETLINK, &all, link)
    }

    /// Returns all addresses of all interfaces.
    ///
    /// # Errors
    /// The kernel refuses, or its response is malformed.
    pub fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let all = [0; rtnetlink::ADDRESS_HEADER_LEN];
        self.list(rtnetlink::RTM_GETADDR, &all, address)
    }

    /// Sets an interface administratively up.
    ///
    /// # Errors
    /// The kernel or the driver refuses.
    pub fn set_up(&mut self, link: u32) -> io::Result<()> {
        self.set_link(&LinkRequest {
            index: link,
            flags: rtnetlink::IFF_UP,
            change: rtnetlink::IFF_UP,
            mtu: None,
        })
    }

    /// Sets an interface administratively down.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_down(&mut self, link: u32) -> io::Result<()> {
        self.set_link(&LinkRequest {
            index: link,
            flags: 0,
            change: rtnetlink::IFF_UP,
            mtu: None,
        })
    }

    /// Sets the MTU of an interface.
    ///
    /// # Errors
    /// The driver does not support this MTU.
    pub fn set_mtu(&mut self, link: u32, mtu: u32) -> io::Result<()> {
        self.set_link(&LinkRequest {
            index: link,
            flags: 0,
            change: 0,
            mtu: Some(mtu),
        })
    }

    /// Adds an address to an interface, or updates the lifetime of an existing one.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add_address(&mut self, new: &NewAddress) -> io::Result<()> {
        self.order(
            rtnetlink::RTM_NEWADDR,
            netlink::CREATE | netlink::REPLACE,
            &added_address(new).to_bytes(),
        )
    }

    /// Removes an address from an interface.
    ///
    /// # Errors
    /// The interface does not have the address.
    pub fn remove_address(&mut self, link: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
        let body = address_request(link, address, prefix).to_bytes();
        self.order(rtnetlink::RTM_DELADDR, 0, &body)
    }

    /// Adds an IPv4 route, replacing one to the same network with the same metric.
    ///
    /// # Errors
    /// The kernel refuses, for instance because the gateway is unreachable.
    pub fn add_route(&mut self, new: &NewRoute) -> io::Result<()> {
        self.order(
            rtnetlink::RTM_NEWROUTE,
            netlink::CREATE | netlink::REPLACE,
            &added_route(new).to_bytes(),
        )
    }

    /// Returns the source address of packets to `destination`.
    ///
    /// # Errors
    /// The destination has no route.
    pub fn route_source(&mut self, destination: IpAddr) -> io::Result<IpAddr> {
        let body = RouteRequest::lookup(destination).to_bytes();
        self.ask(rtnetlink::RTM_GETROUTE, 0, &body, source)?
            .read
            .first()
            .copied()
            .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
    }

    fn set_link(&mut self, request: &LinkRequest) -> io::Result<()> {
        self.order(rtnetlink::RTM_SETLINK, 0, &request.to_bytes())
    }

    /// Sends a change and waits for the kernel's acknowledgement.
    fn order(&mut self, message_type: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        let nothing: Reader<()> = |_| Ok(None);
        self.ask(message_type, flags | netlink::ACK, body, nothing)
            .map(drop)
    }

    /// Requests all objects of one type.
    fn list<T>(&mut self, message_type: u16, body: &[u8], read: Reader<T>) -> io::Result<Vec<T>> {
        consistent(|| self.ask(message_type, netlink::DUMP, body, read))
    }

    /// Sends a request and collects its responses up to the last one.
    fn ask<T>(
        &mut self,
        message_type: u16,
        flags: u16,
        body: &[u8],
        read: Reader<T>,
    ) -> io::Result<Answers<T>> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = Message {
            message_type,
            flags: netlink::REQUEST | flags,
            sequence: self.sequence,
            port: 0,
            body,
        };
        send(
            self.socket.as_raw_fd(),
            &request.to_bytes(),
            MsgFlags::empty(),
        )?;

        let exchange = Exchange {
            port: self.port,
            sequence: self.sequence,
            flags,
        };
        let mut answers = Answers::default();
        let mut buffer = vec![0; BUFFER];
        loop {
            let datagram = receive(&self.socket, &mut buffer)?;
            let datagram = datagram.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
            if take_answers(datagram, &exchange, read, &mut answers)? {
                return Ok(answers);
            }
        }
    }
}

/// Decodes a message; returns `None` for a message of another type.
type Reader<T> = fn(&Message<'_>) -> Result<Option<T>, Malformed>;

/// Identity of a request in its responses, and the flags that determine the last response.
#[derive(Clone, Copy)]
struct Exchange {
    port: u32,
    sequence: u32,
    flags: u16,
}

/// Responses of the kernel to one request.
#[derive(Debug, PartialEq, Eq)]
struct Answers<T> {
    read: Vec<T>,
    /// Whether objects may be missing or duplicated.
    inconsistent: bool,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self {
            read: Vec::new(),
            inconsistent: false,
        }
    }
}

/// Appends the responses in one datagram; returns whether the last one was among them.
fn take_answers<T>(
    datagram: &[u8],
    exchange: &Exchange,
    read: Reader<T>,
    answers: &mut Answers<T>,
) -> io::Result<bool> {
    let many = exchange.flags & netlink::DUMP == netlink::DUMP;
    for message in netlink::messages(datagram) {
        if (message.port, message.sequence) != (exchange.port, exchange.sequence) {
            continue; // late response to a request that timed out
        }
        answers.inconsistent |= message.flags & netlink::DUMP_INTERRUPTED != 0;
        match message.message_type {
            netlink::ERROR => match message.errno().map_err(invalid)? {
                0 => return Ok(true),
                errno => return Err(io::Error::from_raw_os_error(errno)),
            },
            netlink::DONE => {
                // A dump that failed early is still valid up to that point.
                answers.inconsistent |= message.errno() != Ok(0);
                return Ok(true);
            }
            ..netlink::MIN_TYPE => continue,
            _ => match read(&message) {
                Ok(value) => answers.read.extend(value),
                // A malformed message must not hide the other interfaces.
                Err(error) if many => {
                    tracing::warn!(%error, "passed over a message of the kernel about interfaces");
                }
                Err(error) => return Err(invalid(error)),
            },
        }
        if !many && exchange.flags & netlink::ACK == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Repeats a dump that the kernel marks as inconsistent, up to [`MAX_DUMPS`] times.
///
/// The last dump is used even if it is inconsistent: an approximate list is better than none.
/// [`Changes`] reports each change separately.
fn consistent<T>(mut dump: impl FnMut() -> io::Result<Answers<T>>) -> io::Result<Vec<T>> {
    let mut answers = dump()?;
    for _ in 1..MAX_DUMPS {
        if !answers.inconsistent {
            break;
        }
        answers = dump()?;
    }
    Ok(answers.read)
}

fn invalid(error: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Socket that receives notifications when interfaces, addresses or router advertisements change.
#[derive(Debug)]
pub struct Changes(OwnedFd);

/// Notification of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Interfaces or addresses changed; the caller must query them.
    Links,
    /// Neighbour-discovery options of a router (RFC 4861 section 4.6) for user space.
    RouterOptions {
        /// Index of the interface.
        link: u32,
        /// Undecoded options.
        options: Vec<u8>,
    },
}

impl Changes {
    /// Subscribes to notifications.
    ///
    /// # Errors
    /// The kernel refuses to open the socket.
    pub fn listen() -> io::Result<Self> {
        Ok(Self(route_socket(GROUPS)?))
    }

    /// Waits up to `patience` for the next change; returns `None` on timeout.
    ///
    /// # Errors
    /// The socket failed. Lost messages are no error: they count as [`Change::Links`].
    pub fn wait(&self, patience: Duration) -> io::Result<Option<Change>> {
        let microseconds = i64::from(patience.subsec_micros());
        let seconds = i64::try_from(patience.as_secs()).unwrap_or(i64::MAX);
        // The kernel treats zero as no timeout.
        let patience = TimeVal::new(seconds, microseconds.max(1));
        setsockopt(&self.0, sockopt::ReceiveTimeout, &patience)?;
        let mut buffer = vec![0; BUFFER];
        match receive(&self.0, &mut buffer) {
            Ok(datagram) => Ok(Some(change(datagram.unwrap_or_default()))),
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => Ok(None),
            Err(nix::Error::ENOBUFS) => Ok(Some(Change::Links)),
            Err(error) => Err(error.into()),
        }
    }
}

fn route_socket(groups: u32) -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

/// Waits for the kernel's next datagram; returns `None` if it exceeds the buffer.
///
/// Other processes can send to the socket too. Only the kernel has port ID 0.
fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> nix::Result<Option<&'a [u8]>> {
    let (length, cut) = loop {
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::empty();
        let received = recvmsg::<NetlinkAddr>(socket.as_raw_fd(), &mut parts, None, flags)?;
        if received.address.is_some_and(|sender| sender.pid() == 0) {
            break (received.bytes, received.flags.contains(MsgFlags::MSG_TRUNC));
        }
    };
    Ok(buffer.get(..length).filter(|_| !cut))
}

fn change(datagram: &[u8]) -> Change {
    netlink::messages(datagram)
        .next()
        .filter(|message| message.message_type == rtnetlink::RTM_NEWNDUSEROPT)
        .and_then(|message| UserOptions::parse(message.body).ok())
        .map_or(Change::Links, |found| Change::RouterOptions {
            link: found.index,
            options: found.options.to_vec(),
        })
}

fn link(message: &Message<'_>) -> Result<Option<Link>, Malformed> {
    if message.message_type != rtnetlink::RTM_NEWLINK {
        return Ok(None);
    }
    let link = LinkMessage::parse(message.body)?;
    let has = |flags| link.flags & flags == flags;
    let router = |flag| link.inet6_flags.is_some_and(|flags| flags & flag != 0);
    Ok(Some(Link {
        index: link.index,
        name: link.name_text()?.to_owned(),
        ethernet: link.hardware_type == rtnetlink::ARPHRD_ETHER,
        loopback: has(rtnetlink::IFF_LOOPBACK),
        up: has(rtnetlink::IFF_UP),
        carrier: has(rtnetlink::IFF_UP | rtnetlink::IFF_LOWER_UP),
        mac: link.address.and_then(|mac| mac.try_into().ok()),
        permanent_mac: link.permanent_address.and_then(|mac| mac.try_into().ok()),
        mtu: link.mtu.unwrap_or_default(),
        router: RouterAdvice {
            received: router(rtnetlink::IF_RA_RCVD),
            managed: router(rtnetlink::IF_RA_MANAGED),
            other: router(rtnetlink::IF_RA_OTHERCONF),
        },
    }))
}

fn address(message: &Message<'_>) -> Result<Option<Address>, Malformed> {
    if message.message_type != rtnetlink::RTM_NEWADDR {
        return Ok(None);
    }
    let found = AddressMessage::parse(message.body)?;
    let has = |flag| found.flags & flag != 0;
    Ok(found.address.map(|address| Address {
        link: found.index,
        address,
        prefix: found.prefix,
        global: found.scope == rtnetlink::RT_SCOPE_UNIVERSE,
        unusable: has(rtnetlink::IFA_F_TENTATIVE | rtnetlink::IFA_F_DADFAILED),
        duplicate: has(rtnetlink::IFA_F_DADFAILED),
    }))
}

fn source(message: &Message<'_>) -> Result<Option<IpAddr>, Malformed> {
    match message.message_type {
        rtnetlink::RTM_NEWROUTE => rtnetlink::preferred_source(message.body),
        _ => Ok(None),
    }
}

fn added_address(new: &NewAddress) -> AddressRequest {
    let lifetime = new.valid.map_or(rtnetlink::INFINITY_LIFE_TIME, |valid| {
        u32::try_from(valid.as_secs()).unwrap_or(rtnetlink::INFINITY_LIFE_TIME)
    });
    AddressRequest {
        lifetime: Some(lifetime),
        priority: Some(new.metric),
        ..address_request(new.link, new.address, new.prefix)
    }
}

fn address_request(link: u32, address: IpAddr, prefix: u8) -> AddressRequest {
    // Networks of one or two addresses have no broadcast address (RFC 3021): it would be a host's.
    let broadcast = match address {
        IpAddr::V4(v4) if prefix < 31 => Some((u32::from(v4) | (u32::MAX >> prefix)).into()),
        _ => None,
    };
    AddressRequest {
        index: link,
        address,
        prefix,
        broadcast,
        lifetime: None,
        priority: None,
    }
}

fn added_route(new: &NewRoute) -> RouteRequest {
    RouteRequest {
        destination: new.network.0.into(),
        prefix: new.network.1,
        table: rtnetlink::RT_TABLE_MAIN,
        protocol: rtnetlink::RTPROT_DHCP,
        scope: match new.gateway {
            Some(_) => rtnetlink::RT_SCOPE_UNIVERSE,
            None => rtnetlink::RT_SCOPE_LINK,
        },
        route_type: rtnetlink::RTN_UNICAST,
        gateway: new.gateway.map(IpAddr::V4),
        output: Some(new.link),
        priority: Some(new.metric),
    }
}

/// Timeout of one response in seconds: the kernel responds at once or never.
const ANSWER_SECONDS: i64 = 5;
/// Size of the kernel's largest dump datagram (`netlink_dump`, net/netlink/af_netlink.c).
const BUFFER: usize = 32 * 1024;
/// Maximum number of dumps while the objects keep changing.
const MAX_DUMPS: usize = 5;
/// `RTMGRP_LINK`, `_IPV4_IFADDR`, `_IPV6_IFADDR`, `_IPV6_IFINFO` and group 20,
/// `RTNLGRP_ND_USEROPT`.
const GROUPS: u32 = 1 | 0x10 | 0x100 | 0x800 | (1 << 19);

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc;
    use nix::sched::{CloneFlags, unshare};
    use nix::sys::socket::sendto;

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
        assert_eq!(netlink::messages(&[255, 0, 0, 0, 1]).count(), 0);
        assert_eq!(netlink::messages(&[0; 64]).count(), 0);
        assert_eq!(netlink::messages(&[]).count(), 0);
    }

    const PORT: u32 = 4711;

    fn exchange(sequence: u32, flags: u16) -> Exchange {
        Exchange {
            port: PORT,
            sequence,
            flags,
        }
    }

    /// Returns a response to request 7.
    fn answer(message_type: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let message = Message {
            message_type,
            flags,
            sequence: 7,
            port: PORT,
            body,
        };
        message.to_bytes()
    }

    /// Returns a response to request 7 with a link of this index; its MTU has `mtu_bytes` bytes.
    fn link_answer(index: u32, mtu_bytes: usize) -> Vec<u8> {
        let request = LinkRequest {
            index,
            mtu: Some(1500),
            ..LinkRequest::default()
        };
        let mut bytes = answer(rtnetlink::RTM_NEWLINK, 0, &request.to_bytes());
        let attribute = bytes.len() - 8;
        bytes[attribute] = u8::try_from(4 + mtu_bytes).unwrap();
        bytes
    }

    fn indices(answers: &Answers<Link>) -> Vec<u32> {
        answers.read.iter().map(|link| link.index).collect()
    }

    #[test]
    fn an_answer_that_cannot_be_parsed_hides_no_other() {
        let datagram = [link_answer(1, 4), link_answer(2, 1), link_answer(3, 4)].concat();
        let mut answers = Answers::default();
        let mut take =
            |datagram: &[u8], exchange| take_answers(datagram, &exchange, link, &mut answers);
        let done = take(&datagram, exchange(7, netlink::DUMP)).unwrap();
        // A malformed response to a query is an error; a late response to another request is not.
        assert!(take(&link_answer(2, 1), exchange(7, 0)).is_err());
        assert!(!take(&link_answer(2, 1), exchange(8, 0)).unwrap());
        assert!(!take(&link_answer(2, 4), exchange(8, netlink::DUMP)).unwrap());
        assert_eq!((done, indices(&answers)), (false, vec![1, 3]));
    }

    #[test]
    fn an_interface_whose_name_is_no_text_hides_no_other() {
        let mut nameless = vec![0; rtnetlink::LINK_HEADER_LEN];
        netlink::push_attribute(&mut nameless, 3, b"\xFFth0\0");
        let nameless = answer(rtnetlink::RTM_NEWLINK, 0, &nameless);
        let datagram = [nameless, link_answer(3, 4)].concat();
        let mut answers = Answers::default();
        let dump = exchange(7, netlink::DUMP);
        assert!(!take_answers(&datagram, &dump, link, &mut answers).unwrap());
        assert_eq!(indices(&answers), [3]);
    }

    #[test]
    fn answers_to_another_socket_are_not_taken() {
        let other = Exchange {
            port: PORT + 1,
            ..exchange(7, 0)
        };
        let mut answers = Answers::default();
        assert!(!take_answers(&link_answer(1, 4), &other, link, &mut answers).unwrap());
        assert_eq!(answers, Answers::default());
    }

    #[test]
    fn an_exchange_ends_with_what_was_asked_for() {
        let ended = |datagram: &[u8], flags| {
            let mut answers = Answers::default();
            let ended = take_answers(datagram, &exchange(7, flags), link, &mut answers);
            ended.map_err(|error| error.raw_os_error())
        };
        let (accepted, refused) = ([0; 4], (-19_i32).to_ne_bytes());
        let accepted = answer(netlink::ERROR, 0, &accepted);
        let refused = answer(netlink::ERROR, 0, &refused);
        let not_whole = answer(netlink::ERROR, 0, &[0]);
        let done = answer(netlink::DONE, 0, &[0; 4]);
        let no_operation = answer(1, 0, &[]);
        let link = link_answer(1, 4);
        for flags in [0, netlink::ACK, netlink::DUMP] {
            assert_eq!(ended(&accepted, flags), Ok(true));
            assert_eq!(ended(&refused, flags), Err(Some(libc::ENODEV)));
            assert_eq!(ended(&not_whole, flags), Err(None));
            assert_eq!(ended(&done, flags), Ok(true));
            assert_eq!(ended(&no_operation, flags), Ok(false));
            assert_eq!(ended(&link, flags), Ok(flags == 0));
        }
        // REPLACE is one of the two bits of DUMP.
        assert_eq!(ended(&link, netlink::REPLACE), Ok(true));
    }

    #[test]
    fn a_dump_that_was_interrupted_or_ended_early_is_inconsistent() {
        let taken = |datagram: &[u8]| {
            let mut answers = Answers::default();
            let dump = exchange(7, netlink::DUMP);
            assert!(take_answers(datagram, &dump, link, &mut answers).unwrap());
            (indices(&answers), answers.inconsistent)
        };
        let body = LinkRequest::default().to_bytes();
        let interrupted = answer(rtnetlink::RTM_NEWLINK, netlink::DUMP_INTERRUPTED, &body);
        let done = answer(netlink::DONE, 0, &[0; 4]);
        let interrupted_at_its_end = answer(netlink::DONE, netlink::DUMP_INTERRUPTED, &[0; 4]);
        let failed = answer(netlink::DONE, 0, &(-90_i32).to_ne_bytes());
        let taken_with = |first: Vec<u8>, last: &[u8]| taken(&[first.as_slice(), last].concat());
        assert_eq!(taken_with(link_answer(1, 4), &done), (vec![1], false));
        assert_eq!(taken_with(interrupted, &done), (vec![0], true));
        let at_its_end = taken_with(link_answer(1, 4), &interrupted_at_its_end);
        assert_eq!(at_its_end, (vec![1], true));
        assert_eq!(taken_with(link_answer(1, 4), &failed), (vec![1], true));
    }

    #[test]
    fn an_inconsistent_dump_is_repeated_a_few_times() {
        let dumps = |inconsistent: usize| {
            let mut asked = 0;
            let read = consistent(|| {
                asked += 1;
                Ok(Answers {
                    read: vec![asked],
                    inconsistent: asked <= inconsistent,
                })
            });
            (read.unwrap(), asked)
        };
        assert_eq!(dumps(0), (vec![1], 1));
        assert_eq!(dumps(2), (vec![3], 3));
        assert_eq!(dumps(usize::MAX), (vec![MAX_DUMPS], MAX_DUMPS));
        let refused = consistent::<()>(|| Err(io::ErrorKind::Other.into()));
        assert!(refused.is_err());
    }

    /// Messages of other processes are ignored, even if they look like a response to the next
    /// request.
    #[test]
    fn a_forged_answer_is_not_taken() {
        unshare(CloneFlags::CLONE_NEWNET).expect("the test needs root");
        let mut netlink = Netlink::open().unwrap();
        let index = netlink.links().unwrap()[0].index;
        netlink.set_up(index).unwrap();
        let mut body = RouteRequest::lookup([127, 0, 0, 1].into()).to_bytes();
        netlink::push_attribute(&mut body, 7, &[192, 0, 2, 66]);
        let forged = Message {
            message_type: rtnetlink::RTM_NEWROUTE,
            flags: 0,
            sequence: netlink.sequence + 1,
            port: netlink.port,
            body: &body,
        };
        let other = route_socket(0).unwrap();
        let to = NetlinkAddr::new(netlink.port, 0);
        let sent = sendto(
            other.as_raw_fd(),
            &forged.to_bytes(),
            &to,
            MsgFlags::empty(),
        );
        assert_eq!(sent, Ok(forged.to_bytes().len()));
        let source = netlink.route_source([127, 0, 0, 1].into()).unwrap();
        assert_eq!(source, IpAddr::V4(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn lost_announcements_are_a_change_of_interfaces() {
        unshare(CloneFlags::CLONE_NEWNET).expect("the test needs root");
        let changes = Changes::listen().unwrap();
        setsockopt(&changes.0, sockopt::RcvBuf, &0).unwrap();
        let mut netlink = Netlink::open().unwrap();
        for mtu in 1400..1450 {
            netlink.set_mtu(1, mtu).unwrap();
        }
        // The lost messages count once, and the ones that fit into the buffer count too.
        let mut reported = 0;
        while let Some(change) = changes.wait(Duration::ZERO).unwrap() {
            assert_eq!(change, Change::Links);
            reported += 1;
        }
        assert!((2..50).contains(&reported), "{reported}");
    }

    #[test]
    fn a_network_of_two_addresses_has_no_broadcast_address() {
        let broadcast = |prefix| address_request(1, [192, 0, 2, 4].into(), prefix).broadcast;
        assert_eq!(broadcast(24), Some([192, 0, 2, 255].into()));
        assert_eq!(broadcast(30), Some([192, 0, 2, 7].into()));
        assert_eq!((broadcast(31), broadcast(32)), (None, None));
    }

    /// Request bodies recorded from requests that a kernel accepted (Linux 6.18).
    #[test]
    fn requests_are_written_as_the_kernel_wants_them() {
        let address = |address: &str, prefix, valid| {
            let new = NewAddress {
                link: 2,
                address: address.parse().unwrap(),
                prefix,
                valid,
                metric: 202,
            };
            hex(&added_address(&new).to_bytes())
        };
        let hour = Some(Duration::from_secs(3600));
        let expected = "02180000 02000000 08000200c000024d 08000100c000024d 08000400c00002ff \
                        14000600100e0000100e00000000000000000000 08000900ca000000";
        assert_eq!(address("192.0.2.77", 24, hour), plain(expected));
        let expected = "0a800000 02000000 1400020020010db8000000000000000000000077 \
                        1400010020010db8000000000000000000000077 \
                        14000600ffffffffffffffff0000000000000000 08000900ca000000";
        assert_eq!(address("2001:db8::77", 128, None), plain(expected));

        let route = |network, gateway| {
            let new = NewRoute {
                link: 2,
                network,
                gateway,
                metric: 202,
            };
            hex(&added_route(&new).to_bytes())
        };
        let gateway = Some(Ipv4Addr::new(192, 0, 2, 255));
        let expected = "02180000 fe100001 00000000 08000100cb007100 08000500c00002ff \
                        0800040002000000 08000600ca000000";
        let network = (Ipv4Addr::new(203, 0, 113, 0), 24);
        assert_eq!(route(network, gateway), plain(expected));
        let expected = "02200000 fe10fd01 00000000 08000100c6336401 0800040002000000 \
                        08000600ca000000";
        let network = (Ipv4Addr::new(198, 51, 100, 1), 32);
        assert_eq!(route(network, None), plain(expected));
        let expected = "02000000 fe100001 00000000 08000500c00002ff 0800040002000000 \
                        08000600ca000000";
        let network = (Ipv4Addr::UNSPECIFIED, 0);
        assert_eq!(route(network, gateway), plain(expected));
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn plain(hex: &str) -> String {
        hex.replace(' ', "")
    }

    #[test]
    fn a_routers_options_are_handed_on_as_they_came() {
        let mut datagram = vec![0; 32];
        datagram[0] = 36;
        datagram[4..6].copy_from_slice(&rtnetlink::RTM_NEWNDUSEROPT.to_ne_bytes());
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
