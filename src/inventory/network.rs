//! Network interfaces of the machine.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::inventory::last_logged::LastLogged;
use crate::root::Root;
use crate::storage::sysfs;
use crate::sys::address::{self, InterfaceAddress};
use crate::sys::ethtool;

/// A network interface of hardware, a bond or a VLAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Kernel's name, for example `eth0`.
    pub name: String,
    /// Permanent address, or else the current one: `52:54:00:12:34:56`.
    pub mac_address: String,
    /// First IPv4 address.
    pub ipv4_address: Option<String>,
    /// First IPv6 address, with `%interface` if it is link-local.
    pub ipv6_address: Option<String>,
    /// Whether the interface is up and has a carrier.
    pub has_carrier: bool,
    /// PCI vendor: `0x8086`.
    pub vendor: Option<String>,
    /// PCI device: `0x1572`.
    pub product: Option<String>,
    /// Link speed in Mbit/s.
    pub speed_mbps: Option<u64>,
    /// Name of its device on the bus: `0000:00:03.0`, `virtio0`.
    pub pci_address: Option<String>,
    /// Driver of the interface.
    pub driver: Option<String>,
}

/// Returns the interfaces in the order in which the kernel found them. Interfaces without a MAC
/// address are left out, because Ironic identifies interfaces by it.
#[must_use]
pub fn interfaces(root: &Root) -> Vec<Interface> {
    let folder = root.path("sys/class/net");
    let mut names = sysfs::names(&folder);
    names.retain(|name| is_hardware(&folder.join(name), name));
    let kernel = Kernel::ask(root, &names);
    names.sort_by_cached_key(|name| {
        (
            sysfs::number(&folder.join(name).join("ifindex")),
            name.clone(),
        )
    });
    let interfaces = names
        .into_iter()
        .filter_map(|name| interface(&folder.join(&name), name, &kernel));
    interfaces.collect()
}

/// Returns the MAC addresses in the inventory's order, without duplicates; the lookup sends them.
#[must_use]
pub fn mac_addresses(root: &Root) -> Vec<String> {
    let mut addresses: Vec<String> = Vec::new();
    for interface in interfaces(root) {
        if !addresses.contains(&interface.mac_address) {
            addresses.push(interface.mac_address);
        }
    }
    addresses
}

/// Last logged error of reading addresses.
static NO_ADDRESSES: LastLogged = LastLogged::new();

/// State that only the kernel reports, not files. Empty for a [`Root`] of another machine, which
/// this kernel does not know.
#[derive(Default)]
struct Kernel {
    addresses: Vec<InterfaceAddress>,
    /// Permanent MAC addresses by interface name.
    permanent_macs: BTreeMap<String, Vec<u8>>,
}

impl Kernel {
    fn ask(root: &Root, interfaces: &[String]) -> Self {
        if !root.is_machine() {
            return Self::default();
        }
        let addresses = address::list().inspect_err(|error| {
            if NO_ADDRESSES.is_new(&error.to_string()) {
                tracing::warn!(%error, "the addresses of interfaces are not known");
            }
        });
        Self {
            addresses: addresses.unwrap_or_default(),
            permanent_macs: permanent_macs(interfaces),
        }
    }

    fn permanent_mac(&self, interface: &str) -> Option<String> {
        let address = self.permanent_macs.get(interface)?;
        let bytes: Vec<String> = address.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(bytes.join(":"))
    }

    fn first_ip(&self, interface: &str, wanted: fn(&IpAddr) -> bool) -> Option<String> {
        let address = self
            .addresses
            .iter()
            .find(|address| address.interface == interface && wanted(&address.ip))?;
        Some(match address.scope {
            0 => address.ip.to_string(),
            _ => format!("{}%{interface}", address.ip),
        })
    }
}

fn permanent_macs(interfaces: &[String]) -> BTreeMap<String, Vec<u8>> {
    let Ok(socket) = UnixDatagram::unbound() else {
        return BTreeMap::new();
    };
    let of = |name: &String| {
        let address = ethtool::permanent_address(socket.as_fd(), name).ok()??;
        Some((name.clone(), address))
    };
    interfaces.iter().filter_map(of).collect()
}

fn interface(folder: &Path, name: String, kernel: &Kernel) -> Option<Interface> {
    let device = folder.join("device");
    Some(Interface {
        mac_address: kernel
            .permanent_mac(&name)
            .or_else(|| sysfs::text(&folder.join("address")))?,
        ipv4_address: kernel.first_ip(&name, IpAddr::is_ipv4),
        ipv6_address: kernel.first_ip(&name, IpAddr::is_ipv6),
        has_carrier: sysfs::flag(&folder.join("carrier")),
        vendor: sysfs::text(&device.join("vendor")),
        product: sysfs::text(&device.join("device")),
        // Unknown is -1, or unreadable while the interface is down; virtual links may report 0.
        speed_mbps: sysfs::number(&folder.join("speed"))
            .filter(|speed| (1..u64::from(u32::MAX)).contains(speed)),
        pci_address: sysfs::target_name(&device),
        driver: sysfs::target_name(&device.join("driver")),
        name,
    })
}

