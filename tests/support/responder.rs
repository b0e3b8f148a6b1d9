//! Somebody who answers multicast DNS on the loopback interface, as a test wants it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::rdata::{A, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How the service is described.
#[derive(Clone, Debug)]
pub struct Described {
    /// The service's host.
    pub host: &'static str,
    /// The host's address.
    pub address: Ipv4Addr,
    /// The service's port.
    pub port: u16,
    /// The service's TXT record: `protocol=http`.
    pub properties: Vec<String>,
    /// So many questions are not answered.
    pub deaf: usize,
    /// Whether the address comes unasked.
    pub generous: bool,
    /// Where the answers come from: an address of the loopback interface.
    pub from: Ipv4Addr,
    /// What the answers wait for.
    pub after: Option<watch::Receiver<bool>>,
}

/// The responder; it ends with this value.
#[derive(Debug)]
pub struct Responder {
    /// Where it listens.
    pub port: u16,
    asked: watch::Sender<Vec<String>>,
    answered: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Responder {
    /// Listens at a port; zero chooses one.
    pub fn start(port: u16, described: Described) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_nonblocking(true).unwrap();
        let group = Ipv4Addr::new(224, 0, 0, 251);
        let at = SocketAddr::V4(SocketAddrV4::new(group, port));
        socket.bind(&at.into()).unwrap();
        socket
            .join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)
            .unwrap();
        let socket = UdpSocket::from_std(socket.into()).unwrap();
        let port = socket.local_addr().unwrap().port();
        let asked = watch::Sender::new(Vec::new());
        let mut tasks = JoinSet::new();
        let answered = watch::Sender::new(false);
        tasks.spawn(answer(socket, described, asked.clone(), answered.clone()));
        Self {
            port,
            asked,
            answered,
            _tasks: tasks,
        }
    }

    /// Becomes true when a question was answered.
    pub fn answered(&self) -> watch::Receiver<bool> {
        self.answered.subscribe()
    }

    /// The questions so far: `SRV baremetal._openstack._tcp.local.`, each packet's on one line.
    pub fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }
}

async fn answer(
    socket: UdpSocket,
    described: Described,
    asked: watch::Sender<Vec<String>>,
    answered: watch::Sender<bool>,
) {
    let mut packet = vec![0; 9000];
    loop {
        let (length, from) = socket.recv_from(&mut packet).await.unwrap();
        let question = Message::from_vec(&packet[..length]).unwrap();
        let shown: Vec<_> = question
            .queries
            .iter()
            .map(|query| format!("{} {}", query.query_type, query.name))
            .collect();
        asked.send_modify(|asked| asked.push(shown.join(", ")));
        if asked.borrow().len() <= described.deaf {
            continue;
        }
        let mut message = Message::response(question.metadata.id, OpCode::Query);
        for query in question.queries {
            message.add_answers(described.records(&query.name, query.query_type));
        }
        // Sent from elsewhere: a socket bound to a group cannot send.
        let sender = UdpSocket::bind((described.from, 0)).await.unwrap();
        let answer = message.to_vec().unwrap();
        if let Some(mut others) = described.after.clone() {
            others.wait_for(|done| *done).await.unwrap();
        }
        sender.send_to(&answer, from).await.unwrap();
        answered.send_replace(true);
    }
}

impl Described {
    fn records(&self, name: &Name, kind: RecordType) -> Vec<Record> {
        let host = Name::from_ascii(self.host).unwrap();
        let address = Record::from_rdata(host.clone(), 60, RData::A(A(self.address)));
        match kind {
            RecordType::SRV => {
                let server = RData::SRV(SRV::new(0, 0, self.port, host));
                let mut records = vec![Record::from_rdata(name.clone(), 60, server)];
                records.extend(self.generous.then_some(address));
                records
            }
            RecordType::TXT => {
                let text = RData::TXT(TXT::new(self.properties.clone()));
                vec![Record::from_rdata(name.clone(), 60, text)]
            }
            RecordType::A => vec![address],
            _ => Vec::new(),
        }
    }
}
