//! Agents that are killed while they write a disk, and the ones after them: in a cell, kept running by `ferrite supervise`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::step;
use crate::written::{assert_image_on, assert_no_table_on};
use support::lab::api::http_builder;
use support::lab::cell::{Cell, CellDisk, Plan};
use support::lab::instance::{InstanceImage, sha512};
use support::lab::machine::Firmware;
use support::lab::parts::Parts;
use support::lab::process::{program, run, wait_until};
use support::lab::release::NEWEST;
use support::lab::run::Run;
use support::lab::sandbox;

#[test]
fn an_image_that_a_killed_agent_was_writing_is_written_by_the_next_one() -> Result<()> {
    let parts = Parts::find_for_cells(NEWEST)?;
    let lab = Run::new(&parts, "crash-write")?;
    sandbox::enter(&lab.work)?;
    let disk = CellDisk::new(lab.work.join("disk"), DISK)?;
    let image = InstanceImage::build(&parts, &lab.work, "half", 32, Firmware::Uefi)?;
    let server = HesitantServer::start(&image.raw)?;
    let served = Served::start(&parts, &lab, &disk)?;
    served.run("standby.sync", &json!({}))?;

    step("the agent is killed when half of the image has come");
    let write = json!({
        "step": {"step": "write_image", "args": {"image_info": {
            "id": "half",
            "urls": [server.url],
            "disk_format": "raw",
            "os_hash_algo": "sha512",
            "os_hash_value": sha512(&image.raw)?,
        }}},
        "node": node(),
        "ports": [],
    });
    served.begin("deploy.execute_deploy_step", &write)?;
    server.half.recv_timeout(PATIENCE)?;
    let before = served.list()?;
    served.kill_agent()?;
    served.assert_interrupted(before)?;

    step("the next agent writes it");
    let record = served.run("deploy.execute_deploy_step", &write)?;
    ensure!(record["command_status"] == "SUCCEEDED", "{record}");
    assert_image_on(&disk, &image.raw)?;
    Ok(())
}

#[test]
fn an_erasure_that_a_killed_agent_was_at_is_done_by_the_next_one() -> Result<()> {
    let parts = Parts::find_for_cells(NEWEST)?;
    let lab = Run::new(&parts, "crash-erase")?;
    sandbox::enter(&lab.work)?;
    let shelf = Shelf::mount(&lab.work)?;
    let disk = CellDisk::new(shelf.0.join("disk"), 64 << 20)?;
    // What tells of a partition table: gone when it was erased.
    let open = File::options().write(true).open(disk.node())?;
    open.write_all_at(b"\x55\xAA", 510)?;
    open.sync_all()?;
    drop(open);
    let served = Served::start(&parts, &lab, &disk)?;
    served.run("standby.sync", &json!({}))?;

    step("the agent is killed while its disk takes no bytes");
    let erase = json!({
        "step": {"step": "erase_devices_metadata"},
        "node": node(),
        "ports": [],
    });
    let frozen = shelf.freeze()?;
    served.begin("clean.execute_clean_step", &erase)?;
    let agent = served.agent()?;
    wait_until("the agent to wait for its disk", PATIENCE, || {
        Ok(waits_for_a_disk(agent)?.then_some(()))
    })?;
    let before = served.list()?;
    // It is gone when the kernel has its bytes.
    kill(agent, Signal::SIGKILL)?;
    drop(frozen);
    served.wait_for_next(agent)?;
    served.assert_interrupted(before)?;

    step("the next agent erases it");
    let record = served.run("clean.execute_clean_step", &erase)?;
    ensure!(record["command_status"] == "SUCCEEDED", "{record}");
    assert_no_table_on(&disk)
}

