//! BIOS: virtual media that isolinux starts, and a deployed disk that boots by the code in its MBR.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{BOOTED, DEPLOYED, image, start_lab, step};
use support::lab::instance::Clusters;

#[test]
fn a_bios_machine_is_deployed_by_virtual_media_and_boots_by_its_mbr() -> Result<()> {
    let lab = start_lab("bios")?;
    let (machine, node) = lab.bios_machine("bios", 1)?;

    step("a qcow2 image becomes active");
    let file = lab.bios_image("bios", 16)?.qcow2(Clusters::Plain)?;
    node.set(
        "/instance_info",
        &image(&lab.web.publish(&file)?, &file, "qcow2")?,
    )?;
    node.provision("active", &json!({}))?;
    let mut pregenerated = false;
    node.watch("active", DEPLOYED, &mut |seen| {
        node.tell(&seen);
        pregenerated |= node.agent()?.is_some_and(|agent| agent.pregenerated);
        Ok(())
    })?;
    ensure!(pregenerated, "the token was not on the media");

    step("the deployed disk boots");
    machine.wait_console(0, "FERRITE-INSTANCE-BOOTED bios", BOOTED)?;
    machine.wait_console(
        0,
        "FERRITE-INSTANCE-ENTRY none: this is BIOS",
        Duration::from_secs(20),
    )?;
    Ok(())
}
