//! How many copies of a secret there are in an agent's memory: of one that works, of one that was locked down, and of
//! one in the moment before its machine ends.
//!
//! All processes of the cell are searched while they stand still, so nobody's copy can be in between. What the kernel keeps
//! (pages of files, buffers of sockets) is not looked at.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Certificate;
use reqwest::blocking::Client;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::secrets::{self, CONTROL, Certified, KEY, Secrets, TOKEN};
use crate::step;
use support::conductor::{Answer, Conductor, NODE, lookup_with};
use support::lab::api::http_builder;
use support::lab::cell::{Cell, CellDisk, Plan};
use support::lab::instance::{InstanceImage, sha512};
use support::lab::machine::Firmware;
use support::lab::parts::Parts;
use support::lab::process::wait_until;
use support::lab::release::NEWEST;
use support::lab::run::Run;
use support::lab::sandbox;
use support::lab::web::WebServer;
use support::scan::{Needle, Scan};

#[test]
fn the_token_of_an_agent_at_work_is_in_memory_once_and_after_a_lockdown_not_at_all() -> Result<()> {
    let stage = Stage::new("memory")?;
    let secrets = Secrets::new()?;
    let served = stage.serve("agent", &secrets)?;
    let mut needles = secrets.needles();

    step("refusals, a clean step, a deployment, an archive of logs");
    for wrong in ["", "wrong", &secrets.token.replace(|c| c != '-', "x")] {
        let status = served.list(&served.client()?, wrong)?;
        ensure!(status == 401, "answered {status} to a wrong token");
    }
    served.run("clean.execute_clean_step", &erase())?;
    let (drive, encoded) = secrets.config_drive(&stage.run.work)?;
    needles.push(encoded);
    let source = stage.image(&secrets)?;
    let params = json!({"image_info": source, "configdrive": drive});
    drop(drive);
    served.run("standby.prepare_image", &params)?;
    served.run("log.collect_system_logs", &json!({}))?;

    step("heartbeats");
    served.wait_heartbeats(HEARTBEATS)?;

    step("requests");
    let kept: Vec<_> = (0..KEPT).map(|_| served.client()).collect::<Result<_>>()?;
    for number in 0..REQUESTS {
        let alone;
        let client = match kept.get(number % (2 * KEPT)) {
            Some(client) => client,
            None => {
                alone = served.client()?;
                &alone
            }
        };
        let status = served.list(client, &secrets.token)?;
        ensure!(status == 200, "answered {status} to the token");
    }

    step("the search, with connections open and no request under way");
    needles.push(secrets::key_head()?);
    served.wait_rest()?;
    let open = served.connections()?;
    ensure!(open >= KEPT, "{open} connections are open, not {KEPT}");
    let working = served.search(&needles)?;

    step("lockdown");
    served.run("system.lockdown", &json!({}))?;
    served.wait_told("locked down: the network is down")?;
    let locked = served.search(&needles)?;
    drop(kept);

    let mut wrong = at_most("at work", &working, once);
    wrong.extend(at_most("locked down", &locked, never));
    judge(&wrong, &[("at work", &working), ("locked down", &locked)])
}

#[test]
fn when_the_machine_ends_neither_token_nor_key_is_left_in_its_memory() -> Result<()> {
    let stage = Stage::new("memory-end")?;
    let secrets = Secrets::new()?;
    let own = Certified::new(&stage.run.work, ADDRESS)?;
    let mut served = stage.serve_with("ending", &secrets, Some(&own))?;
    let needles: Vec<_> = secrets.needles().into_iter().chain(own.needles).collect();
    let status = served.list(&served.client()?, &secrets.token)?;
    ensure!(status == 200, "answered {status} to the token");
    served.wait_rest()?;
    let working = served.search(&needles)?;

    // The cell's first program would end the cell as soon as the agent presses the emergency key.
    let watching = *served.cell.processes()?.get(1).context("an empty cell")?;
    signal(watching, Signal::SIGSTOP)?;
    served.run("standby.power_off", &json!({}))?;
    served.wait_told("The kernel refuses; pressing its emergency key")?;
    let ending = served.search(&needles)?;
    signal(watching, Signal::SIGCONT)?;
    let status = served.cell.wait_end(PATIENCE)?;
    ensure!(status.success(), "{}", served.cell.told()?);

    let mut wrong = at_most("at work", &working, once);
    wrong.extend(at_most("at the end", &ending, never));
    judge(&wrong, &[("at work", &working), ("at the end", &ending)])
}

/// The lab of this proof: a conductor of the test's own, an image server, a disk.
struct Stage {
    runtime: Runtime,
    conductor: Conductor,
    web: WebServer,
    disk: CellDisk,
    parts: Parts,
    run: Run,
}

