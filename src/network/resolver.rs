//! Names: the resolver's file and the host's own name, from whatever the network says.

use super::refusals::Logged;
use crate::root::Root;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::IpAddr;

/// Who said it: smaller is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DnsSource {
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
pub(super) struct DnsConfig {
    link: String,
    /// Addresses as the resolver's file has them: with the interface where they need one.
    pub(super) servers: Vec<String>,
    /// Domains as the resolver's file has them.
    pub(super) search: Vec<String>,
    /// What cannot be in the file.
    unusable: Vec<String>,
}

impl DnsConfig {
    /// Servers on an interface, and domains to search.
    pub(super) fn new(
        servers: impl IntoIterator<Item = IpAddr>,
        link: &str,
        search: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut said = Self {
            link: link.into(),
            ..Self::default()
        };
        for server in servers {
            match server {
                _ if server.is_unspecified() || server.is_multicast() || server.is_loopback() => {
                    said.unusable.push(server.to_string());
                }
                IpAddr::V6(address) if address.is_unicast_link_local() => {
                    said.servers.push(format!("{address}%{link}"));
                }
                _ => said.servers.push(server.to_string()),
            }
        }
        for domain in search {
            let domain = domain.trim_end_matches('.');
            if is_domain_name(domain) {
                said.search.push(domain.to_owned());
            } else if !domain.is_empty() {
                said.unusable.push(domain.to_owned());
            }
        }
        said
    }
}

/// All that was said.
#[derive(Debug, Default)]
pub(super) struct Names {
    said: BTreeMap<DnsSource, DnsConfig>,
    host: Option<String>,
    /// What was logged of each origin as unusable: routers and servers may change their words at each packet.
    unusable: BTreeMap<DnsSource, Logged>,
    unusable_hosts: Logged,
}

impl Names {
    /// Takes over what an origin says now, and writes the resolver's file if that changes anything.
    pub(super) fn learn(&mut self, root: &Root, origin: DnsSource, said: DnsConfig) {
        if self.said.get(&origin) == Some(&said) {
            return;
        }
        let logged = self.unusable.entry(origin).or_default();
        for name in said.unusable.iter().filter(|name| logged.is_new(name)) {
            tracing::warn!(
                interface = said.link,
                name,
                "ignored a name server or a domain that cannot be one"
            );
        }
        self.said.insert(origin, said);
        if let Err(error) = self.write(root) {
            tracing::error!(%error, "Cannot write /etc/resolv.conf");
        }
    }

    /// Takes the host's name, if it is one. The first one stays: the interface booted from usually speaks first.
    pub(super) fn learn_host(&mut self, name: &str) {
        if self.host.is_some() {
            return;
        }
        let Some(host) = host_name(name) else {
            if self.unusable_hosts.is_new(name) {
                tracing::warn!(name, "ignored a host name that cannot be one");
            }
            return;
        };
        if host != name {
            tracing::warn!(name, host, "shortened a host name");
        }
        let name = host;
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
                if !search.contains(&domain.as_str()) {
                    search.push(domain);
                }
            }
        }
        let mut text = String::new();
        for server in servers.iter().take(MAX_SERVERS) {
            let _infallible = writeln!(text, "nameserver {server}");
        }
        if !search.is_empty() {
            search.truncate(MAX_DOMAINS);
            let _infallible = writeln!(text, "search {}", search.join(" "));
        }
        text
    }
}

/// RFC 1123 section 2.1, and the underscore that real networks have; no more, because it is written to
/// files.
fn is_domain_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
    };
    name.len() <= MAX_DOMAIN_NAME && name.split('.').all(label)
}

/// What the kernel takes of a name as the host's: its first label where it is too long.
fn host_name(name: &str) -> Option<&str> {
    let name = Some(name.trim_end_matches('.')).filter(|name| is_domain_name(name))?;
    if name.len() <= MAX_HOST_NAME {
        return Some(name);
    }
    name.split('.').next()
}

