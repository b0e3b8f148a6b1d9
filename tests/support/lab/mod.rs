//! The lab: a real, unmodified Ironic with virtual machines to deploy, on one computer and in namespaces of its own.
//!
//! `Lab::start` takes the calling thread into the lab's namespaces and starts everything in them; dropping the lab
//! ends it. What a lab leaves behind (logs, consoles) is in `target/lab/runs/NAME`.

mod accelerator;
pub mod api;
mod authority;
mod bios;
pub mod caller;
pub mod canary;
pub mod cell;
pub mod console;
pub mod cpio;
pub mod dhcp;
pub mod fake;
mod grub;
pub mod guest;
pub mod identity;
pub mod instance;
pub mod ironic;
pub mod keystone;
pub mod machine;
mod modules;
pub mod parts;
pub mod process;
pub mod release;
pub mod run;
pub mod sandbox;
pub mod volumes;
pub mod watchdog;
pub mod web;

use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use api::Node;
use authority::Authority;
use dhcp::Dhcp;
use instance::InstanceImage;
use ironic::{Hardware, Ironic};
use keystone::Keystone;
use machine::{Firmware, Hypervisor, Machine};
use parts::Parts;
use process::{program, run, wait_until};
use run::Run;
use web::WebServer;

/// A running lab. Fields are dropped in this order: Ironic first, the network last.
#[derive(Debug)]
pub struct Lab {
    /// The Ironic that deploys.
    pub ironic: Ironic,
    hypervisor: Hypervisor,
    /// Where images are published.
    pub web: WebServer,
    /// Who gives machines their addresses.
    pub dhcp: Dhcp,
    parts: Parts,
    run: Run,
}

/// How the ramdisk gets into a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// GRUB and all it loads over HTTP, from the firmware on.
    Http,
    /// iPXE, by its script.
    Ipxe,
    /// GRUB and all it loads over TFTP.
    Pxe,
    /// A CD in the BMC's drive.
    VirtualMedia,
}

impl Boot {
    /// Ironic's name for it.
    fn interface(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Ipxe => "ipxe",
            Self::Pxe => "pxe",
            Self::VirtualMedia => "redfish-virtual-media",
        }
    }
}

/// How Ironic's API is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// In clear.
    Http,
    /// Over TLS with a certificate of an authority that nobody knows; agents are given two addresses, and the first is dead.
    PrivateTls,
}

impl Lab {
    /// Starts a lab of this name, on the calling thread; what an earlier run of the name left is removed.
    pub fn start(name: &str, api: Api) -> Result<Self> {
        let parts = Parts::find()?;
        let run = Run::new(&parts, name)?;
        let told = run.failure();
        let raise = || -> Result<_> {
            sandbox::enter(&run.work)?;
            Self::raise(parts, run, api, None)
        };
        raise().context(told)
    }

    /// The same with a Keystone whose tokens live for `life`; all APIs are in clear. Ironic asks it about all callers but agents.
    pub fn start_with_keystone(name: &str, life: Duration) -> Result<(Self, Keystone)> {
        let parts = Parts::find()?;
        let run = Run::new(&parts, name)?;
        let told = run.failure();
        let raise = || -> Result<_> {
            sandbox::enter(&run.work)?;
            let keystone = Keystone::start(&parts, &run.work, &run.logs, life, None)?;
            let lab = Self::raise(parts, run, Api::Http, Some(&keystone))?;
            Ok((lab, keystone))
        };
        raise().context(told)
    }

    fn raise(parts: Parts, run: Run, api: Api, keystone: Option<&Keystone>) -> Result<Self> {
        let (work, logs) = (&run.work, &run.logs);
        let web = WebServer::start(&parts, work, logs)?;
        let dhcp = Dhcp::start(&parts, work, logs)?;
        let hypervisor = Hypervisor::start(&parts, work, logs)?;
        let authority = match api {
            Api::Http => None,
            Api::PrivateTls => Some(Authority::create(work)?),
        };
        let hardware = Hardware::Redfish;
        let ironic = Ironic::start(&parts, work, logs, hardware, authority.as_ref(), keystone)?;
        Ok(Self {
            ironic,
            hypervisor,
            web,
            dhcp,
            parts,
            run,
        })
    }

    /// Where the logs of everything and the machines' consoles are.
    pub fn logs(&self) -> &Path {
        &self.run.logs
    }

    /// A disk with file systems of all kinds, to be given to a machine.
    pub fn volumes(&self) -> Result<PathBuf> {
        volumes::disk(&self.run.work)
    }

    /// An image that calls itself `id` when it boots, with so many MiB of data that do not compress.
    pub fn image(&self, id: &str, data_mib: u64) -> Result<InstanceImage> {
        InstanceImage::build(&self.parts, &self.run.work, id, data_mib, Firmware::Uefi)
    }

