//! Paths, methods, redirects and the documents everybody may read.

use super::harness::{Api, TOKEN};
use serde_json::{Value, json};

#[tokio::test]
async fn the_root_document_is_ipas() {
    let api = Api::start().await;
    let version = json!({"id": "v1", "links": [
        {"href": "http://agent.example:9999/v1", "rel": "self"},
        {"href": "https://docs.openstack.org/ironic-python-agent/", "rel": "describedby", "type": "text/html"},
    ]});
    let answer = api.get("/").await;
    assert_eq!(
        (answer.status, answer.json()),
        (
            200,
            json!({
                "name": "OpenStack Ironic Python Agent API",
                "description": "Ironic Python Agent is a provisioning agent for OpenStack Ironic",
                "versions": [version],
                "default_version": version,
            })
        )
    );
    assert_eq!(answer.header("server"), Some("ironic-python-agent"));
}

#[tokio::test]
async fn the_version_document_is_ipas() {
    let api = Api::start().await;
    let answer = api.get("/v1/").await;
    let base = "http://agent.example:9999";
    let links = |name: &str| {
        json!([
            {"href": format!("{base}/v1/{name}"), "rel": "self"},
            {"href": format!("{base}/{name}"), "rel": "bookmark"},
        ])
    };
    assert_eq!(
        (answer.status, answer.json()),
        (
            200,
            json!({
                "id": "v1",
                "links": [
                    {"href": format!("{base}/v1"), "rel": "self"},
                    {"href": "https://docs.openstack.org/ironic-python-agent/", "rel": "describedby", "type": "text/html"},
                ],
                "commands": links("commands"),
                "status": links("status"),
                "media_types": [{"base": "application/json", "type": "application/vnd.openstack.ironic-python-agent.v1+json"}],
            })
        )
    );
}

#[tokio::test]
async fn the_status_says_when_and_which() {
    let api = Api::start().await;
    for path in ["/v1/status", "/status"] {
        let answer = api.get(path).await;
        assert_eq!(
            (answer.status, answer.json()),
            (
                200,
                json!({"started_at": 1_700_000_000.25, "version": "13.0.0"})
            )
        );
    }
}

#[tokio::test]
async fn a_missing_slash_is_redirected_with_its_query() {
    let api = Api::start().await;
    for (method, target, location) in [
        ("GET", "/v1", "/v1/"),
        ("GET", "/v1/commands", "/v1/commands/"),
        ("GET", "/commands?wait=a%20b", "/commands/?wait=a%20b"),
        ("POST", "/v1/commands?x=1", "/v1/commands/?x=1"),
        ("POST", "/commands", "/commands/"),
        ("HEAD", "/v1/commands", "/v1/commands/"),
    ] {
        let answer = api.request(method, target, "").await;
        assert_eq!(
            (
                answer.status,
                answer.header("location"),
                answer.header("content-type")
            ),
            (
                308,
                Some(format!("http://agent.example:9999{location}").as_str()),
                Some("text/html; charset=utf-8")
            ),
            "{method} {target}"
        );
        let page = String::from_utf8(answer.body).unwrap();
        assert_eq!(
            page.starts_with("<!doctype html>"),
            method != "HEAD",
            "{page}"
        );
    }
}

#[tokio::test]
async fn a_redirect_that_repeats_the_token_ends_the_connection_whose_buffers_hold_it() {
    let api = Api::start().await;
    for (query, connection) in [
        ("?agent_token=hush", Some("close")),
        ("?agent%5Ftoken=hush", Some("close")),
        ("?wait=true", None),
    ] {
        let answer = api.get(&format!("/v1/commands{query}")).await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (308, connection)
        );
    }
}

