//! The agent's door: the socket it listens on and the certificate it shows there.

use super::error::Error;
use crate::clock;
use crate::conductor::lookup::ConductorSettings;
use crate::config::{Config, Scheme};
use crate::inventory;
use crate::root::Root;
use crate::secret::Vault;
use crate::tls;
use crate::tls::certificate::{SelfSigned, Subject};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use url::Host;

/// What the API shows, and how it is reached.
pub(super) struct ListenerTls {
    pub(super) server: Option<Arc<rustls::ServerConfig>>,
    pub(super) pem: Option<String>,
    pub(super) scheme: Scheme,
}

/// The API's certificate: the operator's own, one of our making for the host that Ironic is told of, or none.
pub(super) fn identity(
    root: &Root,
    vault: &Vault,
    config: &Config,
    settings: &ConductorSettings,
    certified: Option<&Host>,
) -> Result<ListenerTls, Error> {
    let (min_version, suites) = (
        settings.tls_min_version,
        settings.tls_cipher_suites.as_ref(),
    );
    let server = |identity: &tls::Identity| {
        tls::server::server_config(identity, min_version, suites).map_err(Error::Tls)
    };
    let made_for = certified.filter(|_| config.enable_auto_tls && !config.listen_tls);
    let Some(host) = made_for else {
        // As IPA does, the operator's files count without `listen_tls` too, where no certificate is made.
        let own = config.tls_server(root).map_err(Error::Tls)?;
        if config.listen_tls && own.is_none() {
            return Err(Error::NoCertificate);
        }
        return Ok(ListenerTls {
            server: own.as_ref().map(server).transpose()?,
            pem: None,
            scheme: config.advertise_protocol,
        });
    };
    let made = SelfSigned::load_or_generate(
        vault,
        &Subject {
            address: host.clone(),
            host_name: inventory::system::hostname(root),
            curve: config.tls_certificate_curve,
            allowed_clock_skew: config.auto_tls_allowed_clock_skew,
            now: clock::since_epoch(),
        },
    )
    .map_err(Error::Tls)?;
    Ok(ListenerTls {
        server: Some(server(&made.identity)?),
        pem: Some(made.pem),
        scheme: Scheme::Https,
    })
}

/// The listening socket: the configured address, else the one of the configured interface, else every one, of both families
/// where the kernel has IPv6.
pub(super) fn listen(config: &Config, of_interface: Option<IpAddr>) -> Result<TcpListener, Error> {
    let at = |host: IpAddr| {
        let address = SocketAddr::new(host, config.listen_port);
        bind(address).map_err(|error| Error::Listen(address, error))
    };
    match config.listen_host.or(of_interface) {
        Some(host) => at(host),
        None => at(Ipv6Addr::UNSPECIFIED.into())
            .or_else(|error| at(Ipv4Addr::UNSPECIFIED.into()).map_err(|_| error)),
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        None,
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // A flood must not push the conductor's first packet out of the kernel's queue.
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}
