//! Ironic's API, as an operator uses it; and what only a test may know: the agent's token from Ironic's database.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::blocking::{Client as Http, RequestBuilder};
use reqwest::{Certificate, StatusCode};
use serde_json::{Value, json};

use super::caller::Caller;
use super::identity::Login;
use super::parts::Parts;
use super::process::{program, run};
use super::watchdog::Watchdog;

/// A client of one Ironic.
#[derive(Clone, Debug)]
pub struct Client {
    http: Http,
    url: String,
    login: Option<Login>,
    python: PathBuf,
    database: PathBuf,
}

/// A node that Ironic knows.
#[derive(Clone, Debug)]
pub struct Node {
    client: Client,
    /// Ironic's identifier.
    pub uuid: String,
    /// What the scenario calls it.
    pub name: String,
    /// Of the machine behind it, where that has a console.
    watchdog: Option<Arc<Watchdog>>,
}

impl Client {
    /// A client that trusts the authority given, in PEM, if one is given, and shows tokens if it can log in.
    pub fn new(
        url: &str,
        authority: Option<&str>,
        login: Option<Login>,
        parts: &Parts,
        database: &Path,
    ) -> Result<Self> {
        Ok(Self {
            http: http(authority)?,
            url: url.into(),
            login,
            python: parts.ironic("python"),
            database: database.into(),
        })
    }

    /// Whether the API answers and a conductor has registered its drivers.
    pub(crate) fn has_conductor(&self) -> bool {
        self.request(|http, url| http.get(format!("{url}/v1/drivers")))
            .is_ok_and(|answer| {
                answer["drivers"]
                    .as_array()
                    .is_some_and(|list| !list.is_empty())
            })
    }

    /// The oldest and the newest version of the API that it offers.
    pub fn versions(&self) -> Result<(String, String)> {
        let root = self.request(|http, url| http.get(url))?;
        let version = &root["default_version"];
        Ok((text(version, "min_version"), text(version, "version")))
    }

    /// A stranger to the same API.
    pub fn caller(&self) -> Caller {
        Caller::with(self.http.clone(), &self.url)
    }

    /// Creates a node with one port, takes it to `manageable`, and returns it.
    pub(crate) fn enroll(&self, description: &Value, mac: &str) -> Result<Node> {
        let created =
            self.request(|http, url| http.post(format!("{url}/v1/nodes")).json(description))?;
        let node = Node {
            client: self.clone(),
            uuid: text(&created, "uuid"),
            name: text(&created, "name"),
            watchdog: None,
        };
        let port = json!({"node_uuid": node.uuid, "address": mac});
        self.request(|http, url| http.post(format!("{url}/v1/ports")).json(&port))?;
        node.provision("manage", &json!({}))?;
        node.watch("manageable", Duration::from_secs(60), &mut |_| Ok(()))?;
        Ok(node)
    }

    /// One request, tried again while Ironic says that it is busy with the node.
    fn request(&self, build: impl Fn(&Http, &str) -> RequestBuilder) -> Result<Value> {
        self.request_while(|| Ok(()), build)
    }

    /// The same, tried again only as long as `check` finds nothing wrong.
    fn request_while(
        &self,
        check: impl Fn() -> Result<()>,
        build: impl Fn(&Http, &str) -> RequestBuilder,
    ) -> Result<Value> {
        let start = Instant::now();
        loop {
            let request = || build(&self.http, &self.url).header(VERSION, "latest");
            let answer = match &self.login {
                None => request().send()?,
                Some(login) => login.send(|token| {
                    let (name, value) = token.header();
                    request().header(name, value)
                })?,
            };
            let (status, url) = (answer.status(), answer.url().clone());
            let body = answer.text()?;
            if status.is_success() {
                return Ok(serde_json::from_str(&body).unwrap_or(Value::Null));
            }
            if status != StatusCode::CONFLICT || start.elapsed() > BUSY {
                bail!("{url} answered {status}: {body}");
            }
            check()?;
            thread::sleep(POLL);
        }
    }
}

impl Node {
    /// From now on all waits for the node watch the console of its machine, too.
    pub(super) fn with_watchdog(self, watchdog: Arc<Watchdog>) -> Self {
        Self {
            watchdog: Some(watchdog),
            ..self
        }
    }

    /// Fails when the machine behind the node cannot come up.
    fn check_machine(&self) -> Result<()> {
        self.watchdog.as_ref().map_or(Ok(()), |dog| dog.check())
    }

