//! What a stranger, a slow or a greedy caller can take from the agent.

use super::harness::{Api, Client, TOKEN};
use ferrite::api::Limits;
use serde_json::json;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_body_above_the_limit_is_refused_as_soon_as_it_is_known() {
    let api = Api::limited(Limits {
        body_bytes: 1000,
        ..Limits::default()
    })
    .await;
    let target = format!("/v1/commands/?agent_token={TOKEN}");
    let refused = (
        413,
        "413 Payload Too Large: A request body has at most 1000 bytes.".to_owned(),
    );
    for length in ["1001", "18446744073709551613"] {
        let mut client = api.connect().await;
        client
            .write(format!(
                "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
            ))
            .await;
        assert_eq!(client.answer("POST").await.unwrap().fault(), refused);
    }
    // Without a length: when the first byte too much comes.
    let mut client = api.connect().await;
    let piece = format!("{:x}\r\n{}\r\n", 600, "x".repeat(600));
    client
        .write(format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{piece}{piece}"
        ))
        .await;
    let answer = client.answer("POST").await.unwrap();
    assert_eq!(answer.fault(), refused);
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn a_config_drive_of_the_largest_size_fits() {
    let api = Api::start().await;
    let drive = "A".repeat(64 * 1024 * 1024 / 3 * 4);
    let answer = api
        .run(
            "test.strict",
            json!({"size": 1, "configdrive": drive}),
            "true",
        )
        .await;
    assert_eq!(answer.json()["command_status"], "SUCCEEDED");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let api = Api::limited(Limits {
        body: SOON,
        ..Limits::default()
    })
    .await;
    let mut client = api.connect().await;
    client
        .write(format!(
            "POST /v1/commands/?agent_token={TOKEN} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345"
        ))
        .await;
    let answer = client.answer("POST").await.unwrap();
    assert_eq!(
        answer.fault(),
        (
            408,
            "408 Request Timeout: The request body stopped coming.".into()
        )
    );
    assert_eq!(api.states().await, []);
}

