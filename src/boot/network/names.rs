//! Names: the resolver's file and the host's own name, from whatever the network says.

use crate::root::Root;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr};

/// Who said it: smaller is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    /// The interface's metric.
    pub(super) metric: u32,
    /// Which of its sources.
    pub(super) source: Source,
}

/// The ways to learn of name servers on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The kernel arguments, or a DHCPv4 server.
    Dhcp4,
    /// A DHCPv6 server.
    Dhcp6,
    /// A router advertisement.
    Router,
}

/// What one origin said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Addresses as the resolver's file has them: with the interface where they need one.
    pub(super) servers: Vec<String>,
    pub(super) search: Vec<String>,
}

impl Said {
    /// Servers on an interface, and domains to search.
    pub(super) fn new(
        servers: impl IntoIterator<Item = IpAddr>,
        link: &str,
        search: Vec<String>,
    ) -> Self {
        let servers = servers.into_iter().map(|server| match server {
            IpAddr::V6(address) if address.is_unicast_link_local() => format!("{address}%{link}"),
            address => address.to_string(),
        });
        Self {
            servers: servers.collect(),
            search,
        }
    }
}

/// All that was said.
#[derive(Debug, Default)]
pub(super) struct Names {
    said: BTreeMap<Origin, Said>,
    host: Option<String>,
}

impl Names {
    /// Takes over what an origin says now, and writes the resolver's file if that changes anything.
    pub(super) fn learn(&mut self, root: &Root, origin: Origin, said: Said) {
        if self.said.get(&origin) == Some(&said) {
            return;
        }
        self.said.insert(origin, said);
        if let Err(error) = self.write(root) {
            tracing::error!(%error, "Cannot write /etc/resolv.conf");
        }
    }

    /// Takes the host's name, if it is one. The first one stays: the interface booted from usually speaks first.
    pub(super) fn learn_host(&mut self, name: &str) {
        if self.host.is_some() || !is_host_name(name) {
            return;
        }
        self.host = Some(name.into());
        if let Err(error) = nix::unistd::sethostname(name) {
            tracing::warn!(%error, name, "Cannot set the host's name");
        }
    }

    /// In one piece, because the agent may be reading it.
    fn write(&self, root: &Root) -> io::Result<()> {
        let new = root.path("etc/resolv.conf.new");
        fs::write(&new, self.file())?;
        fs::rename(new, root.path("etc/resolv.conf"))
    }

    fn file(&self) -> String {
        let mut servers: Vec<&str> = Vec::new();
        let mut search: Vec<&str> = Vec::new();
        for said in self.said.values() {
            for server in &said.servers {
                if !servers.contains(&server.as_str()) {
                    servers.push(server);
                }
            }
            for domain in &said.search {
                let domain = domain.trim_end_matches('.');
                if is_host_name(domain) && !search.contains(&domain) {
                    search.push(domain);
                }
            }
        }
        let mut text = String::new();
        for server in servers.iter().take(MOST_SERVERS) {
            let _infallible = writeln!(text, "nameserver {server}");
        }
        if !search.is_empty() {
            search.truncate(MOST_DOMAINS);
            let _infallible = writeln!(text, "search {}", search.join(" "));
        }
        text
    }
}

/// RFC 1123 section 2.1, and no more: the network's word goes into files.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
    };
    name.len() <= 64 && name.split('.').all(label)
}

/// The name servers among a router's neighbour-discovery options (RFC 8106 section 5.1); a lifetime of zero takes them back.
pub(super) fn router_name_servers(mut options: &[u8]) -> Option<Vec<Ipv6Addr>> {
    let mut servers = None;
    while let [kind, units, ..] = options {
        let length = usize::from(*units) * 8;
        let option = options.get(..length).filter(|_| length > 0)?;
        if *kind == RECURSIVE_DNS_SERVER {
            let servers: &mut Vec<_> = servers.get_or_insert_default();
            let valid = option.get(4..8).is_some_and(|lifetime| lifetime != [0; 4]);
            let (addresses, _) = option.get(8..).unwrap_or_default().as_chunks::<16>();
            servers.extend(
                addresses
                    .iter()
                    .filter(|_| valid)
                    .copied()
                    .map(Ipv6Addr::from),
            );
        }
        options = options.get(length..)?;
    }
    servers
}

/// musl's resolver reads no more.
const MOST_SERVERS: usize = 3;
const MOST_DOMAINS: usize = 6;
const RECURSIVE_DNS_SERVER: u8 = 25;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin(metric: u32, source: Source) -> Origin {
        Origin { metric, source }
    }

    #[test]
    fn the_interface_booted_from_is_asked_first() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        fs::create_dir(root.path("etc")).unwrap();
        let mut names = Names::default();
        let other = Said::new(
            ["192.0.2.9".parse().unwrap(), "fe80::1".parse().unwrap()],
            "eth1",
            vec!["b.example.".into(), "evil\nnameserver 1".into()],
        );
        names.learn(&root, origin(200, Source::Dhcp4), other);
        let boot = Said::new(
            ["192.0.2.1".parse().unwrap()],
            "eth0",
            vec!["a.example".into()],
        );
        names.learn(&root, origin(100, Source::Dhcp4), boot);
        assert_eq!(
            fs::read_to_string(root.path("etc/resolv.conf")).unwrap(),
            "nameserver 192.0.2.1\nnameserver 192.0.2.9\nnameserver fe80::1%eth1\nsearch a.example b.example\n"
        );
    }

    #[test]
    fn a_router_gives_name_servers_and_takes_them_back() {
        let server: Ipv6Addr = "2001:db8::53".parse().unwrap();
        let mut options = vec![1, 1, 2, 3, 4, 5, 6, 7];
        options.extend([25, 3, 0, 0, 0, 0, 0, 60]);
        options.extend(server.octets());
        assert_eq!(router_name_servers(&options), Some(vec![server]));
        options[15] = 0;
        assert_eq!(router_name_servers(&options), Some(vec![]));
        assert_eq!(router_name_servers(&options[..8]), None);
    }

    #[test]
    fn only_host_names_are_host_names() {
        for name in ["node-1", "node-1.example.org", "7"] {
            assert!(is_host_name(name), "{name}");
        }
        for name in ["", "a b", "-a", "a..b", "a\n", &"a".repeat(65)] {
            assert!(!is_host_name(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_options_make_it_panic(options in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _servers = router_name_servers(&options);
        }
    }
}
