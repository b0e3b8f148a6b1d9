//! Programs of the lab: run to their end, or kept as a service that ends with the harness.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A program with a clean environment: nothing of the caller's proxies, locale or Python reaches the lab.
pub fn program(name: impl AsRef<Path>) -> Command {
    let mut command = Command::new(name.as_ref());
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    command
}

/// Runs a program to its end and returns what it printed; a failure carries its error output.
pub fn run(command: &mut Command) -> Result<String> {
    let line = format!("{command:?}");
    let output = command
        .output()
        .with_context(|| format!("could not run {line}"))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        bail!("{line} failed ({}): {}", output.status, told.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program that serves until it is dropped.
///
/// It runs in a process namespace of its own below a shell, which reaps what the program leaves behind. The kernel
/// ends that namespace with all in it when the thread that started it is gone, however the harness ended, so a
/// broken run leaves no process behind.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts a program with its output in `logs/NAME.out`.
    pub fn start(name: &'static str, logs: &Path, command: &Command) -> Result<Self> {
        let log = logs.join(format!("{name}.out"));
        let out =
            File::create(&log).with_context(|| format!("could not create {}", log.display()))?;
        let mut contained = program("setpriv");
        contained
            .args(["--pdeathsig", "KILL", "--"])
            .args([
                "unshare",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "--",
            ])
            .args(["/bin/sh", "-c", "\"$@\"; exit $?", "sh"])
            .arg(command.get_program())
            .args(command.get_args());
        for (key, value) in command.get_envs() {
            if let Some(value) = value {
                contained.env(key, value);
            }
        }
        let child = contained
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        Ok(Self { name, child, log })
    }

    /// Waits until the service answers as `ready` asks; fails at once when it has ended.
    pub(crate) fn wait_ready(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let name = self.name;
        wait_until(&format!("{name} to answer"), limit, || {
            if let Some(status) = self.child.try_wait()? {
                let told = fs::read_to_string(&self.log).unwrap_or_default();
                bail!("{name} ended early ({status}): {}", last_lines(&told, 15));
            }
            Ok(ready().then_some(()))
        })
    }
}

impl Service {
    /// Waits until the service has ended by itself.
    pub fn wait_end(&mut self, limit: Duration) -> Result<ExitStatus> {
        let child = &mut self.child;
        wait_until(&format!("{} to end", self.name), limit, || {
            Ok(child.try_wait()?)
        })
    }

    /// All that the service has said so far.
    pub fn told(&self) -> Result<String> {
        let told = fs::read(&self.log)
            .with_context(|| format!("could not read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&told).into_owned())
    }

    /// The processes below the one that holds the service together, parents first.
    pub fn descendants(&self) -> Result<Vec<u32>> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            if let Some(parent) = parent(pid) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let mut found = children.remove(&self.child.id()).unwrap_or_default();
        let mut next = 0;
        while let Some(pid) = found.get(next) {
            let below = children.remove(pid).unwrap_or_default();
            found.extend(below);
            next += 1;
        }
        Ok(found)
    }
}

/// The parent of a process; nothing when it has just ended.
fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

impl Drop for Service {
    fn drop(&mut self) {
        // A service that is already gone is what we want. Nothing of a lab is kept but its logs: no need to ask first.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer, a failure, or no time left.
pub fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() > limit {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        thread::sleep(POLL);
    }
}

/// The last lines of a text, for an error message.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(count);
    lines.get(first..).unwrap_or_default().join("\n")
}

const POLL: Duration = Duration::from_millis(200);
