//! Collects the DNS records of a service and derives Ironic's URLs. It handles packets, but neither
//! sockets nor time.
//!
//! The service instance is named like its type (IPA: `mdns.py`; RFC 6763 for the records).

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use std::net::IpAddr;
use url::{Host, Url};

/// Records of the services of one name, from all responders. The network is not trusted: no
/// response replaces the records of another sender.
#[derive(Debug)]
pub(super) struct ServiceRecords {
    service: Name,
    id: u16,
    /// Whether a service without TLS is usable.
    in_clear: bool,
    /// Services in the order of their first response.
    entries: Vec<Entry>,
}

type Server = (Name, u16);
type Properties = Vec<(String, String)>;

/// Addresses of one host: one list per packet, of the addresses that it added. A sender's address
/// can be forged, so a packet is not assumed to confirm the one before it.
type Addresses = Vec<Vec<IpAddr>>;

/// Records of one service. Responders are identified by address; a responder with two contradictory
/// responses counts as two services.
#[derive(Debug)]
struct Entry {
    from: IpAddr,
    /// Host and port.
    server: Option<Server>,
    properties: Option<Properties>,
    /// Addresses of the host, from the sender of the service's records.
    addresses: Addresses,
    /// Addresses of the host, from other senders.
    by_others: Addresses,
    /// A packet named the host without its address, and no address arrived since. Known addresses
    /// may be from another responder.
    is_asked_for: bool,
    /// The service was already reported as unusable.
    passed_over: bool,
}

/// Discovered Ironic service.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// URLs of all usable services. Responders, their services and the addresses of each service
    /// alternate, in the order of arrival. TLS verification shows which of them are Ironic's.
    pub urls: Vec<Url>,
    /// Options that the service overrides, without the prefix `ipa_`: those that all services
    /// report identically. Another responder beside Ironic can thus suppress an option, but not set
    /// one; a single responder is trusted. (IPA takes the options of the first responder.)
    pub overrides: Vec<(String, String)>,
    /// Options that some services report differently, or not at all.
    pub disputed: Vec<String>,
}

/// One service with complete records.
#[derive(Debug, PartialEq, Eq)]
struct Service {
    url: Url,
    overrides: Vec<(String, String)>,
}

impl ServiceRecords {
    /// Creates an empty collection for a service such as `baremetal`. `id` is the query ID, which
    /// responses repeat.
    pub(super) fn nothing_of(service: &str, id: u16, in_clear: bool) -> Option<Self> {
        Some(Self {
            service: Name::from_ascii(format!("{service}.{DOMAIN}")).ok()?,
            id,
            in_clear,
            entries: Vec::new(),
        })
    }

    /// Returns the query to all responders, regardless of known records.
    pub(super) fn next_query(&self) -> Option<Vec<u8>> {
        self.packet(vec![
            (&self.service, RecordType::SRV),
            (&self.service, RecordType::TXT),
        ])
    }

    /// Returns the query for records that responses left out; `None` if there are none.
    pub(super) fn question_of_rest(&self) -> Option<Vec<u8>> {
        let mut queries = Vec::new();
        for entry in &self.entries {
            match &entry.server {
                None => queries.push((&self.service, RecordType::SRV)),
                Some((host, _)) if entry.is_asked_for => {
                    queries.extend([(host, RecordType::A), (host, RecordType::AAAA)]);
                }
                Some(_) => {}
            }
            if entry.properties.is_none() {
                queries.push((&self.service, RecordType::TXT));
            }
        }
        self.packet(queries)
    }

