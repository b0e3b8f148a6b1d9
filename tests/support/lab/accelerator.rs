//! Whether machines run on KVM or in software: a `/dev/kvm` that is there can still hang its guests, so one is tried.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::parts::Parts;
use super::process::{Service, program, wait_until};

/// Who runs a machine's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accelerator {
    Kvm,
    Tcg,
}

impl Accelerator {
    /// KVM where a kernel comes all the way through its start in it, else software. Tried once in each boot of this
    /// computer: the answer is kept beside the lab.
    pub(crate) fn choose(parts: &Parts, logs: &Path) -> Result<Self> {
        if !Path::new("/dev/kvm").exists() {
            return Ok(Self::Tcg);
        }
        let known = parts.lab.join("accelerator");
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        for accelerator in [Self::Kvm, Self::Tcg] {
            if fs::read_to_string(&known).is_ok_and(|text| text == accelerator.record(&boot)) {
                return Ok(accelerator);
            }
        }
        let chosen = if kernel_comes_up_in_kvm(parts, logs)? {
            Self::Kvm
        } else {
            Self::Tcg
        };
        fs::write(&known, chosen.record(&boot))?;
        Ok(chosen)
    }

    /// The name of it in a libvirt domain.
    pub(crate) fn domain_type(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "qemu",
        }
    }

    /// Processors of a machine. Emulated ones wait for each other, and a kernel that waits too long for one stalls.
    pub(crate) fn cpus(self) -> u8 {
        match self {
            Self::Kvm => 2,
            Self::Tcg => 1,
        }
    }

    fn record(self, boot: &str) -> String {
        format!("{} {boot}", self.domain_type())
    }
}

/// Starts a kernel without a root file system: it has come through when it panics for want of one.
fn kernel_comes_up_in_kvm(parts: &Parts, logs: &Path) -> Result<bool> {
    let console = logs.join("kvm-probe.console");
    let mut qemu = program("qemu-system-x86_64");
    qemu.args([
        "-accel", "kvm", "-machine", "q35", "-cpu", "max", "-smp", "2", "-m", "512",
    ])
    .args(["-nodefaults", "-display", "none", "-no-reboot"])
    .arg("-serial")
    .arg(format!("file:{}", console.display()))
    .args(["-append", "console=ttyS0 panic=-1"])
    .arg("-kernel")
    .arg(parts.instance_kernel()?);
    let _machine = Service::start("kvm-probe", logs, &qemu)?;
    let came_up = wait_until("a kernel in KVM", PATIENCE, || {
        let said = fs::read(&console).unwrap_or_default();
        Ok(String::from_utf8_lossy(&said)
            .contains("Kernel panic")
            .then_some(()))
    });
    Ok(came_up.is_ok())
}

/// Several times what software emulation takes for the same.
const PATIENCE: Duration = Duration::from_secs(12);