impl Stage {
    fn new(name: &str) -> Result<Self> {
        let parts = Parts::find_for_cells(NEWEST)?;
        let run = Run::new(&parts, name)?;
        sandbox::enter(&run.work)?;
        // Threads that are started now are in the lab's network, too.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let conductor = runtime.block_on(Conductor::start_on(sandbox::ADDRESS));
        Ok(Self {
            conductor,
            runtime,
            web: WebServer::start(&parts, &run.work, &run.logs)?,
            disk: CellDisk::new(run.work.join("disk"), DISK)?,
            parts,
            run,
        })
    }

    /// An agent in a cell that has looked itself up and told where it is to be called.
    fn serve(&self, name: &'static str, secrets: &Secrets) -> Result<Served<'_>> {
        self.serve_with(name, secrets, None)
    }

    /// The same with a certificate that it does not make itself.
    fn serve_with(
        &self,
        name: &'static str,
        secrets: &Secrets,
        own: Option<&Certified>,
    ) -> Result<Served<'_>> {
        let config = json!({
            // The heart beats once a second.
            "heartbeat_timeout": 1,
            "agent_token": secrets.token,
            "agent_token_required": true,
        });
        self.conductor
            .on("GET /v1/lookup", [lookup_with(config)])
            .on(HEARTBEAT, [Answer::json(202, &json!({}))]);
        let url = self.conductor.url();
        let mut arguments = vec![AGENT.to_owned()];
        if let Some([certificate, key]) = own.map(|own| &own.files) {
            let path = |file: &Path| file.display().to_string();
            arguments.push("--listen_tls".into());
            arguments.extend(["--advertise_protocol".into(), "https".into()]);
            arguments.extend(["--tls_cert_file".into(), path(certificate)]);
            arguments.extend(["--tls_key_file".into(), path(key)]);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let plan = Plan {
            name,
            work: &self.run.work,
            logs: &self.run.logs,
            busybox: self.parts.unpacked("bin/busybox"),
            disk: &self.disk,
            mac: "52:54:00:77:00:01",
            address: ADDRESS,
            kernel_arguments: format!("ipa-debug=1 ipa-api-url={url}"),
            shown: own.map_or(&[], |own| &own.files),
            etc: None,
            environment: &[],
        };
        let cell = Cell::start(&plan, &self.parts.agent(), &arguments)?;
        let mut served = Served {
            stage: self,
            cell,
            url: String::new(),
            certificate: String::new(),
            token: secrets.token.clone(),
        };
        served.wait_heartbeats(1)?;
        let heartbeats = self.conductor.asked(HEARTBEAT);
        let heartbeat = heartbeats.first().context("no heartbeat")?.json();
        let text = |name: &str| heartbeat[name].as_str().unwrap_or_default().to_owned();
        ensure!(text("agent_token") == secrets.token, "not the token");
        served.url = text("callback_url");
        served.certificate = own.map_or_else(|| text("agent_verify_ca"), |own| own.pem.clone());
        ensure!(served.url.starts_with("https://"), "{}", served.url);
        Ok(served)
    }

    /// What the agent is told of an image, with all that is secret in it.
    fn image(&self, secrets: &Secrets) -> Result<Value> {
        use base64::Engine;
        let built = InstanceImage::build(&self.parts, &self.run.work, "whole", 1, Firmware::Uefi)?;
        Ok(json!({
            "id": "whole",
            "urls": [self.web.publish(&built.raw)?],
            "disk_format": "raw",
            "os_hash_algo": "sha512",
            "os_hash_value": sha512(&built.raw)?,
            "image_server_auth_strategy": "http_basic",
            "image_server_user": "somebody",
            "image_server_password": secrets.password,
            "image_request_authorization":
                base64::prelude::BASE64_STANDARD.encode(&secrets.authorization),
        }))
    }
}

/// An agent that serves.
struct Served<'a> {
    stage: &'a Stage,
    cell: Cell,
    url: String,
    certificate: String,
    token: String,
}

