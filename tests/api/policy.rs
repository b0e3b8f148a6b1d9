//! What rules do to an answer: who is refused and how, what everybody may read, who sees secrets.

use super::callers::{Caller, SECRET};
use super::harness::{Api, Door, TOKEN};
use ferrite::policy::names::{
    COMMAND_GET, COMMAND_LIST, COMMAND_RUN, INVENTORY_GET, LOG_GET, SECRETS_SHOW, STATUS_GET,
};
use serde_json::{Value, json};

const POST: &str = r#"{"name": "test.text", "params": {}}"#;

async fn behind(rules: &[(&'static str, &'static str)]) -> Api {
    Api::behind(Caller::nobody().door(rules)).await
}

async fn observed(api: &Api, method: &str, path: &str, body: &str) -> super::harness::Answer {
    let observer = Caller::with_secret(SECRET);
    api.ask(method, path, &observer.header, body).await
}

fn denied(rule: &str) -> (u16, String) {
    let sentence = "403 Forbidden: Access was denied to the following resource: ";
    (403, format!("{sentence}{rule}"))
}

#[tokio::test]
async fn an_observer_reads_everything_but_secrets_and_runs_nothing() {
    let api = behind(&[]).await;
    let run = api
        .run("test.echo", json!({"password": "hush", "a": 1}), "true")
        .await;
    let run = run.json();
    assert_eq!(run["command_result"], json!({"password": "******", "a": 1}));
    let id = run["id"].as_str().unwrap();
    let list = observed(&api, "GET", "/v1/commands/", "").await.json();
    assert_eq!(list, json!({ "commands": [run] }));
    let one = observed(&api, "GET", &format!("/v1/commands/{id}"), "").await;
    assert_eq!(one.json(), run);
    let inventory = observed(&api, "GET", "/v1/inventory", "").await;
    assert_eq!(inventory.json(), json!({"hostname": "tested"}));
    let log = observed(&api, "GET", "/v1/log", "").await;
    assert_eq!(
        log.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(log.body, b"a line\n");
    let answer = observed(&api, "POST", "/v1/commands/", POST).await;
    assert_eq!(answer.fault(), denied(COMMAND_RUN));
    assert_eq!(api.states().await.len(), 1);
}

#[tokio::test]
async fn a_refused_callers_body_is_never_waited_for() {
    let api = behind(&[]).await;
    let mut client = api.connect().await;
    client
        .write(format!(
            "POST /v1/commands/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {SECRET}\r\nContent-Length: 1000000\r\n\r\n"
        ))
        .await;
    let answer = client.answer("POST").await.unwrap();
    assert_eq!(answer.fault(), denied(COMMAND_RUN));
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn the_first_credential_that_is_shown_decides() {
    let api = behind(&[]).await;
    let (right, wrong) = (
        format!("Authorization: Bearer {SECRET}\r\n"),
        "Authorization: Bearer wrong\r\n".to_owned(),
    );
    for (query, header, status) in [
        (format!("?agent_token={TOKEN}"), &wrong, 200),
        ("?agent_token=wrong".to_owned(), &right, 401),
        (String::new(), &right, 200),
        (
            String::new(),
            &format!("{right}X-Auth-Token: wrong\r\n"),
            200,
        ),
        (
            String::new(),
            &format!("{wrong}X-Auth-Token: wrong\r\n"),
            401,
        ),
        (
            String::new(),
            &"Authorization: Basic eDp5\r\n".to_owned(),
            401,
        ),
    ] {
        let target = format!("/v1/commands/{query}");
        let answer = api.ask("GET", &target, header, "").await;
        assert_eq!(answer.status, status, "{query} {header}");
    }
}

#[tokio::test]
async fn without_a_hash_no_bearer_is_let_in() {
    let api = Api::start().await;
    for secret in ["", SECRET, TOKEN] {
        let header = format!("Authorization: Bearer {secret}\r\n");
        let answer = api.ask("GET", "/v1/commands/", &header, "").await;
        assert_eq!(
            answer.fault(),
            (401, "401 Unauthorized: Token invalid.".to_owned())
        );
    }
}

#[tokio::test]
async fn a_read_that_a_rule_opens_shows_strangers_no_results() {
    let api = behind(&[(COMMAND_GET, "@"), (LOG_GET, "@"), (INVENTORY_GET, "")]).await;
    let run = api.run("test.echo", json!({"a": 1}), "true").await.json();
    let path = format!("/v1/commands/{}", run["id"].as_str().unwrap());
    assert_eq!(
        api.get(&path).await.json(),
        json!({"command_name": "echo", "command_status": "SUCCEEDED", "command_error": null, "command_result": null})
    );
    assert_eq!(api.get("/v1/log").await.status, 200);
    assert_eq!(api.get("/v1/inventory").await.status, 200);
    assert_eq!(api.get("/v1/commands/").await.status, 401);
    let whole = api.get(&format!("{path}?agent_token={TOKEN}")).await;
    assert_eq!(whole.json(), run);
}

#[tokio::test]
async fn a_document_that_a_rule_closes_is_read_by_whom_it_lets() {
    let api = behind(&[(STATUS_GET, "rule:agent_reader")]).await;
    assert_eq!(api.get("/v1/status").await.status, 401);
    assert_eq!(observed(&api, "GET", "/v1/status", "").await.status, 200);
    let target = format!("/v1/status?agent_token={TOKEN}");
    assert_eq!(api.get(&target).await.status, 200);
    assert_eq!(api.get("/v1/").await.status, 200);
}

#[tokio::test]
async fn a_command_needs_its_own_rule_and_its_steps_too() {
    let api = behind(&[
        (COMMAND_RUN, "rule:agent_admin or role:observer"),
        (
            "baremetal:agent:command:test.text",
            "rule:agent_admin or role:observer",
        ),
        ("baremetal:agent:command:test.later", "rule:agent_admin"),
        ("baremetal:agent:step:wipe", "rule:agent_admin"),
    ])
    .await;
    let body = |name: &str, params: Value| json!({ "name": name, "params": params }).to_string();
    let step = |step: &str| json!({"step": {"step": step}});
    let flow = |name: &str| json!({"flow": [{"test.text": {}, name: {}}]});
    let nested = json!({"flow": [{"test.text": flow("test.later")}]});
    let (allowed, step_rule) = ((200, String::new()), "baremetal:agent:step:wipe");
    let later = "baremetal:agent:command:test.later";
    for (body, expected) in [
        (body("test.text", json!({})), allowed.clone()),
        (body("test.later", json!({})), denied(later)),
        (body("test.text", step("wipe")), denied(step_rule)),
        (body("test.text", step("unknown")), allowed.clone()),
        (body("test.text", flow("test.text")), allowed.clone()),
        (body("test.text", flow("test.later")), denied(later)),
        (body("test.text", nested), denied(later)),
        // What nobody knows has no rule, and is refused by name as ever.
        (
            body("test.nothing", json!({})),
            (400, "Invalid command: Unknown command: nothing".to_owned()),
        ),
    ] {
        let answer = observed(&api, "POST", "/v1/commands/", &body).await;
        let found = match answer.status {
            200 => (200, String::new()),
            _ => answer.fault(),
        };
        assert_eq!(found, expected, "{body}");
    }
}

#[tokio::test]
async fn a_rule_may_compare_a_caller_with_the_nodes_owner() {
    let owners = [(
        COMMAND_LIST,
        "rule:agent_reader or project_id:%(node.owner)s",
    )];
    let mine = [(
        COMMAND_LIST,
        "rule:agent_reader or 'owners-project':%(node.owner)s",
    )];
    let not_mine = Caller::user("project", &["reader"]).await;
    for (rules, status) in [(&owners, 403), (&mine, 200)] {
        let api = Api::behind(not_mine.door(rules)).await;
        let answer = api.ask("GET", "/v1/commands/", &not_mine.header, "").await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn secrets_are_shown_to_whom_the_rule_shows_them_and_to_nobody_else() {
    let api = behind(&[(SECRETS_SHOW, "rule:agent_token")]).await;
    let secrets = json!({"password": "hush", "address": "http://a/?temp_url_sig=hush"});
    let masked = json!({"password": "******", "address": "http://a/?temp_url_sig=******"});
    let run = api.run("test.echo", secrets.clone(), "true").await.json();
    assert_eq!(run["command_result"], secrets);
    assert_eq!(api.list().await["commands"][0]["command_result"], secrets);
    let list = observed(&api, "GET", "/v1/commands/", "").await.json();
    assert_eq!(list["commands"][0]["command_result"], masked);
}

#[tokio::test]
async fn no_rule_lets_a_stranger_run_a_command() {
    let given = vec![(COMMAND_RUN, "@")];
    let error = Door {
        rules: given,
        ..Door::default()
    }
    .refused();
    assert_eq!(
        error,
        "it lets whoever reaches the agent run commands (baremetal:agent:command:run): a command needs a credential, always"
    );
}

/// The policy's check at its loading cannot see it: the rule is passed by everybody where the node has this owner, as the tested
/// machine's has.
#[tokio::test]
async fn a_rule_that_only_a_target_opens_lets_no_stranger_run_a_command() {
    let open = "rule:agent_admin or 'owners-project':%(node.owner)s";
    let rules = [
        (COMMAND_RUN, open),
        ("baremetal:agent:command:test.text", open),
        (LOG_GET, open),
    ];
    let api = behind(&rules).await;
    for query in ["", "?wait=true", "?agent_token="] {
        let answer = api
            .request("POST", &format!("/v1/commands/{query}"), POST)
            .await;
        assert_eq!(
            answer.fault(),
            (401, "401 Unauthorized: Token invalid.".to_owned())
        );
    }
    assert_eq!(api.states().await, []);
    // The rule does open what needs no credential, and commands to who shows one.
    assert_eq!(api.get("/v1/log").await.status, 200);
    let answer = observed(&api, "POST", "/v1/commands/", POST).await;
    assert_eq!(answer.json()["command_status"], "SUCCEEDED");
}
