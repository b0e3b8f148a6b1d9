//! IP address in the resolver's files, with a zone if it is valid on one link only.

use crate::sys::address::link_index;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// IP address with an optional zone: `192.0.2.1`, `2001:db8::1`, `fe80::1%eth0` (RFC 4007 section
/// 11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScopedAddress {
    ip: IpAddr,
    /// Interface of the address, by its name or index.
    zone: Option<String>,
}

impl ScopedAddress {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (ip, zone) = match text.split_once('%') {
            Some((ip, zone)) => (ip, Some(zone.to_owned())),
            None => (text, None),
        };
        Some(Self {
            ip: ip.parse().ok()?,
            zone: zone.filter(|zone| !zone.is_empty()),
        })
    }

    /// Returns the socket address, with the interface's current index as its scope.
    ///
    /// # Errors
    /// The interface does not exist.
    pub(super) fn socket_address(&self, port: u16) -> io::Result<SocketAddr> {
        match (self.ip, &self.zone) {
            (IpAddr::V6(ip), Some(zone)) => {
                let scope = match zone.parse() {
                    Ok(number) => number,
                    Err(_) => link_index(zone)?,
                };
                Ok(SocketAddrV6::new(ip, port, 0, scope).into())
            }
            (ip, _) => Ok(SocketAddr::new(ip, port)),
        }
    }

    pub(super) fn is_ipv6(&self) -> bool {
        self.ip.is_ipv6()
    }
}

impl fmt::Display for ScopedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ip)?;
        match &self.zone {
            Some(zone) => write!(f, "%{zone}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_becomes_the_interfaces_number() {
        let address = |text: &str| ScopedAddress::parse(text).unwrap();
        assert_eq!(
            address("fe80::1%lo").socket_address(53).unwrap(),
            SocketAddrV6::new("fe80::1".parse().unwrap(), 53, 0, 1).into()
        );
        assert_eq!(
            address("fe80::1%7").socket_address(53).unwrap(),
            SocketAddrV6::new("fe80::1".parse().unwrap(), 53, 0, 7).into()
        );
        let error = address("fe80::1%none").socket_address(53).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        assert_eq!(address("fe80::1%lo").to_string(), "fe80::1%lo");
        assert_eq!(
            address("192.0.2.1").socket_address(53).unwrap(),
            "192.0.2.1:53".parse().unwrap()
        );
    }
}
