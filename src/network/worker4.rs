//! IPv4 on one interface: carries out what the DHCP client says, or the static address of the kernel arguments.

use super::dhcp4::{Action, Client};
use super::driver::{self, Session};
use super::kernel_ip::StaticAddress;
use super::lease4::{Lease, Route, in_order};
use super::random::random;
use super::refusals::Refusals;
use super::resolver::{DnsConfig, DnsSource, Source};
use super::view::{Interface, Network, View};
use crate::formats::dhcp4::Message;
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
            driver::pause_after(&error, interface, Dhcp::PROTOCOL);
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
            let index = self.interface.index;
            let lost = |view: &View| (!view.has_carrier(index)).then_some(());
            let _lost = self.network.wait(Duration::MAX, lost);
            self.log_carrier_loss();
            return Ok(());
        }
        let udp = self.udp_socket()?;
        let (network, interface) = (self.network, self.interface);
        let mut session = Dhcp {
            worker: self,
            udp,
            packets: None,
        };
        driver::drive(network, interface, &mut session)?;
        self.log_carrier_loss();
        Ok(())
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

    fn configure_fixed(&self, fixed: &StaticAddress) -> io::Result<()> {
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
        let origin = DnsSource {
            metric: self.interface.metric,
            source: Source::Dhcp4,
        };
        let servers = servers.iter().copied().map(IpAddr::V4);
        self.network.learn(
            origin,
            DnsConfig::new(servers, &self.interface.name, search),
        );
        if let Some(host) = host {
            self.network.learn_host(host);
        }
    }

    fn log_carrier_loss(&self) {
        tracing::info!(interface = self.interface.name, "The link is down");
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

/// DHCPv4 while there is a carrier.
struct Dhcp<'a, 'b> {
    worker: &'b mut Worker<'a>,
    udp: UdpSocket,
    /// Without an address the kernel drops replies to it, and sends from another interface's.
    packets: Option<PacketSocket>,
}

impl Session for Dhcp<'_, '_> {
    type Client = Client;
    const PROTOCOL: &'static str = "DHCPv4";

    fn new_client(&self) -> io::Result<Client> {
        let xid = u32::from_ne_bytes(random()?);
        Ok(Client::new(self.worker.interface.mac, xid, Instant::now()))
    }

    fn is_wanted(&self, view: &View) -> bool {
        view.has_carrier(self.worker.interface.index)
    }

    fn receive(&mut self, client: &Client, timeout: Duration) -> io::Result<Option<Message>> {
        self.choose_socket(client)?;
        let received = match &self.packets {
            Some(packets) => packets.receive(timeout)?,
            None => driver::receive(&self.udp, timeout)?,
        };
        match received.map(|bytes| Message::parse(&bytes)).transpose() {
            Ok(message) => Ok(message),
            Err(reason) => {
                // Any host's, to any other.
                let interface = &self.worker.interface.name;
                tracing::debug!(interface, %reason, "passed over a message");
                Ok(None)
            }
        }
    }

    fn perform(&mut self, client: &mut Client, action: Action) -> io::Result<Vec<Action>> {
        match action {
            Action::Configure(lease) => self.worker.configure(lease)?,
            Action::Log(refusal) => {
                let interface = &self.worker.interface.name;
                self.worker.refusals.log(interface, &refusal);
            }
            Action::Send(message, to) => {
                self.choose_socket(client)?;
                self.send(&message, to);
            }
            Action::Deconfigure => self.worker.withdraw()?,
        }
        Ok(Vec::new())
    }
}

impl Dhcp<'_, '_> {
    fn choose_socket(&mut self, client: &Client) -> io::Result<()> {
        if !client.is_without_address() {
            self.packets = None;
        } else if self.packets.is_none() {
            let index = self.worker.interface.index;
            self.packets = Some(PacketSocket::open(index, CLIENT_PORT)?);
        }
        Ok(())
    }

    fn send(&self, message: &Message, to: Option<Ipv4Addr>) {
        let bytes = message.to_bytes();
        let sent = match (&self.packets, to) {
            (Some(packets), None) => packets.broadcast(&bytes, SERVER_PORT),
            (_, to) => {
                let to = SocketAddrV4::new(to.unwrap_or(Ipv4Addr::BROADCAST), SERVER_PORT);
                self.udp.send_to(&bytes, to).map(drop)
            }
        };
        // The next try is the client's matter.
        if let Err(error) = sent {
            tracing::debug!(interface = self.worker.interface.name, %error, "Cannot send");
        }
    }
}

/// What IPv6 needs (RFC 8200 section 5): with less the kernel takes it from the interface.
const MIN_MTU: u32 = 1280;
const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
