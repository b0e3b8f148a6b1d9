//! resolv.conf(5): parses the settings from the file's text.
//!
//! Besides the manual's syntax it accepts OpenBSD's `nameserver [address]:port`. Lines and options
//! of other resolvers are ignored.

use super::address::ScopedAddress;
use super::limits::MAX_NAME;
use std::fmt;
use std::time::Duration;

/// Settings of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// Name servers in query order.
    pub(super) servers: Vec<NameServer>,
    /// Search list; `None` if the file has none, which is not the same as an empty list.
    search: Option<Vec<String>>,
    ndots: usize,
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
}

/// Address and port of a name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameServer {
    pub(super) address: ScopedAddress,
    pub(super) port: u16,
}

impl Default for ResolvConf {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: None,
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        }
    }
}

impl ResolvConf {
    pub(super) fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            // Comments begin in the first column (resolv.conf(5)); some programs write them after
            // values too.
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if conf.servers.len() < MAX_SERVERS => {
                    conf.servers
                        .extend(words.next().and_then(NameServer::parse));
                }
                Some("domain") => conf.search = Some(domains(words.take(1))),
                Some("search") => conf.search = Some(domains(words)),
                Some("options") => words.for_each(|option| conf.set(option)),
                _ => {}
            }
        }
        conf
    }

    /// Sets an option, within the manual's bounds.
    fn set(&mut self, option: &str) {
        let Some((name, value)) = option.split_once(':') else {
            return;
        };
        let Ok(value) = value.parse::<u32>() else {
            return;
        };
        match name {
            "ndots" => self.ndots = usize::try_from(value.min(15)).unwrap_or(1),
            "timeout" => self.timeout = Duration::from_secs(value.clamp(1, 30).into()),
            "attempts" => self.attempts = value.clamp(1, 5),
            _ => {}
        }
    }

    /// Returns the names to query, in order. Without a search list in the file, the machine's
    /// domain is used.
    pub(super) fn candidates(&self, name: &str, machine: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.trim_end_matches('.').to_owned()];
        }
        let of_machine = machine.split_once('.').map(|(_, domain)| domain);
        let search = match &self.search {
            Some(search) => search.clone(),
            None => domains(of_machine.into_iter()),
        };
        let mut names: Vec<_> = search
            .iter()
            .map(|domain| format!("{name}.{domain}"))
            .filter(|name| name.len() <= MAX_NAME)
            .collect();
        let is_qualified = name.matches('.').count() >= self.ndots;
        let at = if is_qualified { 0 } else { names.len() };
        names.insert(at, name.to_owned());
        names
    }
}

/// Returns the domains to search. The root is omitted, because it appends nothing.
fn domains<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words
        .map(|word| word.trim_matches('.'))
        .filter(|word| !word.is_empty())
        .take(MAX_DOMAINS)
        .map(str::to_owned)
        .collect()
}

impl NameServer {
    fn parse(text: &str) -> Option<Self> {
        let (address, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once("]:")?;
                (address, port.parse().ok()?)
            }
            None => (text, PORT),
        };
        Some(Self {
            address: ScopedAddress::parse(address)?,
            port,
        })
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, port } = self;
        match *port {
            PORT => write!(f, "{address}"),
            port if address.is_ipv6() => write!(f, "[{address}]:{port}"),
            port => write!(f, "{address}:{port}"),
        }
    }
}

/// Path relative to the root.
pub(super) const PATH: &str = "etc/resolv.conf";
const PORT: u16 = 53;
/// `MAXNS` of the manual.
const MAX_SERVERS: usize = 3;
/// The manual has no limit since glibc 2.26; no practical search list is longer.
const MAX_DOMAINS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn servers(text: &str) -> Vec<String> {
        let servers = ResolvConf::parse(text).servers;
        servers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn servers_keep_their_order_zone_and_port() {
        let text = "# DHCP\nnameserver 192.0.2.1\nnameserver\tfe80::1%eth1 # the router\nnameserver [::1]:5353\n\
                    nameserver 192.0.2.4\n";
        assert_eq!(servers(text), ["192.0.2.1", "fe80::1%eth1", "[::1]:5353"]);
        assert_eq!(servers("nameserver [127.0.0.1]:5353"), ["127.0.0.1:5353"]);
        for text in [
            "",
            "nameserver",
            "nameserver x",
            "nameserver [::1]:x",
            "nameserver [::1",
            ";nameserver ::1",
        ] {
            assert!(servers(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn options_have_the_pages_defaults_and_bounds() {
        let of = |text: &str| {
            let conf = ResolvConf::parse(text);
            (conf.ndots, conf.timeout.as_secs(), conf.attempts)
        };
        assert_eq!(of(""), (1, 5, 2));
        assert_eq!(
            of("options ndots:2 timeout:1\noptions attempts:3 rotate"),
            (2, 1, 3)
        );
        assert_eq!(of("options ndots:99 timeout:99 attempts:99"), (15, 30, 5));
        assert_eq!(
            of("options ndots:0 timeout:0 attempts:0 timeout:x"),
            (0, 1, 1)
        );
    }

    #[test]
    fn names_with_fewer_dots_are_searched_first() {
        let of =
            |text: &str, name: &str| ResolvConf::parse(text).candidates(name, "node.of.example");
        let search = "domain one\nsearch b.example. c.example\n";
        assert_eq!(of(search, "a"), ["a.b.example", "a.c.example", "a"]);
        assert_eq!(of(search, "a.b"), ["a.b", "a.b.b.example", "a.b.c.example"]);
        assert_eq!(
            of(&format!("{search}options ndots:2"), "a.b"),
            ["a.b.b.example", "a.b.c.example", "a.b"]
        );
        assert_eq!(of(search, "a.b."), ["a.b"]);
        assert_eq!(of("domain one", "a"), ["a.one", "a"]);
        assert_eq!(of("search .", "a"), ["a"]);
        assert_eq!(of("", "a"), ["a.of.example", "a"]);
        assert_eq!(ResolvConf::parse("").candidates("a", "node"), ["a"]);
    }

    proptest! {
        #[test]
        fn any_text_gives_settings_within_bounds(text in "(nameserver |search |options |ndots:|[\\PC\n]){0,40}", name in "\\PC{0,20}") {
            let conf = ResolvConf::parse(&text);
            prop_assert!(conf.servers.len() <= MAX_SERVERS);
            prop_assert!(conf.candidates(&name, "x").len() <= MAX_DOMAINS + 1);
        }
    }
}
