//! The addresses that showed the agent token lately: the conductor's, which get room and turns before all others.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// The latest first. Nobody without the token adds to them.
#[derive(Debug, Default)]
pub(super) struct KnownAddresses(Mutex<VecDeque<IpAddr>>);

impl KnownAddresses {
    /// Remembers an address that showed the token. It is the address itself, not its network: strangers may be in the same one.
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

/// More than any Ironic has conductors that talk to one node.
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
