//! What a conductor sees of an agent without policy files: byte for byte what it saw of the agent before there were policies.
//!
//! `tests/fixtures/policy/upgrade.txt` was recorded from that agent's API, by this very test. Identifiers are replaced.

use super::harness::{Api, TOKEN};
use serde_json::json;
use std::fmt::Write as _;

const RECORDED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/policy/upgrade.txt"
);

/// What is asked, in this order: method and target, where `TOKEN` is the token and `ID` the first command's; and a body.
const ASKED: &[(&str, &str)] = &[
    ("GET /", ""),
    ("GET /v1", ""),
    ("GET /v1/", ""),
    ("GET /v1/status", ""),
    ("GET /v1/status?agent_token=wrong", ""),
    ("GET /status", ""),
    ("GET /v1/commands/?agent_token=TOKEN", ""),
    ("GET /v1/commands?agent_token=TOKEN", ""),
    (
        "POST /v1/commands/?wait=true&agent_token=TOKEN",
        r#"{"name": "test.text", "params": {}}"#,
    ),
    ("GET /v1/commands/ID?agent_token=TOKEN", ""),
    ("GET /v1/commands/ID?wait=true&agent_token=TOKEN", ""),
    (
        "POST /v1/commands/?wait=true&agent_token=TOKEN",
        r#"{"name": "test.echo", "params": {"step": {"step": "x", "args": null}}}"#,
    ),
    (
        "POST /v1/commands/?wait=true&agent_token=TOKEN",
        r#"{"name": "test.later", "params": {}}"#,
    ),
    (
        "POST /v1/commands/?wait=true&agent_token=TOKEN",
        r#"{"name": "test.fail", "params": {}}"#,
    ),
    (
        "POST /v1/commands/?wait=true&agent_token=TOKEN",
        r#"{"name": "test.strict", "params": {}}"#,
    ),
    (
        "POST /v1/commands/?wait=true&agent_token=TOKEN",
        r#"{"name": "test.nothing", "params": {}}"#,
    ),
    (
        "POST /v1/commands/?wait=true&agent_token=TOKEN",
        r#"{"name": "nobody.nothing", "params": {}}"#,
    ),
    (
        "POST /v1/commands/?wait=true&agent_token=TOKEN",
        r#"{"name": "none", "params": {}}"#,
    ),
    ("POST /v1/commands/?agent_token=TOKEN", "{"),
    ("POST /v1/commands/?agent_token=TOKEN", "[]"),
    ("POST /v1/commands/?agent_token=wrong", "{"),
    (
        "POST /v1/commands/",
        r#"{"name": "test.text", "params": {}}"#,
    ),
    ("GET /v1/commands/", ""),
    ("GET /v1/commands/?agent_token=", ""),
    ("GET /v1/commands/?agent_token=wrong", ""),
    ("GET /v1/commands/nobodys?agent_token=TOKEN", ""),
    ("GET /v1/commands/nobodys", ""),
    ("HEAD /v1/commands/?agent_token=TOKEN", ""),
    ("HEAD /v1/commands/", ""),
    ("PUT /v1/commands/?agent_token=TOKEN", ""),
    ("DELETE /v1/status", ""),
    ("GET /v1/nothing?agent_token=TOKEN", ""),
    ("GET /commands/?agent_token=TOKEN", ""),
    ("GET /v1/commands/?agent_token=TOKEN", ""),
];

#[tokio::test]
async fn without_a_policy_the_conductor_sees_every_byte_as_before() {
    let api = Api::start().await;
    let (mut told, mut first) = (String::new(), None);
    for (line, body) in ASKED {
        let id = first.as_deref().unwrap_or("none yet");
        let asked = line.replace("TOKEN", TOKEN).replace("ID", id);
        let mut client = api.connect().await;
        let length = body.len();
        let head = format!("{asked} HTTP/1.1\r\nHost: agent.example:9999\r\n");
        let rest = format!("Connection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        client.write(head + &rest).await;
        let answer = String::from_utf8(client.closed().await).unwrap();
        if first.is_none() {
            let id = answer.split(r#""id": ""#).nth(1);
            first = id.map(|rest| rest[..36].to_owned());
        }
        let _ = writeln!(told, ">>> {line} {body}\n{answer}");
    }
    let told = without_ids(&told).replace(TOKEN, "TOKEN");
    if std::env::var_os("RECORD_UPGRADE").is_some() {
        std::fs::write(RECORDED, &told).unwrap();
    }
    let recorded = std::fs::read_to_string(RECORDED).unwrap_or_default();
    let lines = recorded.lines().zip(told.lines());
    for (before, now) in lines {
        assert_eq!(now, before);
    }
    assert_eq!(told.len(), recorded.len(), "{}", json!(told));
}

/// Identifiers of commands as `ID`, and dates as `DATE`.
fn without_ids(text: &str) -> String {
    let line = |line: &str| {
        if line.starts_with("date: ") {
            return "date: DATE".to_owned();
        }
        let mut parts = line.split(ID);
        let mut shown = parts.next().unwrap().to_owned();
        for part in parts {
            let named = part.split_once('"').filter(|(id, _)| id.len() == 36);
            let rest = named.map_or_else(|| part.to_owned(), |(_, rest)| format!("ID\"{rest}"));
            shown.push_str(ID);
            shown.push_str(&rest);
        }
        shown
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

const ID: &str = "\"id\": \"";
