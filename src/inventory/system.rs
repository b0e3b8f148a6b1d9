//! The machine as a whole: its maker, its firmware, its boot mode, its name.

use crate::root::Root;
use crate::storage::sysfs;

/// Who made the machine. Empty texts where the firmware does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemVendor {
    /// Product.
    pub product_name: String,
    /// Serial number.
    pub serial_number: String,
    /// Maker.
    pub manufacturer: String,
    /// Its firmware.
    pub firmware: Firmware,
}

/// The machine's firmware.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firmware {
    /// Who made it.
    pub vendor: String,
    /// Its version.
    pub version: String,
    /// Its date, as its maker writes dates.
    pub build_date: String,
}

/// How the machine was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootMode {
    /// By a BIOS.
    Bios,
    /// By UEFI.
    Uefi,
}

impl BootMode {
    /// Ironic's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        }
    }
}

/// Maker and firmware, from the firmware's tables.
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

/// How the machine was started.
#[must_use]
pub fn boot_mode(root: &Root) -> BootMode {
    if root.path("sys/firmware/efi").is_dir() {
        BootMode::Uefi
    } else {
        BootMode::Bios
    }
}

/// The host name.
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
