//! The conversation with Ironic, over real connections to a conductor that plays its part.
//!
//! When the agent asks again is tested beside the laws themselves, under a paused clock; here waits are drawn as nothing.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "support/conductor.rs"]
mod support;

use ferrite::conductor::address::{Advertised, Network};
use ferrite::conductor::client::Client;
use ferrite::conductor::heartbeat::{self, Heartbeat};
use ferrite::conductor::lookup::{self, Lookup, LookupToken, Machine};
use ferrite::conductor::{Error, Law, address};
use ferrite::config::{CommandLine, Config, KernelArgs, Sources, load};
use ferrite::error::chain;
use ferrite::root::Root;
use ferrite::secret::AgentToken;
use ferrite::tls::certificate::{Curve, SelfSigned, Subject};
use ferrite::tls::{MinVersion, server};
use serde_json::{Value, json};
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use support::{Answer, Conductor, NODE, TOKEN};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Host;
use zeroize::Zeroizing;

/// Configuration as kernel arguments give it.
fn config(arguments: &str) -> Config {
    let sources = Sources {
        kernel: KernelArgs::parse(Zeroizing::new(arguments.to_owned())),
        media: None,
        environment: Vec::new(),
        command_line: CommandLine::default(),
    };
    load(&nowhere(), sources).unwrap().config
}

fn nowhere() -> Root {
    Root::at("/nonexistent")
}

fn client(config: &Config) -> Client {
    Client::new(config, &config.tls_client(&nowhere()).unwrap(), &nowhere()).unwrap()
}

fn machine() -> Machine {
    Machine {
        addresses: vec!["52:54:00:00:00:01".into(), "52:54:00:00:00:02".into()],
        node: None,
    }
}

/// Looks up by a law that never waits.
async fn look_up(config: &Config, client: &Client) -> Result<Lookup, Error> {
    let law = Law {
        interval: Duration::ZERO,
        chance: || 0.0,
        ..Law::of(config)
    };
    let cancel = CancellationToken::new();
    lookup::lookup(client, &machine(), config, &law, &cancel).await
}

fn heartbeat_of(verify_ca: Option<&str>) -> Heartbeat {
    Heartbeat {
        node: NODE.parse().unwrap(),
        callback_url: "https://192.0.2.1:9999".into(),
        token: Arc::new(AgentToken::from_lookup(TOKEN.into()).unwrap()),
        verify_ca: verify_ca.map(str::to_owned),
        timeout: Duration::from_secs(300),
    }
}

/// A port nobody listens on.
fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn own_certificate() -> SelfSigned {
    SelfSigned::generate(&Subject {
        address: Host::Ipv4(Ipv4Addr::LOCALHOST),
        host_name: "conductor".into(),
        curve: Curve::P256,
        allowed_clock_skew: Duration::ZERO,
        now: ferrite::clock::since_epoch(),
    })
    .unwrap()
}

#[tokio::test]
async fn a_lookup_asks_as_ipa_does_and_gives_node_settings_and_token() {
    let conductor = Conductor::start().await;
    conductor.on("GET /v1/lookup", [support::lookup(json!(TOKEN))]);
    let config = config(&format!(
        "ipa-api-url={}/ ipa-global-request-id=req-1",
        conductor.url()
    ));
    let found = look_up(&config, &client(&config)).await.unwrap();

    assert_eq!(found.node.uuid.to_string(), NODE);
    assert_eq!(found.settings.tls_min_version, MinVersion::Tls13);
    let LookupToken::Given(token) = found.token else {
        panic!("no token: {:?}", found.token);
    };
    assert!(token.matches(TOKEN.as_bytes()));

    let asked = conductor.asked("GET /");
    let lookups = conductor.asked("GET /v1/lookup");
    assert_eq!((asked.len(), asked[0].version()), (1, None));
    assert_eq!(
        lookups[0].line,
        "GET /v1/lookup?addresses=52%3A54%3A00%3A00%3A00%3A01%2C52%3A54%3A00%3A00%3A00%3A02"
    );
    assert_eq!(lookups[0].version(), Some("1.62"));
    for (name, value) in [
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("x-openstack-request-id", "req-1"),
    ] {
        assert_eq!(lookups[0].headers[name], value);
    }
}