    /// The same for machines that start with BIOS.
    pub fn bios_image(&self, id: &str, data_mib: u64) -> Result<InstanceImage> {
        InstanceImage::build(&self.parts, &self.run.work, id, data_mib, Firmware::Bios)
    }

    /// A new machine that Ironic knows and could deploy at once.
    pub fn machine(&self, name: &str, number: u8, boot: Boot) -> Result<(Machine, Node)> {
        self.available(name, number, boot, Firmware::Uefi, "")
    }

    /// The same with more devices, as libvirt writes them.
    pub fn machine_with(
        &self,
        name: &str,
        number: u8,
        boot: Boot,
        devices: &str,
    ) -> Result<(Machine, Node)> {
        self.available(name, number, boot, Firmware::Uefi, devices)
    }

    /// The same with BIOS as its firmware.
    pub fn bios_machine(&self, name: &str, number: u8) -> Result<(Machine, Node)> {
        self.available(name, number, Boot::VirtualMedia, Firmware::Bios, "")
    }

    fn available(
        &self,
        name: &str,
        number: u8,
        boot: Boot,
        firmware: Firmware,
        devices: &str,
    ) -> Result<(Machine, Node)> {
        let (machine, node) = self.enrolled(name, number, boot, firmware, devices)?;
        node.provide()?;
        Ok((machine, node))
    }

    /// A new machine that Ironic knows and has not yet made available.
    pub fn manageable(
        &self,
        name: &str,
        number: u8,
        boot: Boot,
        firmware: Firmware,
    ) -> Result<(Machine, Node)> {
        self.enrolled(name, number, boot, firmware, "")
    }

    fn enrolled(
        &self,
        name: &str,
        number: u8,
        boot: Boot,
        firmware: Firmware,
        devices: &str,
    ) -> Result<(Machine, Node)> {
        let machine = self
            .hypervisor
            .define(name, number, boot, firmware, devices)?;
        self.dhcp.boot(&machine.mac, boot)?;
        let description = self.description(&machine, boot, firmware);
        let node = self.ironic.api.enroll(&description, &machine.mac)?;
        Ok((machine.clone(), node.with_watchdog(machine.watchdog)))
    }

    /// Runs a command line on a machine, as a user who logs in with a password, and returns what it printed. Waits for the
    /// machine to offer logins.
    pub fn ssh(&self, machine: &Machine, user: &str, password: &str, line: &str) -> Result<String> {
        let address = self.dhcp.address(&machine.mac)?;
        wait_until("logins by SSH", Duration::from_secs(60), || {
            machine.watchdog.check()?;
            Ok(TcpStream::connect((address, 22)).ok())
        })?;
        run(program(self.parts.unpacked("usr/bin/dbclient"))
            .env("HOME", &self.run.work)
            .env("DROPBEAR_PASSWORD", password)
            .env(
                "LD_LIBRARY_PATH",
                self.parts.unpacked("usr/lib/x86_64-linux-gnu"),
            )
            // Whatever the host key is.
            .args(["-y", "-y"])
            .arg(format!("{user}@{address}"))
            .arg(line))
    }

    /// Copies a file of a machine onto the host as OpenSSH's scp does, over SFTP, and returns what it holds.
    pub fn copied(
        &self,
        machine: &Machine,
        user: &str,
        password: &str,
        path: &str,
    ) -> Result<String> {
        let address = self.dhcp.address(&machine.mac)?;
        let answer = self.run.work.join("password");
        fs::write(&answer, "#!/bin/sh\necho \"$PASSWORD\"\n")?;
        fs::set_permissions(&answer, Permissions::from_mode(0o700))?;
        let copy = self.run.work.join("copy");
        run(program("scp")
            .env("HOME", &self.run.work)
            .env("PASSWORD", password)
            .env("SSH_ASKPASS", &answer)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .args(["-q", "-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null"])
            .args(["-o", "NumberOfPasswordPrompts=1"])
            .arg(format!("{user}@{address}:{path}"))
            .arg(&copy))?;
        Ok(fs::read_to_string(copy)?)
    }

    fn description(&self, machine: &Machine, boot: Boot, firmware: Firmware) -> Value {
        let (address, system) = machine.redfish();
        let file = |path: PathBuf| format!("file://{}", path.display());
        json!({
            "name": machine.name,
            "driver": "redfish",
            "boot_interface": boot.interface(),
            "inspect_interface": "agent",
            "rescue_interface": "agent",
            "driver_info": {
                "redfish_address": address,
                "redfish_system_id": system,
                "deploy_kernel": file(self.parts.kernel()),
                "deploy_ramdisk": file(self.parts.initramfs()),
                "rescue_kernel": file(self.parts.kernel()),
                "rescue_ramdisk": file(self.parts.initramfs()),
            },
            "properties": {"capabilities": firmware.capability()},
            // A scenario that wants cleaning asks for it.
            "automated_clean": false,
        })
    }
}
