//! Where Ironic is told to call.

use super::{client, config, dead_url, heartbeat_of, look_up};
use ferrite::conductor::address::{self, CallbackAddress, LocalAddresses};
use ferrite::conductor::{Error, heartbeat};
use ferrite::config::Scheme;
use serde_json::json;
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use support::clock::Clock;
use support::conductor::{Answer, Conductor, TOKEN, lookup};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Host;

/// Routes as a test wants them.
struct Routes(fn(IpAddr) -> Option<&'static str>);

impl LocalAddresses for Routes {
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

async fn advertised(arguments: &str, routes: Routes) -> Result<CallbackAddress, Error> {
    let config = config(arguments);
    let cancel = CancellationToken::new();
    address::discover(&client(&config), &config, &routes, &cancel).await
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
    let wanted = CallbackAddress {
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
    let gone = "ipa-network-interface=eth2 ipa-ip-lookup-attempts=1";
    let error = advertised(&format!("{base} {gone}"), none())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Interface { .. }), "{error:?}");
}

#[tokio::test]
async fn an_ipv6_address_stands_in_brackets_and_nothing_follows_the_port() {
    let conductor = Conductor::start().await;
    let arguments = format!("ipa-api-url={}", conductor.url());
    let found = advertised(&arguments, Routes(|_| Some("2001:db8::7")))
        .await
        .unwrap();
    assert_eq!(found.url(Scheme::Https), "https://[2001:db8::7]:9999");
}

async fn bound(arguments: &str, routes: Routes) -> Result<Option<IpAddr>, Error> {
    let config = config(arguments);
    let cancel = CancellationToken::new();
    address::bound(Some(&client(&config)), &config, &routes, &cancel).await
}

#[tokio::test]
async fn the_api_is_bound_to_the_interface_that_the_operator_names_or_that_leads_to_ironic() {
    let base = format!("ipa-api-url={}", dead_url());
    let routes = || Routes(|_| Some("192.0.2.9"));
    let by_route = Ok(Some("192.0.2.9".parse().unwrap()));
    let of_eth1 = Ok(Some("198.51.100.7".parse().unwrap()));
    for (arguments, wanted) in [
        ("", Ok(None)),
        ("ferrite-listen-interface=eth1", of_eth1),
        ("ferrite-listen-interface=auto", by_route),
        // What Ironic is told may be somebody else's address, which leads here.
        (
            "ferrite-listen-interface=auto ipa-advertise-host=203.0.113.1",
            by_route,
        ),
        (
            "ferrite-listen-interface=auto ipa-network-interface=eth1",
            of_eth1,
        ),
        (
            "ferrite-listen-interface=eth2 ipa-ip-lookup-attempts=1",
            Err("finding the address of the network interface eth2"),
        ),
    ] {
        let found = bound(&format!("{base} {arguments}"), routes()).await;
        let found = found.map_err(|error| error.to_string());
        assert_eq!(
            found.as_ref().map_err(String::as_str),
            wanted.as_ref().map_err(|error| *error),
            "{arguments}"
        );
    }
}

#[tokio::test]
async fn without_ironic_the_api_is_bound_to_a_named_interface_or_to_every_address() {
    let cancel = CancellationToken::new();
    for (interface, wanted) in [("auto", None), ("eth1", Some("198.51.100.7"))] {
        let config = config(&format!("ferrite-listen-interface={interface}"));
        let found = address::bound(None, &config, &Routes(|_| None), &cancel).await;
        assert_eq!(
            found.unwrap(),
            wanted.map(|address| address.parse().unwrap())
        );
    }
}

#[tokio::test]
async fn an_api_that_gives_no_answer_is_asked_last_from_then_on() {
    let (one, two) = (Conductor::start().await, Conductor::start().await);
    two.on("POST /v1/heartbeat", [Answer::bytes(202, "")]);
    one.on("GET /", [Answer::hang_up()])
        .on("POST /v1/heartbeat", [Answer::bytes(202, "")]);
    let config = config(&format!(
        "ipa-api-url={},{} ipa-ironic-api-version=1.68",
        one.url(),
        two.url()
    ));
    let (client, cancel) = (client(&config), CancellationToken::new());
    let routes = Routes(|_| Some("192.0.2.9"));
    address::discover(&client, &config, &routes, &cancel)
        .await
        .unwrap();
    heartbeat::once(&client, &heartbeat_of(None)).await.unwrap();
    assert_eq!(two.asked("POST ").len(), 1);
    // Last is not never.
    drop(two);
    heartbeat::once(&client, &heartbeat_of(None)).await.unwrap();
    assert_eq!(one.asked("POST ").len(), 1);
}

#[tokio::test]
async fn an_api_whose_certificate_is_not_believed_is_not_one_to_be_called_by() {
    let certified = support::certificates::Authority::create().certify("127.0.0.1");
    let conductor = Conductor::start_tls(certified.server(&rustls::version::TLS13)).await;
    let other = Conductor::start().await;
    let config = config(&format!("ipa-api-url={},{}", conductor.url(), other.url()));
    let cancel = CancellationToken::new();
    address::discover(
        &client(&config),
        &config,
        &Routes(|_| Some("192.0.2.9")),
        &cancel,
    )
    .await
    .unwrap();
    assert_eq!(conductor.asked("").len(), 0);
    assert_eq!(other.asked("GET /").len(), 1);
}

/// A network that comes up late: each look is told to the test.
struct Late {
    looks: watch::Sender<u32>,
    up_at: u32,
    names: RefCell<Vec<String>>,
}

impl Late {
    fn look(&self) -> io::Result<IpAddr> {
        self.looks.send_modify(|looks| *looks += 1);
        if *self.looks.borrow() < self.up_at {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        Ok(Ipv4Addr::new(192, 0, 2, 9).into())
    }
}

impl LocalAddresses for Late {
    fn route_source(&self, _: IpAddr) -> io::Result<IpAddr> {
        self.look()
    }

    fn interface_address(&self, name: &str) -> io::Result<IpAddr> {
        self.names.borrow_mut().push(name.to_owned());
        self.look()
    }
}

/// Looks for the address while the clock is moved by the wait between two looks: the looks that it took.
async fn looks(arguments: &str, up_at: u32) -> (Result<CallbackAddress, Error>, u32) {
    let clock = Clock::stop();
    let config = config(&format!("ipa-api-url={} {arguments}", dead_url()));
    let (client, cancel) = (client(&config), CancellationToken::new());
    let network = Late {
        looks: watch::Sender::new(0),
        up_at,
        names: RefCell::default(),
    };
    let passing = async {
        let mut looks = network.looks.subscribe();
        for look in 1.. {
            looks.wait_for(|looks| *looks >= look).await.unwrap();
            let quiet = || *network.looks.borrow() == look;
            clock.pass_quietly(config.ip_lookup_sleep, quiet).await;
        }
    };
    let found = tokio::select! {
        found = address::discover(&client, &config, &network, &cancel) => found,
        () = passing => panic!("it goes on for ever"),
    };
    let looks = *network.looks.borrow();
    (found, looks)
}

#[tokio::test]
async fn an_address_is_looked_for_six_times_with_ten_seconds_between() {
    let (found, took) = looks("", 6).await;
    assert_eq!(found.unwrap().host.to_string(), "192.0.2.9");
    assert_eq!(took, 6);
    let (found, took) = looks("", 7).await;
    assert!(matches!(found, Err(Error::NoAddress(6))), "{found:?}");
    assert_eq!(took, 6);
    let arguments = "ipa-ip-lookup-attempts=2 ipa-ip-lookup-timeout=3";
    let (found, took) = looks(arguments, 9).await;
    assert!(matches!(found, Err(Error::NoAddress(2))), "{found:?}");
    assert_eq!(took, 2);
}

#[tokio::test]
async fn the_address_of_an_interface_is_waited_for_alike() {
    let (found, took) = looks("ipa-network-interface=eth1", 3).await;
    assert_eq!(found.unwrap().host.to_string(), "192.0.2.9");
    assert_eq!(took, 3);
}

#[tokio::test]
async fn looking_for_an_address_ends_when_the_agent_does() {
    let clock = Clock::stop();
    let config = config(&format!("ipa-api-url={}", dead_url()));
    let (client, cancel) = (client(&config), CancellationToken::new());
    cancel.cancel();
    let found = address::discover(&client, &config, &Routes(|_| None), &cancel).await;
    assert!(matches!(found, Err(Error::Cancelled)), "{found:?}");
    assert_eq!(clock.seconds(), 0);
}

#[tokio::test]
async fn a_probe_that_is_lost_puts_nobody_before_the_api_that_answered_the_lookup() {
    let (ironic, other) = (Conductor::start().await, Conductor::start().await);
    ironic
        .on("GET /", [Answer::version("1.115"), Answer::hang_up()])
        .on("GET /v1/lookup", [lookup(json!(TOKEN))])
        .on("POST /v1/heartbeat", [Answer::bytes(202, "")]);
    let config = config(&format!("ipa-api-url={},{}", ironic.url(), other.url()));
    let (client, cancel) = (client(&config), CancellationToken::new());
    look_up(&config, &client).await.unwrap();
    let routes = Routes(|_| Some("192.0.2.9"));
    address::discover(&client, &config, &routes, &cancel)
        .await
        .unwrap();
    heartbeat::once(&client, &heartbeat_of(None)).await.unwrap();
    assert_eq!(ironic.asked("GET /").len(), 2);
    assert!(other.asked("POST").is_empty());
}
