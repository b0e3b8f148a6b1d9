//! IPv4 on one interface: carries out what the DHCP client says, or the static address of the kernel arguments.

use super::dhcp4::{Action, Client};
use super::lease4::{Lease, Route, in_order};
use super::names::{Origin, Said, Source};
use super::options::Fixed;
use super::random::random;
use super::refusals::Refusals;
use super::view::{Interface, Network};
use crate::formats::dhcp4::Message;
use crate::progress::Cancel;
use crate::sys::netlink::{Netlink, NewAddress, NewRoute};
use crate::sys::packet::PacketSocket;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

/// Serves the interface until it is gone.
pub(super) fn run(network: &Network, interface: &Interface) {
    let mut worker = Worker {
        network,
        interface,
        lease: None,
        refusals: Refusals::default(),
    };
    let index = interface.index;
    loop {
        let gone = network.wait(Duration::MAX, |view| {
            let gone = view.is_gone(index);
            (gone || view.has_carrier(index)).then_some(gone)
        });
        if gone == Some(true) {
            return;
        }
        tracing::info!(interface = interface.name, "The link is up");
        if let Err(error) = worker.serve() {
            tracing::warn!(interface = interface.name, %error, "IPv4 begins again");
            let _never = Cancel::default().wait(AFTER_FAILURE);
        }
    }
}

struct Worker<'a> {
    network: &'a Network,
    interface: &'a Interface,
    /// The lease in use.
    lease: Option<Lease>,
    refusals: Refusals,
}

