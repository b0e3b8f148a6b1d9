//! Model, serial number and world wide name of a disk.
//!
//! Each bus has its own source, the one that udev's rules use for it. These are `scsi_id` (VPD
//! pages 80h and 83h), `ata_id` (IDENTIFY data, here from page 89h) and `usb_id` (string
//! descriptors). NVMe, virtio and MMC have attributes of their drivers. Where udev has several
//! serial numbers of a disk, `lsblk` shows the first; the others are stored for root device hints.

use std::path::Path;

use super::path::DevicePath;
use crate::formats::vpd::{self, CodeSet, Designator};
use crate::storage::sysfs;

/// Identifying attributes of a disk.
#[derive(Debug, Default)]
pub(super) struct Identity {
    pub(super) model: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) wwn: Option<String>,
    pub(super) wwn_with_extension: Option<String>,
    pub(super) wwn_vendor_extension: Option<String>,
    pub(super) other_serials: Vec<String>,
    pub(super) other_wwns: Vec<String>,
}

/// Reads the identity of the disk with this folder in `/sys/block`.
pub(super) fn read(folder: &Path, name: &str, way: &DevicePath) -> Identity {
    let device = folder.join("device");
    let identity = match way.transport(name) {
        Some("nvme") => nvme(folder, &device),
        Some("virtio") => Identity {
            serial: sysfs::text(&folder.join("serial")),
            ..Identity::default()
        },
        Some("mmc") => Identity {
            model: sysfs::text(&device.join("name")),
            serial: sysfs::text(&device.join("serial")),
            ..Identity::default()
        },
        Some("usb") => usb(&device, way),
        _ if sysfs::text(&device.join("vendor")).as_deref() == Some("ATA") => ata(&device),
        _ => scsi(&device),
    };
    without_repetition(identity)
}

fn nvme(folder: &Path, device: &Path) -> Identity {
    let model = sysfs::text(&device.join("model")).map(one_space);
    let serial = sysfs::text(&device.join("serial"));
    let mut long = underscored([&model, &serial]);
    if let (Some(long), Some(space)) = (&mut long, sysfs::text(&folder.join("nsid"))) {
        *long = format!("{long}_{space}");
    }
    Identity {
        wwn: nvme_name(folder),
        other_serials: [underscored([&model, &serial]), long]
            .into_iter()
            .flatten()
            .collect(),
        model,
        serial,
        ..Identity::default()
    }
}

/// Reads the kernel's `wwid`, or its equivalent on old kernels.
fn nvme_name(folder: &Path) -> Option<String> {
    let identifier = |name: &str| {
        let digits: String = sysfs::text(&folder.join(name))?
            .chars()
            .filter(char::is_ascii_hexdigit)
            .collect();
        digits
            .contains(|digit| digit != '0')
            .then(|| format!("eui.{digits}"))
    };
    sysfs::text(&folder.join("wwid"))
        .or_else(|| identifier("nguid"))
        .or_else(|| identifier("eui"))
}

fn usb(device: &Path, way: &DevicePath) -> Identity {
    let model = sysfs::text(&device.join("model")).map(one_space);
    let serial = way
        .usb_device()
        .and_then(|device| sysfs::text(&device.join("serial")));
    let long = underscored([&sysfs::text(&device.join("vendor")), &model, &serial]);
    Identity {
        model,
        serial,
        other_serials: long.map(|long| format!("{long}-0:0")).into_iter().collect(),
        ..Identity::default()
    }
}

fn ata(device: &Path) -> Identity {
    let page_89 = sysfs::bytes(&device.join("vpd_pg89")).and_then(|page| vpd::ata_identity(&page));
    let page_83 = scsi(device);
    let Some(ata) = page_89 else {
        return Identity {
            model: ata_model(device).or(page_83.model),
            ..page_83
        };
    };
    let model = ata.model.map(one_space).or(page_83.model);
    let serial = ata.serial.or(page_83.serial);
    let wwn = ata.wwn.map(|wwn| format!("0x{wwn:016x}"));
    Identity {
        other_serials: underscored([&model, &serial]).into_iter().collect(),
        model,
        serial,
        wwn_with_extension: wwn.clone(),
        wwn,
        ..Identity::default()
    }
}

