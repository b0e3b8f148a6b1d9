//! What the network says of a service: records in, an address of Ironic out. Knows packets, but neither sockets nor time.
//!
//! The service is an instance that is named as its type (IPA: `mdns.py`; RFC 6763 for the records).

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use std::net::IpAddr;
use url::{Host, Url};

/// What was told of one service so far.
#[derive(Debug)]
pub(super) struct Told {
    service: Name,
    id: u16,
    /// Host and port.
    server: Option<(Name, u16)>,
    properties: Option<Vec<(String, String)>>,
    /// Of the service's host; of any while its name is not known.
    addresses: Vec<(Name, IpAddr)>,
}

/// Ironic, as the network tells of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// Where it is.
    pub url: Url,
    /// Options that it would override, without the prefix `ipa_`.
    pub overrides: Vec<(String, String)>,
}

impl Told {
    /// Nothing yet, of a service such as `baremetal`; asked for under a number that the answers repeat.
    pub(super) fn nothing_of(service: &str, id: u16) -> Option<Self> {
        Some(Self {
            service: Name::from_ascii(format!("{service}.{DOMAIN}")).ok()?,
            id,
            server: None,
            properties: None,
            addresses: Vec::new(),
        })
    }

    /// The packet that asks for what is missing; `None` when nothing is.
    pub(super) fn question(&self) -> Option<Vec<u8>> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        let mut ask = |name: &Name, kind| {
            message.add_query(Query::query(name.clone(), kind));
        };
        match &self.server {
            None => ask(&self.service, RecordType::SRV),
            Some((host, _)) if self.addresses_of(host).next().is_none() => {
                ask(host, RecordType::A);
                ask(host, RecordType::AAAA);
            }
            Some(_) => {}
        }
        if self.properties.is_none() {
            ask(&self.service, RecordType::TXT);
        }
        if message.queries.is_empty() {
            return None;
        }
        message.to_vec().ok()
    }

    /// Takes what a packet says, if it is an answer to us: whether something new was in it.
    pub(super) fn hear(&mut self, packet: &[u8]) -> bool {
        let Ok(message) = Message::from_vec(packet) else {
            return false;
        };
        if message.metadata.message_type != MessageType::Response || message.metadata.id != self.id
        {
            return false;
        }
        let mut news = false;
        for record in message.answers.into_iter().chain(message.additionals) {
            news |= self.take(record.name, record.data);
        }
        news
    }

    /// Takes a record; the first of its kind counts.
    fn take(&mut self, name: Name, data: RData) -> bool {
        match data {
            RData::SRV(server) if name == self.service && self.server.is_none() => {
                self.addresses.retain(|(host, _)| *host == server.target);
                self.server = Some((server.target, server.port));
            }
            RData::TXT(text) if name == self.service && self.properties.is_none() => {
                let pairs = text.txt_data.iter().filter_map(|pair| property(pair));
                self.properties = Some(pairs.collect());
            }
            RData::A(address) => return self.take_address(name, IpAddr::V4(*address)),
            RData::AAAA(address) => return self.take_address(name, IpAddr::V6(*address)),
            _ => return false,
        }
        true
    }

    /// Takes an address of the service's host, and of any while that is not known. What there is no room for is asked for again
    /// when it is.
    fn take_address(&mut self, name: Name, address: IpAddr) -> bool {
        if self.server.as_ref().is_some_and(|(host, _)| *host != name) {
            return false;
        }
        let entry = (name, address);
        // What only a link knows is of no use in a URL, which has no place for the link.
        let usable = !address.is_loopback()
            && !address.is_unspecified()
            && !address.is_multicast()
            && !matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
        let new =
            usable && self.addresses.len() < ADDRESSES_MAX && !self.addresses.contains(&entry);
        if new {
            self.addresses.push(entry);
        }
        new
    }

    fn addresses_of(&self, host: &Name) -> impl Iterator<Item = IpAddr> {
        let of_host = self.addresses.iter().filter(move |(name, _)| name == host);
        of_host.map(|(_, address)| *address)
    }

    /// The service, once everything was told: at the first of its addresses that can be reached, else at the first.
    ///
    /// # Errors
    /// What was told makes no URL.
    pub(super) fn service(
        &self,
        reachable: impl Fn(IpAddr) -> bool,
    ) -> Option<Result<Service, &'static str>> {
        let (host, port) = self.server.as_ref()?;
        let properties = self.properties.as_ref()?;
        let first = self.addresses_of(host).next()?;
        let address = self.addresses_of(host).find(|address| reachable(*address));
        Some(service(host, *port, properties, address.unwrap_or(first)))
    }
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
    // A name below `local.` is one that nobody else resolves.
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

