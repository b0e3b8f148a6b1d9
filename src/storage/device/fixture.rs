//! File trees that imitate a machine's `/sys` and `/proc`, for tests.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use crate::root::Root;

/// 2³⁰ bytes.
pub(crate) const GIB: u64 = 1 << 30;

/// A machine made of files; dropping the value deletes them.
#[derive(Debug)]
pub(crate) struct Machine(TempDir);

impl Machine {
    /// Creates a machine without any files.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Creates a machine whose kernel has no disk.
    pub(crate) fn new_with_no_disks() -> Self {
        let machine = Self::new();
        machine.folder("sys/block");
        machine
    }

    /// Returns the machine's `/`.
    pub(crate) fn root(&self) -> Root {
        Root::at(self.0.path())
    }

    pub(crate) fn folder(&self, path: &str) {
        fs::create_dir_all(self.0.path().join(path)).unwrap();
    }

    pub(crate) fn file(&self, path: &str, content: &str) {
        self.bytes(path, content.as_bytes());
    }

    pub(crate) fn files<const N: usize>(&self, folder: &str, files: [(&str, &str); N]) {
        for (name, content) in files {
            self.file(&format!("{folder}/{name}"), &format!("{content}\n"));
        }
    }

    pub(crate) fn bytes(&self, path: &str, content: &[u8]) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    /// Adds a disk with only a size, directly in `/sys/block`.
    pub(crate) fn plain_disk(&self, name: &str, size: u64) {
        let folder = format!("sys/block/{name}");
        self.files(
            &folder,
            [("size", &(size / 512).to_string()), ("dev", number(name))],
        );
    }

    pub(crate) fn virtio_disk(&self, name: &str, size: u64, serial: Option<&str>) {
        let device = "pci0000:00/0000:00:04.0/virtio1";
        let disk = self.disk(
            device,
            name,
            size,
            [
                ("rotational", "1"),
                ("logical_block_size", "512"),
                ("physical_block_size", "512"),
            ],
        );
        self.files(
            &format!("sys/devices/{device}"),
            [("vendor", "0x1af4"), ("device", "0x0002")],
        );
        self.file(&format!("{disk}/serial"), serial.unwrap_or_default());
    }

    pub(crate) fn sata_disk(
        &self,
        name: &str,
        host: u8,
        size: u64,
        model: &str,
        serial: &str,
        wwn: u64,
    ) {
        let port = format!("pci0000:00/0000:00:1f.2/ata{}", host + 1);
        let device = format!("{port}/host{host}/target{host}:0:0/{host}:0:0:0");
        self.disk(
            &device,
            name,
            size,
            [
                ("rotational", "0"),
                ("logical_block_size", "512"),
                ("physical_block_size", "512"),
            ],
        );
        self.file(
            &format!("sys/devices/{port}/ata_port/ata{}/port_no", host + 1),
            &format!("{}\n", host + 1),
        );
        self.file(
            &format!("sys/devices/{port}/host{host}/scsi_host/host{host}/proc_name"),
            "ahci\n",
        );
        let device = format!("sys/devices/{device}");
        self.files(
            &device,
            [
                ("type", "0"),
                ("vendor", "ATA     "),
                ("model", &format!("{model:.16}")),
            ],
        );
        self.folder(&format!("{device}/scsi_device/{host}:0:0:0"));
        self.bytes(&format!("{device}/vpd_pg89"), &ata_page(model, serial, wwn));
    }

