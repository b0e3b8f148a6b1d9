//! Hardware path from the processor to a disk, read from the disk's place in `/sys/devices`.
//!
//! It yields the names of udev's `path_id` for `/dev/disk/by-path` links, and the transport that
//! `lsblk` shows. Covers the buses of servers and VMs (PCI, platform, SCSI, ATA, SAS, FC, iSCSI,
//! NVMe, virtio, USB). Other buses yield `None`, as with udev.

use std::path::{Path, PathBuf};

use crate::root::Root;
use crate::storage::sysfs;

/// Folders of a disk's ancestors in `/sys/devices`, the disk itself first.
#[derive(Debug)]
pub(super) struct DevicePath {
    steps: Vec<Step>,
}

/// One ancestor of a disk.
#[derive(Debug)]
struct Step {
    name: String,
    folder: PathBuf,
}

impl DevicePath {
    /// Reads the path of the disk with this folder in `/sys/block`; empty where that folder does
    /// not resolve.
    pub(super) fn of(root: &Root, folder: &Path) -> Self {
        let devices = root.path("sys/devices").canonicalize().ok();
        let place = folder.canonicalize().ok();
        let (Some(devices), Some(place)) = (devices, place) else {
            return Self { steps: Vec::new() };
        };
        let mut steps = steps(&devices, &place);
        // With native multipath an NVMe namespace is below its subsystem, which links to the
        // controllers.
        if let Some(subsystem) = steps.iter().find(|step| counted(&step.name, "nvme-subsys"))
            && let Some(controller) = controller(&subsystem.folder)
        {
            steps.truncate(1);
            steps.extend(self::steps(&devices, &controller));
        }
        Self { steps }
    }

    /// Returns the name of the link below `/dev/disk/by-path`; `None` where the bus has no
    /// persistent one.
    pub(super) fn by_path(&self) -> Option<String> {
        let mut name = Name::default();
        let mut steps = self.steps.iter();
        while let Some(step) = steps.next() {
            if let Some(hctl) = hctl(&step.name) {
                self.scsi(&mut name, hctl)?;
                steps.find(|step| counted(&step.name, "host"));
            } else if let Some((_, port)) = usb_interface(&step.name) {
                name.put(format!("usb-0:{port}"));
                name.has_transport = true;
            } else if let Some(space) = sysfs::number(&step.folder.join("nsid")) {
                name.put(format!("nvme-{space}"));
                name.has_transport = true;
            } else if counted(&step.name, "virtio") {
                name.has_transport = true;
            } else if is_pci(&step.name) && !name.has_pci {
                name.put(format!("pci-{}", step.name));
                (name.has_pci, name.has_parent) = (true, true);
            } else if sysfs::target_name(&step.folder.join("subsystem")).as_deref()
                == Some("platform")
            {
                name.put(format!("platform-{}", step.name));
                (name.has_parent, name.has_transport) = (true, true);
                break;
            }
        }
        (name.has_parent && name.has_transport).then(|| format!("{FOLDER}{}", name.text))
    }

