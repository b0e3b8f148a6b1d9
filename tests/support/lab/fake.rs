//! A lab without machines: a real Ironic of any generation, an image server, and cells for agents.
//!
//! Its nodes have Ironic's driver `fake-hardware`, whose power switch does nothing: the test starts an agent where
//! Ironic believes to have switched the machine on.

use std::cell::Cell as Counter;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::api::Node;
use super::cell::{Cell, CellDisk, Plan};
use super::instance::InstanceImage;
use super::ironic::{self, Hardware, Ironic};
use super::machine::Firmware;
use super::parts::Parts;
use super::release::Release;
use super::run::Run;
use super::sandbox;
use super::web::WebServer;

/// A running lab. Fields are dropped in this order.
#[derive(Debug)]
pub(crate) struct FakeLab {
    pub(crate) ironic: Ironic,
    pub(crate) web: WebServer,
    parts: Parts,
    run: Run,
    nodes: Counter<u8>,
}

/// A node that Ironic knows, and the machine behind it.
#[derive(Debug)]
pub(crate) struct FakeMachine {
    pub(crate) node: Node,
    pub(crate) disk: CellDisk,
    mac: String,
    address: String,
}

impl FakeLab {
    /// Starts a lab of this name, on the calling thread; what an earlier run of the name left is removed.
    pub(crate) fn start(name: &str, release: Release) -> Result<Self> {
        let parts = Parts::find_for_cells(release)?;
        let run = Run::new(&parts, name)?;
        let told = run.failure();
        Self::raise(parts, run).context(told)
    }

    fn raise(parts: Parts, run: Run) -> Result<Self> {
        sandbox::enter(&run.work)?;
        let web = WebServer::start(&parts, &run.work, &run.logs)?;
        let ironic = Ironic::start(&parts, &run.work, &run.logs, Hardware::Fake, None)?;
        Ok(Self {
            ironic,
            web,
            parts,
            run,
            nodes: Counter::new(0),
        })
    }

    /// Where the logs of everything are.
    pub(crate) fn logs(&self) -> &Path {
        &self.run.logs
    }

    /// An image with so many MiB of data that do not compress.
    pub(crate) fn image(&self, id: &str, data_mib: u64) -> Result<InstanceImage> {
        InstanceImage::build(&self.parts, &self.run.work, id, data_mib, Firmware::Uefi)
    }

    /// A new machine with an empty disk, which Ironic could deploy at once.
    pub(crate) fn machine(&self) -> Result<FakeMachine> {
        let number = self.nodes.get() + 1;
        self.nodes.set(number);
        let name = format!("fake-{number}");
        let mac = format!("52:54:00:77:00:{number:02x}");
        let disk = CellDisk::new(self.run.work.join(format!("{name}.disk")), DISK)?;
        let description = json!({
            "name": name,
            "driver": "fake-hardware",
            "boot_interface": "fake",
            "deploy_interface": "direct",
            "management_interface": "noop",
            "power_interface": "fake",
            "network_interface": "noop",
            // A cell has no firmware, which to an agent means BIOS.
            "properties": {"capabilities": "boot_mode:bios"},
            // A scenario that wants cleaning asks for it.
            "automated_clean": false,
        });
        let node = self.ironic.api.enroll(&description, &mac)?;
        node.provide()?;
        Ok(FakeMachine {
            node,
            disk,
            mac,
            address: format!("172.30.77.{}", 100 + number),
        })
    }

    /// Starts the agent on a machine that Ironic has just switched on, with further kernel arguments.
    pub(crate) fn boot(
        &self,
        log: &'static str,
        machine: &FakeMachine,
        arguments: &str,
    ) -> Result<Cell> {
        self.boot_with(
            log,
            machine,
            &format!("ipa-api-url={} {arguments}", ironic::url(None)),
        )
    }

    /// The same with all kernel arguments.
    pub(crate) fn boot_with(
        &self,
        log: &'static str,
        machine: &FakeMachine,
        arguments: &str,
    ) -> Result<Cell> {
        let plan = self.plan(log, machine, arguments);
        Cell::start(&plan, &self.parts.agent(), &["agent"])
    }

    /// Like `boot`, but with the Python IPA, which needs the host's programs.
    pub(crate) fn boot_ipa(
        &self,
        log: &'static str,
        machine: &FakeMachine,
        arguments: &str,
    ) -> Result<Cell> {
        let environment = self.parts.ipa();
        let agent = environment.join("bin/ironic-python-agent");
        let arguments = format!("ipa-api-url={} {arguments}", ironic::url(None));
        let shown = ["/usr".into(), "/etc".into(), environment];
        let plan = Plan {
            shown: &shown,
            environment: &[("PATH", "/usr/sbin:/usr/bin:/sbin:/bin:/cell")],
            ..self.plan(log, machine, &arguments)
        };
        Cell::start(&plan, &agent, &[])
    }

    fn plan<'a>(
        &'a self,
        log: &'static str,
        machine: &'a FakeMachine,
        arguments: &str,
    ) -> Plan<'a> {
        Plan {
            name: log,
            work: &self.run.work,
            logs: &self.run.logs,
            busybox: self.parts.unpacked("bin/busybox"),
            disk: &machine.disk,
            mac: &machine.mac,
            address: &machine.address,
            kernel_arguments: format!("ipa-debug=1 {arguments}"),
            shown: &[],
            environment: &[],
        }
    }

    /// Deploys what the node's `instance_info` says, through an agent that is started where Ironic waits for one.
    pub(crate) fn deploy(
        &self,
        machine: &FakeMachine,
        request: &Value,
        log: &'static str,
        arguments: &str,
    ) -> Result<Cell> {
        let node = &machine.node;
        node.provision("active", request)?;
        node.wait_state("wait call-back", PATIENCE)?;
        let cell = self.boot(log, machine, arguments)?;
        node.wait_state("active", PATIENCE)?;
        Ok(cell)
    }
}

/// A whole deployment takes half a minute on two busy cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// Ironic wants no smaller one without a hint.
const DISK: u64 = 5 << 30;
