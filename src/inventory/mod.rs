//! The inventory: everything that Ironic inspects about a machine.
//!
//! Collecting never fails. Unknown values are absent, and a part that cannot be read does not
//! affect the others.

pub mod bmc;
pub mod cpu;
pub mod diagnostics;
mod last_logged;
pub mod memory;
pub mod network;
pub mod system;
pub mod wire;

use crate::error;
use crate::root::Root;
use crate::storage::device::{self, BlockDevice};
use bmc::Bmc;
use cpu::Cpu;
use last_logged::LastLogged;
use memory::Memory;
use network::Interface;
use system::{BootMode, SystemVendor};

/// Inventory of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Network interfaces.
    pub interfaces: Vec<Interface>,
    /// Processors.
    pub cpu: Cpu,
    /// Disks.
    pub disks: Vec<BlockDevice>,
    /// Memory.
    pub memory: Memory,
    /// Manufacturer and firmware.
    pub system_vendor: SystemVendor,
    /// Boot mode.
    pub boot_mode: BootMode,
    /// Interface the machine booted from, as written by the boot loader (`BOOTIF`).
    pub pxe_interface: Option<String>,
    /// Host name.
    pub hostname: String,
    /// Addresses of the management controller, if there is one and it was queried.
    pub bmc: Option<Bmc>,
}

/// Collects the inventory. The management controller is slow, so the caller queries it beforehand
/// if needed.
#[must_use]
pub fn collect(root: &Root, pxe_interface: Option<&str>, bmc: Option<Bmc>) -> Inventory {
    let disks = device::list(root).inspect_err(|error| {
        let error = error::chain(error);
        if NO_DISKS.is_new(&error) {
            tracing::warn!(error, "the inventory has no disks");
        }
    });
    Inventory {
        interfaces: network::interfaces(root),
        cpu: cpu::cpu(root),
        disks: disks.unwrap_or_default(),
        memory: memory::memory(root),
        system_vendor: system::vendor(root),
        boot_mode: system::boot_mode(root),
        pxe_interface: pxe_interface.map(str::to_owned),
        hostname: system::hostname(root),
        bmc,
    }
}

/// Last logged error of listing disks.
static NO_DISKS: LastLogged = LastLogged::new();
