//! An agent that asks the network for Ironic, where it is told to.

use super::conductor::TOKEN;
use super::process::{Program, free_port, within};
use super::responder::{Described, Responder};
use super::session::{HEARTBEAT, LOOKUP, willing_conductor};
use serde_json::json;
use std::net::Ipv4Addr;

const BY_LOOPBACK: &[(&str, &str)] = &[
    ("OS_MDNS__INTERFACES", "127.0.0.1"),
    ("OS_MDNS__LOOKUP_ATTEMPTS", "1"),
];

/// One at a time: all agents ask at one port.
#[tokio::test]
async fn the_network_is_asked_where_the_operator_wants_it() {
    let conductor = willing_conductor(json!(TOKEN)).await;
    let port = free_port().to_string();
    let options = [
        "--listen_port",
        &port,
        "--disk_wait_attempts",
        "0",
        "--api_url",
        "mdns",
    ];
    let start = |options: &[&str]| {
        let arguments: Vec<_> = ["agent"].iter().chain(options).copied().collect();
        Program::start(&arguments, BY_LOOPBACK)
    };

    // By its name, and nobody answers: the agent ends with an error.
    let ended = start(&options).end().await;
    assert_eq!(ended.status.code(), Some(1), "{}", ended.err);
    assert!(
        ended
            .err
            .contains("nobody on the network tells where the service baremetal is"),
        "{}",
        ended.err
    );

    let responder = Responder::start(
        5353,
        Described {
            host: "localhost.",
            address: Ipv4Addr::new(192, 0, 2, 1),
            port: conductor.address.port(),
            properties: vec![
                "protocol=http".into(),
                "ipa_ntp_server=a b".into(),
                "ipa_agent_token=of-the-network".into(),
            ],
            deaf: 0,
            generous: true,
        },
    );
    let mut agent = start(&options);
    within("a heartbeat", conductor.until_asked(HEARTBEAT, 1)).await;
    assert_eq!(conductor.asked(LOOKUP).len(), 1);
    assert!(!responder.asked().is_empty());
    for told in [
        "WHOEVER ANSWERS ON THE LINK IS BELIEVED",
        "the network may not set this option (mdns/allowed_overrides): ignored option=agent_token",
    ] {
        agent.until_told(told).await;
    }
    drop(agent);

    // What is configured stays.
    let mut agent = start(&[&options[..], &["--ntp_server", "127.0.0.1"]].concat());
    agent
        .until_told(
            "the network may not change an option that is configured: ignored option=ntp_server",
        )
        .await;
    drop(agent);

    // Unasked, nobody is.
    let before = responder.asked().len();
    let mut agent = start(&options[..4]);
    agent.until_told("no api_url is configured").await;
    assert_eq!(responder.asked().len(), before);
}
