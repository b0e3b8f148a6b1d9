//! DNS configuration from router advertisements (RFC 8106): the kernel hands on each option by
//! itself, and forgets it.

use super::resolver::DnsConfig;
use crate::formats::domain_name::{self, Compression};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// What the routers of one link said and did not take back.
#[derive(Debug, Default)]
pub(super) struct RouterDns {
    servers: Vec<(Ipv6Addr, Expiry)>,
    domains: Vec<(String, Expiry)>,
}

/// `None`: never.
type Expiry = Option<Instant>;

impl RouterDns {
    /// Takes over neighbour-discovery options; those of other kinds change nothing.
    pub(super) fn learn(&mut self, mut options: &[u8], now: Instant) {
        while let [kind, units, ..] = options {
            let length = usize::from(*units) * 8;
            let Some((option, rest)) = options.split_at_checked(length).filter(|_| length > 0)
            else {
                return;
            };
            if let Some((_, body)) = option.split_at_checked(4)
                && let Some((lifetime, list)) = body.split_first_chunk::<4>()
            {
                let lifetime = u32::from_be_bytes(*lifetime);
                match *kind {
                    RECURSIVE_DNS_SERVER => {
                        let (addresses, _) = list.as_chunks::<16>();
                        let addresses = addresses.iter().copied().map(Ipv6Addr::from_octets);
                        addresses.for_each(|server| take(&mut self.servers, server, lifetime, now));
                    }
                    DNS_SEARCH_LIST => domain_name::read_list(list, Compression::Forbidden)
                        .into_iter()
                        .for_each(|domain| take(&mut self.domains, domain, lifetime, now)),
                    _ => {}
                }
            }
            options = rest;
        }
    }

    /// Forgets what was not said again in time.
    pub(super) fn expire(&mut self, now: Instant) {
        let lasts = |expiry: &Expiry| expiry.is_none_or(|expiry| expiry > now);
        self.servers.retain(|(_, expiry)| lasts(expiry));
        self.domains.retain(|(_, expiry)| lasts(expiry));
    }

    /// All of it, of the link with this name.
    pub(super) fn dns_config(&self, link: &str) -> DnsConfig {
        let servers = self.servers.iter().map(|(server, _)| IpAddr::V6(*server));
        let domains = self.domains.iter().map(|(domain, _)| domain.clone());
        DnsConfig::new(servers, link, domains)
    }
}

/// A lifetime of zero takes an entry back; one that is there keeps its place. Of too many the
/// oldest goes.
fn take<T: PartialEq>(entries: &mut Vec<(T, Expiry)>, new: T, lifetime: u32, now: Instant) {
    let expiry = (lifetime < u32::MAX).then(|| now + Duration::from_secs(lifetime.into()));
    if lifetime == 0 {
        entries.retain(|(known, _)| *known != new);
    } else if let Some((_, known)) = entries.iter_mut().find(|(known, _)| *known == new) {
        *known = expiry;
    } else {
        entries.push((new, expiry));
        if entries.len() > MAX_ENTRIES {
            entries.remove(0);
        }
    }
}

const RECURSIVE_DNS_SERVER: u8 = 25;
const DNS_SEARCH_LIST: u8 = 31;
/// More than the resolver's file takes.
const MAX_ENTRIES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn server(last: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)
    }

    fn servers_option(lifetime: u32, servers: &[Ipv6Addr]) -> Vec<u8> {
        let units = u8::try_from(1 + 2 * servers.len()).unwrap();
        let mut option = vec![25, units, 0, 0];
        option.extend(lifetime.to_be_bytes());
        option.extend(servers.iter().flat_map(Ipv6Addr::octets));
        option
    }

    fn domain_option(lifetime: u32) -> Vec<u8> {
        let mut option = vec![31, 3, 0, 0];
        option.extend(lifetime.to_be_bytes());
        option.extend(b"\x04corp\x07example\0\0\0");
        option
    }

    fn said(dns: &RouterDns) -> (Vec<String>, Vec<String>) {
        let said = dns.dns_config("eth0");
        (said.servers, said.search)
    }

    #[test]
    fn options_that_come_one_by_one_add_up() {
        let now = Instant::now();
        let mut dns = RouterDns::default();
        dns.learn(&servers_option(60, &[server(1)]), now);
        dns.learn(&domain_option(60), now);
        dns.learn(&servers_option(60, &[server(2), server(1)]), now);
        assert_eq!(
            said(&dns),
            (
                vec!["2001:db8::1".into(), "2001:db8::2".into()],
                vec!["corp.example".into()]
            )
        );
    }

    #[test]
    fn a_lifetime_of_zero_takes_back_what_it_names() {
        let now = Instant::now();
        let mut dns = RouterDns::default();
        let mut options = servers_option(60, &[server(1), server(2)]);
        options.extend(domain_option(60));
        dns.learn(&options, now);
        dns.learn(&servers_option(0, &[server(1)]), now);
        dns.learn(&domain_option(0), now);
        assert_eq!(said(&dns), (vec!["2001:db8::2".into()], vec![]));
    }

    #[test]
    fn what_is_not_said_again_in_time_is_forgotten() {
        let now = Instant::now();
        let mut dns = RouterDns::default();
        dns.learn(&servers_option(60, &[server(1), server(2)]), now);
        dns.learn(&servers_option(u32::MAX, &[server(3)]), now);
        dns.learn(&domain_option(60), now);
        dns.learn(&servers_option(90, &[server(2)]), now);
        dns.expire(now + Duration::from_secs(60));
        let kept = vec!["2001:db8::2".into(), "2001:db8::3".into()];
        assert_eq!(said(&dns), (kept, vec![]));
        dns.expire(now + Duration::from_secs(1_000_000));
        assert_eq!(said(&dns), (vec!["2001:db8::3".into()], vec![]));
    }

    #[test]
    fn of_many_the_latest_stay() {
        let now = Instant::now();
        let mut dns = RouterDns::default();
        for last in 1..=20 {
            dns.learn(&servers_option(60, &[server(last)]), now);
        }
        let (servers, _) = said(&dns);
        assert_eq!(servers.len(), MAX_ENTRIES);
        assert_eq!(servers.last().unwrap(), "2001:db8::14");
    }

    #[test]
    fn malformed_options_change_nothing() {
        let now = Instant::now();
        let mut dns = RouterDns::default();
        for options in [
            &[25, 0, 0, 0][..],
            &[25, 3, 0, 0, 0, 0],
            &[25],
            &[1, 1, 2, 3, 4, 5, 6, 7],
        ] {
            dns.learn(options, now);
        }
        assert_eq!(said(&dns), (vec![], vec![]));
    }

    proptest! {
        #[test]
        fn no_options_make_it_panic(options in prop::collection::vec(
            prop_oneof![any::<u8>(), 0_u8..4, Just(25), Just(31)], 0..128,
        )) {
            let mut dns = RouterDns::default();
            dns.learn(&options, Instant::now());
            prop_assert!(dns.servers.len() <= MAX_ENTRIES && dns.domains.len() <= MAX_ENTRIES);
        }
    }
}
