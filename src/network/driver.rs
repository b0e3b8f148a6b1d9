//! Drives a DHCP client of either version on one interface: sockets, carrier, time and the client's state machine.

use super::view::{Interface, Network, View};
use crate::progress::Cancel;
use std::collections::VecDeque;
use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// A DHCP client as a pure state machine: messages and the time in, actions out.
pub(super) trait DhcpClient {
    /// What servers send.
    type Message;
    /// What is to be done.
    type Action;

    /// When [`DhcpClient::on_timeout`] is to be called, unless a message comes before.
    fn deadline(&self) -> Instant;

    /// Whether it has what it asked for, and expects no message before its deadline.
    fn is_bound(&self) -> bool;

    fn on_timeout(&mut self, now: Instant) -> Vec<Self::Action>;

    fn on_message(&mut self, message: &Self::Message, now: Instant) -> Vec<Self::Action>;
}

/// A client's way to the network, for as long as the interface is as it is.
pub(super) trait Session {
    type Client: DhcpClient;

    /// The name of the protocol, for the log.
    const PROTOCOL: &'static str;

    /// A client that has not asked yet.
    fn new_client(&self) -> io::Result<Self::Client>;

    /// Whether what is asked for is still wanted, and there is a carrier.
    fn is_wanted(&self, view: &View) -> bool;

    /// The next message; `None` when none came in time, or what came is none.
    fn receive(
        &mut self,
        client: &Self::Client,
        timeout: Duration,
    ) -> io::Result<Option<<Self::Client as DhcpClient>::Message>>;

    /// Carries an action out; returns what follows from it.
    fn perform(
        &mut self,
        client: &mut Self::Client,
        action: <Self::Client as DhcpClient>::Action,
    ) -> io::Result<Vec<<Self::Client as DhcpClient>::Action>>;
}

/// Asks, and keeps what was given, until it is not wanted any longer.
pub(super) fn drive<S: Session>(
    network: &Network,
    interface: &Interface,
    session: &mut S,
) -> io::Result<()> {
    let mut client = session.new_client()?;
    let mut moves = network.rebind_generation();
    loop {
        let asked = std::mem::replace(&mut moves, network.rebind_generation());
        if asked != moves {
            tracing::info!(
                interface = interface.name,
                protocol = S::PROTOCOL,
                "Asking for an address afresh"
            );
            client = session.new_client()?;
        }
        let now = Instant::now();
        let left = client.deadline().saturating_duration_since(now);
        let idle = match client.is_bound() {
            true => left,
            false => Duration::ZERO,
        };
        let over = network.wait(idle, |view| {
            let over = !session.is_wanted(view);
            (over || view.moves != moves).then_some(over)
        });
        if over == Some(true) {
            return Ok(());
        }
        let actions = if left.is_zero() {
            client.on_timeout(now)
        } else if client.is_bound() {
            continue;
        } else {
            match session.receive(&client, left.min(CARRIER_INTERVAL))? {
                Some(message) => client.on_message(&message, Instant::now()),
                None => continue,
            }
        };
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            actions.extend(session.perform(&mut client, action)?);
        }
    }
}

/// Logs why an interface is not served, and waits before it is tried again.
pub(super) fn pause_after(error: &io::Error, interface: &Interface, protocol: &str) {
    tracing::warn!(interface = interface.name, protocol, %error, "DHCP begins again");
    let _never = Cancel::default().wait(RESTART_DELAY);
}

/// The next datagram; `None` when none came in time.
pub(super) fn receive(socket: &UdpSocket, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
    // Zero would mean for ever.
    socket.set_read_timeout(Some(timeout.max(Duration::from_millis(1))))?;
    let mut buffer = [0; MAX_MESSAGE_LEN];
    match socket.recv(&mut buffer) {
        Ok(length) => Ok(buffer.get(..length).map(<[u8]>::to_vec)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {
                Ok(None)
            }
            // The server's port is closed: it will be back.
            io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(error),
        },
    }
}

const MAX_MESSAGE_LEN: usize = 1500;
/// How often a waiting client looks whether the carrier is still there.
const CARRIER_INTERVAL: Duration = Duration::from_millis(500);
const RESTART_DELAY: Duration = Duration::from_secs(5);
