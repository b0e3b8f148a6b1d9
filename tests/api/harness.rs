//! A served API with a table of test commands, and a client that sees every byte.

use ferrite::api::{self, Authenticator, Authorizer, Limits, Resources, State};
use ferrite::command::{Command, CommandSpec, Dispatcher, Job, Mode, Params};
use ferrite::config::Sha256Digest;
use ferrite::error::{AgentError, ErrorClass};
use ferrite::keystone::Keystone;
use ferrite::policy::{self, Attributes, Enforcer};
use ferrite::progress::Cancel;
use ferrite::secret::{AgentToken, CurrentToken};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

pub(crate) const TOKEN: &str = "canary-0123456789abcdefghijklmnopqrstuvwxyzABC";
pub(crate) const STARTED_AT: Duration = Duration::from_millis(1_700_000_000_250);

/// An API that serves until dropped.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) probe: Arc<Probe>,
    pub(crate) policy: Arc<Enforcer>,
    pub(crate) cancel: CancellationToken,
    pub(crate) server: JoinSet<()>,
}

/// Who is let in, and to what.
pub(crate) struct Door<'a> {
    pub(crate) token: Option<&'a str>,
    pub(crate) observer: Option<Sha256Digest>,
    pub(crate) keystone: Option<Arc<Keystone>>,
    /// In the place of built-in rules.
    pub(crate) rules: Vec<(&'static str, &'static str)>,
    /// A policy file.
    pub(crate) file: Option<PathBuf>,
}

impl Default for Door<'_> {
    fn default() -> Self {
        Self {
            token: Some(TOKEN),
            observer: None,
            keystone: None,
            rules: Vec::new(),
            file: None,
        }
    }
}

impl Door<'_> {
    fn policy(&self) -> Enforcer {
        self.load().unwrap()
    }

    /// Why such rules are refused.
    pub(crate) fn refused(&self) -> String {
        self.load().unwrap_err().to_string()
    }

    fn load(&self) -> Result<Enforcer, policy::Error> {
        let settings = policy::Settings {
            option_rules: self.rules.clone(),
            files: Vec::from_iter(self.file.clone()),
            ..policy::Settings::default()
        };
        Enforcer::load(policy::DEFAULTS, settings)
    }
}

/// What the API is about.
#[derive(Debug)]
struct Machine(Arc<Probe>);

impl Resources for Machine {
    fn attributes(&self) -> Attributes {
        Attributes::from_iter([("node.owner".to_owned(), json!("owners-project"))])
    }

    fn inventory(&self) -> Value {
        self.0.inventory()
    }

    fn log(&self) -> String {
        "a line\n".to_owned()
    }
}

/// The usual limits, but a wrong token is answered at once: what slows it down has tests of its own.
pub(crate) fn unhurried() -> Limits {
    Limits {
        failure_delay_max: Duration::ZERO,
        ..Limits::default()
    }
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::start_with(unhurried(), Some(TOKEN), None).await
    }

    pub(crate) async fn limited(limits: Limits) -> Self {
        Self::start_with(limits, Some(TOKEN), None).await
    }

    pub(crate) async fn start_with(
        limits: Limits,
        token: Option<&str>,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let door = Door {
            token,
            ..Door::default()
        };
        Self::serve(limits, tls, door, commands).await
    }

    /// An API with the usual commands behind another door.
    pub(crate) async fn behind(door: Door<'_>) -> Self {
        Self::serve(unhurried(), None, door, commands).await
    }

    pub(crate) async fn serve(
        limits: Limits,
        tls: Option<Arc<ServerConfig>>,
        door: Door<'_>,
        commands: impl FnOnce(&Arc<Probe>) -> Vec<Command>,
    ) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        // As the agent does.
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();
        let probe = Arc::new(Probe::default());
        let dispatcher = Dispatcher::new(commands(&probe));
        let policy = Arc::new(door.policy());
        dispatcher.retain_secrets(!policy.always_denies(policy::names::SECRETS_SHOW));
        let state = State {
            dispatcher: dispatcher.clone(),
            gate: Authorizer {
                credentials: Authenticator {
                    token: CurrentToken::new(door.token.map(agent_token)),
                    observer: door.observer,
                    keystone: door.keystone,
                },
                policy: Arc::clone(&policy),
                subject: Arc::new(Machine(Arc::clone(&probe))),
            },
            started_at: STARTED_AT,
            version: "13.0.0",
        };
        let cancel = CancellationToken::new();
        let mut server = JoinSet::new();
        server.spawn(api::serve_within(
            limits,
            listener,
            tls,
            state,
            cancel.clone(),
        ));
        Self {
            address,
            dispatcher,
            probe,
            policy,
            cancel,
            server,
        }
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) async fn request(&self, method: &str, target: &str, body: &str) -> Answer {
        let mut client = self.connect().await;
        client.send(method, target, body).await;
        client.answer(method).await.unwrap()
    }

    /// One request with a header of its own, on a connection of its own.
    pub(crate) async fn ask(&self, method: &str, target: &str, header: &str, body: &str) -> Answer {
        let mut client = self.connect().await;
        let length = body.len();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: agent.example:9999\r\n{header}");
        let request = format!("{head}Content-Length: {length}\r\n\r\n{body}");
        client.write(request).await;
        client.answer(method).await.unwrap()
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.request("GET", target, "").await
    }

    /// The command list, with the token.
    pub(crate) async fn list(&self) -> Value {
        let answer = self
            .get(&format!("/v1/commands/?agent_token={TOKEN}"))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Runs a command, with the token.
    pub(crate) async fn run(&self, name: &str, params: Value, wait: &str) -> Answer {
        let target = format!("/v1/commands/?wait={wait}&agent_token={TOKEN}");
        let body = json!({ "name": name, "params": params }).to_string();
        self.request("POST", &target, &body).await
    }

    /// The list's names and states.
    pub(crate) async fn states(&self) -> Vec<(String, String)> {
        let list = self.list().await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let commands = list["commands"].as_array().unwrap();
        let state = |command: &Value| {
            (
                text(&command["command_name"]),
                text(&command["command_status"]),
            )
        };
        commands.iter().map(state).collect()
    }
}

