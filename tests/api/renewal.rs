//! That a right must be there when something is done, not only when it is asked for.

use super::callers::{Caller, SECRET};
use super::harness::{Api, Client, Door, TOKEN, commands, unhurried};
use ferrite::api::Limits;
use ferrite::policy::Reload;
use ferrite::policy::names::{COMMAND_GET, COMMAND_RUN, INVENTORY_GET};
use serde_json::json;
use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::net::TcpStream;
use tokio::time::timeout;

const POST: &str = r#"{"name": "test.text", "params": {}}"#;

/// An API whose policy is this file, in the place of what it allowed before.
struct Changing {
    api: Api,
    file: NamedTempFile,
}

impl Changing {
    /// An observer runs and reads commands.
    async fn start() -> Self {
        let file = NamedTempFile::new().unwrap();
        let text = format!("{COMMAND_RUN:?}: \"rule:agent_admin or role:observer\"\n");
        fs::write(&file, text).unwrap();
        let door = Door {
            file: Some(file.path().to_owned()),
            ..Caller::nobody().door(&[])
        };
        // Every wait is too long.
        let limits = Limits {
            decision: Duration::from_millis(1),
            ..unhurried()
        };
        let api = Api::serve(limits, None, door, commands).await;
        Self { api, file }
    }

    /// From now on it does not.
    fn lock(&self) {
        let text =
            [COMMAND_RUN, COMMAND_GET].map(|rule| format!("{rule:?}: \"rule:agent_token\"\n"));
        fs::write(&self.file, text.concat()).unwrap();
        let reloaded = self.api.policy.reload_if_changed().unwrap();
        assert_eq!(reloaded, Reload::Replaced);
    }

    /// An observer's request, with as much of its body.
    async fn begun(&self, head: &str, length: usize, body: &str) -> Client<TcpStream> {
        let mut client = self.api.connect().await;
        let header = Caller::with_secret(SECRET).header;
        let head =
            format!("{head} HTTP/1.1\r\nHost: a\r\n{header}Content-Length: {length}\r\n\r\n");
        client.write(head + body).await;
        client
    }
}

fn denied(rule: &str) -> (u16, String) {
    let text = format!("403 Forbidden: Access was denied to the following resource: {rule}");
    (403, text)
}

/// Whether a request waits, once everybody else had a turn.
async fn waits(client: &mut Client<TcpStream>) -> bool {
    timeout(Duration::from_millis(50), client.answer("POST"))
        .await
        .is_err()
}

#[tokio::test]
async fn a_right_that_is_gone_when_a_body_has_come_is_no_right() {
    let changing = Changing::start().await;
    let mut client = changing
        .begun("POST /v1/commands/", POST.len(), &POST[..9])
        .await;
    assert!(waits(&mut client).await);
    changing.lock();
    client.write(&POST[9..]).await;
    let answer = client.answer("POST").await.unwrap();
    assert_eq!(answer.fault(), denied(COMMAND_RUN));
    assert_eq!(changing.api.states().await, []);
}

#[tokio::test]
async fn a_right_that_is_gone_when_its_turn_has_come_is_no_right() {
    let changing = Changing::start().await;
    let holding = changing.api.run("test.hold_sync", json!({}), "true");
    let asking = async {
        changing.api.probe.begun().await;
        let mut client = changing.begun("POST /v1/commands/", POST.len(), POST).await;
        assert!(waits(&mut client).await);
        changing.lock();
        changing.api.probe.release.cancel();
        client.answer("POST").await.unwrap()
    };
    let (held, answer) = tokio::join!(holding, asking);
    assert_eq!(held.status, 200);
    assert_eq!(answer.fault(), denied(COMMAND_RUN));
}

#[tokio::test]
async fn a_right_that_is_gone_when_a_command_has_ended_is_no_right() {
    let changing = Changing::start().await;
    let held = changing
        .api
        .run("test.hold", json!({}), "false")
        .await
        .json();
    changing.api.probe.begun().await;
    let head = format!(
        "GET /v1/commands/{}?wait=true",
        held["id"].as_str().unwrap()
    );
    let mut client = changing.begun(&head, 0, "").await;
    assert!(waits(&mut client).await);
    changing.lock();
    changing.api.probe.release.cancel();
    let answer = client.answer("GET").await.unwrap();
    assert_eq!(answer.fault(), denied(COMMAND_GET));
}

#[tokio::test]
async fn a_keystone_that_takes_longer_than_a_decision_counts_lets_its_users_run_commands() {
    let caller = Caller::user("system", &["admin", "member", "reader"]).await;
    let caller = caller.never_remembered();
    // Less than any answer takes to come.
    let limits = Limits {
        decision: Duration::from_micros(200),
        body: Duration::from_secs(5),
        ..unhurried()
    };
    let api = Api::serve(limits, None, caller.door(&[]), commands).await;
    let run = api.ask("POST", "/v1/commands/", &caller.header, POST);
    let answer = timeout(Duration::from_secs(20), run).await.unwrap();
    assert_eq!(answer.json()["command_status"], "SUCCEEDED");
}

#[tokio::test]
async fn a_right_that_is_gone_when_the_inventorys_turn_has_come_is_no_right() {
    let changing = Changing::start().await;
    let api = &changing.api;
    api.probe.holds_inventories.store(true, Ordering::SeqCst);
    let mut first = changing.begun("GET /v1/inventory", 0, "").await;
    api.probe.begun().await;
    let mut second = changing.begun("GET /v1/inventory", 0, "").await;
    assert!(waits(&mut second).await);
    let text = format!("{INVENTORY_GET:?}: \"rule:agent_token\"\n");
    fs::write(&changing.file, text).unwrap();
    api.policy.reload_if_changed().unwrap();
    // Who shows the token waits for neither.
    let conductors = async {
        api.probe.begun().await;
        assert!(waits(&mut second).await);
        api.probe.release.cancel();
    };
    let target = format!("/v1/inventory?agent_token={TOKEN}");
    let (own, ()) = tokio::join!(api.get(&target), conductors);
    assert_eq!(own.status, 200);
    assert_eq!(first.answer("GET").await.unwrap().status, 200);
    let answer = second.answer("GET").await.unwrap();
    assert_eq!(answer.fault(), denied(INVENTORY_GET));
}

#[tokio::test]
async fn nobody_waits_for_an_inventory_for_longer_than_its_limit() {
    let limits = Limits {
        body: Duration::from_millis(50),
        ..unhurried()
    };
    let api = Api::serve(limits, None, Caller::nobody().door(&[]), commands).await;
    api.probe.holds_inventories.store(true, Ordering::SeqCst);
    let header = Caller::with_secret(SECRET).header;
    let second = async {
        api.probe.begun().await;
        let answer = api.ask("GET", "/v1/inventory", &header, "").await;
        api.probe.release.cancel();
        answer.status
    };
    let (first, second) = tokio::join!(api.ask("GET", "/v1/inventory", &header, ""), second);
    assert_eq!((first.status, second), (200, 503));
}
