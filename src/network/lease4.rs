//! What a DHCPv4 server gives: an address, and all that its options say of the network.

use crate::formats::dhcp4::{ClasslessRoute, Malformed, Message, class_prefix_length, code};
use std::net::Ipv4Addr;
use std::time::Duration;

/// What a server gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
    /// In the order in which the kernel takes them.
    pub(super) routes: Vec<Route>,
    pub(super) name_servers: Vec<Ipv4Addr>,
    pub(super) search: Vec<String>,
    pub(super) host_name: Option<String>,
    pub(super) mtu: Option<u32>,
    /// `None`: for ever.
    pub(super) lifetime: Option<Duration>,
    /// Options that could not be read: the lease is used without them.
    pub(super) malformed: Vec<Malformed>,
    pub(super) server: Ipv4Addr,
    pub(super) renew: Duration,
    pub(super) rebind: Duration,
}

/// A way to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) network: Ipv4Addr,
    pub(super) prefix: u8,
    /// `None`: on the link itself.
    pub(super) gateway: Option<Ipv4Addr>,
}

/// Why an offer or an acknowledgement gives no lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("the address {0} cannot be a host's")]
    Address(Ipv4Addr),
    #[error("it does not say which server it is from (option 54)")]
    NoServer,
}

impl Lease {
    /// What an offer or an acknowledgement gives.
    pub(super) fn from_message(message: &Message) -> Result<Self, Unusable> {
        let address = message.your_address;
        let options = &message.options;
        let server = options.address(code::SERVER_IDENTIFIER).ok().flatten();
        let server = server.filter(|server| is_host(*server));
        let server = server.ok_or(Unusable::NoServer)?;
        if !is_host(address) {
            return Err(Unusable::Address(address));
        }
        let mut reader = Reader::default();
        let mut seconds = |code| {
            let seconds = reader.used(options.u32(code)).flatten();
            let seconds = seconds.filter(|seconds| *seconds < u32::MAX);
            seconds.map(|seconds| Duration::from_secs(seconds.into()))
        };
        let lifetime = seconds(code::LEASE_TIME).map(|life| life.max(MIN_LEASE));
        let whole = lifetime.unwrap_or(FOREVER);
        let rebind = seconds(code::REBINDING_TIME)
            .filter(|rebind| *rebind < whole)
            .unwrap_or(whole * 7 / 8);
        let renew = seconds(code::RENEWAL_TIME)
            .filter(|renew| *renew < rebind)
            .unwrap_or(rebind * 4 / 7);
        // Without a mask the address's class decides (RFC 2132 section 3.3 leaves no other way).
        let prefix = reader
            .used(options.prefix_length(code::SUBNET_MASK))
            .flatten()
            .unwrap_or_else(|| class_prefix_length(address));
        let routes = reader.routes(message);
        let name_servers = reader.used(options.addresses(code::NAME_SERVERS));
        let mtu = reader.used(options.u16(code::MTU)).flatten();
        Ok(Self {
            address,
            prefix,
            routes: in_order(address, prefix, routes),
            name_servers: name_servers.unwrap_or_default(),
            search: reader.search(message),
            host_name: reader.used(options.text(code::HOST_NAME)).flatten(),
            mtu: mtu.map(u32::from),
            lifetime,
            malformed: reader.malformed,
            server,
            renew: renew.max(MIN_RENEWAL),
            rebind: rebind.max(MIN_RENEWAL * 2),
        })
    }
}

/// Keeps account of what could not be read.
#[derive(Default)]
struct Reader {
    malformed: Vec<Malformed>,
}

impl Reader {
    fn used<T>(&mut self, value: Result<T, Malformed>) -> Option<T> {
        value
            .inspect_err(|malformed| self.malformed.push(*malformed))
            .ok()
    }

    /// Classless routes replace the router option (RFC 3442).
    fn routes(&mut self, message: &Message) -> Vec<Route> {
        let options = &message.options;
        let classless = self.used(options.routes(code::CLASSLESS_ROUTES)).flatten();
        if let Some(routes) = classless {
            let route = |route: ClasslessRoute| Route {
                network: route.network,
                prefix: route.prefix,
                gateway: Some(route.router).filter(|router| !router.is_unspecified()),
            };
            return routes.into_iter().map(route).collect();
        }
        let router = self.used(options.address(code::ROUTER)).flatten();
        let default = router
            .filter(|router| is_host(*router))
            .map(|router| Route {
                network: Ipv4Addr::UNSPECIFIED,
                prefix: 0,
                gateway: Some(router),
            });
        default.into_iter().collect()
    }