    /// The node as the API shows it.
    pub fn show(&self) -> Result<Value> {
        self.client
            .request(|http, url| http.get(format!("{url}/v1/nodes/{}", self.uuid)))
    }

    /// Sets a field, such as `/instance_info` or `/automated_clean`.
    pub fn set(&self, path: &str, value: &Value) -> Result<()> {
        let patch = json!([{"op": "add", "path": path, "value": value}]);
        self.client
            .request(|http, url| {
                http.patch(format!("{url}/v1/nodes/{}", self.uuid))
                    .json(&patch)
            })
            .map(drop)
    }

    /// Asks for a provision state (`active`, `deleted`, …), with further fields of the request.
    pub fn provision(&self, target: &str, more: &Value) -> Result<()> {
        let mut body = json!({"target": target});
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        let check = || self.check_machine();
        self.client
            .request_while(check, |http, url| {
                http.put(format!("{url}/v1/nodes/{}/states/provision", self.uuid))
                    .json(&body)
            })
            .map(drop)
    }

    /// Makes a node that is not to be cleaned available.
    pub fn provide(&self) -> Result<()> {
        self.provision("provide", &json!({}))?;
        self.watch("available", Duration::from_secs(60), &mut |_| Ok(()))
    }

    /// Has Ironic do nothing about the node but hear its agent.
    pub(crate) fn maintain(&self) -> Result<()> {
        self.client
            .request(|http, url| http.put(format!("{url}/v1/nodes/{}/maintenance", self.uuid)))
            .map(drop)
    }

    /// Waits until the node is in a state, telling each change; a failed state ends the wait, and so does a machine that cannot come up.
    pub fn wait_state(&self, wanted: &str, limit: Duration) -> Result<()> {
        self.watch(wanted, limit, &mut |seen| {
            self.tell(&seen);
            Ok(())
        })
    }

    /// Like `wait_state`, handing what is seen to `watcher` instead of telling it.
    pub fn watch(
        &self,
        wanted: &str,
        limit: Duration,
        watcher: &mut dyn FnMut(Seen<'_>) -> Result<()>,
    ) -> Result<()> {
        let start = Instant::now();
        let mut before = String::new();
        loop {
            let node = self.show()?;
            let state = text(&node, "provision_state");
            if state != before {
                watcher(Seen::State(&state))?;
                before.clone_from(&state);
            }
            // While a node is reserved its conductor is not done with it yet.
            let settled = node["reservation"].is_null();
            if state == wanted && settled {
                return Ok(());
            }
            let name = &self.name;
            if FAILED.contains(&state.as_str()) && settled {
                bail!(
                    "{name} is in \"{state}\" instead of \"{wanted}\": {}",
                    self.failure()?
                );
            }
            if start.elapsed() > limit {
                bail!(
                    "{name} is in \"{state}\", not in \"{wanted}\", after {} s",
                    limit.as_secs()
                );
            }
            self.check_machine()
                .with_context(|| format!("{name} is in \"{state}\", not in \"{wanted}\""))?;
            watcher(Seen::Nothing)?;
            thread::sleep(POLL);
        }
    }

    /// Tells a change of state on standard output.
    pub fn tell(&self, seen: &Seen<'_>) {
        if let Seen::State(state) = seen {
            println!("    {}: {state}", self.name);
        }
    }

    /// The node's last error.
    pub fn last_error(&self) -> Result<String> {
        Ok(text(&self.show()?, "last_error"))
    }

    /// Why the node failed: its last error and, since a power-off may have cleared that, the errors in its history.
    pub fn failure(&self) -> Result<String> {
        let mut told = vec![self.last_error()?];
        let uuid = &self.uuid;
        let history = self
            .client
            .request(|http, url| http.get(format!("{url}/v1/nodes/{uuid}/history")))?;
        for event in history["history"].as_array().into_iter().flatten() {
            // The list shortens what the single event tells in full.
            let event = text(event, "uuid");
            let whole = self
                .client
                .request(|http, url| http.get(format!("{url}/v1/nodes/{uuid}/history/{event}")))?;
            told.push(text(&whole, "event"));
        }
        told.retain(|event| !event.is_empty());
        told.dedup();
        Ok(told.join("\n"))
    }

    /// The agent that serves this node at the moment, once it has sent a heartbeat.
    pub fn agent(&self) -> Result<Option<Agent>> {
        let internal = self.internal_info()?;
        let (url, token, authority) = (
            text(&internal, "agent_url"),
            text(&internal, "agent_secret_token"),
            text(&internal, "agent_verify_ca"),
        );
        if url.is_empty() || token.is_empty() || authority.is_empty() {
            return Ok(None);
        }
        // Ironic keeps the certificate in a file whose name is the node's.
        let pem = std::fs::read_to_string(&authority).unwrap_or(authority);
        Ok(Some(Agent {
            http: http(Some(&pem))?,
            url,
            token,
            pregenerated: internal["agent_secret_token_pregenerated"] == true,
        }))
    }

    /// What Ironic keeps of the node and does not show: only its database tells.
    fn internal_info(&self) -> Result<Value> {
        let internal = run(program(&self.client.python)
            .args(["-c", READ_INTERNAL_INFO])
            .arg(&self.client.database)
            .arg(&self.uuid))?;
        serde_json::from_str(&internal).context("Ironic's database holds no JSON")
    }
}

/// What a look at a node shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// The same as before: a moment to look at other things.
    Nothing,
    /// A new provision state.
    State(&'a str),
}

/// The agent's own API, as Ironic uses it.
#[derive(Debug)]
pub struct Agent {
    http: Http,
    url: String,
    token: String,
    /// Whether Ironic made the token before it started the ramdisk (and so handed it over on the media).
    pub pregenerated: bool,
}

impl Agent {
    /// A stranger to this API, who trusts the certificate that Ironic was told of.
    pub fn caller(&self) -> Caller {
        Caller::with(self.http.clone(), &self.url)
    }

