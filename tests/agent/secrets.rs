//! Commands bring secrets; the agent's log has none of them, whatever the command and wherever in it they stand.

use super::logs::archive;
use super::session::Session;
use super::steps::step;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Every planted secret has this in it, and nothing else has.
const CANARY: &str = "Canary7OfTheCommand";

/// Parameters of a deployment with a secret in each place that has one.
fn parameters() -> Value {
    let hash = format!("$6$rounds=5000${CANARY}$0123456789abcdefghijkl");
    let url = format!("http://me:{CANARY}@127.0.0.1:1/x?temp_url_sig={CANARY}&sig={CANARY}");
    json!({
        "image_info": {
            "id": "x",
            "urls": [url],
            "os_hash_algo": "sha256",
            "os_hash_value": "0".repeat(64),
            "image_server_auth_strategy": "http_basic",
            "image_server_user": CANARY,
            "image_server_password": CANARY,
            "image_request_authorization": format!("Bearer {CANARY}"),
            "oci_pull_secret": CANARY,
            "image_pull_secret": CANARY,
            "configdrive": {"user_data": CANARY},
        },
        "configdrive": CANARY,
        "agent_token": CANARY,
        "rescue_password": hash,
        "hashed": true,
    })
}

const COMMANDS: &[&str] = &[
    "clean.execute_clean_step",
    "clean.get_clean_steps",
    "deploy.execute_deploy_step",
    "deploy.get_deploy_steps",
    "flow.start_flow",
    "image.install_bootloader",
    "log.collect_system_logs",
    "poll.get_hardware_info",
    "poll.set_node_info",
    "rescue.finalize_rescue",
    "service.execute_service_step",
    "service.get_service_steps",
    "standby.get_partition_uuids",
    "standby.prepare_image",
    "standby.sync",
    "nothing.known",
];

#[tokio::test]
async fn no_secret_of_any_command_is_in_the_log_of_an_agent_that_tells_everything() {
    let session = Session::start(&["--debug"]).await;
    let caller = &session.caller;
    for command in COMMANDS {
        let text = parameters().to_string();
        // As the parameters themselves, as those of a step, and where something else is expected.
        for params in [
            parameters(),
            step(json!({"step": "write_image", "args": parameters()})),
            json!({"image_info": text, "node": text, "rescue_password": [text]}),
        ] {
            caller.post(command, params).await;
        }
    }
    let members = archive(&session).await;
    session.agent.signal(Signal::SIGTERM);
    let ended = session.agent.end().await;
    assert!(ended.err.contains("DEBUG"), "{}", ended.err);
    assert!(ended.err.contains("standby.prepare_image"), "{}", ended.err);
    assert!(!ended.err.contains(CANARY), "{}", ended.err);
    for (name, text) in members {
        assert!(!text.contains(CANARY), "{name}: {text}");
    }
}
