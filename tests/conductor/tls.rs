//! Which conductors are believed over TLS, and what the agent shows of itself.

use super::certificates::{Authority, Certified};
use super::conductor::{Answer, Conductor};
use super::{client, config_with, heartbeat_of};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrite::conductor::client::Client;
use ferrite::conductor::heartbeat;
use ferrite::error::chain;
use ferrite::root::Root;
use ferrite::tls::{MinVersion, server};
use rcgen::{BasicConstraints, IsCa, PublicKeyData};
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use std::fs;
use std::path::Path;
use std::sync::Arc;

const HEARTBEAT: &str = "POST /v1/heartbeat";

/// Heartbeats to this server with these kernel arguments and variables: the error's text.
async fn beat(
    server: Arc<ServerConfig>,
    arguments: &str,
    environment: &[(&str, &str)],
) -> Result<(), String> {
    let conductor = Conductor::start_tls(server).await;
    conductor.on(HEARTBEAT, [Answer::bytes(202, "")]);
    let arguments = format!(
        "ipa-api-url={} ipa-ironic-api-version=1.68 {arguments}",
        conductor.url()
    );
    let client = client(&config_with(&arguments, environment));
    let outcome = heartbeat::once(&client, &heartbeat_of(None)).await;
    assert_eq!(conductor.asked(HEARTBEAT).len(), outcome.iter().count());
    outcome.map_err(|error| chain(&error))
}