    /// What the agent knows its conductor by.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What the agent answers to whoever holds the token, route for route; nothing where it does not answer.
    pub fn tells(&self) -> Vec<(&'static str, Value)> {
        let ask = |route: &'static str| {
            let url = format!("{}{route}?agent_token={}", self.url, self.token);
            let answer = self.http.get(url).send().ok()?;
            Some((route, answer.json::<Value>().ok()?))
        };
        ["/", "/v1/", "/v1/status", "/v1/commands/"]
            .into_iter()
            .filter_map(ask)
            .collect()
    }

    /// Whether somebody listens at the agent's address.
    pub fn answers(&self) -> bool {
        self.http.get(&self.url).send().is_ok()
    }

    /// When the agent started, by its own word.
    pub fn started_at(&self) -> Result<String> {
        let status = self.http.get(format!("{}/v1/status", self.url)).send()?;
        Ok(status.json::<Value>()?["started_at"].to_string())
    }

    /// The agent's commands; nothing while it does not answer.
    pub fn commands(&self) -> Vec<Value> {
        let answer = self
            .http
            .get(format!(
                "{}/v1/commands/?agent_token={}",
                self.url, self.token
            ))
            .send()
            .and_then(reqwest::blocking::Response::json::<Value>);
        match answer {
            Ok(body) => body["commands"].as_array().cloned().unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// The progress that a running command carries in its result, if one does.
    pub fn progress(&self) -> Option<Value> {
        self.commands()
            .into_iter()
            .filter(|command| command["command_status"] == "RUNNING")
            .find_map(|command| command["command_result"]["progress"].as_object().cloned())
            .map(Value::Object)
    }
}

/// A client that trusts this authority alone, in PEM, if one is given.
pub fn http(authority: Option<&str>) -> Result<Http> {
    let builder = match authority {
        None => http_builder(),
        Some(pem) => http_builder().tls_certs_only([Certificate::from_pem(pem.as_bytes())?]),
    };
    Ok(builder.build()?)
}

/// Only for the lab's own servers; no proxy of the caller is asked.
pub fn http_builder() -> reqwest::blocking::ClientBuilder {
    // Set already when another client was made before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Http::builder().no_proxy().timeout(Duration::from_secs(60))
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().into()
}

const READ_INTERNAL_INFO: &str = "import sqlite3, sys
rows = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True, timeout=20).execute(
    'select driver_internal_info from nodes where uuid = ?', (sys.argv[2],))
print(rows.fetchone()[0])";
/// The header that says which version of Ironic's API a request is made for.
pub const VERSION: &str = "X-OpenStack-Ironic-API-Version";
const POLL: Duration = Duration::from_millis(500);
const BUSY: Duration = Duration::from_secs(60);
const FAILED: [&str; 7] = [
    "deploy failed",
    "clean failed",
    "rescue failed",
    "unrescue failed",
    "service failed",
    "inspect failed",
    "error",
];
