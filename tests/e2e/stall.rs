//! The lab itself: a machine whose kernel stalls is started once more, by the same media, and Ironic does not notice.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{BOOTED, DEPLOYED, image, start_lab, step};
use support::lab::Boot;
use support::lab::instance::Clusters;

#[test]
fn a_machine_whose_kernel_stalls_is_started_once_more_and_deployed() -> Result<()> {
    let lab = start_lab("stall")?;
    let (machine, node) = lab.machine("stalled", 1, Boot::VirtualMedia)?;
    let file = lab.image("stalled", 16)?.qcow2(Clusters::Plain)?;
    node.set(
        "/instance_info",
        &image(&lab.web.publish(&file)?, &file, "qcow2")?,
    )?;

    step("the ramdisk's kernel stalls");
    node.provision("active", &json!({}))?;
    machine.wait_console(0, "Linux version", DEPLOYED)?;
    machine.stall(REPORT)?;

    step("the machine is started again, and the node becomes active");
    node.wait_state("active", DEPLOYED)?;
    machine.wait_console(0, "FERRITE-INSTANCE-BOOTED stalled", BOOTED)?;
    ensure!(machine.watchdog.restarts() == 1, "{:?}", machine.watchdog);

    step("a second stall ends the wait, with the console's last lines");
    machine.stall(REPORT)?;
    let Err(error) = machine.wait_console(0, "never said", Duration::from_secs(120)) else {
        anyhow::bail!("a stall went unnoticed");
    };
    let told = format!("{error:#}");
    for part in [
        "after a restart for the same",
        "Possible timer handling issue",
    ] {
        ensure!(told.contains(part), "not told: {part}: {told}");
    }

    // Made here, and no fault of the emulator's.
    fs::remove_file(lab.logs().with_file_name("restarts"))?;
    Ok(())
}

/// What kernels said that software emulation had stalled.
const REPORT: &str = "
[   26.270014] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   26.270014] rcu: \tPossible timer handling issue on cpu=0 timer-softirq=287
[   26.270014] rcu: rcu_preempt kthread starved for 5251 jiffies! g-1007 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x402 ->cpu=0
";
