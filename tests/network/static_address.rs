//! Static addresses of the kernel arguments.

use crate::machine::{Machine, index};
use crate::server4::{MASK_24, Server};
use std::net::IpAddr;

#[test]
fn a_static_address_leaves_the_other_interface_to_dhcp() {
    let mut machine = Machine::new("ip=198.51.100.20::198.51.100.1:255.255.255.0::eth0:off");
    machine.plug("eth0", "02:00:00:00:00:01");
    let other = Server::start(&machine.plug("eth1", "02:00:00:00:00:02"));
    machine.start();
    machine.wait_address("eth0", "198.51.100.20");
    assert_eq!(machine.wait_route("203.0.113.1"), "198.51.100.20");
    other.lease(&MASK_24);
    machine.wait_address("eth1", "192.0.2.77");
}

#[test]
fn a_later_argument_for_another_interface_keeps_a_static_address() {
    let mut machine = Machine::new("ip=198.51.100.20:::24::eth0:off ip=eth1:dhcp");
    machine.plug("eth0", "02:00:00:00:00:01");
    machine.start();
    machine.wait_address("eth0", "198.51.100.20");
}

#[test]
fn a_gateway_outside_the_network_is_logged_and_the_rest_is_used() {
    let mut machine =
        Machine::new("ip=192.0.2.20::198.51.100.1:255.255.255.0:node:eth0:off:192.0.2.53");
    machine.plug("eth0", "02:00:00:00:00:01");
    machine.start();
    machine.wait_address("eth0", "192.0.2.20");
    machine.wait_resolver("nameserver 192.0.2.53\n");
    machine.wait_log("gateway=198.51.100.1");
    assert_eq!(machine.wait_route("203.0.113.1"), "192.0.2.20");
}

#[test]
fn a_static_address_without_an_interface_is_given_to_one() {
    let mut machine = Machine::new("ip=198.51.100.20:::24");
    let ends = ["eth0", "eth1"].map(|name| machine.plug(name, &mac(name)));
    let servers = ends.map(|end| Server::listen(&end));
    machine.start();
    let holder = machine.until("the static address", |netlink| {
        let address: IpAddr = "198.51.100.20".parse().unwrap();
        let addresses = netlink.addresses().unwrap();
        let held = addresses.iter().find(|held| held.address == address)?;
        (0..2).find(|at| index(netlink, &format!("eth{at}")) == Some(held.link))
    });
    let other = 1 - holder;
    servers[other].lease(&MASK_24);
    machine.wait_address(&format!("eth{other}"), "192.0.2.77");
}

#[test]
fn an_unknown_interface_is_logged() {
    let mut machine = Machine::new("ip=198.51.100.20:::24::enp1s0:off");
    machine.plug("eth0", "02:00:00:00:00:01");
    machine.start();
    machine.wait_log("wanted=enp1s0");
}

fn mac(name: &str) -> String {
    format!("02:00:00:00:00:0{}", &name[3..])
}
