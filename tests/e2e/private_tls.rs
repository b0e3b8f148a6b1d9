//! An API behind TLS with a certificate of an authority that only the virtual media tell of, at the second of two addresses.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{DEPLOYED, image, start_lab_with, step};
use support::lab::instance::Clusters;
use support::lab::{Api, Boot};

#[test]
fn the_agent_trusts_the_authority_on_its_media_and_passes_over_a_dead_address() -> Result<()> {
    let lab = start_lab_with("private-tls", Api::PrivateTls)?;
    let (machine, node) = lab.machine("private", 1, Boot::VirtualMedia)?;

    step("a compressed qcow2 image becomes active");
    let file = lab.image("private", 16)?.qcow2(Clusters::Compressed)?;
    node.set(
        "/instance_info",
        &image(&lab.web.publish(&file)?, &file, "qcow2")?,
    )?;
    node.provision("active", &json!({}))?;
    node.wait_state("active", DEPLOYED)?;

    step("the kernel was given both addresses, the dead one first");
    let said = machine.console_since(0)?;
    let wanted = "ipa-api-url=https://172.30.77.1:6399,https://172.30.77.1:6385";
    ensure!(said.contains(wanted), "no {wanted} on the console");
    Ok(())
}
