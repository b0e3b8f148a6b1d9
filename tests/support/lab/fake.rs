//! A lab without machines: a real Ironic of any generation, an image server, and cells for agents.
//!
//! Its nodes have Ironic's driver `fake-hardware`, whose power switch does nothing: the test starts an agent where
//! Ironic believes to have switched the machine on.

use std::cell::Cell as Counter;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Api;
use super::api::{Agent, Node};
use super::authority::Authority;
use super::cell::{Cell, CellDisk, Plan};
use super::instance::InstanceImage;
use super::ironic::{self, Hardware, Ironic};
use super::keystone::Keystone;
use super::machine::Firmware;
use super::parts::Parts;
use super::process::wait_until;
use super::release::Release;
use super::run::Run;
use super::sandbox;
use super::web::WebServer;

/// A running lab. Fields are dropped in this order.
#[derive(Debug)]
pub struct FakeLab {
    /// The Ironic that deploys.
    pub ironic: Ironic,
    /// Where images are published.
    pub web: WebServer,
    parts: Parts,
    run: Run,
    nodes: Counter<u8>,
}

/// A node that Ironic knows, and the machine behind it.
#[derive(Debug)]
pub struct FakeMachine {
    /// As Ironic has it.
    pub node: Node,
    /// The one disk of its cells.
    pub disk: CellDisk,
    mac: String,
    address: String,
}

impl FakeLab {
    /// Starts a lab of this name, on the calling thread; what an earlier run of the name left is removed.
    pub fn start(name: &str, release: Release) -> Result<Self> {
        let parts = Parts::find_for_cells(release)?;
        let run = Run::new(&parts, name)?;
        let told = run.failure();
        let raise = || -> Result<_> {
            sandbox::enter(&run.work)?;
            Self::raise(parts, run, None)
        };
        raise().context(told)
    }

    /// The same with a Keystone whose tokens live for `life` and which is reached as `api` says. Ironic asks it about all callers
    /// but agents.
    pub fn start_with_keystone(
        name: &str,
        release: Release,
        life: Duration,
        api: Api,
    ) -> Result<(Self, Keystone)> {
        let parts = Parts::find_for_cells(release)?;
        let run = Run::new(&parts, name)?;
        let told = run.failure();
        let raise = || -> Result<_> {
            sandbox::enter(&run.work)?;
            let authority = match api {
                Api::Http => None,
                Api::PrivateTls => Some(Authority::create(&run.work)?),
            };
            let keystone = Keystone::start(&parts, &run.work, &run.logs, life, authority)?;
            let lab = Self::raise(parts, run, Some(&keystone))?;
            Ok((lab, keystone))
        };
        raise().context(told)
    }

    fn raise(parts: Parts, run: Run, keystone: Option<&Keystone>) -> Result<Self> {
        let (work, logs) = (&run.work, &run.logs);
        let web = WebServer::start(&parts, work, logs)?;
        let ironic = Ironic::start(&parts, work, logs, Hardware::Fake, None, keystone)?;
        Ok(Self {
            ironic,
            web,
            parts,
            run,
            nodes: Counter::new(0),
        })
    }

    /// A folder for what a scenario makes.
    pub fn work(&self) -> &Path {
        &self.run.work
    }

    /// Where the logs of everything are.
    pub fn logs(&self) -> &Path {
        &self.run.logs
    }

    /// An image with so many MiB of data that do not compress.
    pub fn image(&self, id: &str, data_mib: u64) -> Result<InstanceImage> {
        InstanceImage::build(&self.parts, &self.run.work, id, data_mib, Firmware::Uefi)
    }

    /// A new machine with an empty disk, which Ironic could deploy at once.
    pub fn machine(&self) -> Result<FakeMachine> {
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
    pub fn boot(&self, log: &'static str, machine: &FakeMachine, arguments: &str) -> Result<Cell> {
        self.boot_with(
            log,
            machine,
            &format!("ipa-api-url={} {arguments}", ironic::url(None)),
        )
    }

    /// The same with all kernel arguments.
    pub fn boot_with(
        &self,
        log: &'static str,
        machine: &FakeMachine,
        arguments: &str,
    ) -> Result<Cell> {
        let plan = self.plan(log, machine, arguments);
        Cell::start(&plan, &self.parts.agent(), &["agent"])
    }

    /// Like `boot`, with all that an agent can be given.
    pub fn boot_given(
        &self,
        log: &'static str,
        machine: &FakeMachine,
        given: &Given<'_>,
    ) -> Result<Cell> {
        let mut shown = given.files.to_vec();
        let mut arguments = vec!["agent".to_owned()];
        if let Some(text) = given.configuration {
            let file = self.run.work.join(format!("{log}.conf"));
            fs::write(&file, text)?;
            arguments.push(format!("--config-file={}", file.display()));
            shown.push(file);
        }
        arguments.extend(given.arguments.iter().map(ToString::to_string));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let told = format!(
            "ipa-api-url={} {}",
            ironic::url(None),
            given.kernel_arguments
        );
        let plan = Plan {
            shown: &shown,
            etc: given.etc,
            ..self.plan(log, machine, &told)
        };
        Cell::start(&plan, &self.parts.agent(), &arguments)
    }

    /// Like `boot`, but with the Python IPA, which needs the host's programs.
    pub fn boot_ipa(
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
            etc: None,
            environment: &[],
        }
    }

    /// Has Ironic switch a machine on for an agent that it hears and then leaves alone, until the node's maintenance ends:
    /// cleaning follows.
    pub fn hold(&self, machine: &FakeMachine) -> Result<()> {
        let node = &machine.node;
        node.provision("manage", &json!({}))?;
        node.wait_state("manageable", PATIENCE)?;
        let step = json!({"interface": "deploy", "step": "erase_devices_metadata"});
        node.provision("clean", &json!({"clean_steps": [step]}))?;
        node.wait_state("clean wait", PATIENCE)?;
        node.maintain()
    }

    /// The agent of a machine, as soon as Ironic has heard it.
    pub fn agent(&self, machine: &FakeMachine) -> Result<Agent> {
        wait_until("the agent's heartbeat", PATIENCE, || machine.node.agent())
    }

    /// Deploys what the node's `instance_info` says, through an agent that is started where Ironic waits for one.
    pub fn deploy(
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

/// What an agent is started with besides the address of Ironic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// Further arguments of the cell's kernel.
    pub kernel_arguments: &'a str,
    /// Of its command line.
    pub arguments: &'a [&'a str],
    /// The text of a configuration file.
    pub configuration: Option<&'a str>,
    /// Files of the host that it finds under the same path.
    pub files: &'a [PathBuf],
    /// A folder of the host whose files it finds in `/etc`.
    pub etc: Option<&'a Path>,
}

/// A whole deployment takes half a minute on two busy cores.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// Ironic wants no smaller one without a hint.
const DISK: u64 = 5 << 30;
