//! Deployments that must fail: with a reason that Ironic shows, and with nothing on the disk that could boot.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::{DEPLOYED, image, image_with_wrong_checksum, start_lab, step};
use support::lab::instance::Clusters;
use support::lab::process::wait_until;
use support::lab::web::{FailingServer, Half};
use support::lab::{Boot, Lab};

#[test]
fn bad_images_fail_by_virtual_media_with_a_reason_in_the_history() -> Result<()> {
    let lab = start_lab("failures-media")?;
    let good = lab.image("never", 32)?;
    let qcow2 = good.qcow2(Clusters::Plain)?;

    step("a qcow2 image with a wrong checksum");
    let wrong = image_with_wrong_checksum(&lab.web.publish(&qcow2)?, "qcow2");
    fails(
        &lab,
        1,
        Boot::VirtualMedia,
        &wrong,
        &["checksum", "0123456789abcdef"],
    )?;

    step("a qcow2 image with a backing file");
    let hostile = good.hostile_qcow2()?;
    let backed = image(&lab.web.publish(&hostile)?, &hostile, "qcow2")?;
    fails(&lab, 2, Boot::VirtualMedia, &backed, &["backing file"])
}

#[test]
fn bad_images_fail_by_network_boot_with_a_reason_in_the_last_error() -> Result<()> {
    let lab = start_lab("failures-network")?;
    let good = lab.image("never", 32)?;

    step("a raw image with a wrong checksum");
    let wrong = image_with_wrong_checksum(&lab.web.publish(&good.raw)?, "raw");
    fails(
        &lab,
        1,
        Boot::Ipxe,
        &wrong,
        &["checksum", "0123456789abcdef"],
    )?;

    step("an image server that hangs up half-way");
    let server = FailingServer::start(&good.raw, Half::HangUp)?;
    let half = image(server.url(), Path::new(&good.raw), "raw")?;
    fails(&lab, 2, Boot::Ipxe, &half, &["broke off"])?;

    step("the power button, pressed while an image is written");
    let server = FailingServer::start(&good.raw, Half::Stall)?;
    let half = image(server.url(), Path::new(&good.raw), "raw")?;
    is_switched_off_while_it_writes(&lab, 3, &half)
}

/// Deploys onto a new machine and presses its power button in the middle: it ends in an orderly way, and says what it stops.
fn is_switched_off_while_it_writes(lab: &Lab, number: u8, instance: &Value) -> Result<()> {
    let (machine, node) = lab.machine(&format!("machine-{number}"), number, Boot::Ipxe)?;
    node.set("/instance_info", instance)?;
    node.provision("active", &json!({}))?;
    let progress = wait_until("an image to be written", DEPLOYED, || {
        let agent = node.agent()?;
        let progress = agent.and_then(|agent| agent.progress());
        Ok(progress.filter(|progress| progress["bytes"].as_u64() > Some(0)))
    })?;
    println!("    {progress}");
    let mark = machine.console_mark();
    machine.press_power_button()?;
    machine.wait_off(SWITCHED_OFF)?;
    let said = machine.console_since(mark)?;
    let mut rest = said.as_str();
    for line in [
        "ending the machine as requested cause=\"power button\" action=PowerOff",
        "told to end by SIGTERM",
        "stopping a running command: a disk that it was writing does not boot command=execute_deploy_step",
        "The machine ends end=PowerOff",
        "reboot: Power down",
    ] {
        let Some((_, after)) = rest.split_once(line) else {
            bail!("not on the console, or not in its place: {line}\n{said}");
        };
        rest = after;
    }
    ensure!(
        !machine.has_partition_table()?,
        "half an image was left with a partition table"
    );
    Ok(())
}

/// What a BMC waits for before Metal3 cuts the power is three minutes.
const SWITCHED_OFF: Duration = Duration::from_secs(60);

/// Deploys onto a new machine and expects a failure that tells all of `reasons`, and a disk without a partition table.
fn fails(lab: &Lab, number: u8, boot: Boot, instance: &Value, reasons: &[&str]) -> Result<()> {
    let (machine, node) = lab.machine(&format!("machine-{number}"), number, boot)?;
    node.set("/instance_info", instance)?;
    node.provision("active", &json!({}))?;
    node.wait_state("deploy failed", DEPLOYED)?;
    let told = match boot {
        Boot::Http | Boot::Ipxe | Boot::Pxe => node.last_error()?,
        // Ejecting the media afterwards clears the last error; the history keeps it.
        Boot::VirtualMedia => node.failure()?,
    };
    println!("    Ironic says: {told}");
    for reason in reasons {
        ensure!(
            told.contains(reason),
            "the failure does not tell \"{reason}\": {told}"
        );
    }
    ensure!(
        !machine.has_partition_table()?,
        "a partition table was left on the disk"
    );
    Ok(())
}
