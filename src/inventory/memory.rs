//! Memory of the machine.

use crate::formats::smbios;
use crate::inventory::last_logged::LastLogged;
use crate::root::Root;
use crate::storage::sysfs;

/// Amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Memory available to the kernel, in bytes.
    pub total: Option<u64>,
    /// Installed memory in MiB, if the firmware reports it.
    pub physical_mb: Option<u64>,
}

/// Reads the amount of memory from the kernel and the firmware's tables.
#[must_use]
pub fn memory(root: &Root) -> Memory {
    let info = sysfs::text(&root.path("proc/meminfo")).unwrap_or_default();
    let table = sysfs::bytes(&root.path("sys/firmware/dmi/tables/DMI")).unwrap_or_default();
    let fitted = smbios::fitted_memory(&table) >> 20;
    if fitted == 0 && NO_FITTED_MEMORY.is_new("fitted memory") {
        tracing::warn!("the firmware does not tell how much memory is fitted");
    }
    Memory {
        total: total(&info),
        physical_mb: (fitted > 0).then_some(fitted),
    }
}

/// Whether missing firmware data was logged.
static NO_FITTED_MEMORY: LastLogged = LastLogged::new();

/// Returns `MemTotal` in bytes.
fn total(info: &str) -> Option<u64> {
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::device::fixture::Machine;

    #[test]
    fn the_kernels_memory_and_the_fitted_memory_are_told_apart() {
        let machine = Machine::new();
        machine.fitted_memory(&[2048, 2048]);
        machine.file(
            "proc/meminfo",
            "MemTotal:        4026532 kB\nMemFree:         1000 kB\n",
        );
        let expected = Memory {
            total: Some(4_123_168_768),
            physical_mb: Some(4096),
        };
        assert_eq!(memory(&machine.root()), expected);
    }

    #[test]
    fn memory_nobody_tells_of_is_unknown() {
        let machine = Machine::new();
        machine.file("proc/meminfo", "MemTotal: lots kB\n");
        let unknown = Memory {
            total: None,
            physical_mb: None,
        };
        assert_eq!(memory(&machine.root()), unknown);
    }
}
