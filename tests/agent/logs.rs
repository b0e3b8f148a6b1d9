//! What the log and its archive hold, and what they never do.

use super::caller::Caller;
use super::session::Session;
use super::steps::step;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::read::GzDecoder;
use nix::sys::signal::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{Read, read_to_string};
use std::os::unix::fs::PermissionsExt;
use support::conductor::{NODE, TOKEN};
use support::process::within;
use tokio::task::spawn_blocking;

/// Answers while nobody reads the console.
const REQUESTS: usize = 2500;
/// What the log says of a console that misses lines.
const TOO_SLOW: &str = "the console is too slow for the log: lines were left out lines=";

/// The archive's members, decoded.
pub(crate) async fn archive(session: &Session) -> BTreeMap<String, String> {
    members(&session.caller).await
}

/// The members of the archive that a caller is given.
pub(crate) async fn members(caller: &Caller) -> BTreeMap<String, String> {
    let result = caller.result("log.collect_system_logs", json!({})).await;
    let encoded = result["system_logs"].as_str().unwrap();
    let bytes = BASE64_STANDARD.decode(encoded).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(bytes.as_slice()));
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), text)
        })
        .collect()
}

#[tokio::test]
async fn the_archive_holds_the_log_and_the_machine() {
    let session = Session::start(&[]).await;
    let members = archive(&session).await;
    assert!(members["ferrite.log"].contains("the agent starts"));
    let inventory: serde_json::Value = serde_json::from_str(&members["inventory.json"]).unwrap();
    assert!(inventory["disks"].is_array());
    for name in ["cmdline", "meminfo", "mount"] {
        assert!(!members[name].is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_console_that_takes_nothing_stalls_no_answer_and_misses_lines_that_are_counted() {
    let (session, console) = Session::start_unread(&["--debug"]).await;
    // Each is a line of a hundred bytes: together more than the pipe and all queues hold.
    within("answers", async {
        for _ in 0..REQUESTS {
            session.caller.list().await;
        }
    })
    .await;
    let members = archive(&session).await;
    let log = &members["ferrite.log"];
    assert_eq!(log.matches("method=GET").count(), REQUESTS);

    // The console goes on: what it missed is counted.
    session.agent.signal(Signal::SIGTERM);
    let read = spawn_blocking(|| read_to_string(console).unwrap());
    let told = within("the console", read).await.unwrap();
    assert_eq!(session.agent.end().await.status.code(), Some(0));
    let missing: usize = told
        .lines()
        .filter_map(|line| line.split_once(TOO_SLOW))
        .map(|(_, lines)| lines.parse::<usize>().unwrap())
        .sum();
    assert!(missing > 0, "{told}");
    let (logged, told) = (log.lines().count(), told.lines().count());
    assert!(
        told < logged && told + missing >= logged,
        "{told} + {missing}, not {logged}"
    );
}

#[tokio::test]
async fn the_log_tells_an_operator_how_the_agent_came_to_serve() {
    let mut session = Session::start(&[]).await;
    session
        .agent
        .until_told("Ironic accepts our heartbeats")
        .await;
    let log = session.agent.told();
    let mut rest = log.as_str();
    for sentence in [
        "the agent starts version=",
        "option set option=api_url origin=command line, --api_url",
        "commands that write will be refused",
        "looking the node up addresses=",
        "Ironic's API version",
        &format!("Ironic knows this node node={NODE}"),
        "serving commands address=",
        "Ironic is told to call url=https://127.0.0.1:",
        "Ironic accepts our heartbeats",
    ] {
        let Some((_, after)) = rest.split_once(sentence) else {
            panic!("not in its place: {sentence}\n{log}");
        };
        rest = after;
    }
}

#[tokio::test]
async fn no_secret_of_a_session_is_in_its_log_its_archive_or_its_list() {
    let own = "canary-of-the-boot-0123456789abcdefghijklmno";
    let session = Session::start_with(
        json!(TOKEN),
        &["--debug"],
        &[("OS_DEFAULT__AGENT_TOKEN", own)],
    )
    .await;
    let caller = &session.caller;
    let secrets = json!({
        "id": "x",
        "urls": ["http://user:canary-of-the-url@127.0.0.1:1/x"],
        "os_hash_algo": "sha256",
        "os_hash_value": "0".repeat(64),
        "image_server_auth_strategy": "http_basic",
        "image_server_user": "user",
        "image_server_password": "canary-of-the-password",
        "configdrive": "canary-of-the-drive",
    });
    let args = json!({"image_info": secrets, "configdrive": "canary-of-the-drive"});
    let writing = step(json!({"step": "write_image", "args": args}));
    caller.failure("deploy.execute_deploy_step", writing).await;
    let wrong =
        step(json!({"step": "write_image", "args": {"image_info": "canary-of-the-argument"}}));
    caller.failure("deploy.execute_deploy_step", wrong).await;
    caller
        .failure(
            "standby.sync",
            json!({"rescue_password": "canary-of-the-rescue"}),
        )
        .await;
    caller
        .post(
            "standby.prepare_image",
            json!({"image_info": "canary-of-the-image"}),
        )
        .await;
    caller.get(&format!("/v1/commands/?token={TOKEN}")).await;
    let members = archive(&session).await;
    // The archive itself is the newest result: read as text above.
    caller.result("standby.sync", json!({})).await;
    let list = serde_json::to_string(&caller.list().await).unwrap();
    session.agent.signal(Signal::SIGTERM);
    let ended = session.agent.end().await;
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.err.contains("DEBUG"), "{}", ended.err);
    // Every option is told, secrets as such.
    assert!(
        ended.err.contains("option option=listen_port value="),
        "{}",
        ended.err
    );
    assert!(
        ended.err.contains("option option=agent_token value=******"),
        "{}",
        ended.err
    );
    let texts = [
        ("the log", &ended.err),
        ("standard output", &ended.out),
        ("the list", &list),
    ];
    let members = members.iter().map(|(name, text)| (name.as_str(), text));
    for (name, text) in texts.into_iter().chain(members) {
        for secret in ["canary", TOKEN] {
            assert!(!text.contains(secret), "{secret} is in {name}:\n{text}");
        }
    }
}

#[tokio::test]
async fn a_log_file_holds_what_the_console_would_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    // For nobody to write in.
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let path = folder.path().join("ironic-python-agent.log");
    let session = Session::start_with(
        json!(TOKEN),
        &[
            "--debug",
            "--use-json",
            "--log-dir",
            folder.path().to_str().unwrap(),
        ],
        &[("OS_DEFAULT__IMAGE_SERVER_PASSWORD", "canary-of-the-file")],
    )
    .await;
    session
        .caller
        .get(&format!("/v1/commands/?token={TOKEN}"))
        .await;
    session.agent.signal(Signal::SIGTERM);
    let ended = session.agent.end().await;
    let log = std::fs::read_to_string(path).unwrap();
    let events: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told = |sentence: &str| events.iter().any(|event| event["message"] == sentence);
    assert!(told("serving commands") && told("option"), "{log}");
    assert!(!ended.err.contains("serving commands"), "{}", ended.err);
    for text in [&log, &ended.err] {
        assert!(!text.contains("canary") && !text.contains(TOKEN), "{text}");
    }
}

#[tokio::test]
async fn what_changes_nothing_and_what_nobody_knows_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        "collect_lldp = true\nlog-file = /l\nlog_config_append = /c\n[container]\nrunner = docker";
    let file = super::tokens::config_file(folder.path(), options);
    let mut session = Session::start(&["--config-file", file.to_str().unwrap()]).await;
    session
        .agent
        .until_told("Ironic accepts our heartbeats")
        .await;
    let log = session.agent.told();
    for sentence in [
        "options are set whose part is not here: they change nothing options=\"collect_lldp, [container] runner\"",
        "there is no option log-file; did you mean log_file?",
        "log_config_append names a configuration of Python's logging: it is not read",
    ] {
        assert!(log.contains(sentence), "{sentence}\n{log}");
    }
}
