//! What the log and its archive hold, and what they never do.

use super::conductor::{NODE, TOKEN};
use super::session::Session;
use super::steps::step;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::read::GzDecoder;
use nix::sys::signal::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Read;

/// The archive's members, decoded.
async fn archive(session: &Session) -> BTreeMap<String, String> {
    let result = session
        .caller
        .result("log.collect_system_logs", json!({}))
        .await;
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