    pub(crate) fn sas_disk(
        &self,
        name: &str,
        phy: u8,
        size: u64,
        model: &str,
        serial: &str,
        wwn: u64,
    ) {
        let port = format!("pci0000:00/0000:03:00.0/host0/port-0:{phy}");
        let end = format!("{port}/end_device-0:{phy}");
        let device = format!("{end}/target0:0:{phy}/0:0:{phy}:0");
        self.disk(
            &device,
            name,
            size,
            [
                ("rotational", "1"),
                ("logical_block_size", "512"),
                ("physical_block_size", "4096"),
            ],
        );
        self.folder("sys/devices/pci0000:00/0000:03:00.0/host0/sas_host/host0");
        self.file(
            &format!("sys/devices/{port}/sas_port/port-0:{phy}/num_phys"),
            "1\n",
        );
        self.file(
            &format!("sys/devices/{end}/sas_device/end_device-0:{phy}/phy_identifier"),
            &format!("{phy}\n"),
        );
        let device = format!("sys/devices/{device}");
        self.files(
            &device,
            [("type", "0"), ("vendor", "SEAGATE "), ("model", model)],
        );
        self.folder(&format!("{device}/scsi_device/0:0:{phy}:0"));
        let serial_page = [
            &[0, 0x80, 0, u8::try_from(serial.len()).unwrap()],
            serial.as_bytes(),
        ]
        .concat();
        self.bytes(&format!("{device}/vpd_pg80"), &serial_page);
        self.bytes(
            &format!("{device}/vpd_pg83"),
            &[&[0, 0x83, 0, 12, 1, 3, 0, 8], &wwn.to_be_bytes()[..]].concat(),
        );
    }

    pub(crate) fn nvme_disk(&self, name: &str, size: u64, model: &str, serial: &str, wwid: &str) {
        let controller = "pci0000:00/0000:5e:00.0/nvme/nvme0";
        let place = format!("sys/devices/{controller}/{name}");
        self.files(
            &place,
            [
                ("size", &(size / 512).to_string()),
                ("dev", number(name)),
                ("wwid", wwid),
                ("nsid", "1"),
                ("ro", "0"),
                ("removable", "0"),
            ],
        );
        self.files(
            &format!("{place}/queue"),
            [
                ("rotational", "0"),
                ("logical_block_size", "4096"),
                ("physical_block_size", "4096"),
            ],
        );
        self.link(&format!("{place}/device"), "../../nvme0");
        self.link(
            &format!("sys/block/{name}"),
            &format!("../devices/{controller}/{name}"),
        );
        self.files(
            &format!("sys/devices/{controller}"),
            [
                ("model", &format!("{model:40}")),
                ("serial", &format!("{serial:20}")),
            ],
        );
    }

    pub(crate) fn usb_disk(
        &self,
        name: &str,
        size: u64,
        vendor: &str,
        model: &str,
        serial: Option<&str>,
    ) {
        let usb = "pci0000:00/0000:00:14.0/usb1/1-3";
        let device = format!("{usb}/1-3:1.0/host9/target9:0:0/9:0:0:0");
        let disk = self.disk(
            &device,
            name,
            size,
            [
                ("rotational", "1"),
                ("logical_block_size", "512"),
                ("physical_block_size", "512"),
            ],
        );
        self.file(&format!("{disk}/removable"), "1\n");
        if let Some(serial) = serial {
            self.file(&format!("sys/devices/{usb}/serial"), serial);
        }
        self.files(
            &format!("sys/devices/{device}"),
            [("type", "0"), ("vendor", vendor), ("model", model)],
        );
    }

    /// Adds a connected virtio network interface.
    pub(crate) fn nic(&self, name: &str, index: u8, mac: &str) {
        let device = format!("pci0000:00/0000:00:{:02x}.0/virtio{}", index + 1, index - 2);
        let place = format!("sys/devices/{device}/net/{name}");
        self.files(
            &place,
            [
                ("ifindex", &index.to_string()),
                ("address", mac),
                ("carrier", "1"),
                ("speed", "-1"),
            ],
        );
        self.link(
            &format!("{place}/device"),
            &format!("../../../virtio{}", index - 2),
        );
        self.link(
            &format!("sys/class/net/{name}"),
            &format!("../../devices/{device}/net/{name}"),
        );
        self.files(
            &format!("sys/devices/{device}"),
            [("vendor", "0x1af4"), ("device", "0x0001")],
        );
        self.link(
            &format!("sys/devices/{device}/driver"),
            "../../../../bus/virtio/drivers/virtio_net",
        );
    }

