//! Ironic by its host's name: which name server is asked, and what is said where none knows it.

use super::{config, heartbeat_of, machine as addresses};
use ferrite::conductor::client::Client;
use ferrite::conductor::{heartbeat, lookup};
use ferrite::config::Config;
use ferrite::error::chain;
use ferrite::root::Root;
use serde_json::json;
use support::conductor::{self, Answer, Conductor, TOKEN};
use support::name_server::{NameServer, Reply, machine, write_resolv_conf};

const HEARTBEAT: &str = "POST /v1/heartbeat";
const LOOKUP: &str = "GET /v1/lookup";

/// A conductor that takes everything, and its URL by this name.
async fn conductor_named(name: &str) -> (Conductor, Config) {
    let conductor = Conductor::start().await;
    conductor
        .on(LOOKUP, [conductor::lookup(json!(TOKEN))])
        .on(HEARTBEAT, [Answer::bytes(202, "")]);
    let port = conductor.address.port();
    let config = config(&format!("ipa-api-url=http://{name}:{port}"));
    (conductor, config)
}

fn client(config: &Config, root: &Root) -> Client {
    let tls = config.tls_client(&Root::machine()).unwrap();
    Client::new(config.api_url.urls(), config, &tls, root).unwrap()
}

fn localhost() -> Reply {
    Reply::address("127.0.0.1")
}

#[tokio::test]
async fn a_name_with_an_underscore_is_resolved_by_the_machines_name_server() {
    let server = NameServer::start(|_| localhost()).await;
    let folder = machine(&server.line());
    let root = Root::at(folder.path());
    let (conductor, config) = conductor_named("ironic_api.lab").await;
    lookup::attempt(&client(&config, &root), &addresses(), &config, None)
        .await
        .unwrap();
    assert_eq!(conductor.asked(LOOKUP).len(), 1);
    assert_eq!(
        server.questions()[..2],
        ["A ironic_api.lab.", "AAAA ironic_api.lab."]
    );
}

#[tokio::test]
async fn a_client_that_found_no_name_server_asks_the_one_that_dhcp_brings_later() {
    let server = NameServer::start(|_| localhost()).await;
    let folder = machine("");
    let root = Root::at(folder.path());
    let (conductor, config) = conductor_named("ironic.lab").await;
    let client = client(&config, &root);
    let beat = heartbeat_of(None);
    assert!(heartbeat::once(&client, &beat).await.is_err());
    write_resolv_conf(folder.path(), &server.line());
    heartbeat::once(&client, &beat).await.unwrap();
    assert_eq!(conductor.asked(HEARTBEAT).len(), 1);
}

#[tokio::test]
async fn an_unknown_name_is_asked_for_again_at_the_next_heartbeat() {
    let server = NameServer::start(|_| Reply::no_such_name()).await;
    let folder = machine(&server.line());
    let root = Root::at(folder.path());
    let (_conductor, config) = conductor_named("ironic.lab").await;
    let client = client(&config, &root);
    let mut asked = Vec::new();
    for _ in 0..2 {
        assert!(heartbeat::once(&client, &heartbeat_of(None)).await.is_err());
        asked.push(server.questions().len());
    }
    assert_eq!(asked, [2, 4]);
}

#[tokio::test]
async fn an_unresolved_name_is_one_error_with_name_server_and_remedy() {
    let server = NameServer::start(|_| Reply::no_such_name()).await;
    let folder = machine(&format!("{}search example.org\n", server.line()));
    let root = Root::at(folder.path());
    let (conductor, config) = conductor_named("ironic").await;
    let error = lookup::attempt(&client(&config, &root), &addresses(), &config, None)
        .await
        .unwrap_err();
    let port = conductor.address.port();
    assert_eq!(
        chain(&error),
        format!(
            "asking http://ironic:{port}: cannot resolve ironic: the name server {} knows no such name (asked for \
             ironic.example.org, ironic): correct the name, or add it to the server's zone",
            server.address
        )
    );
    // Once for this try: not for the version, and then for the lookup again.
    assert_eq!(server.questions().len(), 4);
}
