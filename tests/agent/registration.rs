//! From the lookup to the first command: what Ironic is told, and who may call.

use super::caller::Caller;
use super::session::{HEARTBEAT, LOOKUP, Session, start_agent, willing_conductor};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};
use support::conductor::{Answer, NODE, TOKEN};
use support::process::{free_port, within};

#[tokio::test]
async fn an_agent_looks_itself_up_and_is_commanded_over_its_own_certificate() {
    let session = Session::start(&[]).await;
    let heartbeat = &session.heartbeat;
    let certificate = heartbeat["agent_verify_ca"].as_str().unwrap();
    assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert_eq!(
        certificate.matches("-----BEGIN").count(),
        1,
        "{certificate}"
    );
    let url = heartbeat["callback_url"].as_str().unwrap();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    assert_eq!(
        heartbeat,
        &json!({
            "callback_url": url,
            "agent_token": TOKEN,
            "agent_version": "13.0.0",
            "agent_verify_ca": certificate,
        })
    );
    assert_eq!(session.conductor.asked(LOOKUP).len(), 1);
    let line = &session.conductor.asked(HEARTBEAT)[0].line;
    assert_eq!(line, &format!("POST /v1/heartbeat/{NODE}"));
    assert_eq!(session.caller.list().await, Vec::<Value>::new());
    let (status, document) = session.caller.get("/v1/status").await;
    assert_eq!((status, &document["version"]), (200, &json!("13.0.0")));
}

