//! A network and a mount namespace of the lab's own, for the calling thread and all it starts.
//!
//! The thread itself enters, so that the harness reaches every machine and service of the lab as they reach each
//! other, while nothing of it can be seen from the host, or the host's services from the lab.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

use super::process::{program, run};

/// The lab's address: the host's end of the bridge, where all services listen.
pub const ADDRESS: &str = "172.30.77.1";

/// The bridge all machines are plugged into.
pub(crate) const BRIDGE: &str = "ferrite0";

/// Moves the calling thread into namespaces of its own, with the lab's bridge up and libvirt's folders in `work`.
pub fn enter(work: &Path) -> Result<()> {
    if !geteuid().is_root() {
        bail!("the lab needs root: it makes network namespaces and runs virtual machines");
    }
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .context("could not make a network and a mount namespace")?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("could not make the mounts private")?;
    // Of this network namespace: libvirt looks for the bridge there.
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none)
        .context("could not mount the namespace's own /sys")?;
    for (index, folder) in LIBVIRT_FOLDERS.iter().enumerate() {
        let own = work.join(format!("libvirt/{index}"));
        fs::create_dir_all(&own)?;
        fs::create_dir_all(folder)?;
        mount(Some(&own), *folder, none, MsFlags::MS_BIND, none)
            .with_context(|| format!("could not mount {} on {folder}", own.display()))?;
    }
    add_account(
        work,
        "/etc/passwd",
        "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin",
    )?;
    add_account(work, "/etc/group", "libvirt-qemu:x:64055:")?;
    raise_bridge()
}

/// The account libvirtd looks up at its start, which only Debian's packages for a system service create.
fn add_account(work: &Path, path: &str, line: &str) -> Result<()> {
    let mut accounts = fs::read_to_string(path)?;
    if accounts
        .lines()
        .any(|known| known.starts_with("libvirt-qemu:"))
    {
        return Ok(());
    }
    accounts.push_str(line);
    accounts.push('\n');
    let own = work.join(path.replace('/', "-"));
    fs::write(&own, accounts)?;
    let none: Option<&str> = None;
    mount(Some(&own), path, none, MsFlags::MS_BIND, none)
        .with_context(|| format!("could not mount {} on {path}", own.display()))
}

fn raise_bridge() -> Result<()> {
    let address = format!("{ADDRESS}/24");
    for line in [
        &["link", "set", "lo", "up"][..],
        &[
            "link",
            "add",
            BRIDGE,
            "type",
            "bridge",
            "stp_state",
            "0",
            "forward_delay",
            "0",
        ],
        &["address", "add", &address, "dev", BRIDGE],
        &["link", "set", BRIDGE, "up"],
    ] {
        run(program("ip").args(line))?;
    }
    Ok(())
}

const LIBVIRT_FOLDERS: [&str; 5] = [
    "/etc/libvirt",
    "/run/libvirt",
    "/var/lib/libvirt",
    "/var/cache/libvirt",
    "/var/log/libvirt",
];
