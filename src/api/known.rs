//! Addresses that showed the agent token recently: the conductor's. They have priority for
//! connections and handshakes.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Known addresses, the most recent first. Only requests with the token add one.
#[derive(Debug, Default)]
pub(super) struct KnownAddresses(Mutex<VecDeque<IpAddr>>);

impl KnownAddresses {
    /// Adds an address that showed the token. It is the single address, not its network, which
    /// other clients may share.
    pub(super) fn remember(&self, address: IpAddr) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.front() == Some(&address) {
            return;
        }
        known.retain(|other| *other != address);
        known.truncate(MAX_ADDRESSES - 1);
        known.push_front(address);
    }

    /// Returns all of them.
    pub(super) fn all(&self) -> Vec<IpAddr> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().copied().collect()
    }

    /// Returns whether an address showed the token.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&address)
    }
}

/// Above the number of conductors that contact one node in any Ironic.
const MAX_ADDRESSES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_addresses_are_remembered_each_once() {
        let address = |number: u32| IpAddr::from(std::net::Ipv4Addr::from(number));
        let known = KnownAddresses::default();
        for number in 0..1000 {
            known.remember(address(number));
            known.remember(address(7));
        }
        let remembered = (0..1000).filter(|number| known.contains(address(*number)));
        let latest = [7].into_iter().chain(1000 - 63..1000);
        assert_eq!(remembered.collect::<Vec<_>>(), latest.collect::<Vec<_>>());
    }
}
