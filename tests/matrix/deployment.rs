//! The newest Ironic deploys, cleans and refuses through the agent.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::written::{assert_image_on, assert_no_table_on, config_drive_file};
use crate::{PATIENCE, image, step};
use support::lab::fake::FakeLab;
use support::lab::instance::Clusters;
use support::lab::release::NEWEST;

#[test]
fn a_node_is_deployed_with_a_config_drive_and_cleaned_and_deployed_again() -> Result<()> {
    let lab = FakeLab::start("fake-newest", NEWEST)?;
    let machine = lab.machine()?;
    let node = &machine.node;
    let built = lab.image("whole", 32)?;

    step("a qcow2 image with a config drive becomes active");
    let file = built.qcow2(Clusters::Plain)?;
    let source = image(&lab.web.publish(&file)?, &file, "qcow2")?;
    node.set("/instance_info", &source)?;
    let drive = json!({
        "meta_data": {"name": "first-machine", "uuid": node.uuid},
        "user_data": "#!/bin/sh\necho hello from user data\n",
    });
    lab.deploy(&machine, &json!({"configdrive": drive}), "agent-qcow2", "")?
        .wait_end(PATIENCE)?;
    let further = assert_image_on(&machine.disk, &built.raw)?;
    let partition = further.first().context("there is no config drive")?;
    ensure!(further.len() == 1, "more than a config drive: {further:?}");
    let meta_data =
        config_drive_file(&machine.disk, partition, "/openstack/latest/meta_data.json")?;
    ensure!(meta_data.contains("first-machine"), "{meta_data}");
    let user_data = config_drive_file(&machine.disk, partition, "/openstack/latest/user_data")?;
    ensure!(
        user_data.ends_with("echo hello from user data\n"),
        "{user_data}"
    );

    step("undeploying cleans the disk");
    node.set("/automated_clean", &json!(true))?;
    node.provision("deleted", &json!({}))?;
    node.wait_state("clean wait", PATIENCE)?;
    let cell = lab.boot("agent-clean", &machine, "")?;
    node.wait_state("available", PATIENCE)?;
    // After cleaning Ironic cuts the power, without a word to the agent.
    drop(cell);
    assert_no_table_on(&machine.disk)?;

    step("a raw image becomes active on the cleaned disk");
    let source = image(&lab.web.publish(&built.raw)?, &built.raw, "raw")?;
    node.set("/instance_info", &source)?;
    lab.deploy(&machine, &json!({}), "agent-raw", "")?
        .wait_end(PATIENCE)?;
    let further = assert_image_on(&machine.disk, &built.raw)?;
    ensure!(further.is_empty(), "partitions of nobody: {further:?}");
    Ok(())
}
