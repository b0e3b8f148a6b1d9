//! JSON of the inventory for Ironic, with the names of IPA's `list_hardware_info`.

use serde_json::{Value, json};

use crate::inventory::Inventory;
use crate::inventory::bmc::Address;
use crate::inventory::cpu::Cpu;
use crate::inventory::network::Interface;
use crate::inventory::system::SystemVendor;
use crate::storage::device::BlockDevice;

/// Returns the inventory as JSON.
#[must_use]
pub fn inventory(inventory: &Inventory) -> Value {
    let bmc = inventory.bmc.as_ref();
    let mut value = json!({
        "interfaces": inventory.interfaces.iter().map(interface).collect::<Vec<_>>(),
        "cpu": cpu(&inventory.cpu),
        "disks": inventory.disks.iter().map(disk).collect::<Vec<_>>(),
        "memory": {"total": inventory.memory.total, "physical_mb": inventory.memory.physical_mb},
        // IPA's values for a controller without an address, and for one that cannot be queried
        // (`get_bmc_address`, `get_bmc_v6address`).
        "bmc_address": bmc.and_then(|bmc| address(&bmc.address, "0.0.0.0")),
        "bmc_v6address": bmc.and_then(|bmc| address(&bmc.v6_address, "::/0")),
        "system_vendor": system_vendor(&inventory.system_vendor),
        "boot": {"current_boot_mode": inventory.boot_mode.name(), "pxe_interface": inventory.pxe_interface},
        "hostname": inventory.hostname,
    });
    if let (Some(Address::Found(mac)), Some(keys)) =
        (bmc.map(|bmc| &bmc.mac), value.as_object_mut())
    {
        keys.insert("bmc_mac".into(), mac.as_str().into());
    }
    value
}

fn address<T: ToString>(address: &Address<T>, none: &str) -> Option<String> {
    match address {
        Address::Found(address) => Some(address.to_string()),
        Address::NotConfigured => Some(none.to_owned()),
        Address::Unknown => None,
    }
}

/// Returns a disk as JSON.
#[must_use]
pub fn disk(disk: &BlockDevice) -> Value {
    json!({
        "name": disk.name,
        "model": disk.model,
        "size": disk.size,
        "rotational": disk.rotational,
        "wwn": disk.wwn,
        "serial": disk.serial,
        "vendor": disk.vendor,
        "wwn_with_extension": disk.wwn_with_extension,
        "wwn_vendor_extension": disk.wwn_vendor_extension,
        "hctl": disk.hctl,
        "by_path": disk.by_path,
        "logical_sectors": disk.logical_sectors,
        "physical_sectors": disk.physical_sectors,
        "tran": disk.tran,
    })
}

fn interface(interface: &Interface) -> Value {
    json!({
        "name": interface.name,
        "mac_address": interface.mac_address,
        "ipv4_address": interface.ipv4_address,
        "ipv6_address": interface.ipv6_address,
        "has_carrier": interface.has_carrier,
        "lldp": null,
        "vendor": interface.vendor,
        "product": interface.product,
        "client_id": null,
        "biosdevname": null,
        "speed_mbps": interface.speed_mbps,
        "pci_address": interface.pci_address,
        "driver": interface.driver,
    })
}

fn cpu(cpu: &Cpu) -> Value {
    json!({
        "model_name": cpu.model_name,
        "frequency": cpu.frequency,
        "count": cpu.count,
        "architecture": cpu.architecture,
        "flags": cpu.flags,
        "socket_count": cpu.socket_count,
    })
}