#[tokio::test]
async fn a_host_that_is_none_is_replaced_by_our_address() {
    let api = Api::start().await;
    let own = api.address.to_string();
    for (host, expected) in [
        ("Host: [2001:db8::1]:9999\r\n", "[2001:db8::1]:9999"),
        ("Host: agent\r\n", "agent"),
        ("Host: evil\"<x>\r\n", own.as_str()),
        ("Host: a/b?c\r\n", own.as_str()),
        ("Host: user:hush@evil\r\n", own.as_str()),
        ("Host:\r\n", own.as_str()),
        ("", own.as_str()),
    ] {
        let mut client = api.connect().await;
        client
            .write(format!("GET /v1 HTTP/1.1\r\n{host}\r\n"))
            .await;
        let answer = client.answer("GET").await.unwrap();
        assert_eq!(
            (answer.status, answer.header("location")),
            (308, Some(format!("http://{expected}/v1/").as_str())),
            "{host}"
        );
    }
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let api = Api::start().await;
    let made = api.run("test.text", json!({}), "true").await.json();
    let id = made["id"].as_str().unwrap();
    for target in [
        "/".to_owned(),
        "/v1/".to_owned(),
        "/v1/status".to_owned(),
        format!("/v1/commands/?agent_token={TOKEN}"),
        format!("/commands/{id}?agent_token={TOKEN}"),
    ] {
        let got = api.get(&target).await;
        let mut client = api.connect().await;
        client.send("HEAD", &target, "").await;
        let head = client.answer("HEAD").await.unwrap();
        assert_eq!(
            (head.status, head.header("content-length"), head.body.len()),
            (200, Some(got.body.len().to_string().as_str()), 0),
            "{target}"
        );
        // The connection goes on right after the head.
        client.send("GET", "/status", "").await;
        assert_eq!(client.answer("GET").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn another_method_is_told_which_ones_there_are() {
    let api = Api::start().await;
    for (method, path, allowed) in [
        ("POST", "/", "GET, HEAD"),
        ("PUT", "/v1/", "GET, HEAD"),
        ("DELETE", "/v1/status", "GET, HEAD"),
        ("PATCH", "/status", "GET, HEAD"),
        ("PUT", "/v1/commands/", "GET, HEAD, POST"),
        ("OPTIONS", "/commands/", "GET, HEAD, POST"),
        ("POST", "/v1/commands/7", "GET, HEAD"),
        ("DELETE", "/commands/7", "GET, HEAD"),
    ] {
        let answer = api.request(method, path, "").await;
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        assert_eq!(
            answer.fault(),
            (
                405,
                format!(
                    "405 Method Not Allowed: The method is not allowed for this URL; these are: {allowed}."
                )
            )
        );
    }
}

#[tokio::test]
async fn what_is_nowhere_is_404_in_the_envelope() {
    let api = Api::start().await;
    for path in [
        "/v1/status/",
        "/status/",
        "/v1/commands/7/",
        "/v2/",
        "/nothing",
        "/v1/v1/status",
        "/v1%2Fstatus",
        "//v1/status",
        "/V1/status",
    ] {
        let fault = (404, "404 Not Found: There is nothing at this URL.".into());
        assert_eq!(api.get(path).await.fault(), fault, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_record_is_404_by_its_id() {
    let api = Api::start().await;
    for path in ["/v1/commands/", "/commands/"] {
        for (id, told) in [
            ("no-such-id", "no-such-id"),
            ("%C3%A9%20%F0%9F%98%80", "é 😀"),
            ("a%2Fb", "a%2Fb"),
        ] {
            let target = format!("{path}{id}?agent_token={TOKEN}&wait=true");
            assert_eq!(
                api.get(&target).await.fault(),
                (
                    404,
                    format!("Not found: Command Result with id {told} not found.")
                )
            );
        }
    }
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let api = Api::start().await;
    let mut client = api.connect().await;
    for _ in 0..3 {
        client.send("GET", "/v1/status", "").await;
        let answer = client.answer("GET").await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, None));
    }
}

#[tokio::test]
async fn requests_sent_at_once_are_answered_in_their_order() {
    let api = Api::start().await;
    let mut client = api.connect().await;
    let body = r#"{"name": "test.text", "params": {}}"#;
    let run = format!(
        "POST /v1/commands/?agent_token={TOKEN} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let list = get(&format!("/v1/commands/?agent_token={TOKEN}"));
    let last = "GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let all = [&get("/nothing"), &run, &get("/v1"), &list, last].concat();
    client.write(all).await;
    let answers = String::from_utf8(client.closed().await).unwrap();
    let statuses: Vec<_> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect();
    assert_eq!(statuses, ["404", "200", "308", "200", "200"], "{answers}");
    assert_eq!(answers.matches(r#""command_name": "text""#).count(), 2);
}

#[tokio::test]
async fn an_old_client_is_answered_once() {
    let api = Api::start().await;
    let mut client = api.connect().await;
    client.write("GET /status HTTP/1.0\r\n\r\n").await;
    let answer = String::from_utf8(client.closed().await).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn every_answer_names_the_server() {
    let api = Api::start().await;
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/nothing"),
        ("PUT", "/"),
        ("GET", "/v1/commands/"),
        ("HEAD", "/v1/status"),
    ] {
        let answer = api.request(method, target, "").await;
        assert_eq!(
            answer.header("server"),
            Some("ironic-python-agent"),
            "{method} {target}"
        );
    }
}

#[tokio::test]
async fn the_list_begins_empty() {
    let api = Api::start().await;
    assert_eq!(api.list().await, json!({"commands": Value::Array(vec![])}));
}

#[tokio::test]
async fn a_header_that_decides_and_comes_twice_is_400_before_anything_is_done() {
    let api = Api::start().await;
    let body = r#"{"name": "test.text", "params": {}}"#;
    for (twice, name) in [
        ("Host: b\r\n", "Host"),
        ("Host: agent.example:9999\r\n", "Host"),
        (
            "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
            "Authorization",
        ),
        ("X-Auth-Token: a\r\nx-auth-token: a\r\n", "X-Auth-Token"),
    ] {
        for (method, path) in [
            ("POST", "/v1/commands/"),
            ("GET", "/v1/status"),
            ("GET", "/v1/commands"),
            ("GET", "/nothing"),
        ] {
            for query in [String::new(), format!("?agent_token={TOKEN}")] {
                let answer = api
                    .ask(method, &format!("{path}{query}"), twice, body)
                    .await;
                assert_eq!(
                    answer.fault(),
                    (
                        400,
                        format!("400 Bad Request: The header {name} is there more than once.")
                    ),
                    "{method} {path}{query} {twice}"
                );
            }
        }
    }
    assert_eq!(api.states().await, []);
}