/// Extracts the complete model from the identifier of the kernel's ATA translation: `ATA`, 40
/// characters of model, 20 of serial number.
fn ata_model(device: &Path) -> Option<String> {
    let page = sysfs::bytes(&device.join("vpd_pg83"))?;
    let designators = vpd::designators(&page);
    let t10 = designators
        .iter()
        .find(|designator| designator.kind == T10)?;
    let model =
        String::from_utf8_lossy(t10.value.strip_prefix(b"ATA     ")?.get(..40)?).into_owned();
    Some(one_space(model))
}

fn scsi(device: &Path) -> Identity {
    let page = |name: &str| sysfs::bytes(&device.join(name)).unwrap_or_default();
    let model = sysfs::text(&device.join("model")).map(one_space);
    let unit_serial = vpd::unit_serial(&page("vpd_pg80"));
    let mut designators = vpd::designators(&page("vpd_pg83"));
    designators.sort_by_key(preference);
    let Some(best) = designators.first() else {
        return Identity {
            model,
            serial: unit_serial,
            ..Identity::default()
        };
    };
    let short = underscored([&Some(best.text())]);
    let named = match best.kind {
        VENDOR_SPECIFIC => underscored([&sysfs::text(&device.join("vendor")), &model, &short]),
        _ => short.clone(),
    };
    let long = named.map(|named| format!("{}{named}", best.kind));
    let (wwn, extension) = match best.kind {
        NAA => split_wwn(&best.text()),
        _ => (None, None),
    };
    let whole = match (&wwn, &extension) {
        (Some(wwn), Some(extension)) => Some(format!("{wwn}{extension}")),
        _ => wwn.clone(),
    };
    let (serial, other_serials) = match unit_serial {
        Some(serial) => (Some(serial), [short, long]),
        None => (short, [long, None]),
    };
    Identity {
        model,
        serial,
        wwn: whole.clone(),
        wwn_with_extension: whole,
        wwn_vendor_extension: extension.map(|extension| format!("0x{extension}")),
        other_serials: other_serials.into_iter().flatten().collect(),
        other_wwns: wwn.into_iter().collect(),
    }
}

/// Splits a NAA identifier's digits into the name (first 8 bytes) and the vendor's extension (next
/// 8 bytes, if present).
fn split_wwn(digits: &str) -> (Option<String>, Option<String>) {
    let (name, rest) = digits.split_at_checked(16).unwrap_or((digits, ""));
    let extension = rest.get(..16).map(str::to_owned);
    (Some(format!("0x{name}")), extension)
}

/// Returns the rank by which udev's `scsi_id` chooses among a unit's identifiers.
fn preference(designator: &Designator) -> (u8, bool) {
    let kind = match (designator.kind, designator.naa()) {
        (NAA, Some(6)) => 0,
        (NAA, Some(5)) => 1,
        (NAA, _) => 2,
        (EUI_64, _) => 3,
        (T10, _) => 4,
        (VENDOR_SPECIFIC, _) => 5,
        _ => 6,
    };
    (kind, designator.code_set == CodeSet::Text)
}

/// Joins texts as udev joins them into identifiers; `None` where all are missing.
fn underscored<const N: usize>(texts: [&Option<String>; N]) -> Option<String> {
    let words: Vec<&str> = texts
        .iter()
        .filter_map(|text| text.as_deref())
        .flat_map(str::split_whitespace)
        .collect();
    (!words.is_empty()).then(|| words.join("_"))
}