/// `key=value`, where both are text.
fn property(pair: &[u8]) -> Option<(String, String)> {
    let (key, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
    Some((key.to_owned(), value.to_owned()))
}

const DOMAIN: &str = "_openstack._tcp.local.";
const OVERRIDE: &str = "ipa_";
/// More than an honest host has.
const ADDRESSES_MAX: usize = 16;
/// Each is a line in the log.
const OVERRIDES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{A, AAAA, SRV, TXT};
    use proptest::prelude::*;

    const ID: u16 = 7;
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
        // No text at all is one empty text (RFC 6763, section 6.1).
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

    fn told(records: Vec<Record>) -> Told {
        let mut told = Told::nothing_of("baremetal", ID).unwrap();
        assert!(told.hear(&packet(ID, records)));
        told
    }

    fn url(records: Vec<Record>) -> String {
        let service = told(records).service(|_| true).unwrap().unwrap();
        service.url.to_string()
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
    fn the_first_address_that_can_be_reached_counts_and_else_the_first() {
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
            let service = told.service(|address| address == wanted);
            service.unwrap().unwrap().url.to_string()
        };
        assert_eq!(at("192.0.2.2"), "http://192.0.2.2/");
        assert_eq!(at("203.0.113.1"), "http://192.0.2.1/");
    }

    #[test]
    fn only_what_is_missing_is_asked_for() {
        let asked = |told: &Told| -> Vec<String> {
            let packet = told.question().unwrap();
            let queries = Message::from_vec(&packet).unwrap().queries;
            let shown = queries
                .iter()
                .map(|q| format!("{} {}", q.query_type, q.name));
            shown.collect()
        };
        let mut told = Told::nothing_of("baremetal", ID).unwrap();
        assert_eq!(
            asked(&told),
            [format!("SRV {SERVICE}"), format!("TXT {SERVICE}")]
        );
        assert!(told.hear(&packet(ID, vec![server("c.local.", 80)])));
        assert_eq!(
            asked(&told),
            [
                "A c.local.".to_owned(),
                "AAAA c.local.".to_owned(),
                format!("TXT {SERVICE}")
            ]
        );
        let rest = vec![text(&[]), address("c.local.", "192.0.2.1")];
        assert!(told.hear(&packet(ID, rest)));
        assert_eq!(told.question(), None);
    }

    #[test]
    fn answers_to_others_and_of_other_services_are_passed_over() {
        let mut told = Told::nothing_of("baremetal", ID).unwrap();
        let mut other = server("c.local.", 80);
        other.name = name("compute._openstack._tcp.local.");
        assert!(!told.hear(&packet(ID, vec![other])));
        assert!(!told.hear(&packet(ID + 1, vec![server("c.local.", 80)])));
        let question = told.question().unwrap();
        assert!(!told.hear(&question));
        assert!(told.service(|_| true).is_none());
    }

    #[test]
    fn what_is_told_first_counts() {
        let mut told = told(vec![server("c.local.", 80), text(&["path=/one"])]);
        let later = vec![server("evil.local.", 80), text(&["path=/two"])];
        assert!(!told.hear(&packet(ID, later)));
        assert!(told.hear(&packet(ID, vec![address("c.local.", "192.0.2.1")])));
        let service = told.service(|_| true).unwrap().unwrap();
        assert_eq!(service.url.as_str(), "http://192.0.2.1/one");
    }

    #[test]
    fn addresses_of_other_hosts_leave_room_for_those_of_the_service() {
        let crowd = |from: u8| {
            let last = from..from + u8::try_from(ADDRESSES_MAX).unwrap();
            last.map(|last| address(&format!("h{last}.local."), &format!("192.0.2.{last}")))
                .collect::<Vec<_>>()
        };
        let host = "c.local.";
        let mut told = told(crowd(100));
        // Before its host is known and after, in the packet that names it and in another.
        assert!(told.hear(&packet(ID, vec![server(host, 80), text(&[])])));
        told.hear(&packet(ID, crowd(150)));
        assert!(told.hear(&packet(ID, vec![address(host, "192.0.2.1")])));
        let service = told.service(|_| true).unwrap().unwrap();
        assert_eq!(service.url.as_str(), "http://192.0.2.1/");
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
            told.service(|_| true).unwrap(),
            Ok(Service {
                url: "http://192.0.2.1/a=b".parse().unwrap(),
                overrides: vec![("ntp_server".into(), "192.0.2.3".into())],
            })
        );
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
        let service = told.service(|_| true).unwrap().unwrap();
        let first = (0..16).map(|n| (format!("o{n}"), format!("{}", n * 2)));
        assert!(service.overrides.into_iter().eq(first));
    }

    #[test]
    fn a_protocol_that_is_no_http_is_refused() {
        let host = "c.local.";
        let records = vec![
            server(host, 80),
            text(&["protocol=file"]),
            address(host, "192.0.2.1"),
        ];
        assert!(told(records).service(|_| true).unwrap().is_err());
    }

    proptest! {
        #[test]
        fn any_packets_leave_it_sound(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
            let mut told = Told::nothing_of("baremetal", 0).unwrap();
            for packet in packets {
                told.hear(&packet);
                told.question();
                let _ = told.service(|_| true);
            }
        }

        #[test]
        fn any_byte_of_a_right_packet_may_be_wrong(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let host = "c.local.";
            let records = vec![server(host, 80), text(&["path=/x", "ipa_a=b"]), address(host, "192.0.2.1")];
            let mut bytes = packet(ID, records);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let mut told = Told::nothing_of("baremetal", ID).unwrap();
            told.hear(&bytes);
            let _ = told.service(|_| true);
            prop_assert!(told.addresses.len() <= ADDRESSES_MAX);
        }
    }
}
