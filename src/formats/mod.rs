//! Byte formats: bytes in, values out; no files, clocks or logging.

pub mod dhcp4;
pub mod dhcp6;
pub mod domain_name;
pub mod efi;
pub mod ext;
pub mod fat;
pub mod frames;
pub mod gpt;
pub mod guid;
pub mod image_format;
pub mod ipmi;
pub mod ipv4;
pub mod iso9660;
pub mod kmsg;
pub mod mbr;
pub mod module_alias;
pub mod module_index;
pub mod mount_table;
pub mod netlink;
pub mod ntp;
pub mod omitted_drivers;
pub mod probe;
pub mod process_status;
pub mod qcow2;
pub mod rtnetlink;
pub mod smbios;
pub mod vpd;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

mod free_space;
mod le_bytes;
pub(crate) mod links;
pub(crate) mod safe_name;
