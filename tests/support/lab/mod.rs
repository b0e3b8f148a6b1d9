//! The lab: a real, unmodified Ironic with virtual machines to deploy, on one computer and in namespaces of its own.
//!
//! `Lab::start` takes the calling thread into the lab's namespaces and starts everything in them; dropping the lab
//! ends it. What a lab leaves behind (logs, consoles) is in `target/lab/runs/NAME`.

#![allow(
    clippy::disallowed_methods,
    reason = "the lab runs programs and waits for them; the rules are the product's"
)]
#![allow(
    clippy::indexing_slicing,
    reason = "a JSON value indexed by a key it lacks is null"
)]
#![allow(clippy::print_stdout, reason = "a lab tells what happens in it")]
#![allow(
    dead_code,
    reason = "the tests and the demo each use their part of the lab"
)]

mod accelerator;
pub(crate) mod api;
pub(crate) mod cell;
mod cpio;
mod dhcp;
pub(crate) mod fake;
pub(crate) mod instance;
pub(crate) mod ironic;
pub(crate) mod machine;
mod modules;
pub(crate) mod parts;
pub(crate) mod process;
pub(crate) mod release;
pub(crate) mod run;
pub(crate) mod sandbox;
pub(crate) mod web;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use api::Node;
use instance::InstanceImage;
use ironic::{Hardware, Ironic};
use machine::{Hypervisor, Machine};
use parts::Parts;
use process::Service;
use run::Run;
use web::WebServer;

/// A running lab. Fields are dropped in this order: Ironic first, the network last.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) ironic: Ironic,
    hypervisor: Hypervisor,
    pub(crate) web: WebServer,
    _dhcp: Service,
    parts: Parts,
    run: Run,
}

/// How the ramdisk gets into a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    Ipxe,
    VirtualMedia,
}

impl Lab {
    /// Starts a lab of this name, on the calling thread; what an earlier run of the name left is removed.
    pub(crate) fn start(name: &str) -> Result<Self> {
        let parts = Parts::find()?;
        let run = Run::new(&parts, name)?;
        let told = run.failure();
        Self::raise(parts, run).context(told)
    }

    fn raise(parts: Parts, run: Run) -> Result<Self> {
        let (work, logs) = (&run.work, &run.logs);
        sandbox::enter(work)?;
        let web = WebServer::start(&parts, work, logs)?;
        let dhcp = dhcp::start(&parts, work, logs)?;
        let hypervisor = Hypervisor::start(&parts, work, logs)?;
        let ironic = Ironic::start(&parts, work, logs, Hardware::Redfish)?;
        Ok(Self {
            ironic,
            hypervisor,
            web,
            _dhcp: dhcp,
            parts,
            run,
        })
    }

    /// Where the logs of everything and the machines' consoles are.
    pub(crate) fn logs(&self) -> &Path {
        &self.run.logs
    }

    /// An image that calls itself `id` when it boots, with so many MiB of data that do not compress.
    pub(crate) fn image(&self, id: &str, data_mib: u64) -> Result<InstanceImage> {
        InstanceImage::build(&self.parts, &self.run.work, id, data_mib)
    }

    /// A new machine that Ironic knows and could deploy at once.
    pub(crate) fn machine(&self, name: &str, number: u8, boot: Boot) -> Result<(Machine, Node)> {
        let machine = self.hypervisor.define(name, number)?;
        let node = self
            .ironic
            .api
            .enroll(&self.description(&machine, boot), &machine.mac)?;
        Ok((machine, node))
    }

    fn description(&self, machine: &Machine, boot: Boot) -> Value {
        let (address, system) = machine.redfish();
        let file = |path: PathBuf| format!("file://{}", path.display());
        json!({
            "name": machine.name,
            "driver": "redfish",
            "boot_interface": match boot { Boot::Ipxe => "ipxe", Boot::VirtualMedia => "redfish-virtual-media" },
            "inspect_interface": "agent",
            "driver_info": {
                "redfish_address": address,
                "redfish_system_id": system,
                "deploy_kernel": file(self.parts.kernel()),
                "deploy_ramdisk": file(self.parts.initramfs()),
            },
            "properties": {"capabilities": "boot_mode:uefi"},
            // A scenario that wants cleaning asks for it.
            "automated_clean": false,
        })
    }
}
