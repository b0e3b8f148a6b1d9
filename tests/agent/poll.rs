//! What the machine is, and what a lookup would have told: `poll.*`.

use super::caller::Caller;
use super::session::Session;
use super::standalone::{WITH_TOKEN, serving};
use serde_json::{Value, json};
use support::conductor::{NODE, TOKEN};
use support::process::free_port;

const OTHER_TOKEN: &str = "another-token-of-43-characters-0123456789-_";

#[tokio::test]
async fn the_hardware_is_told_when_it_is_asked_for() {
    let session = Session::start(&[]).await;
    let result = session
        .caller
        .result("poll.get_hardware_info", json!({}))
        .await;
    let keys: Vec<_> = result.as_object().unwrap().keys().collect();
    let expected = [
        "bmc_address",
        "bmc_v6address",
        "boot",
        "cpu",
        "disks",
        "hostname",
        "interfaces",
        "memory",
        "system_vendor",
    ];
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn an_agent_that_looks_itself_up_is_told_no_node() {
    let session = Session::start(&[]).await;
    let info = json!({"node_info": {"node": {"uuid": NODE}, "config": {}}});
    let answer = session.caller.post("poll.set_node_info", info).await;
    let text = "Invalid command: Node lookup data can only be set when the Ironic Python Agent is running in standalone mode.";
    let fault = json!({"faultcode": "Client", "faultstring": text});
    assert_eq!(answer, (400, fault));
    assert_eq!(session.caller.list().await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_agent_of_its_own_takes_node_and_token_as_from_a_lookup() {
    let port = free_port();
    let agent = serving(port, &[], WITH_TOKEN).await;
    let caller = Caller::new(&format!("http://127.0.0.1:{port}"), None, Some(TOKEN));
    let info = |token: Value| json!({"node_info": {"node": {"uuid": NODE}, "config": {"agent_token": token}}});
    for kept in [json!("******"), json!("short"), json!(null)] {
        let result = caller.result("poll.set_node_info", info(kept)).await;
        assert_eq!(result, Value::Null);
    }
    let result = caller
        .result("poll.set_node_info", info(json!(OTHER_TOKEN)))
        .await;
    assert_eq!(result, Value::Null);
    assert_eq!(caller.get("/v1/commands/").await.0, 401);
    let caller = caller.with_token(Some(OTHER_TOKEN));
    assert_eq!(caller.list().await.len(), 4);

    let error = caller
        .failure("poll.set_node_info", json!({"node_info": {"config": {}}}))
        .await;
    assert_eq!(
        error["details"],
        "poll.set_node_info: the parameter node is missing"
    );
    assert!(!agent.told().contains(OTHER_TOKEN), "{}", agent.told());
}
