//! What the agent itself asks of the kernel's network: its own address, and silence.

use crate::conductor::address;
use crate::sys::netlink::Netlink;
use std::io;
use std::net::IpAddr;

/// Takes every interface down. The machine is marked as locked down by now: `ferrite network` leaves
/// them down, and those that appear later.
pub(super) fn take_network_down() {
    let links = Netlink::open().and_then(|mut netlink| Ok((netlink.links()?, netlink)));
    let (links, mut netlink) = match links {
        Ok(open) => open,
        Err(error) => {
            tracing::error!(%error, "the network cannot be taken down");
            return;
        }
    };
    for link in links {
        // One that stays is no reason to leave the others up.
        if let Err(error) = netlink.set_down(link.index) {
            tracing::error!(interface = link.name, %error, "an interface cannot be taken down");
        }
    }
}

/// The kernel's routes and addresses.
pub(super) struct KernelNetwork;

impl address::LocalAddresses for KernelNetwork {
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

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};

    #[test]
    fn a_machine_that_is_locked_down_has_its_interfaces_down() {
        // The thread's own network has a loopback interface alone.
        unshare(CloneFlags::CLONE_NEWNET).expect("the test needs root");
        let mut netlink = Netlink::open().unwrap();
        let links = netlink.links().unwrap();
        netlink.set_up(links[0].index).unwrap();
        assert!(netlink.links().unwrap()[0].up);
        take_network_down();
        assert!(!netlink.links().unwrap()[0].up);
    }
}
