//! A show for newcomers: the real Ironic deploys a virtual machine through Ferrite. `make demo` runs it.

#![allow(
    clippy::indexing_slicing,
    reason = "a JSON value indexed by a key it lacks is null"
)]
#![allow(clippy::print_stdout, reason = "this program only shows")]

mod screen;

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use screen::Screen;
use support::lab::api::{Node, Seen};
use support::lab::instance::{Clusters, InstanceImage, sha512};
use support::lab::{Api, Boot, Lab};

fn main() -> ExitCode {
    println!(
        "Ferrite's demo: the real, unmodified Ironic deploys a virtual machine through Ferrite.\n"
    );
    let mut screen = Screen::new();
    match show(&mut screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.line(&format!("The demo cannot go on: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn show(screen: &mut Screen) -> Result<()> {
    check_computer()?;
    screen.line(
        "starting Ironic 39, a Redfish BMC, DHCP and an image server in a network of their own (half a minute)",
    );
    let lab = Lab::start("demo", Api::Http)?;
    screen.line(&format!(
        "logs and the machine's console: {}",
        lab.logs().display()
    ));
    let image = lab.image("demo", 192)?;
    let (machine, node) = lab.machine("demo", 1, Boot::VirtualMedia)?;
    screen.line("Ironic knows a machine, switched off and with an empty disk; asking to deploy it (two minutes)");
    deploy(&lab, &image, &node, screen)?;
    screen.line("the machine starts from its own disk now (half a minute)");
    machine.wait_console(0, "FERRITE-INSTANCE-READY", BOOTED)?;
    for line in machine.console_since(0)?.lines() {
        if let Some((_, said)) = line.split_once("FERRITE-INSTANCE-") {
            screen.line(&format!("its console: {}", said.trim_end()));
        }
    }
    screen.line("done: the disk that Ferrite wrote has booted");
    Ok(())
}

fn deploy(lab: &Lab, image: &InstanceImage, node: &Node, screen: &mut Screen) -> Result<()> {
    let file = image.qcow2(Clusters::Plain)?;
    let instance = json!({
        "image_source": lab.web.publish(&file)?,
        "image_os_hash_algo": "sha512",
        "image_os_hash_value": sha512(&file)?,
        "image_disk_format": "qcow2",
    });
    node.set("/instance_info", &instance)?;
    let drive =
        json!({"meta_data": {"name": "my-first-machine"}, "user_data": "welcome to Ferrite"});
    node.provision("active", &json!({"configdrive": drive}))?;
    let mut talks = false;
    node.watch("active", DEPLOYED, &mut |seen| {
        if let Seen::State(state) = seen {
            screen.line(&format!("Ironic: {state}{}", meaning(state)));
        }
        let Some(agent) = node.agent()? else {
            return Ok(());
        };
        if !talks {
            screen.line("Ferrite: up in the machine, and talking to Ironic");
            talks = true;
        }
        if let Some(progress) = agent.progress() {
            screen.progress(&progress);
        }
        Ok(())
    })
}

fn meaning(state: &str) -> &'static str {
    match state {
        "deploying" => " (it is at work itself)",
        "wait call-back" => " (it waits for Ferrite in the machine)",
        _ => "",
    }
}

/// What would otherwise fail half-way, said at once.
fn check_computer() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("it makes network namespaces and runs virtual machines; please run it as root");
    }
    let available = available_mib().context("could not read /proc/meminfo")?;
    if available < NEEDED_MIB {
        bail!("it needs {NEEDED_MIB} MiB of free memory, and this computer has {available} MiB");
    }
    Ok(())
}

fn available_mib() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.split_whitespace().next())
        .context("there is no MemAvailable")?;
    Ok(kib.parse::<u64>()? / 1024)
}

/// Ironic 400 MiB, the machine 512 MiB and its emulator, the rest for files in use.
const NEEDED_MIB: u64 = 1800;
/// Far beyond what software emulation on two busy cores takes.
const DEPLOYED: Duration = Duration::from_secs(900);
const BOOTED: Duration = Duration::from_secs(180);
