//! Encodes queries and decodes responses (RFC 1035 section 4).
//!
//! Responses are untrusted: each must repeat the query's ID and question. Sections after the
//! answers are not parsed.

use super::error::Failure;
use super::limits::{MAX_ADDRESSES, MAX_ALIASES, MAX_NAME};
use hickory_proto::op::{
    Edns, Header, Message, MessageType, OpCode, Query as Question, ResponseCode,
};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use std::io;
use std::net::IpAddr;

/// Address family of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    fn record_type(self) -> RecordType {
        match self {
            Self::V4 => RecordType::A,
            Self::V6 => RecordType::AAAA,
        }
    }
}

/// Question with a random ID.
#[derive(Clone, Debug)]
pub(super) struct Query {
    id: u16,
    name: Name,
    family: Family,
}

/// Decoded response of a name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// At least one address.
    Addresses(Vec<IpAddr>),
    /// The name is an alias, and the server did not resolve its target.
    Alias(Name),
    Failed(Failure),
    /// The name has no address of this family.
    NoAddress,
    NoSuchName,
    /// The response is truncated; the whole one requires TCP.
    Truncated,
}

/// Parses a host name into labels. All printable ASCII characters but the space are allowed:
/// restricting them is up to zones (RFC 2181 section 11).
pub(super) fn name(text: &str) -> Option<Name> {
    let fits = text.len() <= MAX_NAME && text.bytes().all(|byte| byte.is_ascii_graphic());
    Name::from_labels(text.split('.').map(str::as_bytes))
        .ok()
        .filter(|_| fits)
}

impl Query {
    pub(super) fn new(name: Name, family: Family) -> Result<Self, Failure> {
        let mut id = [0; 2];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| Failure::Io(io::ErrorKind::Other))?;
        let id = u16::from_ne_bytes(id);
        Ok(Self { id, name, family })
    }

    /// Encodes the query; with EDNS it accepts responses larger than 512 bytes.
    pub(super) fn packet(&self, with_edns: bool) -> Result<Vec<u8>, Failure> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Question::query(
            self.name.clone(),
            self.family.record_type(),
        ));
        if with_edns {
            let mut edns = Edns::new();
            edns.set_max_payload(MAX_UDP_PAYLOAD);
            message.set_edns(edns);
        }
        message.to_vec().map_err(|_| Failure::Malformed)
    }

    /// Decodes a packet; returns `None` if it is not a response to this query.
    pub(super) fn read(&self, packet: &[u8]) -> Option<Reply> {
        let mut decoder = BinDecoder::new(packet);
        let Header { metadata, counts } = Header::read(&mut decoder).ok()?;
        let is_answer = metadata.message_type == MessageType::Response
            && metadata.op_code == OpCode::Query
            && metadata.id == self.id;
        let code = metadata.response_code;
        let is_error = !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
        match counts.queries {
            // A server that cannot parse a query cannot repeat its question (RFC 1035 section
            // 4.1.1: FORMERR).
            0 if is_error => {}
            1 => {
                let question = Question::read(&mut decoder).ok()?;
                let is_ours = question.name == self.name
                    && question.query_type == self.family.record_type()
                    && question.query_class == DNSClass::IN;
                is_ours.then_some(())?;
            }
            _ => return None,
        }
        if !is_answer {
            return None;
        }
        Some(match code {
            _ if is_error => Reply::Failed(Failure::Code(code.into())),
            ResponseCode::NXDomain => Reply::NoSuchName,
            _ if metadata.truncation => Reply::Truncated,
            _ => {
                let is_usable = metadata.recursion_available || metadata.authoritative;
                match self.answers(&mut decoder, counts.answers) {
                    Reply::NoAddress if !is_usable => Reply::Failed(Failure::NotRecursive),
                    reply => reply,
                }
            }
        })
    }

    /// Follows the name's aliases through the answer section to its addresses.
    fn answers(&self, decoder: &mut BinDecoder<'_>, count: u16) -> Reply {
        let mut records = Vec::new();
        for _ in 0..count.min(MAX_RECORDS) {
            match Record::<RData>::read(decoder) {
                Ok(record) => records.push(record),
                Err(_) => return Reply::Failed(Failure::Malformed),
            }
        }
        records.retain(|record| record.dns_class == DNSClass::IN);
        let mut owner = &self.name;
        for _ in 0..=MAX_ALIASES {
            let of_owner = || records.iter().filter(|record| record.name == *owner);
            let addresses: Vec<_> = of_owner()
                .filter_map(|record| self.address(&record.data))
                .take(MAX_ADDRESSES)
                .collect();
            if !addresses.is_empty() {
                return Reply::Addresses(addresses);
            }
            let alias = of_owner().find_map(|record| match &record.data {
                RData::CNAME(target) => Some(&target.0),
                _ => None,
            });
            match alias {
                Some(target) => owner = target,
                None if *owner == self.name => return Reply::NoAddress,
                None => return Reply::Alias(owner.clone()),
            }
        }
        Reply::Failed(Failure::Aliases)
    }

    fn address(&self, data: &RData) -> Option<IpAddr> {
        match (self.family, data) {
            (Family::V4, RData::A(address)) => Some(IpAddr::V4(address.0)),
            (Family::V6, RData::AAAA(address)) => Some(IpAddr::V6(address.0)),
            _ => None,
        }
    }
}

