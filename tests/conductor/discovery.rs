//! Finding Ironic where nobody names it: multicast DNS.

use super::config_with;
use ferrite::conductor::Error;
use ferrite::conductor::address::LocalAddresses;
use ferrite::conductor::mdns::{self, Found, OutboundInterface, QueryOptions};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use support::clock::Clock;
use support::responder::{Described, Responder};

struct Anywhere;

impl LocalAddresses for Anywhere {
    fn route_source(&self, destination: IpAddr) -> io::Result<IpAddr> {
        Ok(destination)
    }

    fn interface_address(&self, _: &str) -> io::Result<IpAddr> {
        Err(io::ErrorKind::NotFound.into())
    }
}

fn described() -> Described {
    Described {
        host: "conductor.local.",
        address: Ipv4Addr::new(192, 0, 2, 1),
        port: 6385,
        properties: vec!["protocol=http".into(), "path=/baremetal".into()],
        deaf: 0,
        generous: true,
        from: Ipv4Addr::LOCALHOST,
        after: None,
    }
}

async fn find(port: u16, attempts: u32) -> Result<Found, Error> {
    find_with(port, attempts, true).await
}

async fn find_with(port: u16, attempts: u32, in_clear: bool) -> Result<Found, Error> {
    let asking = QueryOptions {
        interfaces: vec![OutboundInterface::V4(Ipv4Addr::LOCALHOST)],
        port,
        attempts,
        in_clear,
    };
    mdns::find("baremetal", &asking, &Anywhere).await
}

fn shown(found: &Found) -> Vec<&str> {
    found.urls.iter().map(|url| url.as_str()).collect()
}

#[tokio::test]
async fn the_network_tells_where_ironic_is() {
    let responder = Responder::start(0, described());
    let found = find(responder.port, 1).await.unwrap();
    assert_eq!(shown(&found), ["http://192.0.2.1:6385/baremetal"]);
    assert_eq!(
        responder.asked(),
        ["SRV baremetal._openstack._tcp.local., TXT baremetal._openstack._tcp.local."]
    );
}

#[tokio::test]
async fn an_address_that_does_not_come_by_itself_is_asked_for() {
    let sparing = Described {
        generous: false,
        ..described()
    };
    let responder = Responder::start(0, sparing);
    let found = find(responder.port, 1).await.unwrap();
    assert_eq!(shown(&found), ["http://192.0.2.1:6385/baremetal"]);
    assert_eq!(
        responder.asked()[1],
        "A conductor.local., AAAA conductor.local."
    );
}

#[tokio::test]
async fn the_network_is_asked_again_and_given_up_in_time() {
    for (deaf, attempts, found) in [(2, 1, true), (3, 1, false), (3, 2, true)] {
        let clock = Clock::stop();
        let responder = Responder::start(
            0,
            Described {
                deaf,
                ..described()
            },
        );
        let turns = async |number: u32| {
            for _ in 0..number {
                tokio::task::yield_now().await;
            }
        };
        let passing = async {
            while responder.asked().len() <= deaf {
                clock.pass(Duration::from_millis(100)).await;
                // What was sent by now is heard before more time passes.
                turns(20).await;
            }
            responder.answered().wait_for(|done| *done).await.unwrap();
            turns(1000).await;
            // The time that others have.
            loop {
                clock.pass(Duration::from_millis(100)).await;
                turns(20).await;
            }
        };
        let outcome = tokio::select! {
            outcome = find(responder.port, attempts) => outcome,
            () = passing => unreachable!(),
        };
        assert_eq!(outcome.is_ok(), found, "{deaf} {attempts}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_service_that_is_no_api_is_told_from_none() {
    let strange = Described {
        properties: vec!["protocol=ftp".into()],
        ..described()
    };
    let responder = Responder::start(0, strange);
    let error = find(responder.port, 1).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "what the network tells of the service baremetal cannot be used: its protocol is neither http nor https"
    );
}

#[tokio::test]
async fn strangers_who_answer_first_do_not_keep_ironic_from_being_found() {
    for (in_clear, wanted) in [
        (
            true,
            &[
                "http://192.0.2.66:6385/",
                "https://192.0.2.67:6385/",
                "https://192.0.2.1:6385/baremetal",
            ][..],
        ),
        (
            false,
            &[
                "https://192.0.2.67:6385/",
                "https://192.0.2.1:6385/baremetal",
            ],
        ),
    ] {
        let mut port = 0;
        let mut earlier = None;
        let mut responders = Vec::new();
        for (last, address, properties) in [
            (4, 65, &["protocol=gopher"][..]),
            (3, 66, &["protocol=http", "ipa_ntp_server=192.0.2.66"]),
            (2, 67, &["ipa_ntp_server=192.0.2.66"]),
            (1, 1, &["path=/baremetal", "ipa_ntp_server=192.0.2.1"]),
        ] {
            let described = Described {
                address: Ipv4Addr::new(192, 0, 2, address),
                properties: properties.iter().map(|&pair| pair.into()).collect(),
                from: Ipv4Addr::new(127, 0, 0, last),
                after: earlier.take(),
                ..described()
            };
            let responder = Responder::start(port, described);
            port = responder.port;
            earlier = Some(responder.answered());
            responders.push(responder);
        }
        let found = find_with(port, 1, in_clear).await.unwrap();
        assert_eq!(shown(&found), wanted);
        assert_eq!(found.overrides, []);
        assert_eq!(found.disputed, ["ntp_server"]);
    }
}

#[test]
fn an_api_in_clear_is_not_taken_from_the_network_where_the_operator_wants_tls() {
    const PIN: &str = "ferrite-api-pin=sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let insecure = format!("{PIN} ipa-insecure=1");
    let authority = &[("OS_DEFAULT__CAFILE", "/ca.pem")][..];
    let certificate = &[
        ("OS_DEFAULT__CERTFILE", "/cert.pem"),
        ("OS_DEFAULT__KEYFILE", "/key.pem"),
    ];
    for (arguments, environment, taken) in [
        ("", &[][..], true),
        ("ipa-insecure=1", &[], true),
        ("ipa-insecure=1", authority, true),
        ("", authority, false),
        ("", certificate, false),
        (PIN, &[], false),
        (&insecure, &[], false),
    ] {
        let config = config_with(&format!("ipa-api-url=mdns {arguments}"), environment);
        let told = format!("{arguments} {environment:?}");
        assert_eq!(config.takes_discovered_api_in_clear(), taken, "{told}");
    }
}
