//! Which address ends the wait for the network.

use crate::machine::Machine;
use crate::server4::{DISCOVER, MASK_24, Server};

/// What is logged when the wait ends.
const READY: &str = "The network is there";

#[test]
fn an_ipv4_address_is_enough_where_a_later_api_url_has_one() {
    let mut machine = Machine::new("ipa-api-url=http://[2001:db8::1]:6385,http://192.0.2.1:6385");
    let server = Server::start(&machine.plug("eth0", "02:00:00:00:00:01"));
    machine.start();
    server.lease(&MASK_24);
    machine.wait_log(READY);
}

#[test]
fn an_ipv6_address_is_not_enough_where_each_api_url_has_an_ipv4_address() {
    let mut machine = Machine::new("ipa-api-url=http://192.0.2.1:6385,http://192.0.2.2:6385");
    let server = Server::start(&machine.plug("eth0", "02:00:00:00:00:01"));
    let address = ["address", "add", "2001:db8::5/64", "dev", "eth0", "nodad"];
    machine.ip(&["link", "set", "eth0", "up"]);
    machine.ip(&address);
    machine.wait_address("eth0", "2001:db8::5");
    machine.start();
    // By its second request the program has long seen the address.
    server.receive(DISCOVER);
    server.receive(DISCOVER);
    assert!(!machine.log().contains(READY), "{}", machine.log());
    server.lease(&MASK_24);
    machine.wait_log(READY);
}
