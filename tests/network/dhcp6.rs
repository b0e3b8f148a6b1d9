//! IPv6: what routers and DHCPv6 servers say.

use crate::machine::{Machine, ip};
use crate::router6::{ADVERTISE, DECLINE, MANAGED, RENEW, REPLY, REQUEST, Router, SOLICIT};
use std::net::Ipv6Addr;

const TAKEN: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77);
const FREE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x78);

fn machine_with_router() -> (Machine, Router) {
    let mut machine = Machine::new("");
    let router = Router::start(&machine.plug("eth0", "02:00:00:00:00:01"));
    machine.start();
    // Before it has this, it does not listen to routers.
    machine.wait_address("eth0", "fe80::ff:fe00:1");
    (machine, router)
}

#[test]
fn a_duplicate_address_is_declined_and_another_one_asked_for() {
    let (machine, router) = machine_with_router();
    let taken = format!("{TAKEN}/64");
    ip(&["address", "add", &taken, "dev", "eth0-end", "nodad"]);
    router.advertise(MANAGED, &[]);
    router.lease(TAKEN, &[]);
    let decline = router.receive(DECLINE);
    assert_eq!(decline.address(), Some(TAKEN));
    assert_eq!(decline.option(2), Some(vec![7]));
    machine.wait_log(&format!("address={TAKEN}"));
    router.reply(&decline, REPLY, TAKEN, &[]);
    router.lease(FREE, &[]);
    machine.wait_address("eth0", &FREE.to_string());
}

/// Whoever hears a Request, which is sent to all servers, can answer it before the server does.
#[test]
fn a_reply_of_another_server_or_with_another_address_is_passed_over() {
    let (machine, router) = machine_with_router();
    router.advertise(MANAGED, &[]);
    let solicit = router.receive(SOLICIT);
    router.reply(&solicit, ADVERTISE, FREE, &[]);
    let request = router.receive(REQUEST);
    assert_eq!(request.option(2), Some(vec![7]));
    router.reply_as(9, &request, REPLY, Some((TAKEN, 0)), &[]);
    machine.wait_log("an answer of the server 09 was passed over");
    router.reply(&request, REPLY, TAKEN, &[]);
    machine.wait_log(&format!("its address {TAKEN} is not the one"));
    router.reply(&request, REPLY, FREE, &[]);
    machine.wait_address("eth0", &FREE.to_string());
    machine.wait_log("Got an address by DHCPv6");
    assert!(!machine.log().contains(&format!("address={TAKEN}")));
}

#[test]
fn an_advertise_or_another_servers_reply_does_not_take_an_address_away() {
    let (machine, router) = machine_with_router();
    router.advertise(MANAGED, &[]);
    let solicit = router.receive(SOLICIT);
    router.reply(&solicit, ADVERTISE, FREE, &[]);
    let request = router.receive(REQUEST);
    router.reply_as(7, &request, REPLY, Some((FREE, 1)), &[]);
    let renew = router.receive(RENEW);
    assert_eq!(renew.option(2), Some(vec![7]));
    router.reply_as(9, &renew, ADVERTISE, None, &[]);
    machine.wait_log("its message type does not answer what was asked");
    router.reply_as(9, &renew, REPLY, None, &[]);
    machine.wait_log("an answer of the server 09 was passed over");
    assert!(!machine.log().contains("Gave back an address"));
    router.reply_as(7, &renew, REPLY, None, &[]);
    machine.wait_log("Gave back an address");
}

/// With addresses of servers and domains that cannot be any, and the options of each advertisement others than before.
#[test]
fn router_advertisements_fill_no_log() {
    let (machine, router) = machine_with_router();
    for round in 0..200 {
        let group = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, round, 1);
        let mut options = vec![25, 3, 0, 0, 0, 0, 0, 60];
        options.extend(group.octets());
        options.extend([31, 2, 0, 0, 0, 0, 0, 60, 2, b'*']);
        options.extend([b'a' + u8::try_from(round % 26).unwrap(), 0, 0, 0, 0, 0]);
        router.advertise(0, &options);
    }
    // Long after the first of them: an address is checked for a second.
    router.advertise(MANAGED, &[]);
    router.lease(FREE, &[]);
    machine.wait_log("Got an address by DHCPv6");
    let log = machine.log();
    let ignored = log.matches("ignored a name server or a domain").count();
    assert_eq!(ignored, 8, "{log}");
}

#[test]
fn a_status_without_a_code_hides_nothing() {
    let (machine, router) = machine_with_router();
    router.advertise(MANAGED, &[]);
    router.lease(FREE, &[0, 13, 0, 0]);
    machine.wait_address("eth0", &FREE.to_string());
}

#[test]
fn a_routers_name_servers_and_domains_are_used() {
    let (machine, router) = machine_with_router();
    let server = |last| {
        let mut option = vec![25, 3, 0, 0, 0, 0, 0, 60];
        option.extend(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).octets());
        option
    };
    let mut domains = vec![31, 3, 0, 0, 0, 0, 0, 60];
    domains.extend(b"\x04corp\x07example\0\0\0");
    router.advertise(0, &[server(0x53), server(0x54), domains].concat());
    machine
        .wait_resolver("nameserver 2001:db8::53\nnameserver 2001:db8::54\nsearch corp.example\n");
}