#[tokio::test]
async fn a_body_that_breaks_off_runs_nothing() {
    let api = Api::start().await;
    let mut client = api.connect().await;
    let body = r#"{"name": "test.text", "params": {}}"#;
    let length = body.len() + 1;
    client
        .write(format!(
            "POST /v1/commands/?agent_token={TOKEN} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await;
    client.0.shutdown().await.unwrap();
    assert_eq!(
        client.answer("POST").await.unwrap().fault(),
        (400, "400 Bad Request: The request body is broken.".into())
    );
    assert_eq!(api.states().await, []);
}

#[tokio::test]
async fn a_slow_or_idle_caller_is_hung_up_on() {
    let api = Api::limited(Limits {
        head: SOON,
        ..Limits::default()
    })
    .await;
    for begun in [
        "",
        "GET /v1/sta",
        "GET /v1/status HTTP/1.1\r\nHost: a\r\nX: y",
    ] {
        let mut client = api.connect().await;
        client.write(begun).await;
        assert_eq!(client.closed().await, b"", "{begun}");
    }
    let mut idle = api.connect().await;
    idle.send("GET", "/v1/status", "").await;
    assert_eq!(idle.answer("GET").await.unwrap().status, 200);
    assert_eq!(idle.closed().await, b"");
}

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let api = Api::limited(Limits {
        head_bytes: 8192,
        ..Limits::default()
    })
    .await;
    let mut client = api.connect().await;
    let long = "x".repeat(20_000);
    client
        .write(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"))
        .await;
    let answer = client.answer("GET").await.unwrap();
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(
        answer.fault(),
        (
            431,
            "431 Request Header Fields Too Large: The request's head is too large.".into()
        )
    );
    assert_eq!(client.closed().await, b"");
    assert_eq!(api.get("/v1/status").await.status, 200);
}

#[tokio::test]
async fn what_is_no_http_is_told_so_in_the_envelope() {
    let api = Api::start().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
    ] {
        let mut client = api.connect().await;
        client.write(bytes).await;
        let answer = client.answer("GET").await.unwrap();
        assert_eq!(answer.header("server"), Some("ironic-python-agent"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(
            answer.fault(),
            (
                400,
                "400 Bad Request: This is no HTTP/1.1 request.".to_owned()
            ),
            "{bytes:?}"
        );
        assert_eq!(client.closed().await, b"");
    }
    assert_eq!(api.get("/v1/status").await.status, 200);
}

#[tokio::test]
async fn nonsense_after_a_request_does_not_spoil_its_answer() {
    let api = Api::start().await;
    let mut client = api.connect().await;
    client
        .write("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n")
        .await;
    let both = String::from_utf8(client.closed().await).unwrap();
    let (first, second) = both.split_once("}HTTP/1.1 400 Bad Request\r\n").unwrap();
    assert!(first.starts_with("HTTP/1.1 404 Not Found\r\n"), "{both}");
    assert!(first.contains("There is nothing at this URL."), "{both}");
    assert!(
        second.ends_with("This is no HTTP/1.1 request.\"}"),
        "{both}"
    );
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let api = Api::start().await;
    let mut client = api.connect().await;
    client.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.0.shutdown().await.unwrap();
    assert_eq!(client.closed().await, b"");
    assert_eq!(api.get("/v1/status").await.status, 200);
}

#[tokio::test]
async fn strangers_who_hold_connections_do_not_keep_the_conductor_out() {
    let api = Api::limited(Limits {
        connections: 3,
        grace: Duration::ZERO,
        ..Limits::default()
    })
    .await;
    let mut conductor = api.connect().await;
    let list = format!("/v1/commands/?agent_token={TOKEN}");
    conductor.send("GET", &list, "").await;
    assert_eq!(conductor.answer("GET").await.unwrap().status, 200);
    let mut strangers = Vec::new();
    for _ in 0..5 {
        strangers.push(api.connect().await);
    }
    // The oldest of them are gone; the conductor's connection and a new one are served.
    for stranger in strangers.iter_mut().take(3) {
        assert_eq!(stranger.closed().await, b"");
    }
    conductor.send("GET", &list, "").await;
    assert_eq!(conductor.answer("GET").await.unwrap().status, 200);
    assert_eq!(api.get("/v1/status").await.status, 200);
}

#[tokio::test]
async fn the_end_lets_an_answer_in_flight_out() {
    let mut api = Api::start().await;
    let mut waiting = api.connect().await;
    let mut idle = api.connect().await;
    idle.send("GET", "/status", "").await;
    idle.answer("GET").await.unwrap();
    let body = r#"{"name": "test.hold_sync", "params": {}}"#;
    waiting
        .send("POST", &format!("/v1/commands/?agent_token={TOKEN}"), body)
        .await;
    api.probe.begun().await;
    api.cancel.cancel();
    // Idle connections end at once, nobody new is let in.
    assert_eq!(idle.closed().await, b"");
    if let Ok(late) = TcpStream::connect(api.address).await {
        assert_eq!(Client(late).closed().await, b"");
    }
    api.probe.release.cancel();
    let answer = waiting.answer("POST").await.unwrap();
    assert_eq!(answer.json()["command_status"], "SUCCEEDED");
    assert_eq!(waiting.closed().await, b"");
    api.server.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let mut api = Api::limited(Limits {
        drain: SOON,
        ..Limits::default()
    })
    .await;
    let made = api.run("test.hold", json!({}), "false").await.json();
    let id = made["id"].as_str().unwrap();
    let mut waiting = api.connect().await;
    let target = format!("/v1/commands/{id}?wait=true&agent_token={TOKEN}");
    waiting.send("GET", &target, "").await;
    api.probe.begun().await;
    api.cancel.cancel();
    api.server.join_next().await.unwrap().unwrap();
    assert_eq!(waiting.closed().await, b"");
    api.probe.release.cancel();
}