/// A connection.
pub(crate) struct Client<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn send(&mut self, method: &str, target: &str, body: &str) {
        let length = body.len();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: agent.example:9999\r\n");
        self.write(format!("{head}Content-Length: {length}\r\n\r\n{body}"))
            .await;
    }

    /// The next answer; none when the connection ends before one.
    pub(crate) async fn answer(&mut self, method: &str) -> Option<Answer> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
            }
            if self.0.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return None;
            }
        };
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Answer {
            status,
            headers,
            body: bytes,
        };
        let length: usize = answer.header("content-length").unwrap().parse().unwrap();
        while method != "HEAD" && answer.body.len() < length {
            assert_ne!(self.0.read_buf(&mut answer.body).await.unwrap(), 0);
        }
        Some(answer)
    }

    /// Waits until the server closes the connection, and gives what it sent before.
    pub(crate) async fn closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = self.0.read_to_end(&mut rest).await;
        rest
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(found, _)| found == name);
        let first = found.next();
        assert!(found.next().is_none(), "{name} twice: {self:?}");
        first.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert!(self.body.is_ascii());
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status and `faultstring`; the envelope holds nothing else.
    pub(crate) fn fault(&self) -> (u16, String) {
        let body = self.json();
        let code = if self.status < 500 {
            "Client"
        } else {
            "Server"
        };
        let text = body["faultstring"].as_str().unwrap();
        assert_eq!(body, json!({ "faultcode": code, "faultstring": text }));
        (self.status, text.to_owned())
    }
}

/// What the test commands and the test share.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    /// Lets `hold` and `hold_sync` end.
    pub(crate) release: Cancel,
    begun: Begun,
    /// Holds inventories, too, until `release`.
    pub(crate) holds_inventories: AtomicBool,
    /// Inventories that are being collected, and the most of them at a time.
    inventories: AtomicUsize,
    pub(crate) most_inventories: AtomicUsize,
}

#[derive(Debug)]
struct Begun(Semaphore);

impl Default for Begun {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Probe {
    /// Waits until a holding command has begun.
    pub(crate) async fn begun(&self) {
        self.begun.0.acquire().await.unwrap().forget();
    }

    fn inventory(&self) -> Value {
        let at_a_time = self.inventories.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_inventories.fetch_max(at_a_time, Ordering::SeqCst);
        if self.holds_inventories.load(Ordering::SeqCst) {
            self.hold(&self.release).unwrap();
        }
        self.inventories.fetch_sub(1, Ordering::SeqCst);
        json!({"hostname": "tested"})
    }

    fn hold(&self, release: &Cancel) -> Result<Value, AgentError> {
        self.begun.0.add_permits(1);
        assert!(
            release.wait(Duration::from_secs(60)),
            "nobody let the command end"
        );
        Ok(json!("released"))
    }
}

/// The usual commands.
pub(crate) fn commands(probe: &Arc<Probe>) -> Vec<Command> {
    COMMANDS.iter().map(|spec| spec.bind(probe)).collect()
}

const COMMANDS: &[CommandSpec<Probe>] = &[
    command("echo", Mode::Sync, |_, params, _| Ok(Value::Object(params))),
    command("text", Mode::Sync, |_, _, _| Ok(json!("hello"))),
    command("later", Mode::Async, |_, _, _| Ok(json!("hello"))),
    command("null", Mode::Async, |_, _, _| Ok(Value::Null)),
    command("hold", Mode::Async, |probe, _, job: &Job| {
        job.progress.phase("writing", Some(1000));
        job.progress.bytes(250);
        probe.hold(&probe.release)
    }),
    command("hold_sync", Mode::Sync, |probe, _, _| {
        probe.hold(&probe.release)
    }),
    command("until_cancelled", Mode::Async, |probe, _, job| {
        probe.hold(&job.cancel)
    }),
    command("panic", Mode::Sync, |_, _, _| panic!("a secret {}", "word")),
    command("panic_later", Mode::Async, |_, _, _| {
        panic!("a secret word")
    }),
    command("fail", Mode::Sync, |_, _, _| {
        Err(AgentError::new(
            ErrorClass::CleaningError,
            "no such step: é",
        ))
    }),
    command("mismatch", Mode::Async, |_, _, _| {
        Err(AgentError::new(ErrorClass::VersionMismatch, "1.1"))
    }),
    CommandSpec {
        validate: |_, params| match params.contains_key("size") {
            true => Ok(()),
            false => Err(AgentError::new(
                ErrorClass::InvalidCommandParamsError,
                "size is missing",
            )),
        },
        ..command("strict", Mode::Async, |_, _, _| Ok(Value::Null))
    },
    CommandSpec {
        validate: |_, _| panic!("a secret word"),
        ..command("panic_early", Mode::Sync, |_, _, _| Ok(Value::Null))
    },
];

type Run = fn(&Probe, Params, &Job) -> Result<Value, AgentError>;

const fn command(name: &'static str, mode: Mode, run: Run) -> CommandSpec<Probe> {
    CommandSpec {
        extension: "test",
        name,
        mode,
        is_read_by_ironic: false,
        validate: |_, _| Ok(()),
        run,
    }
}

fn agent_token(text: &str) -> Arc<AgentToken> {
    Arc::new(AgentToken::from_operator(text.into()).unwrap())
}
