//! Name servers and hosts whose addresses are of use on one link alone, in a network namespace of the test's own.

use ferrite::dns::Resolver;
use ferrite::root::Root;
use ferrite::sys::netlink::{Netlink, NewAddress};
use nix::sched::{CloneFlags, unshare};
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};
use support::name_server::{NameServer, Reply, machine};

const LOOPBACK: u32 = 1;
const SERVER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x53);

/// A network of this thread's alone, with a link-local address on its loopback interface.
fn network_of_our_own() {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let mut netlink = Netlink::open().unwrap();
    netlink.set_up(LOOPBACK).unwrap();
    netlink
        .add_address(&NewAddress {
            link: LOOPBACK,
            address: SERVER.into(),
            prefix: 64,
            valid: None,
            metric: 100,
        })
        .unwrap();
    // The kernel takes the address into use a moment after it answered (net/ipv6/addrconf.c, addrconf_dad_work).
    let begun = Instant::now();
    while UdpSocket::bind(SocketAddrV6::new(SERVER, 0, 0, LOOPBACK)).is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "the address is not usable"
        );
        thread::yield_now();
    }
}

#[tokio::test]
async fn a_server_is_asked_on_the_link_that_its_address_names() {
    network_of_our_own();
    let at = SocketAddrV6::new(SERVER, 0, 0, LOOPBACK).to_string();
    let server = NameServer::start_at(&at, |_| {
        Reply::Addresses(vec![
            "192.0.2.1".parse().unwrap(),
            "fe80::1".parse().unwrap(),
        ])
    })
    .await;
    let port = server.address.port();
    let folder = machine(&format!("nameserver [{SERVER}%lo]:{port}\n"));
    let root = Root::at(folder.path());
    let found = Resolver::new(&root).lookup("ironic.lab").await.unwrap();
    // A link-local address in its answer is on the same link.
    let wanted = SocketAddrV6::new("fe80::1".parse().unwrap(), 0, 0, LOOPBACK);
    assert_eq!(found, ["192.0.2.1:0".parse().unwrap(), wanted.into()]);
}

#[tokio::test]
async fn a_link_local_answer_of_a_server_on_no_link_leads_nowhere() {
    let server = NameServer::start(|_| {
        Reply::Addresses(vec![
            "192.0.2.1".parse().unwrap(),
            "fe80::1".parse().unwrap(),
        ])
    })
    .await;
    let folder = machine(&server.line());
    let root = Root::at(folder.path());
    let found = Resolver::new(&root).lookup("ironic.lab").await.unwrap();
    assert_eq!(found, ["192.0.2.1:0".parse().unwrap()]);
}

#[tokio::test]
async fn a_server_on_an_interface_that_is_gone_is_named() {
    let folder = machine("nameserver fe80::1%gone\n");
    let root = Root::at(folder.path());
    let error = Resolver::new(&root).lookup("ironic.lab").await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no usable answer from fe80::1%gone ("),
        "{error}"
    );
}
