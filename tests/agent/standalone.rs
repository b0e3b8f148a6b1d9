//! An agent without Ironic: a token and, where wanted, a certificate were given to it.

use super::caller::Caller;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use support::conductor::{Conductor, TOKEN};
use support::process::{Program, free_port};

/// Starts it and waits until it serves.
pub(crate) async fn serving(port: u16, options: &[&str], environment: &[(&str, &str)]) -> Program {
    let port = port.to_string();
    let mut arguments = vec!["agent", "--standalone", "--listen_port", &port];
    arguments.extend(["--disk_wait_attempts", "0"]);
    arguments.extend(options);
    let mut agent = Program::start(&arguments, environment);
    agent.until_told("serving commands").await;
    agent
}

pub(crate) const WITH_TOKEN: &[(&str, &str)] = &[("OS_DEFAULT__AGENT_TOKEN", TOKEN)];

#[tokio::test]
async fn it_serves_in_clear_and_asks_nobody() {
    let conductor = Conductor::start().await;
    let port = free_port();
    let _agent = serving(port, &["--api_url", &conductor.url()], WITH_TOKEN).await;
    let caller = Caller::new(&format!("http://127.0.0.1:{port}"), None, Some(TOKEN));
    assert_eq!(caller.list().await, Vec::<Value>::new());
    assert_eq!(
        caller
            .result("standby.get_partition_uuids", json!({}))
            .await,
        json!({})
    );
    let (status, _) = caller.with_token(None).get("/v1/commands/").await;
    assert_eq!(status, 401);
    assert_eq!(conductor.asked("GET ").len(), 0);
    assert_eq!(conductor.asked("POST ").len(), 0);
}

#[tokio::test]
async fn it_serves_with_the_given_certificate() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files = [
        "--tls_cert_file",
        certificate.to_str().unwrap(),
        "--tls_key_file",
        key.to_str().unwrap(),
    ];
    // The files are enough: listen_tls only keeps a certificate from being made.
    for options in [&files[..], &[&files[..], &["--listen_tls"]].concat()] {
        let port = free_port();
        let _agent = serving(port, options, WITH_TOKEN).await;
        let url = format!("https://localhost:{port}");
        let caller = Caller::new(&url, Some(&made.cert.pem()), Some(TOKEN));
        assert_eq!(caller.list().await, Vec::<Value>::new());
        let clear = url.replace("https:", "http:");
        assert!(!Caller::new(&clear, None, None).is_answered().await);
    }
}

#[tokio::test]
async fn without_a_token_it_says_that_nobody_can_command_it() {
    let port = free_port();
    let mut agent = serving(port, &[], &[]).await;
    agent.until_told("every command will be refused").await;
    let caller = Caller::new(&format!("http://127.0.0.1:{port}"), None, Some(TOKEN));
    assert!(caller.is_answered().await);
    assert_eq!(caller.get("/v1/commands/").await.0, 401);
}

#[tokio::test]
async fn an_agent_with_nobody_to_talk_to_says_so_and_stays() {
    let port = free_port();
    let options = ["agent", "--listen_port", &port.to_string()];
    let mut agent = Program::start(&options, WITH_TOKEN);
    agent.until_told("no api_url is configured").await;
    agent.until_told("serving commands").await;
    let caller = Caller::new(&format!("http://127.0.0.1:{port}"), None, Some(TOKEN));
    assert_eq!(caller.list().await, Vec::<Value>::new());
    agent.signal(Signal::SIGTERM);
    let ended = agent.end().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
}
