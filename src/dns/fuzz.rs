//! Fuzzes the responses of name servers, and the files that list hosts and name servers.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what fuzzing finds is a panic"
)]

use super::message::{Family, Query, Reply, name};
use super::resolv_conf::ResolvConf;
use super::{hosts, limits};

/// Decodes the bytes as an IPv4 and an IPv6 response with the right ID, and as both files.
pub(crate) fn name_servers(bytes: &[u8]) {
    for family in [Family::V4, Family::V6] {
        let host = name("ironic.example").expect("a name of DNS");
        let query = Query::new(host, family).expect("random bytes");
        // The ID is random, so fuzzing cannot find it; it is copied from the query.
        let question = query.packet(true).expect("a name of DNS");
        let number = question.iter().take(2);
        let rest = bytes.iter().skip(2);
        let packet: Vec<u8> = number.chain(rest).copied().collect();
        if let Some(Reply::Addresses(addresses)) = query.read(&packet) {
            assert!(!addresses.is_empty() && addresses.len() <= limits::MAX_ADDRESSES);
        }
    }
    let text = String::from_utf8_lossy(bytes);
    assert!(hosts::addresses(&text, "ironic").len() <= limits::MAX_ADDRESSES);
    let conf = ResolvConf::parse(&text);
    for host in ["ironic", "ironic.example", "ironic."] {
        let candidates = conf.candidates(host, "node.example");
        assert!(!candidates.is_empty());
        for candidate in candidates {
            assert!(candidate.len() <= limits::MAX_NAME, "{candidate}");
        }
    }
}
