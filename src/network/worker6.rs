//! IPv6 on one interface, as far as it is not the kernel's: DHCPv6 when a router says so.

use super::dhcp6::{Action, Client};
use super::driver::{self, Session};
use super::lease6::{Lease, Request};
use super::random::random;
use super::refusals::Refusals;
use super::resolver::{DnsConfig, DnsSource, Source};
use super::view::{Interface, Network, View};
use crate::formats::dhcp6::Message;
use crate::sys::netlink::{Address, Changes, Netlink, NewAddress, RouterAdvice};
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
        refusals: Refusals::default(),
    };
    loop {
        let wish = network.wait(Duration::MAX, |view| match worker.wanted(view) {
            Some(wish) => Some(Some(wish)),
            None => view.is_gone(interface.index).then_some(None),
        });
        let Some(wish) = wish.flatten() else {
            return;
        };
        if let Err(error) = worker.serve(wish) {
            driver::pause_after(&error, interface, Dhcp::PROTOCOL);
        }
    }
}

struct Worker<'a> {
    network: &'a Network,
    interface: &'a Interface,
    /// The address in use.
    address: Option<Ipv6Addr>,
    refusals: Refusals,
}

/// Whether an address is this machine's own now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Configured {
    /// Another host on the link has it.
    Duplicate,
    Used,
}

impl Worker<'_> {
    /// What the router tells us to ask for, while there is a carrier.
    fn wanted(&self, view: &View) -> Option<Request> {
        let link = view.links.get(&self.interface.index)?;
        match link.router {
            _ if !link.carrier => None,
            RouterAdvice { managed: true, .. } => Some(Request::Address),
            RouterAdvice { other: true, .. } => Some(Request::InformationOnly),
            _ => None,
        }
    }

    /// Asks as long as the wish stays the same.
    fn serve(&mut self, wish: Request) -> io::Result<()> {
        let socket = self.socket()?;
        let (network, interface) = (self.network, self.interface);
        let mut session = Dhcp {
            worker: self,
            wish,
            socket,
        };
        driver::drive(network, interface, &mut session)
    }

    fn configure(&mut self, lease: &Lease) -> io::Result<Configured> {
        if let Some((address, valid)) = lease.address {
            if self.address.is_some_and(|old| old != address) {
                self.withdraw()?;
            }
            let new = NewAddress {
                link: self.interface.index,
                address: address.into(),
                prefix: HOST_PREFIX,
                valid: Some(valid),
                metric: self.interface.metric,
            };
            if self.address.is_some() {
                Netlink::open()?.add_address(&new)?;
            } else if add_and_check(&new)? == Configured::Duplicate {
                tracing::error!(
                    interface = self.interface.name,
                    %address,
                    "the address by DHCPv6 is another host's: declined it"
                );
                self.address = Some(address);
                return Ok(Configured::Duplicate);
            } else {
                tracing::info!(interface = self.interface.name, %address, "Got an address by DHCPv6");
            }
            self.address = Some(address);
        }
        self.refusals = Refusals::default();
        self.learn(&lease.name_servers, lease.search.clone());
        Ok(Configured::Used)
    }

    fn learn(&self, servers: &[Ipv6Addr], search: Vec<String>) {
        let origin = DnsSource {
            metric: self.interface.metric,
            source: Source::Dhcp6,
        };
        let servers = servers.iter().copied().map(IpAddr::V6);
        let said = DnsConfig::new(servers, &self.interface.name, search);
        self.network.learn(origin, said);
    }

    fn withdraw(&mut self) -> io::Result<()> {
        let Some(address) = self.address.take() else {
            return Ok(());
        };
        tracing::info!(interface = self.interface.name, %address, "Gave back an address");
        self.learn(&[], Vec::new());
        match Netlink::open()?.remove_address(self.interface.index, address.into(), HOST_PREFIX) {
            // The kernel has taken it already: its time was over, or it is another host's.
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

/// Adds an address and waits for duplicate address detection (RFC 4862 section 5.4). The kernel removes
/// a duplicate with a lifetime, and keeps one without as unusable.
fn add_and_check(new: &NewAddress) -> io::Result<Configured> {
    // To listen comes first, so that no change falls between.
    let changes = Changes::listen()?;
    let mut netlink = Netlink::open()?;
    netlink.add_address(new)?;
    let end = Instant::now() + CHECK_TIMEOUT;
    loop {
        let addresses = netlink.addresses()?;
        let ours = |found: &&Address| found.link == new.link && found.address == new.address;
        match addresses.iter().find(ours) {
            Some(address) if address.duplicate => return Ok(Configured::Duplicate),
            Some(address) if !address.unusable => return Ok(Configured::Used),
            Some(_) => {}
            None => return Ok(Configured::Duplicate),
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // The link is down, say: the kernel asks when it is there again.
            return Ok(Configured::Used);
        }
        changes.wait(left)?;
    }
}

/// DHCPv6 while the routers say the same.
struct Dhcp<'a, 'b> {
    worker: &'b mut Worker<'a>,
    wish: Request,
    socket: UdpSocket,
}

impl Session for Dhcp<'_, '_> {
    type Client = Client;
    const PROTOCOL: &'static str = "DHCPv6";

    fn new_client(&self) -> io::Result<Client> {
        let (mac, xid) = (self.worker.interface.mac, random()?);
        Ok(Client::new(mac, xid, self.wish, Instant::now()))
    }

    fn is_wanted(&self, view: &View) -> bool {
        self.worker.wanted(view) == Some(self.wish)
    }

    fn receive(&mut self, _: &Client, timeout: Duration) -> io::Result<Option<Message>> {
        let received = driver::receive(&self.socket, timeout)?;
        Ok(received.and_then(|bytes| Message::parse(&bytes)))
    }

    fn perform(&mut self, client: &mut Client, action: Action) -> io::Result<Vec<Action>> {
        match action {
            Action::Configure(lease) => {
                if self.worker.configure(&lease)? == Configured::Duplicate {
                    return Ok(client.decline(Instant::now()));
                }
            }
            Action::Log(refusal) => {
                let interface = &self.worker.interface.name;
                self.worker.refusals.log(interface, &refusal);
            }
            Action::Send(message) => {
                let interface = self.worker.interface;
                let to = SocketAddrV6::new(ALL_SERVERS, SERVER_PORT, 0, interface.index);
                // Our own link-local address may still be in its check for duplicates.
                if let Err(error) = self.socket.send_to(&message.to_bytes(), to) {
                    tracing::debug!(interface = interface.name, %error, "Cannot send");
                }
            }
            Action::Deconfigure => self.worker.withdraw()?,
        }
        Ok(Vec::new())
    }
}

/// All_DHCP_Relay_Agents_and_Servers.
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 1, 2);
const CLIENT_PORT: u16 = 546;
const SERVER_PORT: u16 = 547;
/// The way to the network is the router's word, not the lease's.
const HOST_PREFIX: u8 = 128;
/// Longer than the kernel asks: a random second at most, and one for each question.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
