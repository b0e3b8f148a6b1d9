//! Which Keystone is believed over TLS.

use super::{CREDENTIALS, LOGIN, LOOK, Server, TOKEN, config, keystone, known, login, refusal};
use ferrite::keystone::{Error, Keystone, Refusal};
use ferrite::root::Root;
use ferrite::tls::client::{Bundle, ClientOptions};
use rcgen::{BasicConstraints, IsCa};
use rustls::version::TLS13;
use serde_json::json;
use std::fs;
use support::certificates::{Authority, Certified};

async fn certified(authority: &Authority) -> Server {
    let server = Server::start_tls(authority.certify("127.0.0.1").server(&TLS13)).await;
    server.on(LOOK, [known("project")]);
    server
}

/// The settings of every other client.
fn every(insecure: bool, authority: Option<&Authority>) -> ClientOptions {
    ClientOptions {
        insecure,
        authorities: authority.map(|authority| Bundle::new("ca.pem", authority.pem().into_bytes())),
        ..ClientOptions::default()
    }
}

/// Whether a token is let in, with these options.
async fn lets_in(server: &Server, options: &[(&str, &str)], every: &ClientOptions) -> bool {
    let config = config(&server.url(), options);
    let keystone = Keystone::new(&config.keystone, every, &Root::machine()).unwrap();
    match keystone.validate(TOKEN).await {
        Ok(_) => true,
        Err(refusal) => {
            assert_eq!(refusal, Refusal::Unavailable);
            false
        }
    }
}

#[tokio::test]
async fn keystone_is_believed_by_its_own_authority_or_that_of_all_others() {
    let (authority, stranger) = (Authority::create(), Authority::create());
    let server = certified(&authority).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, authority.pem()).unwrap();
    let own = [("cafile", file.to_str().unwrap())];
    assert!(lets_in(&server, &[], &every(false, Some(&authority))).await);
    assert!(lets_in(&server, &own, &every(false, Some(&stranger))).await);
    assert!(!lets_in(&server, &[], &every(false, Some(&stranger))).await);
    assert!(!lets_in(&server, &[], &every(false, None)).await);
}

#[tokio::test]
async fn a_keystone_is_accepted_by_its_own_certificate_that_calls_itself_an_authority() {
    let is_ca = || IsCa::Ca(BasicConstraints::Unconstrained);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let own = [("cafile", file.to_str().unwrap())];
    for (host, accepted) in [("127.0.0.1", true), ("192.0.2.1", false)] {
        let certified = Certified::by_itself(host, 4096, is_ca());
        let server = Server::start_tls(certified.server(&TLS13)).await;
        server.on(LOOK, [known("project")]);
        fs::write(&file, &certified.certificate).unwrap();
        assert_eq!(lets_in(&server, &own, &every(false, None)).await, accepted);
        let other = Certified::by_itself(host, 4096, is_ca());
        fs::write(&file, &other.certificate).unwrap();
        assert!(!lets_in(&server, &own, &every(false, None)).await);
    }
}

#[tokio::test]
async fn a_keystone_that_nobody_certifies_needs_the_operators_word_for_keystone() {
    let (authority, stranger) = (Authority::create(), Authority::create());
    let server = certified(&authority).await;
    let insecure = [("insecure", "true")];
    assert!(!lets_in(&server, &[], &every(true, Some(&stranger))).await);
    assert!(server.asked(LOOK).is_empty());
    assert!(lets_in(&server, &insecure, &every(false, Some(&stranger))).await);
}

#[tokio::test]
async fn an_endpoint_without_tls_is_not_told_what_came_by_tls() {
    let inside = Server::start().await;
    inside.on(LOOK, [known("project")]);
    let server = certified(&Authority::create()).await;
    let endpoint = json!({"interface": "internal", "url": inside.url()});
    let catalog = json!([{"type": "identity", "endpoints": [endpoint]}]);
    server.on(LOGIN, [login(&catalog)]);
    let options = [&CREDENTIALS[..], &[("insecure", "true")]].concat();
    assert!(lets_in(&server, &options, &every(false, None)).await);
    assert!(inside.asked(LOOK).is_empty());
    assert_eq!(server.asked(LOOK).len(), 1);
}

#[tokio::test]
async fn clear_text_where_tls_is_spoken_is_no_answer() {
    let server = Server::start().await;
    server.on(LOOK, [known("project")]);
    let keystone = keystone(&server.url().replace("http:", "https:"), &[]);
    let outcome = keystone.validate(TOKEN).await;
    assert_eq!(refusal(outcome), Refusal::Unavailable);
}

#[test]
fn settings_that_cannot_be_used_are_told_before_anybody_comes() {
    let none = config("", &[]);
    let error = Keystone::new(&none.keystone, &every(false, None), &Root::machine());
    assert!(matches!(error, Err(Error::NoUrl)));
    let unread = config("https://k", &[("cafile", "/nonexistent/ca.pem")]);
    let error = Keystone::new(&unread.keystone, &every(false, None), &Root::machine());
    assert!(matches!(error, Err(Error::Tls(_))));
}
