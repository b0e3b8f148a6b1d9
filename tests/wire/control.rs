//! IPA itself, as the recordings know it. These tests need `make lab`.

use super::conductor::{self, Answer, Conductor, NODE, TOKEN};
use super::ipa::Ipa;
use super::process::{free_port, within};
use serde_json::json;

#[tokio::test]
async fn ipa_looks_itself_up_and_heartbeats_as_nobody() {
    let conductor = Conductor::start().await;
    conductor
        .on("GET /v1/lookup", [conductor::lookup(json!(TOKEN))])
        .on("POST /v1/heartbeat/", [Answer::bytes(202, "")]);
    let port = free_port().to_string();
    let _ipa = Ipa::start(&[
        ("api_url", &conductor.url()),
        ("listen_port", &port),
        ("advertise_port", &port),
        ("enable_auto_tls", "false"),
    ])
    .unwrap();
    let heartbeat = "POST /v1/heartbeat/";
    within("a heartbeat", conductor.until_asked(heartbeat, 1)).await;
    let heartbeat = &conductor.asked(heartbeat)[0];
    assert_eq!(heartbeat.line, format!("POST /v1/heartbeat/{NODE}"));
    assert_eq!(
        heartbeat.json(),
        json!({
            "callback_url": format!("http://127.0.0.1:{port}"),
            "agent_token": TOKEN,
            "agent_version": "13.0.0",
        })
    );
}
