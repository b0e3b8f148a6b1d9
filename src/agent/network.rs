//! What the agent itself asks of the kernel's network: its own address, and silence.

use crate::conductor::address;
use crate::sys::netlink::Netlink;
use std::io;
use std::net::IpAddr;

/// Takes every interface down.
pub(super) fn take_network_down() {
    let down = || -> io::Result<()> {
        let mut netlink = Netlink::open()?;
        for link in netlink.links()? {
            netlink.set_down(link.index)?;
        }
        Ok(())
    };
    if let Err(error) = down() {
        tracing::error!(%error, "the network cannot be taken down");
    }
}

/// The kernel's routes and addresses.
pub(super) struct Routes;

impl address::Network for Routes {
    fn route_source(&self, destination: IpAddr) -> io::Result<IpAddr> {
        Netlink::open()?.route_source(destination)
    }

    fn interface_address(&self, name: &str) -> io::Result<IpAddr> {
        let mut netlink = Netlink::open()?;
        let link = netlink.links()?.into_iter().find(|link| link.name == name);
        let index = link
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?
            .index;
        let mut addresses: Vec<_> = netlink
            .addresses()?
            .into_iter()
            .filter(|a| a.link == index && !address::is_link_local(a.address))
            .map(|a| a.address)
            .collect();
        addresses.sort_by_key(IpAddr::is_ipv6);
        addresses
            .into_iter()
            .next()
            .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
    }
}
