//! What Ironic wants of the agent's TLS, by the lookup.

use super::session::{HEARTBEAT, LOOKUP, start_agent, willing_conductor};
use reqwest::tls::Version;
use reqwest::{Certificate, Client};
use serde_json::{Value, json};
use support::conductor::{self, TOKEN};
use support::process::{free_port, within};

/// Whether an agent whose lookup says this is reached by a caller of TLS 1.2, and by one of 1.3.
async fn reached(min_version: Value, suites: Value) -> [bool; 2] {
    // Only the first test of a process installs it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let conductor = willing_conductor(json!(TOKEN)).await;
    let settings = json!({
        "heartbeat_timeout": 300,
        "agent_token": TOKEN,
        "tls_min_version": min_version,
        "tls_cipher_suites": suites,
    });
    conductor.on(LOOKUP, [conductor::lookup_with(settings)]);
    let _agent = start_agent(&conductor, free_port(), &[], &[]);
    within("a heartbeat", conductor.until_asked(HEARTBEAT, 1)).await;
    let heartbeat = conductor.asked(HEARTBEAT)[0].json();
    let pem = heartbeat["agent_verify_ca"].as_str().unwrap();
    let url = heartbeat["callback_url"].as_str().unwrap();
    let mut reached = [false; 2];
    for (version, reached) in [Version::TLS_1_2, Version::TLS_1_3]
        .into_iter()
        .zip(&mut reached)
    {
        let caller = Client::builder()
            .tls_certs_only([Certificate::from_pem(pem.as_bytes()).unwrap()])
            .tls_version_min(version)
            .tls_version_max(version)
            .build()
            .unwrap();
        let answer = within("an answer", caller.get(url).send()).await;
        *reached = answer.is_ok();
    }
    reached
}

#[tokio::test]
async fn the_agents_api_speaks_the_versions_and_suites_that_ironic_wants() {
    let ecdsa = json!("ECDHE-ECDSA-AES128-GCM-SHA256");
    let rsa = json!("ECDHE-RSA-AES128-GCM-SHA256");
    assert_eq!(reached(json!("1.3"), Value::Null).await, [false, true]);
    assert_eq!(reached(json!("1.2"), Value::Null).await, [true, true]);
    assert_eq!(reached(Value::Null, ecdsa).await, [true, true]);
    // The agent's certificate is no RSA one; TLS 1.3 has its own suites.
    assert_eq!(reached(json!("1.2"), rsa).await, [false, true]);
}
