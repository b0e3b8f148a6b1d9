//! Ironic → agent: each recorded conversation over the API.

use super::agents::{Agent, Kind};
use super::placeholders::Run;
use super::recording::{self, Answer, Conversation, Exchange, Request};
use serde_json::Value;
use std::collections::BTreeSet;
use support::conductor::TOKEN;
use support::process::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The folder of the recordings.
pub(crate) const FOLDER: &str = "commanded";

#[tokio::test]
async fn ferrite_answers_as_recorded() {
    let mut exchanges = 0;
    let mut faults = Vec::new();
    let mut all = JoinSet::new();
    for (name, conversation) in recording::all::<Conversation>(FOLDER) {
        all.spawn(async {
            let answers = hold(Kind::Ferrite, &conversation).await;
            (name, conversation, answers)
        });
    }
    for (name, conversation, answers) in all.join_all().await {
        for (exchange, answer) in conversation.exchanges.iter().zip(&answers) {
            exchanges += 1;
            faults.extend(
                exchange
                    .answers
                    .fault()
                    .map(|fault| told(&name, exchange, fault)),
            );
            if exchange.answers.expected() != Some(answer) {
                let told_now = format!("is answered otherwise now: {answer:#?}");
                faults.push(told(&name, exchange, &told_now));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(exchanges >= 60, "{exchanges}");
}

/// A fault of an exchange, for people.
pub(crate) fn told(name: &str, exchange: &Exchange, fault: &str) -> String {
    let Request { method, target, .. } = &exchange.request;
    format!("{name}: {method} {target} ({}) {fault}", exchange.mirrors)
}

/// Holds a conversation with an agent of its own: the answers in their order.
pub(crate) async fn hold(kind: Kind, conversation: &Conversation) -> Vec<Answer> {
    let agent = Agent::start(kind, &conversation.options).await;
    let mut run = Run {
        port: agent.port,
        ids: BTreeSet::new(),
    };
    let mut latest = String::new();
    let mut answers = Vec::new();
    for exchange in &conversation.exchanges {
        let target = &exchange.request.target;
        let sent = target.replace("{token}", TOKEN).replace("{id}", &latest);
        let answer = within(target, ask(agent.port, &exchange.request, &sent)).await;
        if let Some(id) = answer.body.get("id").and_then(Value::as_str)
            && answer.status == 200
            && id != "v1"
        {
            id.clone_into(&mut latest);
        }
        answers.push(run.settled(answer, &exchange.masked));
    }
    answers
}

/// One request on a connection of its own.
async fn ask(port: u16, request: &Request, target: &str) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let body = match (&request.json, &request.text) {
        (Some(json), _) => json.to_string(),
        (None, Some(text)) => text.clone(),
        (None, None) => String::new(),
    };
    let mut head = format!("{} {target} HTTP/1.1\r\n", request.method);
    if !request.headers.contains_key("Host") {
        head.push_str(&format!("Host: 127.0.0.1:{port}\r\n"));
    }
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    let text = match &request.raw {
        Some(raw) => raw.clone(),
        None => format!("{head}\r\n{body}"),
    };
    stream.write_all(text.as_bytes()).await.unwrap();
    read(&mut stream, &request.method).await
}

async fn read(stream: &mut TcpStream, method: &str) -> Answer {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        let more = stream.read_buf(&mut bytes).await.unwrap();
        assert_ne!(more, 0, "no answer: {:?}", String::from_utf8_lossy(&bytes));
    };
    let head = String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    if method != "HEAD" {
        let length = length.unwrap().1.parse().unwrap();
        while bytes.len() < length {
            assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
        }
    }
    let text = || Value::from(String::from_utf8_lossy(&bytes));
    Answer {
        status: status.parse().unwrap(),
        body: serde_json::from_slice(&bytes).unwrap_or_else(|_| text()),
        headers: headers
            .into_iter()
            .filter(|(name, _)| HEADERS.contains(&name.as_str()))
            .map(|(name, value)| match name.as_str() {
                "allow" => (name, sorted(&value)),
                _ => (name, value),
            })
            .collect(),
    }
}

/// A list without its order: IPA's comes from a set, and changes from start to start.
fn sorted(list: &str) -> String {
    let mut words: Vec<_> = list.split(", ").collect();
    words.sort_unstable();
    words.join(", ")
}

/// The headers that say something: lengths and the date do not.
const HEADERS: [&str; 6] = [
    "allow",
    "connection",
    "content-type",
    "location",
    "server",
    "www-authenticate",
];
