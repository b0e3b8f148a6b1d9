//! Selects the proxy for a server, and the servers that are reached without one.
//!
//! The HTTP library's rules are those of curl. They support no ports in exceptions
//! (`no_proxy=host:8443`), which other programs do.

use reqwest::{ClientBuilder, Proxy};
use std::net::IpAddr;
use url::{Host, ParseError, Url};

/// Proxies by the scheme of the requested URL, and their exceptions.
#[derive(Debug, Default)]
pub struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    exceptions: Exceptions,
}

impl Proxies {
    /// Parses proxies, whose scheme defaults to `http`, and comma-separated exceptions.
    ///
    /// # Errors
    /// A proxy is invalid; the error does not contain it.
    pub fn new(
        http: Option<&str>,
        https: Option<&str>,
        exceptions: &str,
    ) -> Result<Self, ParseError> {
        Ok(Self {
            http: http.map(proxy).transpose()?,
            https: https.map(proxy).transpose()?,
            exceptions: exceptions.into(),
        })
    }

    /// Reads the proxies from this process's environment, by curl's names: `HTTPS_PROXY`,
    /// `https_proxy` and so on. An invalid proxy is ignored.
    #[must_use]
    pub fn of_environment() -> Self {
        Self::of_variables(|name| std::env::var(name).ok())
    }

    fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&str; 2]| names.into_iter().find_map(&variable);
        let proxy = |names| first(names).and_then(|text| proxy(&text).ok());
        let all = proxy(["ALL_PROXY", "all_proxy"]);
        let exceptions = first(["NO_PROXY", "no_proxy"]).unwrap_or_default();
        Self {
            http: proxy(["HTTP_PROXY", "http_proxy"]).or_else(|| all.clone()),
            https: proxy(["HTTPS_PROXY", "https_proxy"]).or(all),
            exceptions: exceptions.as_str().into(),
        }
    }

    /// Sets these proxies, and no others, on a client.
    pub fn set(self, builder: ClientBuilder) -> ClientBuilder {
        let builder = builder.no_proxy();
        if self.http.is_none() && self.https.is_none() {
            return builder;
        }
        builder.proxy(Proxy::custom(move |url| self.of(url).cloned()))
    }

    fn of(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "http" => &self.http,
            "https" => &self.https,
            _ => return None,
        };
        proxy.as_ref().filter(|_| !self.exceptions.contain(url))
    }
}

fn proxy(text: &str) -> Result<Url, ParseError> {
    match Url::parse(text) {
        Ok(url) if url.has_host() => Ok(url),
        // `proxy.example:3128` looks like a scheme and a path.
        _ => Url::parse(&format!("http://{text}")),
    }
}

/// Servers that are reached without a proxy.
#[derive(Debug, Default)]
struct Exceptions(Vec<Exception>);

/// Hosts, and the one port that the exception is limited to.
#[derive(Debug, PartialEq, Eq)]
struct Exception {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum Hosts {
    /// `*`
    All,
    /// Domain and its subdomains, in lower case, without a leading dot.
    Domain(String),
    /// Addresses that share the first bits with this one.
    Network(IpAddr, u8),
}

impl From<&str> for Exceptions {
    fn from(text: &str) -> Self {
        let entries = text.split(',').map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty());
        Self(entries.map(Exception::from).collect())
    }
}

impl Exceptions {
    fn contain(&self, url: &Url) -> bool {
        let port = url.port_or_known_default();
        url.host().is_some_and(|host| {
            self.0.iter().any(|exception| {
                (exception.port.is_none() || exception.port == port) && exception.hosts.has(&host)
            })
        })
    }
}

impl From<&str> for Exception {
    fn from(entry: &str) -> Self {
        let whole = Hosts::from(entry);
        // A colon in an IPv6 address does not separate a port.
        if let Hosts::Domain(_) = whole
            && let Some((hosts, port)) = entry.rsplit_once(':')
            && let Ok(port) = port.parse()
        {
            let (hosts, port) = (Hosts::from(hosts), Some(port));
            return Self { hosts, port };
        }
        let (hosts, port) = (whole, None);
        Self { hosts, port }
    }
}

impl From<&str> for Hosts {
    fn from(text: &str) -> Self {
        if text == "*" {
            return Self::All;
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, bits.parse().ok()),
            None => (text, Some(u8::MAX)),
        };
        let inner = address
            .strip_prefix('[')
            .and_then(|address| address.strip_suffix(']'));
        match (inner.unwrap_or(address).parse(), bits) {
            (Ok(address), Some(bits)) => Self::Network(address, bits),
            _ => Self::Domain(text.trim_start_matches('.').to_ascii_lowercase()),
        }
    }
}

impl Hosts {
    fn has(&self, host: &Host<&str>) -> bool {
        let address = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::V6(*address)),
        };
        match (self, host) {
            (Self::All, _) => true,
            (Self::Network(network, bits), _) => {
                address.is_some_and(|address| begins_alike(address, *network, *bits))
            }
            (Self::Domain(domain), Host::Domain(name)) => name
                .strip_suffix(domain.as_str())
                .is_some_and(|before| before.is_empty() || before.ends_with('.')),
            (Self::Domain(_), _) => false,
        }
    }
}