impl Worker<'_> {
    /// Keeps an address on the interface as long as there is a carrier.
    fn serve(&mut self) -> io::Result<()> {
        if let Some(fixed) = self.network.fixed_for(self.interface) {
            self.configure_fixed(&fixed)?;
            while !self.wait_for_carrier_loss(Duration::MAX, self.network.moves()) {}
            return Ok(());
        }
        let udp = self.udp_socket()?;
        let mut packets = None;
        let mut client = self.new_client()?;
        let mut moves = self.network.moves();
        loop {
            let asked = std::mem::replace(&mut moves, self.network.moves());
            if asked != moves {
                tracing::info!(
                    interface = self.interface.name,
                    "Asking for an address afresh"
                );
                client = self.new_client()?;
            }
            let now = Instant::now();
            let left = client.deadline().saturating_duration_since(now);
            let actions = if left.is_zero() {
                client.time(now)
            } else if client.is_bound() {
                if self.wait_for_carrier_loss(left, moves) {
                    return Ok(());
                }
                continue;
            } else {
                if self.wait_for_carrier_loss(Duration::ZERO, moves) {
                    return Ok(());
                }
                let timeout = left.min(LOOK_AROUND);
                let received = match &packets {
                    Some(packets) => PacketSocket::receive(packets, timeout)?,
                    None => receive(&udp, timeout)?,
                };
                match received.map(|bytes| Message::parse(&bytes)) {
                    Some(Ok(message)) => client.receive(&message, Instant::now()),
                    Some(Err(reason)) => {
                        // Any host's, to any other.
                        tracing::debug!(interface = self.interface.name, %reason, "passed over a message");
                        continue;
                    }
                    None => continue,
                }
            };
            // Without an address the kernel drops replies to it, and sends from another interface's.
            packets = match packets {
                _ if !client.is_without_address() => None,
                Some(packets) => Some(packets),
                None => Some(PacketSocket::open(self.interface.index, CLIENT_PORT)?),
            };
            for action in actions {
                self.perform(&udp, packets.as_ref(), action)?;
            }
        }
    }

    fn new_client(&self) -> io::Result<Client> {
        let xid = u32::from_ne_bytes(random()?);
        Ok(Client::new(self.interface.mac, xid, Instant::now()))
    }

    fn perform(
        &mut self,
        udp: &UdpSocket,
        packets: Option<&PacketSocket>,
        action: Action,
    ) -> io::Result<()> {
        match action {
            Action::Configure(lease) => self.configure(lease),
            Action::Log(refusal) => {
                self.refusals.log(&self.interface.name, &refusal);
                Ok(())
            }
            Action::Send(message, to) => {
                let bytes = message.to_bytes();
                let sent = match (packets, to) {
                    (Some(packets), None) => packets.broadcast(&bytes, SERVER_PORT),
                    (_, to) => {
                        let to = SocketAddrV4::new(to.unwrap_or(Ipv4Addr::BROADCAST), SERVER_PORT);
                        udp.send_to(&bytes, to).map(drop)
                    }
                };
                // The next try is the client's matter.
                if let Err(error) = sent {
                    tracing::debug!(interface = self.interface.name, %error, "Cannot send");
                }
                Ok(())
            }
            Action::Withdraw => self.withdraw(),
        }
    }

    fn configure(&mut self, lease: Lease) -> io::Result<()> {
        let mut netlink = Netlink::open()?;
        let link = self.interface.index;
        let place = |lease: &Lease| (lease.address, lease.prefix);
        if self
            .lease
            .as_ref()
            .is_some_and(|old| place(old) != place(&lease))
        {
            self.withdraw()?;
        }
        match lease.mtu {
            Some(mtu) if mtu < MIN_MTU => tracing::warn!(
                interface = self.interface.name,
                mtu,
                "The DHCP server's MTU is not set: with less than 1280 bytes the interface would lose IPv6"
            ),
            Some(mtu) => {
                if let Err(error) = netlink.set_mtu(link, mtu) {
                    tracing::warn!(interface = self.interface.name, mtu, %error, "Cannot set the MTU");
                }
            }
            None => {}
        }
        self.add_address(&mut netlink, lease.address, lease.prefix, lease.lifetime)?;
        self.add_routes(&mut netlink, &lease.routes);
        self.learn(
            &lease.name_servers,
            lease.search.clone(),
            lease.host_name.as_deref(),
        );
        if self.lease.as_ref() != Some(&lease) {
            tracing::info!(
                interface = self.interface.name,
                address = %lease.address,
                prefix = lease.prefix,
                name_servers = ?lease.name_servers,
                "Got an address by DHCP"
            );
            for malformed in &lease.malformed {
                tracing::warn!(
                    interface = self.interface.name,
                    server = %lease.server,
                    %malformed,
                    "passed over a malformed DHCP option"
                );
            }
        }
        self.refusals = Refusals::default();
        self.lease = Some(lease);
        Ok(())
    }

    fn add_address(
        &self,
        netlink: &mut Netlink,
        address: Ipv4Addr,
        prefix: u8,
        valid: Option<Duration>,
    ) -> io::Result<()> {
        netlink.add_address(&NewAddress {
            link: self.interface.index,
            address: address.into(),
            prefix,
            valid,
            metric: self.interface.metric,
        })
    }

    /// Adds as many as the kernel takes: one that it refuses is no reason to be without the others.
    fn add_routes(&self, netlink: &mut Netlink, routes: &[Route]) {
        for route in routes {
            let added = netlink.add_route(&NewRoute {
                link: self.interface.index,
                network: (route.network, route.prefix),
                gateway: route.gateway,
                metric: self.interface.metric,
            });
            if let Err(error) = added {
                let network = format_args!("{}/{}", route.network, route.prefix);
                let gateway = route.gateway.map(tracing::field::display);
                tracing::warn!(interface = self.interface.name, %network, gateway, %error, "cannot add a route");
            }
        }
    }

    fn withdraw(&mut self) -> io::Result<()> {
        let Some(lease) = self.lease.take() else {
            return Ok(());
        };
        tracing::info!(interface = self.interface.name, address = %lease.address, "Gave back an address");
        self.learn(&[], Vec::new(), None);
        let (link, address) = (self.interface.index, lease.address.into());
        match Netlink::open()?.remove_address(link, address, lease.prefix) {
            // The kernel has taken it already when its time was over.
            Err(error) if error.raw_os_error() == Some(nix::libc::EADDRNOTAVAIL) => Ok(()),
            other => other,
        }
    }

    fn configure_fixed(&self, fixed: &Fixed) -> io::Result<()> {
        let mut netlink = Netlink::open()?;
        let interface = &self.interface.name;
        self.add_address(&mut netlink, fixed.address, fixed.prefix, None)?;
        tracing::info!(interface, address = %fixed.address, prefix = fixed.prefix, "Has the address of the kernel arguments");
        self.learn(&fixed.name_servers, Vec::new(), fixed.host_name.as_deref());
        if let Some(gateway) = fixed.gateway {
            let default = Route {
                network: Ipv4Addr::UNSPECIFIED,
                prefix: 0,
                gateway: Some(gateway),
            };
            let routes = in_order(fixed.address, fixed.prefix, vec![default]);
            if routes.len() > 1 {
                tracing::warn!(interface, %gateway, "the gateway of ip= is outside the address's network: it is looked for on the link");
            }
            self.add_routes(&mut netlink, &routes);
        }
        Ok(())
    }

    fn learn(&self, servers: &[Ipv4Addr], search: Vec<String>, host: Option<&str>) {
        let origin = Origin {
            metric: self.interface.metric,
            source: Source::Dhcp4,
        };
        let servers = servers.iter().copied().map(IpAddr::V4);
        self.network
            .learn(origin, Said::new(servers, &self.interface.name, search));
        if let Some(host) = host {
            self.network.learn_host(host);
        }
    }

    /// Waits at most so long, or until the machine has moved again; says whether the carrier is gone.
    fn wait_for_carrier_loss(&self, patience: Duration, moves: u32) -> bool {
        let index = self.interface.index;
        let lost = self.network.wait(patience, |view| {
            let lost = !view.has_carrier(index);
            (lost || view.moves != moves).then_some(lost)
        });
        if lost == Some(true) {
            tracing::info!(interface = self.interface.name, "The link is down");
        }
        lost == Some(true)
    }

    fn udp_socket(&self) -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_broadcast(true)?;
        socket.bind_device(Some(self.interface.name.as_bytes()))?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT).into())?;
        Ok(socket.into())
    }
}

/// The next datagram; `None` when none came in time.
fn receive(socket: &UdpSocket, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
    // Zero would mean for ever.
    socket.set_read_timeout(Some(timeout.max(Duration::from_millis(1))))?;
    let mut buffer = [0; LARGEST_MESSAGE];
    match socket.recv(&mut buffer) {
        Ok(length) => Ok(buffer.get(..length).map(<[u8]>::to_vec)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {
                Ok(None)
            }
            // The server's port is closed: it will be back.
            io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(error),
        },
    }
}

/// What IPv6 needs (RFC 8200 section 5): with less the kernel takes it from the interface.
const MIN_MTU: u32 = 1280;
const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
const LARGEST_MESSAGE: usize = 1500;
/// How often a waiting client looks whether the carrier is still there.
const LOOK_AROUND: Duration = Duration::from_millis(500);
const AFTER_FAILURE: Duration = Duration::from_secs(5);
