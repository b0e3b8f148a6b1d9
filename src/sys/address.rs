//! The addresses of the network interfaces (`getifaddrs`).

use std::io;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface's name.
    pub interface: String,
    /// The address.
    pub ip: IpAddr,
    /// The number of the link an IPv6 address is bound to; zero for those that are valid everywhere.
    pub scope: u32,
}

/// All IP addresses, in the kernel's order.
///
/// # Errors
/// What the kernel says.
pub fn list() -> io::Result<Vec<InterfaceAddress>> {
    let addresses = getifaddrs()?.filter_map(|entry| {
        let address = entry.address?;
        let (ip, scope) = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(address), _) => (IpAddr::from(address.ip()), 0),
            (_, Some(address)) => (IpAddr::from(address.ip()), address.scope_id()),
            _ => return None,
        };
        Some(InterfaceAddress {
            interface: entry.interface_name,
            ip,
            scope,
        })
    });
    Ok(addresses.collect())
}

/// The number of the interface of this name.
///
/// # Errors
/// What the kernel says; there may be no such interface.
pub fn link_index(name: &str) -> io::Result<u32> {
    Ok(nix::net::if_::if_nametoindex(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_lists_addresses_by_interface() {
        let names: Vec<String> = list()
            .unwrap()
            .into_iter()
            .map(|address| address.interface)
            .collect();
        assert!(names.iter().all(|name| !name.is_empty()), "{names:?}");
    }
}
