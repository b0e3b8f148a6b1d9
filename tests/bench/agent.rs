//! The released agent as a child process. It is never root, and this machine is no ramdisk: it can do nothing to it.

use crate::field::kilobytes;
use crate::report::Size;
use anyhow::{Context, Result, anyhow};
use nix::unistd::Uid;
use std::fs::{self, File, Permissions};
use std::net::{Ipv6Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use support::lab::process::{last_lines, program};
use tempfile::TempDir;

/// What `make agent` makes.
pub(crate) const BINARY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/target/x86_64-unknown-linux-musl/release/ferrite"
);

/// A copy of the binary where everybody may run it.
#[derive(Debug)]
pub(crate) struct Installed {
    folder: TempDir,
    program: PathBuf,
}

impl Installed {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let program = folder.path().join("ferrite");
        fs::copy(BINARY, &program)
            .with_context(|| format!("{BINARY} is missing: run `make agent`"))?;
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        Ok(Self { folder, program })
    }

    /// Starts the agent. The API it serves is on the loopback interface.
    pub(crate) fn start(&self, api_url: &str) -> Result<Agent> {
        self.start_at(api_url, free_port()?)
    }

    /// The same with this port for its API.
    pub(crate) fn start_at(&self, api_url: &str, port: u16) -> Result<Agent> {
        self.start_as("agent", api_url, port, &[])
    }

    /// The same with further options.
    pub(crate) fn start_with(&self, api_url: &str, options: &[&str]) -> Result<Agent> {
        self.start_as("agent", api_url, free_port()?, options)
    }

    /// The same below a process that starts it anew.
    pub(crate) fn supervise_at(&self, api_url: &str, port: u16) -> Result<Agent> {
        self.start_as("supervise", api_url, port, &[])
    }

    fn start_as(
        &self,
        subcommand: &str,
        api_url: &str,
        port: u16,
        options: &[&str],
    ) -> Result<Agent> {
        let (port, log) = (port.to_string(), self.folder.path().join("log"));
        let output = File::create(&log)?;
        let mut command = program(&self.program);
        command
            .args([subcommand, "--api_url", api_url])
            .args(["--listen_host", "127.0.0.1", "--listen_port", &port])
            .args(["--advertise_port", &port])
            .args(options)
            .stdout(output.try_clone()?)
            .stderr(output);
        if Uid::effective().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let child = command.spawn().context("could not start the agent")?;
        Ok(Agent { child, port, log })
    }
}

/// A running agent; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    port: String,
    log: PathBuf,
}

impl Agent {
    /// The address of its API.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The port of its API.
    pub(crate) fn port(&self) -> Result<u16> {
        Ok(self.port.parse()?)
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Those that it started and that run.
    pub(crate) fn children(&self) -> Result<Vec<i32>> {
        let mut children = Vec::new();
        for thread in fs::read_dir(self.proc("task"))? {
            let list = fs::read_to_string(thread?.path().join("children"))?;
            for child in list.split_whitespace() {
                children.push(child.parse()?);
            }
        }
        Ok(children)
    }

    /// All it said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The error of a wait for it that was in vain, with its last words.
    pub(crate) fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        let log = self.log();
        anyhow!(
            "{error:#}; the agent's last words:\n{}",
            last_lines(&log, 5)
        )
    }

    /// Pages in memory, shared ones included.
    pub(crate) fn resident(&self) -> Result<Size> {
        kilobytes(&self.proc("status"), "VmRSS:")
    }

    /// The same, shared ones by its share.
    pub(crate) fn proportional(&self) -> Result<Size> {
        kilobytes(&self.proc("smaps_rollup"), "Pss:")
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join(file)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // An agent that is already gone is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago, and none that the kernel gives to callers: the load leaves thousands of theirs closing.
pub(crate) fn free_port() -> Result<u16> {
    let from = u16::try_from(std::process::id() % 5000)? + 20_000;
    (from..32_000)
        .find(|port| TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).is_ok())
        .context("no port is free")
}

/// The user and group that own nothing.
const NOBODY: u32 = 65534;
