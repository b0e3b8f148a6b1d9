//! Discovers Ironic by multicast DNS. It runs only if the operator enables it, because any host on
//! the link may respond.
//!
//! It sends one-shot queries from an ephemeral port, and responders send unicast responses to it
//! (RFC 6762, sections 5.1 and 6.7). It joins no group, and no socket remains open afterwards.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod records;

pub use records::Found;

use super::address::LocalAddresses;
use super::error::Error;
use crate::backoff::Backoff;
use records::ServiceRecords;
use socket2::SockRef;
use std::future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// Outbound interface of multicast queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundInterface {
    /// Interface with this IPv4 address.
    V4(Ipv4Addr),
    /// Interface with this index.
    V6(u32),
}

/// Options of a discovery.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// Interfaces to query.
    pub interfaces: Vec<OutboundInterface>,
    /// UDP port of the responders: [`PORT`], except in tests.
    pub port: u16,
    /// Number of attempts.
    pub attempts: u32,
    /// Whether a service without TLS (http) is acceptable.
    pub in_clear: bool,
}

/// Finds a service such as `baremetal`: all responders within [`GATHER_TIME`] after the first
/// usable response.
///
/// # Errors
/// - [`Error::Discovery`] if no socket can be opened.
/// - [`Error::NotDiscovered`] if there is no response in all attempts.
/// - [`Error::InvalidService`] if no response in all attempts is usable.
pub async fn find(
    service: &'static str,
    asking: &QueryOptions,
    network: &impl LocalAddresses,
) -> Result<Found, Error> {
    let id = u16::from_be_bytes(super::retry::random_bytes());
    let Some(mut told) = ServiceRecords::nothing_of(service, id, asking.in_clear) else {
        return Err(Error::NotDiscovered { service });
    };
    let sockets = Sockets::open().map_err(Error::Discovery)?;
    let mut failure = Error::NotDiscovered { service };
    let reachable = |address| network.route_source(address).is_ok();
    for attempt in 1..=asking.attempts {
        tracing::info!(service, attempt, "asking the network (multicast DNS)");
        sockets.ask(&mut told, asking).await;
        match told.found(reachable) {
            Some(Ok(found)) => return Ok(found),
            // Ironic may respond later than this responder.
            Some(Err(reason)) => failure = Error::InvalidService { service, reason },
            None => {}
        }
        if attempt < asking.attempts {
            tokio::time::sleep(PAUSES.pause(attempt.saturating_sub(1))).await;
        }
    }
    Err(failure)
}

/// One socket for each address family that the kernel supports.
struct Sockets {
    v4: UdpSocket,
    v6: Option<UdpSocket>,
}

impl Sockets {
    fn open() -> io::Result<Self> {
        Ok(Self {
            v4: open(Ipv4Addr::UNSPECIFIED.into())?,
            v6: open(Ipv6Addr::UNSPECIFIED.into()).ok(),
        })
    }

    /// Queries all responders every second until the attempt ends, and missing records at once.
    /// After the first usable response the attempt ends within [`GATHER_TIME`]: others may respond
    /// too, and the first need not be Ironic.
    async fn ask(&self, told: &mut ServiceRecords, asking: &QueryOptions) {
        let mut over = Instant::now() + ATTEMPT;
        let mut usable = false;
        let mut packet = vec![0; PACKET_MAX];
        while Instant::now() < over {
            self.send(told.next_query(), asking).await;
            let again = Instant::now() + RETRY_INTERVAL;
            // Checked before each packet: a flood of packets would otherwise prevent the timeout.
            while Instant::now() < over.min(again) {
                let heard = tokio::time::timeout_at(over.min(again), self.receive(&mut packet));
                let Ok((answer, from)) = heard.await else {
                    break;
                };
                if !told.handle_response(answer, from) {
                    continue;
                }
                for (from, reason) in told.newly_passed_over() {
                    tracing::warn!(
                        %from,
                        reason,
                        "what the network tells of a service cannot be used: passed over"
                    );
                }
                if !usable && told.has_usable() {
                    usable = true;
                    over = Instant::now() + GATHER_TIME;
                }
                self.send(told.question_of_rest(), asking).await;
            }
        }
    }

    async fn send(&self, question: Option<Vec<u8>>, asking: &QueryOptions) {
        let Some(question) = question.as_deref() else {
            return;
        };
        for way in &asking.interfaces {
            let sent = match way {
                OutboundInterface::V4(address) => {
                    let socket = SockRef::from(&self.v4);
                    let group = SocketAddr::from((GROUP_V4, asking.port));
                    match socket.set_multicast_if_v4(address) {
                        Ok(()) => self.v4.send_to(question, group).await,
                        Err(error) => Err(error),
                    }
                }
                OutboundInterface::V6(link) => {
                    let Some(socket) = &self.v6 else { continue };
                    let group = SocketAddr::from((GROUP_V6, asking.port));
                    match SockRef::from(socket).set_multicast_if_v6(*link) {
                        Ok(()) => socket.send_to(question, group).await,
                        Err(error) => Err(error),
                    }
                }
            };
            if let Err(error) = sent {
                tracing::debug!(?way, %error, "the network cannot be asked this way");
            }
        }
    }

    /// Receives a packet and its sender's address.
    async fn receive<'a>(&self, packet: &'a mut [u8]) -> (&'a [u8], IpAddr) {
        let readable = async {
            match &self.v6 {
                Some(v6) => v6.readable().await,
                None => future::pending().await,
            }
        };
        let received = tokio::select! {
            _ = self.v4.readable() => self.v4.try_recv_from(packet).ok(),
            _ = readable => self.v6.as_ref().and_then(|v6| v6.try_recv_from(packet).ok()),
        };
        // Readiness may be spurious; the result is then an empty packet.
        let (length, from) = match received {
            Some((length, from)) => (length, from.ip().to_canonical()),
            None => (0, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        };
        (packet.get(..length).unwrap_or_default(), from)
    }
}

fn open(any: IpAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    let options = SockRef::from(&socket);
    match any {
        IpAddr::V4(_) => options.set_multicast_ttl_v4(HOPS)?,
        IpAddr::V6(_) => options.set_multicast_hops_v6(HOPS)?,
    }
    UdpSocket::from_std(socket)
}

/// UDP port of multicast DNS responders (RFC 6762).
pub const PORT: u16 = 5353;
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// IP TTL of multicast DNS packets (RFC 6762, section 11).
const HOPS: u32 = 255;
/// Maximum size of a packet in bytes (RFC 6762, section 17).
const PACKET_MAX: usize = 9000;
/// Time for further responses after the first usable one. Responders take up to 120 ms (RFC 6762,
/// section 6), and as long again for queries of missing records.
pub const GATHER_TIME: Duration = Duration::from_millis(500);
/// Timeout of one attempt: that of python-zeroconf, which IPA uses.
const ATTEMPT: Duration = Duration::from_secs(3);
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// IPA's pauses between attempts: their number is limited, their length is not.
const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(100),
    max: Duration::MAX,
};
