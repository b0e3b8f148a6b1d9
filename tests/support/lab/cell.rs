//! Cells: an agent as a process that believes to be alone on a machine of its own.
//!
//! A cell has a ramdisk as root file system, one network card in the lab's bridge and one disk, a loop device under the
//! name `/dev/vda`. The agent is root in it, yet the host is out of its reach: it has none of the host's device nodes,
//! processes and interfaces, and none of the capabilities to switch off, to load modules, to set the clock or to make
//! device nodes. So a power-off ends the cell alone: the kernel refuses it, and the emergency key the agent then presses
//! is the cell's own. `cell.sh` builds it; what the agent says is in `logs/NAME.out`.

use crate::checkout;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::process::{Service, program, run};
use super::sandbox::BRIDGE;

/// The name of a cell's disk.
pub const DISK: &str = "vda";

/// A disk that outlives the agents that work on it: a sparse file.
#[derive(Debug)]
pub struct CellDisk {
    /// What the disk holds, as a file.
    pub file: PathBuf,
    node: PathBuf,
    /// The kernel detaches it when this is closed, however the harness ends.
    _open: File,
}

impl CellDisk {
    /// An empty disk of so many bytes.
    pub fn new(file: PathBuf, bytes: u64) -> Result<Self> {
        File::create(&file)
            .with_context(|| format!("could not create {}", file.display()))?
            .set_len(bytes)?;
        let attach = ["--find", "--show", "--partscan"];
        let node = run(program("losetup").args(attach).arg(&file))?;
        let node = PathBuf::from(node.trim());
        let open = File::open(&node)?;
        // One that is open is detached by its last close.
        run(program("losetup").arg("--detach").arg(&node))?;
        Ok(Self {
            file,
            node,
            _open: open,
        })
    }

    /// The disk as the host has it: `/dev/loop3`.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// Bytes of the disk.
    pub fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        File::open(self.node())?.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

/// What a cell is made of.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// Of the cell and of its log.
    pub name: &'static str,
    /// Where its files are kept; not looked at by the agent.
    pub work: &'a Path,
    /// Where its log is written.
    pub logs: &'a Path,
    /// A statically linked busybox.
    pub busybox: PathBuf,
    /// Its one disk.
    pub disk: &'a CellDisk,
    /// Of its network card.
    pub mac: &'a str,
    /// Of its network card, in the lab's network.
    pub address: &'a str,
    /// What `/proc/cmdline` says.
    pub kernel_arguments: String,
    /// Files (copied) and folders (read-only) of the host that are in the cell too, under the same path.
    pub shown: &'a [PathBuf],
    /// A folder of the host whose files are in the cell's `/etc`.
    pub etc: Option<&'a Path>,
    /// The agent's environment besides `PATH`.
    pub environment: &'a [(&'a str, &'a str)],
}

/// A running cell; dropping it ends all its processes.
#[derive(Debug)]
pub struct Cell {
    service: Service,
}

impl Cell {
    /// Starts an agent in a new cell. A cell of the same name must have ended.
    pub fn start(plan: &Plan<'_>, agent: &Path, arguments: &[&str]) -> Result<Self> {
        let work = plan.work.join(plan.name);
        if work.exists() {
            fs::remove_dir_all(&work)?;
        }
        fs::create_dir_all(&work)?;
        fs::write(work.join("cmdline"), format!("{}\n", plan.kernel_arguments))?;
        let settings = work.join("settings");
        fs::write(&settings, plan.settings(&work, agent)?)?;
        let mut command = program("setpriv");
        command
            .args(["--bounding-set", WITHHELD, "--inh-caps", "-all", "--"])
            .args(["unshare", "--mount", "--uts", "--ipc", "--"])
            .arg("/bin/sh")
            .arg(checkout().join("tests/support/lab/cell.sh"))
            .arg(&settings)
            .arg(agent)
            .args(arguments)
            .envs(plan.environment.iter().copied());
        Ok(Self {
            service: Service::start(plan.name, plan.logs, &command)?,
        })
    }

    /// Waits until the agent has ended, and with it the cell.
    pub fn wait_end(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.service.wait_end(limit)
    }

    /// What the agent has said so far.
    pub fn told(&self) -> Result<String> {
        self.service.told()
    }

    /// The agent's process by its number on the host, once it runs.
    pub fn agent(&self) -> Result<Option<u32>> {
        let mounts = |process: u32| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
        let processes = self.processes()?;
        // The first process prepares the cell; its agent has mounts of its own.
        let outside = processes.get(1).copied().and_then(mounts);
        let inside = |process: &u32| mounts(*process) != outside;
        Ok(processes.into_iter().skip(2).find(inside))
    }

    /// A file of the cell, by its absolute path there, as the host reaches it.
    pub fn file(&self, path: &str) -> Result<PathBuf> {
        let agent = self.agent()?.context("no agent runs in the cell")?;
        Ok(format!("/proc/{agent}/root{path}").into())
    }

    /// The cell's processes by their numbers on the host, the cell's first process first.
    pub fn processes(&self) -> Result<Vec<u32>> {
        self.service.descendants()
    }
}

impl Plan<'_> {
    /// What `cell.sh` reads.
    fn settings(&self, work: &Path, agent: &Path) -> Result<String> {
        let device = self.disk.node().file_name().unwrap_or_default();
        let mut shown: Vec<_> = self
            .shown
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        if !self.shown.iter().any(|path| agent.starts_with(path)) {
            shown.push(agent.display().to_string());
        }
        let settings = [
            ("work", work.display().to_string()),
            ("busybox", self.busybox.display().to_string()),
            ("shown", shown.join(" ")),
            (
                "etc",
                self.etc
                    .map_or_else(String::new, |etc| etc.display().to_string()),
            ),
            ("loop", device.to_string_lossy().into_owned()),
            ("disk", DISK.into()),
            ("mac", self.mac.into()),
            ("address", self.address.into()),
            ("bridge", BRIDGE.into()),
            // The kernel takes a moment to remove an ended cell's cable: the next one has another name.
            (
                "port",
                format!("cell{}", CABLES.fetch_add(1, Ordering::Relaxed)),
            ),
        ];
        let mut text = String::new();
        for (name, value) in settings {
            if value.contains('\'') || (name != "shown" && value.contains(' ')) {
                bail!("a cell cannot have the {name} {value}");
            }
            text.push_str(&format!("{name}='{value}'\n"));
        }
        Ok(text)
    }
}

static CABLES: AtomicU8 = AtomicU8::new(0);
/// Switching off, modules, the clock, ports and memory of the hardware.
const WITHHELD: &str = "-sys_boot,-sys_module,-sys_time,-sys_rawio";
