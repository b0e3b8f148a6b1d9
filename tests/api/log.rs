//! What the log says of a request, and what it never says.

use super::callers::{Caller, SECRET};
use super::harness::{Api, Client, Door, TOKEN};
use serde_json::json;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Every event of this thread, one line each: fields in their order.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Milliseconds are nobody's to foresee.
        if field.name() != "ms" {
            write!(self.0, "{}={value:?} ", field.name()).unwrap();
        }
    }
}

impl Lines {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_request_is_one_line_without_the_token() {
    let lines = Lines::default();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let api = Api::start().await;
    api.get(&format!("/v1/commands/?agent_token={TOKEN}&wait=true"))
        .await;
    let mut proxied: Client<_> = api.connect().await;
    proxied
        .write("GET /nothing HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7, 10.0.0.1\r\n\r\n")
        .await;
    proxied.answer("GET").await.unwrap();
    assert_eq!(
        lines.all(),
        [
            "message=Answered a request client=127.0.0.1 method=GET target=\"/v1/commands/?agent_token=***&wait=true\" status=200 ",
            "message=Answered a request client=127.0.0.1 forwarded_for=192.0.2.7 method=GET target=\"/***\" status=404 ",
        ]
    );
}

#[tokio::test]
async fn wrong_tokens_are_counted_in_the_log_and_do_not_fill_it() {
    let lines = Lines::default();
    let usual = lines.clone().with_filter(LevelFilter::INFO);
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(usual));
    let api = Api::start().await;
    for _ in 0..100 {
        let refused = api.get("/v1/commands/?agent_token=wrong").await;
        assert_eq!(refused.status, 401);
        api.get("/nothing").await;
        let mut client = api.connect().await;
        client.write("nonsense\r\n\r\n").await;
        client.closed().await;
    }
    let told = |message: &str| {
        let lines = lines.all();
        let told = lines.iter().filter(|line| line.contains(message));
        let times = |line: &String| {
            let (_, after) = line.split_once(" times=").unwrap();
            after.split(' ').next().unwrap().parse::<u32>().unwrap()
        };
        told.map(times).collect::<Vec<_>>()
    };
    let doublings = [1, 2, 4, 8, 16, 32, 64];
    assert_eq!(
        told("Refused a caller without a right credential client=127.0.0.1"),
        doublings
    );
    assert_eq!(
        told("Ended a stranger's connection client=127.0.0.1"),
        doublings
    );
    assert_eq!(lines.all().len(), 14);
}

/// As many as left nothing else in a ring of 2 MiB.
const FLOOD: usize = 22_000;

/// Sends requests, many at a time over each connection, and reads all answers.
async fn flood(api: &Api, request: &str, closing: &str) {
    const BATCH: usize = 100;
    let batch = request.repeat(BATCH - 1) + closing;
    let mut answered = 0;
    while answered < FLOOD {
        let mut client = api.connect().await;
        let (mut reader, mut writer) = client.0.split();
        let mut answers = Vec::new();
        // The agent ends a connection whose buffer grew over what came at once: what was not read then is lost.
        let (_sent, _read) = tokio::join!(
            writer.write_all(batch.as_bytes()),
            reader.read_to_end(&mut answers)
        );
        let answers = String::from_utf8(answers).unwrap();
        let more = answers.matches("HTTP/1.1 ").count();
        assert_ne!(more, 0);
        answered += more;
    }
}

#[tokio::test]
async fn requests_without_a_credential_do_not_displace_what_the_log_holds() {
    for (level, most) in [(LevelFilter::INFO, 20), (LevelFilter::DEBUG, 500)] {
        let lines = Lines::default();
        let filtered = lines.clone().with_filter(level);
        let _guard =
            tracing::subscriber::set_default(tracing_subscriber::registry().with(filtered));
        let api = Api::start().await;
        for target in ["/v1/status", "/", "/nothing"] {
            let get = |connection: &str| {
                format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n")
            };
            flood(&api, &get("keep-alive"), &get("close")).await;
        }
        // The conductor's requests are logged as ever.
        api.list().await;
        let lines = lines.all();
        assert!(lines.len() <= most, "{level}: {} lines", lines.len());
        let last = "message=Answered a request client=127.0.0.1 method=GET target=\"/v1/commands/?agent_token=***\" status=200 ";
        assert_eq!(lines.last().map(String::as_str), Some(last));
    }
}

