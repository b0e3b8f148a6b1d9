//! The inventory: all that Ironic asks a machine about itself.
//!
//! Collecting never fails. What the machine does not tell is absent, and a part that cannot be read leaves the others alone.

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

/// What the machine is.
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
    /// Maker and firmware.
    pub system_vendor: SystemVendor,
    /// How it was started.
    pub boot_mode: BootMode,
    /// The interface it was started from, as the boot loader wrote it (`BOOTIF`).
    pub pxe_interface: Option<String>,
    /// Its name.
    pub hostname: String,
    /// Its management controller's addresses, where it has one that was asked.
    pub bmc: Option<Bmc>,
}

/// Collects the inventory; the management controller is slow, so whoever wants it asked does so before.
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

/// Why there were none when it was last said.
static NO_DISKS: LastLogged = LastLogged::new();