/// What a file system on it is mounted for ends with the agent: the next one has the disk to itself.
#[test]
fn an_injection_that_a_killed_agent_was_at_keeps_the_next_one_from_no_disk() -> Result<()> {
    let parts = Parts::find_for_cells(NEWEST)?;
    let lab = Run::new(&parts, "crash-inject")?;
    sandbox::enter(&lab.work)?;
    let shelf = Shelf::mount(&lab.work)?;
    let disk = CellDisk::new(shelf.0.join("disk"), 64 << 20)?;
    run(program("mkfs.ext4").args(["-q", "-F"]).arg(disk.node()))?;
    let served = Served::start(&parts, &lab, &disk)?;
    served.run("standby.sync", &json!({}))?;

    step("the agent is killed while its disk takes no bytes");
    let node = json!({
        "uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c123",
        "properties": {"root_device": {"name": "/dev/vda"}},
        "instance_info": {},
    });
    let inject = json!({
        "step": {"step": "inject_files", "args": {"files": [
            {"path": "/motd", "partition": "/dev/vda", "content": "aGVsbG8="},
        ]}},
        "node": node,
        "ports": [],
    });
    let frozen = shelf.freeze()?;
    served.begin("deploy.execute_deploy_step", &inject)?;
    let agent = served.agent()?;
    wait_until("the agent to wait for its disk", PATIENCE, || {
        Ok(waits_for_a_disk(agent)?.then_some(()))
    })?;
    let before = served.list()?;
    kill(agent, Signal::SIGKILL)?;
    drop(frozen);
    served.wait_for_next(agent)?;
    served.assert_interrupted(before)?;

    step("the next agent injects, and erases");
    let erase = json!({
        "step": {"step": "erase_devices_metadata"},
        "node": node,
        "ports": [],
    });
    for (command, params) in [
        ("deploy.execute_deploy_step", &inject),
        ("clean.execute_clean_step", &erase),
    ] {
        let record = served.run(command, params)?;
        ensure!(record["command_status"] == "SUCCEEDED", "{record}");
    }
    Ok(())
}

/// A cell whose agent serves, kept running.
struct Served {
    cell: Cell,
}

impl Served {
    fn start(parts: &Parts, lab: &Run, disk: &CellDisk) -> Result<Self> {
        let plan = Plan {
            name: "kept",
            work: &lab.work,
            logs: &lab.logs,
            busybox: parts.unpacked("bin/busybox"),
            disk,
            mac: "52:54:00:77:00:01",
            address: ADDRESS,
            kernel_arguments: format!("ipa-disk-wait-attempts=0 ipa-agent-token={TOKEN}"),
            shown: &[],
            etc: None,
            environment: &[],
        };
        let cell = Cell::start(&plan, &parts.agent(), &["supervise", "--standalone"])?;
        let served = Self { cell };
        served.wait_for_agents(1)?;
        Ok(served)
    }

    /// Waits until so many agents have served.
    fn wait_for_agents(&self, number: usize) -> Result<()> {
        wait_until("the agent to serve", PATIENCE, || {
            let told = self.cell.told()?;
            let served = told.matches("serving commands").count();
            Ok((served >= number).then_some(()))
        })
    }

    /// The agent: what the supervisor, the cell's own program, has started.
    fn agent(&self) -> Result<Pid> {
        let supervisor = self.cell.agent()?.context("nothing is in the cell")?;
        let wanted = format!("PPid:\t{supervisor}");
        for process in self.cell.processes()? {
            let status = fs::read_to_string(format!("/proc/{process}/status"));
            if status.is_ok_and(|status| status.lines().any(|line| line == wanted)) {
                return Ok(Pid::from_raw(process.try_into()?));
            }
        }
        anyhow::bail!("there is no agent: {}", self.cell.told()?)
    }

    fn kill_agent(&self) -> Result<()> {
        let agent = self.agent()?;
        kill(agent, Signal::SIGKILL)?;
        self.wait_for_next(agent)
    }

    fn wait_for_next(&self, before: Pid) -> Result<()> {
        self.wait_for_agents(2)?;
        ensure!(self.agent()? != before, "the agent was not killed");
        Ok(())
    }

    /// Sends a command and waits for its end.
    fn run(&self, name: &str, params: &Value) -> Result<Value> {
        self.post(name, params, true)
    }

    /// Sends a command that goes on.
    fn begin(&self, name: &str, params: &Value) -> Result<()> {
        let record = self.post(name, params, false)?;
        ensure!(record["command_status"] == "RUNNING", "{record}");
        Ok(())
    }

    fn post(&self, name: &str, params: &Value, wait: bool) -> Result<Value> {
        let call = format!("{API}?wait={wait}&agent_token={TOKEN}");
        let body = json!({"name": name, "params": params});
        let client = http_builder().timeout(PATIENCE).build()?;
        let answer = client.post(call).json(&body).send()?;
        ensure!(answer.status().is_success(), "{}", answer.text()?);
        Ok(answer.json()?)
    }

