//! A name server on the loopback interface that answers as a test says, and remembers what it was asked.
//!
//! It takes UDP and TCP at the same port. A folder with `etc/resolv.conf` that names it stands for the machine's `/`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// What becomes of one query.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These addresses, as far as they are of the type asked for.
    Addresses(Vec<IpAddr>),
    /// Another name, and no addresses of it.
    Alias(&'static str),
    /// Another name, and its address.
    AliasOf(&'static str, IpAddr),
    /// No reply at all.
    Dropped,
    /// A response code.
    Code(ResponseCode),
    /// Over UDP the reply has no room for the addresses.
    Truncated(Vec<IpAddr>),
    /// Whatever packets these are.
    Packets(Vec<Vec<u8>>),
}

impl Reply {
    /// One address.
    pub fn address(address: &str) -> Self {
        Self::Addresses(vec![address.parse().unwrap()])
    }

    /// The name does not exist.
    pub fn no_such_name() -> Self {
        Self::Code(ResponseCode::NXDomain)
    }

    fn packets(&self, query: &Message, is_udp: bool) -> Vec<Vec<u8>> {
        let question = &query.queries[0];
        let mut message = Message::response(query.metadata.id, OpCode::Query);
        message.metadata.recursion_available = true;
        message.add_query(question.clone());
        match self {
            Self::Addresses(addresses) => {
                message.add_answers(records(&question.name, question.query_type, addresses));
            }
            Self::Alias(target) => {
                message.add_answer(alias(&question.name, target));
            }
            Self::AliasOf(target, address) => {
                message.add_answer(alias(&question.name, target));
                let target = Name::from_ascii(target).unwrap();
                message.add_answers(records(&target, question.query_type, &[*address]));
            }
            Self::Dropped => return Vec::new(),
            Self::Code(code) => message.metadata.response_code = *code,
            Self::Truncated(_) if is_udp => message.metadata.truncation = true,
            Self::Truncated(addresses) => {
                message.add_answers(records(&question.name, question.query_type, addresses));
            }
            Self::Packets(packets) => return packets.clone(),
        }
        vec![message.to_vec().unwrap()]
    }
}

/// Records of a name, of those addresses that are of the type.
pub fn records(name: &Name, kind: RecordType, addresses: &[IpAddr]) -> Vec<Record> {
    let data = addresses
        .iter()
        .filter_map(|address| match (address, kind) {
            (IpAddr::V4(address), RecordType::A) => Some(RData::A(A(*address))),
            (IpAddr::V6(address), RecordType::AAAA) => Some(RData::AAAA(AAAA(*address))),
            _ => None,
        });
    data.map(|data| Record::from_rdata(name.clone(), 60, data))
        .collect()
}

fn alias(name: &Name, target: &str) -> Record {
    let target = Name::from_ascii(target).unwrap();
    Record::from_rdata(name.clone(), 60, RData::CNAME(CNAME(target)))
}

/// A query as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// `A ironic.example.org.`
    pub question: String,
    /// Its transaction.
    pub id: u16,
    /// Who sent it.
    pub source: SocketAddr,
    /// The size of replies that it takes over UDP, where it has EDNS.
    pub edns: Option<u16>,
    /// Otherwise by TCP.
    pub is_udp: bool,
}

type Answer = Arc<dyn Fn(&Message) -> Reply + Send + Sync>;

/// The server; it ends with this value.
#[derive(Debug)]
pub struct NameServer {
    /// Where it listens, by UDP and TCP.
    pub address: SocketAddr,
    queries: Arc<Mutex<Vec<Query>>>,
    _tasks: JoinSet<()>,
}

impl NameServer {
    /// Replies to each question, such as `A ironic.example.org.`, as this function says.
    pub async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", move |query| reply(&question(query))).await
    }

    /// The same at this address, of whole messages.
    pub async fn start_at(
        address: &str,
        reply: impl Fn(&Message) -> Reply + Send + Sync + 'static,
    ) -> Self {
        // The kernel chooses a port for UDP that may be taken for TCP.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind(address).await.unwrap();
            let at = udp.local_addr().unwrap();
            if let Ok(tcp) = TcpListener::bind(at).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let queries = Arc::new(Mutex::new(Vec::new()));
        let reply: Answer = Arc::new(reply);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, Arc::clone(&reply), Arc::clone(&queries)));
        tasks.spawn(serve_tcp(tcp, reply, Arc::clone(&queries)));
        Self {
            address,
            queries,
            _tasks: tasks,
        }
    }

    /// A line of resolv.conf.
    pub fn line(&self) -> String {
        format!(
            "nameserver [{}]:{}\n",
            self.address.ip(),
            self.address.port()
        )
    }

    /// Every query so far.
    pub fn queries(&self) -> Vec<Query> {
        self.queries.lock().unwrap().clone()
    }

    /// The questions so far: `A ironic.example.org.`, sorted, for those of one name come side by side.
    pub fn questions(&self) -> Vec<String> {
        let queries = self.queries();
        let mut questions: Vec<_> = queries.into_iter().map(|query| query.question).collect();
        questions.sort();
        questions
    }
}

async fn serve_udp(socket: UdpSocket, reply: Answer, queries: Arc<Mutex<Vec<Query>>>) {
    let mut packet = vec![0; 4096];
    loop {
        let (length, source) = socket.recv_from(&mut packet).await.unwrap();
        let query = Message::from_vec(&packet[..length]).unwrap();
        queries.lock().unwrap().push(seen(&query, source, true));
        for packet in reply(&query).packets(&query, true) {
            socket.send_to(&packet, source).await.unwrap();
        }
    }
}

async fn serve_tcp(listener: TcpListener, reply: Answer, queries: Arc<Mutex<Vec<Query>>>) {
    loop {
        let (mut stream, source) = listener.accept().await.unwrap();
        let Ok(query) = read_tcp(&mut stream).await else {
            continue;
        };
        let query = Message::from_vec(&query).unwrap();
        queries.lock().unwrap().push(seen(&query, source, false));
        for packet in reply(&query).packets(&query, false) {
            let length = u16::try_from(packet.len()).unwrap();
            let whole = [&length.to_be_bytes()[..], &packet].concat();
            // A client that has hung up is no matter of the server's.
            let _ = stream.write_all(&whole).await;
        }
    }
}

async fn read_tcp(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut packet = vec![0; length.into()];
    stream.read_exact(&mut packet).await?;
    Ok(packet)
}

fn question(query: &Message) -> String {
    let query = &query.queries[0];
    format!("{} {}", query.query_type, query.name)
}

fn seen(query: &Message, source: SocketAddr, is_udp: bool) -> Query {
    Query {
        question: question(query),
        id: query.metadata.id,
        source,
        edns: query.edns.as_ref().map(|edns| edns.max_payload()),
        is_udp,
    }
}

/// A machine's `/` with this resolv.conf.
pub fn machine(resolv_conf: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("etc")).unwrap();
    write_resolv_conf(folder.path(), resolv_conf);
    folder
}

/// Replaces resolv.conf as a DHCP client does: in one piece.
pub fn write_resolv_conf(folder: &Path, text: &str) {
    let new = folder.join("etc/resolv.conf.new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, folder.join("etc/resolv.conf")).unwrap();
}
