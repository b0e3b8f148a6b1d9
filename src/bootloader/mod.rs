//! Makes the firmware boot the written disk.

pub mod efi;

mod boot_entries;
