//! Which conductors are believed over TLS, and what the agent shows of itself.

use super::{client, config_with, heartbeat_of};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrite::conductor::client::Client;
use ferrite::conductor::heartbeat;
use ferrite::error::chain;
use ferrite::root::Root;
use ferrite::tls::{Identity, MinVersion, server};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, PublicKeyData,
};
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use support::certificates::{Authority, Certified, params, params_for_years, pem};
use support::conductor::{Answer, Conductor};

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
    beat_with_cafile(&authority.pem(), server, arguments).await
}

/// The same, with this bundle of authorities.
async fn beat_with_cafile(
    bundle: &str,
    server: Arc<ServerConfig>,
    arguments: &str,
) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, bundle).unwrap();
    beat(server, arguments, &[("OS_DEFAULT__CAFILE", shown(&file))]).await
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_conductor_is_believed_by_the_authority_in_cafile() {
    let authority = Authority::create();
    let server = authority.certify("127.0.0.1").server(&TLS13);
    assert_eq!(beat_trusting(&authority, server, "").await, Ok(()));
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let (authority, stranger) = (Authority::create(), Authority::create());
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
    let server = Authority::create().certify("192.0.2.1").server(&TLS13);
    assert_eq!(beat(server, "ipa-insecure=1", &[]).await, Ok(()));
}

