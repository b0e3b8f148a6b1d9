//! The machine as a whole: manufacturer, firmware, boot mode, host name.

use crate::root::Root;
use crate::storage::sysfs;

/// Manufacturer of the machine. Texts are empty if the firmware does not report them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemVendor {
    /// Product name.
    pub product_name: String,
    /// Serial number.
    pub serial_number: String,
    /// Name of the manufacturer.
    pub manufacturer: String,
    /// Firmware of the machine.
    pub firmware: Firmware,
}

/// Firmware of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firmware {
    /// Vendor of the firmware.
    pub vendor: String,
    /// Version of the firmware.
    pub version: String,
    /// Build date, in the vendor's format.
    pub build_date: String,
}

/// Boot mode of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootMode {
    /// Booted by a BIOS.
    Bios,
    /// Booted by UEFI.
    Uefi,
}

impl BootMode {
    /// Returns Ironic's name of the boot mode.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        }
    }
}

/// Reads manufacturer and firmware from the firmware's tables.
#[must_use]
pub fn vendor(root: &Root) -> SystemVendor {
    let told =
        |name: &str| sysfs::text(&root.path("sys/class/dmi/id").join(name)).unwrap_or_default();
    SystemVendor {
        product_name: told("product_name"),
        serial_number: told("product_serial"),
        manufacturer: told("sys_vendor"),
        firmware: Firmware {
            vendor: told("bios_vendor"),
            version: told("bios_version"),
            build_date: told("bios_date"),
        },
    }
}

/// Returns the boot mode of the machine.
#[must_use]
pub fn boot_mode(root: &Root) -> BootMode {
    if root.path("sys/firmware/efi").is_dir() {
        BootMode::Uefi
    } else {
        BootMode::Bios
    }
}

/// Returns the host name.
#[must_use]
pub fn hostname(root: &Root) -> String {
    sysfs::text(&root.path("proc/sys/kernel/hostname")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::device::fixture::Machine;

    #[test]
    fn a_machine_without_tables_is_of_nobody() {
        assert_eq!(vendor(&Machine::new().root()), SystemVendor::default());
    }

    #[test]
    fn uefi_shows_in_sysfs() {
        let machine = Machine::new();
        assert_eq!(boot_mode(&machine.root()), BootMode::Bios);
        machine.folder("sys/firmware/efi");
        assert_eq!(boot_mode(&machine.root()), BootMode::Uefi);
    }
}
