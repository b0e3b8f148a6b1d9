//! Fuzzes multicast DNS packets of a link: responses of two senders, each after two bytes of
//! length.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what fuzzing finds is a panic"
)]

use super::records::ServiceRecords;
use std::net::IpAddr;

/// Handles the packets in turn. Whichever records are accepted, their URLs are valid.
pub(crate) fn multicast_dns(bytes: &[u8]) {
    let Some((first, mut rest)) = bytes.split_first() else {
        return;
    };
    let in_clear = first % 2 == 0;
    let told = ServiceRecords::nothing_of("baremetal", 0, in_clear);
    let mut told = told.expect("a name of DNS");
    let mut senders = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])]
        .into_iter()
        .cycle();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (packet, after) = after.split_at(length);
        told.handle_response(packet, senders.next().expect("a cycle"));
        let _ = (told.next_query(), told.question_of_rest());
        let _ = told.newly_passed_over();
        rest = after;
    }
    let found = told.found(|address| address.is_ipv6());
    let is_usable = matches!(found, Some(Ok(_)));
    assert_eq!(told.has_usable(), is_usable);
    if let Some(Ok(found)) = found {
        assert!(!found.urls.is_empty());
        for url in &found.urls {
            assert!(url.has_host(), "{url}");
            assert!(url.scheme() == "https" || in_clear, "{url}");
        }
    }
}
