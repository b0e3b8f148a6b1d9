//! Where Ironic's API is: as the operator says, or as the network tells where the operator wants it asked.

use super::context::AgentContext;
use super::error::Error;
use super::network::KernelNetwork;
use crate::conductor;
use crate::conductor::mdns::{self, OutboundInterface, QueryOptions};
use crate::config::{ApiUrl, Mdns};
use crate::error::chain;
use crate::sys::address::{self, InterfaceAddress};
use std::net::IpAddr;
use url::Url;

impl AgentContext {
    /// The URLs of Ironic's API; none where there is no Ironic. Where an agent before this one knew Ironic there is one: that the network
    /// does not tell where it is any more is an error then, after which another agent asks anew. Where the network is asked, they
    /// are of all who answer: who is none of Ironic's gives no answer that is believed, if a pin or an authority tells, and the
    /// next one is asked.
    pub(super) async fn api_urls(&mut self) -> Result<Vec<Url>, Error> {
        let wanted_by_name = match &self.config.api_url {
            ApiUrl::Mdns => true,
            ApiUrl::Urls(urls) if urls.is_empty() && self.config.mdns.use_mdns => false,
            ApiUrl::Urls(urls) if urls.is_empty() && self.vault.knows_ironic() => {
                return Err(Error::Conductor(conductor::Error::NoUrl));
            }
            ApiUrl::Urls(urls) => return Ok(urls.clone()),
        };
        tracing::warn!(
            "mDNS: the network is asked where Ironic is, and WHOEVER ANSWERS ON THE LINK IS BELIEVED. Only for networks that are trusted"
        );
        let asking = QueryOptions {
            interfaces: query_interfaces(&self.config.mdns.interfaces, &addresses()),
            port: mdns::PORT,
            attempts: self.config.mdns.lookup_attempts,
            in_clear: self.config.takes_discovered_api_in_clear(),
        };
        match mdns::find("baremetal", &asking, &KernelNetwork).await {
            Ok(found) => {
                for url in &found.urls {
                    tracing::info!(%url, "the network tells where Ironic is");
                }
                for (option, value) in found.overrides {
                    self.take_override(&option, value);
                }
                for option in found.disputed {
                    tracing::warn!(
                        option,
                        "those who answer do not agree on this option: ignored"
                    );
                }
                Ok(found.urls)
            }
            Err(error) if wanted_by_name || self.vault.knows_ironic() => {
                Err(Error::Conductor(error))
            }
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(error, "the network does not tell where Ironic is");
                Ok(Vec::new())
            }
        }
    }

    /// An option as the network would have it, where the operator allows that and sets none. (IPA lets the network override the
    /// operator: anybody on the link could choose the time by which certificates are verified.)
    fn take_override(&mut self, option: &str, value: String) {
        let Mdns {
            allowed_overrides, ..
        } = &self.config.mdns;
        if !allowed_overrides.iter().any(|allowed| allowed == option) {
            tracing::warn!(
                option,
                "the network may not set this option (mdns/allowed_overrides): ignored"
            );
        } else if option == "ntp_server" && self.config.ntp_server.is_some() {
            tracing::warn!(
                option,
                "the network may not change an option that is configured: ignored"
            );
        } else if option == "ntp_server" {
            match value.parse().ok() {
                Some(server) => {
                    tracing::info!(option, value, "the network sets this option");
                    self.config.ntp_server = Some(server);
                }
                None => tracing::warn!(option, value, "no time server has such a name: ignored"),
            }
        } else {
            tracing::warn!(
                option,
                "nothing but ntp_server is taken from the network: ignored"
            );
        }
    }
}

fn addresses() -> Vec<InterfaceAddress> {
    address::list()
        .inspect_err(|error| tracing::warn!(%error, "the addresses of interfaces are not known"))
        .unwrap_or_default()
}

/// By each interface once and in each family: by those with the addresses given, else by all but the loopback.
fn query_interfaces(given: &[IpAddr], addresses: &[InterfaceAddress]) -> Vec<OutboundInterface> {
    let mut ways = Vec::new();
    for address in addresses {
        let chosen = if given.is_empty() {
            !address.ip.is_loopback()
        } else {
            given.contains(&address.ip)
        };
        let way = match address.ip {
            IpAddr::V4(ip) => Some(OutboundInterface::V4(ip)),
            // The address that is valid on its link alone is the one that names the link.
            IpAddr::V6(_) => (address.scope != 0).then_some(OutboundInterface::V6(address.scope)),
        };
        ways.extend(way.filter(|way| chosen && !ways.contains(way)));
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ip: &str, scope: u32) -> InterfaceAddress {
        InterfaceAddress {
            interface: "eth0".into(),
            ip: ip.parse().unwrap(),
            scope,
        }
    }

    #[test]
    fn every_interface_is_asked_by_but_the_loopback() {
        let addresses = [
            address("127.0.0.1", 0),
            address("192.0.2.1", 0),
            address("fd00::1", 0),
            address("fe80::1", 2),
            address("fe80::2", 2),
        ];
        let wanted = [
            OutboundInterface::V4("192.0.2.1".parse().unwrap()),
            OutboundInterface::V6(2),
        ];
        assert_eq!(query_interfaces(&[], &addresses), wanted);
        let given = ["127.0.0.1".parse().unwrap()];
        assert_eq!(
            query_interfaces(&given, &addresses),
            [OutboundInterface::V4("127.0.0.1".parse().unwrap())]
        );
    }
}