/// Returns whether an interface is hardware, a bond, or a VLAN, which is recognized by its name
/// (`eth0.100`).
fn is_hardware(folder: &Path, name: &str) -> bool {
    let vlan = name.split_once('.').is_some_and(|(_, vlan)| {
        !vlan.is_empty() && vlan.bytes().all(|byte| byte.is_ascii_digit())
    });
    vlan || folder.join("device").exists() || folder.join("bonding").exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::device::fixture::Machine;

    #[test]
    fn hardware_bonds_and_vlans_are_listed_in_the_kernels_order() {
        let machine = Machine::new();
        machine.nic("eth1", 3, "52:54:00:00:00:02");
        machine.nic("eth0", 2, "52:54:00:00:00:01");
        machine.files(
            "sys/class/net/lo",
            [("ifindex", "1"), ("address", "00:00:00:00:00:00")],
        );
        machine.files(
            "sys/class/net/eth0.100",
            [("ifindex", "9"), ("address", "52:54:00:00:00:01")],
        );
        machine.files(
            "sys/class/net/bond0",
            [
                ("ifindex", "8"),
                ("address", "52:54:00:00:00:03"),
                ("bonding/mode", "802.3ad 4"),
            ],
        );
        machine.files(
            "sys/class/net/veth.a1",
            [("ifindex", "7"), ("address", "52:54:00:00:00:04")],
        );
        let names: Vec<_> = interfaces(&machine.root())
            .into_iter()
            .map(|interface| interface.name)
            .collect();
        assert_eq!(names, ["eth0", "eth1", "bond0", "eth0.100"]);
        assert_eq!(
            mac_addresses(&machine.root()),
            [
                "52:54:00:00:00:01",
                "52:54:00:00:00:02",
                "52:54:00:00:00:03"
            ]
        );
    }

    #[test]
    fn a_machine_of_openstack_keeps_its_addresses() {
        let machine = Machine::new();
        machine.nic("eth0", 2, "fa:16:3e:12:34:56");
        assert_eq!(mac_addresses(&machine.root()), ["fa:16:3e:12:34:56"]);
    }

    #[test]
    fn an_interface_without_an_address_is_left_out() {
        let machine = Machine::new();
        machine.nic("eth0", 2, "");
        assert_eq!(interfaces(&machine.root()), []);
    }

    #[test]
    fn the_first_address_of_each_family_is_told() {
        let address = |interface: &str, ip: &str, scope| InterfaceAddress {
            interface: interface.into(),
            ip: ip.parse().unwrap(),
            scope,
        };
        let kernel = Kernel {
            addresses: vec![
                address("lo", "127.0.0.1", 0),
                address("eth0", "fe80::1", 2),
                address("eth0", "192.0.2.5", 0),
                address("eth0", "192.0.2.6", 0),
            ],
            ..Kernel::default()
        };
        assert_eq!(
            kernel.first_ip("eth0", IpAddr::is_ipv4).as_deref(),
            Some("192.0.2.5")
        );
        assert_eq!(
            kernel.first_ip("eth0", IpAddr::is_ipv6).as_deref(),
            Some("fe80::1%eth0")
        );
        assert_eq!(kernel.first_ip("eth1", IpAddr::is_ipv4), None);
    }

    /// A bond assigns one address to its members, and an operator may set another one.
    #[test]
    fn the_address_an_interface_was_made_with_counts() {
        let machine = Machine::new();
        machine.nic("eth0", 2, "02:00:00:00:00:99");
        machine.nic("eth1", 3, "02:00:00:00:00:99");
        let kernel = Kernel {
            permanent_macs: [("eth0".to_owned(), vec![0x52, 0x54, 0, 0, 0, 0x0a])].into(),
            ..Kernel::default()
        };
        let mac = |name: &str| {
            let folder = machine.root().path("sys/class/net").join(name);
            interface(&folder, name.to_owned(), &kernel)
                .unwrap()
                .mac_address
        };
        assert_eq!(
            (mac("eth0"), mac("eth1")),
            ("52:54:00:00:00:0a".into(), "02:00:00:00:00:99".into())
        );
    }

    /// Two kernel interfaces report the same for each interface of this machine.
    #[test]
    fn the_kernel_is_asked_for_the_addresses_that_interfaces_were_made_with() {
        let links = crate::sys::netlink::Netlink::open()
            .unwrap()
            .links()
            .unwrap();
        let names: Vec<_> = links.iter().map(|link| link.name.clone()).collect();
        let expected = links
            .into_iter()
            .filter_map(|link| Some((link.name, link.permanent_mac?.to_vec())))
            .collect();
        assert_eq!(
            Kernel::ask(&Root::machine(), &names).permanent_macs,
            expected
        );
    }

    #[test]
    fn an_unknown_speed_is_not_a_speed() {
        let machine = Machine::new();
        machine.nic("eth0", 2, "52:54:00:00:00:01");
        for (text, expected) in [
            ("-1", None),
            ("0", None),
            ("4294967295", None),
            ("25000", Some(25000)),
        ] {
            machine.file("sys/class/net/eth0/speed", text);
            assert_eq!(
                interfaces(&machine.root())[0].speed_mbps,
                expected,
                "{text}"
            );
        }
    }
}
