//! What a DHCPv6 server gives: an address, and what its options say of the network (RFC 8415).

use crate::formats::dhcp6::{Message, Status, code};
use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

/// What is to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// An address, and all else ("managed").
    Address,
    /// Only what is not an address ("other").
    InformationOnly,
}

/// What a server gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// The address and how long it may be used.
    pub(super) address: Option<(Ipv6Addr, Duration)>,
    pub(super) name_servers: Vec<Ipv6Addr>,
    pub(super) search: Vec<String>,
    pub(super) server: Duid,
    pub(super) renew: Duration,
    pub(super) rebind: Duration,
}

/// Why an Advertise or a Reply gives no lease.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("the server gives no address{}", words(.0.as_ref()))]
    NoAddress(Option<Status>),
    #[error("an answer was passed over: it does not say which server it is from (option 2)")]
    NoServer,
    #[error("the server refused{}", words(Some(.0)))]
    Status(Status),
}

fn words(status: Option<&Status>) -> String {
    status.map_or_else(String::new, |Status { code, text }| {
        format!(": status {code}, {text:?}")
    })
}

/// A server's identifier (RFC 8415 section 11); nothing but equality is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Duid(pub(super) Vec<u8>);

impl Duid {
    /// The server that a message says it is from.
    pub(super) fn of_server(message: &Message) -> Result<Self, Unusable> {
        let bytes = message.options.get(code::SERVER_ID);
        bytes
            .filter(|bytes| (1..=MAX_DUID).contains(&bytes.len()))
            .map(|bytes| Self(bytes.to_vec()))
            .ok_or(Unusable::NoServer)
    }
}

impl fmt::Display for Duid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Lease {
    /// What an Advertise or a Reply gives: of several addresses the one that is wanted, or else the first.
    pub(super) fn from_message(
        message: &Message,
        server: Duid,
        request: Request,
        wanted: Option<Ipv6Addr>,
    ) -> Result<Self, Unusable> {
        let options = &message.options;
        let association = match request {
            Request::Address => options.association(ASSOCIATION),
            Request::InformationOnly => None,
        };
        let given = association.as_ref().and_then(|association| {
            let addresses = association.options.addresses();
            let usable = addresses.filter(|given| given.valid > 0 && is_host(given.address));
            // The first of the equal ones.
            usable.min_by_key(|given| wanted != Some(given.address))
        });
        let address = given.map(|given| (given.address, Duration::from_secs(given.valid.into())));
        if let Some(status) = options.status().filter(|status| status.code != 0) {
            return Err(Unusable::Status(status));
        }
        if address.is_none() && request == Request::Address {
            let status = association.and_then(|association| association.options.status());
            return Err(Unusable::NoAddress(status));
        }
        let whole = address.map_or(REFRESH, |(_, valid)| valid.max(MIN_TIME));
        let seconds = |given: Option<u32>| {
            given
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.into()))
        };
        // RFC 8415 section 21.4: where the server leaves the times open, 0.5 and 0.8 of the lifetime.
        let rebind = seconds(association.as_ref().map(|association| association.rebind))
            .filter(|rebind| *rebind < whole)
            .unwrap_or(whole * 4 / 5);
        let renew = seconds(association.as_ref().map(|association| association.renew))
            .filter(|renew| *renew < rebind)
            .unwrap_or(rebind * 5 / 8);
        Ok(Self {
            address,
            name_servers: options.name_servers(),
            search: options.domain_names(),
            server,
            renew,
            rebind,
        })
    }

    pub(super) fn lifetime(&self) -> Duration {
        self.address.map_or(REFRESH, |(_, valid)| valid)
    }
}

/// Whether one host can have it on a network with others.
fn is_host(address: Ipv6Addr) -> bool {
    let special = address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_unicast_link_local();
    !special
}

/// The one identity association of an interface.
pub(super) const ASSOCIATION: u32 = 1;
/// RFC 8415 section 11.1: 128 bytes and the type.
const MAX_DUID: usize = 130;
/// IRT_DEFAULT: facts without an address are asked for again.
const REFRESH: Duration = Duration::from_secs(24 * 3600);
const MIN_TIME: Duration = Duration::from_secs(60);