    /// Returns the transport of a disk, as `lsblk` names it.
    pub(super) fn transport(&self, disk: &str) -> Option<&'static str> {
        if disk.starts_with("nvme") {
            return Some("nvme");
        }
        if disk.starts_with("mmcblk") {
            return Some("mmc");
        }
        if self.step(|name| counted(name, "usb")).is_some() {
            return Some("usb");
        }
        let Some(host) = self.step(|name| counted(name, "host")) else {
            return self.step(|name| counted(name, "virtio")).map(|_| "virtio");
        };
        for (class, transport) in HOST_CLASSES {
            if host.folder.join(class).is_dir() {
                return Some(transport);
            }
        }
        self.step(|name| counted(name, "ata"))?;
        let driver = sysfs::text(
            &host
                .folder
                .join("scsi_host")
                .join(&host.name)
                .join("proc_name"),
        )
        .unwrap_or_default();
        let parallel =
            driver.starts_with("pata") || driver == "ata_piix" || driver == "ata_generic";
        Some(if parallel { "ata" } else { "sata" })
    }

    /// Returns the folder of the USB device that the disk belongs to.
    pub(super) fn usb_device(&self) -> Option<&Path> {
        let (device, _) = self
            .steps
            .iter()
            .find_map(|step| usb_interface(&step.name))?;
        Some(&self.step(|name| name == device)?.folder)
    }

    /// Appends the name of a SCSI unit by its transport.
    fn scsi(&self, name: &mut Name, [host, bus, target, unit]: [u64; 4]) -> Option<()> {
        let unit_text = if unit < 256 {
            unit.to_string()
        } else {
            format!("0x{:04x}{:04x}00000000", unit & 0xffff, unit >> 16 & 0xffff)
        };
        name.has_transport = true;
        if let Some(remote) = self.step(|name| name.starts_with("rport-")) {
            let class = format!("fc_remote_ports/{}/port_name", remote.name);
            let port = sysfs::text(&remote.folder.join(class))?;
            name.has_parent = true;
            name.put(format!("fc-{port}-lun-{unit_text}"));
        } else if let Some(end) = self.step(|name| name.starts_with("end_device-")) {
            name.has_parent = true;
            name.put(format!("sas-{}-lun-{unit_text}", self.sas(end)?));
        } else if let Some(session) = self.step(|name| counted(name, "session")) {
            name.has_parent = true;
            name.put(format!("{}-lun-{unit_text}", iscsi(session)?));
        } else if let Some(ata) = self.step(|name| counted(name, "ata")) {
            let port = sysfs::number(&ata.folder.join("ata_port").join(&ata.name).join("port_no"))?;
            name.put(match bus {
                0 => format!("ata-{port}.{target}"),
                multiplied => format!("ata-{port}.{multiplied}.0"),
            });
        } else {
            // Host numbers follow the order of discovery: only the distance from the controller's
            // first persists.
            let own = self.step(|name| counted(name, "host"))?;
            let first = sysfs::names(own.folder.parent()?)
                .iter()
                .filter_map(|name| name.strip_prefix("host")?.parse().ok())
                .min()
                .unwrap_or(host);
            name.put(format!(
                "scsi-{}:{bus}:{target}:{unit}",
                host.saturating_sub(first)
            ));
        }
        Some(())
    }

    /// Returns the position of a SAS disk: the phy of the controller or expander, or its address
    /// where several phys lead to it.
    fn sas(&self, end: &Step) -> Option<String> {
        let end_attribute =
            |name: &str| sysfs::text(&end.folder.join("sas_device").join(&end.name).join(name));
        let port = self.step(|name| name.starts_with("port-"))?;
        let phys = sysfs::number(
            &port
                .folder
                .join("sas_port")
                .join(&port.name)
                .join("num_phys"),
        )?;
        if phys != 1 {
            return end_attribute("sas_address");
        }
        let phy = end_attribute("phy_identifier")?;
        let Some(expander) = self.step(|name| name.starts_with("expander-")) else {
            return Some(format!("phy{phy}"));
        };
        let address = sysfs::text(
            &expander
                .folder
                .join("sas_device")
                .join(&expander.name)
                .join("sas_address"),
        )?;
        Some(format!("exp{address}-phy{phy}"))
    }

    fn step(&self, wanted: impl Fn(&str) -> bool) -> Option<&Step> {
        self.steps.iter().find(|step| wanted(&step.name))
    }
}

/// Returns the second name that udev gives a disk in `/dev/disk/by-path`. It predates numbered ATA
/// devices and virtio as a transport.
pub(super) fn other_name(by_path: &str, transport: Option<&str>) -> Option<String> {
    match transport {
        Some("ata" | "sata") => {
            let (controller, device) = by_path.split_once("-ata-")?;
            let (port, _) = device.split_once('.')?;
            Some(format!("{controller}-ata-{port}"))
        }
        Some("virtio") => {
            let device = by_path.strip_prefix(FOLDER)?;
            Some(format!("{FOLDER}virtio-{device}"))
        }
        _ => None,
    }
}

/// A by-path name under construction, from the disk outwards.
#[derive(Default)]
struct Name {
    text: String,
    has_pci: bool,
    has_parent: bool,
    has_transport: bool,
}

impl Name {
    fn put(&mut self, part: String) {
        self.text = if self.text.is_empty() {
            part
        } else {
            format!("{part}-{}", self.text)
        };
    }
}

