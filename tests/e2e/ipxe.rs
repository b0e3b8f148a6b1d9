//! Network boot: iPXE over TFTP and HTTP, and the token that the agent is given at lookup.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::lab::Boot;
use crate::lab::instance::ENTRY;
use crate::{BOOTED, DEPLOYED, image, start_lab, step};

#[test]
fn a_machine_is_deployed_with_a_raw_image_by_network_boot() -> Result<()> {
    let lab = start_lab("ipxe")?;
    let (machine, node) = lab.machine("network", 2, Boot::Ipxe)?;

    step("a raw image becomes active on the disk the root device hint names");
    let raw = lab.image("raw", 64)?;
    node.set(
        "/properties/root_device",
        &json!({"serial": machine.disk_serial()}),
    )?;
    node.set(
        "/instance_info",
        &image(&lab.web.publish(&raw.raw)?, &raw.raw, "raw")?,
    )?;
    node.provision("active", &json!({}))?;
    node.watch("active", DEPLOYED, &mut |seen| {
        node.tell(&seen);
        let pregenerated = node.agent()?.is_some_and(|agent| agent.pregenerated);
        ensure!(!pregenerated, "the token did not come from the lookup");
        Ok(())
    })?;

    step("the deployed disk boots by the entry made for it");
    machine.wait_console(0, "FERRITE-INSTANCE-BOOTED raw", BOOTED)?;
    machine.wait_console(0, &format!("FERRITE-INSTANCE-ENTRY {ENTRY}"), BOOTED)?;
    Ok(())
}
