//! Network boot: iPXE over TFTP and HTTP, and the token that the agent is given at lookup.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use serde_json::json;

use crate::{BOOTED, DEPLOYED, image, start_lab, step};
use support::lab::Boot;
use support::lab::instance::ENTRY;

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

    step("the log archive that Ironic keeps has the whole boot, of all three processes");
    let archive = archive(&lab.logs().join("deploy"))?;
    let log = archive.get("ferrite.log").context("no log")?;
    println!("    {} lines", log.lines().count());
    let mut rest = log.as_str();
    for line in [
        "init: Ferrite starts this machine",
        "supervisor: Started a program program=/proc/self/exe argument=network",
        "network::worker4: The link is up",
        "network::view: The network is there",
        "supervisor: Started a program program=/proc/self/exe argument=agent",
        "agent::startup: the agent starts",
    ] {
        let Some((_, after)) = rest.split_once(line) else {
            bail!("not in the log, or not in its place: {line}\n{log}");
        };
        rest = after;
    }
    Ok(())
}

/// The texts of the only archive in a folder.
fn archive(folder: &Path) -> Result<BTreeMap<String, String>> {
    let entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    let [entry] = entries.as_slice() else {
        bail!("not one archive: {entries:?}");
    };
    let file = GzDecoder::new(File::open(entry.path())?);
    let mut members = BTreeMap::new();
    for member in tar::Archive::new(file).entries()? {
        let mut member = member?;
        let name = member.path()?.display().to_string();
        let mut text = String::new();
        member.read_to_string(&mut text)?;
        members.insert(name, text);
    }
    Ok(members)
}