fn system_vendor(vendor: &SystemVendor) -> Value {
    json!({
        "product_name": vendor.product_name,
        "serial_number": vendor.serial_number,
        "manufacturer": vendor.manufacturer,
        "firmware": {
            "vendor": vendor.firmware.vendor,
            "version": vendor.firmware.version,
            "build_date": vendor.firmware.build_date,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::bmc::Bmc;
    use crate::inventory::collect;
    use crate::storage::device::fixture::{GIB, Machine};
    use std::net::Ipv4Addr;

    fn cpu(sockets: u64, count: u64, frequency: &str) -> Value {
        json!({
            "model_name": "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz", "frequency": frequency, "count": count,
            "architecture": std::env::consts::ARCH, "flags": ["fpu", "vmx", "aes"], "socket_count": sockets,
        })
    }

    fn vendor(product: &str, serial: &str, maker: &str) -> Value {
        json!({
            "product_name": product, "serial_number": serial, "manufacturer": maker,
            "firmware": {"vendor": "Firmware Inc.", "version": "1.2.3", "build_date": "02/06/2015"},
        })
    }

    #[test]
    fn the_inventory_of_a_virtio_vm() {
        let machine = Machine::new();
        machine.processors(1, 2, None);
        machine.fitted_memory(&[4096]);
        machine.file("proc/meminfo", "MemTotal:        4026532 kB\n");
        machine.maker("Standard PC (Q35 + ICH9, 2009)", "", "QEMU");
        machine.folder("sys/firmware/efi");
        machine.file("proc/sys/kernel/hostname", "ferrite\n");
        machine.nic("eth0", 2, "52:54:00:12:34:56");
        machine.virtio_disk("vda", 10 * GIB, Some("disk-1"));
        assert_eq!(
            inventory(&collect(
                &machine.root(),
                Some("01-52-54-00-12-34-56"),
                None
            )),
            json!({
                "interfaces": [{
                    "name": "eth0", "mac_address": "52:54:00:12:34:56", "ipv4_address": null, "ipv6_address": null,
                    "has_carrier": true, "lldp": null, "vendor": "0x1af4", "product": "0x0001", "client_id": null,
                    "biosdevname": null, "speed_mbps": null, "pci_address": "virtio0", "driver": "virtio_net",
                }],
                "cpu": cpu(1, 2, "2100.0000"),
                "disks": [{
                    "name": "/dev/vda", "model": null, "size": 10_737_418_240_u64, "rotational": true, "wwn": null,
                    "serial": "disk-1", "vendor": "0x1af4", "wwn_with_extension": null, "wwn_vendor_extension": null,
                    "hctl": null, "by_path": "/dev/disk/by-path/pci-0000:00:04.0", "logical_sectors": 512,
                    "physical_sectors": 512, "tran": "virtio",
                }],
                "memory": {"total": 4_123_168_768_u64, "physical_mb": 4096},
                "bmc_address": null, "bmc_v6address": null,
                "system_vendor": vendor("Standard PC (Q35 + ICH9, 2009)", "", "QEMU"),
                "boot": {"current_boot_mode": "uefi", "pxe_interface": "01-52-54-00-12-34-56"},
                "hostname": "ferrite",
            })
        );
    }

    #[test]
    fn the_inventory_of_a_server_with_sata_sas_and_nvme_disks() {
        let machine = Machine::new();
        machine.processors(2, 16, Some(3_700_000));
        machine.fitted_memory(&[32768, 32768, 0, 32768]);
        machine.file("proc/meminfo", "MemTotal:       98568188 kB\n");
        machine.maker("PowerEdge R640", "ABC1234", "Dell Inc.");
        machine.sata_disk(
            "sda",
            4,
            240 * GIB,
            "MTFDDAK240TCB-1AR1ZABDA",
            "17261234ABCD",
            0x500a_0751_1234_abcd,
        );
        machine.sas_disk(
            "sdb",
            2,
            600 * GIB,
            "ST600MM0208",
            "S42012345",
            0x5000_c500_a1b2_c3d7,
        );
        machine.nvme_disk(
            "nvme0n1",
            2000 * GIB,
            "INTEL SSDPE2KX020T8",
            "PHLJ1234",
            "eui.01000000010000005cd2e4a1b2c3d4e5",
        );
        assert_eq!(
            inventory(&collect(&machine.root(), None, None)),
            json!({
                "interfaces": [],
                "cpu": cpu(2, 32, "3700.0000"),
                "disks": [
                    {
                        "name": "/dev/sda", "model": "MTFDDAK240TCB-1AR1ZABDA", "size": 240 * GIB, "rotational": false,
                        "wwn": "0x500a07511234abcd", "serial": "17261234ABCD", "vendor": "ATA",
                        "wwn_with_extension": "0x500a07511234abcd", "wwn_vendor_extension": null, "hctl": "4:0:0:0",
                        "by_path": "/dev/disk/by-path/pci-0000:00:1f.2-ata-5.0", "logical_sectors": 512,
                        "physical_sectors": 512, "tran": "sata",
                    },
                    {
                        "name": "/dev/sdb", "model": "ST600MM0208", "size": 600 * GIB, "rotational": true,
                        "wwn": "0x5000c500a1b2c3d7", "serial": "S42012345", "vendor": "SEAGATE",
                        "wwn_with_extension": "0x5000c500a1b2c3d7", "wwn_vendor_extension": null, "hctl": "0:0:2:0",
                        "by_path": "/dev/disk/by-path/pci-0000:03:00.0-sas-phy2-lun-0", "logical_sectors": 512,
                        "physical_sectors": 4096, "tran": "sas",
                    },
                    {
                        "name": "/dev/nvme0n1", "model": "INTEL SSDPE2KX020T8", "size": 2000 * GIB, "rotational": false,
                        "wwn": "eui.01000000010000005cd2e4a1b2c3d4e5", "serial": "PHLJ1234", "vendor": null,
                        "wwn_with_extension": null, "wwn_vendor_extension": null, "hctl": null,
                        "by_path": "/dev/disk/by-path/pci-0000:5e:00.0-nvme-1", "logical_sectors": 4096,
                        "physical_sectors": 4096, "tran": "nvme",
                    },
                ],
                "memory": {"total": 100_933_824_512_u64, "physical_mb": 98304},
                "bmc_address": null, "bmc_v6address": null,
                "system_vendor": vendor("PowerEdge R640", "ABC1234", "Dell Inc."),
                "boot": {"current_boot_mode": "bios", "pxe_interface": null},
                "hostname": "",
            })
        );
    }

    #[test]
    fn a_machine_that_tells_nothing_still_has_an_inventory() {
        let value = inventory(&collect(&Machine::new().root(), None, None));
        let mut keys: Vec<_> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "bmc_address",
                "bmc_v6address",
                "boot",
                "cpu",
                "disks",
                "hostname",
                "interfaces",
                "memory",
                "system_vendor"
            ]
        );
        assert_eq!(value["memory"], json!({"total": null, "physical_mb": null}));
        assert_eq!(value["disks"], json!([]));
    }

    #[test]
    fn a_management_controllers_addresses_are_told_from_none_and_from_unknown() {
        let addresses = |bmc| {
            let value = inventory(&collect(&Machine::new().root(), None, Some(bmc)));
            json!([
                value["bmc_address"],
                value["bmc_v6address"],
                value.get("bmc_mac")
            ])
        };
        let bmc = Bmc {
            address: Address::Found(Ipv4Addr::new(10, 0, 0, 5)),
            v6_address: Address::Found("2001:db8::5".parse().unwrap()),
            mac: Address::Found("52:54:00:01:02:03".into()),
        };
        assert_eq!(
            addresses(bmc),
            json!(["10.0.0.5", "2001:db8::5", "52:54:00:01:02:03"])
        );
        let without = Bmc {
            address: Address::NotConfigured,
            v6_address: Address::NotConfigured,
            mac: Address::NotConfigured,
        };
        assert_eq!(addresses(without), json!(["0.0.0.0", "::/0", null]));
        assert_eq!(addresses(Bmc::default()), json!([null, null, null]));
    }
}