/// The same, trusting one authority.
async fn beat_trusting(
    authority: &Authority,
    server: Arc<ServerConfig>,
    arguments: &str,
) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, authority.pem()).unwrap();
    beat(server, arguments, &[("OS_DEFAULT__CAFILE", shown(&file))]).await
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_conductor_is_believed_by_the_authority_in_cafile() {
    let authority = Authority::new();
    let server = authority.certify("127.0.0.1").server(&TLS13);
    assert_eq!(beat_trusting(&authority, server, "").await, Ok(()));
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (what, certified, reason) in [
        ("authority", stranger.certify("127.0.0.1"), "UnknownIssuer"),
        ("name", authority.certify("192.0.2.1"), "not valid for name"),
        (
            "time",
            authority.certify_for_years("127.0.0.1", 1980, 1990),
            "expired",
        ),
        (
            "clock",
            authority.certify_for_years("127.0.0.1", 4000, 4010),
            "not valid yet",
        ),
    ] {
        let outcome = beat_trusting(&authority, certified.server(&TLS13), "").await;
        let error = outcome.unwrap_err();
        assert!(error.contains(reason), "{what}: {error}");
    }
    // Without a cafile the system's authorities count, of whom none knows this one.
    let server = authority.certify("127.0.0.1").server(&TLS13);
    let error = beat(server, "", &[]).await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn everybody_is_believed_where_the_operator_says_insecure() {
    let server = Authority::new().certify("192.0.2.1").server(&TLS13);
    assert_eq!(beat(server, "ipa-insecure=1", &[]).await, Ok(()));
}

#[tokio::test]
async fn the_oldest_version_that_is_spoken_is_the_operators() {
    let authority = Authority::new();
    let old = || authority.certify("127.0.0.1").server(&TLS12);
    assert_eq!(beat_trusting(&authority, old(), "").await, Ok(()));
    let error = beat_trusting(&authority, old(), "ipa-tls-min-version=1.3")
        .await
        .unwrap_err();
    assert!(error.contains("ProtocolVersion"), "{error}");
    let new = authority.certify("127.0.0.1").server(&TLS13);
    let outcome = beat_trusting(&authority, new, "ipa-tls-min-version=1.3").await;
    assert_eq!(outcome, Ok(()));
}

#[tokio::test]
async fn the_operators_cipher_suites_are_the_only_ones_of_tls_1_2() {
    let authority = Authority::new();
    let identity = authority.certify("127.0.0.1").identity();
    let suites = "ECDHE-ECDSA-AES256-GCM-SHA384".parse().unwrap();
    let both = || server::server_config(&identity, MinVersion::Tls12, Some(&suites)).unwrap();
    let old = || authority.certify("127.0.0.1").server(&TLS12);
    for (suites, fine) in [
        ("ECDHE-ECDSA-AES256-GCM-SHA384", true),
        // The server's certificate is no RSA one.
        ("ECDHE-RSA-AES256-GCM-SHA384", false),
    ] {
        let arguments = format!("ipa-tls-cipher-suites={suites}");
        let outcome = beat_trusting(&authority, old(), &arguments).await;
        assert_eq!(outcome.is_ok(), fine, "{suites}: {outcome:?}");
        // TLS 1.3 has its own, always.
        assert_eq!(beat_trusting(&authority, both(), &arguments).await, Ok(()));
    }
}

/// Heartbeats to a server that asks who the client is.
async fn beat_as(client: &Certified, known: &Authority, parts: &[&str]) -> Result<(), String> {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let (certificate, key) = client.files(folder.path());
    let all = [
        ("OS_DEFAULT__CAFILE", shown(&ca)),
        ("OS_DEFAULT__CERTFILE", shown(&certificate)),
        ("OS_DEFAULT__KEYFILE", shown(&key)),
    ];
    let environment: Vec<_> = all
        .into_iter()
        .filter(|(name, _)| parts.iter().any(|part| name.ends_with(part)))
        .collect();
    let server = authority.certify("127.0.0.1").server_for(known);
    beat(server, "", &environment).await
}

#[tokio::test]
async fn the_agent_shows_its_certificate_where_it_has_one_and_its_key() {
    let (known, stranger) = (Authority::new(), Authority::new());
    let all = &["CAFILE", "CERTFILE", "KEYFILE"][..];
    let mine = known.certify("agent");
    assert_eq!(beat_as(&mine, &known, all).await, Ok(()));
    let other = stranger.certify("agent");
    assert!(beat_as(&other, &known, all).await.is_err());
    // Half of it is nothing: configuration says so, and the agent shows none.
    for half in [&["CAFILE", "CERTFILE"], &["CAFILE", "KEYFILE"]] {
        let error = beat_as(&mine, &known, half).await.unwrap_err();
        assert!(error.contains("CertificateRequired"), "{error}");
    }
}

#[tokio::test]
async fn a_conductor_in_clear_where_tls_is_spoken_is_none() {
    let conductor = Conductor::start().await;
    let url = conductor.url().replace("http:", "https:");
    let config = config_with(&format!("ipa-api-url={url} ipa-insecure=1"), &[]);
    let outcome = heartbeat::once(&client(&config), &heartbeat_of(None)).await;
    assert!(outcome.is_err());
    assert_eq!(conductor.asked("").len(), 0);
}

/// Three ways to write the same pin.
fn pins(certified: &Certified) -> [String; 3] {
    let key = rcgen::KeyPair::from_pem(&certified.key).unwrap();
    let sum = digest(&SHA256, &key.subject_public_key_info());
    let base64 = STANDARD.encode(sum.as_ref());
    let hexadecimal = sum.as_ref().iter().map(|byte| format!("{byte:02x}"));
    [
        format!("sha256//{base64}"),
        base64,
        hexadecimal.collect::<String>(),
    ]
}

#[tokio::test]
async fn a_conductor_that_nobody_certifies_is_believed_by_its_pinned_key() {
    for certified in [
        Certified::by_itself("127.0.0.1", 4096, IsCa::NoCa),
        // What `openssl req -x509` makes.
        Certified::by_itself("127.0.0.1", 4096, IsCa::Ca(BasicConstraints::Unconstrained)),
        // Without a chain, a name is nobody's word but the key's owner's.
        Certified::by_itself("elsewhere", 4096, IsCa::NoCa),
        Authority::new().certify("127.0.0.1"),
    ] {
        let [curl, base64, hexadecimal] = pins(&certified);
        for pin in [
            curl.clone(),
            base64,
            hexadecimal,
            format!("{OTHER_PIN},{curl}"),
        ] {
            for version in [&TLS12, &TLS13] {
                let arguments = format!("ferrite-api-pin={pin}");
                let outcome = beat(certified.server(version), &arguments, &[]).await;
                assert_eq!(outcome, Ok(()), "{pin}");
            }
        }
        assert!(beat(certified.server(&TLS13), "", &[]).await.is_err());
    }
}

#[tokio::test]
async fn another_key_than_the_pinned_one_is_never_believed_and_both_are_told() {
    let authority = Authority::new();
    let certified = authority.certify("127.0.0.1");
    let [shown, ..] = pins(&certified);
    for insecure in ["", "ipa-insecure=1"] {
        let arguments = format!("ferrite-api-pin={OTHER_PIN} {insecure}");
        let outcome = beat_trusting(&authority, certified.server(&TLS13), &arguments).await;
        let error = outcome.unwrap_err();
        let told =
            format!("the server's key is {shown}, and only {OTHER_PIN} is believed (api_pin)");
        assert!(error.contains(&told), "{error}");
    }
}

#[tokio::test]
async fn a_pinned_key_is_not_believed_beyond_what_its_certificate_says() {
    let authority = Authority::new();
    for (certified, reason) in [
        (authority.certify("192.0.2.1"), "not valid for name"),
        (
            authority.certify_for_years("127.0.0.1", 1980, 1990),
            "expired",
        ),
        (
            Certified::by_itself("127.0.0.1", 1990, IsCa::NoCa),
            "expired",
        ),
    ] {
        let pin = format!("ferrite-api-pin={}", pins(&certified)[0]);
        let outcome = beat_trusting(&authority, certified.server(&TLS13), &pin).await;
        let error = outcome.unwrap_err();
        assert!(error.contains(reason), "{error}");
        // Who wants no verification has the pin all the same, and nothing else.
        let insecure = format!("{pin} ipa-insecure=1");
        let outcome = beat_trusting(&authority, certified.server(&TLS13), &insecure).await;
        assert_eq!(outcome, Ok(()));
    }
}

#[tokio::test]
async fn a_key_that_is_pinned_must_be_shown_and_not_only_named() {
    let certified = Certified::by_itself("127.0.0.1", 4096, IsCa::NoCa);
    let thief = Certified {
        certificate: certified.certificate.clone(),
        key: Authority::new().certify("127.0.0.1").key,
    };
    let arguments = format!("ferrite-api-pin={} ipa-insecure=1", pins(&certified)[0]);
    let outcome = beat(thief.unmatched_server(), &arguments, &[]).await;
    let error = outcome.unwrap_err();
    assert!(error.contains("BadSignature"), "{error}");
}

#[test]
fn image_servers_are_not_pinned_and_an_api_in_clear_cannot_be() {
    let pinned = |url: &str| config_with(&format!("{url} ferrite-api-pin={OTHER_PIN}"), &[]);
    let config = pinned("ipa-api-url=https://127.0.0.1:6385");
    let tls = config.tls_client(&Root::machine()).unwrap();
    assert!(config.api_pin.is_some() && tls.pins.is_none());
    // What the network tells comes too late for the check of configuration.
    let url = "http://user:hush@127.0.0.1:6385/x".parse().unwrap();
    let error = Client::new(&[url], &config, &tls, &Root::machine()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "api_pin is set, and http://127.0.0.1:6385 has no key to show: it must be https://"
    );
}

/// Nobody's.
const OTHER_PIN: &str = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
