//! Callback address for Ironic, and the bind address of the API: found once, then constant until
//! the agent exits.

use super::client::{Client, Request};
use super::error::Error;
use crate::config::{Config, Scheme};
use crate::error::chain;
use std::io;
use std::net::IpAddr;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

/// Addresses of this machine, as the kernel reports them.
pub trait LocalAddresses {
    /// Returns the source address of packets to `destination`.
    ///
    /// # Errors
    /// The kernel's error, for example if there is no route.
    fn route_source(&self, destination: IpAddr) -> io::Result<IpAddr>;

    /// Returns the address of an interface, IPv4 before IPv6, but no link-local one.
    ///
    /// # Errors
    /// The kernel's error, for example if the interface does not exist or has no address.
    fn interface_address(&self, name: &str) -> io::Result<IpAddr>;
}

/// Address at which Ironic calls the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackAddress {
    /// Host name or address.
    pub host: Host,
    /// Port.
    pub port: u16,
}

impl CallbackAddress {
    /// Parses a callback URL. Returns nothing if the text is not a URL with a host.
    #[must_use]
    pub fn of_url(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        // With a web scheme, `host` is an address or a name, never an opaque string.
        Some(Self {
            host: url.host()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// Returns the callback URL: without path, an IPv6 address in brackets.
    #[must_use]
    pub fn url(&self, scheme: Scheme) -> String {
        format!("{}://{}:{}", scheme.as_str(), self.host, self.port)
    }
}

/// Finds the callback address: the configured one, else the named interface's, else the source
/// address of the route to an API that responds.
///
/// # Errors
/// [`Error::NoAddress`] and [`Error::Interface`] if no attempt finds one; [`Error::Cancelled`].
pub async fn discover(
    client: &Client,
    config: &Config,
    network: &impl LocalAddresses,
    cancel: &CancellationToken,
) -> Result<CallbackAddress, Error> {
    let host = match &config.advertise_host {
        Some(host) => host.clone(),
        None => tokio::select! {
            () = cancel.cancelled() => return Err(Error::Cancelled),
            found = search(Some(client), config.network_interface.as_deref(), config, network) => host_of(found?),
        },
    };
    tracing::info!(%host, "address that Ironic is told");
    Ok(CallbackAddress {
        host,
        port: config.advertise_port,
    })
}

/// Finds the bind address of the API, unless it binds to all addresses. It is the named interface's
/// address, or with `auto` the one that [`discover`] would find without a configured host. Without
/// a client there is no route to Ironic, and `auto` without an interface means all addresses.
///
/// # Errors
/// As [`discover`].
pub async fn bound(
    client: Option<&Client>,
    config: &Config,
    network: &impl LocalAddresses,
    cancel: &CancellationToken,
) -> Result<Option<IpAddr>, Error> {
    let interface = match config.listen_interface.as_deref() {
        None => return Ok(None),
        Some(AUTO) => config.network_interface.as_deref(),
        named => named,
    };
    if interface.is_none() && client.is_none() {
        return Ok(None);
    }
    let found = tokio::select! {
        () = cancel.cancelled() => return Err(Error::Cancelled),
        found = search(client, interface, config, network) => found?,
    };
    tracing::info!(address = %found, "address that the API is bound to");
    Ok(Some(found))
}

async fn search(
    client: Option<&Client>,
    interface: Option<&str>,
    config: &Config,
    network: &impl LocalAddresses,
) -> Result<IpAddr, Error> {
    let mut attempt = 1;
    loop {
        let found = match interface {
            Some(name) => {
                let address = network.interface_address(name);
                address.map_err(|source| Error::Interface {
                    name: name.to_owned(),
                    source,
                })
            }
            None => match by_route(&destinations(client).await, network) {
                Some(source) => Ok(source),
                None => Err(Error::NoAddress(attempt)),
            },
        };
        match found {
            Err(error) if attempt < config.ip_lookup_attempts => {
                let error = chain(&error);
                tracing::warn!(attempt, error, "no address to be called at yet: waiting");
            }
            found => return found,
        }
        tokio::time::sleep(config.ip_lookup_sleep).await;
        attempt += 1;
    }
}

fn by_route(destinations: &[IpAddr], network: &impl LocalAddresses) -> Option<IpAddr> {
    for destination in destinations {
        match network.route_source(*destination) {
            Ok(source) if !is_link_local(source) => return Some(source),
            Ok(source) => tracing::debug!(%destination, %source, "only a link-local address"),
            Err(error) => tracing::debug!(%destination, %error, "no route"),
        }
    }
    None
}

/// Returns the addresses of the APIs that respond; if none does, those that are literal in the
/// URLs.
///
/// The probe verifies TLS like every other request: an untrusted API must not determine the
/// callback address. APIs that do not respond are tried after their equals from then on. (IPA
/// removes them, where its client would notice; they may recover.)
async fn destinations(client: Option<&Client>) -> Vec<IpAddr> {
    let mut answering = Vec::new();
    let mut literal = Vec::new();
    let Some(client) = client else {
        return literal;
    };
    for url in client.urls() {
        literal.extend(address_in(&url));
        match client.send_to(&url, &Request::get("/")).await {
            // Behind a proxy, the connection's peer is the proxy.
            Ok(answer) => {
                answering.extend(address_in(&url).or_else(|| Some(answer.peer()?.ip())));
            }
            Err(error) => {
                tracing::debug!(error = chain(&error), "this API gives no answer");
                client.demote(&url);
            }
        }
    }
    if answering.is_empty() {
        literal
    } else {
        answering
    }
}

fn address_in(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
    }
}

fn host_of(address: IpAddr) -> Host {
    match address {
        IpAddr::V4(address) => Host::Ipv4(address),
        IpAddr::V6(address) => Host::Ipv6(address),
    }
}

/// Value of `listen_interface` for the interface with the route to Ironic.
const AUTO: &str = "auto";

/// Returns whether an address is valid only on its own link.
#[must_use]
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        let at = |address: &str| CallbackAddress {
            host: host_of(address.parse().unwrap()),
            port: 9999,
        };
        assert_eq!(at("fd00::1").url(Scheme::Https), "https://[fd00::1]:9999");
        assert_eq!(at("192.0.2.1").url(Scheme::Http), "http://192.0.2.1:9999");
    }

    #[test]
    fn link_local_addresses_are_known() {
        for (address, local) in [
            ("169.254.1.1", true),
            ("fe80::1", true),
            ("10.0.0.1", false),
            ("fd00::1", false),
        ] {
            assert_eq!(is_link_local(address.parse().unwrap()), local);
        }
    }
}
