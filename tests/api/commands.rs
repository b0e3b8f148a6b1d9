//! Running a command: the order of the checks, waiting, one at a time.

use super::harness::{Api, TOKEN};
use ferrite::command::{Commander, Params};
use serde_json::{Value, json};
use std::future::ready;
use std::pin::pin;

const RUN: &str = "/v1/commands/?wait=false&agent_token=";

#[tokio::test]
async fn the_checks_come_in_ipas_order() {
    let api = Api::start().await;
    let deep = "[".repeat(200);
    let missing = "400 Bad Request: Missing or invalid name or params";
    for (body, status, text) in [
        (
            "",
            400,
            "400 Bad Request: Failed to decode JSON object: EOF while parsing a value at line 1 column 0",
        ),
        (
            "{",
            400,
            "400 Bad Request: Failed to decode JSON object: EOF while parsing an object at line 1 column 1",
        ),
        (
            deep.as_str(),
            400,
            "400 Bad Request: Failed to decode JSON object: recursion limit exceeded at line 1 column 128",
        ),
        ("7", 400, missing),
        (r#""text""#, 400, missing),
        (r#"{"name": 7, "params": {}}"#, 400, missing),
        (r#"{"name": "nodot", "params": 7}"#, 400, missing),
        (r#"{"name": "nodot"}"#, 400, missing),
        (
            r#"{"name": "nodot", "params": {}}"#,
            400,
            "Invalid command: Command name must be of the form <extension>.<name>",
        ),
        (
            r#"{"name": "é.x", "params": {}}"#,
            404,
            "Not found: Extension with id é not found.",
        ),
        (
            r#"{"name": ".", "params": {}}"#,
            404,
            "Not found: Extension with id  not found.",
        ),
        (
            r#"{"name": "test.nothing.else", "params": {}}"#,
            400,
            "Invalid command: Unknown command: nothing.else",
        ),
        (
            r#"{"name": "test.strict", "params": {}}"#,
            400,
            "Invalid command parameters: size is missing",
        ),
        (
            r#"{"name": "test.panic_early", "params": {}}"#,
            500,
            "Command execution failed: panic_early ended by a defect in the agent; its log says where",
        ),
    ] {
        let answer = api.request("POST", &format!("{RUN}{TOKEN}"), body).await;
        assert_eq!(answer.fault(), (status, text.to_owned()), "{body}");
    }
    assert_eq!(api.states().await, []);
}

#[tokio::test]
async fn while_one_runs_all_but_malformed_names_are_told_busy() {
    let api = Api::start().await;
    let answer = api.run("test.hold", json!({}), "false").await.json();
    assert_eq!(answer["command_status"], "RUNNING");
    api.probe.begun().await;
    let busy = (409, "Agent is busy: executing command hold".to_owned());
    for name in [
        "test.text",
        "test.hold",
        "nothing.at_all",
        "test.nothing",
        "test.strict",
    ] {
        let answer = api.run(name, json!({}), "true").await;
        assert_eq!(answer.fault(), busy, "{name}");
    }
    let answer = api.run("nodot", json!({}), "true").await;
    assert_eq!(
        answer.fault(),
        (
            400,
            "Invalid command: Command name must be of the form <extension>.<name>".to_owned()
        )
    );
    api.probe.release.cancel();
    let id = answer_id(&api.list().await);
    let target = format!("/v1/commands/{id}?wait=TRUE&agent_token={TOKEN}");
    assert_eq!(api.get(&target).await.json()["command_status"], "SUCCEEDED");
    assert_eq!(api.run("test.text", json!({}), "true").await.status, 200);
}

#[tokio::test]
async fn a_second_post_waits_for_a_synchronous_command() {
    let api = Api::start().await;
    let mut first = api.connect().await;
    let mut second = api.connect().await;
    let target = format!("{RUN}{TOKEN}");
    first
        .send(
            "POST",
            &target,
            r#"{"name": "test.hold_sync", "params": {}}"#,
        )
        .await;
    api.probe.begun().await;
    second
        .send("POST", &target, r#"{"name": "test.text", "params": {}}"#)
        .await;
    // Neither is answered or listed, and reading goes on meanwhile.
    assert_eq!(api.states().await, []);
    api.probe.release.cancel();
    assert_eq!(second.answer("POST").await.unwrap().status, 200);
    assert_eq!(first.answer("POST").await.unwrap().status, 200);
    let succeeded = |name: &str| (name.to_owned(), "SUCCEEDED".to_owned());
    assert_eq!(
        api.states().await,
        [succeeded("hold_sync"), succeeded("text")]
    );
}

#[tokio::test]
async fn a_synchronous_command_keeps_its_turn_when_its_caller_is_gone() {
    let api = Api::start().await;
    let run = |name| {
        let (params, by) = (Params::new(), Commander::Conductor);
        api.dispatcher.run(name, params, false, by)
    };
    tokio::select! {
        _ = run("test.hold_sync") => panic!("nobody let it end"),
        () = api.probe.begun() => {}
    }
    // A name that is none is refused at once, if its turn comes.
    let mut next = pin!(run("nodot"));
    tokio::select! {
        biased;
        _ = &mut next => panic!("looked at beside another command"),
        () = ready(()) => {}
    }
    api.probe.release.cancel();
    next.await.unwrap_err();
    assert_eq!(
        api.states().await,
        [("hold_sync".to_owned(), "SUCCEEDED".to_owned())]
    );
}

#[tokio::test]
async fn who_waits_for_an_asynchronous_command_keeps_nobody_else_waiting() {
    let api = Api::start().await;
    let mut waiting = api.connect().await;
    let target = format!("/v1/commands/?wait=true&agent_token={TOKEN}");
    let body = r#"{"name": "test.hold", "params": {}}"#;
    waiting.send("POST", &target, body).await;
    api.probe.begun().await;
    let answer = api.run("test.text", json!({}), "true").await;
    assert_eq!(
        answer.fault(),
        (409, "Agent is busy: executing command hold".into())
    );
    api.probe.release.cancel();
    let answer = waiting.answer("POST").await.unwrap().json();
    assert_eq!(answer["command_status"], "SUCCEEDED");
}

#[tokio::test]
async fn a_hundred_who_wait_starve_nobody() {
    let api = Api::start().await;
    let made = api.run("test.hold", json!({}), "false").await.json();
    let id = made["id"].as_str().unwrap();
    let target = format!("/v1/commands/{id}?wait=true&agent_token={TOKEN}");
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let mut client = api.connect().await;
        client.send("GET", &target, "").await;
        waiting.push(client);
    }
    for _ in 0..20 {
        assert_eq!(api.get("/v1/status").await.status, 200);
        assert_eq!(api.states().await, [("hold".into(), "RUNNING".into())]);
    }
    api.probe.release.cancel();
    for client in &mut waiting {
        let answer = client.answer("GET").await.unwrap().json();
        assert_eq!(answer["command_status"], "SUCCEEDED");
    }
}

#[tokio::test]
async fn waiting_answers_with_the_end() {
    let api = Api::start().await;
    for wait in ["true", "True"] {
        let answer = api.run("test.later", json!({}), wait).await.json();
        assert_eq!(
            (&answer["command_status"], &answer["command_result"]),
            (&json!("SUCCEEDED"), &json!({"result": "later: hello"}))
        );
    }
}

#[tokio::test]
async fn each_end_of_an_asynchronous_command_is_told() {
    let api = Api::start().await;
    let mut completions = api.dispatcher.completions();
    api.run("test.text", json!({}), "true").await;
    assert!(!completions.has_changed().unwrap());
    for (count, name) in [
        (1, "test.later"),
        (2, "test.mismatch"),
        (3, "test.panic_later"),
    ] {
        api.run(name, json!({}), "true").await;
        completions.changed().await.unwrap();
        assert_eq!(*completions.borrow_and_update(), count);
    }
}

#[tokio::test]
async fn shutting_down_stops_the_running_command_and_lets_no_other_start() {
    let api = Api::start().await;
    api.run("test.until_cancelled", json!({}), "false").await;
    api.probe.begun().await;
    api.dispatcher.shut_down().await;
    assert_eq!(
        api.states().await,
        [("until_cancelled".to_owned(), "SUCCEEDED".to_owned())]
    );
    let answer = api.run("test.text", json!({}), "true").await;
    assert_eq!(
        answer.fault(),
        (409, "Agent is busy: the agent is ending".into())
    );
}

#[tokio::test]
async fn content_type_and_accept_do_not_matter() {
    let api = Api::start().await;
    let body = r#"{"name": "test.text", "params": {}}"#;
    let length = body.len();
    for headers in ["", "Content-Type: text/plain\r\nAccept: image/png\r\n"] {
        let mut client = api.connect().await;
        client
            .write(format!(
                "POST {RUN}{TOKEN} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
            ))
            .await;
        assert_eq!(
            client.answer("POST").await.unwrap().json()["command_name"],
            "text"
        );
    }
}

#[tokio::test]
async fn a_chunked_body_is_read_whole() {
    let api = Api::start().await;
    let mut client = api.connect().await;
    client
        .write(format!(
            "POST {RUN}{TOKEN} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        ))
        .await;
    for piece in [r#"{"name": "test.ec"#, r#"ho", "params": {"a": 1}}"#, ""] {
        client
            .write(format!("{:x}\r\n{piece}\r\n", piece.len()))
            .await;
    }
    let answer = client.answer("POST").await.unwrap();
    assert_eq!(answer.json()["command_result"], json!({"a": 1}));
    assert_eq!(answer.header("connection"), None);
}

fn answer_id(list: &Value) -> String {
    list["commands"][0]["id"].as_str().unwrap().to_owned()
}
