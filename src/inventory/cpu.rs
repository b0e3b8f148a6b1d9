//! Processors of the machine.

use std::collections::BTreeSet;

use sysinfo::{CpuRefreshKind, RefreshKind, System};

use crate::root::Root;
use crate::storage::sysfs;

/// Processors of a machine, which all have one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Model; empty if unknown.
    pub model_name: String,
    /// Maximum frequency in MHz, as text; empty if unknown.
    pub frequency: String,
    /// Number of logical processors.
    pub count: u64,
    /// Architecture, for example `x86_64`.
    pub architecture: &'static str,
    /// Feature flags.
    pub flags: Vec<String>,
    /// Number of sockets.
    pub socket_count: u64,
}

/// Reads the processors from `/proc/cpuinfo` and sysfs.
#[must_use]
pub fn cpu(root: &Root) -> Cpu {
    let info = sysfs::text(&root.path("proc/cpuinfo")).unwrap_or_default();
    // The flags are the same for every processor: the first entry represents all.
    let field = |wanted: &str| {
        fields(&info)
            .find_map(|(name, value)| (name == wanted && !value.is_empty()).then_some(value))
    };
    let model = field("model name").map(str::to_owned);
    let frequency =
        highest_frequency(root).or_else(|| field("cpu MHz").and_then(|text| text.parse().ok()));
    // ARM's kernel reports numbers instead of model names, which sysinfo maps to names. It can only
    // do so for the running machine.
    let known = ((model.is_none() || frequency.is_none()) && root.is_machine())
        .then(asked_sysinfo)
        .flatten();
    let (known_model, known_frequency) = known.unzip();
    let flags = field("flags")
        .or_else(|| field("Features"))
        .unwrap_or_default();
    Cpu {
        model_name: model.or(known_model).unwrap_or_default(),
        frequency: frequency
            .or_else(|| known_frequency.flatten())
            .map_or_else(String::new, |mhz| format!("{mhz:.4}")),
        count: present(root).unwrap_or_else(|| count(&info, "processor")),
        architecture: std::env::consts::ARCH,
        flags: flags.split_whitespace().map(str::to_owned).collect(),
        socket_count: sockets(root, &info),
    }
}

/// Returns the names and values of `/proc/cpuinfo`.
fn fields(info: &str) -> impl Iterator<Item = (&str, &str)> {
    info.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim(), value.trim()))
    })
}

fn count(info: &str, wanted: &str) -> u64 {
    fields(info)
        .filter(|(name, _)| *name == wanted)
        .map(|_| 1)
        .sum()
}

/// Returns the number of present processors, by the kernel's list of ranges: `0-3,8-11`.
fn present(root: &Root) -> Option<u64> {
    let list = sysfs::text(&root.path("sys/devices/system/cpu/present"))?;
    let mut count: u64 = 0;
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        count += u64::from(last.checked_sub(first)?) + 1;
    }
    Some(count)
}

/// Returns the maximum frequency of any processor, in MHz.
fn highest_frequency(root: &Root) -> Option<f64> {
    let khz = processors(root)
        .filter_map(|folder| sysfs::number(&folder.join("cpufreq/cpuinfo_max_freq")))
        .filter_map(|khz| u32::try_from(khz).ok())
        .max()?;
    Some(f64::from(khz) / 1000.0)
}

/// Returns the number of sockets: distinct packages, which some VMs do not report (-1).
fn sockets(root: &Root, info: &str) -> u64 {
    let packages: BTreeSet<u64> = processors(root)
        .filter_map(|folder| sysfs::number(&folder.join("topology/physical_package_id")))
        .collect();
    let told: BTreeSet<&str> = fields(info)
        .filter_map(|(name, value)| (name == "physical id").then_some(value))
        .collect();
    let sockets = if packages.is_empty() {
        told.len()
    } else {
        packages.len()
    };
    u64::try_from(sockets).unwrap_or(1).max(1)
}

fn processors(root: &Root) -> impl Iterator<Item = std::path::PathBuf> {
    let folder = root.path("sys/devices/system/cpu");
    let names = sysfs::names(&folder).into_iter().filter(|name| {
        name.strip_prefix("cpu")
            .is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    });
    names.map(move |name| folder.join(name))
}

/// Returns model and frequency in MHz by sysinfo.
fn asked_sysinfo() -> Option<(String, Option<f64>)> {
    let kind = CpuRefreshKind::nothing().with_frequency();
    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(kind));
    let cpu = system.cpus().first()?;
    let frequency = u32::try_from(cpu.frequency()).ok().filter(|mhz| *mhz > 0);
    Some((cpu.brand().to_owned(), frequency.map(f64::from)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::device::fixture::Machine;

    #[test]
    fn a_server_has_sockets_and_a_highest_frequency() {
        let machine = Machine::new();
        machine.processors(2, 4, Some(3_900_000));
        assert_eq!(
            cpu(&machine.root()),
            Cpu {
                model_name: "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz".into(),
                frequency: "3900.0000".into(),
                count: 8,
                architecture: std::env::consts::ARCH,
                flags: vec!["fpu".into(), "vmx".into(), "aes".into()],
                socket_count: 2,
            }
        );
    }

    #[test]
    fn without_frequency_scaling_the_present_frequency_counts() {
        let machine = Machine::new();
        machine.processors(1, 2, None);
        assert_eq!(cpu(&machine.root()).frequency, "2100.0000");
    }

    #[test]
    fn a_machine_that_tells_nothing_has_one_socket() {
        let unknown = Cpu {
            model_name: String::new(),
            frequency: String::new(),
            count: 0,
            architecture: std::env::consts::ARCH,
            flags: vec![],
            socket_count: 1,
        };
        assert_eq!(cpu(&Machine::new().root()), unknown);
    }

    #[test]
    fn processors_are_counted_in_ranges() {
        let machine = Machine::new();
        for (list, expected) in [
            ("0-3,8-11\n", Some(8)),
            ("0\n", Some(1)),
            ("3-1\n", None),
            ("all\n", None),
        ] {
            machine.file("sys/devices/system/cpu/present", list);
            assert_eq!(present(&machine.root()), expected, "{list}");
        }
    }
}