/// Returns the folders between `devices` and `place`, the innermost first.
fn steps(devices: &Path, place: &Path) -> Vec<Step> {
    place
        .ancestors()
        .take_while(|folder| *folder != devices && folder.starts_with(devices))
        .filter_map(|folder| {
            Some(Step {
                name: folder.file_name()?.to_str()?.to_owned(),
                folder: folder.to_owned(),
            })
        })
        .collect()
}

/// Finds the first controller of an NVMe subsystem.
fn controller(subsystem: &Path) -> Option<PathBuf> {
    let mut controllers: Vec<String> = sysfs::names(subsystem);
    controllers.retain(|name| counted(name, "nvme"));
    controllers.sort();
    subsystem.join(controllers.first()?).canonicalize().ok()
}

/// Returns the portal and target of an iSCSI session.
fn iscsi(session: &Step) -> Option<String> {
    let target = sysfs::text(
        &session
            .folder
            .join("iscsi_session")
            .join(&session.name)
            .join("targetname"),
    )?;
    let connection = format!("connection{}:0", session.name.strip_prefix("session")?);
    let portal = session
        .folder
        .join(&connection)
        .join("iscsi_connection")
        .join(&connection);
    let address = sysfs::text(&portal.join("persistent_address"))?;
    let port = sysfs::text(&portal.join("persistent_port"))?;
    Some(format!("ip-{address}:{port}-iscsi-{target}"))
}