/// Collapses runs of white space into one space each: disks pad their models.
fn one_space(text: String) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Removes further names that equal the first.
fn without_repetition(mut identity: Identity) -> Identity {
    identity
        .other_serials
        .retain(|other| Some(other) != identity.serial.as_ref());
    identity
        .other_wwns
        .retain(|other| Some(other) != identity.wwn.as_ref());
    identity
}

// Designator types of page 83h (SPC-4 table 589).
const VENDOR_SPECIFIC: u8 = 0;
const T10: u8 = 1;
const EUI_64: u8 = 2;
const NAA: u8 = 3;

#[cfg(test)]
mod tests {
    use super::super::fixture::Machine;
    use super::*;

    fn designator(kind: u8, code_set: u8, value: &[u8]) -> Vec<u8> {
        let length = u8::try_from(value.len()).unwrap();
        [&[code_set, kind, 0, length], value].concat()
    }

    fn page_83(machine: &Machine, designators: &[Vec<u8>]) {
        let payload = designators.concat();
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        machine.bytes("d/vpd_pg83", &[&[0, 0x83], &length[..], &payload].concat());
    }

    #[test]
    fn a_volume_of_a_storage_array_has_its_name_and_the_vendors_extension() {
        let machine = Machine::new();
        let value = [
            0x60, 0x01, 0x40, 0x5a, 0xbc, 0xde, 0xf0, 0x12, 1, 2, 3, 4, 5, 6, 7, 8,
        ];
        page_83(
            &machine,
            &[
                designator(T10, 2, b"LIO-ORG vol"),
                designator(NAA, 1, &value),
            ],
        );
        let identity = scsi(&machine.root().path("d"));
        assert_eq!(
            identity.wwn.as_deref(),
            Some("0x6001405abcdef0120102030405060708")
        );
        assert_eq!(identity.wwn_with_extension, identity.wwn);
        assert_eq!(
            identity.wwn_vendor_extension.as_deref(),
            Some("0x0102030405060708")
        );
        assert_eq!(identity.other_wwns, ["0x6001405abcdef012"]);
        assert_eq!(
            identity.serial.as_deref(),
            Some("6001405abcdef0120102030405060708")
        );
        assert_eq!(
            identity.other_serials,
            ["36001405abcdef0120102030405060708"]
        );
    }

    #[test]
    fn a_disk_that_is_only_named_by_its_maker_has_the_makers_name_in_front() {
        let machine = Machine::new();
        machine.file("d/vendor", "QEMU    \n");
        machine.file("d/model", "QEMU HARDDISK   \n");
        page_83(&machine, &[designator(VENDOR_SPECIFIC, 2, b"s1")]);
        machine.bytes("d/vpd_pg80", b"\0\x80\0\x02s1");
        let identity = scsi(&machine.root().path("d"));
        assert_eq!(identity.serial.as_deref(), Some("s1"));
        assert_eq!(identity.other_serials, ["s1", "0QEMU_QEMU_HARDDISK_s1"]);
        assert_eq!(identity.wwn, None);
    }

    #[test]
    fn without_ata_data_the_whole_model_comes_from_the_kernels_identifier() {
        let machine = Machine::new();
        machine.file("d/model", "Samsung SSD 860 \n");
        let text = format!(
            "ATA     {:40}{:20}",
            "Samsung SSD 860 EVO 1TB", "S3Z9NB0K123456"
        );
        page_83(&machine, &[designator(T10, 2, text.as_bytes())]);
        assert_eq!(
            ata(&machine.root().path("d")).model.as_deref(),
            Some("Samsung SSD 860 EVO 1TB")
        );
    }

    #[test]
    fn an_old_kernels_nvme_disk_is_named_by_its_identifiers() {
        let machine = Machine::new();
        machine.file("d/eui", "00 25 38 8b 71 01 16 a1\n");
        machine.file("d/nguid", "00000000-0000-0000-0000-000000000000\n");
        assert_eq!(
            nvme_name(&machine.root().path("d")).as_deref(),
            Some("eui.0025388b710116a1")
        );
    }
}
