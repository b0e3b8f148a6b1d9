//! Plain PXE (GRUB over TFTP) and fast track: one agent cleans and then deploys without a second start; service afterwards.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::{BOOTED, DEPLOYED, image, start_lab, step};
use support::lab::Boot;
use support::lab::instance::Clusters;
use support::lab::machine::Firmware;

#[test]
fn an_agent_booted_by_grub_cleans_deploys_without_a_restart_and_serves_again() -> Result<()> {
    let lab = start_lab("fast-track")?;
    let (machine, node) = lab.manageable("fast", 1, Boot::Pxe, Firmware::Uefi)?;
    node.set("/driver_info/fast_track", &json!(true))?;
    node.set("/automated_clean", &json!(true))?;

    step("cleaning boots the agent, which stays when the node is available");
    node.provision("provide", &json!({}))?;
    node.wait_state("available", DEPLOYED)?;
    let before = node.agent()?.context("Ironic forgot the agent")?;
    let started = before.started_at()?;

    step("the same agent deploys");
    let built = lab.image("fast", 16)?;
    let file = built.qcow2(Clusters::Plain)?;
    node.set(
        "/instance_info",
        &image(&lab.web.publish(&file)?, &file, "qcow2")?,
    )?;
    node.provision("active", &json!({}))?;
    let mut seen_again = None;
    node.watch("active", DEPLOYED, &mut |seen| {
        node.tell(&seen);
        if let Some(agent) = node.agent()?
            && let Ok(started) = agent.started_at()
        {
            seen_again = Some(started);
        }
        Ok(())
    })?;
    ensure!(
        seen_again.as_ref() == Some(&started),
        "the agent that cleaned started at {started}, the one that deployed at {seen_again:?}"
    );
    machine.wait_console(0, "FERRITE-INSTANCE-BOOTED fast", BOOTED)?;
    let starts = machine.console_since(0)?.matches(KERNEL_STARTS).count();
    let restarts = usize::try_from(machine.watchdog.restarts())?;
    ensure!(
        starts == 1 + restarts,
        "the ramdisk's kernel started {starts} times instead of once ({restarts} times it had stalled)"
    );

    step(
        "a service step puts files into the ESP and the ext4 root of the deployed system, which then boots again",
    );
    let mark = machine.console_mark();
    node.provision(
        "service",
        &json!({"service_steps": [{
            "interface": "deploy",
            "step": "inject_files",
            // "a-file-that-was-injected"
            "args": {"files": [
                {
                    "path": "/from-service",
                    "partition": 1,
                    "content": "YS1maWxlLXRoYXQtd2FzLWluamVjdGVkCg==",
                },
                {
                    "path": "/etc/from-service",
                    "content": "YS1maWxlLXRoYXQtd2FzLWluamVjdGVkCg==",
                },
            ]},
        }]}),
    )?;
    node.wait_state("service wait", DEPLOYED)?;
    node.wait_state("active", DEPLOYED)?;
    machine.wait_console(
        mark,
        "FERRITE-INSTANCE-SERVICED a-file-that-was-injected",
        BOOTED,
    )?;
    let injected = machine.read_ext4(built.root_at, "/etc/from-service")?;
    ensure!(
        injected == "a-file-that-was-injected\n",
        "the root file system holds {injected:?}"
    );
    Ok(())
}

/// What only the ramdisk's kernel says, once in each start: the instance's is told to be quiet.
const KERNEL_STARTS: &str = "Linux version ";
