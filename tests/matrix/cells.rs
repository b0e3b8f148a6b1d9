//! What shuts an agent in: the proof that an agent in a cell can be root without harm to the computer it runs on.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use support::lab::api::http_builder;
use support::lab::cell::{Cell, CellDisk, DISK, Plan};
use support::lab::parts::Parts;
use support::lab::process::{Service, program, wait_until};
use support::lab::release::NEWEST;
use support::lab::run::Run;
use support::lab::sandbox;

#[test]
fn an_agent_in_a_cell_sees_one_disk_and_its_power_off_ends_the_cell_alone() -> Result<()> {
    let parts = Parts::find_for_cells(NEWEST)?;
    let run = Run::new(&parts, "cell")?;
    sandbox::enter(&run.work)?;
    let neighbour = Service::start("neighbour", &run.logs, program("sleep").arg("600"))?;
    let disk = CellDisk::new(run.work.join("disk"), 1 << 20)?;
    let mut cell = start(&parts, &run, "cell", &disk)?;

    let processes = cell.processes()?;
    let agent = cell.agent()?.context("the agent is not in the cell")?;
    assert_powerless(agent)?;
    assert_sees_one_disk(agent)?;

    end(&mut cell, "standby.power_off", "PowerOff", 'o')?;
    for process in processes {
        ensure!(
            !is_alive(process),
            "process {process} of the cell outlived it"
        );
    }
    for process in neighbour.descendants()? {
        ensure!(
            is_alive(process),
            "process {process} outside ended with the cell"
        );
    }
    Ok(())
}

#[test]
fn an_agent_in_a_cell_is_told_to_start_the_machine_anew() -> Result<()> {
    let parts = Parts::find_for_cells(NEWEST)?;
    let run = Run::new(&parts, "anew")?;
    sandbox::enter(&run.work)?;
    let disk = CellDisk::new(run.work.join("disk"), 1 << 20)?;
    let mut cell = start(&parts, &run, "anew", &disk)?;
    end(&mut cell, "standby.run_image", "Reboot", 'b')
}

/// Sends the command and waits for what it does to the machine: the kernel refuses without the capability, and what the agent
/// then takes for the emergency key is the cell's own.
fn end(cell: &mut Cell, command: &str, end: &str, key: char) -> Result<()> {
    let call = format!("http://{ADDRESS}:9999/v1/commands/?wait=true&agent_token={TOKEN}");
    let body = json!({"name": command, "params": {}});
    let answer = http_builder().build()?.post(call).json(&body).send()?;
    ensure!(answer.status().is_success(), "{}", answer.text()?);
    let status = cell.wait_end(PATIENCE)?;
    let told = cell.told()?;
    ensure!(
        told.contains(&format!("The machine ends end={end}"))
            && told.contains("The kernel refuses")
            && told.contains(&format!("the cell ends by its emergency key: {key}"))
            && status.success(),
        "{told}"
    );
    Ok(())
}

/// A cell whose agent serves.
fn start(parts: &Parts, run: &Run, name: &'static str, disk: &CellDisk) -> Result<Cell> {
    let plan = Plan {
        name,
        work: &run.work,
        logs: &run.logs,
        busybox: parts.unpacked("bin/busybox"),
        disk,
        mac: "52:54:00:77:00:01",
        address: ADDRESS,
        kernel_arguments: "ipa-disk-wait-attempts=0".into(),
        shown: &[],
        etc: None,
        environment: &[("OS_DEFAULT__AGENT_TOKEN", TOKEN)],
    };
    let cell = Cell::start(&plan, &parts.agent(), &["agent", "--standalone"])?;
    wait_until("the agent to serve", PATIENCE, || {
        Ok(cell.told()?.contains("serving commands").then_some(()))
    })?;
    Ok(cell)
}

/// The process is root, in a ramdisk, and lacks what reaches past its namespaces.
fn assert_powerless(process: u32) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim)
            .with_context(|| format!("no {name} of the agent"))
    };
    ensure!(field("Uid:")?.starts_with("0\t"), "the agent is not root");
    for set in ["CapBnd:", "CapPrm:", "CapEff:"] {
        let capabilities = u64::from_str_radix(field(set)?, 16)?;
        for (name, bit) in WITHHELD {
            ensure!(
                capabilities & (1 << bit) == 0,
                "the agent has {name} ({set})"
            );
        }
    }
    for kind in ["mnt", "pid", "net", "uts", "ipc"] {
        let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/{kind}"));
        ensure!(
            of(&process.to_string())? != of("thread-self")?,
            "{kind} is shared"
        );
    }
    let mounts = fs::read_to_string(format!("/proc/{process}/mountinfo"))?;
    let root = mounts
        .lines()
        .rfind(|line| line.split(' ').nth(4) == Some("/"));
    ensure!(
        root.is_some_and(|line| line.contains(" - tmpfs ")),
        "{mounts}"
    );
    for path in ["/cell/proc/sys", "/cell/proc/sysrq-trigger", "/sys"] {
        let mut over = mounts
            .lines()
            .filter(|line| line.split(' ').nth(4) == Some(path));
        let read_only = |line: &str| line.split(' ').nth(5).is_some_and(|o| o.starts_with("ro"));
        ensure!(
            over.any(read_only) || !Path::new(path.trim_start_matches("/cell")).exists(),
            "the agent may write {path}: {mounts}"
        );
    }
    Ok(())
}

/// Of all block devices there is one in `/dev` and in `/sys`: the cell's disk.
fn assert_sees_one_disk(process: u32) -> Result<()> {
    let root = PathBuf::from(format!("/proc/{process}/root"));
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join("dev"))? {
        let entry = entry?;
        if entry.file_type()?.is_block_device() {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    ensure!(found == [DISK], "block devices in /dev: {found:?}");
    for folder in ["sys/block", "sys/class/block"] {
        let names: Vec<_> = fs::read_dir(root.join(folder))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        ensure!(names == [DISK], "block devices in /{folder}: {names:?}");
    }
    Ok(())
}

/// Whether there is such a process, and not only its memory.
fn is_alive(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
    })
}

const ADDRESS: &str = "172.30.77.101";
const TOKEN: &str = "a token that is longer than thirty-two letters";
const PATIENCE: Duration = Duration::from_secs(60);
/// Numbers of `linux/capability.h`.
const WITHHELD: [(&str, u32); 5] = [
    ("CAP_SYS_MODULE", 16),
    ("CAP_SYS_RAWIO", 17),
    ("CAP_SYS_BOOT", 22),
    ("CAP_SYS_TIME", 25),
    ("CAP_MKNOD", 27),
];