    fn list(&self) -> Result<Vec<Value>> {
        let call = format!("{API}?agent_token={TOKEN}");
        let mut answer: Value = http_builder().build()?.get(call).send()?.json()?;
        serde_json::from_value(answer["commands"].take()).context("no list")
    }

    /// The list is what it was, but its last command has failed and says why.
    fn assert_interrupted(&self, mut wanted: Vec<Value>) -> Result<()> {
        let last = wanted.last_mut().context("nothing ran")?;
        let name = last["command_name"].as_str().unwrap_or_default().to_owned();
        last["command_status"] = json!("FAILED");
        last["command_result"] = Value::Null;
        last["command_error"] = json!({
            "type": "CommandExecutionError",
            "code": 500,
            "message": "Command execution failed",
            "details": format!(
                "the agent was started anew while {name} ran: it did not finish, and what it was writing may be written in \
                 part; run the step again"
            ),
        });
        let found = self.list()?;
        ensure!(found == wanted, "{found:#?}\n is not\n{wanted:#?}");
        Ok(())
    }
}

/// Whether a thread of the process is in the hands of a disk: no signal reaches it there.
fn waits_for_a_disk(process: Pid) -> Result<bool> {
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let stat = fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().unwrap_or_default();
        if state.starts_with(" D") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An image server that sends half of its file to the first who asks for it, and keeps the rest back; later ones get all.
struct HesitantServer {
    url: String,
    /// Said when the half was taken.
    half: Receiver<()>,
}

impl HesitantServer {
    fn start(file: &Path) -> Result<Self> {
        let listener = TcpListener::bind((sandbox::ADDRESS, 0))?;
        let url = format!("http://{}/image", listener.local_addr()?);
        let (sender, half) = channel();
        let file = file.to_owned();
        thread::spawn(move || {
            let mut kept_back = Vec::new();
            for stream in listener.incoming().flatten() {
                let first = kept_back.is_empty();
                // A client that went away is as good as one that was served.
                if let Ok(true) = serve(&stream, &file, first) {
                    let _heard = sender.send(());
                    kept_back.push(stream);
                }
            }
        });
        Ok(Self { url, half })
    }
}

/// Answers one request; whether a half was sent.
fn serve(mut stream: &TcpStream, path: &Path, half: bool) -> Result<bool> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    )?;
    if !request.starts_with("GET ") {
        return Ok(false);
    }
    let length = if half { size / 2 } else { size };
    std::io::copy(&mut file.take(length), &mut stream)?;
    Ok(half)
}

/// A file system for a disk's file, which can be made to take no more bytes for a while.
struct Shelf(PathBuf);

impl Shelf {
    fn mount(work: &Path) -> Result<Self> {
        let (file, shelf) = (work.join("shelf.ext4"), work.join("shelf"));
        File::create(&file)?.set_len(256 << 20)?;
        run(program("mkfs.ext4").arg("-q").arg(&file))?;
        fs::create_dir_all(&shelf)?;
        run(program("mount").args(["-o", "loop"]).arg(&file).arg(&shelf))?;
        Ok(Self(shelf))
    }

    fn freeze(&self) -> Result<Frozen> {
        run(program("fsfreeze").arg("--freeze").arg(&self.0))?;
        Ok(Frozen(self.0.clone()))
    }
}

/// Takes bytes again when it is dropped.
struct Frozen(PathBuf);

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Err(error) = run(program("fsfreeze").arg("--unfreeze").arg(&self.0)) {
            println!("the file system stays frozen: {error}");
        }
    }
}

/// The node of the steps.
fn node() -> Value {
    json!({"uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c123", "properties": {}, "instance_info": {}})
}

const ADDRESS: &str = "172.30.77.101";
const API: &str = "http://172.30.77.101:9999/v1/commands/";
const TOKEN: &str = "a-token-that-is-longer-than-thirty-two-letters";
const PATIENCE: Duration = Duration::from_secs(120);
/// Ironic wants no smaller one without a hint.
const DISK: u64 = 5 << 30;
