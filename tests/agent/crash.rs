//! Agents that are killed at the worst moments, and the ones after them: kept running by `ferrite supervise`, or by a test that
//! plays systemd.

use super::caller::Caller;
use super::discovery::{BY_LOOPBACK, a_service};
use super::rescue::{HASH, etc};
use super::session::{HEARTBEAT, LOOKUP, knowing, willing_conductor};
use super::standalone::WITH_TOKEN;
use super::steps::step;
use nix::cmsg_space;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::io::{IoSliceMut, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;
use support::conductor::{Answer, Conductor, NODE, TOKEN, lookup};
use support::process::{Program, free_port, run, within};
use support::responder::{Described, Responder};
use tempfile::NamedTempFile;

const STARTED: &str = "Started a program";
const ENDED: &str = "A program ended";
const ACCEPTED: &str = "Ironic accepts our heartbeats";
const FORGOTTEN: &str = "the agent has forgotten all that it spoke to Ironic with";
const WITHOUT_TOKEN: &str = "this node was already looked up since its last power-on";

/// An agent that is kept running, and its conductor.
struct Kept {
    conductor: Conductor,
    supervisor: Program,
}

impl Kept {
    /// Ironic gives the token once, and its mask ever after.
    async fn start(options: &[&str]) -> Self {
        let conductor = willing_conductor(json!(TOKEN)).await;
        conductor.on(LOOKUP, [lookup(json!(TOKEN)), lookup(json!("******"))]);
        Self::start_for(conductor, options)
    }

    fn start_for(conductor: Conductor, options: &[&str]) -> Self {
        let (url, port) = (conductor.url(), free_port().to_string());
        let mut arguments = vec!["supervise"];
        arguments.extend(knowing(&url, &port));
        arguments.extend(options);
        let supervisor = Program::start(&arguments, &[]);
        Self {
            conductor,
            supervisor,
        }
    }

    /// The same in a ramdisk with this /etc, where an agent hands the machine over.
    async fn start_in_ramdisk(etc: &Path) -> Self {
        Self::start_in_ramdisk_with(etc, &[]).await
    }

    async fn start_in_ramdisk_with(etc: &Path, options: &[&str]) -> Self {
        let conductor = willing_conductor(json!(TOKEN)).await;
        conductor
            .on(LOOKUP, [lookup(json!(TOKEN)), lookup(json!("******"))])
            // It cannot be told a certificate, and calls in clear.
            .on("GET /", [Answer::version("1.65")]);
        let (url, port) = (conductor.url(), free_port().to_string());
        let mut arguments = vec!["supervise"];
        arguments.extend(knowing(&url, &port));
        arguments.extend(["--disk_wait_attempts", "0"]);
        arguments.extend(options);
        let supervisor = Program::start_in_ramdisk(etc, &arguments, &[]);
        Self {
            conductor,
            supervisor,
        }
    }

    /// The last agent's process.
    fn agent(&self) -> Option<Pid> {
        let told = self.supervisor.told();
        let (_, after) = told.rsplit_once(STARTED)?;
        let (_, pid) = after.split_once(" pid=")?;
        let digits = pid.chars().take_while(char::is_ascii_digit);
        digits.collect::<String>().parse().ok().map(Pid::from_raw)
    }

    /// Kills the agent, as if by a defect or for want of memory, and waits until that is noticed.
    async fn kill(&mut self) {
        let ends = self.supervisor.told().matches(ENDED).count();
        kill(self.agent().unwrap(), Signal::SIGKILL).unwrap();
        self.supervisor.until_told_often(ENDED, ends + 1).await;
    }

    async fn until_served_by(&mut self, agent: usize) {
        self.supervisor.until_told_often(STARTED, agent).await;
        self.supervisor.until_told_often(ACCEPTED, agent).await;
    }

    /// What Ironic was told with each heartbeat.
    fn heartbeats(&self) -> Vec<Value> {
        let asked = self.conductor.asked(HEARTBEAT);
        asked.iter().map(|asked| asked.json()).collect()
    }

    /// Every heartbeat had the same token, address and certificate: whoever trusts the first.
    fn caller(&self) -> Caller {
        let heartbeats = self.heartbeats();
        assert!(heartbeats.iter().all(|beat| *beat == heartbeats[0]));
        assert_eq!(heartbeats[0]["agent_token"], TOKEN);
        caller(&heartbeats[0])
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The supervisor is killed with this value, and could not tell its agent any more.
        if let Some(agent) = self.agent() {
            self.supervisor.signal(Signal::SIGSTOP);
            let _gone = kill(agent, Signal::SIGKILL);
        }
    }
}

fn caller(heartbeat: &Value) -> Caller {
    let text = |name: &str| heartbeat[name].as_str();
    Caller::new(
        text("callback_url").unwrap(),
        Some(text("agent_verify_ca").unwrap()),
        text("agent_token"),
    )
}

#[tokio::test]
async fn an_agent_killed_before_its_lookup_is_followed_by_one_that_is_looked_up() {
    let conductor = willing_conductor(json!(TOKEN)).await;
    conductor.on(LOOKUP, [Answer::silence(), lookup(json!(TOKEN))]);
    let mut kept = Kept::start_for(conductor, &[]);
    within("a lookup", kept.conductor.until_asked(LOOKUP, 1)).await;
    kept.kill().await;
    kept.supervisor.until_told(ACCEPTED).await;
    assert_eq!(kept.caller().list().await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_agent_killed_between_lookup_and_heartbeat_leaves_its_token() {
    let conductor = willing_conductor(json!(TOKEN)).await;
    // The API that is asked for the way to it, after the lookup, says nothing.
    conductor
        .on(LOOKUP, [lookup(json!(TOKEN)), lookup(json!("******"))])
        .on("GET /", [Answer::version("1.115"), Answer::silence()]);
    let mut kept = Kept::start_for(conductor, &["--agent_token", "of the operator"]);
    within("the search", kept.conductor.until_asked("GET /", 2)).await;
    kept.conductor.on("GET /", [Answer::version("1.115")]);
    kept.kill().await;
    kept.supervisor.until_told(ACCEPTED).await;
    assert_eq!(kept.caller().list().await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_agent_killed_while_it_serves_is_not_missed() {
    let mut kept = Kept::start(&[]).await;
    kept.until_served_by(1).await;
    let before = kept.caller();
    before.run("standby.sync", json!({})).await;
    before
        .failure("clean.execute_clean_step", step(json!({"step": "run"})))
        .await;
    let records = before.list().await;
    for agent in 2..4 {
        kept.kill().await;
        kept.until_served_by(agent).await;
        assert_eq!(kept.caller().list().await, records);
    }
    // And the one after it goes on with the list.
    before.run("standby.sync", json!({})).await;
    assert_eq!(before.list().await.len(), 3);
    kept.supervisor.signal(Signal::SIGTERM);
    within("the end", async { while before.is_answered().await {} }).await;
}

/// One at a time, with the one of [`discovery`](super::discovery) (`.config/nextest.toml`): all agents ask at one port.
/// A host that tells the network of this conductor, once so many questions were asked in vain.
fn answering_after(deaf: usize, conductor: &Conductor) -> Responder {
    let described = Described {
        port: conductor.address.port(),
        properties: vec!["protocol=http".into()],
        deaf,
        ..a_service()
    };
    Responder::start(5353, described)
}

#[tokio::test]
async fn an_agent_killed_while_the_network_is_silent_asks_it_until_it_tells_of_ironic_again() {
    let conductor = willing_conductor(json!(TOKEN)).await;
    conductor.on(LOOKUP, [lookup(json!(TOKEN)), lookup(json!("******"))]);
    let answering = answering_after(0, &conductor);
    let port = free_port().to_string();
    let mut arguments = vec!["supervise", "--listen_port", &port];
    arguments.extend(["--advertise_port", &port, "--disk_wait_attempts", "0"]);
    let environment = [BY_LOOPBACK, &[("OS_MDNS__USE_MDNS", "true")]].concat();
    let mut supervisor = Program::start(&arguments, &environment);
    supervisor.until_told(ACCEPTED).await;
    drop(answering);

    // Three questions are one attempt, and an agent has one here.
    let answering = answering_after(9, &conductor);
    let mut kept = Kept {
        conductor,
        supervisor,
    };
    kept.kill().await;
    kept.supervisor.until_told_often(ACCEPTED, 2).await;
    assert_eq!(kept.caller().list().await, Vec::<Value>::new());
    let told = kept.supervisor.told();
    assert!(answering.asked().len() > 9, "{told}");
    assert!(told.matches(STARTED).count() > 3, "{told}");
    assert!(!told.contains("no api_url is configured"), "{told}");
}

/// The operator's own token, which Ironic does not repeat: it says nothing of whether Ironic was found.
#[tokio::test]
async fn an_agent_killed_right_after_the_lookup_is_followed_by_one_that_asks_the_silent_network_too()
 {
    let conductor = willing_conductor(json!("******")).await;
    // The address that Ironic is to call is looked for by a second question, and here without end.
    let version = || Answer::version("1.95");
    conductor.on("GET /", [version(), Answer::silence(), version()]);
    let configured = NamedTempFile::new().unwrap();
    let text = format!("[DEFAULT]\nagent_token = {TOKEN}\n");
    fs::write(configured.path(), text).unwrap();
    // The agent is not root.
    fs::set_permissions(configured.path(), Permissions::from_mode(0o644)).unwrap();
    let answering = answering_after(0, &conductor);
    let port = free_port().to_string();
    let mut arguments = vec!["supervise", "--listen_port", &port];
    arguments.extend(["--config-file", configured.path().to_str().unwrap()]);
    arguments.extend(["--disk_wait_attempts", "0"]);
    let environment = [BY_LOOPBACK, &[("OS_MDNS__USE_MDNS", "true")]].concat();
    let mut supervisor = Program::start(&arguments, &environment);
    let asked = conductor.until_asked("GET /", 2);
    supervisor.until("the second question", asked).await;
    assert_eq!(conductor.asked(HEARTBEAT).len(), 0);
    drop(answering);

    let _answering = answering_after(9, &conductor);
    let mut kept = Kept {
        conductor,
        supervisor,
    };
    kept.kill().await;
    kept.supervisor.until_told(ACCEPTED).await;
    let told = kept.supervisor.told();
    assert!(told.matches(STARTED).count() > 3, "{told}");
    assert!(!told.contains("no api_url is configured"), "{told}");
}

#[tokio::test]
async fn a_command_that_ran_when_its_agent_was_killed_has_failed_and_says_why() {
    // A disk that never comes is waited for, as long as the test needs.
    let mut kept = Kept::start(&["--disk_wait_attempts", "1000", "--disk_wait_delay", "1"]).await;
    kept.until_served_by(1).await;
    let caller = kept.caller();
    caller.run("standby.sync", json!({})).await;
    let mut waiting = step(json!({"step": "erase_devices_metadata"}));
    waiting["node"] = json!({"uuid": NODE, "properties": {"root_device": {"serial": "none such"}}});
    let body = json!({"name": "clean.execute_clean_step", "params": waiting});
    let (_, started) = caller.ask(Method::POST, "/v1/commands/", &body).await;
    assert_eq!(started["command_status"], "RUNNING", "{started}");
    let mut records = caller.list().await;
    kept.kill().await;
    kept.until_served_by(2).await;

    records[1]["command_status"] = json!("FAILED");
    records[1]["command_error"] = json!({
        "type": "CommandExecutionError",
        "code": 500,
        "message": "Command execution failed",
        "details": "the agent was started anew while execute_clean_step ran: it did not finish, and what it was writing may be \
                    written in part; run the step again",
    });
    assert_eq!(kept.caller().list().await, records);
    // Nothing is in the way of another command.
    caller.run("standby.sync", json!({})).await;
}

#[tokio::test]
async fn an_agent_that_dies_over_its_last_answers_leaves_no_token() {
    let etc = etc(&["ipa-rescue-config"]);
    let mut kept = Kept::start_in_ramdisk(etc.path()).await;
    kept.until_served_by(1).await;
    let heartbeat = &kept.heartbeats()[0];
    let url = heartbeat["callback_url"].as_str().unwrap();
    // A request that never ends: the agent waits for it.
    let mut held = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    write!(
        held,
        "POST /v1/commands/?agent_token={TOKEN} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{"
    )
    .unwrap();
    let params = json!({"rescue_password": HASH, "hashed": true});
    let caller = Caller::new(url, None, Some(TOKEN));
    let result = caller.result("rescue.finalize_rescue", params).await;
    assert_eq!(result, Value::Null);
    kept.supervisor.until_told(FORGOTTEN).await;

    // No successor comes before the mark is gone that would silence it.
    kept.supervisor.signal(Signal::SIGSTOP);
    kill(kept.agent().unwrap(), Signal::SIGKILL).unwrap();
    fs::remove_file(etc.path().join(".rescued")).unwrap();
    kept.supervisor.signal(Signal::SIGCONT);
    kept.supervisor.until_told(WITHOUT_TOKEN).await;
}

/// Locks the machine down while a request that never ends holds the agent up, and kills the agent: the next one serves nobody.
async fn killed_over_its_lockdown(options: &[&str]) {
    let etc = etc(&[]);
    let mut kept = Kept::start_in_ramdisk_with(etc.path(), options).await;
    kept.until_served_by(1).await;
    let heartbeat = &kept.heartbeats()[0];
    let url = heartbeat["callback_url"].as_str().unwrap();
    let mut held = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    write!(
        held,
        "POST /v1/commands/?agent_token={TOKEN} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{"
    )
    .unwrap();
    let caller = Caller::new(url, None, Some(TOKEN));
    assert_eq!(
        caller.result("system.lockdown", json!({})).await,
        Value::Null
    );
    let run = format!("/proc/{}/root/run/ferrite", kept.agent().unwrap());
    assert_eq!(names(&run), ["locked-down"]);
    let (lookups, beats) = (
        kept.conductor.asked(LOOKUP).len(),
        kept.conductor.asked(HEARTBEAT).len(),
    );
    kept.kill().await;
    kept.supervisor.until_told_often(STARTED, 2).await;
    kept.supervisor
        .until_told("locked down: the network is down")
        .await;
    assert_eq!(kept.conductor.asked(LOOKUP).len(), lookups);
    assert_eq!(kept.conductor.asked(HEARTBEAT).len(), beats);
    assert!(!caller.is_answered().await);
}

fn names(folder: &str) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    names.map(|entry| name(entry.unwrap())).collect()
}

#[tokio::test]
async fn an_agent_that_dies_over_a_lockdown_is_followed_by_a_silent_one() {
    killed_over_its_lockdown(&[]).await;
    // An operator's token is given to each agent anew.
    killed_over_its_lockdown(&["--agent_token", TOKEN]).await;
}

#[tokio::test]
async fn what_an_agent_left_that_died_before_it_forgot_is_forgotten_by_the_one_that_finds_its_mark()
{
    let etc = etc(&[]);
    let mut kept = Kept::start_in_ramdisk(etc.path()).await;
    kept.until_served_by(1).await;
    fs::write(etc.path().join(".rescued"), "").unwrap();
    kept.kill().await;
    kept.supervisor.until_told(FORGOTTEN).await;
    fs::remove_file(etc.path().join(".rescued")).unwrap();
    kept.kill().await;
    kept.supervisor.until_told(WITHOUT_TOKEN).await;
}

#[tokio::test]
async fn a_token_that_came_with_the_node_outlives_the_agent_and_the_one_before_it_does_not() {
    const SECOND: &str = "second-token-of-43-characters-0123456789-__";
    let port = free_port().to_string();
    let arguments = ["supervise", "--standalone", "--listen_port", &port];
    let arguments = [&arguments[..], &["--disk_wait_attempts", "0"]].concat();
    let mut kept = Kept {
        conductor: Conductor::start().await,
        supervisor: Program::start(&arguments, WITH_TOKEN),
    };
    let serving = "serving commands";
    kept.supervisor.until_told(serving).await;
    let first = Caller::new(&format!("http://127.0.0.1:{port}"), None, Some(TOKEN));
    let second = first.with_token(Some(SECOND));
    let info = json!({"node": {"uuid": NODE}, "config": {"agent_token": SECOND}});
    let params = json!({"node_info": info});
    let result = first.result("poll.set_node_info", params).await;
    assert_eq!(result, Value::Null);
    for agent in 1..3 {
        let path = "/v1/commands/";
        let statuses = (first.get(path).await.0, second.get(path).await.0);
        assert_eq!(statuses, (401, 200), "of agent {agent}");
        kept.kill().await;
        kept.supervisor.until_told_often(serving, agent + 1).await;
    }
}

#[tokio::test]
async fn an_agent_that_was_told_to_end_is_not_started_again() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut kept = Kept::start(&[]).await;
        kept.until_served_by(1).await;
        kept.supervisor.signal(signal);
        kept.supervisor.until_told("it is not started again").await;
        let told = kept.supervisor.told();
        assert_eq!(told.matches(STARTED).count(), 1, "{told}");
        assert!(told.contains("end=\"exit code 0\""), "{told}");
        assert!(!told.contains("is started again soon"), "{told}");
    }
}

#[tokio::test]
async fn an_agent_is_given_its_supervisors_options_and_variables_and_both_are_covered() {
    let own = "canary-of-the-environment-0123456789abcdefg";
    let password = "canary-of-the-options";
    let conductor = willing_conductor(json!("******")).await;
    let (url, port) = (conductor.url(), free_port().to_string());
    let mut arguments = vec!["supervise"];
    arguments.extend(knowing(&url, &port));
    arguments.extend(["--image_server_password", password]);
    let variables = [("OS_DEFAULT__AGENT_TOKEN", own)];
    let mut kept = Kept {
        supervisor: Program::start(&arguments, &variables),
        conductor,
    };
    kept.until_served_by(1).await;
    kept.kill().await;
    kept.until_served_by(2).await;
    for heartbeat in kept.heartbeats() {
        assert_eq!(heartbeat["agent_token"], own);
    }
    let agent = u32::try_from(kept.agent().unwrap().as_raw()).unwrap();
    for process in [agent, kept.supervisor.pid()] {
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(format!("/proc/{process}/{file}")).unwrap();
            let text = String::from_utf8_lossy(&text);
            assert!(!text.is_empty() && !text.contains("canary"), "{text}");
        }
    }
    assert!(!kept.supervisor.told().contains("canary"));
}

#[tokio::test]
async fn an_agent_that_cannot_use_its_configuration_is_not_started_again() {
    let ended = run(&["supervise", "--listen_port", "abc"], &[]).await;
    let told = ended.err;
    assert_eq!(ended.status.code(), Some(2), "{told}");
    assert_eq!(told.matches(STARTED).count(), 1, "{told}");
    assert!(told.contains("it is not started again"), "{told}");
}

#[tokio::test]
async fn an_agent_that_ends_again_and_again_is_told_of_with_its_last_lines() {
    let conductor = Conductor::start().await;
    conductor.on(LOOKUP, [Answer::fault(404, "Resource could not be found.")]);
    let mut kept = Kept::start_for(conductor, &["--lookup_timeout", "0"]);
    let loud = "THIS PROGRAM ENDS AGAIN AND AGAIN";
    kept.supervisor.until_told(loud).await;
    kept.supervisor.until_told("  | ").await;
    let report = |told: &str| told.split_once(loud).map(|(_, report)| report.to_owned());
    within("the report", async {
        let asked = |told: &str| told.matches("  | ").count() >= 20;
        while !report(&kept.supervisor.told()).is_some_and(|report| asked(&report)) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let told = kept.supervisor.told();
    let report = report(&told).unwrap();
    assert!(report.contains("times=5 end=\"exit code 1\""), "{told}");
    let lines: Vec<_> = report
        .lines()
        .filter(|line| line.starts_with("  | "))
        .collect();
    assert_eq!(lines.len(), 20, "{told}");
    let last = lines.last().unwrap();
    assert!(last.contains("Resource could not be found."), "{told}");
}

#[tokio::test]
async fn what_a_killed_agent_said_is_in_the_next_ones_log() {
    let mut kept = Kept::start(&[]).await;
    kept.until_served_by(1).await;
    kept.kill().await;
    kept.until_served_by(2).await;
    let archive = super::logs::members(&kept.caller()).await;
    let log = &archive["ferrite.log"];
    assert_eq!(log.matches("the agent starts").count(), 2, "{log}");
    assert!(!log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn what_the_supervisor_logged_of_a_killed_agent_is_in_the_next_ones_log_in_its_order() {
    let mut kept = Kept::start(&[]).await;
    kept.until_served_by(1).await;
    kept.kill().await;
    kept.until_served_by(2).await;
    let archive = super::logs::members(&kept.caller()).await;
    let log = &archive["ferrite.log"];
    let mut rest = log.as_str();
    for text in [
        "Started a program",
        "the agent starts",
        ACCEPTED,
        "A program ended program=/proc/self/exe end=\"killed by SIGKILL\"",
        "Started a program",
        "the agent starts",
        ACCEPTED,
    ] {
        let Some((_, after)) = rest.split_once(text) else {
            panic!("not in its place: {text}\n{log}");
        };
        rest = after;
    }
}

/// The part of systemd that keeps files for a service.
struct Systemd {
    socket: UnixDatagram,
    path: String,
    _folder: tempfile::TempDir,
}

impl Systemd {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Self {
            socket,
            path: shown(&path),
            _folder: folder,
        }
    }

    /// What comes next: its text, and the file that comes with it.
    fn told(&self) -> (String, Option<OwnedFd>) {
        let (mut text, mut space) = ([0; 4096], cmsg_space!([i32; 4]));
        let mut into = [IoSliceMut::new(&mut text)];
        let message = recvmsg::<UnixAddr>(
            self.socket.as_raw_fd(),
            &mut into,
            Some(&mut space),
            MsgFlags::MSG_CMSG_CLOEXEC,
        )
        .unwrap();
        let files = message.cmsgs().unwrap().find_map(|control| match control {
            ControlMessageOwned::ScmRights(files) => Some(files),
            _ => None,
        });
        let file = files.map(|files| {
            let [number] = files[..] else {
                panic!("more than one file: {files:?}");
            };
            ferrite::sys::inherited_fd::take(number).unwrap()
        });
        let length = message.bytes;
        (String::from_utf8(text[..length].to_vec()).unwrap(), file)
    }
}

fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_agent_that_systemd_starts_again_goes_on_as_the_one_before() {
    let systemd = Systemd::start();
    let conductor = willing_conductor(json!(TOKEN)).await;
    conductor.on(LOOKUP, [lookup(json!(TOKEN)), lookup(json!("******"))]);
    let (url, port) = (conductor.url(), free_port().to_string());
    let mut arguments = vec!["agent"];
    arguments.extend(knowing(&url, &port));
    let environment = [("NOTIFY_SOCKET", systemd.path.as_str())];

    let mut first = Program::start(&arguments, &environment);
    first.until_told(ACCEPTED).await;
    let mut files = Vec::new();
    for name in ["vault", "ledger", "log"] {
        let (text, file) = systemd.told();
        assert_eq!(text, format!("FDSTORE=1\nFDNAME=ferrite-{name}"));
        files.push(file.unwrap());
    }
    assert_eq!(systemd.told().0, "READY=1");
    let heartbeat = conductor.asked(HEARTBEAT)[0].json();
    let caller = caller(&heartbeat);
    caller.run("standby.sync", json!({})).await;
    let records = caller.list().await;
    first.signal(Signal::SIGKILL);
    first.end().await;

    let names = "ferrite-vault:ferrite-ledger:ferrite-log";
    let mut second = Program::start_with_store(names, &files, &arguments, &environment);
    second.until_told(ACCEPTED).await;
    // It keeps what it was given, and is given no more.
    assert_eq!(systemd.told().0, "READY=1");
    let last = conductor.asked(HEARTBEAT).last().unwrap().json();
    assert_eq!(last, heartbeat);
    assert_eq!(caller.list().await, records);
}
