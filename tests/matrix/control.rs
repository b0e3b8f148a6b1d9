//! The Python IPA in the same cell: what holds for it as well is no fault of ours, nor of the lab's.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::image;
use crate::written::assert_image_on;
use support::lab::fake::{FakeLab, PATIENCE};
use support::lab::instance::Clusters;
use support::lab::release::NEWEST;

#[test]
fn ipa_deploys_in_a_cell_too() -> Result<()> {
    let lab = FakeLab::start("fake-ipa", NEWEST)?;
    let machine = lab.machine()?;
    let node = &machine.node;
    let built = lab.image("whole", 1)?;
    let file = built.qcow2(Clusters::Plain)?;
    let source = image(&lab.web.publish(&file)?, &file, "qcow2")?;
    node.set("/instance_info", &source)?;
    node.provision("active", &json!({}))?;
    node.wait_state("wait call-back", PATIENCE)?;
    let _cell = lab.boot_ipa("ipa", &machine, "")?;
    node.wait_state("active", PATIENCE)?;
    let further = assert_image_on(&machine.disk, &built.raw)?;
    ensure!(further.is_empty(), "partitions of nobody: {further:?}");
    Ok(())
}