#[tokio::test]
async fn a_node_that_inspection_told_is_named() {
    let conductor = Conductor::start().await;
    conductor.on("GET /v1/lookup", [support::lookup(json!(TOKEN))]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let machine = Machine {
        node: Some(NODE.parse().unwrap()),
        ..machine()
    };
    lookup::once(&client(&config), &machine, &config)
        .await
        .unwrap();
    let line = &conductor.asked("GET /v1/lookup")[0].line;
    assert!(line.ends_with(&format!("&node_uuid={NODE}")), "{line}");
}

#[tokio::test]
async fn lookups_go_on_through_refusals_and_nonsense() {
    let conductor = Conductor::start().await;
    conductor.on(
        "GET /v1/lookup",
        [
            Answer::fault(404, "Resource could not be found."),
            Answer::bytes(503, "<html>"),
            Answer::bytes(200, "not JSON"),
            Answer::json(200, &json!({"node": {}, "config": {}})),
            Answer::bytes(202, ""),
            Answer::bytes(200, vec![b' '; 1024 * 1024 + 1]),
            support::lookup(json!(TOKEN)),
        ],
    );
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    look_up(&config, &client(&config)).await.unwrap();
    assert_eq!(conductor.asked("GET /v1/lookup").len(), 7);
    // A version once known is not asked again.
    assert_eq!(conductor.asked("GET /").len(), 1);
}

#[tokio::test]
async fn the_last_refusal_is_told_in_ironics_words() {
    let conductor = Conductor::start().await;
    conductor.on(
        "GET /v1/lookup",
        [Answer::fault(404, "Resource could not be found.")],
    );
    let config = config(&format!(
        "ipa-api-url={} ipa-lookup-timeout=0",
        conductor.url()
    ));
    let error = look_up(&config, &client(&config)).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "no lookup succeeded in 0 seconds: error 404: Resource could not be found."
    );
}