    /// Adds sockets with `each` processors, all of one model.
    pub(crate) fn processors(&self, sockets: u32, each: u32, highest_khz: Option<u32>) {
        let mut info = String::new();
        for cpu in 0..sockets * each {
            let package = (cpu / each).to_string();
            info.push_str(&format!(
                "processor\t: {cpu}\nmodel name\t: Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz\ncpu MHz\t\t: 2100.000\n\
                 physical id\t: {package}\nflags\t\t: fpu vmx aes\n\n"
            ));
            let folder = format!("sys/devices/system/cpu/cpu{cpu}");
            self.file(&format!("{folder}/topology/physical_package_id"), &package);
            if let Some(khz) = highest_khz {
                self.file(
                    &format!("{folder}/cpufreq/cpuinfo_max_freq"),
                    &khz.to_string(),
                );
            }
        }
        self.file(
            "sys/devices/system/cpu/present",
            &format!("0-{}\n", sockets * each - 1),
        );
        self.folder("sys/devices/system/cpu/cpuidle");
        self.file("proc/cpuinfo", &info);
    }

    /// Adds memory devices of these sizes in MiB to the firmware's table; zero is an empty slot.
    pub(crate) fn fitted_memory(&self, sizes: &[u32]) {
        let mut table = vec![16, 15, 0, 0x10, 3, 3, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for mib in sizes {
            let size = u16::try_from(*mib)
                .ok()
                .filter(|mib| *mib < 0x7fff)
                .unwrap_or(0x7fff);
            let mut device = [0; 0x28];
            device[..6].copy_from_slice(&[17, 0x28, 0, 0x11, 0, 0x10]);
            device[0x0c..0x0e].copy_from_slice(&size.to_le_bytes());
            device[0x1c..0x20].copy_from_slice(&mib.to_le_bytes());
            table.extend_from_slice(&device);
            table.extend_from_slice(b"DIMM\0\0");
        }
        table.extend_from_slice(&[127, 4, 0xff, 0xfe, 0, 0]);
        self.bytes("sys/firmware/dmi/tables/DMI", &table);
    }

    /// Adds the firmware's DMI attributes of the machine.
    pub(crate) fn maker(&self, product: &str, serial: &str, maker: &str) {
        self.files(
            "sys/class/dmi/id",
            [
                ("product_name", product),
                ("product_serial", serial),
                ("sys_vendor", maker),
            ],
        );
        self.files(
            "sys/class/dmi/id",
            [
                ("bios_vendor", "Firmware Inc."),
                ("bios_version", "1.2.3"),
                ("bios_date", "02/06/2015"),
            ],
        );
    }

    /// Creates the folder of a disk at its place among the devices, and the links to and from it.
    fn disk(&self, device: &str, name: &str, size: u64, queue: [(&str, &str); 3]) -> String {
        let place = format!("sys/devices/{device}/block/{name}");
        self.files(
            &place,
            [
                ("size", &(size / 512).to_string()),
                ("dev", number(name)),
                ("ro", "0"),
                ("removable", "0"),
            ],
        );
        self.files(&format!("{place}/queue"), queue);
        self.link(&format!("{place}/device"), "../..");
        self.link(
            &format!("sys/block/{name}"),
            &format!("../devices/{device}/block/{name}"),
        );
        place
    }
}

/// Returns a device number of the disk's driver; which of its disks does not matter.
fn number(name: &str) -> &'static str {
    match name.get(..2) {
        Some("sd") => "8:0",
        Some("md") => "9:0",
        Some("nv") => "259:0",
        _ => "254:0",
    }
}

/// Builds page 89h of an ATA disk with these IDENTIFY words.
fn ata_page(model: &str, serial: &str, wwn: u64) -> Vec<u8> {
    let mut identify = [0; 512];
    let mut put = |word: usize, bytes: &[u8]| {
        for (index, byte) in bytes.iter().enumerate() {
            identify[word * 2 + (index ^ 1)] = *byte;
        }
    };
    put(10, format!("{serial:20}").as_bytes());
    put(27, format!("{model:40}").as_bytes());
    put(87, &[0x41, 0x63]);
    put(108, &wwn.to_be_bytes());
    [&[0, 0x89, 0x02, 0x38][..], &[0; 56], &identify].concat()
}