    /// The domain is one, but servers are seen to put several into it, as the resolver's file has
    /// them.
    fn search(&mut self, message: &Message) -> Vec<String> {
        let options = &message.options;
        let list = self.used(options.domain_names(code::DOMAIN_SEARCH));
        if let Some(list) = list.filter(|list| !list.is_empty()) {
            return list;
        }
        let domains = self.used(options.text(code::DOMAIN_NAME)).flatten();
        let domains = domains.unwrap_or_default();
        let words = domains.split(|c: char| c.is_ascii_whitespace() || c == ',' || c == '\0');
        words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

/// Routes in the order in which the kernel takes them: it refuses one whose router it knows no way
/// to. Networks on the link come first, and where none leads to a router, the router itself is one
/// of them: with a mask of 32 bits, say.
pub(super) fn in_order(address: Ipv4Addr, prefix: u8, routes: Vec<Route>) -> Vec<Route> {
    let (on_link, behind): (Vec<_>, Vec<_>) = routes
        .into_iter()
        .partition(|route| route.gateway.is_none());
    let own = Route {
        network: address,
        prefix,
        gateway: None,
    };
    let mut ordered = on_link;
    for gateway in behind.iter().filter_map(|route| route.gateway) {
        let reached = |route: &Route| route.contains(gateway);
        if !own.contains(gateway) && !ordered.iter().any(reached) {
            ordered.push(Route {
                network: gateway,
                prefix: 32,
                gateway: None,
            });
        }
    }
    ordered.extend(behind);
    ordered
}

impl Route {
    fn contains(&self, address: Ipv4Addr) -> bool {
        let shift = 32 - u32::from(self.prefix.min(32));
        let network = |address: Ipv4Addr| u32::from(address).checked_shr(shift).unwrap_or(0);
        network(self.network) == network(address)
    }
}

/// Whether one host can have it.
pub(super) fn is_host(address: Ipv4Addr) -> bool {
    let special = address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast();
    !special
}

const MIN_LEASE: Duration = Duration::from_secs(60);
const MIN_RENEWAL: Duration = Duration::from_secs(20);
/// Longer than any machine stays in its ramdisk.
pub(super) const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::dhcp4::{Operation, Options};

    const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
    const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

    fn message(options: &[(u8, &[u8])]) -> Message {
        let mut all = Options::default();
        all.insert(code::SERVER_IDENTIFIER, SERVER.octets());
        for (code, value) in options {
            all.insert(*code, *value);
        }
        Message {
            operation: Operation::Reply,
            xid: 7,
            seconds: 0,
            broadcast: false,
            client_address: Ipv4Addr::UNSPECIFIED,
            your_address: ADDRESS,
            mac: [0; 6],
            options: all,
        }
    }

    fn lease(options: &[(u8, &[u8])]) -> Lease {
        Lease::from_message(&message(options)).unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn route(network: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>) -> Route {
        Route {
            network,
            prefix,
            gateway,
        }
    }

    fn default(gateway: Ipv4Addr) -> Route {
        route(Ipv4Addr::UNSPECIFIED, 0, Some(gateway))
    }

    const MASK_24: (u8, &[u8]) = (code::SUBNET_MASK, &[255, 255, 255, 0]);
    const MASK_32: (u8, &[u8]) = (code::SUBNET_MASK, &[255; 4]);

    #[test]
    fn everything_a_server_says_is_in_the_lease() {
        let lease = lease(&[
            MASK_24,
            (code::LEASE_TIME, &[0, 0, 14, 16]),
            (code::ROUTER, &[192, 0, 2, 1, 192, 0, 2, 2]),
            (code::NAME_SERVERS, &[192, 0, 2, 1]),
            (code::DOMAIN_NAME, b"example.org"),
            (code::HOST_NAME, b"node-1"),
            (code::MTU, &[35, 40]),
        ]);
        assert_eq!(
            lease,
            Lease {
                address: ADDRESS,
                prefix: 24,
                routes: vec![default(SERVER)],
                name_servers: vec![SERVER],
                search: vec!["example.org".into()],
                host_name: Some("node-1".into()),
                mtu: Some(9000),
                lifetime: Some(seconds(3600)),
                malformed: vec![],
                server: SERVER,
                renew: seconds(1800),
                rebind: seconds(3150),
            }
        );
    }

    #[test]
    fn malformed_options_are_named_and_the_rest_is_used() {
        let lease = lease(&[
            (code::SUBNET_MASK, &[255, 0, 255, 0]),
            (code::LEASE_TIME, &[1]),
            (code::ROUTER, &[192, 0, 2]),
            (code::NAME_SERVERS, &[192, 0, 2, 53, 1, 2]),
            (code::HOST_NAME, b"n\xE9e"),
            (code::MTU, &[]),
            (code::CLASSLESS_ROUTES, &[33, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            // Not requested, so not read.
            (28, &[]),
        ]);
        assert_eq!(lease.name_servers, [Ipv4Addr::new(192, 0, 2, 53)]);
        assert_eq!((lease.prefix, lease.routes), (24, vec![]));
        assert_eq!((lease.lifetime, lease.mtu), (None, None));
        let codes: Vec<_> = lease.malformed.iter().map(|option| option.code).collect();
        assert_eq!(
            codes,
            [
                code::LEASE_TIME,
                code::SUBNET_MASK,
                code::CLASSLESS_ROUTES,
                code::ROUTER,
                code::MTU,
                code::HOST_NAME,
            ]
        );
    }

    #[test]
    fn an_endless_lease_has_no_lifetime_and_odd_times_are_corrected() {
        let endless = lease(&[(code::LEASE_TIME, &[255; 4])]);
        assert_eq!(endless.lifetime, None);
        let odd = lease(&[
            (code::LEASE_TIME, &[0; 4]),
            (code::RENEWAL_TIME, &5000_u32.to_be_bytes()),
            (code::REBINDING_TIME, &4000_u32.to_be_bytes()),
        ]);
        assert_eq!(
            (odd.lifetime, odd.renew, odd.rebind),
            (Some(MIN_LEASE), seconds(30), Duration::from_millis(52_500))
        );
    }

    #[test]
    fn answers_without_a_server_or_a_hosts_address_give_no_lease() {
        let mut no_server = message(&[]);
        no_server.options = Options::default();
        let unusable = Err(Unusable::NoServer);
        assert_eq!(Lease::from_message(&no_server), unusable);
        let unspecified = message(&[(code::SERVER_IDENTIFIER, &[0; 4])]);
        assert_eq!(Lease::from_message(&unspecified), unusable);
        for address in [[0; 4], [255; 4], [127, 0, 0, 1], [224, 0, 0, 1]].map(Ipv4Addr::from) {
            let mut message = message(&[]);
            message.your_address = address;
            let unusable = Err(Unusable::Address(address));
            assert_eq!(Lease::from_message(&message), unusable);
        }
    }

    #[test]
    fn a_router_outside_the_network_is_on_the_link_itself() {
        let on_link = route(FAR, 32, None);
        let router = (code::ROUTER, &[198, 51, 100, 1][..]);
        for mask in [MASK_24, MASK_32] {
            assert_eq!(
                lease(&[mask, router]).routes,
                [on_link, default(FAR)],
                "{mask:?}"
            );
        }
        let near = (code::ROUTER, &[192, 0, 2, 1][..]);
        assert_eq!(lease(&[MASK_24, near]).routes, [default(SERVER)]);
        let near_on_link = route(SERVER, 32, None);
        assert_eq!(
            lease(&[MASK_32, near]).routes,
            [near_on_link, default(SERVER)]
        );
    }

    #[test]
    fn networks_on_the_link_come_before_the_routes_that_need_them() {
        let mut classless = vec![0, 198, 51, 100, 1];
        classless.extend([24, 203, 0, 113, 192, 0, 2, 9]);
        classless.extend([24, 198, 51, 100, 0, 0, 0, 0]);
        let options = [
            MASK_24,
            (code::CLASSLESS_ROUTES, &*classless),
            (code::ROUTER, &[192, 0, 2, 1]),
        ];
        assert_eq!(
            lease(&options).routes,
            [
                route(Ipv4Addr::new(198, 51, 100, 0), 24, None),
                default(FAR),
                route(
                    Ipv4Addr::new(203, 0, 113, 0),
                    24,
                    Some(Ipv4Addr::new(192, 0, 2, 9))
                ),
            ]
        );
    }

    #[test]
    fn the_search_list_replaces_the_domain_which_may_be_several() {
        let domain = (code::DOMAIN_NAME, &b"corp.example  lab_1.example,c\0\0"[..]);
        assert_eq!(
            lease(&[domain]).search,
            ["corp.example", "lab_1.example", "c"]
        );
        let list = (code::DOMAIN_SEARCH, &b"\x01a\x03org\0\x01b\xC0\x02"[..]);
        assert_eq!(lease(&[domain, list]).search, ["a.org", "b.org"]);
        let malformed = (code::DOMAIN_SEARCH, &b"\x09a"[..]);
        let lease = lease(&[domain, malformed]);
        assert_eq!(lease.search, ["corp.example", "lab_1.example", "c"]);
        assert_eq!(lease.malformed.len(), 1);
    }
}
