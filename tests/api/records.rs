//! What the list and its records say.

use super::harness::{Api, TOKEN};
use serde_json::{Value, json};
use uuid::Uuid;

/// A record without its id, which is checked to be a version 4 UUID as Python writes it.
fn without_id(mut record: Value) -> Value {
    let id = record.as_object_mut().unwrap().remove("id").unwrap();
    let parsed = Uuid::parse_str(id.as_str().unwrap()).unwrap();
    assert_eq!(
        (parsed.to_string(), parsed.get_version_num()),
        (id.as_str().unwrap().to_owned(), 4)
    );
    record
}

fn succeeded(name: &str, result: Value) -> Value {
    json!({"command_name": name, "command_status": "SUCCEEDED", "command_error": null, "command_result": result})
}

fn failed(name: &str, status: &str, error: Value) -> Value {
    json!({"command_name": name, "command_status": status, "command_error": error, "command_result": null})
}

fn panicked(name: &str) -> Value {
    failed(
        name,
        "FAILED",
        json!({
            "type": "CommandExecutionError",
            "code": 500,
            "message": "Command execution failed",
            "details": format!("{name} ended by a defect in the agent; its log says where"),
        }),
    )
}

#[tokio::test]
async fn records_say_what_became_of_each_command_in_order() {
    let api = Api::start().await;
    let expected = [
        ("test.text", succeeded("text", json!({"result": "hello"}))),
        (
            "test.later",
            succeeded("later", json!({"result": "later: hello"})),
        ),
        ("test.null", succeeded("null", json!(null))),
        (
            "test.echo",
            succeeded("echo", json!({"ü": ["ß", "😀", "\u{1}"]})),
        ),
        (
            "test.fail",
            failed(
                "fail",
                "FAILED",
                json!({"type": "CleaningError", "code": 500, "message": "Clean step failed", "details": "no such step: é"}),
            ),
        ),
        (
            "test.mismatch",
            failed(
                "mismatch",
                "CLEAN_VERSION_MISMATCH",
                json!({
                    "type": "VersionMismatch",
                    "code": 409,
                    "message": "Hardware managers version mismatch, reload agent with correct version",
                    "details": "1.1",
                }),
            ),
        ),
        ("test.panic", panicked("panic")),
        ("test.panic_later", panicked("panic_later")),
    ];
    let mut records = Vec::new();
    for (name, record) in &expected {
        let answer = api
            .run(name, json!({"ü": ["ß", "😀", "\u{1}"]}), "true")
            .await;
        assert_eq!(answer.status, 200, "{name}");
        let answer = answer.json();
        assert_eq!(without_id(answer.clone()), *record, "{name}");
        records.push(answer);
    }
    assert_eq!(api.list().await, json!({ "commands": records }));
    for record in records {
        let id = record["id"].as_str().unwrap();
        let target = format!("/commands/{id}?agent_token={TOKEN}");
        assert_eq!(api.get(&target).await.json(), record);
    }
}

#[tokio::test]
async fn a_running_command_shows_how_far_it_is() {
    let api = Api::start().await;
    api.run("test.hold", json!({}), "false").await;
    api.probe.begun().await;
    let mut list = api.list().await;
    let record = list["commands"][0].take();
    let rate = record["command_result"]["progress"]["rate"].clone();
    assert!(rate.is_u64());
    assert_eq!(
        without_id(record),
        json!({
            "command_name": "hold",
            "command_status": "RUNNING",
            "command_error": null,
            "command_result": {"progress": {"phase": "writing", "bytes": 250, "total": 1000, "rate": rate}},
        })
    );
    api.probe.release.cancel();
}

#[tokio::test]
async fn a_record_can_be_waited_for_by_many() {
    let api = Api::start().await;
    let made = api.run("test.hold", json!({}), "false").await.json();
    let id = made["id"].as_str().unwrap();
    let target = format!("/v1/commands/{id}?wait=true&agent_token={TOKEN}");
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut client = api.connect().await;
        client.send("GET", &target, "").await;
        waiting.push(client);
    }
    assert_eq!(api.states().await, [("hold".into(), "RUNNING".into())]);
    api.probe.release.cancel();
    for mut client in waiting {
        let answer = client.answer("GET").await.unwrap().json();
        assert_eq!(
            without_id(answer),
            succeeded("hold", json!({"result": "hold: released"}))
        );
    }
}

/// IPA's list answers 500 for good after a synchronous command met an unknown exception, or a wrong parameter.
#[tokio::test]
async fn nothing_a_command_does_poisons_the_list() {
    let api = Api::start().await;
    for name in ["test.panic", "test.panic_early", "test.strict", "test.fail"] {
        api.run(name, json!({"unknown": "parameter"}), "true").await;
        api.list().await;
    }
    let answer = api.run("test.text", json!({}), "true").await.json();
    assert_eq!(answer["command_status"], "SUCCEEDED");
    let names: Vec<_> = api
        .states()
        .await
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["panic", "fail", "text"]);
}

#[tokio::test]
async fn an_old_archive_is_not_sent_again_with_every_list() {
    let api = Api::start().await;
    let archive = json!({"system_logs": "x".repeat(1 << 20)});
    let sent = api.run("test.echo", archive.clone(), "true").await.json();
    assert_eq!(sent["command_result"], archive);
    assert_eq!(api.list().await["commands"][0]["command_result"], archive);
    api.run("test.text", json!({}), "true").await;
    assert_eq!(
        api.list().await["commands"][0]["command_result"],
        json!({"omitted": "1048594 bytes, kept until the next command"})
    );
}
