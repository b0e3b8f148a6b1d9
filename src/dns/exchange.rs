//! Sends one query to one name server: over UDP, then over TCP if the response is truncated.
//!
//! Each query uses its own socket. The kernel then chooses a random port, and accepts packets from
//! that server only.

use super::error::Failure;
use super::limits::MAX_ALIASES;
use super::message::{Family, Query, Reply};
use hickory_proto::rr::Name;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// Response of a name server for one name and address family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// At least one address.
    Addresses(Vec<IpAddr>),
    NoAddress,
    NoSuchName,
}

/// Queries a name server for a name's addresses and follows its aliases.
pub(super) async fn ask(
    server: SocketAddr,
    name: &Name,
    family: Family,
    with_edns: bool,
) -> Result<Answer, Failure> {
    let mut name = name.clone();
    for _ in 0..=MAX_ALIASES {
        match exchange(server, &Query::new(name, family)?, with_edns).await? {
            Reply::Addresses(addresses) => return Ok(Answer::Addresses(addresses)),
            Reply::Alias(target) => name = target,
            Reply::Failed(failure) => return Err(failure),
            Reply::NoAddress => return Ok(Answer::NoAddress),
            Reply::NoSuchName => return Ok(Answer::NoSuchName),
            // A response over TCP must not be truncated.
            Reply::Truncated => return Err(Failure::Malformed),
        }
    }
    Err(Failure::Aliases)
}

async fn exchange(server: SocketAddr, query: &Query, with_edns: bool) -> Result<Reply, Failure> {
    let mut packet = query.packet(with_edns)?;
    let mut reply = over_udp(server, query, &packet).await?;
    if with_edns && matches!(reply, Reply::Failed(Failure::Code(FORMERR | NOTIMP))) {
        // The server does not support EDNS (RFC 6891 section 7).
        packet = query.packet(false)?;
        reply = over_udp(server, query, &packet).await?;
    }
    match reply {
        Reply::Truncated => over_tcp(server, query, &packet).await,
        reply => Ok(reply),
    }
}

async fn over_udp(server: SocketAddr, query: &Query, packet: &[u8]) -> Result<Reply, Failure> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.map_err(failed)?;
    socket.connect(server).await.map_err(failed)?;
    socket.send(packet).await.map_err(failed)?;
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(failed)?;
        // An invalid packet may be a forgery; the server's response may still arrive.
        if let Some(reply) = query.read(buffer.get(..length).unwrap_or_default()) {
            return Ok(reply);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &Query, packet: &[u8]) -> Result<Reply, Failure> {
    let mut stream = TcpStream::connect(server).await.map_err(failed)?;
    let length = u16::try_from(packet.len()).map_err(|_| Failure::Malformed)?;
    // Sent in one segment, because some servers read no second one (RFC 7766 section 8).
    let whole = [&length.to_be_bytes()[..], packet].concat();
    stream.write_all(&whole).await.map_err(failed)?;
    let length = stream.read_u16().await.map_err(failed)?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await.map_err(failed)?;
    query.read(&answer).ok_or(Failure::Malformed)
}

fn failed(error: io::Error) -> Failure {
    Failure::Io(error.kind())
}

const FORMERR: u16 = 1;
const NOTIMP: u16 = 4;
/// More than a query advertises; a longer packet is cut and cannot be parsed.
const MAX_PACKET: usize = 4096;