/// Returns whether the first bits of two addresses are equal. More bits than an address has mean
/// all of them.
fn begins_alike(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    let (differing, length) = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            (u128::from(u32::from(one) ^ u32::from(other)), 32_u32)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => (u128::from(one) ^ u128::from(other), 128),
        _ => return false,
    };
    let behind = length.saturating_sub(bits.into());
    differing.checked_shr(behind).unwrap_or_default() == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leads_past(exceptions: &str, url: &str) -> bool {
        Exceptions::from(exceptions).contain(&url.parse().unwrap())
    }

    #[test]
    fn exceptions_are_hosts_domains_and_networks_with_or_without_a_port() {
        for (exceptions, url) in [
            ("*", "https://anything/"),
            ("a.example, b.example", "http://B.example/"),
            ("example", "http://b.example/"),
            (".example", "http://example/"),
            ("EXAMPLE", "http://x.example/"),
            ("192.0.2.1", "http://192.0.2.1:8080/"),
            ("192.0.2.0/24", "http://192.0.2.77/"),
            ("0.0.0.0/0", "http://192.0.2.77/"),
            ("2001:db8::1", "http://[2001:db8::1]/"),
            ("[2001:db8::1]", "http://[2001:db8::1]/"),
            ("2001:db8::/32", "http://[2001:db8:1::]/"),
            ("::/0", "http://[2001:db8:1::]/"),
            ("a.example:8080", "http://a.example:8080/"),
            (".example:443", "https://a.example/"),
            ("example:80", "http://a.example/"),
            ("192.0.2.1:6385", "http://192.0.2.1:6385/"),
            ("192.0.2.0/24:80", "http://192.0.2.9/"),
            ("[2001:db8::1]:6385", "http://[2001:db8::1]:6385/"),
        ] {
            assert!(leads_past(exceptions, url), "{exceptions} {url}");
        }
        for (exceptions, url) in [
            ("", "http://a.example/"),
            (" , ", "http://a.example/"),
            ("a.example", "http://ba.example/"),
            ("b.a.example", "http://a.example/"),
            ("192.0.2.1", "http://192.0.2.10/"),
            ("192.0.2.0/25", "http://192.0.2.200/"),
            ("192.0.2.0/x", "http://192.0.2.0/"),
            ("2001:db8::1", "http://[2001:db8::2]/"),
            ("0.0.0.0/0", "http://[::1]/"),
            ("a.example:8080", "http://a.example/"),
            ("a.example:80", "https://a.example/"),
            ("192.0.2.1:6385", "http://192.0.2.1/"),
            ("[2001:db8::1]:6385", "http://[2001:db8::1]:6386/"),
            ("2001:db8::1", "http://192.0.2.1/"),
        ] {
            assert!(!leads_past(exceptions, url), "{exceptions} {url}");
        }
    }

    #[test]
    fn each_scheme_has_its_proxy_and_one_without_a_scheme_speaks_http() {
        let proxies = Proxies::new(Some("proxy.example:3128"), None, "a.example").unwrap();
        let of = |url: &str| proxies.of(&url.parse().unwrap()).map(Url::as_str);
        assert_eq!(of("http://b.example/"), Some("http://proxy.example:3128/"));
        assert_eq!(of("http://a.example/"), None);
        assert_eq!(of("https://b.example/"), None);
        let secret = Proxies::new(None, Some("user:hush@proxy.example:x"), "").unwrap_err();
        assert_eq!(secret.to_string(), "invalid port number");
    }

    #[test]
    fn variables_name_proxies_as_curl_reads_them() {
        let of = |variables: &[(&str, &str)], url: &str| {
            let proxies = Proxies::of_variables(|name| {
                let mut all = variables.iter();
                all.find_map(|(known, value)| (*known == name).then(|| (*value).to_owned()))
            });
            proxies.of(&url.parse().unwrap()).map(Url::to_string)
        };
        let small = [("http_proxy", "p:1"), ("no_proxy", "a.example:81")];
        assert_eq!(of(&small, "http://a.example/").unwrap(), "http://p:1/");
        assert_eq!(of(&small, "http://a.example:81/"), None);
        assert_eq!(of(&small, "https://a.example/"), None);
        let all = [("ALL_PROXY", "http://all"), ("HTTPS_PROXY", "http://tls")];
        assert_eq!(of(&all, "http://a.example/").unwrap(), "http://all/");
        assert_eq!(of(&all, "https://a.example/").unwrap(), "http://tls/");
        let none = [("HTTP_PROXY", ""), ("http_proxy", "p:1")];
        assert_eq!(of(&none, "http://a.example/"), None);
    }

    proptest! {
        #[test]
        fn any_exceptions_are_read(text in "[\\[\\]a-f0-9:./*, ]{0,40}") {
            let _ = leads_past(&text, "http://[2001:db8::1]:80/");
        }
    }
}