    fn packet(&self, queries: Vec<(&Name, RecordType)>) -> Option<Vec<u8>> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        for (name, kind) in queries {
            let query = Query::query(name.clone(), kind);
            if !message.queries.contains(&query) {
                message.add_query(query);
            }
        }
        if message.queries.is_empty() {
            return None;
        }
        message.to_vec().ok()
    }

    /// Handles a packet from this address, if it is a response to our query. Returns whether it
    /// contained something new.
    pub(super) fn handle_response(&mut self, packet: &[u8], from: IpAddr) -> bool {
        let Ok(message) = Message::from_vec(packet) else {
            return false;
        };
        if message.metadata.message_type != MessageType::Response || message.metadata.id != self.id
        {
            return false;
        }
        // The first record of each type in a packet counts.
        let (mut server, mut properties) = (None, None);
        let mut addresses = Vec::new();
        for record in message.answers.into_iter().chain(message.additionals) {
            let ours = record.name == self.service;
            match record.data {
                RData::SRV(told) if ours && server.is_none() => {
                    server = Some((told.target, told.port));
                }
                RData::TXT(text) if ours && properties.is_none() => {
                    let pairs = text.txt_data.iter().filter_map(|pair| property(pair));
                    properties = Some(pairs.collect());
                }
                RData::A(address) => addresses.push((record.name, IpAddr::V4(*address))),
                RData::AAAA(address) => addresses.push((record.name, IpAddr::V6(*address))),
                _ => {}
            }
        }
        let without_address = server.as_ref().is_some_and(|(host, _)| {
            let mut told = addresses.iter();
            !told.any(|(of, address)| of == host && is_of_use(*address))
        });
        self.take(from, server, properties, without_address) | self.take_addresses(from, &addresses)
    }

    /// Adds records of a service: to the sender's existing entries if they are consistent, else as
    /// another entry.
    fn take(
        &mut self,
        from: IpAddr,
        server: Option<Server>,
        properties: Option<Properties>,
        without_address: bool,
    ) -> bool {
        if server.is_none() && properties.is_none() {
            return false;
        }
        // To all consistent entries: a forger of half the records must not get the other half
        // alone.
        let (mut fitting, mut news) = (false, false);
        let of_him = self.entries.iter_mut().filter(|entry| entry.from == from);
        for entry in of_him
            .filter(|entry| fit(&entry.server, &server) && fit(&entry.properties, &properties))
        {
            fitting = true;
            news |= entry.server.is_none() && server.is_some()
                || entry.properties.is_none() && properties.is_some()
                || without_address && !entry.is_asked_for;
            entry.is_asked_for |= without_address;
            entry.server = entry.server.take().or_else(|| server.clone());
            entry.properties = entry.properties.take().or_else(|| properties.clone());
        }
        if fitting {
            return news;
        }
        let of_him = self.entries.iter().filter(|entry| entry.from == from);
        let room = of_him.count() < ENTRIES_OF_ONE_MAX && self.entries.len() < ENTRIES_MAX;
        if room {
            self.entries.push(Entry {
                from,
                server,
                properties,
                addresses: Vec::new(),
                by_others: Vec::new(),
                is_asked_for: without_address,
                passed_over: false,
            });
        }
        room
    }

    /// Adds the addresses of services' hosts from a packet. Those that arrive before the host is
    /// known are queried again later.
    fn take_addresses(&mut self, from: IpAddr, told: &[(Name, IpAddr)]) -> bool {
        let mut news = false;
        for entry in &mut self.entries {
            let Some((host, _)) = &entry.server else {
                continue;
            };
            let known = if entry.from == from {
                &mut entry.addresses
            } else {
                &mut entry.by_others
            };
            let mut new = Vec::new();
            for (_, address) in told.iter().filter(|(of, _)| of == host) {
                if new.len() < ADDRESSES_MAX
                    && is_of_use(*address)
                    && !new.contains(address)
                    && !known.iter().flatten().any(|known| known == address)
                {
                    new.push(*address);
                }
            }
            if !new.is_empty() && known.len() < TELLINGS_MAX {
                known.push(new);
                entry.is_asked_for = false;
                news = true;
            }
        }
        news
    }

    /// Returns whether there is a complete and usable service.
    pub(super) fn has_usable(&self) -> bool {
        self.services(|_| true).iter().any(Result::is_ok)
    }

    /// Returns the senders of complete but unusable services, with the reason: each once.
    pub(super) fn newly_passed_over(&mut self) -> Vec<(IpAddr, &'static str)> {
        let in_clear = self.in_clear;
        let mut new = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| !entry.passed_over) {
            if let Some(Err(reason)) = entry.services(&|_| true, in_clear).first() {
                entry.passed_over = true;
                new.push((entry.from, *reason));
            }
        }
        new
    }

    /// Returns all complete services, each at those of its addresses that are reachable, or at all
    /// if none is.
    ///
    /// # Errors
    /// The reason why the first service is unusable, if none is usable.
    pub(super) fn found(
        &self,
        reachable: impl Fn(IpAddr) -> bool,
    ) -> Option<Result<Found, &'static str>> {
        let mut services = Vec::new();
        let mut reasons = Vec::new();
        for service in self.services(reachable) {
            match service {
                Ok(service) => services.push(service),
                Err(reason) => reasons.push(reason),
            }
        }
        if services.is_empty() {
            return reasons.first().map(|reason| Err(*reason));
        }
        let mut found = Found {
            urls: Vec::new(),
            overrides: Vec::new(),
            disputed: Vec::new(),
        };
        let mut options: Vec<&(String, String)> = Vec::new();
        for service in &services {
            if found.urls.len() < URLS_MAX && !found.urls.contains(&service.url) {
                found.urls.push(service.url.clone());
            }
            for option in &service.overrides {
                if options.len() < OVERRIDES_MAX
                    && !options.iter().any(|(known, _)| *known == option.0)
                {
                    options.push(option);
                }
            }
        }
        for option in options {
            if services
                .iter()
                .all(|service| service.overrides.contains(option))
            {
                found.overrides.push(option.clone());
            } else {
                found.disputed.push(option.0.clone());
            }
        }
        Some(Ok(found))
    }

    /// Returns all services, in the order in which they are tried.
    fn services(&self, reachable: impl Fn(IpAddr) -> bool) -> Vec<Result<Service, &'static str>> {
        let mut senders: Vec<(IpAddr, Vec<Vec<_>>)> = Vec::new();
        for entry in &self.entries {
            let services = entry.services(&reachable, self.in_clear);
            match senders.iter_mut().find(|(from, _)| *from == entry.from) {
                Some((_, of_him)) => of_him.push(services),
                None => senders.push((entry.from, vec![services])),
            }
        }
        in_turn(senders.into_iter().map(|(_, of_him)| in_turn(of_him)))
    }
}