#[tokio::test]
async fn the_oldest_version_that_is_spoken_is_the_operators() {
    let authority = Authority::create();
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
    let authority = Authority::create();
    let certified = authority.certify("127.0.0.1");
    let identity =
        Identity::from_pem(certified.certificate.as_bytes(), certified.key.as_bytes()).unwrap();
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
    let authority = Authority::create();
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
    let (known, stranger) = (Authority::create(), Authority::create());
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

/// A server's certificate that calls itself an authority, as `openssl req -x509` makes them.
fn authoritys(host: &str) -> CertificateParams {
    with_authority(params(host))
}

fn with_authority(mut params: CertificateParams) -> CertificateParams {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

#[tokio::test]
async fn a_self_signed_server_is_accepted_when_cafile_is_its_certificate_even_if_it_calls_itself_an_authority()
 {
    let mut for_signatures = authoritys("127.0.0.1");
    for_signatures.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let mut for_exchanges = authoritys("127.0.0.1");
    for_exchanges.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    for_exchanges.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut constrained = params("127.0.0.1");
    constrained.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    for params in [
        params("127.0.0.1"),
        authoritys("127.0.0.1"),
        constrained,
        for_signatures,
        for_exchanges,
    ] {
        let certified = Certified::self_signed(&params);
        for version in [&TLS12, &TLS13] {
            let server = certified.server(version);
            let outcome = beat_with_cafile(&certified.certificate, server, "").await;
            assert_eq!(outcome, Ok(()), "{params:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_calls_itself_an_authority_is_accepted_when_it_chains_to_one() {
    let root = Authority::create();
    let mut of_an_authority = CertificateParams::default();
    of_an_authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let intermediate = root.intermediate(of_an_authority);
    for certified in [
        root.sign(&authoritys("127.0.0.1")),
        intermediate
            .sign(&authoritys("127.0.0.1"))
            .beside(&intermediate),
    ] {
        for version in [&TLS12, &TLS13] {
            let outcome = beat_trusting(&root, certified.server(version), "").await;
            assert_eq!(outcome, Ok(()));
        }
    }
}

#[tokio::test]
async fn a_certificate_in_cafile_is_accepted_whoever_signed_it() {
    let unknown = Authority::create();
    for params in [params("127.0.0.1"), authoritys("127.0.0.1")] {
        let certified = unknown.sign(&params);
        let bundle = Authority::create().pem() + &certified.certificate;
        let outcome = beat_with_cafile(&bundle, certified.server(&TLS13), "").await;
        assert_eq!(outcome, Ok(()));
    }
}

/// OpenSSL says "invalid CA certificate" of each: of what is in the file only authorities sign for others.
#[tokio::test]
async fn a_servers_own_certificate_in_cafile_signs_for_nobody() {
    let root = Authority::create();
    let mut explicit = params("images.example");
    explicit.is_ca = IsCa::ExplicitNoCa;
    let mut of_clients = authoritys("images.example");
    of_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut without_signing = authoritys("images.example");
    without_signing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    for params in [
        params("images.example"),
        explicit,
        of_clients,
        without_signing,
    ] {
        let other = root.intermediate(params);
        let forged = other.certify("127.0.0.1");
        for bundle in [other.pem(), root.pem() + &other.pem()] {
            let outcome = beat_with_cafile(&bundle, forged.server(&TLS13), "").await;
            let error = outcome.expect_err("nobody vouches for it");
            assert!(error.contains("UnknownIssuer"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_calls_itself_an_authority_is_checked_like_any_other() {
    let root = Authority::create();
    let wrong_name = authoritys("192.0.2.1");
    let expired = with_authority(params_for_years("127.0.0.1", 1980, 1990));
    let early = with_authority(params_for_years("127.0.0.1", 4000, 4010));
    let mut of_clients = authoritys("127.0.0.1");
    of_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut of_authorities = authoritys("127.0.0.1");
    of_authorities.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    for (params, reason) in [
        (wrong_name, "not valid for name"),
        (expired, "expired"),
        (early, "not valid yet"),
        (of_clients, "allows client authentication"),
        (of_authorities, "InvalidPurpose"),
    ] {
        let itself = Certified::self_signed(&params);
        let chained = root.sign(&params);
        let given = chained.certificate.clone();
        for (how, certified, bundle) in [
            ("it is the given one", &itself, itself.certificate.clone()),
            ("it is a given one, signed by another", &chained, given),
            ("it chains", &chained, root.pem()),
        ] {
            let outcome = beat_with_cafile(&bundle, certified.server(&TLS13), "").await;
            let error = outcome.expect_err(reason);
            assert!(error.contains(reason), "{how}: {error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_calls_itself_an_authority_is_refused_where_no_given_one_signed_it() {
    let root = Authority::create();
    let host = authoritys("127.0.0.1");
    // Of the same name as the given one, with another key.
    let (given, namesake) = (Certified::self_signed(&host), Certified::self_signed(&host));
    // Signed for another host, and changed afterwards.
    let mut changed = root.sign(&authoritys("192.0.2.1")).der();
    let at = changed
        .windows(4)
        .position(|window| window == [192, 0, 2, 1]);
    changed[at.unwrap()..][..4].copy_from_slice(&[127, 0, 0, 1]);
    let changed = Certified {
        certificate: pem("CERTIFICATE", &changed),
        key: namesake.key.clone(),
    };
    // Signed by a host.
    let mut no_authority = params("127.0.0.1");
    no_authority.is_ca = IsCa::ExplicitNoCa;
    let no_authority = root.intermediate(no_authority);
    let by_a_host = no_authority.sign(&host).beside(&no_authority);
    // Signed by an authority of other names.
    let mut of_other_names = CertificateParams::default();
    of_other_names.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    of_other_names.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::IpAddress(rcgen::CidrSubnet::V4(
            [192, 0, 2, 0],
            [255, 255, 255, 0],
        ))],
        excluded_subtrees: vec![],
    });
    let of_other_names = root.intermediate(of_other_names);
    let constrained = of_other_names.sign(&host).beside(&of_other_names);
    // Signed below an authority that may have none below it.
    let mut last = CertificateParams::default();
    last.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let last = root.intermediate(last);
    let mut one_more = CertificateParams::default();
    one_more.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let one_more = last.intermediate(one_more);
    let too_deep = one_more.sign(&host).beside(&one_more).beside(&last);
    for (what, certified, bundle, reason) in [
        (
            "another authority's",
            Authority::create().sign(&host),
            root.pem(),
            "UnknownIssuer",
        ),
        (
            "nobody's",
            Certified::self_signed(&host),
            root.pem(),
            "UnknownIssuer",
        ),
        ("a namesake", namesake, given.certificate, "BadSignature"),
        ("changed", changed, root.pem(), "BadSignature"),
        ("by a host", by_a_host, root.pem(), "EndEntityUsedAsCa"),
        (
            "constrained",
            constrained,
            root.pem(),
            "NameConstraintViolation",
        ),
        (
            "too deep",
            too_deep,
            root.pem(),
            "PathLenConstraintViolated",
        ),
    ] {
        let outcome = beat_with_cafile(&bundle, certified.unmatched_server(), "").await;
        let error = outcome.expect_err(what);
        assert!(error.contains(reason), "{what}: {error}");
    }
}

#[tokio::test]
async fn an_authority_is_no_server_of_a_name_that_it_does_not_have() {
    let root = Authority::create();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let intermediate = root.intermediate(params);
    for certified in [root.as_server(), intermediate.as_server()] {
        let error = beat_trusting(&root, certified.server(&TLS13), "").await;
        let error = error.unwrap_err();
        assert!(error.contains("not valid for name"), "{error}");
    }
}

#[tokio::test]
async fn a_given_certificate_alone_proves_nothing_without_its_key() {
    let certified = Certified::self_signed(&authoritys("127.0.0.1"));
    let thief = Certified {
        certificate: certified.certificate.clone(),
        key: Authority::create().certify("127.0.0.1").key,
    };
    let outcome = beat_with_cafile(&certified.certificate, thief.unmatched_server(), "").await;
    let error = outcome.unwrap_err();
    assert!(error.contains("BadSignature"), "{error}");
}

/// What OpenSSL writes behind a certificate (`X509_CERT_AUX`), with the uses that are trusted and those that are rejected.
fn uses(trusted: &[u8], rejected: &[u8]) -> Vec<u8> {
    let list = |tag: u8, uses: &[u8]| {
        let uses = uses.iter().flat_map(|last| match last {
            // anyExtendedKeyUsage, else 1.3.6.1.5.5.7.3 and the last number: 1 for servers, 2 for clients.
            0 => vec![6, 4, 0x55, 0x1d, 0x25, 0],
            last => vec![6, 8, 0x2b, 6, 1, 5, 5, 7, 3, *last],
        });
        let uses: Vec<u8> = uses.collect();
        let mut all = vec![tag, u8::try_from(uses.len()).unwrap()];
        all.extend(&uses);
        if uses.is_empty() { vec![] } else { all }
    };
    let alias = [0x0c, 3, b'l', b'a', b'b'];
    let inner = [list(0x30, trusted), list(0xa0, rejected), alias.to_vec()].concat();
    [vec![0x30, u8::try_from(inner.len()).unwrap()], inner].concat()
}

#[tokio::test]
async fn openssls_trusted_certificates_are_read_and_count_for_the_uses_they_name() {
    let authority = Authority::create();
    let host = || authority.certify("127.0.0.1").server(&TLS13);
    let certificate = authority.as_server().der();
    let bundle = |aux: &[u8]| {
        let bytes = [&certificate[..], aux].concat();
        // One that does not fit stands before it, as in any bundle.
        Authority::create().pem() + &pem("TRUSTED CERTIFICATE", &bytes)
    };
    for aux in [
        vec![],
        uses(&[], &[]),
        uses(&[1], &[]),
        uses(&[2, 1], &[2]),
        uses(&[0], &[]),
    ] {
        let outcome = beat_with_cafile(&bundle(&aux), host(), "").await;
        assert_eq!(outcome, Ok(()), "{aux:x?}");
    }
    for aux in [
        uses(&[2], &[]),
        uses(&[], &[1]),
        uses(&[1], &[1]),
        uses(&[], &[0]),
    ] {
        let outcome = beat_with_cafile(&bundle(&aux), host(), "").await;
        let error = outcome.expect_err("it is not for servers");
        assert!(error.contains("UnknownIssuer"), "{aux:x?}: {error}");
    }
}

#[test]
fn what_is_wrong_with_a_bundle_is_said_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let rejected = [Authority::create().as_server().der(), uses(&[], &[1])].concat();
    for (content, reason) in [
        (String::new(), "no items found"),
        (pem("CERTIFICATE", b"no certificate"), "BadEncoding"),
        (
            "-----BEGIN CERTIFICATE-----\n".into(),
            "missing section end",
        ),
        (
            pem("TRUSTED CERTIFICATE", &rejected),
            "no certificate in it is trusted for servers",
        ),
    ] {
        fs::write(&file, &content).unwrap();
        let config = config_with("", &[("OS_DEFAULT__CAFILE", shown(&file))]);
        let tls = config.tls_client(&Root::machine());
        let outcome = tls.and_then(|tls| tls.config(&Root::machine()));
        let error = chain(&outcome.unwrap_err());
        assert!(
            error.starts_with(&format!("using {}", shown(&file))),
            "{error}"
        );
        assert!(error.contains(reason), "{error}");
    }
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
        Authority::create().certify("127.0.0.1"),
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
    let authority = Authority::create();
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
    let authority = Authority::create();
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
        key: Authority::create().certify("127.0.0.1").key,
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
