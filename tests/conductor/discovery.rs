//! Finding Ironic where nobody names it: multicast DNS.

use super::clock::Clock;
use super::responder::{Described, Responder};
use ferrite::conductor::Error;
use ferrite::conductor::address::Network;
use ferrite::conductor::mdns::{self, Asking, Service, Way};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

struct Anywhere;

impl Network for Anywhere {
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
    }
}

async fn find(port: u16, attempts: u32) -> Result<Service, Error> {
    let asking = Asking {
        ways: vec![Way::V4(Ipv4Addr::LOCALHOST)],
        port,
        attempts,
    };
    mdns::find("baremetal", &asking, &Anywhere).await
}

#[tokio::test]
async fn the_network_tells_where_ironic_is() {
    let responder = Responder::start(0, described());
    let found = find(responder.port, 1).await.unwrap();
    assert_eq!(found.url.as_str(), "http://192.0.2.1:6385/baremetal");
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
    assert_eq!(found.url.as_str(), "http://192.0.2.1:6385/baremetal");
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
        let passing = async {
            while responder.asked().len() <= deaf {
                clock.pass(Duration::from_millis(100)).await;
                // What was sent by now is heard before more time passes.
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
            }
            std::future::pending::<()>().await;
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
