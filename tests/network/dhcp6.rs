//! IPv6: what routers and DHCPv6 servers say.

use crate::machine::{Machine, ip};
use crate::router6::{DECLINE, MANAGED, REPLY, Router};
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
