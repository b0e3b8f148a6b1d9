//! Fuzz target for packets of hosts on the link. They are refused, or parsed in little memory;
//! after encoding they are parsed as the same.

use crate::formats::domain_name::{self, Compression};
use crate::formats::{dhcp4, dhcp6, frames, ipv4, kmsg, ntp};

pub(crate) fn network_packets(bytes: &[u8]) {
    if let Ok(message) = dhcp4::Message::parse(bytes) {
        let again = dhcp4::Message::parse(&message.to_bytes()).expect("what was written");
        assert_eq!(again.options, message.options);
        for code in 0..=255 {
            let options = &message.options;
            let _ = (options.u16(code), options.u32(code), options.text(code));
            let _ = (options.address(code), options.addresses(code));
            let _ = (options.prefix_length(code), options.domain_names(code));
            let _ = options.routes(code);
        }
    }
    if let Some(message) = dhcp6::Message::parse(bytes) {
        assert_eq!(
            dhcp6::Message::parse(&message.to_bytes()).as_ref(),
            Some(&message)
        );
        let options = &message.options;
        let association = options.association(1);
        let _ = association.map(|association| association.options.addresses().count());
        let _ = (
            options.status(),
            options.name_servers(),
            options.domain_names(),
        );
    }
    for compression in [Compression::Allowed, Compression::Forbidden] {
        for name in domain_name::read_list(bytes, compression) {
            // A name has 255 bytes on the wire, and each may be escaped as `\014`.
            assert!(name.len() <= 4 * 255, "{name}");
        }
    }
    let port = bytes
        .first_chunk()
        .map_or(68, |port| u16::from_be_bytes(*port));
    let payload = ipv4::udp_payload(bytes, port).unwrap_or_default();
    assert!(payload.len() <= bytes.len());
    let mark = bytes
        .last_chunk()
        .map_or(0, |mark| u64::from_be_bytes(*mark));
    let _ = ntp::reply(bytes, mark);
    let _ = kmsg::Record::parse(bytes);
    assert!(frames::frames(bytes).map(<[u8]>::len).sum::<usize>() <= bytes.len());
}
