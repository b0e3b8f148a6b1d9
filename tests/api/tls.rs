//! The same API behind TLS.

use super::harness::{Api, Client, TOKEN};
use ferrite::api::Limits;
use ferrite::clock;
use ferrite::tls::certificate::{Curve, SelfSigned, Subject};
use ferrite::tls::server::server_config;
use ferrite::tls::{MinVersion, provider};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::Host;

pub(crate) async fn start(limits: Limits) -> (Api, TlsConnector) {
    let (api, mut connectors) = start_from(limits, MinVersion::Tls13).await;
    (api, connectors.remove(1))
}

/// An API from this version on, and clients that speak 1.2 alone and 1.3 alone.
async fn start_from(limits: Limits, min_version: MinVersion) -> (Api, Vec<TlsConnector>) {
    let made = SelfSigned::generate(&Subject {
        address: Host::Ipv4(Ipv4Addr::LOCALHOST),
        host_name: "agent".into(),
        curve: Curve::default(),
        allowed_clock_skew: Duration::from_secs(3600),
        now: clock::since_epoch(),
    })
    .unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(made.pem.as_bytes()).unwrap())
        .unwrap();
    let client = |version| {
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        TlsConnector::from(Arc::new(client))
    };
    let server = server_config(&made.identity, min_version, None).unwrap();
    let api = Api::start_with(limits, Some(TOKEN), Some(server)).await;
    (api, vec![client(&TLS12), client(&TLS13)])
}

async fn connect(api: &Api, tls: &TlsConnector) -> Client<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(api.address).await.unwrap();
    let name = ServerName::from(api.address.ip());
    Client(tls.connect(name, stream).await.unwrap())
}

#[tokio::test]
async fn commands_run_over_tls() {
    let (api, tls) = start(Limits::default()).await;
    let mut client = connect(&api, &tls).await;
    client.send("GET", "/v1/commands", "").await;
    let answer = client.answer("GET").await.unwrap();
    assert_eq!(
        answer.header("location"),
        Some("https://agent.example:9999/v1/commands/")
    );
    let target = format!("/v1/commands/?wait=true&agent_token={TOKEN}");
    let body = r#"{"name": "test.text", "params": {}}"#;
    client.send("POST", &target, body).await;
    let answer = client.answer("POST").await.unwrap();
    assert_eq!(
        (answer.status, &answer.json()["command_status"]),
        (200, &"SUCCEEDED".into())
    );
}

#[tokio::test]
async fn the_refusal_of_a_body_in_flight_can_be_read_over_tls() {
    let (api, tls) = start(Limits::default()).await;
    let mut client = connect(&api, &tls).await;
    let body = "x".repeat(4 * 1024 * 1024);
    client.send("POST", "/v1/commands/", &body).await;
    assert_eq!(client.answer("POST").await.unwrap().fault().0, 401);
    assert_eq!(client.closed().await, b"");
}

#[tokio::test]
async fn the_end_closes_tls_properly() {
    let (mut api, tls) = start(Limits::default()).await;
    let mut client = connect(&api, &tls).await;
    client.send("GET", "/v1/status", "").await;
    client.answer("GET").await.unwrap();
    api.cancel.cancel();
    api.server.join_next().await.unwrap().unwrap();
    let mut rest = Vec::new();
    // Without the closing message this would be an error.
    tokio::io::AsyncReadExt::read_to_end(&mut client.0, &mut rest)
        .await
        .unwrap();
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_or_is_none_is_given_up() {
    let (api, tls) = start(Limits {
        handshake: Duration::from_millis(50),
        ..Limits::default()
    })
    .await;
    let mut silent = api.connect().await;
    assert_eq!(silent.closed().await, b"");
    let mut plain = api.connect().await;
    plain.send("GET", "/v1/status", "").await;
    let alert = plain.closed().await;
    assert!(!alert.starts_with(b"HTTP"), "{alert:?}");
    let mut client = connect(&api, &tls).await;
    client.send("GET", "/v1/status", "").await;
    assert_eq!(client.answer("GET").await.unwrap().status, 200);
}

#[tokio::test]
async fn tls_1_3_is_always_spoken_and_1_2_only_where_it_is_the_minimum() {
    for (min_version, old_is_let_in) in [(MinVersion::Tls12, true), (MinVersion::Tls13, false)] {
        let (api, connectors) = start_from(Limits::default(), min_version).await;
        for (connector, let_in) in connectors.iter().zip([old_is_let_in, true]) {
            let stream = TcpStream::connect(api.address).await.unwrap();
            let name = ServerName::from(api.address.ip());
            let connected = connector.connect(name, stream).await;
            assert_eq!(connected.is_ok(), let_in, "{min_version:?}");
            if let Ok(stream) = connected {
                let mut client = Client(stream);
                client.send("GET", "/v1/status", "").await;
                assert_eq!(client.answer("GET").await.unwrap().status, 200);
            }
        }
    }
}
