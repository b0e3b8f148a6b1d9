//! Several commands as one: `flow.start_flow`.

use super::session::Session;
use serde_json::{Value, json};

#[tokio::test]
async fn a_flow_runs_its_commands_and_leaves_one_record() {
    let session = Session::start(&[]).await;
    let flow = json!({"flow": [
        {"standby.sync": {}},
        {"flow.start_flow": {"flow": [{"standby.get_partition_uuids": {}}]}},
        {"poll.get_hardware_info": {}},
    ]});
    let result = session.caller.result("flow.start_flow", flow).await;
    assert_eq!(result, Value::Null);
    assert_eq!(session.caller.list().await.len(), 1);
}

#[tokio::test]
async fn a_flow_ends_with_the_first_command_that_fails() {
    let session = Session::start(&[]).await;
    // Were the second one run, its own refusal would be told.
    let flow = json!({"flow": [{"standby.sync": {"colour": 1}}, {"standby.power_off": {}}]});
    assert_eq!(
        session.caller.failure("flow.start_flow", flow).await,
        json!({
            "type": "CommandExecutionError",
            "code": 500,
            "message": "Command execution failed",
            "details": "standby.sync was failed",
        })
    );
}

#[tokio::test]
async fn a_flow_with_what_is_not_there_is_not_begun() {
    let session = Session::start(&[]).await;
    let caller = &session.caller;
    let flow = json!({"flow": [{"standby.sync": {}}, {"iscsi.start": {}}]});
    assert_eq!(
        caller.failure("flow.start_flow", flow).await,
        json!({
            "type": "RequestedObjectNotFoundError",
            "code": 404,
            "message": "Not found",
            "details": "Extension with id iscsi not found.",
        })
    );
    for (flow, text) in [
        (
            json!([{"standby.dance": {}}]),
            "Invalid command parameters: Extension standby doesn't provide dance method",
        ),
        (
            json!([{"sync": {}}]),
            "Invalid command: Command name must be of the form <extension>.<name>",
        ),
        (
            json!([{"standby.sync": null}]),
            "Invalid command parameters: a command's parameters in a flow are an object",
        ),
        (
            json!(["standby.sync"]),
            "Invalid command parameters: a flow is a list of objects, each from a command to its parameters",
        ),
        (
            json!(null),
            "Invalid command parameters: flow.start_flow: the parameter flow must be a list",
        ),
    ] {
        let answer = caller.post("flow.start_flow", json!({"flow": flow})).await;
        let fault = json!({"faultcode": "Client", "faultstring": text});
        assert_eq!(answer, (400, fault));
    }
    assert_eq!(caller.list().await.len(), 1);
}
