//! The list that a rule opens for conductors which send no token there: what they see, and that nothing else is open.

use super::harness::{Api, Door, TOKEN};
use ferrite::policy::names::COMMAND_LIST;
use serde_json::json;

async fn open_api() -> Api {
    Api::behind(Door {
        rules: vec![(COMMAND_LIST, "@")],
        ..Door::default()
    })
    .await
}

const REFUSED: (u16, &str) = (401, "401 Unauthorized: Token invalid.");

#[tokio::test]
async fn without_a_token_the_open_list_shows_names_and_states_alone() {
    let api = open_api().await;
    api.run("test.echo", json!({"password": "hush"}), "true")
        .await;
    api.run("test.fail", json!({}), "true").await;
    let answer = api.get("/v1/commands/").await;
    assert_eq!(
        (answer.status, answer.json()),
        (
            200,
            json!({"commands": [
                {"command_name": "echo", "command_status": "SUCCEEDED", "command_error": null, "command_result": null},
                {
                    "command_name": "fail",
                    "command_status": "FAILED",
                    "command_error": {"type": "CleaningError", "code": 500, "message": "Clean step failed", "details": "no such step: é"},
                    "command_result": null,
                },
            ]})
        )
    );
}

#[tokio::test]
async fn with_the_token_the_open_list_is_whole() {
    let api = open_api().await;
    let run = api.run("test.echo", json!({"a": 1}), "true").await.json();
    assert_eq!(run["command_result"], json!({"a": 1}));
    assert_eq!(api.list().await, json!({ "commands": [run] }));
}

#[tokio::test]
async fn a_wrong_token_does_not_open_the_open_list() {
    let api = open_api().await;
    for query in [
        "agent_token",
        "agent_token=",
        "agent_token=wrong",
        "agent%5Ftoken=wrong",
        &format!("agent_token=wrong&agent_token={TOKEN}"),
    ] {
        let answer = api.get(&format!("/v1/commands/?{query}")).await;
        let (status, text) = answer.fault();
        assert_eq!((status, text.as_str()), REFUSED, "{query}");
    }
}

#[tokio::test]
async fn nothing_but_the_list_is_open() {
    let api = open_api().await;
    let run = api.run("test.text", json!({}), "true").await.json();
    let id = run["id"].as_str().unwrap();
    let body = json!({"name": "test.text", "params": {}}).to_string();
    for (method, path) in [
        ("POST", "/v1/commands/".to_owned()),
        ("POST", "/commands/".to_owned()),
        ("GET", format!("/v1/commands/{id}")),
        ("GET", format!("/commands/{id}")),
    ] {
        let (status, text) = api.request(method, &path, &body).await.fault();
        assert_eq!((status, text.as_str()), REFUSED, "{method} {path}");
    }
    for (method, path) in [("HEAD", "/v1/commands/"), ("GET", "/commands/")] {
        assert_eq!(api.request(method, path, "").await.status, 200);
    }
    assert_eq!(api.states().await.len(), 1);
}

#[tokio::test]
async fn the_list_is_closed_unless_the_operator_opens_it() {
    let api = Api::start().await;
    let (status, text) = api.get("/v1/commands/").await.fault();
    assert_eq!((status, text.as_str()), REFUSED);
}