#[tokio::test]
async fn requests_of_an_observer_are_logged_and_do_not_displace_what_the_log_holds() {
    let lines = Lines::default();
    let filtered = lines.clone().with_filter(LevelFilter::INFO);
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(filtered));
    let api = Api::behind(Caller::nobody().door(&[])).await;
    let header = Caller::with_secret(SECRET).header;
    let get = |connection: &str| {
        format!("GET /v1/commands/ HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n{header}\r\n")
    };
    flood(&api, &get("keep-alive"), &get("close")).await;
    for _ in 0..1000 {
        let refused = api.ask("POST", "/v1/commands/", &header, "").await;
        assert_eq!(refused.status, 403);
    }
    api.list().await;
    let lines = lines.all();
    assert!(lines.len() <= 500, "{} lines", lines.len());
    let answered = "message=Answered a request client=127.0.0.1 caller=\"observer\" method=GET target=\"/v1/commands/\" status=200 ";
    assert_eq!(lines[0], answered);
    let list = lines.last().unwrap();
    assert!(
        list.contains("agent_token=***") && !list.contains("caller="),
        "{list}"
    );
}

/// A runtime of one thread, whose helpers tell their events to the same lines as the test.
fn runtime_telling(lines: &Lines) -> Runtime {
    let filtered = lines.clone().with_filter(LevelFilter::INFO);
    let told = tracing::Dispatch::new(tracing_subscriber::registry().with(filtered));
    let here = tracing::dispatcher::set_default(&told);
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().on_thread_start(move || {
        std::mem::forget(tracing::dispatcher::set_default(&told));
    });
    std::mem::forget(here);
    runtime.build().unwrap()
}

#[test]
fn commands_of_users_are_logged_and_do_not_displace_what_the_log_holds() {
    let lines = Lines::default();
    runtime_telling(&lines).block_on(async {
        let api = Api::behind(Caller::nobody().door(&[(
            ferrite::policy::names::COMMAND_RUN,
            "rule:agent_admin or role:observer",
        )]))
        .await;
        let header = Caller::with_secret(SECRET).header;
        let unknown = "\u{1}".repeat(250);
        let mut clients = Vec::new();
        for (name, status) in [
            ("test.text", 200),
            ("test.fail", 200),
            (&format!("test.{unknown}"), 400),
        ] {
            let body = json!({"name": name, "params": {}}).to_string();
            let length = body.len();
            let mut client = api.connect().await;
            for _ in 0..100 {
                let head = format!("POST /v1/commands/ HTTP/1.1\r\nHost: a\r\n{header}");
                let post = format!("{head}Content-Length: {length}\r\n\r\n{body}");
                client.write(post).await;
                let answer = client.answer("POST").await.unwrap();
                assert_eq!(answer.status, status, "{name:?}");
            }
            clients.push(client);
        }
        let told = lines.all();
        let of = |message: &str| {
            let begin = format!("message={message} ");
            let found = told.iter().filter(move |line| line.starts_with(&begin));
            found.count()
        };
        let (started, failed) = (of("Started a command"), of("A command failed"));
        assert!((1..=60).contains(&started), "{started} are told of");
        assert_eq!(of("Finished a command") + failed, started);
        assert!(told.len() <= 400, "{} lines", told.len());

        // The conductor's are told of as ever.
        for _ in 0..100 {
            api.run("test.text", json!({}), "true").await;
        }
        let ours = &lines.all()[told.len()..];
        let started = ours
            .iter()
            .filter(|line| line.contains("Started a command"));
        assert_eq!((started.count(), ours.len()), (100, 300));
    });
}

#[test]
fn of_what_a_user_sends_the_log_repeats_little() {
    let lines = Lines::default();
    runtime_telling(&lines).block_on(async {
        let api = Api::behind(Caller::nobody().door(&[(
            ferrite::policy::names::COMMAND_RUN,
            "rule:agent_admin or role:observer",
        )]))
        .await;
        let header = Caller::with_secret(SECRET).header;
        let name = "\u{1}".repeat(250);
        let body = json!({"name": format!("test.{name}"), "params": {}}).to_string();
        let answer = api.ask("POST", "/v1/commands/", &header, &body).await;
        let told = format!("Invalid command: Unknown command: {name}");
        assert_eq!(answer.fault(), (400, told));
        let escaped = "\\u{1}".repeat(59);
        let reason = format!("Invalid command: Unknown command: {}…", "\u{1}".repeat(222));
        assert_eq!(
            lines.all()[0],
            format!("message=Refused a command command=\"test.{escaped}…\" reason={reason} ")
        );
    });
}

