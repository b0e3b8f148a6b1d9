//! Resolves host names for every connection of the agent: by `/etc/hosts`, then by the name servers
//! of `/etc/resolv.conf`.
//!
//! The rules are those of resolv.conf(5): servers are queried in order, one at a time, and the
//! first response counts. A server of another network therefore never overrides the one of the boot
//! network. No other servers are ever queried.
//!
//! Both files are read for each lookup, because DHCP updates them while the agent runs. Responses
//! are not cached.
//!
//! ```text
//! lookup ─► hosts ─► candidates (search, ndots) ─► servers × attempts ─► A beside AAAA ─► UDP, TCP
//!                     resolv_conf                                         exchange         message
//! ```

mod address;
mod error;
mod exchange;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod hosts;
mod limits;
mod message;
mod resolv_conf;

pub use error::{Error, Failure, Failures, Tried};

use crate::root::Root;
use exchange::Answer;
use hickory_proto::rr::Name;
use message::Family;
use reqwest::dns::{Addrs, Resolve, Resolving};
use resolv_conf::{NameServer, ResolvConf};
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Resolver of host names, configured by the machine's files.
#[derive(Clone, Debug)]
pub struct Resolver {
    root: Root,
}

/// Result of the name servers for one name.
enum Found {
    /// At least one address.
    Addresses(Vec<SocketAddr>),
    /// According to this server, the name has no address.
    NoAddress(String),
    /// According to this server, the name does not exist.
    NoSuchName(String),
}

impl Resolver {
    /// Creates a resolver that reads the files below this root.
    #[must_use]
    pub fn new(root: &Root) -> Self {
        Self { root: root.clone() }
    }

    /// Returns the addresses of a host, IPv4 before IPv6, each with port 0. A link-local address
    /// has the scope of its link.
    ///
    /// # Errors
    /// See [`Error`]. The name servers have at most [`LOOKUP_TIMEOUT`].
    pub async fn lookup(&self, host: &str) -> Result<Vec<SocketAddr>, Error> {
        let name = host.strip_suffix('.').unwrap_or(host);
        if message::name(name).is_none() {
            return Err(Error::InvalidName(host.to_owned()));
        }
        let in_file = hosts::addresses(&self.read(hosts::PATH, host)?, name);
        let in_file: Vec<_> = in_file
            .iter()
            .filter_map(|address| address.socket_address(0).ok())
            .collect();
        if !in_file.is_empty() {
            return Ok(in_file);
        }
        if is_localhost(name) {
            return Ok(vec![
                (Ipv4Addr::LOCALHOST, 0).into(),
                (Ipv6Addr::LOCALHOST, 0).into(),
            ]);
        }
        let conf = ResolvConf::parse(&self.read(resolv_conf::PATH, host)?);
        if conf.servers.is_empty() {
            return Err(Error::NoServer(host.to_owned()));
        }
        self.search(&conf, host).await
    }

    /// Resolves a host like [`Resolver::lookup`], for code that may block.
    ///
    /// # Errors
    /// As [`Resolver::lookup`].
    pub fn lookup_blocking(&self, host: &str) -> Result<Vec<SocketAddr>, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build();
        runtime
            .map_err(|_| Error::Runtime(host.to_owned()))?
            .block_on(self.lookup(host))
    }

    /// Queries the candidate names in order until one has addresses.
    async fn search(&self, conf: &ResolvConf, host: &str) -> Result<Vec<SocketAddr>, Error> {
        let deadline = Instant::now() + LOOKUP_TIMEOUT;
        // A machine without a host name has no domain either.
        let machine = self.read(HOST_NAME, host).unwrap_or_default();
        let candidates = conf.candidates(host, machine.trim());
        let name = host.to_owned();
        let tried = match candidates.as_slice() {
            [one] if one == host.trim_end_matches('.') => Tried::default(),
            several => Tried(several.to_vec()),
        };
        let mut unanswered = None;
        let mut without_address = None;
        let mut unknown_to = String::new();
        for candidate in &candidates {
            let Some(labels) = message::name(candidate) else {
                continue;
            };
            match ask_servers(conf, &labels, deadline).await {
                Ok(Found::Addresses(addresses)) => {
                    tracing::debug!(host, name = candidate, ?addresses, "resolved a host name");
                    return Ok(addresses);
                }
                Ok(Found::NoAddress(server)) => {
                    without_address.get_or_insert(server);
                }
                Ok(Found::NoSuchName(server)) => unknown_to = server,
                Err(failures) => {
                    let is_refusal =
                        |(_, failure): &(_, Failure)| matches!(failure, Failure::Code(_));
                    let may_go_on = failures.0.iter().all(is_refusal);
                    unanswered.get_or_insert(failures);
                    // Servers that did not respond to this name will not respond to the next one.
                    if !may_go_on {
                        break;
                    }
                }
            }
        }
        Err(match (unanswered, without_address) {
            (Some(failures), _) => Error::Unanswered { name, failures },
            (None, Some(server)) => Error::NoAddress {
                name,
                server,
                tried,
            },
            (None, None) => Error::NoSuchName {
                name,
                server: unknown_to,
                tried,
            },
        })
    }

    /// Reads a file below the root; a missing file counts as empty.
    fn read(&self, path: &'static str, host: &str) -> Result<String, Error> {
        let read = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            let file = File::open(self.root.path(path))?;
            file.take(MAX_FILE).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(Error::Read {
                name: host.to_owned(),
                path,
                kind: error.kind(),
            }),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.lookup(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Returns whether the name is `localhost` or below it. Such names always mean this machine,
/// whatever name servers respond (RFC 6761 section 6.3).
fn is_localhost(name: &str) -> bool {
    name.rsplit('.')
        .next()
        .is_some_and(|label| label.eq_ignore_ascii_case("localhost"))
}

/// Queries the servers in order, for `attempts` rounds, until one knows whether the name exists.
async fn ask_servers(conf: &ResolvConf, name: &Name, deadline: Instant) -> Result<Found, Failures> {
    let not_asked = |server: &NameServer| (server.to_string(), Failure::NotAsked);
    let mut failures = Failures(conf.servers.iter().map(not_asked).collect());
    let questions = u32::try_from(conf.servers.len()).unwrap_or(1) * conf.attempts;
    // Leaves every server its share of the timeout.
    let each = conf.timeout.min(LOOKUP_TIMEOUT / questions.max(1));
    for attempt in 0..conf.attempts {
        for (server, entry) in conf.servers.iter().zip(&mut failures.0) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(failures);
            }
            // EDNS is used in the first round only: a network that drops it does so always.
            let with_edns = attempt == 0;
            match ask_server(server, name, with_edns, each.min(left)).await {
                Ok(found) => {
                    failures
                        .0
                        .retain(|(_, failure)| *failure != Failure::NotAsked);
                    if !failures.0.is_empty() {
                        tracing::warn!(%failures, answered = %server, "name servers before the one that answered gave no answer");
                    }
                    return Ok(found);
                }
                Err(failure) => entry.1 = failure,
            }
        }
    }
    Err(failures)
}

