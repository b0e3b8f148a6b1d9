//! Who is let in: every route times every way to show a token (LP 2160196).

use super::harness::{Api, TOKEN, unhurried};
use serde_json::json;

const REFUSED: &str =
    r#"{"faultcode": "Client", "faultstring": "401 Unauthorized: Token invalid."}"#;

/// Every route that wants the token.
const GUARDED: &[(&str, &str)] = &[
    ("GET", "/v1/commands/"),
    ("GET", "/commands/"),
    ("HEAD", "/v1/commands/"),
    ("HEAD", "/commands/"),
    ("POST", "/v1/commands/"),
    ("POST", "/commands/"),
    ("GET", "/v1/commands/7"),
    ("GET", "/commands/7"),
    ("HEAD", "/v1/commands/7"),
    ("HEAD", "/commands/7"),
    ("GET", "/v1/inventory"),
    ("HEAD", "/v1/inventory"),
    ("GET", "/v1/log"),
    ("HEAD", "/v1/log"),
];

/// Queries and headers that show no token, or not the right one.
fn strangers() -> Vec<(String, String)> {
    let right = TOKEN;
    let wrong = TOKEN.to_lowercase();
    let query = |query: &str| (query.to_owned(), String::new());
    vec![
        query(""),
        query("?"),
        query("?agent_token"),
        query("?agent_token="),
        query("?wait=true"),
        query(&format!("?agent_token={wrong}")),
        query(&format!("?agent_token={}", &right[1..])),
        query(&format!("?agent_token={right}x")),
        query(&format!("?agent_token=%20{right}")),
        query(&format!("?agent_token={right}%00")),
        query(&format!("?agent_token={wrong}&agent_token={right}")),
        query(&format!("?agent_token=&agent_token={right}")),
        query(&format!("?AGENT_TOKEN={right}")),
        query(&format!("?token={right}")),
        query(&format!("?{right}")),
        (String::new(), format!("agent_token: {right}\r\n")),
        (String::new(), format!("X-Agent-Token: {right}\r\n")),
        (String::new(), format!("X-Auth-Token: {right}\r\n")),
        (String::new(), format!("Authorization: Bearer {right}\r\n")),
        (String::new(), format!("Cookie: agent_token={right}\r\n")),
    ]
}

#[tokio::test]
async fn nobody_without_the_token_gets_past_any_command_route() {
    let api = Api::start().await;
    let body = json!({"name": "test.text", "params": {}, "agent_token": TOKEN}).to_string();
    for (method, path) in GUARDED {
        for (query, header) in strangers() {
            let mut client = api.connect().await;
            let length = body.len();
            client
                .write(format!(
                    "{method} {path}{query} HTTP/1.1\r\nHost: a\r\n{header}Content-Length: {length}\r\n\r\n{body}"
                ))
                .await;
            let answer = client.answer(method).await.unwrap();
            let shown = format!("{method} {path}{query} {header}");
            assert_eq!(answer.status, 401, "{shown}");
            assert_eq!(
                answer.header("content-type"),
                Some("application/json"),
                "{shown}"
            );
            assert_eq!(answer.header("www-authenticate"), None, "{shown}");
            let expected = if *method == "HEAD" { "" } else { REFUSED };
            assert_eq!(String::from_utf8(answer.body).unwrap(), expected, "{shown}");
        }
    }
    assert_eq!(api.states().await, []);
}

#[tokio::test]
async fn an_agent_without_a_token_lets_nobody_in() {
    let api = Api::start_with(unhurried(), None, None).await;
    for (method, path) in GUARDED.iter().filter(|(method, _)| *method != "HEAD") {
        for query in [
            "",
            "?agent_token=",
            "?agent_token=None",
            "?agent_token=null",
        ] {
            let answer = api.request(method, &format!("{path}{query}"), "").await;
            assert_eq!(
                answer.fault(),
                (401, "401 Unauthorized: Token invalid.".into()),
                "{method} {path}{query}"
            );
        }
    }
}

#[tokio::test]
async fn the_first_of_two_tokens_counts() {
    let api = Api::start().await;
    for query in [
        format!("agent_token={TOKEN}&agent_token=wrong"),
        format!("wait=true&agent_token={TOKEN}"),
        format!("agent_token={}", TOKEN.replace('-', "%2d")),
        format!("agent%5ftoken={TOKEN}"),
    ] {
        let answer = api.get(&format!("/v1/commands/?{query}")).await;
        assert_eq!(answer.status, 200, "{query}");
    }
}

#[tokio::test]
async fn documents_and_routing_errors_need_no_token() {
    let api = Api::start().await;
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/v1/", 200),
        ("GET", "/v1/status", 200),
        ("GET", "/v1/commands", 308),
        ("DELETE", "/v1/commands/", 405),
        ("GET", "/v1/nothing", 404),
    ] {
        let answer = api.request(method, path, "").await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn a_strangers_body_is_never_waited_for() {
    let api = Api::start().await;
    for announced in ["Content-Length: 99999999999", "Transfer-Encoding: chunked"] {
        let mut client = api.connect().await;
        client
            .write(format!(
                "POST /v1/commands/ HTTP/1.1\r\nHost: a\r\n{announced}\r\nExpect: 100-continue\r\n\r\n"
            ))
            .await;
        // The first answer is the refusal, not the invitation to send.
        let answer = client.answer("POST").await.unwrap();
        assert_eq!(answer.fault().0, 401);
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(client.closed().await, b"");
    }
}

#[tokio::test]
async fn a_stranger_who_sends_all_the_same_can_read_the_refusal() {
    let api = Api::start().await;
    let mut client = api.connect().await;
    let body = "x".repeat(8 * 1024 * 1024);
    client
        .send("POST", "/v1/commands/?agent_token=wrong", &body)
        .await;
    let answer = client.answer("POST").await.unwrap();
    assert_eq!(
        answer.fault(),
        (401, "401 Unauthorized: Token invalid.".into())
    );
}
