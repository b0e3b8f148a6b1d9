//! Virtual media and UEFI: the ISO that Ironic builds of our kernel and ramdisk, with a token made beforehand.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{BOOTED, DEPLOYED, image, start_lab, step};
use support::lab::Boot;
use support::lab::api::Seen;
use support::lab::instance::{Clusters, ENTRY};

#[test]
fn a_machine_is_deployed_cleaned_and_deployed_again_by_virtual_media() -> Result<()> {
    let lab = start_lab("virtual-media")?;
    let (machine, node) = lab.machine("media", 1, Boot::VirtualMedia)?;

    step("a qcow2 image with a config drive becomes active, and shows its progress");
    let first = lab.image("first", 192)?;
    let file = first.qcow2(Clusters::Plain)?;
    node.set(
        "/instance_info",
        &image(&lab.web.publish(&file)?, &file, "qcow2")?,
    )?;
    let drive = json!({
        "meta_data": {"name": "first-machine", "uuid": node.uuid},
        "user_data": "#!/bin/sh\necho hello from user data\n",
    });
    node.provision("active", &json!({"configdrive": drive}))?;
    let mut progress = Progress::default();
    node.watch("active", DEPLOYED, &mut |seen| {
        node.tell(&seen);
        if let Some(agent) = node.agent()? {
            ensure!(
                agent.pregenerated,
                "Ironic handed the token out at lookup, not on the media"
            );
            progress.note(agent.progress());
        }
        Ok(())
    })?;
    progress.check()?;
    let said = machine.console_since(0)?;
    for line in [
        "The kernel's command line is covered",
        "The kernel's log was told again without the agent token",
    ] {
        ensure!(said.contains(line), "the ramdisk did not say \"{line}\"");
    }

    step("the deployed disk boots by the entry made for it, and finds its config drive");
    let said = machine
        .wait_console(0, "FERRITE-INSTANCE-READY", BOOTED)
        .and_then(|_| machine.console_since(0))?;
    for line in [
        "FERRITE-INSTANCE-BOOTED first",
        &format!("FERRITE-INSTANCE-ENTRY {ENTRY}"),
        "first-machine",
        "echo hello from user data",
    ] {
        ensure!(
            said.contains(line),
            "the instance did not say \"{line}\":\n{said}"
        );
    }

    step("undeploying cleans the disk");
    node.set("/automated_clean", &json!(true))?;
    ensure!(machine.has_partition_table()?, "there is nothing to clean");
    let mut states = Vec::new();
    node.provision("deleted", &json!({}))?;
    node.watch("available", DEPLOYED, &mut |seen| {
        node.tell(&seen);
        if let Seen::State(state) = seen {
            states.push(state.to_owned());
        }
        Ok(())
    })?;
    ensure!(
        states.iter().any(|state| state == "clean wait"),
        "no cleaning happened: {states:?}"
    );
    ensure!(
        !machine.has_partition_table()?,
        "cleaning left a partition table on the disk"
    );

    step("a compressed qcow2 image is deployed onto the cleaned disk");
    let mark = machine.console_mark();
    let second = lab.image("second", 16)?;
    let file = second.qcow2(Clusters::Compressed)?;
    node.set(
        "/instance_info",
        &image(&lab.web.publish(&file)?, &file, "qcow2")?,
    )?;
    node.provision("active", &json!({}))?;
    node.wait_state("active", DEPLOYED)?;
    machine.wait_console(mark, "FERRITE-INSTANCE-BOOTED second", BOOTED)?;
    machine.wait_console(
        mark,
        &format!("FERRITE-INSTANCE-ENTRY {ENTRY}"),
        Duration::from_secs(20),
    )?;
    Ok(())
}

/// What the running command told of its progress, look after look.
#[derive(Debug, Default)]
struct Progress(Vec<Value>);

impl Progress {
    fn note(&mut self, progress: Option<Value>) {
        if let Some(progress) = progress
            && self.0.last() != Some(&progress)
        {
            println!("    progress: {progress}");
            self.0.push(progress);
        }
    }

    /// The bytes of a phase grew between two looks, and carried a total and a rate.
    fn check(&self) -> Result<()> {
        let grew = self.0.windows(2).any(|pair| match pair {
            [before, after] => {
                before["phase"] == after["phase"]
                    && before["bytes"].as_u64() < after["bytes"].as_u64()
                    && after["total"].is_u64()
                    && after["rate"].as_u64() > Some(0)
            }
            _ => false,
        });
        ensure!(
            grew,
            "no growing progress was seen while the image was written: {:?}",
            self.0
        );
        Ok(())
    }
}
