//! IPv6 on one interface, as far as it is not the kernel's: DHCPv6 when a router says so.

use super::dhcp6::{Action, Client, Lease, Wish};
use super::names::{Origin, Said, Source};
use super::{Interface, Network, View};
use crate::progress::Cancel;
use crate::sys::netlink::{Netlink, NewAddress, RouterAdvice};
use dhcproto::v6::Message;
use dhcproto::{Decodable, Encodable};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::{Duration, Instant};

/// Serves the interface until it is gone.
pub(super) fn run(network: &Network, interface: &Interface) {
    let mut worker = Worker {
        network,
        interface,
        address: None,
    };
    loop {
        let view = network.wait(Duration::MAX, |view| {
            view.is_gone(interface.index) || worker.wish(view).is_some()
        });
        if view.is_gone(interface.index) {
            return;
        }
        let wish = worker.wish(&view);
        drop(view);
        if let Some(wish) = wish
            && let Err(error) = worker.serve(wish)
        {
            tracing::warn!(interface = interface.name, %error, "DHCPv6 begins again");
            let _never = Cancel::default().wait(AFTER_FAILURE);
        }
    }
}

struct Worker<'a> {
    network: &'a Network,
    interface: &'a Interface,
    /// The address in use.
    address: Option<Ipv6Addr>,
}

impl Worker<'_> {
    /// What the router tells us to ask for, while there is a carrier.
    fn wish(&self, view: &View) -> Option<Wish> {
        let link = view.links.get(&self.interface.index)?;
        match link.router {
            _ if !link.carrier => None,
            RouterAdvice { managed: true, .. } => Some(Wish::Address),
            RouterAdvice { other: true, .. } => Some(Wish::Facts),
            _ => None,
        }
    }

    /// Asks as long as the wish stays the same.
    fn serve(&mut self, wish: Wish) -> io::Result<()> {
        let socket = self.socket()?;
        let mut client = Client::new(self.interface.mac, wish, Instant::now());
        let mut moves = self.network.view().moves;
        loop {
            let asked = std::mem::replace(&mut moves, self.network.view().moves);
            if asked != moves {
                client = Client::new(self.interface.mac, wish, Instant::now());
            }
            let now = Instant::now();
            let left = client.deadline().saturating_duration_since(now);
            let idle = if client.is_bound() {
                left
            } else {
                Duration::ZERO
            };
            let changed = |view: &View| self.wish(view) != Some(wish);
            let moved = |view: &View| view.moves != moves;
            if changed(&self.network.wait(idle, |view| changed(view) || moved(view))) {
                return Ok(());
            }
            let actions = if left.is_zero() {
                client.time(now)
            } else if client.is_bound() {
                continue;
            } else {
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
            Action::Configure(lease) => self.configure(&lease),
            Action::Send(message) => {
                let to = SocketAddrV6::new(ALL_SERVERS, SERVER_PORT, 0, self.interface.index);
                let bytes = message.to_vec().map_err(io::Error::other)?;
                // Our own link-local address may still be in its check for duplicates.
                if let Err(error) = socket.send_to(&bytes, to) {
                    tracing::debug!(interface = self.interface.name, %error, "Cannot send");
                }
                Ok(())
            }
            Action::Withdraw => self.withdraw(),
        }
    }

    fn configure(&mut self, lease: &Lease) -> io::Result<()> {
        if let Some((address, valid)) = lease.address {
            if self.address.is_some_and(|old| old != address) {
                self.withdraw()?;
            }
            Netlink::open()?.add_address(&NewAddress {
                link: self.interface.index,
                address: address.into(),
                prefix: HOST_PREFIX,
                valid: Some(valid),
                metric: self.interface.metric,
            })?;
            if self.address.replace(address).is_none() {
                tracing::info!(interface = self.interface.name, %address, "Got an address by DHCPv6");
            }
        }
        let origin = Origin {
            metric: self.interface.metric,
            source: Source::Dhcp6,
        };
        let servers = lease.name_servers.iter().copied().map(IpAddr::V6);
        let said = Said::new(servers, &self.interface.name, lease.search.clone());
        self.network.learn(origin, said);
        Ok(())
    }

    fn withdraw(&mut self) -> io::Result<()> {
        let Some(address) = self.address.take() else {
            return Ok(());
        };
        tracing::info!(interface = self.interface.name, %address, "Gave back an address");
        match Netlink::open()?.remove_address(self.interface.index, address.into(), HOST_PREFIX) {
            // The kernel has taken it already when its time was over.
            Err(error) if error.raw_os_error() == Some(nix::libc::EADDRNOTAVAIL) => Ok(()),
            other => other,
        }
    }

    fn socket(&self) -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_only_v6(true)?;
        socket.set_reuse_address(true)?;
        socket.bind_device(Some(self.interface.name.as_bytes()))?;
        socket.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, CLIENT_PORT, 0, 0).into())?;
        Ok(socket.into())
    }
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
            _ => Err(error),
        },
    }
}

/// All_DHCP_Relay_Agents_and_Servers.
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 1, 2);
const CLIENT_PORT: u16 = 546;
const SERVER_PORT: u16 = 547;
/// The way to the network is the router's word, not the lease's.
const HOST_PREFIX: u8 = 128;
const LARGEST_MESSAGE: usize = 1500;
const LOOK_AROUND: Duration = Duration::from_millis(500);
const AFTER_FAILURE: Duration = Duration::from_secs(5);
