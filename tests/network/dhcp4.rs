//! DHCPv4 with servers that do as real ones have been seen to do.

use crate::machine::Machine;
use crate::server4::{ACK, DISCOVER, MASK_24, NAK, OFFER, REQUEST, Server};

fn machine_with_server() -> (Machine, Server) {
    let mut machine = Machine::new("");
    let server = Server::start(&machine.plug("eth0", "02:00:00:00:00:01"));
    machine.start();
    (machine, server)
}

#[test]
fn a_reply_with_a_foreign_hardware_address_length_ends_nothing() {
    let (machine, server) = machine_with_server();
    let discover = server.receive(DISCOVER);
    let mut foreign = discover.reply(OFFER, &MASK_24);
    foreign[2] = 255;
    server.broadcast(&foreign);
    server.lease(&MASK_24);
    machine.wait_address("eth0", "192.0.2.77");
}

#[test]
fn replies_sent_to_the_offered_address_are_received() {
    let (machine, server) = machine_with_server();
    let discover = server.receive(DISCOVER);
    assert_eq!(discover.from.to_string(), "0.0.0.0:68");
    server.unicast(&discover, &discover.reply(OFFER, &MASK_24));
    let request = server.receive(REQUEST);
    server.unicast(&request, &request.reply(ACK, &MASK_24));
    machine.wait_address("eth0", "192.0.2.77");
}

#[test]
fn a_second_interface_asks_from_no_address() {
    let mut machine = Machine::new("");
    let first = Server::start(&machine.plug("eth0", "02:00:00:00:00:01"));
    machine.start();
    first.lease(&MASK_24);
    machine.wait_address("eth0", "192.0.2.77");
    let second = Server::listen(&machine.plug("eth1", "02:00:00:00:00:02"));
    assert_eq!(second.receive(DISCOVER).from.to_string(), "0.0.0.0:68");
}

#[test]
fn malformed_options_cost_themselves_alone() {
    let (machine, server) = machine_with_server();
    let mut options = vec![28, 0, 46, 0, 42, 3, 1, 2, 3];
    // A host name in Latin-1.
    options.extend([12, 3, b'n', 0xE9, b'e']);
    options.extend(MASK_24);
    options.extend([6, 4, 192, 0, 2, 53]);
    server.lease(&options);
    machine.wait_address("eth0", "192.0.2.77");
    machine.wait_resolver("nameserver 192.0.2.53\n");
    machine.wait_log("malformed=option 12 (3 bytes)");
}

#[test]
fn an_mtu_that_would_take_ipv6_away_is_not_set() {
    for (mtu, is_set) in [(1279_u16, false), (1280, true)] {
        let (machine, server) = machine_with_server();
        let mut options = MASK_24.to_vec();
        options.extend([26, 2]);
        options.extend(mtu.to_be_bytes());
        server.lease(&options);
        machine.wait_address("eth0", "192.0.2.77");
        let interface = machine.inside(|| {
            let show = ["-o", "link", "show", "dev", "eth0"];
            let shown = std::process::Command::new("ip").args(show).output();
            String::from_utf8(shown.unwrap().stdout).unwrap()
        });
        let right = if is_set { 1280 } else { 1500 };
        assert!(interface.contains(&format!(" mtu {right} ")), "{interface}");
        let told = "The DHCP server's MTU is not set";
        assert_eq!(machine.log().contains(told), !is_set, "{mtu}");
    }
}

#[test]
fn a_router_outside_the_network_is_reached_on_the_link() {
    let (machine, server) = machine_with_server();
    server.lease(&[1, 4, 255, 255, 255, 255, 3, 4, 198, 51, 100, 1]);
    machine.wait_address("eth0", "192.0.2.77");
    assert_eq!(machine.wait_route("203.0.113.1"), "192.0.2.77");
}

#[test]
fn a_default_route_may_come_before_the_route_to_its_router() {
    let (machine, server) = machine_with_server();
    let mut options = vec![1, 4, 255, 255, 255, 255, 121, 14];
    options.extend([0, 198, 51, 100, 1]);
    options.extend([32, 198, 51, 100, 1, 0, 0, 0, 0]);
    server.lease(&options);
    machine.wait_address("eth0", "192.0.2.77");
    assert_eq!(machine.wait_route("203.0.113.1"), "192.0.2.77");
}

#[test]
fn routes_that_the_kernel_refuses_fill_no_log() {
    let (machine, server) = machine_with_server();
    // By way of the network's broadcast address, in an option of several parts (RFC 3396).
    let routes = (0..120).flat_map(|network| [24, 203, 0, network, 192, 0, 2, 255]);
    let mut options = MASK_24.to_vec();
    for part in routes.collect::<Vec<u8>>().chunks(240) {
        options.extend([121, u8::try_from(part.len()).unwrap()]);
        options.extend(part);
    }
    server.lease(&options);
    machine.wait_log("Got an address by DHCP");
    let log = machine.log();
    let refused = log.matches(": cannot add a route interface=").count();
    assert_eq!(refused, 20, "{log}");
    machine.wait_log(
        "leaving out lines like this one for a minute interface=eth0 like=\"cannot add a route\"",
    );
}

#[test]
fn options_in_the_file_field_are_used() {
    let (machine, server) = machine_with_server();
    let overloaded = |mut reply: Vec<u8>| {
        reply[108..121].copy_from_slice(&[1, 4, 255, 255, 0, 0, 6, 4, 192, 0, 2, 53, 255]);
        reply
    };
    let options = [52, 1, 1];
    let discover = server.receive(DISCOVER);
    server.broadcast(&overloaded(discover.reply(OFFER, &options)));
    let request = server.receive(REQUEST);
    server.broadcast(&overloaded(request.reply(ACK, &options)));
    machine.wait_resolver("nameserver 192.0.2.53\n");
    machine.wait_log("prefix=16");
}

#[test]
fn domains_to_search_are_used_as_servers_send_them() {
    let (machine, server) = machine_with_server();
    let long = format!("{}.example", "a".repeat(60));
    let domains = format!("corp.example lab_1.example {long} b\u{e9}.example\0\0");
    let mut options = MASK_24.to_vec();
    options.extend([6, 4, 192, 0, 2, 53]);
    options.extend([15, u8::try_from(domains.len()).unwrap()]);
    options.extend(domains.bytes());
    server.lease(&options);
    machine.wait_resolver(&format!(
        "nameserver 192.0.2.53\nsearch corp.example lab_1.example {long}\n"
    ));
    machine.wait_log("name=b\u{e9}.example");
}

#[test]
fn refused_offers_are_logged_with_the_reason() {
    let (machine, server) = machine_with_server();
    let discover = server.receive(DISCOVER);
    server.broadcast(&discover.reply_without_server(OFFER, &MASK_24));
    machine.wait_log("option 54");
    let discover = server.receive(DISCOVER);
    server.broadcast(&discover.reply(OFFER, &MASK_24));
    let request = server.receive(REQUEST);
    let mut reason = vec![56, 9];
    reason.extend(b"not today");
    server.broadcast(&request.reply(NAK, &reason));
    machine.wait_log("not today");
    // Others have their turn first.
    let discover = server.receive(DISCOVER);
    server.broadcast(&discover.reply(OFFER, &MASK_24));
    server.lease(&MASK_24);
    machine.wait_address("eth0", "192.0.2.77");
}
