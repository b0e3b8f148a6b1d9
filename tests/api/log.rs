//! What the log says of a request, and what it never says.

use super::harness::{Api, Client, TOKEN};
use serde_json::json;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
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
            "message=Answered a request client=192.0.2.7 method=GET target=\"/***\" status=404 ",
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

#[tokio::test]
async fn the_client_is_who_a_proxy_says_or_who_connected() {
    let lines = Lines::default();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let api = Api::start().await;
    let mut expected = Vec::new();
    for (headers, client) in [
        ("X-Forwarded-For: 192.0.2.7 , 10.0.0.1\r\n", "192.0.2.7"),
        ("X-Real-IP: 192.0.2.8\r\n", "192.0.2.8"),
        (
            "X-Real-IP: 192.0.2.8\r\nX-Forwarded-For: 2001:db8::1\r\n",
            "2001:db8::1",
        ),
        ("X-Forwarded-For: 192.0.2.7:80\r\n", "127.0.0.1"),
        ("X-Forwarded-For: status=200 client=x\r\n", "127.0.0.1"),
        ("X-Forwarded-For: \u{1b}[2J\u{e9}\r\n", "127.0.0.1"),
        ("X-Forwarded-For:\r\n", "127.0.0.1"),
        (
            &format!("X-Forwarded-For: {}\r\n", "1".repeat(20_000)),
            "127.0.0.1",
        ),
    ] {
        let mut proxied = api.connect().await;
        proxied
            .write(format!("GET /status HTTP/1.1\r\nHost: a\r\n{headers}\r\n"))
            .await;
        if proxied.answer("GET").await.unwrap().status == 200 {
            expected.push(format!(
                "message=Answered a request client={client} method=GET target=\"/status\" status=200 "
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
    let api = Api::start().await;
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