/// musl's resolver reads no more.
const MAX_SERVERS: usize = 3;
const MAX_DOMAINS: usize = 6;
/// RFC 1035 section 2.3.4, as text.
const MAX_DOMAIN_NAME: usize = 253;
/// `__NEW_UTS_LEN` (linux/utsname.h).
const MAX_HOST_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::Verbosity;
    use crate::logging::tests::captured;

    fn origin(metric: u32, source: Source) -> DnsSource {
        DnsSource { metric, source }
    }

    #[test]
    fn the_interface_booted_from_is_asked_first() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        fs::create_dir(root.path("etc")).unwrap();
        let mut names = Names::default();
        let other = DnsConfig::new(
            ["192.0.2.9".parse().unwrap(), "fe80::1".parse().unwrap()],
            "eth1",
            vec!["b.example.".into(), "evil\nnameserver 1".into()],
        );
        names.learn(&root, origin(200, Source::Dhcp4), other);
        let boot = DnsConfig::new(
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
    fn what_cannot_be_in_the_file_is_logged_and_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        fs::create_dir(root.path("etc")).unwrap();
        let long = ["a".repeat(63), "b".repeat(63)].join(".");
        let servers = ["0.0.0.0", "::", "ff02::1", "192.0.2.1"].map(|text| text.parse().unwrap());
        let domains = [
            "",
            "corp.example.",
            "lab_1",
            "evil\nnameserver 1",
            &long,
            "-a",
        ];
        let said = DnsConfig::new(servers, "eth0", domains.map(str::to_owned));
        let mut names = Names::default();
        let text = captured(Verbosity::Info, || {
            names.learn(&root, origin(100, Source::Dhcp4), said.clone());
            // Said again, it is nothing to log.
            names.learn(&root, origin(100, Source::Dhcp4), said);
        });
        let left_out: Vec<_> = text
            .lines()
            .map(|line| line.split_once(" name=").unwrap().1)
            .collect();
        assert_eq!(
            left_out,
            ["0.0.0.0", "::", "ff02::1", "\"evil nameserver 1\"", "-a"]
        );
        assert_eq!(
            fs::read_to_string(root.path("etc/resolv.conf")).unwrap(),
            format!("nameserver 192.0.2.1\nsearch corp.example lab_1 {long}\n")
        );
    }

    /// What was logged as ignored of names learnt one after the other.
    fn ignored(learn: impl FnOnce(&Root, &mut Names)) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        fs::create_dir(root.path("etc")).unwrap();
        let text = captured(Verbosity::Debug, || learn(&root, &mut Names::default()));
        let name = |line: &str| line.split_once(" name=").unwrap().1.to_owned();
        text.lines().map(name).collect()
    }

    #[test]
    fn routers_that_change_their_words_fill_no_log() {
        let logged = ignored(|root, names| {
            let router = origin(100, Source::Router);
            for round in 0..1000 {
                let server = if round % 2 == 0 { "ff02::1" } else { "ff02::2" };
                let domain = format!("*{}", round / 2);
                let said = DnsConfig::new([server.parse().unwrap()], "eth0", [domain]);
                names.learn(root, router, said);
            }
            // They hide nothing of what a server says, nor of another link.
            for (origin, link) in [
                (origin(100, Source::Dhcp4), "eth0"),
                (origin(200, Source::Router), "eth1"),
            ] {
                names.learn(root, origin, DnsConfig::new([], link, ["-a".to_owned()]));
            }
        });
        assert_eq!(
            logged,
            [
                "ff02::1", "*0", "ff02::2", "*1", "*2", "*3", "*4", "*5", "-a", "-a"
            ]
        );
    }

    #[test]
    fn host_names_that_cannot_be_one_fill_no_log() {
        let logged = ignored(|_, names| {
            for round in 0..1000 {
                names.learn_host(&format!("*{}", round / 2));
            }
        });
        assert_eq!(logged, ["*0", "*1", "*2", "*3", "*4", "*5", "*6", "*7"]);
    }

    #[test]
    fn only_domain_names_are_domain_names() {
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        for name in [
            "node-1",
            "node-1.example.org",
            "7",
            "lab_1",
            "_dmarc.a",
            &longest,
        ] {
            assert!(is_domain_name(name), "{name}");
        }
        let longer = format!("{longest}b");
        let long_label = "a".repeat(64);
        for name in [
            "",
            "a b",
            "-a",
            "a..b",
            "a.",
            "a\n",
            "a\0",
            "\u{e9}",
            &longer,
            &long_label,
        ] {
            assert!(!is_domain_name(name), "{name}");
        }
    }

    #[test]
    fn a_host_name_that_is_too_long_is_cut_to_its_first_label() {
        let fits = format!("node-1.{}.{}", "a".repeat(40), "b".repeat(16));
        assert_eq!(fits.len(), MAX_HOST_NAME);
        let long = format!("{fits}b");
        for (name, host) in [
            ("node_1", Some("node_1")),
            ("node-1.example.", Some("node-1.example")),
            (&fits, Some(&*fits)),
            (&long, Some("node-1")),
            ("a b", None),
            (".", None),
        ] {
            assert_eq!(host_name(name), host, "{name}");
        }
    }
}