impl Entry {
    /// Returns the addresses of the host. Those of other senders are used only if its own sender
    /// reported none.
    fn known_addresses(&self) -> &Addresses {
        if self.addresses.is_empty() {
            &self.by_others
        } else {
            &self.addresses
        }
    }

    /// Returns the service once its records are complete, once per address if the URL depends on
    /// the address.
    fn services(
        &self,
        reachable: &impl Fn(IpAddr) -> bool,
        in_clear: bool,
    ) -> Vec<Result<Service, &'static str>> {
        let (Some((host, port)), Some(properties)) = (&self.server, &self.properties) else {
            return Vec::new();
        };
        let known = self.known_addresses();
        let all: Vec<_> = in_turn(known.iter().cloned());
        let reached: Vec<_> = all.iter().copied().filter(|at| reachable(*at)).collect();
        let mut services = Vec::new();
        for address in if reached.is_empty() { all } else { reached } {
            let service = match service(host, *port, properties, address) {
                Ok(service) if service.url.scheme() == "http" && !in_clear => Err(IN_CLEAR),
                service => service,
            };
            if !services.contains(&service) {
                services.push(service);
            }
        }
        services
    }
}

/// Interleaves lists: the first item of each list, then the second of each, and so on.
fn in_turn<T>(lists: impl IntoIterator<Item = Vec<T>>) -> Vec<T> {
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    let mut turns = Vec::new();
    loop {
        let before = turns.len();
        turns.extend(lists.iter_mut().filter_map(Iterator::next));
        if turns.len() == before {
            return turns;
        }
    }
}