#[tokio::test]
async fn of_a_step_that_a_default_rule_refuses_the_log_repeats_little() {
    let lines = Lines::default();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "default: \"rule:agent_admin\"\n").unwrap();
    let technician = "rule:agent_admin or role:observer";
    let rules = [
        (ferrite::policy::names::COMMAND_RUN, technician),
        ("baremetal:agent:command:test.text", technician),
    ];
    let api = Api::behind(Door {
        file: Some(file.path().to_owned()),
        ..Caller::nobody().door(&rules)
    })
    .await;
    let header = Caller::with_secret(SECRET).header;
    let step = json!({"step": {"step": "x".repeat(500_000)}});
    let flow = json!({"flow": [{"test.text": step}]});
    for params in [step, flow] {
        let body = json!({"name": "test.text", "params": params}).to_string();
        let answer = api.ask("POST", "/v1/commands/", &header, &body).await;
        assert_eq!(answer.status, 403);
        let told = lines.all().concat();
        assert!(told.contains("reason=baremetal:agent:step:xxx"), "{told}");
        let held: usize = lines.all().iter().map(String::len).sum();
        assert!(held < 2_000, "{held} bytes of lines");
    }
}

#[tokio::test]
async fn of_a_strangers_method_the_log_repeats_little() {
    let lines = Lines::default();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let api = Api::start().await;
    let method = "A".repeat(30_000);
    let answer = api.request(&method, "/v1/commands/", "").await;
    assert_eq!(answer.status, 405);
    assert_eq!(
        lines.all(),
        [
            "message=Answered a request client=127.0.0.1 method=AAAAAAAAAAAAAAAA… target=\"/v1/commands/\" status=405 "
        ]
    );
}

#[tokio::test]
async fn the_client_is_who_connected_and_what_a_proxy_says_is_another_field() {
    let lines = Lines::default();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let api = Api::start().await;
    let mut expected = Vec::new();
    for (headers, forwarded_for) in [
        (
            "X-Forwarded-For: 192.0.2.7 , 10.0.0.1\r\n",
            Some("192.0.2.7"),
        ),
        ("X-Real-IP: 192.0.2.8\r\n", Some("192.0.2.8")),
        (
            "X-Real-IP: 192.0.2.8\r\nX-Forwarded-For: 2001:db8::1\r\n",
            Some("2001:db8::1"),
        ),
        ("X-Forwarded-For: 192.0.2.7:80\r\n", None),
        ("X-Forwarded-For: status=200 client=x\r\n", None),
        ("X-Forwarded-For: \u{1b}[2J\u{e9}\r\n", None),
        ("X-Forwarded-For:\r\n", None),
        (
            &format!("X-Forwarded-For: {}\r\n", "1".repeat(20_000)),
            None,
        ),
    ] {
        let mut proxied = api.connect().await;
        proxied
            .write(format!("GET /status HTTP/1.1\r\nHost: a\r\n{headers}\r\n"))
            .await;
        if proxied.answer("GET").await.unwrap().status == 200 {
            let forwarded = forwarded_for.map(|address| format!("forwarded_for={address} "));
            let forwarded = forwarded.unwrap_or_default();
            expected.push(format!(
                "message=Answered a request client=127.0.0.1 {forwarded}method=GET target=\"/status\" status=200 "
            ));
        }
    }
    let answered: Vec<_> = lines
        .all()
        .into_iter()
        .filter(|line| line.contains("Answered"))
        .collect();
    assert_eq!(answered, expected);
    assert!(expected.len() >= 7);
}

#[tokio::test]
async fn no_line_ever_holds_a_token_or_a_parameter() {
    let lines = Lines::default();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let body = json!({"name": "test.echo", "params": {"password": TOKEN}}).to_string();
    for query in [
        format!("agent_token={TOKEN}"),
        format!("agent_token=wrong&agent_token={TOKEN}"),
        format!("agent%5Ftoken={TOKEN}"),
        format!("token={TOKEN}"),
        TOKEN.to_owned(),
        format!("wait={TOKEN}"),
        format!("agent_token={TOKEN}x"),
    ] {
        // One API for each: it logs no more than so many requests of strangers.
        let api = Api::start().await;
        let misplaced = format!("/v1/commands/{TOKEN}");
        for target in ["/v1/commands/", "/commands", "/nothing", &misplaced] {
            for method in ["GET", "POST", "DELETE"] {
                api.request(method, &format!("{target}?{query}"), &body)
                    .await;
            }
        }
    }
    let lines = lines.all();
    assert!(lines.len() >= 84);
    let held: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("canary"))
        .collect();
    assert!(held.is_empty(), "{held:?}");
}