#[tokio::test]
async fn an_answer_without_end_is_refused_whether_it_tells_its_length_or_not() {
    let conductor = Conductor::start().await;
    let huge = Answer::bytes(200, vec![b' '; 8 * 1024 * 1024]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    for answer in [huge.clone(), huge.chunked()] {
        conductor.on("GET /v1/lookup", [answer]);
        let error = lookup::once(&client(&config), &machine(), &config)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::TooLarge(_)), "{error:?}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_tell_its_length_is_read() {
    let conductor = Conductor::start().await;
    conductor.on("GET /v1/lookup", [support::lookup(json!(TOKEN)).chunked()]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    look_up(&config, &client(&config)).await.unwrap();
}

#[tokio::test]
async fn every_kind_of_token_field_is_told_apart() {
    let conductor = Conductor::start().await;
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let client = client(&config);
    for (field, wanted) in [
        (json!("******"), "Masked"),
        (json!("short"), "Invalid(Short(5))"),
        (json!(""), "None"),
        (Value::Null, "None"),
        (json!(TOKEN), "Given(AgentToken([redacted]))"),
    ] {
        conductor.on("GET /v1/lookup", [support::lookup(field)]);
        let found = lookup::once(&client, &machine(), &config).await.unwrap();
        assert_eq!(format!("{:?}", found.token), wanted);
    }
}

#[tokio::test]
async fn an_api_that_does_not_tell_its_version_is_asked_for_what_the_token_needs() {
    let conductor = Conductor::start().await;
    conductor
        .on("GET /", [Answer::bytes(500, ""), Answer::version("1.115")])
        .on("GET /v1/lookup", [support::lookup(json!(TOKEN))]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let client = client(&config);
    for _ in 0..3 {
        look_up(&config, &client).await.unwrap();
    }
    assert_eq!(conductor.asked("GET /").len(), 2);
    for asked in conductor.asked("GET /v1/lookup") {
        assert_eq!(asked.version(), Some("1.62"));
    }
}

#[tokio::test]
async fn a_configured_version_is_not_asked_for() {
    let conductor = Conductor::start().await;
    conductor.on("POST /v1/heartbeat", [Answer::bytes(202, "")]);
    let config = config(&format!(
        "ipa-api-url={} ipa-ironic-api-version=1.65",
        conductor.url()
    ));
    heartbeat::once(&client(&config), &heartbeat_of(Some("PEM\n")))
        .await
        .unwrap();
    assert_eq!(conductor.asked("GET /").len(), 0);
    let asked = &conductor.asked("POST /v1/heartbeat")[0];
    assert_eq!(asked.version(), Some("1.65"));
    assert_eq!(asked.json().get("agent_verify_ca"), None);
}

#[tokio::test]
async fn an_api_that_is_too_old_is_told_in_one_sentence_and_never_looked_up() {
    let conductor = Conductor::start().await;
    conductor.on("GET /", [Answer::version("1.58")]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let error = look_up(&config, &client(&config)).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "Ironic's API speaks version 1.58 at most, and agents need 1.62 for their token: upgrade Ironic"
    );
    assert_eq!(conductor.asked("GET /v1/lookup").len(), 0);
}

#[tokio::test]
async fn the_api_that_works_is_asked_first_from_then_on() {
    let conductor = Conductor::start().await;
    let dead = dead_url();
    conductor.on("GET /v1/lookup", [support::lookup(json!(TOKEN))]);
    let config = config(&format!("ipa-api-url={dead},{}", conductor.url()));
    let client = client(&config);
    look_up(&config, &client).await.unwrap();

    // The first one comes up, but is not needed.
    let address = dead.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    look_up(&config, &client).await.unwrap();
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    assert_eq!(conductor.asked("GET /v1/lookup").len(), 2);
}

#[tokio::test]
async fn when_no_api_answers_the_last_one_is_named() {
    let (one, two) = (dead_url(), dead_url());
    let config = config(&format!("ipa-api-url={one},{two}"));
    let error = heartbeat::once(&client(&config), &heartbeat_of(None))
        .await
        .unwrap_err();
    assert!(
        chain(&error).starts_with(&format!("asking {two}: ")),
        "{}",
        chain(&error)
    );
}

#[tokio::test]
async fn a_heartbeat_carries_everything_from_the_first_one_on() {
    let conductor = Conductor::start().await;
    conductor.on("POST /v1/heartbeat", [Answer::bytes(202, "")]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let client = client(&config);
    let heartbeat = heartbeat_of(Some("PEM\n"));
    let (_commands, completions) = watch::channel(0);
    let cancel = CancellationToken::new();
    tokio::join!(
        heartbeat::run(&client, &heartbeat, completions, &cancel),
        async {
            conductor.until_asked("POST /v1/heartbeat", 1).await;
            cancel.cancel();
        }
    );
    let asked = &conductor.asked("POST /v1/heartbeat")[0];
    assert_eq!(asked.line, format!("POST /v1/heartbeat/{NODE}"));
    assert_eq!(asked.version(), Some("1.68"));
    assert_eq!(
        asked.json(),
        json!({
            "callback_url": "https://192.0.2.1:9999",
            "agent_token": TOKEN,
            "agent_version": "13.0.0",
            "agent_verify_ca": "PEM\n",
        })
    );
}

#[tokio::test]
async fn nothing_but_202_is_an_accepted_heartbeat() {
    let conductor = Conductor::start().await;
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let client = client(&config);
    for (answer, told) in [
        (
            Answer::fault(400, "Invalid or missing agent token received."),
            "error 400: Invalid or missing agent token received.",
        ),
        (
            Answer::fault(409, "Node is locked."),
            "error 409: Node is locked.",
        ),
        (Answer::bytes(503, ""), "error 503: "),
        (Answer::bytes(200, ""), "error 200: "),
    ] {
        conductor.on("POST /v1/heartbeat", [answer]);
        let error = heartbeat::once(&client, &heartbeat_of(None))
            .await
            .unwrap_err();
        assert_eq!(chain(&error), told);
    }
}

#[tokio::test]
async fn a_redirection_does_not_take_the_token_elsewhere() {
    let conductor = Conductor::start().await;
    let elsewhere = Conductor::start().await;
    let away = || Answer::redirect(format!("{}/v1/steal", elsewhere.url()));
    conductor
        .on("POST /v1/heartbeat", [away()])
        .on("GET /v1/lookup", [away()]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let client = client(&config);
    assert!(heartbeat::once(&client, &heartbeat_of(None)).await.is_err());
    assert!(lookup::once(&client, &machine(), &config).await.is_err());
    assert_eq!(elsewhere.asked("").len(), 0);
}

#[tokio::test]
async fn a_conductor_over_tls_is_verified_by_the_authority_that_was_given() {
    let certificate = own_certificate();
    let tls = server::server_config(&certificate.identity, MinVersion::Tls13, None).unwrap();
    let conductor = Conductor::start_tls(tls).await;
    conductor.on("POST /v1/heartbeat", [Answer::bytes(202, "")]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));

    let mut options = config.tls_client(&nowhere()).unwrap();
    options.authorities = Some(certificate.pem.into_bytes());
    let trusting = Client::new(&config, &options, &nowhere()).unwrap();
    heartbeat::once(&trusting, &heartbeat_of(None))
        .await
        .unwrap();

    let error = heartbeat::once(&client(&config), &heartbeat_of(None))
        .await
        .unwrap_err();
    assert!(chain(&error).contains("certificate"), "{}", chain(&error));
    assert_eq!(conductor.asked("POST /v1/heartbeat").len(), 1);
}

#[tokio::test]
async fn an_api_that_never_answers_is_given_up_in_time() {
    // The kernel takes the connection; nobody ever reads from it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = config(&format!(
        "ipa-api-url=http://{} ipa-http-request-timeout=1",
        silent.local_addr().unwrap()
    ));
    let error = heartbeat::once(&client(&config), &heartbeat_of(None))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

/// Routes as a test wants them.
struct Routes(fn(IpAddr) -> Option<&'static str>);

impl Network for Routes {
    fn route_source(&self, destination: IpAddr) -> io::Result<IpAddr> {
        let source = (self.0)(destination).ok_or(io::ErrorKind::NetworkUnreachable)?;
        Ok(source.parse().unwrap())
    }

    fn interface_address(&self, name: &str) -> io::Result<IpAddr> {
        match name {
            "eth1" => Ok(Ipv4Addr::new(198, 51, 100, 7).into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

async fn advertised(arguments: &str, routes: Routes) -> Result<Advertised, Error> {
    let config = config(arguments);
    let cancel = CancellationToken::new();
    address::find(&client(&config), &config, &routes, &cancel).await
}

#[tokio::test]
async fn the_advertised_address_is_the_source_of_the_route_to_an_api_that_answers() {
    let conductor = Conductor::start().await;
    let routes = Routes(|destination| match destination.to_string().as_str() {
        "127.0.0.1" => Some("192.0.2.9"),
        _ => Some("203.0.113.1"),
    });
    let arguments = format!(
        "ipa-api-url=http://127.0.0.2:9,{} ipa-advertise-port=1234",
        conductor.url()
    );
    let found = advertised(&arguments, routes).await.unwrap();
    let wanted = Advertised {
        host: Host::Ipv4(Ipv4Addr::new(192, 0, 2, 9)),
        port: 1234,
    };
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn a_route_is_looked_for_even_where_no_api_answers_yet() {
    let arguments = format!("ipa-api-url={}", dead_url());
    let found = advertised(&arguments, Routes(|_| Some("192.0.2.9")))
        .await
        .unwrap();
    assert_eq!(found.host.to_string(), "192.0.2.9");
}

#[tokio::test]
async fn link_local_sources_and_missing_routes_are_no_addresses() {
    let arguments = format!(
        "ipa-api-url={} ipa-ip-lookup-attempts=2 ipa-ip-lookup-timeout=0",
        dead_url()
    );
    for routes in [Routes(|_| Some("169.254.7.7")), Routes(|_| None)] {
        let error = advertised(&arguments, routes).await.unwrap_err();
        assert!(matches!(error, Error::NoAddress(2)), "{error:?}");
    }
}

#[tokio::test]
async fn what_the_operator_says_of_the_address_counts() {
    let none = || Routes(|_| None);
    let base = format!("ipa-api-url={}", dead_url());
    let found = advertised(&format!("{base} ipa-advertise-host=n.example"), none())
        .await
        .unwrap();
    assert_eq!(found.host.to_string(), "n.example");
    let found = advertised(&format!("{base} ipa-network-interface=eth1"), none())
        .await
        .unwrap();
    assert_eq!(found.host.to_string(), "198.51.100.7");
    let error = advertised(&format!("{base} ipa-network-interface=eth2"), none())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Interface { .. }), "{error:?}");
}