/// Returns whether an address is usable in a URL. A link-local one is not, because a URL cannot
/// name the link.
fn is_of_use(address: IpAddr) -> bool {
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || matches!(address, IpAddr::V6(address) if address.is_unicast_link_local()))
}

/// Returns whether two optional values are consistent.
fn fit<T: PartialEq>(known: &Option<T>, told: &Option<T>) -> bool {
    known.is_none() || told.is_none() || known == told
}

fn service(
    host: &Name,
    port: u16,
    properties: &[(String, String)],
    address: IpAddr,
) -> Result<Service, &'static str> {
    let property = |wanted: &str| {
        let found = properties.iter().find(|(key, _)| key == wanted);
        found.map(|(_, value)| value.as_str())
    };
    // No unicast DNS server resolves a name below `local.`.
    let name = host.to_ascii();
    let host = match (name.ends_with(".local."), address) {
        (true, IpAddr::V4(address)) => Host::Ipv4(address),
        (true, IpAddr::V6(address)) => Host::Ipv6(address),
        (false, _) => Host::parse(name.trim_end_matches('.')).map_err(|_| "its host is none")?,
    };
    let protocol = match (property("protocol"), port) {
        (Some(protocol), _) if !protocol.is_empty() => protocol,
        (_, 80) => "http",
        _ => "https",
    };
    if !matches!(protocol, "http" | "https") {
        return Err("its protocol is neither http nor https");
    }
    let path = property("path").unwrap_or_default();
    let slash = if path.is_empty() || path.starts_with('/') {
        ""
    } else {
        "/"
    };
    let url = Url::parse(&format!("{protocol}://{host}:{port}{slash}{path}"));
    // Of equal keys the first one counts (RFC 6763, section 6.4).
    let mut overrides: Vec<(String, String)> = Vec::new();
    for (key, value) in properties {
        if let Some(option) = key.strip_prefix(OVERRIDE)
            && overrides.len() < OVERRIDES_MAX
            && !overrides.iter().any(|(known, _)| known == option)
        {
            overrides.push((option.to_owned(), value.clone()));
        }
    }
    Ok(Service {
        url: url.map_err(|_| "it makes no URL")?,
        overrides,
    })
}

