//! Interfaces: switched on, and left off.

use crate::machine::{Machine, ip};
use crate::server4::{MASK_24, Server};
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

#[test]
fn an_interface_whose_first_start_was_refused_is_switched_on_later() {
    let mut machine = Machine::new("");
    machine.plug("eth0", "02:00:00:00:00:01");
    // The kernel refuses to start it while the other one has the same address.
    let twin = ["name", "eth1", "address", "02:00:00:00:00:01"];
    let macvlan = ["link", "add", "link", "eth0"];
    let kind = ["type", "macvlan", "mode", "bridge"];
    machine.ip(&[&macvlan[..], &twin, &kind].concat());
    machine.start();
    machine.wait_log("interface=eth1");
    machine.ip(&["link", "set", "eth0", "address", "02:00:00:00:00:02"]);
    machine.until("eth1 to be up", |netlink| {
        let links = netlink.links().unwrap();
        let twin = links.iter().find(|link| link.name == "eth1")?;
        twin.up.then_some(())
    });
}

#[test]
fn interfaces_of_a_locked_down_machine_stay_down() {
    let mut machine = Machine::new("");
    let server = Server::start(&machine.plug("eth0", "02:00:00:00:00:01"));
    machine.start();
    server.lease(&MASK_24);
    machine.wait_address("eth0", "192.0.2.77");

    // As the agent does it.
    let folder = machine.run_folder().join("ferrite");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("locked-down"), "").unwrap();
    machine.ip(&["link", "set", "eth0", "down"]);

    machine.plug("eth1", "02:00:00:00:00:02");
    assert_eq!(up_once_looked_at(&machine, "eth1"), [""; 0]);

    // While Ironic may wait for its answer, what is up stays up.
    machine.ip(&["link", "set", "eth1", "up"]);
    machine.plug("eth3", "02:00:00:00:00:04");
    assert_eq!(up_once_looked_at(&machine, "eth3"), ["eth1"]);
    let mark = File::options().write(true).open(folder.join("locked-down"));
    let long_ago = SystemTime::now() - Duration::from_secs(60);
    mark.unwrap().set_modified(long_ago).unwrap();
    machine.ip(&["link", "set", "eth1", "down"]);

    // A restarted process, and an interface that is switched on by other means.
    machine.start();
    machine.plug("eth2", "02:00:00:00:00:03");
    assert_eq!(up_once_looked_at(&machine, "eth2"), [""; 0]);
    machine.ip(&["link", "set", "eth2", "up"]);
    machine.until("eth2 to be down", |netlink| {
        let links = netlink.links().unwrap();
        let link = links.iter().find(|link| link.name == "eth2")?;
        (!link.up).then_some(())
    });
    ip(&["link", "delete", "eth0-end"]);
}

/// The Ethernet interfaces that are up once the program has seen this one.
fn up_once_looked_at(machine: &Machine, interface: &str) -> Vec<String> {
    let left_down = format!("interface={interface}");
    machine.until("a decision", |netlink| {
        let links = netlink.links().unwrap();
        let up = links.iter().filter(|link| link.up && link.ethernet);
        let up: Vec<_> = up.map(|link| link.name.clone()).collect();
        (up.contains(&interface.to_owned()) || machine.log().contains(&left_down)).then_some(up)
    })
}
