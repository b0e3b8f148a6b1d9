//! Making the written disk the one the firmware boots.

pub mod efi;

mod boot_entries;