/// Parses `key=value`, where both are UTF-8.
fn property(pair: &[u8]) -> Option<(String, String)> {
    let (key, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
    Some((key.to_owned(), value.to_owned()))
}

const DOMAIN: &str = "_openstack._tcp.local.";
const OVERRIDE: &str = "ipa_";
const IN_CLEAR: &str = "it is http, and api_pin, cafile or certfile wants TLS";
/// Each URL may be tried in vain before the next one.
const URLS_MAX: usize = 8;
/// More than a legitimate link has, unusable services included.
const ENTRIES_MAX: usize = 32;
/// A responder that repeats the responses of another link may report several services, and others
/// may forge its address.
const ENTRIES_OF_ONE_MAX: usize = URLS_MAX;
/// Per packet: more than a legitimate host has.
const ADDRESSES_MAX: usize = 16;
/// Packets with further addresses of one host.
const TELLINGS_MAX: usize = 8;
/// Each option is a line in the log.
const OVERRIDES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{A, AAAA, SRV, TXT};
    use proptest::prelude::*;

    const ID: u16 = 7;
    const SENDER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 200));
    const SERVICE: &str = "baremetal._openstack._tcp.local.";

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn server(host: &str, port: u16) -> Record {
        Record::from_rdata(
            name(SERVICE),
            60,
            RData::SRV(SRV::new(0, 0, port, name(host))),
        )
    }

    fn text(pairs: &[&str]) -> Record {
        // An empty TXT record is one empty string (RFC 6763, section 6.1).
        let pairs = if pairs.is_empty() { &[""] } else { pairs };
        let pairs = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        Record::from_rdata(name(SERVICE), 60, RData::TXT(TXT::new(pairs)))
    }

    fn address(host: &str, address: &str) -> Record {
        let data = match address.parse().unwrap() {
            IpAddr::V4(address) => RData::A(A(address)),
            IpAddr::V6(address) => RData::AAAA(AAAA(address)),
        };
        Record::from_rdata(name(host), 60, data)
    }

    fn packet(id: u16, records: Vec<Record>) -> Vec<u8> {
        let mut message = Message::response(id, OpCode::Query);
        message.add_answers(records);
        message.to_vec().unwrap()
    }

    fn told(records: Vec<Record>) -> ServiceRecords {
        let mut told = nothing();
        assert!(told.handle_response(&packet(ID, records), SENDER));
        told
    }

    fn nothing() -> ServiceRecords {
        ServiceRecords::nothing_of("baremetal", ID, true).unwrap()
    }

    fn found(told: &ServiceRecords) -> Found {
        told.found(|_| true).unwrap().unwrap()
    }

    fn url(records: Vec<Record>) -> String {
        urls(&told(records)).join(" ")
    }

    fn urls(told: &ServiceRecords) -> Vec<String> {
        found(told).urls.iter().map(Url::to_string).collect()
    }

    /// Returns a packet with all records of a service.
    fn whole(host: &str, port: u16, pairs: &[&str], at: &str) -> Vec<u8> {
        packet(ID, vec![server(host, port), text(pairs), address(host, at)])
    }

    fn from(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn host_port_path_and_protocol_make_the_url() {
        for (host, port, pairs, wanted) in [
            ("c.local.", 6385, &[][..], "https://192.0.2.1:6385/"),
            ("c.local.", 80, &[], "http://192.0.2.1/"),
            (
                "c.local.",
                6385,
                &["protocol=http", "path=/baremetal"],
                "http://192.0.2.1:6385/baremetal",
            ),
            (
                "ironic.example.",
                443,
                &["path=baremetal"],
                "https://ironic.example/baremetal",
            ),
        ] {
            let records = vec![server(host, port), text(pairs), address(host, "192.0.2.1")];
            assert_eq!(url(records), wanted);
        }
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        let host = "c.local.";
        let records = vec![server(host, 6385), text(&[]), address(host, "fd00::1")];
        assert_eq!(url(records), "https://[fd00::1]:6385/");
    }

    #[test]
    fn the_addresses_that_can_be_reached_count_and_else_all() {
        let host = "c.local.";
        let told = told(vec![
            address(host, "127.0.0.1"),
            address(host, "fe80::1"),
            address("other.local.", "192.0.2.9"),
            address(host, "192.0.2.1"),
            address(host, "192.0.2.2"),
            server(host, 80),
            text(&[]),
        ]);
        let at = |reachable: &str| {
            let wanted: IpAddr = reachable.parse().unwrap();
            let found = told.found(|address| address == wanted);
            found.unwrap().unwrap().urls
        };
        let both: [Url; 2] =
            ["http://192.0.2.1/", "http://192.0.2.2/"].map(|url| url.parse().unwrap());
        assert_eq!(at("192.0.2.2"), both[1..]);
        assert_eq!(at("203.0.113.1"), both);
    }

    #[test]
    fn only_what_is_missing_is_asked_for() {
        let asked = |packet: Option<Vec<u8>>| -> Vec<String> {
            let queries = Message::from_vec(&packet.unwrap()).unwrap().queries;
            let shown = queries
                .iter()
                .map(|q| format!("{} {}", q.query_type, q.name));
            shown.collect()
        };
        let everything = [format!("SRV {SERVICE}"), format!("TXT {SERVICE}")];
        let mut told = nothing();
        assert_eq!(asked(told.next_query()), everything);
        assert_eq!(told.question_of_rest(), None);
        assert!(told.handle_response(&packet(ID, vec![server("c.local.", 80)]), SENDER));
        let mut rest = asked(told.question_of_rest());
        rest.sort();
        let of_service = format!("TXT {SERVICE}");
        assert_eq!(rest, ["A c.local.", "AAAA c.local.", of_service.as_str()]);
        let rest = vec![text(&[]), address("c.local.", "192.0.2.1")];
        assert!(told.handle_response(&packet(ID, rest), SENDER));
        assert_eq!(told.question_of_rest(), None);
        // Responders that have not responded yet are queried all the same.
        assert_eq!(asked(told.next_query()), everything);
    }

    #[test]
    fn answers_to_others_and_of_other_services_are_passed_over() {
        let mut told = nothing();
        let mut other = server("c.local.", 80);
        other.name = name("compute._openstack._tcp.local.");
        assert!(!told.handle_response(&packet(ID, vec![other]), SENDER));
        let to_others = packet(ID + 1, vec![server("c.local.", 80)]);
        assert!(!told.handle_response(&to_others, SENDER));
        let question = told.next_query().unwrap();
        assert!(!told.handle_response(&question, SENDER));
        assert!(told.found(|_| true).is_none());
    }

    #[test]
    fn nobody_displaces_what_another_tells() {
        let mut told = told(vec![server("c.local.", 80), text(&["path=/one"])]);
        // Not even by forging its sender address, and not with an address for its host.
        for sender in [SENDER, from(1)] {
            let later = whole("evil.local.", 443, &["path=/two"], "192.0.2.66");
            assert!(told.handle_response(&later, sender));
            assert!(!told.handle_response(&later, sender));
        }
        let of_another = packet(ID, vec![address("c.local.", "192.0.2.66")]);
        assert!(told.handle_response(&of_another, from(1)));
        let own = packet(ID, vec![address("c.local.", "192.0.2.1")]);
        assert!(told.handle_response(&own, SENDER));
        let wanted = ["http://192.0.2.1/one", "https://192.0.2.66/two"];
        assert_eq!(urls(&told), wanted);
    }

    /// The sender address of a packet proves nothing.
    #[test]
    fn an_address_that_is_told_in_anothers_name_leaves_his_own_its_place() {
        let forged = "192.0.2.66";
        let own = whole("c.local.", 443, &[], "192.0.2.1");
        let mut told = nothing();
        assert!(told.handle_response(&whole("c.local.", 443, &[], forged), SENDER));
        assert!(told.handle_response(&own, SENDER));
        let wanted = ["https://192.0.2.66/", "https://192.0.2.1/"];
        assert_eq!(urls(&told), wanted);

        // As many addresses as one packet has, beside other responders with their own records.
        let crowd = |from: u8| {
            let addresses = (from..from + 30).map(|last| format!("192.0.2.{last}"));
            let addresses = addresses.map(|at| address("c.local.", &at));
            let of_service = [server("c.local.", 443), text(&[])];
            packet(ID, of_service.into_iter().chain(addresses).collect())
        };
        let mut told = nothing();
        assert!(told.handle_response(&crowd(60), SENDER));
        assert!(told.handle_response(&crowd(100), from(9)));
        assert!(told.handle_response(&own, SENDER));
        let wanted = [60, 100, 1, 101, 61, 102, 62, 103];
        let wanted = wanted.map(|last| format!("https://192.0.2.{last}/"));
        assert_eq!(urls(&told), wanted);
    }

    #[test]
    fn an_address_that_is_told_in_anothers_name_is_no_reason_not_to_ask_for_his_own() {
        let host = "c.local.";
        let mut told = nothing();
        assert!(told.handle_response(&whole(host, 443, &[], "192.0.2.66"), SENDER));
        assert_eq!(told.question_of_rest(), None);
        let sparing = packet(ID, vec![server(host, 443), text(&[])]);
        assert!(told.handle_response(&sparing, SENDER));
        assert!(!told.handle_response(&sparing, SENDER));
        assert!(told.question_of_rest().is_some());
        let own = packet(ID, vec![address(host, "192.0.2.1")]);
        assert!(told.handle_response(&own, SENDER));
        assert_eq!(told.question_of_rest(), None);
        let wanted = ["https://192.0.2.66/", "https://192.0.2.1/"];
        assert_eq!(urls(&told), wanted);
    }

    #[test]
    fn half_a_telling_in_anothers_name_takes_no_other_half_away() {
        let (forged, own) = (text(&["path=/forged"]), text(&["path=/own"]));
        let host = || vec![server("c.local.", 443), address("c.local.", "192.0.2.1")];
        let mut told = nothing();
        for records in [vec![forged], vec![own], host()] {
            assert!(told.handle_response(&packet(ID, records), SENDER));
        }
        let wanted = ["https://192.0.2.1/forged", "https://192.0.2.1/own"];
        assert_eq!(urls(&told), wanted);
    }

    #[test]
    fn what_others_say_of_a_host_is_believed_where_nobody_else_does() {
        let mut told = told(vec![server("c.local.", 80), text(&[])]);
        assert!(!told.has_usable());
        let of_host = packet(ID, vec![address("c.local.", "192.0.2.1")]);
        assert!(told.handle_response(&of_host, from(1)));
        assert_eq!(urls(&told), ["http://192.0.2.1/"]);
    }

    #[test]
    fn unusable_services_are_passed_over_and_each_is_told_once() {
        let mut told = ServiceRecords::nothing_of("baremetal", ID, false).unwrap();
        let strange: &[&str] = &["protocol=gopher"];
        let in_clear = "it is http, and api_pin, cafile or certfile wants TLS";
        for (last, host, port, pairs, reason) in [
            (1, "a.local.", 80, &[][..], in_clear),
            (2, "b.local.", 6385, &["protocol=http"], in_clear),
            (
                3,
                "c.local.",
                6385,
                strange,
                "its protocol is neither http nor https",
            ),
            (4, ".", 6385, &[], "its host is none"),
        ] {
            let answer = whole(host, port, pairs, "192.0.2.1");
            assert!(told.handle_response(&answer, from(last)));
            assert_eq!(told.newly_passed_over(), [(from(last), reason)]);
            assert_eq!(told.newly_passed_over(), []);
            assert!(!told.has_usable());
            assert_eq!(told.found(|_| true), Some(Err(in_clear)));
        }
        assert!(told.handle_response(&whole("d.local.", 6385, &[], "192.0.2.4"), from(5)));
        assert!(told.has_usable());
        assert_eq!(urls(&told), ["https://192.0.2.4:6385/"]);
    }

    #[test]
    fn who_answers_often_leaves_room_for_others_and_no_more_than_eight_are_taken() {
        let mut told = nothing();
        for port in 1000..1100 {
            told.handle_response(&whole("evil.local.", port, &[], "192.0.2.66"), from(66));
        }
        assert_eq!(urls(&told).len(), ENTRIES_OF_ONE_MAX);
        for last in 1..100 {
            let at = format!("192.0.2.{last}");
            told.handle_response(&whole("c.local.", 443, &[], &at), from(last));
        }
        let urls = urls(&told);
        assert_eq!(urls.len(), URLS_MAX);
        assert_eq!(urls[0], "https://192.0.2.66:1000/");
        assert_eq!(urls[1], "https://192.0.2.1/");
        assert_eq!(told.entries.len(), ENTRIES_MAX);
    }

    #[test]
    fn a_service_told_twice_is_one() {
        let answer = whole("c.local.", 443, &[], "192.0.2.1");
        let mut told = nothing();
        assert!(told.handle_response(&answer, SENDER));
        assert!(told.handle_response(&answer, "fe80::1".parse().unwrap()));
        assert_eq!(urls(&told), ["https://192.0.2.1/"]);
    }

    #[test]
    fn addresses_of_other_hosts_leave_room_for_those_of_the_service() {
        let crowd = |from: u8| {
            let last = from..from + u8::try_from(ADDRESSES_MAX).unwrap();
            last.map(|last| address(&format!("h{last}.local."), &format!("192.0.2.{last}")))
                .collect::<Vec<_>>()
        };
        let host = "c.local.";
        let mut told = nothing();
        told.handle_response(&packet(ID, crowd(100)), SENDER);
        // Before its host is known and after it, in the packet that names the host and in another.
        assert!(told.handle_response(&packet(ID, vec![server(host, 80), text(&[])]), SENDER));
        told.handle_response(&packet(ID, crowd(150)), SENDER);
        let own = packet(ID, vec![address(host, "192.0.2.1")]);
        assert!(told.handle_response(&own, SENDER));
        assert_eq!(urls(&told), ["http://192.0.2.1/"]);
    }

    #[test]
    fn overrides_are_told_without_their_prefix() {
        let host = "c.local.";
        let pairs = ["ipa_ntp_server=192.0.2.3", "x=y", "ipa_debug", "path=/a=b"];
        let told = told(vec![
            server(host, 80),
            text(&pairs),
            address(host, "192.0.2.1"),
        ]);
        assert_eq!(
            found(&told),
            Found {
                urls: vec!["http://192.0.2.1/a=b".parse().unwrap()],
                overrides: vec![("ntp_server".into(), "192.0.2.3".into())],
                disputed: Vec::new(),
            }
        );
    }

    #[test]
    fn overrides_are_those_that_all_services_tell_alike() {
        let mut told = nothing();
        for (last, pairs) in [
            (1, ["ipa_a=1", "ipa_b=1", "ipa_c=1"]),
            (2, ["ipa_a=1", "ipa_b=2", "ipa_d=1"]),
        ] {
            // At one address: a responder that repeats Ironic's records with its own options cannot
            // set one either.
            told.handle_response(&whole("c.local.", 443, &pairs, "192.0.2.1"), from(last));
        }
        // Options of unusable services do not count.
        let strange = &["protocol=gopher", "ipa_a=2"];
        told.handle_response(&whole("e.local.", 443, strange, "192.0.2.3"), from(3));
        let found = found(&told);
        assert_eq!(found.overrides, [("a".into(), "1".into())]);
        assert_eq!(found.disputed, ["b", "c", "d"]);
    }

    #[test]
    fn of_many_overrides_each_counts_once_and_only_the_first_are_told() {
        let host = "c.local.";
        let pairs: Vec<_> = (0..100).map(|n| format!("ipa_o{}={n}", n / 2)).collect();
        let pairs: Vec<_> = pairs.iter().map(String::as_str).collect();
        let told = told(vec![
            server(host, 80),
            text(&pairs),
            address(host, "192.0.2.1"),
        ]);
        let first = (0..16).map(|n| (format!("o{n}"), format!("{}", n * 2)));
        assert!(found(&told).overrides.into_iter().eq(first));
    }

    #[test]
    fn a_protocol_that_is_no_http_is_refused() {
        let host = "c.local.";
        let records = vec![
            server(host, 80),
            text(&["protocol=file"]),
            address(host, "192.0.2.1"),
        ];
        assert!(told(records).found(|_| true).unwrap().is_err());
    }

    proptest! {
        #[test]
        fn any_packets_leave_it_sound(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
            let mut told = ServiceRecords::nothing_of("baremetal", 0, true).unwrap();
            for packet in packets {
                told.handle_response(&packet, SENDER);
                told.question_of_rest();
                let _ = told.found(|_| true);
            }
        }

        #[test]
        fn any_byte_of_a_right_packet_may_be_wrong(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let host = "c.local.";
            let records = vec![server(host, 80), text(&["path=/x", "ipa_a=b"]), address(host, "192.0.2.1")];
            let mut bytes = packet(ID, records);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let mut told = nothing();
            told.handle_response(&bytes, SENDER);
            let _ = told.found(|_| true);
            prop_assert!(told.entries.iter().all(|entry| entry.addresses.len() <= TELLINGS_MAX));
        }
    }
}