/// UDP payload size that passes every network unfragmented (DNS flag day 2020).
const MAX_UDP_PAYLOAD: u16 = 1232;
/// Maximum number of answer records to parse: more than any name has.
const MAX_RECORDS: u16 = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::rdata::{A, CNAME};
    use proptest::prelude::*;

    fn query() -> Query {
        Query::new(name("ironic.lab").unwrap(), Family::V4).unwrap()
    }

    fn record(owner: &str, data: RData) -> Record {
        Record::from_rdata(name(owner).unwrap(), 60, data)
    }

    fn address(owner: &str, last: u8) -> Record {
        record(owner, RData::A(A([192, 0, 2, last].into())))
    }

    fn alias(owner: &str, target: &str) -> Record {
        record(owner, RData::CNAME(CNAME(name(target).unwrap())))
    }

    /// Returns the decoded response to the query with these records, after `change` is applied.
    fn answer(query: &Query, records: Vec<Record>, change: impl Fn(&mut Message)) -> Option<Reply> {
        let mut message = Message::response(query.id, OpCode::Query);
        message.metadata.recursion_available = true;
        message.add_query(Question::query(
            query.name.clone(),
            query.family.record_type(),
        ));
        message.add_answers(records);
        change(&mut message);
        query.read(&message.to_vec().unwrap())
    }

    #[test]
    fn an_answer_repeats_number_and_question() {
        let query = query();
        let records = || vec![address("IRONIC.lab", 1)];
        let wanted = Some(Reply::Addresses(vec![[192, 0, 2, 1].into()]));
        assert_eq!(answer(&query, records(), |_| {}), wanted);
        let forged: [fn(&mut Message); 6] = [
            |message| message.metadata.id ^= 1,
            |message| message.metadata.message_type = MessageType::Query,
            |message| message.metadata.op_code = OpCode::Notify,
            |message| message.queries[0].name = name("ironic.evil").unwrap(),
            |message| message.queries[0].query_type = RecordType::AAAA,
            |message| message.queries.clear(),
        ];
        for (index, forge) in forged.into_iter().enumerate() {
            assert_eq!(answer(&query, records(), forge), None, "{index}");
        }
    }

    #[test]
    fn addresses_of_other_names_and_classes_do_not_count() {
        let query = query();
        let mut chaos = address("ironic.lab", 9);
        chaos.dns_class = DNSClass::CH;
        let records = vec![address("other.lab", 8), chaos];
        assert_eq!(answer(&query, records, |_| {}), Some(Reply::NoAddress));
    }

    #[test]
    fn aliases_are_followed_as_far_as_a_chain_may_be() {
        let query = query();
        let chain = vec![
            alias("b.lab", "c.lab"),
            alias("ironic.lab", "b.lab"),
            address("c.lab", 3),
        ];
        assert_eq!(
            answer(&query, chain, |_| {}),
            Some(Reply::Addresses(vec![[192, 0, 2, 3].into()]))
        );
        let open = vec![alias("ironic.lab", "b.lab")];
        assert_eq!(
            answer(&query, open, |_| {}),
            Some(Reply::Alias(name("b.lab").unwrap()))
        );
        let circle = vec![alias("ironic.lab", "b.lab"), alias("b.lab", "ironic.lab")];
        assert_eq!(
            answer(&query, circle, |_| {}),
            Some(Reply::Failed(Failure::Aliases))
        );
    }

    #[test]
    fn codes_are_failures_but_for_names_that_do_not_exist() {
        let query = query();
        let of = |code| {
            answer(&query, Vec::new(), |message| {
                message.metadata.response_code = code;
            })
        };
        assert_eq!(of(ResponseCode::NXDomain), Some(Reply::NoSuchName));
        for (code, number) in [
            (ResponseCode::ServFail, 2),
            (ResponseCode::NotImp, 4),
            (ResponseCode::Refused, 5),
        ] {
            assert_eq!(of(code), Some(Reply::Failed(Failure::Code(number))));
        }
        let without_question = answer(&query, Vec::new(), |message| {
            message.queries.clear();
            message.metadata.response_code = ResponseCode::FormErr;
        });
        assert_eq!(without_question, Some(Reply::Failed(Failure::Code(1))));
    }

    #[test]
    fn a_server_that_only_refers_to_others_is_no_help() {
        let query = query();
        let reply = answer(&query, Vec::new(), |message| {
            message.metadata.recursion_available = false;
        });
        assert_eq!(reply, Some(Reply::Failed(Failure::NotRecursive)));
        let authoritative = answer(&query, Vec::new(), |message| {
            message.metadata.recursion_available = false;
            message.metadata.authoritative = true;
        });
        assert_eq!(authoritative, Some(Reply::NoAddress));
    }

    #[test]
    fn names_may_have_any_character_that_is_seen() {
        for text in ["ironic_api.lab", "_a.b", "-.x", "a*"] {
            assert!(name(text).is_some(), "{text}");
        }
        for text in [
            "",
            ".",
            "a..b",
            "a b",
            "é",
            &"a".repeat(64),
            &"a.".repeat(140),
        ] {
            assert!(name(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_packet_makes_it_panic(mut packet in prop::collection::vec(any::<u8>(), 0..600), is_ours: bool) {
            let query = query();
            if is_ours && packet.len() > 3 {
                packet[..2].copy_from_slice(&query.id.to_be_bytes());
                packet[2] |= 0x80;
            }
            let _reply = query.read(&packet);
        }

        #[test]
        fn no_change_of_a_right_answer_makes_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut: prop::sample::Index) {
            let query = query();
            let mut message = Message::response(query.id, OpCode::Query);
            message.add_query(Question::query(query.name.clone(), RecordType::A));
            message.add_answers([alias("ironic.lab", "b.lab"), address("b.lab", 1), alias("c.lab", "b.lab")]);
            let mut packet = message.to_vec().unwrap();
            for (at, byte) in changes {
                let at = at.index(packet.len());
                packet[at] = byte;
            }
            packet.truncate(cut.index(packet.len()) + 1);
            if let Some(Reply::Addresses(addresses)) = query.read(&packet) {
                prop_assert!(addresses.len() <= MAX_ADDRESSES);
            }
        }
    }
}
