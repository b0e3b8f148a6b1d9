//! Lists the addresses of network interfaces (`getifaddrs`).

use std::io;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

/// Address of a network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Name of the interface.
    pub interface: String,
    /// IP address.
    pub ip: IpAddr,
    /// Scope ID of a link-local IPv6 address; zero for an address that is valid everywhere.
    pub scope: u32,
}

/// Returns all IP addresses, in the kernel's order.
///
/// # Errors
/// The error of `getifaddrs`.
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

/// Returns the index of the interface with this name.
///
/// # Errors
/// The kernel's error, for instance that no interface has this name.
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
