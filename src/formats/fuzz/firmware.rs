//! Fuzz target for data of firmware, management controllers and disks, and for boot loader lists.

use crate::formats::efi::{self, Csv, LoadOption};
use crate::formats::{ipmi, smbios, vpd};

pub(crate) fn firmware_tables(bytes: &[u8]) {
    if let Some(option) = LoadOption::decode(bytes) {
        let _ = option.is_file_on_disk();
        if let Some(written) = option.encode() {
            assert_eq!(LoadOption::decode(&written).as_ref(), Some(&option));
        }
    }
    let order = efi::boot_order(bytes);
    let even = bytes.len() / 2 * 2;
    assert_eq!(efi::encode_boot_order(&order), bytes[..even]);
    if let Some(csv) = Csv::decode(bytes) {
        assert!(!csv.file.contains(['/', '\\', '\0']), "{}", csv.file);
    }
    let _ = smbios::fitted_memory(bytes);
    let found = smbios::structures(bytes).count();
    assert!(found <= bytes.len() / 6);
    let _ = (vpd::unit_serial(bytes), vpd::ata_identity(bytes));
    for designator in vpd::designators(bytes) {
        let _ = (designator.text(), designator.naa());
    }
    if let ipmi::Response::Value(setting) = ipmi::response(bytes) {
        let _ = (ipmi::address(setting), ipmi::mac(setting));
        let _ = (ipmi::speaks_ipv6(setting), ipmi::ipv6_rooms(setting));
        let _ = (ipmi::ipv6_static(setting), ipmi::ipv6_dynamic(setting));
    }
}
