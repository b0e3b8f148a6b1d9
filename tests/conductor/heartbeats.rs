//! What a heartbeat says, and what counts as its answer.

use super::{client, config, heartbeat_of};
use ferrite::conductor::heartbeat;
use ferrite::error::chain;
use serde_json::json;
use std::time::Duration;
use support::clock::{self, Clock};
use support::conductor::{Answer, Conductor, NODE, TOKEN};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const HEARTBEAT: &str = "POST /v1/heartbeat";

#[tokio::test]
async fn a_heartbeat_carries_everything_from_the_first_one_on() {
    let conductor = Conductor::start().await;
    conductor.on(HEARTBEAT, [Answer::bytes(202, "")]);
    let config = config(&format!(
        "ipa-api-url={} ipa-global-request-id=req-1",
        conductor.url()
    ));
    let client = client(&config);
    let heartbeat = heartbeat_of(Some("PEM\n"));
    let (_commands, completions) = watch::channel(0);
    let cancel = CancellationToken::new();
    tokio::join!(
        heartbeat::run(&client, &heartbeat, completions, &cancel),
        async {
            conductor.until_asked(HEARTBEAT, 1).await;
            cancel.cancel();
        }
    );
    let asked = &conductor.asked(HEARTBEAT)[0];
    assert_eq!(asked.line, format!("POST /v1/heartbeat/{NODE}"));
    assert_eq!(asked.version(), Some("1.68"));
    for (name, value) in [
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("x-openstack-request-id", "req-1"),
    ] {
        assert_eq!(asked.headers[name], value);
    }
    assert_eq!(
        asked.json(),
        json!({
            "callback_url": "https://192.0.2.1:9999",
            "agent_token": TOKEN,
            "agent_version": "13.0.0",
            "agent_verify_ca": "PEM\n",
        })
    );
}

#[tokio::test]
async fn nothing_but_202_is_an_accepted_heartbeat() {
    let conductor = Conductor::start().await;
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let client = client(&config);
    for (answer, told) in [
        (
            Answer::fault(400, "Invalid or missing agent token received."),
            "error 400: Invalid or missing agent token received.",
        ),
        (
            Answer::fault(409, "Node is locked."),
            "error 409: Node is locked.",
        ),
        (Answer::bytes(503, ""), "error 503: "),
        (Answer::bytes(200, ""), "error 200: "),
        (Answer::bytes(204, ""), "error 204: "),
    ] {
        conductor.on(HEARTBEAT, [answer]);
        let error = heartbeat::once(&client, &heartbeat_of(None))
            .await
            .unwrap_err();
        assert_eq!(chain(&error), told);
    }
}

#[tokio::test]
async fn the_end_of_a_command_brings_the_next_heartbeat_forward() {
    let clock = Clock::stop();
    let conductor = Conductor::start().await;
    conductor.on(HEARTBEAT, [Answer::bytes(202, "")]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let (client, cancel) = (client(&config), CancellationToken::new());
    let mut heartbeat = heartbeat_of(None);
    heartbeat.random = clock::longest;
    let (commands, completions) = watch::channel(0);
    let beating = heartbeat::run(&client, &heartbeat, completions, &cancel);
    let passing = async {
        clock.tick().await;
        clock::waits(1).await;
        commands.send_modify(|count| *count += 1);
        let quiet = || conductor.asked(HEARTBEAT).len() == 1;
        clock.pass_quietly(Duration::from_secs(5), quiet).await;
        conductor.until_asked(HEARTBEAT, 2).await;
        cancel.cancel();
    };
    tokio::join!(beating, passing);
}