#[tokio::test]
async fn nobody_commands_without_the_token() {
    let session = Session::start(&[]).await;
    let refusal = json!({"faultcode": "Client", "faultstring": "401 Unauthorized: Token invalid."});
    for token in [None, Some(""), Some("******"), Some(&TOKEN[1..])] {
        let stranger = session.caller.with_token(token);
        let body = json!({"name": "x"});
        let ask = |method, path| stranger.ask(method, path, &body);
        // At once, for each of them is kept waiting.
        let (list, one, run) = tokio::join!(
            ask(Method::GET, "/v1/commands/"),
            ask(Method::GET, "/v1/commands/7"),
            ask(Method::POST, "/v1/commands/"),
        );
        for answer in [list, one, run] {
            assert_eq!(answer, (401, refusal.clone()), "{token:?}");
        }
    }
    assert_eq!(session.caller.list().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_stranger_to_the_certificate_gets_no_answer() {
    let session = Session::start(&[]).await;
    let url = session.heartbeat["callback_url"].as_str().unwrap();
    let clear = url.replace("https:", "http:");
    assert!(session.caller.is_answered().await);
    assert!(!Caller::new(&clear, None, None).is_answered().await);
    assert!(!Caller::new(url, None, None).is_answered().await);
}

#[tokio::test]
async fn ironic_is_told_the_address_the_operator_wants() {
    let options = ["--advertise_host", "localhost", "--advertise_port", "1"];
    let conductor = willing_conductor(json!(TOKEN)).await;
    let _agent = start_agent(&conductor, free_port(), &options, &[]);
    within("a heartbeat", conductor.until_asked(HEARTBEAT, 1)).await;
    let heartbeat = conductor.asked(HEARTBEAT)[0].json();
    assert_eq!(heartbeat["callback_url"], "https://localhost:1");
}

#[tokio::test]
async fn the_end_of_a_command_is_news_for_a_heartbeat() {
    let session = Session::start(&[]).await;
    // The lookup's timeout asks for a heartbeat in a minute and a half at the earliest.
    session
        .caller
        .failure("image.install_bootloader", json!({"root_uuid": null}))
        .await;
    within(
        "another heartbeat",
        session.conductor.until_asked(HEARTBEAT, 2),
    )
    .await;
    assert_eq!(
        session.conductor.asked(HEARTBEAT)[1].json(),
        session.heartbeat
    );
}

#[tokio::test]
async fn both_families_of_addresses_reach_the_agent() {
    let clear = [("OS_DEFAULT__ENABLE_AUTO_TLS", "false")];
    // A kernel without IPv6 has one family to show.
    let both = std::net::TcpListener::bind("[::1]:0").is_ok();
    let mut rows = vec![(None, [true, both]), (Some("127.0.0.1"), [true, false])];
    rows.extend(both.then_some((Some("::1"), [false, true])));
    for (listen, reached) in rows {
        let port = free_port();
        let conductor = willing_conductor(json!(TOKEN)).await;
        let options = listen.map(|host| ["--listen_host", host]);
        let options = options.as_ref().map_or(&[][..], |options| options);
        let _agent = start_agent(&conductor, port, options, &clear);
        within("a heartbeat", conductor.until_asked(HEARTBEAT, 1)).await;
        for (host, reached) in ["127.0.0.1", "[::1]"].into_iter().zip(reached) {
            let caller = Caller::new(&format!("http://{host}:{port}"), None, None);
            assert_eq!(caller.is_answered().await, reached, "{listen:?} {host}");
        }
    }
}

#[tokio::test]
async fn an_agent_that_is_bound_to_the_way_to_ironic_is_reached_by_no_other_address() {
    let clear = [("OS_DEFAULT__ENABLE_AUTO_TLS", "false")];
    for (interface, reached) in [(None, true), (Some("auto"), false), (Some("lo"), false)] {
        let port = free_port();
        let conductor = willing_conductor(json!(TOKEN)).await;
        let options = interface.map(|interface| ["--listen_interface", interface]);
        let options = options.as_ref().map_or(&[][..], |options| options);
        let _agent = start_agent(&conductor, port, options, &clear);
        within("a heartbeat", conductor.until_asked(HEARTBEAT, 1)).await;
        for (host, reached) in [("127.0.0.1", true), ("127.0.0.2", reached)] {
            let caller = Caller::new(&format!("http://{host}:{port}"), None, None);
            assert_eq!(caller.is_answered().await, reached, "{interface:?} {host}");
        }
    }
}

#[tokio::test]
async fn an_interface_to_listen_on_that_has_no_address_is_told_and_waited_for() {
    let conductor = willing_conductor(json!(TOKEN)).await;
    let options = ["--listen_interface", "none-such"];
    let mut agent = start_agent(&conductor, free_port(), &options, &[]);
    agent
        .until_told("finding the address of the network interface none-such")
        .await;
    assert_eq!(conductor.asked(LOOKUP).len(), 1);
    assert_eq!(conductor.asked(HEARTBEAT).len(), 0);
    agent.signal(Signal::SIGTERM);
    let ended = agent.end().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
}

#[tokio::test]
async fn an_ironic_that_cannot_be_told_a_certificate_is_called_in_clear() {
    let conductor = willing_conductor(json!(TOKEN)).await;
    conductor.on("GET /", [Answer::version("1.65")]);
    let _agent = start_agent(&conductor, free_port(), &[], &[]);
    within("a heartbeat", conductor.until_asked(HEARTBEAT, 1)).await;
    let heartbeat = conductor.asked(HEARTBEAT)[0].json();
    let url = heartbeat["callback_url"].as_str().unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert_eq!(heartbeat.get("agent_verify_ca"), None);
    let caller = Caller::new(url, None, Some(TOKEN));
    assert_eq!(caller.list().await, Vec::<Value>::new());
}

#[tokio::test]
async fn hardware_gets_its_delay_before_anything_is_asked() {
    let conductor = willing_conductor(json!(TOKEN)).await;
    let options = ["--hardware_initialization_delay", "3600"];
    let mut agent = start_agent(&conductor, free_port(), &options, &[]);
    agent
        .until_told("waiting for the hardware seconds=3600")
        .await;
    assert_eq!(conductor.asked("").len(), 0);
    agent.signal(Signal::SIGTERM);
    let ended = agent.end().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
}

#[tokio::test]
async fn the_heart_beats_before_a_disk_is_waited_for() {
    let mut session = Session::start(&[]).await;
    // Lines are written by a thread of their own: the heartbeat may be there first.
    session.agent.until_told("Ironic is told to call").await;
    let told = session.agent.told();
    assert!(!told.contains("root device"), "{told}");
}

#[tokio::test]
async fn an_agent_that_cannot_be_called_says_so_and_goes_on_looking() {
    let conductor = willing_conductor(json!(TOKEN)).await;
    let options = ["--network_interface", "none-such"];
    let mut agent = start_agent(&conductor, free_port(), &options, &[]);
    agent
        .until_told("Ironic cannot call this agent: looking again")
        .await;
    assert_eq!(conductor.asked(LOOKUP).len(), 1);
    assert_eq!(conductor.asked(HEARTBEAT).len(), 0);
    agent.signal(Signal::SIGTERM);
    let ended = agent.end().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
}