/// Checks whether a name is a prefix and a number: `ata5`, but not `ata_port`.
fn counted(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Parses the numbers of a SCSI unit's name: `0:0:2:0`.
fn hctl(name: &str) -> Option<[u64; 4]> {
    let numbers: Vec<u64> = name
        .split(':')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    numbers.try_into().ok()
}

/// Parses device and port of a USB interface's name: `1-3:1.0` is device `1-3` and port `3:1.0`.
fn usb_interface(name: &str) -> Option<(&str, &str)> {
    let (device, _) = name.split_once(':')?;
    let (bus, _) = device.split_once('-')?;
    let port = name.strip_prefix(bus)?.strip_prefix('-')?;
    let is_bus = !bus.is_empty() && bus.bytes().all(|byte| byte.is_ascii_digit());
    is_bus.then_some((device, port))
}

/// Checks whether a name is a PCI address: `0000:00:1f.2`.
fn is_pci(name: &str) -> bool {
    let digits = |text: &str, count: usize| {
        text.len() >= count && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let mut parts = name.split([':', '.']);
    [4, 2, 2, 1]
        .iter()
        .all(|count| parts.next().is_some_and(|part| digits(part, *count)))
        && parts.next().is_none()
}

const FOLDER: &str = "/dev/disk/by-path/";
/// Classes of a SCSI host that imply its transport, in `lsblk`'s order.
const HOST_CLASSES: [(&str, &str); 4] = [
    ("spi_host", "spi"),
    ("fc_host", "fc"),
    ("sas_host", "sas"),
    ("iscsi_host", "iscsi"),
];

#[cfg(test)]
mod tests {
    use super::super::fixture::{GIB, Machine};
    use super::*;

    fn by_path(machine: &Machine, place: &str) -> Option<String> {
        machine.folder(place);
        let root = machine.root();
        DevicePath::of(&root, &root.path(place)).by_path()
    }

    #[test]
    fn a_disk_of_the_second_scsi_host_of_a_controller_is_numbered_from_its_first() {
        let machine = Machine::new();
        machine.folder("sys/devices/pci0000:00/0000:00:05.0/host6");
        let place = "sys/devices/pci0000:00/0000:00:05.0/host7/target7:0:1/7:0:1:0/block/sdb";
        assert_eq!(
            by_path(&machine, place).as_deref(),
            Some("/dev/disk/by-path/pci-0000:00:05.0-scsi-1:0:1:0")
        );
    }

    #[test]
    fn the_nearest_pci_function_names_a_disk_behind_bridges() {
        let machine = Machine::new();
        let place = "sys/devices/pci0000:00/0000:00:01.0/0000:02:00.0/virtio3/block/vdb";
        assert_eq!(
            by_path(&machine, place).as_deref(),
            Some("/dev/disk/by-path/pci-0000:02:00.0")
        );
    }

    #[test]
    fn a_sas_disk_behind_an_expander_is_named_by_the_expander() {
        let machine = Machine::new();
        let port = "sys/devices/pci0000:00/0000:03:00.0/host0/port-0:0/expander-0:0/port-0:0:4";
        let end = format!("{port}/end_device-0:0:4");
        machine.file(&format!("{port}/sas_port/port-0:0:4/num_phys"), "1\n");
        machine.file(
            &format!("{end}/sas_device/end_device-0:0:4/phy_identifier"),
            "4\n",
        );
        machine.file(
            "sys/devices/pci0000:00/0000:03:00.0/host0/port-0:0/expander-0:0/sas_device/expander-0:0/sas_address",
            "0x500056b3aaaaaaff\n",
        );
        assert_eq!(
            by_path(&machine, &format!("{end}/target0:0:4/0:0:4:0/block/sde")).as_deref(),
            Some("/dev/disk/by-path/pci-0000:03:00.0-sas-exp0x500056b3aaaaaaff-phy4-lun-0")
        );
    }

    #[test]
    fn an_iscsi_disk_is_named_by_its_portal_and_target() {
        let machine = Machine::new();
        let session = "sys/devices/platform/host3/session1";
        machine.file(
            &format!("{session}/iscsi_session/session1/targetname"),
            "iqn.2026-01.org.example:root\n",
        );
        let portal = format!("{session}/connection1:0/iscsi_connection/connection1:0");
        machine.file(&format!("{portal}/persistent_address"), "192.0.2.9\n");
        machine.file(&format!("{portal}/persistent_port"), "3260\n");
        assert_eq!(
            by_path(
                &machine,
                &format!("{session}/target3:0:0/3:0:0:1/block/sda")
            )
            .as_deref(),
            Some("/dev/disk/by-path/ip-192.0.2.9:3260-iscsi-iqn.2026-01.org.example:root-lun-1")
        );
    }

    #[test]
    fn a_name_space_shared_by_controllers_is_named_by_the_first() {
        let machine = Machine::new();
        let subsystem = "sys/devices/virtual/nvme-subsystem/nvme-subsys0";
        machine.folder("sys/devices/pci0000:00/0000:5e:00.0/nvme/nvme0");
        machine.file(&format!("{subsystem}/nvme0n1/nsid"), "1\n");
        machine.link(
            &format!("{subsystem}/nvme0"),
            "../../../pci0000:00/0000:5e:00.0/nvme/nvme0",
        );
        assert_eq!(
            by_path(&machine, &format!("{subsystem}/nvme0n1")).as_deref(),
            Some("/dev/disk/by-path/pci-0000:5e:00.0-nvme-1")
        );
    }

    #[test]
    fn disks_of_unknown_buses_have_no_lasting_name() {
        let machine = Machine::new();
        assert_eq!(by_path(&machine, "sys/devices/virtual/block/md0"), None);
        assert_eq!(
            by_path(&machine, "sys/devices/pci0000:00/0000:00:07.0/block/xyz"),
            None
        );
        machine.plain_disk("sda", GIB);
        assert_eq!(
            DevicePath::of(&machine.root(), &machine.root().path("sys/block/sda")).by_path(),
            None
        );
    }

    #[test]
    fn the_transport_is_told_by_the_host() {
        let machine = Machine::new();
        let transport = |place: &str| {
            machine.folder(place);
            DevicePath::of(&machine.root(), &machine.root().path(place)).transport("sda")
        };
        machine.folder("sys/devices/pci0000:00/0000:04:00.0/host1/fc_host/host1");
        assert_eq!(
            transport(
                "sys/devices/pci0000:00/0000:04:00.0/host1/rport-1:0-0/target1:0:0/1:0:0:0/block/sda"
            ),
            Some("fc")
        );
        machine.file(
            "sys/devices/pci0000:00/0000:00:01.1/ata1/host2/scsi_host/host2/proc_name",
            "ata_piix\n",
        );
        assert_eq!(
            transport(
                "sys/devices/pci0000:00/0000:00:01.1/ata1/host2/target2:0:0/2:0:0:0/block/sda"
            ),
            Some("ata")
        );
        assert_eq!(
            transport("sys/devices/pci0000:00/0000:05:00.0/host3/target3:0:0/3:0:0:0/block/sda"),
            None
        );
    }
}
