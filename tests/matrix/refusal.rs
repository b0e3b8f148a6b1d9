//! What goes wrong on the way to a deployment: a dead API, a damaged image.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::written::{assert_image_on, assert_no_table_on};
use crate::{image, step};
use support::lab::fake::{FakeLab, PATIENCE};
use support::lab::instance::Clusters;
use support::lab::ironic;
use support::lab::release::NEWEST;

#[test]
fn past_a_dead_api_a_damaged_image_is_refused_and_the_right_one_deployed() -> Result<()> {
    let lab = FakeLab::start("fake-refusal", NEWEST)?;
    let machine = lab.machine()?;
    let node = &machine.node;
    let built = lab.image("whole", 1)?;
    let file = built.qcow2(Clusters::Plain)?;
    let source = image(&lab.web.publish(&file)?, &file, "qcow2")?;
    // Nobody has the first address: only time tells that it is dead.
    let arguments = format!(
        "ipa-api-url=http://172.30.77.250:6385,{}",
        ironic::url(None)
    );

    step("an image with the checksum of another one");
    let mut damaged = source.clone();
    damaged["image_os_hash_value"] = json!("0123456789abcdef".repeat(8));
    node.set("/instance_info", &damaged)?;
    node.provision("active", &json!({}))?;
    node.wait_state("wait call-back", PATIENCE)?;
    let cell = lab.boot_with("agent-damaged", &machine, &arguments)?;
    node.wait_state("deploy failed", PATIENCE)?;
    drop(cell);
    let told = node.last_error()?;
    ensure!(
        told.contains("checksum") && told.contains("0123456789abcdef"),
        "the failure does not tell its reason: {told}"
    );
    assert_no_table_on(&machine.disk)?;

    step("the same image with its own checksum");
    node.set("/instance_info", &source)?;
    node.provision("active", &json!({}))?;
    node.wait_state("wait call-back", PATIENCE)?;
    let mut cell = lab.boot_with("agent-right", &machine, &arguments)?;
    node.wait_state("active", PATIENCE)?;
    cell.wait_end(PATIENCE)?;
    assert_image_on(&machine.disk, &built.raw)?;
    Ok(())
}