/// Queries both families in parallel.
///
/// If one family has addresses, the other gets only [`FAMILY_GRACE`] more: some networks drop IPv6
/// queries.
async fn ask_server(
    server: &NameServer,
    name: &Name,
    with_edns: bool,
    limit: Duration,
) -> Result<Found, Failure> {
    let address = server.address.socket_address(server.port);
    let address = address.map_err(|error| Failure::Io(error.kind()))?;
    let ask = |family| async move {
        let answer = timeout(limit, exchange::ask(address, name, family, with_edns)).await;
        answer.unwrap_or(Err(Failure::TimedOut))
    };
    let mut v4 = pin!(ask(Family::V4));
    let mut v6 = pin!(ask(Family::V6));
    let settles = |answer: &Result<Answer, Failure>| matches!(answer, Ok(Answer::Addresses(_)));
    let (v4, v6) = tokio::select! {
        first = &mut v4 => {
            // "No such name" for IPv4 is true of both families. The reverse is false: some servers
            // send it for IPv6 if only IPv4 addresses exist (RFC 4074 section 4.2).
            let settled = settles(&first) || matches!(first, Ok(Answer::NoSuchName));
            let second = if settled { within_grace(v6).await } else { v6.await };
            (first, second)
        }
        first = &mut v6 => {
            let second = if settles(&first) { within_grace(v4).await } else { v4.await };
            (second, first)
        }
    };
    conclude(server, address, v4, v6)
}

async fn within_grace(
    answer: impl Future<Output = Result<Answer, Failure>>,
) -> Result<Answer, Failure> {
    let answer = timeout(FAMILY_GRACE, answer).await;
    answer.unwrap_or(Err(Failure::TimedOut))
}

fn conclude(
    server: &NameServer,
    address: SocketAddr,
    v4: Result<Answer, Failure>,
    v6: Result<Answer, Failure>,
) -> Result<Found, Failure> {
    let answers = [&v4, &v6].into_iter().flatten();
    let addresses: Vec<_> = answers
        .filter_map(|answer| match answer {
            Answer::Addresses(addresses) => Some(addresses),
            _ => None,
        })
        .flatten()
        .filter_map(|found| scoped(*found, address))
        .collect();
    if !addresses.is_empty() {
        return Ok(Found::Addresses(addresses));
    }
    match (v4, v6) {
        (Ok(Answer::NoSuchName), _) => Ok(Found::NoSuchName(server.to_string())),
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
        _ => Ok(Found::NoAddress(server.to_string())),
    }
}

/// Gives a link-local address the scope of the name server's. Without a scope it is unreachable,
/// and the result is `None`.
fn scoped(found: IpAddr, server: SocketAddr) -> Option<SocketAddr> {
    match (found, server) {
        (IpAddr::V6(ip), SocketAddr::V6(server)) if ip.is_unicast_link_local() => {
            let scope = server.scope_id();
            (scope != 0).then(|| SocketAddrV6::new(ip, 0, 0, scope).into())
        }
        (IpAddr::V6(ip), SocketAddr::V4(_)) if ip.is_unicast_link_local() => None,
        (ip, _) => Some(SocketAddr::new(ip, 0)),
    }
}

/// Timeout of one lookup, whatever resolv.conf and the name servers demand.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(8);
/// Time that the addresses of one family wait for those of the other.
const FAMILY_GRACE: Duration = Duration::from_millis(500);
/// Path of the machine's host name, relative to the root.
const HOST_NAME: &str = "proc/sys/kernel/hostname";
/// Maximum number of bytes read from a file; the host list of a large site fits.
const MAX_FILE: u64 = 1024 * 1024;
