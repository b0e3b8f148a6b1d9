//! An agent that asks the network for Ironic, where it is told to.

use super::session::{HEARTBEAT, LOOKUP, willing_conductor};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrite::tls::provider;
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use serde_json::json;
use std::net::Ipv4Addr;
use std::sync::Arc;
use support::conductor::{self, Answer, Conductor, TOKEN};
use support::process::{Program, free_port, within};
use support::responder::{Described, Responder};

pub(super) const BY_LOOPBACK: &[(&str, &str)] = &[
    ("OS_MDNS__INTERFACES", "127.0.0.1"),
    ("OS_MDNS__LOOKUP_ATTEMPTS", "1"),
];

/// One at a time, with the one of [`crash`](super::crash) (`.config/nextest.toml`): all agents ask at one port.
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
            port: conductor.address.port(),
            properties: vec![
                "protocol=http".into(),
                "ipa_ntp_server=a b".into(),
                "ipa_agent_token=of-the-network".into(),
            ],
            ..a_service()
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
    drop((agent, responder));

    strangers_do_not_keep_out_whose_key_is_pinned(&options).await;
}

/// A link where one stranger has nothing to show, another no HTTP, a third a key of his own, a fourth names another path of Ironic's
/// host, and all are quicker than Ironic.
async fn strangers_do_not_keep_out_whose_key_is_pinned(options: &[&str]) {
    let (conductor, pin) = shown_by_its_key().await;
    let (stranger, _) = shown_by_its_key().await;
    conductor
        .on(LOOKUP, [conductor::lookup(json!(TOKEN))])
        .on(HEARTBEAT, [Answer::bytes(202, "")]);
    let mut earlier = None;
    let mut responders = Vec::new();
    for (last, port, properties) in [
        (4, 80, &["protocol=gopher"][..]),
        (3, 80, &["protocol=http", "ipa_ntp_server=192.0.2.66"]),
        (5, conductor.address.port(), &["path=/nonsense"]),
        (2, stranger.address.port(), &["ipa_ntp_server=192.0.2.66"]),
        (1, conductor.address.port(), &["path=/"]),
    ] {
        let described = Described {
            port,
            properties: properties.iter().map(|&pair| pair.into()).collect(),
            from: Ipv4Addr::new(127, 0, 0, last),
            after: earlier.take(),
            ..a_service()
        };
        let responder = Responder::start(5353, described);
        earlier = Some(responder.answered());
        responders.push(responder);
    }
    let arguments: Vec<_> = ["agent"].iter().chain(options).copied().collect();
    let environment = [BY_LOOPBACK, &[("OS_DEFAULT__API_PIN", pin.as_str())]].concat();
    let mut agent = Program::start(&arguments, &environment);
    for told in [
        "passed over from=127.0.0.4 reason=\"its protocol is neither http nor https\"",
        "passed over from=127.0.0.3 reason=\"it is http, and api_pin, cafile or certfile wants TLS\"",
        "those who answer do not agree on this option: ignored option=ntp_server",
        "(api_pin)",
    ] {
        agent.until_told(told).await;
    }
    let beaten = conductor.until_asked(HEARTBEAT, 1);
    agent.until("a heartbeat", beaten).await;
    assert!(stranger.asked(LOOKUP).is_empty());
    assert_eq!(conductor.asked("GET /nonsense/v1/lookup").len(), 1);
    assert!(conductor.asked("POST /nonsense").is_empty());
}

/// A service that a test describes further.
pub(super) fn a_service() -> Described {
    Described {
        host: "localhost.",
        address: Ipv4Addr::new(192, 0, 2, 1),
        port: 443,
        properties: Vec::new(),
        deaf: 0,
        generous: true,
        from: Ipv4Addr::LOCALHOST,
        after: None,
    }
}

/// A conductor with a key that nobody certifies, and its pin.
async fn shown_by_its_key() -> (Conductor, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let pin = STANDARD.encode(digest(&SHA256, &key.subject_public_key_info()));
    let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .unwrap();
    (Conductor::start_tls(Arc::new(server)).await, pin)
}
