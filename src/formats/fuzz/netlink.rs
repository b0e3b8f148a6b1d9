//! Fuzz target for messages of a route socket. Parsed data lies within the input, and encoded data
//! is parsed as the same.

use crate::formats::netlink::{self, Message};
use crate::formats::rtnetlink::{self, AddressMessage, LinkMessage, UserOptions};

pub(crate) fn netlink_messages(bytes: &[u8]) {
    let mut read = 0;
    for message in netlink::messages(bytes) {
        read += 16 + message.body.len();
        let written = message.to_bytes();
        assert!(netlink::messages(&written).eq([message]));
        let _ = message.errno();
        message_of_any_type(&message);
    }
    assert!(read <= bytes.len());
}

fn message_of_any_type(message: &Message<'_>) {
    let body = message.body;
    let whole: Vec<_> = netlink::attributes(body).map_while(Result::ok).collect();
    let mut written = Vec::new();
    for attribute in &whole {
        let _ = attribute.u32();
        netlink::push_attribute(&mut written, attribute.kind, attribute.value);
    }
    let again: Vec<_> = netlink::attributes(&written)
        .map(|attribute| attribute.expect("what was written"))
        .collect();
    assert!(written.len() <= body.len().next_multiple_of(4));
    assert!(again.iter().map(value).eq(whole.iter().map(value)));

    if let Ok(link) = LinkMessage::parse(body) {
        assert!(!link.name.contains(&0));
        let _ = link.name_text();
    }
    let _ = AddressMessage::parse(body);
    let _ = rtnetlink::preferred_source(body);
    if let Ok(found) = UserOptions::parse(body) {
        assert!(found.options.len() + 16 <= body.len());
    }
}

fn value<'a>(attribute: &netlink::Attribute<'a>) -> (u16, &'a [u8]) {
    (attribute.kind, attribute.value)
}
