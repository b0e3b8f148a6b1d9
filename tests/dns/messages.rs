//! Queries and answers as packets.

use super::{conf, lookup};
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::RecordType;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use support::name_server::{NameServer, Reply, records};

fn addresses(count: u8) -> Vec<IpAddr> {
    (1..=count)
        .map(|last| Ipv4Addr::new(192, 0, 2, last).into())
        .collect()
}

/// An answer to a query with this address, changed as it is wanted.
fn answer(query: &Message, last: u8, change: impl Fn(&mut Message)) -> Vec<u8> {
    let question = &query.queries[0];
    let mut message = Message::response(query.metadata.id, OpCode::Query);
    message.metadata.recursion_available = true;
    message.add_query(question.clone());
    message.add_answers(records(
        &question.name,
        RecordType::A,
        &[Ipv4Addr::new(192, 0, 2, last).into()],
    ));
    change(&mut message);
    message.to_vec().unwrap()
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_over_tcp() {
    let server = NameServer::start(|_| Reply::Truncated(addresses(10))).await;
    let found = lookup(&conf(&[&server]), "ironic.lab").await.unwrap();
    assert_eq!(found.len(), 10);
    let over_tcp = server.queries().into_iter().filter(|query| !query.is_udp);
    assert_eq!(over_tcp.count(), 2);
}

#[tokio::test]
async fn a_query_takes_answers_of_a_modest_size() {
    let server = NameServer::start(|_| Reply::Addresses(addresses(1))).await;
    lookup(&conf(&[&server]), "ironic.lab").await.unwrap();
    assert!(
        server
            .queries()
            .iter()
            .all(|query| query.edns == Some(1232))
    );
}

#[tokio::test]
async fn a_server_without_edns_is_asked_without() {
    let server = NameServer::start_at("127.0.0.1:0", |query| match query.edns {
        Some(_) => Reply::Code(ResponseCode::FormErr),
        None => Reply::Addresses(addresses(1)),
    })
    .await;
    assert_eq!(
        lookup(&conf(&[&server]), "ironic.lab").await.unwrap(),
        ["192.0.2.1"]
    );
}

#[tokio::test]
async fn numbers_and_ports_of_queries_are_drawn() {
    let server = NameServer::start(|_| Reply::Addresses(addresses(1))).await;
    for _ in 0..32 {
        lookup(&conf(&[&server]), "ironic.lab").await.unwrap();
    }
    let queries = server.queries();
    let ids: BTreeSet<_> = queries.iter().map(|query| query.id).collect();
    let ports: BTreeSet<_> = queries.iter().map(|query| query.source.port()).collect();
    assert_eq!(queries.len(), 64);
    // Of 64 drawn from so many a pair may be equal.
    assert!(ids.len() > 60, "{ids:?}");
    assert!(ports.len() > 50, "{ports:?}");
    let steps: BTreeSet<_> = queries
        .windows(2)
        .map(|pair| pair[1].id.wrapping_sub(pair[0].id))
        .collect();
    assert!(steps.len() > 50, "{steps:?}");
}

#[tokio::test]
async fn forged_answers_before_the_true_one_are_passed_over() {
    let server = NameServer::start_at("127.0.0.1:0", |query| {
        if query.queries[0].query_type == RecordType::AAAA {
            return Reply::Addresses(Vec::new());
        }
        Reply::Packets(vec![
            Vec::new(),
            vec![0xFF; 40],
            answer(query, 6, |message| message.metadata.id ^= 1),
            answer(query, 7, |message| {
                message.queries[0].name = "evil.lab.".parse().unwrap();
            }),
            answer(query, 8, |message| {
                message.queries.clear();
            }),
            answer(query, 1, |_| {}),
        ])
    })
    .await;
    assert_eq!(
        lookup(&conf(&[&server]), "ironic.lab").await.unwrap(),
        ["192.0.2.1"]
    );
}

#[tokio::test]
async fn an_answer_from_another_address_is_passed_over() {
    let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (port, ports) = std::sync::mpsc::channel();
    let port = std::sync::Mutex::new(port);
    let server = NameServer::start_at("127.0.0.1:0", move |query| {
        let forged = answer(query, 9, |_| {});
        port.lock()
            .unwrap()
            .send((forged, query.metadata.id))
            .unwrap();
        Reply::Dropped
    })
    .await;
    let conf = format!("{}options timeout:1 attempts:1\n", server.line());
    let looked_up = lookup(&conf, "ironic.lab");
    let forging = async {
        // Both questions are there before anything is forged.
        while server.queries().len() < 2 {
            tokio::task::yield_now().await;
        }
        for query in server.queries() {
            let (forged, _) = ports.recv().unwrap();
            other.send_to(&forged, query.source).unwrap();
        }
    };
    let (found, ()) = tokio::join!(looked_up, forging);
    assert_eq!(
        found.unwrap_err().to_string(),
        format!(
            "cannot resolve ironic.lab: no usable answer from {} (timed out): check that a name server can be reached",
            server.address
        )
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_parsed_is_a_failure_of_that_server() {
    let broken = NameServer::start_at("127.0.0.1:0", |query| {
        let mut packet = answer(query, 1, |message| {
            message.queries[0].query_type = query.queries[0].query_type;
        });
        packet.truncate(packet.len() - 3);
        Reply::Packets(vec![packet])
    })
    .await;
    let second = NameServer::start(|_| Reply::Addresses(addresses(2))).await;
    let found = lookup(&conf(&[&broken, &second]), "ironic.lab").await;
    assert_eq!(found.unwrap(), ["192.0.2.1", "192.0.2.2"]);
}

#[tokio::test]
async fn no_more_addresses_are_taken_than_a_name_has_use_for() {
    let server = NameServer::start(|_| Reply::Truncated(addresses(250))).await;
    let found = lookup(&conf(&[&server]), "ironic.lab").await.unwrap();
    assert_eq!(found.len(), 16);
}
