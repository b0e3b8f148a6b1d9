//! The Python agent, IPA 13.0.0, as a process of nobody's: what Ferrite is compared with.
//!
//! It comes from the lab's environment (`make lab`) and runs with user 65534, no capability and no way to get one, no program
//! on its path but harmless stand-ins for the few it cannot start without: it can neither read nor write a disk, nor switch
//! anything off. It is told everything by its environment, as `OS_DEFAULT__<OPTION>`.

use crate::checkout;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Where a process made by [`as_nobody`] sees IPA's environment, with `bin/python` and `bin/ironic-python-agent`.
pub const ENVIRONMENT: &str = "/mnt";

/// The running agent; killed when it is dropped.
#[derive(Debug)]
pub struct Ipa {
    child: Child,
    folder: TempDir,
}

impl Ipa {
    /// Starts it with these options of its `[DEFAULT]` group, such as `("api_url", "http://127.0.0.1:6385")`.
    ///
    /// What every such run wants (no waiting for disks or addresses that a test machine has not) is set already.
    pub fn start(options: &[(&str, &str)]) -> io::Result<Self> {
        Self::start_with(options, &[])
    }

    /// The same with further stand-ins for programs: names, and what a shell does for each.
    pub fn start_with(options: &[(&str, &str)], tools: &[(&str, &str)]) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let log = fs::File::create(folder.path().join("log"))?;
        let mut command = as_nobody(folder.path())?;
        add_tools(folder.path(), tools)?;
        command
            .arg(format!("{ENVIRONMENT}/bin/python"))
            .arg(format!("{ENVIRONMENT}/bin/ironic-python-agent"))
            .stdout(log.try_clone()?)
            .stderr(log);
        for (name, value) in USUAL.iter().chain(options) {
            command.env(format!("OS_DEFAULT__{}", name.to_uppercase()), value);
        }
        let child = command.spawn()?;
        Ok(Self { child, folder })
    }

    /// The process, for those who measure it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it said so far.
    pub fn log(&self) -> String {
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Ipa {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- IPA's log\n{}---", self.log());
        }
    }
}

/// A line that starts whatever is added to it as nobody, with IPA's environment at [`ENVIRONMENT`] and the stand-ins in
/// `folder` as its only programs; its `/run`, where it writes its certificate, is nobody else's. For those who start something
/// else than [`Ipa::start`] does.
///
/// # Errors
/// Without root: only root becomes nobody, and mounts the environment where nobody may see it. Without `make lab`.
pub fn as_nobody(folder: &Path) -> io::Result<Command> {
    let environment = checkout().join(VENV);
    if !environment.join(".done").exists() {
        let hint = format!("{} is not there: `make lab`", environment.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, hint));
    }
    let tools = folder.join("tools");
    fs::create_dir(&tools)?;
    add_tools(folder, TOOLS)?;
    for folder in [folder, &tools] {
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    let mut command = Command::new("/usr/bin/unshare");
    command
        .args(["--mount", "/bin/sh", "-c"])
        .arg(format!(
            "/bin/mount --bind \"$0\" {ENVIRONMENT} && /bin/mount -t tmpfs -o mode=1777 run /run && exec \"$@\""
        ))
        .arg(environment)
        .args([
            "/usr/bin/setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ])
        .args(["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"])
        .env_clear()
        .env("PATH", tools)
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null());
    Ok(command)
}

/// Adds stand-ins for programs to those of [`as_nobody`].
pub fn add_tools(folder: &Path, tools: &[(&str, &str)]) -> io::Result<()> {
    for (name, script) in tools {
        let tool = folder.join("tools").join(name);
        fs::write(&tool, format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(&tool, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Options that keep it from waiting.
const USUAL: &[(&str, &str)] = &[
    ("disk_wait_attempts", "0"),
    ("ip_lookup_attempts", "1"),
    ("advertise_host", "127.0.0.1"),
];

/// What it cannot start without, of a machine without disks. Any other program is missing, which it bears.
const TOOLS: &[(&str, &str)] = &[
    (
        "lsblk",
        r#"case "$*" in *--json*) echo '{"blockdevices": []}' ;; esac"#,
    ),
    ("blockdev", ""),
    ("journalctl", "echo nothing"),
    ("lscpu", ""),
    ("lshw", "echo '{}'"),
    ("sync", ""),
    ("udevadm", ""),
];

const VENV: &str = "target/lab/venv/ironic-python-agent-13.0.0";
