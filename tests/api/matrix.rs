//! Who may do what: every kind of caller times every operation, as `tests/fixtures/policy/matrix.txt` says.

use super::callers::{Caller, SECRET};
use super::harness::{Api, Probe, TOKEN, unhurried};
use ferrite::command::{Command, CommandSpec, Mode};
use ferrite::policy::{DEFAULTS, Operation};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

const TABLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/policy/matrix.txt"
);

/// The columns.
async fn callers() -> Vec<(&'static str, Caller)> {
    vec![
        ("nobody", Caller::nobody()),
        ("token", Caller::with_token(TOKEN)),
        ("wrong token", Caller::with_token("wrong")),
        ("secret", Caller::with_secret(SECRET)),
        ("wrong secret", Caller::with_secret("wrong")),
        (
            "system admin",
            Caller::user("system", &["admin", "manager", "member", "reader"]).await,
        ),
        (
            "system member",
            Caller::user("system", &["member", "reader"]).await,
        ),
        ("system reader", Caller::user("system", &["reader"]).await),
        (
            "system observer",
            Caller::user("system", &["observer"]).await,
        ),
        ("system service", Caller::user("system", &["service"]).await),
        (
            "project admin",
            Caller::user("project", &["admin", "manager", "member", "reader"]).await,
        ),
        ("project reader", Caller::user("project", &["reader"]).await),
        (
            "domain admin",
            Caller::user("domain", &["admin", "manager", "member", "reader"]).await,
        ),
        ("no scope", Caller::user("unscoped", &[]).await),
        ("ended", Caller::refused().await),
        ("no Keystone", Caller::unasked()),
        ("Keystone down", Caller::unheard()),
    ]
}

/// A row: what is asked, and with which body.
struct Row {
    name: String,
    method: &'static str,
    path: String,
    body: String,
}

impl Row {
    fn request(method: &'static str, path: &str) -> Self {
        Self {
            name: format!("{method} {path}"),
            method,
            path: path.to_owned(),
            body: String::new(),
        }
    }

    fn command(name: &str, params: &Value, shown: &str) -> Self {
        Self {
            name: shown.to_owned(),
            method: "POST",
            path: "/v1/commands/".to_owned(),
            body: json!({ "name": name, "params": params }).to_string(),
        }
    }
}

/// Every operation that a rule names, and some more.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for of in DEFAULTS.iter().flat_map(|rule| rule.operations) {
        let row = match of {
            Operation::Request {
                method: "GET",
                path,
            } => Row::request("GET", path),
            // Below, with bodies.
            Operation::Request { .. } => continue,
            Operation::Command(name) => Row::command(name, &json!({}), name),
            Operation::Step(step) => {
                let params = json!({"step": {"step": step, "interface": "deploy"}});
                Row::command(
                    "deploy.execute_deploy_step",
                    &params,
                    &format!("step {step}"),
                )
            }
        };
        if rows.iter().all(|known: &Row| known.name != row.name) {
            rows.push(row);
        }
    }
    let flow = json!({"flow": [{"standby.sync": {}}, {"standby.power_off": {}}]});
    rows.extend([
        Row::command("flow.start_flow", &flow, "a flow of two"),
        Row::command("no.such", &json!({}), "no such command"),
        Row {
            name: "a body that is none".to_owned(),
            body: "{".to_owned(),
            ..Row::command("", &json!({}), "")
        },
        Row::request("HEAD", "/v1/commands/"),
        Row::request("HEAD", "/v1/log"),
        Row::request("GET", "/status"),
        Row::request("GET", "/commands/"),
        Row::request("GET", "/v1/nothing"),
        Row::request("DELETE", "/v1/commands/"),
    ]);
    rows
}

/// Commands of the names that rules name, which do nothing.
fn commands(probe: &Arc<Probe>) -> Vec<Command> {
    let names = DEFAULTS.iter().flat_map(|rule| rule.operations);
    let names = names.filter_map(|of| match of {
        Operation::Command(name) => name.split_once('.'),
        Operation::Request { .. } | Operation::Step(_) => None,
    });
    names
        .map(|(extension, name)| {
            let spec = CommandSpec::<Probe> {
                extension,
                name,
                mode: Mode::Sync,
                is_read_by_ironic: false,
                validate: |_, _| Ok(()),
                run: |_, _, _| Ok(Value::Null),
            };
            Box::leak::<'static>(Box::new(spec)).bind(probe)
        })
        .collect()
}

#[tokio::test]
async fn every_caller_may_do_what_the_table_says_and_nothing_else() {
    let rows = rows();
    let mut columns = Vec::new();
    for (name, caller) in callers().await {
        let api = Api::serve(unhurried(), None, caller.door(&[]), commands).await;
        let run = api.run("standby.sync", json!({}), "true").await.json();
        let mut column = vec![name.to_owned()];
        for row in &rows {
            let path = row.path.replace("{id}", run["id"].as_str().unwrap());
            let target = format!("{path}{}", caller.query);
            let answer = api
                .ask(row.method, &target, &caller.header, &row.body)
                .await;
            if answer.status == 403 && row.method != "HEAD" {
                let (_, text) = answer.fault();
                let sentence =
                    "403 Forbidden: Access was denied to the following resource: baremetal:agent:";
                assert!(text.starts_with(sentence), "{name}: {}: {text}", row.name);
            }
            column.push(answer.status.to_string());
        }
        columns.push(column);
    }
    let made = table(&rows, &columns);
    let kept = std::fs::read_to_string(TABLE).unwrap_or_default();
    assert!(
        made == kept,
        "the table says otherwise; this is how it is:\n{made}"
    );
}

/// One line an operation, one column a caller.
fn table(rows: &[Row], columns: &[Vec<String>]) -> String {
    let widest = rows.iter().map(|row| row.name.len()).max().unwrap();
    let names = std::iter::once("").chain(rows.iter().map(|row| row.name.as_str()));
    let mut text = String::new();
    for (number, name) in names.enumerate() {
        let _ = write!(text, "{name:widest$}");
        for column in columns {
            let width = column[0].len();
            let _ = write!(text, " | {:width$}", column[number]);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}
