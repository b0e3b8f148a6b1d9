//! IPv4 on one interface: carries out what the DHCP client says, or the static address of the kernel arguments.

use super::dhcp4::{Action, Client, Lease};
use super::names::{Origin, Said, Source};
use super::options::Fixed;
use super::{Interface, Network};
use crate::progress::Cancel;
use crate::sys::netlink::{Netlink, NewAddress, NewRoute};
use dhcproto::v4::Message;
use dhcproto::{Decodable, Encodable};
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
    };
    loop {
        let view = network.wait(Duration::MAX, |view| {
            view.is_gone(interface.index) || view.has_carrier(interface.index)
        });
        if view.is_gone(interface.index) {
            return;
        }
        drop(view);
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
}

impl Worker<'_> {
    /// Keeps an address on the interface as long as there is a carrier.
    fn serve(&mut self) -> io::Result<()> {
        if let Some(fixed) = self.fixed() {
            self.configure_fixed(fixed)?;
            while !self.wait_for_carrier_loss(Duration::MAX, self.network.view().moves) {}
            return Ok(());
        }
        let socket = self.socket()?;
        let mut client = Client::new(self.interface.mac, Instant::now());
        let mut moves = self.network.view().moves;
        loop {
            let asked = std::mem::replace(&mut moves, self.network.view().moves);
            if asked != moves {
                tracing::info!(
                    interface = self.interface.name,
                    "Asking for an address afresh"
                );
                client = Client::new(self.interface.mac, Instant::now());
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
                match receive(&socket, left.min(LOOK_AROUND))? {
                    Some(message) => client.receive(&message, Instant::now()),
                    None => continue,
                }
            };
            for action in actions {
                self.perform(&socket, action)?;
            }
        }
    }

    fn perform(&mut self, socket: &UdpSocket, action: Action) -> io::Result<()> {
        match action {
            Action::Configure(lease) => self.configure(lease),
            Action::Send(message, to) => {
                let to = SocketAddrV4::new(to.unwrap_or(Ipv4Addr::BROADCAST), SERVER_PORT);
                // The next try is the client's matter.
                if let Err(error) = send(socket, &message, to) {
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
        if self
            .lease
            .as_ref()
            .is_some_and(|old| old.address != lease.address)
        {
            self.withdraw()?;
        }
        if let Some(mtu) = lease.mtu
            && let Err(error) = netlink.set_mtu(link, mtu)
        {
            tracing::warn!(interface = self.interface.name, mtu, %error, "Cannot set the MTU");
        }
        netlink.add_address(&NewAddress {
            link,
            address: lease.address.into(),
            prefix: lease.prefix,
            valid: lease.lifetime,
            metric: self.interface.metric,
        })?;
        for route in &lease.routes {
            let added = netlink.add_route(&NewRoute {
                link,
                network: (route.network, route.prefix),
                gateway: route.gateway,
                metric: self.interface.metric,
            });
            if let Err(error) = added {
                tracing::warn!(interface = self.interface.name, ?route, %error, "Cannot add a route");
            }
        }
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
        }
        self.lease = Some(lease);
        Ok(())
    }

    fn withdraw(&mut self) -> io::Result<()> {
        let Some(lease) = self.lease.take() else {
            return Ok(());
        };
        tracing::info!(interface = self.interface.name, address = %lease.address, "Gave back an address");
        let (link, address) = (self.interface.index, lease.address.into());
        match Netlink::open()?.remove_address(link, address, lease.prefix) {
            // The kernel has taken it already when its time was over.
            Err(error) if error.raw_os_error() == Some(nix::libc::EADDRNOTAVAIL) => Ok(()),
            other => other,
        }
    }

    /// The static address, when it is meant for this interface.
    fn fixed(&self) -> Option<&Fixed> {
        let options = &self.network.0.options;
        let fixed = options.fixed.as_ref()?;
        let meant = match (&fixed.device, options.boot_mac) {
            (Some(device), _) => *device == self.interface.name,
            (None, Some(mac)) => mac == self.interface.mac,
            (None, None) => true,
        };
        meant.then_some(fixed)
    }

    fn configure_fixed(&self, fixed: &Fixed) -> io::Result<()> {
        let mut netlink = Netlink::open()?;
        let link = self.interface.index;
        netlink.add_address(&NewAddress {
            link,
            address: fixed.address.into(),
            prefix: fixed.prefix,
            valid: None,
            metric: self.interface.metric,
        })?;
        if fixed.gateway.is_some() {
            netlink.add_route(&NewRoute {
                link,
                network: (Ipv4Addr::UNSPECIFIED, 0),
                gateway: fixed.gateway,
                metric: self.interface.metric,
            })?;
        }
        self.learn(&fixed.name_servers, Vec::new(), fixed.host_name.as_deref());
        tracing::info!(interface = self.interface.name, address = %fixed.address, "Has the address of the kernel arguments");
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
            self.network.names().learn_host(host);
        }
    }

    /// Waits at most so long, or until the machine has moved again; says whether the carrier is gone.
    fn wait_for_carrier_loss(&self, patience: Duration, moves: u32) -> bool {
        let index = self.interface.index;
        let lost = !self
            .network
            .wait(patience, |view| {
                !view.has_carrier(index) || view.moves != moves
            })
            .has_carrier(index);
        if lost {
            tracing::info!(interface = self.interface.name, "The link is down");
        }
        lost
    }

    fn socket(&self) -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_broadcast(true)?;
        socket.bind_device(Some(self.interface.name.as_bytes()))?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT).into())?;
        Ok(socket.into())
    }
}

fn send(socket: &UdpSocket, message: &Message, to: SocketAddrV4) -> io::Result<()> {
    let mut bytes = message.to_vec().map_err(io::Error::other)?;
    bytes.resize(bytes.len().max(SHORTEST_MESSAGE), 0);
    socket.send_to(&bytes, to).map(|_| ())
}

/// The next message that is one; `None` when none came in time.
fn receive(socket: &UdpSocket, patience: Duration) -> io::Result<Option<Message>> {
    // Zero would mean for ever.
    socket.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
    let mut buffer = [0; LARGEST_MESSAGE];
    match socket.recv(&mut buffer) {
        Ok(length) => {
            let bytes = buffer.get(..length).unwrap_or_default();
            Ok(Message::from_bytes(bytes).ok())
        }
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

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
/// BOOTP's size: some relays drop shorter ones.
const SHORTEST_MESSAGE: usize = 300;
const LARGEST_MESSAGE: usize = 1500;
/// How often a waiting client looks whether the carrier is still there.
const LOOK_AROUND: Duration = Duration::from_millis(500);
const AFTER_FAILURE: Duration = Duration::from_secs(5);