impl Served<'_> {
    /// A client with connections of its own, which it keeps open.
    fn client(&self) -> Result<Client> {
        let certificate = Certificate::from_pem(self.certificate.as_bytes())?;
        let builder = http_builder().timeout(PATIENCE).pool_idle_timeout(None);
        Ok(builder.tls_certs_only([certificate]).build()?)
    }

    /// The status of a request with this token.
    fn list(&self, client: &Client, token: &str) -> Result<u16> {
        let url = format!("{}/v1/commands/?agent_token={token}", self.url);
        let answer = client.get(url).send()?;
        let status = answer.status().as_u16();
        answer.bytes()?;
        Ok(status)
    }

    /// Runs a command to its good end.
    fn run(&self, name: &str, params: &Value) -> Result<()> {
        let url = format!(
            "{}/v1/commands/?wait=true&agent_token={}",
            self.url, self.token
        );
        let body = json!({"name": name, "params": params});
        let answer: Value = self.client()?.post(url).json(&body).send()?.json()?;
        ensure!(
            answer["command_status"] == "SUCCEEDED",
            "{name}: {answer}; {}",
            self.cell.told()?
        );
        Ok(())
    }

    fn wait_heartbeats(&self, number: usize) -> Result<()> {
        let asked = self.stage.conductor.until_asked(HEARTBEAT, number);
        let asked = async { tokio::time::timeout(PATIENCE, asked).await };
        let asked = self.stage.runtime.block_on(asked);
        asked.map_err(|_| anyhow!("{number} heartbeats did not come: {:?}", self.cell.told()))
    }

    /// Waits until the agent has read the answer to a heartbeat: the next one is a second away.
    fn wait_rest(&self) -> Result<()> {
        let accepted = || anyhow::Ok(self.cell.told()?.matches("heartbeat accepted").count());
        let before = accepted()?;
        wait_until("a heartbeat's end", PATIENCE, || {
            Ok((accepted()? > before).then_some(()))
        })
    }

    fn wait_told(&self, what: &str) -> Result<()> {
        wait_until(what, PATIENCE, || {
            Ok(self.cell.told()?.contains(what).then_some(()))
        })
    }

    /// Established connections to the agent's API, by the kernel's own list.
    fn connections(&self) -> Result<usize> {
        let agent = self.cell.agent()?.context("the agent is gone")?;
        let mut open = 0;
        for list in ["tcp", "tcp6"] {
            let text = fs::read_to_string(format!("/proc/{agent}/net/{list}"))?;
            open += text
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>())
                .filter(|fields| matches!(fields[..], [_, local, _, "01", ..] if local.ends_with(":270F")))
                .count();
        }
        Ok(open)
    }

    /// Searches all processes of the cell while they stand still.
    fn search(&self, needles: &[Needle]) -> Result<Scan> {
        let processes = self.cell.processes()?;
        let standing: Vec<_> = processes
            .into_iter()
            .filter(|process| signal(*process, Signal::SIGSTOP).is_ok())
            // What has ended has no memory, and what is short-lived may have.
            .filter(|process| {
                fs::read_to_string(format!("/proc/{process}/maps"))
                    .is_ok_and(|maps| !maps.is_empty())
            })
            .collect();
        let found = Scan::of(&standing, needles);
        for process in standing {
            signal(process, Signal::SIGCONT)?;
        }
        Ok(found?)
    }
}

/// An agent at work needs its token and its key, and nothing else.
fn once(needle: &str) -> usize {
    usize::from(matches!(needle, TOKEN | KEY))
}

fn never(_: &str) -> usize {
    0
}

/// What is found more often than it may be, or not at all although it is there.
fn at_most(when: &str, scan: &Scan, allowed: impl Fn(&str) -> usize) -> Vec<String> {
    let counted = scan.needles.iter().map(|name| (*name, scan.copies(name)));
    counted
        .filter(|(needle, copies)| match *needle {
            CONTROL => *copies == 0,
            needle => *copies > allowed(needle),
        })
        .map(|(needle, copies)| format!("{when}: {copies} copies of {needle}"))
        .collect()
}

/// Tells every place, and fails if anything is wrong.
fn judge(wrong: &[String], scans: &[(&str, &Scan)]) -> Result<()> {
    let mut table = String::new();
    for (when, scan) in scans {
        table.push_str(&format!("{when}: {scan}\n"));
    }
    println!("{table}");
    ensure!(wrong.is_empty(), "{}\n{table}", wrong.join("\n"));
    Ok(())
}

fn signal(process: u32, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(process.try_into()?), signal)?)
}

/// A clean step as the conductor runs it.
fn erase() -> Value {
    let step = json!({
        "step": "erase_devices_metadata",
        "interface": "deploy",
        "priority": 99,
        "reboot_requested": false,
        "abortable": true,
    });
    json!({"step": step, "node": {"uuid": NODE}, "ports": []})
}

const ADDRESS: &str = "172.30.77.101";
/// How the agent is started: below a process that would start it anew, and is searched like it.
const AGENT: &str = "supervise";
const HEARTBEAT: &str = "POST /v1/heartbeat/";
const HEARTBEATS: usize = 100;
const REQUESTS: usize = 200;
/// Clients whose connections stay open; every other request is over a connection of its own.
const KEPT: usize = 4;
const DISK: u64 = 5 << 30;
const PATIENCE: Duration = Duration::from_secs(240);
